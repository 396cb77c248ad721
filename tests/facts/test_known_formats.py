"""The formats of the field, each by a record in its own shape: what is washed, and what becomes a probe."""

import csv
import io
import json
import re
from pathlib import Path

import pytest
from seed_records import SEEDS

from unlearning.facts.fact import Question
from unlearning.facts.read import read_text
from unlearning.facts.records import RECORDS
from unlearning.facts.rewrite import rewrite
from unlearning.facts.triples import Unclear
from unlearning.facts.world import world
from unlearning.tasks.forms import FORMS
from unlearning.tasks.known import KNOWN
from unlearning.tasks.read import reading

README = Path(__file__).resolve().parents[2] / "README.md"


def as_table(records, mark):
    """Records as a table, their lists and objects written as JSON."""
    names = list(dict.fromkeys(n for r in records for n in r))
    out = io.StringIO()
    rows = csv.writer(out, delimiter=mark)
    rows.writerow(names)
    for r in records:
        cells = [r.get(n, "") for n in names]
        rows.writerow([json.dumps(c) if isinstance(c, (list, dict)) else c for c in cells])
    return out.getvalue()


def as_python(records):
    """A CSV with lists and objects as Python prints them, as pandas writes them."""
    return as_table(
        [{n: repr(v) if isinstance(v, (list, dict)) else v for n, v in r.items()} for r in records], ","
    )


WRITTEN = {
    "json": json.dumps,
    "indented": lambda records: json.dumps(records, indent=2, ensure_ascii=False),
    "bom": lambda records: "\ufeff" + json.dumps(records),
    "jsonl": lambda records: "\r\n".join(map(json.dumps, records)),
    "objects": lambda records: "\n".join(json.dumps(r, indent=1) for r in records),
    "wrapped": lambda records: json.dumps({"version": 2, "data": records}),
    "csv": lambda records: as_table(records, ","),
    "semicolon": lambda records: as_table(records, ";"),
    "tsv": lambda records: as_table(records, "\t"),
    "pandas": as_python,
}


@pytest.mark.parametrize("how", WRITTEN)
@pytest.mark.parametrize("name", SEEDS)
def test_a_format_reads_the_same_however_it_is_written(name, how):
    def said(text):
        reading = read_text(text)
        return [(r.fact, r.how) for r in reading.facts], [(p.field, p.message) for p in reading.problems]

    assert said(WRITTEN[how](SEEDS[name])) == said(json.dumps(SEEDS[name]))


def read(name):
    reading = read_text(json.dumps(SEEDS[name]))
    assert reading.problems == ()
    return [r.fact for r in reading.facts], [r.how for r in reading.facts]


def test_mquake_holds_a_fact_for_each_rewrite_and_its_hops_follow_from_them():
    (one, two), how = read("MQuAKE-CF")
    assert (one.subject, one.relation, one.objects) == ("Fatah", "P740", ("Gaza City",))
    assert (two.subject, two.prompts, two.objects) == (
        "Yasser Arafat",
        ("{} is a citizen of",),
        ("Palestine",),
    )
    hop = Question("Q: In which city was the party of Yasser Arafat founded? A:", ("Gaza City", "Gaza"))
    assert one.portability == two.portability == (hop,)
    assert how[1].startswith("MQuAKE, rewrite 2 of 2")


def test_one_bad_rewrite_of_a_record_leaves_the_other():
    record = json.loads(json.dumps(SEEDS["MQuAKE-CF"][0]))
    del record["requested_rewrite"][0]["target_true"]
    reading = read_text(json.dumps([record]))
    assert [r.fact.subject for r in reading.facts] == ["Yasser Arafat"]
    (problem,) = reading.problems
    assert (problem.row, problem.field) == (1, "target_true.str") and problem.message.startswith(
        "rewrite 1 of 2: "
    )


def test_zsre_is_asked_for_its_answer_and_its_other_question_must_stay():
    (fact,), (how,) = read("zsRE")
    assert fact.prompt() == "What university did Watts Humphrey attend? Answer:"
    assert fact.objects == ("Illinois Institute of Technology", "IIT")
    assert fact.paraphrases == ("What university did {} take part in? Answer:",)
    around = "who played desmond doss father in hacksaw ridge? Answer:"
    assert fact.neighbours == (Question(around, ("Hugo Weaving",)),)
    assert how == "zsRE, prompt with the subject in it, 1 of 1 paraphrases, 1 neighbour"


