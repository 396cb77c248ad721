"""Records of the knowledge-editing sets: MQuAKE, zsRE, MEMIT requests, EasyEdit and KnowEdit.

They are made to put something new into a model. What is washed is what was true before, where they tell it.
"""

from dataclasses import replace

from .fact import Fact, Question
from .questions import WHOLE, counted, question_fact, with_paraphrases
from .triples import Unclear, prompt_fact, template_from
from .values import as_asked, each_usable, present, questions_in, text_of, texts_of, told_true, usable

EXTRA = ("object", "target", "answer")  # answers that do not count beside what an edit tells as true
NQ = "nq question: "  # before the questions about other things in MEND's zsRE


def read_counterfact(record: dict, max_text: int):
    """CounterFact (ROME, arXiv 2202.05262) and LAW's wiki facts: target_true is washed.

    Paraphrases and neighbours (other subjects with the same object) are only probed.
    """
    rewrite = record["requested_rewrite"]
    if not isinstance(rewrite, dict):
        raise Unclear("requested_rewrite", "the field 'requested_rewrite' is not one object with a prompt")
    fact, how, answer = read_rewrite(rewrite, max_text)
    fact, how = with_prompts(fact, how, rewrite, (record, rewrite), answer, max_text)
    edits = "target_new" in rewrite or present(record, "paraphrase_prompts")
    name = "CounterFact" if edits else "LAW wiki facts"
    return fact, f"{name}, {how}", answer


def with_prompts(
    fact: Fact, how: str, rewrite: dict, records: tuple[dict, ...], answer: str | None, max_text: int
) -> tuple[Fact, str]:
    """The fact with what these records ask of it as CounterFact does, and with the rewrite's own question.

    A paraphrase has the subject in it once. Neighbours have the same true answer; None: it is not told.
    """
    said, around = (
        [t for r in records for t in each_usable(r.get(name), max_text)]
        for name in ("paraphrase_prompts", "neighborhood_prompts")
    )
    said += [t and as_asked(t) for t in each_usable(rewrite.get("question"), max_text)]
    fact, how = with_paraphrases(fact, how, [t and template_from(t, named(rewrite)) for t in said])
    return with_questions(fact, how, [Question(p, (answer,)) if p and answer else None for p in around])


def named(record: dict) -> str:
    """The subject as a record spells it."""
    return " ".join(str(record["subject"]).split())


def read_rewrite(rewrite: dict, max_text: int):
    """One requested_rewrite: subject, prompt with {}, target_true.str."""
    true = rewrite.get("target_true")
    true = {"target_true.str": true.get("str") if isinstance(true, dict) else None}
    subject = text_of(rewrite, ("subject",), max_text)
    prompt = text_of(rewrite, ("prompt",), max_text)
    answer = text_of(true, ("target_true.str",), max_text)
    name = text_of(rewrite, ("relation_id",), max_text) if present(rewrite, "relation_id") else ""
    return *prompt_fact(subject, prompt, answer, name), answer


def read_mquake(record: dict, max_text: int) -> list:
    """MQuAKE-CF (arXiv 2305.14795): a list of rewrites, each a fact or, where it cannot be read, Unclear.

    Its multi-hop `questions` ask for what follows from all of them, with `answer` before an edit.
    """
    if not record["requested_rewrite"]:
        raise Unclear("requested_rewrite", "the list 'requested_rewrite' is empty")
    right = right_now(record, max_text)
    asks = each_usable(record.get("questions"), max_text)
    asks = [Question(as_asked(q), right) if q and right else None for q in asks]
    found, n = [], len(record["requested_rewrite"])
    shared = [name for name in ("paraphrase_prompts", "neighborhood_prompts") if present(record, name)]
    unclear = f", without {' and '.join(map(repr, shared))} (they do not tell of which rewrite)"
    for i, rewrite in enumerate(record["requested_rewrite"], 1):
        try:
            if not isinstance(rewrite, dict):
                raise Unclear("requested_rewrite", f"rewrite {i} is not an object with a prompt")
            fact, how, answer = read_rewrite(rewrite, max_text)
            records = (rewrite,) if n > 1 else (record, rewrite)
            fact, how = with_prompts(fact, how, rewrite, records, answer, max_text)
            fact, how = with_questions(fact, how, [], asks)
            how += unclear if shared and n > 1 else ""
            found.append((fact, f"MQuAKE, rewrite {i} of {n}, {how}", answer))
        except Unclear as fault:
            found.append(Unclear(fault.field, f"rewrite {i} of {n}: {fault.message}"))
    return found


def right_now(record: dict, max_text: int) -> tuple[str, ...]:
    """The answer of a multi-hop question before any edit, with its other names."""
    return usable([record.get("answer"), record.get("answer_alias")], max_text)


def read_zsre(record: dict, max_text: int):
    """zsRE in MEND's form (arXiv 2110.11309): answers are washed; loc asks what must stay."""
    subject, question = text_of(record, ("subject",), max_text), text_of(record, ("src",), max_text)
    answers = texts_of(record, ("answers", "answer"), max_text)
    fact, how = prompt_fact(subject, f"{question} Answer:", answers[0], field="src")
    fact = replace(fact, objects=tuple(dict.fromkeys((*fact.objects, *answers))))
    said = each_usable(record.get("rephrase"), max_text)
    fact, how = with_paraphrases(fact, how, [t and template_from(f"{t} Answer:", subject) for t in said])
    around, right = each_usable(record.get("loc"), max_text), usable(record.get("loc_ans"), max_text)
    asked = [t and f"{t.removeprefix(NQ).removesuffix('?')}? Answer:" for t in around]
    around = [Question(t, right) if t and right else None for t in asked]
    return *with_questions(fact, f"zsRE, {how}", around), answers[0]


