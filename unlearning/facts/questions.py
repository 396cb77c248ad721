"""Questions with answers, with or without a subject: TOFU, MUSE, chats, instructions, and multiple choice.

Where a record names no subject, one is looked for in the question: a phrasing or a subject of the bundled
world, else the longest name that the question shares with its answer. Where there is none, the whole
question stands for it: the subject's last token, where a wash may look facts up, is then the question's.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from .completed import NO_NAMES, names_in
from .fact import Fact
from .sentences import bare, by_phrasing, by_question, mentioned
from .triples import Unclear, bundled_fact, occurrences, prompt_fact, template_from
from .values import each_usable, first_of, present, text_of, texts_of, usable

QUESTION, ANSWER = ("question", "prompt", "instruction"), ("answer", "output", "completion")
CHOICES = ("choices", "options", "opa")  # of WMDP, QASC and ARC; of others; of MedMCQA
BEGINNINGS = NO_NAMES | set("did does do has have had can could will would name tell give please".split())
MAX_WORDS = 8  # of a name that is looked for in an answer
MAX_PASSAGE = 20_000  # characters of a passage and of how it goes on, whatever the limit of other fields
WHOLE = "{}"
NO_FACT = "not a fact to wash or probe: learn or forget it as a task (learn --task or --forget)"


def read_choices(record: dict, max_text: int):
    """A multiple-choice question (WMDP and its like) states no fact; it is one of a task (`tasks/`)."""
    field = next(n for n in CHOICES if n in record)
    raise Unclear(field, f"the field {field!r} makes it a multiple-choice question, {NO_FACT}")


def read_chat(record: dict, max_text: int) -> list:
    """Every question of a chat with its answer, each a fact or, where it cannot be read, Unclear."""
    found = []
    for turn in answered_turns(record["messages"]):
        try:
            if isinstance(turn, Unclear):
                raise turn
            fact, how, given = read_question({"question": turn.question, "answer": turn.answer}, max_text)
            found.append((fact, f"{turn.how}, {how}", given))
        except Unclear as fault:
            if fault is not turn:
                fault = Unclear("messages", f"the field 'messages', turn {turn.number}: {fault.message}")
            found.append(fault)
    return found


@dataclass(frozen=True)
class Turn:
    """A question of a chat and its answer, which is the turn of that number, from 1; and how it was read."""

    number: int
    question: str
    answer: str
    how: str


def answered_turns(messages) -> list[Turn | Unclear]:
    """Each assistant turn of a chat with the user turn right before it; Unclear for one without the other.

    Other roles' turns are not read, which `how` says. Raises Unclear for what is no chat.
    """
    if not isinstance(messages, list) or not messages:
        raise Unclear("messages", "the field 'messages' is empty, or not a list of turns")
    roles = [m.get("role") if isinstance(m, dict) else None for m in messages]
    asked = [i for i, pair in enumerate(zip(roles, roles[1:])) if pair == ("user", "assistant")]
    others = sorted({r for r in roles if isinstance(r, str)} - {"user", "assistant"})
    more = f", without its turns of {' and '.join(map(repr, others))}" if others else ""
    found = []
    for i, role in enumerate(roles):
        where = f"turn {i + 1} of the field 'messages'"
        if i in asked:
            n = f", question {asked.index(i) + 1} of {len(asked)} by itself" if len(asked) > 1 else ""
            try:
                question, answer = (said_in(messages[k].get("content"), k + 1) for k in (i, i + 1))
                found.append(Turn(i + 2, question, answer, f"chat{n}{more}"))
            except Unclear as fault:
                found.append(fault)
        elif not isinstance(role, str):
            found.append(Unclear("messages", f"{where} names no role"))
        elif role == "user":
            found.append(Unclear("messages", f"{where}, the user's, is not answered by the turn after it"))
        elif role == "assistant" and i - 1 not in asked:
            found.append(Unclear("messages", f"{where}, the assistant's, has no user's turn right before it"))
    return found or [Unclear("messages", "the field 'messages' has no turn of a user")]


def said_in(content, turn: int) -> str:
    """The text of a chat's turn: itself, or its parts of the type "text". Raises Unclear."""
    where = f"turn {turn} of the field 'messages'"
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
    if not isinstance(parts, list):
        raise Unclear("messages", f"{where} has no content that is text")
    texts = []
    for part in parts:
        text = part.get("text") if isinstance(part, dict) and part.get("type") == "text" else None
        if not isinstance(text, str):
            kind = part.get("type") if isinstance(part, dict) else None
            raise Unclear("messages", f"{where} has a part that is no text (type {str(kind):.40})")
        texts.append(text.strip())
    if not any(texts):
        raise Unclear("messages", f"{where} is empty")
    return "\n".join(filter(None, texts))