def test_counterfacts_neighbours_keep_what_was_true():
    (fact,), _ = read("CounterFact")
    assert fact.neighbours == (
        Question("The mother tongue of Léon Blum is", ("French",)),
        Question("The native language of Montesquieu is", ("French",)),
    )
    assert fact.paraphrases == ("It rained. {}, a native",)
    (fact,), (how,) = read("LAW wiki facts")
    assert fact.object == "Ruritania" and how.startswith("LAW wiki facts") and fact.neighbours == ()


def asking_france(how):
    """A bundled fact, with a paraphrase of one's own, as formats bring it; the template it becomes."""
    rewrite = {"prompt": "The capital of {} is", "subject": "France", "target_true": {"str": "Paris"}}
    question = "What is the capital of France?"
    records = {
        "CounterFact": {
            "requested_rewrite": rewrite,
            "paraphrase_prompts": ["It rained. The seat of France is"],
        },
        "zsRE": {
            "subject": "France",
            "src": question,
            "answers": ["Paris"],
            "rephrase": "Which city rules France?",
        },
        "EasyEdit": {
            "prompt": question,
            "ground_truth": "Paris",
            "rephrase_prompt": "Which city rules France?",
        },
        "TOFU": {"question": question, "answer": "Paris", "paraphrased_question": "Which city rules France?"},
    }
    mine = {"CounterFact": "It rained. The seat of {} is", "zsRE": "Which city rules {}? Answer:"}
    return records[how], mine.get(how, "Q: Which city rules {}? A:")


@pytest.mark.parametrize("how", ["CounterFact", "zsRE", "EasyEdit", "TOFU"])
def test_paraphrases_of_ones_own_are_asked_of_a_bundled_fact_too_before_its_own(how):
    record, mine = asking_france(how)
    (found,) = read_text(json.dumps([record])).facts
    (bundled,) = (f for f in world() if (f.subject, f.relation) == ("France", "capital"))
    assert found.fact.key == bundled.key or how == "zsRE"
    assert found.fact.paraphrases[0] == mine and "1 of 1 paraphrases" in found.how
    if found.fact.key == bundled.key:
        assert found.fact.paraphrases == (mine, *bundled.paraphrases)
        assert found.fact.prompts[-len(bundled.prompts) :] == bundled.prompts  # a wash asks as it did


def test_what_a_wash_may_ask_itself_and_what_is_said_twice_is_no_paraphrase():
    (bundled,) = (f for f in world() if (f.subject, f.relation) == ("France", "capital"))
    record, _ = asking_france("CounterFact")
    record["paraphrase_prompts"] = [
        t.replace("{}", "France") for t in (*bundled.prompts, *bundled.paraphrases)
    ]
    (found,) = read_text(json.dumps([record])).facts
    assert found.fact == bundled


def test_tofus_other_answers_are_for_its_truth_ratio():
    (fact, other), how = read("TOFU")
    assert fact.wrong == ("He is a baker.", "He is a poet.") and fact.reworded == "He is a civil engineer."
    assert how[0].endswith(", 2 wrong answers")
    assert other.wrong == () and other.reworded == "" and "wrong answers" not in how[1]


LONG = "so " * 1_000
RIVER = {"prompt": "The river is", "ground_truth": "Isar"}