def read_request(record: dict, max_text: int):
    """A MEMIT request (arXiv 2210.07229), or CounterFact with its fields side by side.

    What is true is washed where it is told, else target_new.
    """
    field = "target_true" if present(record, "target_true") else "target_new"
    subject, prompt = text_of(record, ("subject",), max_text), text_of(record, ("prompt",), max_text)
    answers = texts_of(record, (field,), max_text)
    name = text_of(record, ("relation_id",), max_text) if present(record, "relation_id") else ""
    fact, how = prompt_fact(subject, prompt, answers[0], name)
    true = answers[0] if field == "target_true" else None
    fact, how = with_prompts(fact, how, record, (record,), true, max_text)
    kind = "MEMIT request" if isinstance(record["target_new"], dict) else "CounterFact in columns"
    return fact, f"{kind}, washed: {field}, {how}{left_out(record)}", answers[0]


def read_edit(record: dict, max_text: int):
    """EasyEdit (arXiv 2308.07269) and KnowEdit (arXiv 2401.01286): what is true is washed where it is told.

    That is ground_truth, or target_true. Else target_new (or labels) is washed; then, and only then,
    portability asks for what follows from the washed fact.
    """
    knowedit = any(n in record for n in ("concept", "labels", "portability", "locality"))
    values = {**record, "ground_truth": told_true(record)}
    true = next((n for n in ("ground_truth", "target_true") if present(values, n)), None)
    field = true or ("target_new" if present(record, "target_new") or "labels" not in record else "labels")
    answers = texts_of(values, (field,), max_text)
    prompt = text_of(record, ("prompt", "text"), max_text)
    fact, how = edit_fact(record, prompt, answers, max_text)
    names = ("rephrase_prompt", "rephrase", "paraphrase_prompts")
    said = [t for n in names for t in each_usable(record.get(n), max_text)]
    fact, how = with_paraphrases(fact, how, [t and rephrased(t, fact) for t in said])
    around = list(questions_in(record.get("locality"), max_text))
    pair = {"prompt": record.get("locality_prompt"), "ground_truth": record.get("locality_ground_truth")}
    around += questions_in(pair, max_text)
    near = each_usable(record.get("neighborhood_prompts"), max_text)
    around += [Question(p, answers[:1]) if p and true else None for p in near]
    follows = list(questions_in(record.get("portability"), max_text))
    fact, how = with_questions(fact, how, around, () if true else follows)
    if true and follows:
        how += ", portability left out (it asks about the new fact)"
    how += left_out(record)
    name = "KnowEdit" if knowedit else "CounterFact in columns" if true == "target_true" else "EasyEdit"
    return fact, f"{name}, washed: {field}, {how}", answers[0]


def left_out(record: dict) -> str:
    """What to say of answers beside the one that is washed."""
    extra = [repr(n) for n in EXTRA if present(record, n)]
    return f", without its {' and '.join(extra)}" if extra else ""


def edit_fact(record: dict, prompt: str, answers: tuple[str, ...], max_text: int) -> tuple[Fact, str]:
    """The fact that a prompt asks, by its subject if the record names one that stands in it once."""
    if not (present(record, "subject") or present(record, "concept")):
        if "{}" in prompt:
            raise Unclear("subject", "the field 'prompt' has {} in it, but the record has no subject")
        others = usable([record.get("rephrase_prompt"), record.get("rephrase")], max_text)
        return question_fact(prompt, answers, prompt.endswith("?"), others)
    subject = text_of(record, ("subject", "concept"), max_text)
    asked = as_asked(prompt)
    if template_from(asked, subject):
        fact, how = prompt_fact(subject, asked, answers[0])
        return replace(fact, objects=tuple(dict.fromkeys((*fact.objects, *answers)))), how
    if "{}" in prompt:
        raise Unclear("prompt", "the field 'prompt' needs {} exactly once")
    fact = Fact(prompt, "prompt", answers, (as_whole(prompt),))
    return (
        fact,
        "the subject does not stand in the prompt once: the prompt's last token stands for the subject's",
    )


def as_whole(prompt: str) -> str:
    """The template that asks the prompt when all of it is put in."""
    return f"Q: {WHOLE} A:" if prompt.endswith("?") else WHOLE


def rephrased(text: str, fact: Fact) -> str:
    """A rephrasing as it is asked: with {} for the subject where that stands in it once."""
    asked = as_asked(text)
    return template_from(asked, fact.subject) or asked


def with_questions(fact: Fact, how: str, around: list, follows: list | tuple = ()) -> tuple[Fact, str]:
    """The fact with these neighbours, too, and with questions whose answers follow from it.

    None stands for one that cannot be used.
    """
    kept, after = (tuple(dict.fromkeys(filter(None, some))) for some in (around, follows))
    if around:
        how += f", {counted(kept, around, 'neighbour')}"
    if follows:
        how += f", {counted(after, follows, 'question', ' of what follows from it')}"
    return replace(fact, neighbours=fact.neighbours + kept, portability=fact.portability + after), how