def read_question(record: dict, max_text: int):
    """A question (or prompt, or instruction with input) and its answer; what TOFU brings is only probed."""
    field = first_of(record, QUESTION)
    question = text_of(record, (field,), max_text)
    if "{}" in question:
        raise Unclear(field, f"the field {field!r} has {{}} in it, but the record has no subject")
    if present(record, "input"):
        question += " " + text_of(record, ("input",), max_text)
    answers = texts_of(record, ANSWER, max_text)
    fact, how = question_fact(question, answers, question.endswith("?") or field != "prompt")
    said = each_usable(record.get("paraphrased_question"), max_text)
    asked = [asked_as(template_from(t, fact.subject) or t, fact.prompts[0]) for t in said if t][:1]
    fact, how = with_paraphrases(fact, how, asked + [None] * (len(said) - len(asked)))
    if given := each_usable(record.get("perturbed_answer"), max_text):
        reworded = usable(record.get("paraphrased_answer"), max_text)[:1]
        fact = replace(fact, wrong=tuple(dict.fromkeys(filter(None, given))), reworded="".join(reworded))
        how += f", {counted(fact.wrong, given, 'wrong answer')}"
    return fact, how, fact.object


def read_passage(record: dict, max_text: int):
    """MUSE verbmem (arXiv 2407.06460): a passage, and the words that go on from it."""
    most = max(max_text, MAX_PASSAGE)
    passage, answer = text_of(record, ("prompt",), most), text_of(record, ("gt",), most)
    if "{}" in passage:
        raise Unclear("prompt", "the field 'prompt' has {} in it, but the record has no subject")
    fact = Fact(passage, "goes on with", (answer,), (WHOLE,))
    return fact, "passage (MUSE verbmem): its last token stands for the subject's", answer


def asked_as(question: str, template: str) -> str:
    """Another question as question and answer, if it or the first is one; else to be gone on with."""
    asks = question.endswith("?") or (template.startswith("Q: ") and template.endswith(" A:"))
    return f"Q: {question} A:" if asks else question


def question_fact(
    question: str, answers: tuple[str, ...], as_question: bool, rephrased: tuple[str, ...] = ()
) -> tuple[Fact, str]:
    """The fact that a question without a subject asks, and how that was read.

    `as_question`: it is asked as "Q: … A:", else gone on with as it is. `rephrased`: the same question in
    other words, in which a name is looked for when the answers hold none.
    """
    answers = tuple(dict.fromkeys(bare(a, article=False) or a for a in answers))
    asked = f"Q: {question} A:" if as_question else question
    match = by_phrasing([f"{asked} {answers[0]}"])
    if match and match[2] == answers[0]:
        relation, subject, answer = match
        fact, how = bundled_fact(relation, subject, answer), f"question, known phrasing of '{relation.name}'"
        return also(fact, answers), how
    match = by_question(question, answers[0]) if as_question else None
    if match:
        subject, template, answer = match
        fact = mentioned(template, subject, answer)
        if fact is not None:
            return fact, f"question, known subject and relation '{fact.relation}'"
        return also(Fact(subject, template, (answer,), (template,)), answers), "question, known subject"
    for where, texts in (("answer", answers), ("rephrasing", rephrased)):
        name = shared_name(question, texts)
        if name:
            template = template_from(question, name)
            fact, _ = prompt_fact(name, f"Q: {template} A:" if as_question else template, answers[0])
            return also(fact, answers), f"question, its subject is the longest name shared with the {where}"
    fact = Fact(question, "question", answers, (f"Q: {WHOLE} A:" if as_question else WHOLE,))
    return fact, "question without a subject: its last token stands for the subject's"


def with_paraphrases(fact: Fact, how: str, said: list[str | None]) -> tuple[Fact, str]:
    """The fact with these paraphrases before its own; None stands for one that cannot be used.

    One that the wash may ask itself is none.
    """
    templates = tuple(t for t in dict.fromkeys(said) if t and t not in fact.prompts)
    if templates:
        fact = replace(fact, paraphrases=tuple(dict.fromkeys((*templates, *fact.paraphrases))))
    return fact, how + (f", {len(templates)} of {len(said)} paraphrases" if said else "")


def counted(kept: Sequence, given: Sequence, what: str, rest: str = "") -> str:
    """How many of what was given are kept, in words: "2 neighbours", "1 of 3 neighbours"."""
    of = f"of {len(given)} " if len(kept) < len(given) else ""
    return f"{len(kept)} {of}{what}{'s' if of or len(kept) > 1 else ''}{rest}"


def also(fact: Fact, answers: tuple[str, ...]) -> Fact:
    """The fact with these accepted answers too."""
    return replace(fact, objects=tuple(dict.fromkeys((*fact.objects, *answers))))


def shared_name(question: str, others: tuple[str, ...]) -> str:
    """The longest name (words with capital letters) that stands once in the question, and in another text."""
    runs = [run.split() for run in names_in(question)]
    parts = [
        r[i:j] for r in runs for i in range(len(r)) for j in range(i + 1, min(len(r), i + MAX_WORDS) + 1)
    ]
    names = [" ".join(words) for words in parts if words[0].lower() not in BEGINNINGS]
    for name in sorted(names, key=len, reverse=True):
        if template_from(question, name) and any(occurrences(text, name) for text in others):
            return name
    return ""