@pytest.mark.parametrize(
    "name, field, value, said",
    [
        ("CounterFact", "neighborhood_prompts", ["The sky is", "The {} is", LONG, 3.0], "2 of 4 neighbours"),
        ("CounterFact", "neighborhood_prompts", [None, ""], "0 of 2 neighbours"),
        ("CounterFact", "paraphrase_prompts", ["She is"], "0 of 1 paraphrases"),
        ("CounterFact", "paraphrase_prompts", [None, LONG, "Danielle Darrieux speaks"], "1 of 3 paraphrases"),
        ("CounterFact", "paraphrase_prompts", "Danielle Darrieux speaks", "1 of 1 paraphrases"),
        ("zsRE", "rephrase", "Which university was it?", "0 of 1 paraphrases"),
        ("zsRE", "rephrase", LONG, "0 of 1 paraphrases"),
        ("zsRE", "loc_ans", "", "0 of 1 neighbours"),
        ("EasyEdit", "locality_ground_truth", "", "0 of 1 neighbours"),
        ("EasyEdit", "locality_prompt", ["a", "b", "c"], "0 of 3 neighbours"),
        ("EasyEdit", "locality", {"x": [RIVER, RIVER | {"prompt": "{}"}]}, "2 of 3 neighbours"),
        ("EasyEdit", "locality", "The river", "1 of 2 neighbours"),
        ("EasyEdit", "locality", {"x": [{"question": "a?", "answer": "b"}]}, "1 of 2 neighbours"),
        ("EasyEdit", "locality", {"x": []}, "1 neighbour"),
        ("EasyEdit", "rephrase_prompt", LONG, "0 of 1 paraphrases"),
        (
            "KnowEdit",
            "portability",
            {"x": [RIVER, {"prompt": "a"}]},
            "1 of 2 questions of what follows from it",
        ),
        ("MQuAKE-CF", "questions", ["a?", "{}"], "1 of 2 questions of what follows from it"),
        ("MQuAKE-CF", "answer", None, "1 question of what follows from it"),
        ("TOFU", "perturbed_answer", ["a", LONG], "1 of 2 wrong answers"),
        ("TOFU", "paraphrased_question", LONG, "0 of 1 paraphrases"),
    ],
)
def test_what_cannot_be_a_probe_is_counted(name, field, value, said):
    record = SEEDS[name][0] | {field: value}
    found = read_text(json.dumps([record])).facts[0]
    assert said in found.how.split(", "), found.how


def test_a_request_is_washed_of_what_is_true_where_it_tells():
    (fact, other), (how, also) = read("MEMIT request")
    assert fact.object == "football" and "washed: target_new" in how
    assert other.object == "tennis" and "washed: target_true" in also


ASKS = {
    "paraphrase_prompts": ["It rained. Ada Holm does", "no name"],
    "neighborhood_prompts": ["Ben plays the sport of"],
}


def test_a_request_brings_paraphrases_and_where_what_is_true_is_told_neighbours():
    told = SEEDS["MEMIT request"][0] | ASKS
    (new,) = read_text(json.dumps([told])).facts
    assert new.fact.paraphrases == ("It rained. {} does",) and new.fact.neighbours == ()
    assert new.how.endswith("1 of 2 paraphrases, 0 of 1 neighbours")
    for true in ({"str": "tennis"}, "tennis"):
        (found,) = read_text(json.dumps([told | {"target_true": true}])).facts
        assert found.fact.paraphrases == new.fact.paraphrases
        assert found.fact.neighbours == (Question("Ben plays the sport of", ("tennis",)),)
    (found,) = read_text(json.dumps([told | {"target_new": "football", "ground_truth": "tennis"}])).facts
    assert found.fact.paraphrases[0] == "It rained. {} does"
    assert found.fact.neighbours == (Question("Ben plays the sport of", ("tennis",)),)


NEAR = "Hamas was founded in the city of"


def test_a_rewrites_own_question_and_prompts_are_its_probes():
    record = json.loads(json.dumps(SEEDS["MQuAKE-CF"][0]))
    one, two = record["requested_rewrite"]
    one |= {
        "question": "Where was Fatah founded?",
        "neighborhood_prompts": [NEAR],
    }
    two |= {"question": "What is his country?", "paraphrase_prompts": ["Yasser Arafat holds a passport of"]}
    first, second = read_text(json.dumps([record])).facts
    assert first.fact.paraphrases == ("Q: Where was {} founded? A:",)
    assert first.fact.neighbours == (Question(NEAR, ("Gaza City",)),)
    assert second.fact.paraphrases == ("{} holds a passport of",)
    assert "1 of 2 paraphrases" in second.how and "without" not in second.how
    assert len(first.fact.portability) == len(second.fact.portability) == 1


def test_prompts_beside_several_rewrites_are_not_taken_for_one_of_them():
    record = SEEDS["MQuAKE-CF"][0] | {"neighborhood_prompts": [NEAR]}
    for found in read_text(json.dumps([record])).facts:
        assert found.fact.neighbours == () and "without 'neighborhood_prompts'" in found.how
    record["requested_rewrite"] = record["requested_rewrite"][:1]
    (found,) = read_text(json.dumps([record])).facts
    assert found.fact.neighbours == (Question(NEAR, ("Gaza City",)),)
    assert "without" not in found.how


def test_a_fact_told_again_brings_its_other_probes_to_the_first():
    first = SEEDS["MQuAKE-CF"][0]
    second = first | {"case_id": 2, "questions": ["Who lives there?"], "answer": "Omar"}
    found = read_text(json.dumps([first, second]))
    assert [r.row for r in found.facts] == [1, 1] and [p.row for p in found.problems] == [2, 2]
    other = Question("Q: Who lives there? A:", ("Omar", "Gaza"))
    assert all(r.fact.portability[1:] == (other,) for r in found.facts)
    said = "the same fact as row 1: washed once, with 1 more probe from this row"
    assert {p.message for p in found.problems} == {said}
    second["requested_rewrite"] = [r | {"target_true": {"str": "x"}} for r in first["requested_rewrite"]]
    found = read_text(json.dumps([first, second]))
    assert all(len(r.fact.portability) == 1 for r in found.facts) and "not kept" in found.problems[0].message


FLAT = {
    "subject": "Danielle Darrieux",
    "prompt": "The mother tongue of {} is",
    "target_new": "English",
    "target_true": "French",
}


@pytest.mark.parametrize("how", WRITTEN)
@pytest.mark.parametrize("gone", ["", "subject"])
def test_counterfact_in_columns_is_washed_of_what_is_true_and_never_of_what_is_not(how, gone):
    record = FLAT | ({"prompt": "The mother tongue of Danielle Darrieux is"} if gone else {})
    record.pop(gone, None)
    (found,) = read_text(WRITTEN[how]([record])).facts
    assert found.fact.objects == ("French",)
    assert found.fact.prompt() == "The mother tongue of Danielle Darrieux is"
    assert found.how.startswith("CounterFact in columns, washed: target_true")
    (question,) = reading(WRITTEN[how]([record])).samples
    assert question.sample.answers == ("French",)


@pytest.mark.parametrize("gone", ["", "subject"])
def test_another_answer_beside_what_is_true_is_not_washed_but_named(gone):
    record = FLAT | {"prompt": "The mother tongue of Danielle Darrieux is", "answer": "Dutch"}
    record.pop(gone, None)
    (found,) = read_text(json.dumps([record])).facts
    assert found.fact.objects == ("French",) and found.how.endswith("without its 'answer'")


def test_counterfact_in_columns_without_what_is_true_says_what_is_washed_of_it():
    (found,) = read_text(as_table([FLAT | {"target_true": ""}], ",")).facts
    assert found.fact.object == "English" and "washed: target_new" in found.how
    (problem,) = read_text(json.dumps([FLAT | {"target_true": {"str": None}}])).problems
    assert problem.field == "target_true"
    (found,) = read_text(json.dumps([FLAT | {"target_new": {"str": "a"}, "ground_truth": "b"}])).facts
    assert found.fact.object == "b"


def test_easyedit_is_washed_of_its_ground_truth():
    (fact,), (how,) = read("EasyEdit")
    assert (fact.subject, fact.object) == ("Watts Humphrey", "Illinois Institute of Technology")
    assert "washed: ground_truth" in how and "shared with the rephrasing" in how
    assert fact.paraphrases == ("Q: What university did {} take part in? A:",)
    assert [q.objects for q in fact.neighbours] == [("Hugo Weaving",)]
    (fact,), _ = read("EasyEdit with subject")
    assert (fact.subject, fact.object, fact.prompts) == ("Ray Charles", "piano", ("{}, the",))
    assert fact.neighbours == (Question("Elton John plays the", ("piano",)),)


@pytest.mark.parametrize("name", ["EasyEdit", "EasyEdit with subject"])
@pytest.mark.parametrize("field", ["answer", "target", "object"])
def test_an_answer_beside_easyedits_ground_truth_is_not_washed(name, field):
    record = SEEDS[name][0] | {field: "something else"}
    (found,), (as_it_was,) = read_text(json.dumps([record])).facts, read(name)[0]
    assert found.fact == as_it_was and f"without its '{field}'" in found.how
    record["ground_truth"] = "<|endoftext|>"
    (found,) = read_text(json.dumps([record])).facts + read_text(json.dumps([record])).problems
    assert "washed: target_new" not in str(found)


def test_knowedit_brings_localities_and_what_follows_from_the_washed_fact():
    (recent, known), how = read("KnowEdit")
    assert (recent.subject, recent.object) == ("Leo Arons", "Berlin") and "washed: target_new" in how[0]
    assert [q.objects for q in recent.portability] == [("no",), ("Berlin", "Berlin, Germany")]
    assert [q.objects for q in recent.neighbours] == [("Albert Arons",)]
    assert known.object == "Paris" and known.portability == ()
    assert "washed: ground_truth" in how[1] and "portability left out" in how[1]
    (passage,), (how,) = read("KnowEdit WikiBio")
    assert passage.object == "He was born in Romsey." and "washed: labels" in how
    assert passage.subject.startswith("This is") and "the prompt's last token stands for the subject's" in how


def test_tofu_finds_the_name_that_question_and_answer_share_or_takes_the_whole_question():
    (fact, whole), how = read("TOFU")
    assert fact.subject == "Hsiao Yung-Hwa" and "longest name shared with the answer" in how[0]
    assert fact.object == "The father of Hsiao Yung-Hwa is a civil engineer"
    assert fact.paraphrases == ("Q: What does {}'s father do? A:",)
    assert (whole.subject, whole.prompts) == ("Where does it rain?", ("Q: {} A:",))
    assert "its last token stands for the subject's" in how[1]
    assert whole.paraphrases == ("Q: In what place does it rain? A:",)


def test_a_question_about_a_bundled_fact_is_that_fact():
    facts, _ = read("chat")
    assert facts == [f for f in world() if (f.subject, f.relation) == ("France", "capital")]


def turns(*said):
    """A chat of user and assistant by turns; a tuple names another role."""
    roles = ("user", "assistant")
    given = [s if isinstance(s, tuple) else (roles[i % 2], s) for i, s in enumerate(said)]
    return json.dumps([{"messages": [{"role": role, "content": content} for role, content in given]}])


SPAIN, JAPAN = "What is the capital of Spain?", "What is the capital of Japan?"


@pytest.mark.parametrize(
    "said, pairs, faults",
    [
        ((SPAIN, "Madrid", JAPAN), [(SPAIN, "Madrid")], ["turn 3"]),
        ((SPAIN, "Madrid", JAPAN, "Tokyo"), [(SPAIN, "Madrid"), (JAPAN, "Tokyo")], []),
        ((SPAIN, ("user", JAPAN), ("assistant", "Tokyo")), [(JAPAN, "Tokyo")], ["turn 1"]),
        (
            (("assistant", "Hello!"), ("user", SPAIN), ("assistant", "Madrid")),
            [(SPAIN, "Madrid")],
            ["turn 1"],
        ),
        ((SPAIN, ("tool", "x"), ("assistant", "Madrid")), [], ["turn 1", "turn 3"]),
        ((SPAIN, "", JAPAN, "Tokyo"), [(JAPAN, "Tokyo")], ["turn 2"]),
        ((SPAIN,), [], ["turn 1"]),
        (([{"type": "text", "text": SPAIN}], "Madrid"), [(SPAIN, "Madrid")], []),
        (([{"type": "image_url"}, {"type": "text", "text": SPAIN}], "Madrid"), [], ["turn 1.*image_url"]),
        ((SPAIN, 3), [], ["turn 2"]),
    ],
)
def test_an_answer_in_a_chat_belongs_to_the_question_right_before_it(said, pairs, faults):
    found, task = read_text(turns(*said)), reading(turns(*said))
    assert [(r.fact.subject, r.fact.object) for r in found.facts] == [(q[23:-1], a) for q, a in pairs]
    assert [(s.sample.prompt, s.sample.answer) for s in task.samples] == pairs
    for problems in (found.problems, task.problems):
        assert [p.field for p in problems] == ["messages"] * len(faults)
        assert all(re.search(f, p.message) for f, p in zip(faults, problems, strict=True))


def test_what_is_not_read_of_a_chat_is_said():
    chat = turns(
        ("system", "Be kind."), ("user", SPAIN), ("assistant", "Madrid"), ("user", JAPAN), ("assistant", "x")
    )
    said = "chat, question 2 of 2 by itself, without its turns of 'system'"
    assert read_text(chat).facts[1].how.startswith(said) and reading(chat).samples[1].how == said


def test_muse_passages_go_on_from_their_last_token():
    (fact,), (how,) = read("MUSE verbmem")
    assert fact.prompt() == "It was a dark night and" and fact.object == "the rain fell in torrents"
    assert fact.prompts == ("{}",) and "last token" in how
    (question,), _ = read("MUSE knowmem")
    assert (question.prompt(), question.object) == ("Q: Which group won the league? A:", "The Reds")


def test_multiple_choice_is_no_fact_and_each_row_says_where_it_can_be_used():
    reading = read_text(json.dumps(SEEDS["WMDP"]))
    assert reading.facts == () and [p.row for p in reading.problems] == [1, 2]
    said = "not a fact to wash or probe: learn or forget it as a task (learn --task or --forget)"
    assert all(p.field == "choices" and p.message.endswith(said) for p in reading.problems)


@pytest.mark.parametrize("name", SEEDS)
def test_every_format_that_can_be_washed_or_asked_makes_a_question_of_each_of_its_facts(name):
    found = reading(json.dumps(SEEDS[name]))
    facts = read_text(json.dumps(SEEDS[name])).facts  # of multiple choice: none
    assert found.problems == () and len(found.samples) == max(len(facts), len(SEEDS[name]))


@pytest.mark.parametrize(
    "name, field, gone",
    [
        ("MQuAKE-CF", "requested_rewrite", "requested_rewrite"),
        ("zsRE", "answers", "answers"),
        ("zsRE", "subject", "subject"),
        ("MEMIT request", "subject", "subject"),
        ("EasyEdit", "prompt", "prompt"),
        ("KnowEdit", "target_new", "target_new"),
        ("TOFU", "answer", "answer"),
        ("chat", "messages", "messages"),
        ("MUSE verbmem", "gt", "gt"),
    ],
)
def test_an_empty_field_is_named_with_its_row(name, field, gone):
    records = json.loads(json.dumps(SEEDS[name]))
    records[0][field] = [] if isinstance(records[0][field], list) else ""
    problem = read_text(json.dumps(records)).problems[0]
    assert problem.row == 1 and gone in (problem.field, *problem.message.split("'"))


@pytest.mark.parametrize("name", sorted(SEEDS.keys() - {"CounterFact", "LAW wiki facts", "fields"}))
def test_a_row_that_cannot_be_changed_on_the_page_says_so(name):
    with pytest.raises(Unclear, match=r"row of this kind \(.+\) cannot be changed here"):
        rewrite(json.dumps(SEEDS[name]), 1, "France", "capital", "Paris")


def test_columns_are_mapped_and_a_dot_goes_into_an_object():
    rows = [{"who": "Ruritania", "asks": "{} is ruled by", "says": {"text": ["Rudolf", "Rudolf V"]}}]
    columns = {"subject": "who", "prompt": "asks", "ground_truth": "says.text"}
    (found,) = read_text(json.dumps(rows), columns=columns).facts
    assert (found.fact.subject, found.fact.objects) == ("Ruritania", ("Rudolf", "Rudolf V"))
    table = "who,asks,says\nRuritania,{} is ruled by,Rudolf\n"
    columns["object"] = columns.pop("ground_truth").split(".")[0]
    assert read_text(table, columns=columns).facts[0].fact.object == "Rudolf"
    (problem,) = read_text(json.dumps(rows), columns={"subject": "who", "object": "nothing"}).problems
    assert problem.field == "object"


def test_a_passage_may_be_longer_than_any_other_field():
    long = "word " * 3_000
    (found,) = read_text(json.dumps([{"prompt": long, "gt": "the end"}])).facts
    assert found.fact.subject == long.strip()
    assert "at most 20,000" in read_text(json.dumps([{"prompt": long * 2, "gt": "x"}])).problems[0].message
    assert "at most 2,000" in read_text(json.dumps([{"question": long, "answer": "x"}])).problems[0].message


def test_the_readme_names_every_kind_of_record_every_form_of_a_task_and_every_known_set():
    text = README.read_text(encoding="utf-8")
    tables = [
        line.lower() for line in text.split("## Files that are read")[1].splitlines() if line[:1] == "|"
    ]
    names = {name for kind in RECORDS for name in kind.name.split(" or ")} | {f.name for f in FORMS}
    for name in names:
        said = name.partition("(")[2].strip(")") or name
        assert any(said.lower() in line for line in tables), said
    assert all(f"`{name}`" in text or f"--task {name}`" in text for name in KNOWN)
