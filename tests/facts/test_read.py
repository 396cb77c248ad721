"""Reading what people bring: every format gives the same facts, and no row is lost."""

import csv
import io
import json
import random
import re
import time
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unlearning.facts.examples import examples
from unlearning.facts.fact import fill
from unlearning.facts.read import UnreadableFile, describe, read_file, read_text
from unlearning.facts.sentences import split_sentence
from unlearning.facts.world import world

WORLD = {(f.subject, f.relation): f for f in world()}
PARIS = WORLD["France", "capital"]
TRIPLES = [
    ("France", "capital", "Paris"),
    ("United States", "capital", "Washington, D.C."),  # a comma to quote
    ("oxygen", "atomic_number", "8"),
    ("Freedonia", "capital", "Fredonia"),  # a bundled relation of an unknown subject
    ("Ada's mill", "miller of the", "Grist"),  # free words
    ("Ruritania", "{} is ruled by", "Rudolf"),
    ("Zenda", "The castle of Zenda stands in", "Ruritania"),
]


def only(text, **more):
    """The one fact of a text that must hold just one."""
    reading = read_text(text, **more)
    assert reading.problems == () and len(reading.facts) == 1, reading
    return reading.facts[0].fact


def facts(text):
    reading = read_text(text)
    assert reading.problems == ()
    return [r.fact for r in reading.facts]


def table(mark, header):
    out = io.StringIO()
    csv.writer(out, delimiter=mark).writerows([header, *TRIPLES])
    return out.getvalue()


def objects(*names):
    return [dict(zip(names, t, strict=True)) for t in TRIPLES]


PLAIN = "\n".join(" | ".join(t) for t in TRIPLES)


@pytest.mark.parametrize(
    "name, text",
    [
        ("lines", "\n".join("\t".join(t) for t in TRIPLES)),
        ("lines", PLAIN.replace("\n", "\r\n\r\n# a comment\r\n")),
        ("csv", table(",", ("subject", "relation", "object"))),
        ("csv", table(",", ("Subject", " RELATION ", "Target"))),
        ("csv", table(";", ("subject", "relation", "answer"))),
        ("tsv", table("\t", ("subject", "relation", "object"))),
        ("json", json.dumps(objects("subject", "relation", "object"))),
        ("json", json.dumps(objects("Subject", "Relation", "Answer"), indent=1)),
        ("jsonl", "\n".join(map(json.dumps, objects("subject", "relation", "target")))),
        ("objects", "\r\n".join(json.dumps(x, indent=2) for x in objects("subject", "relation", "object"))),
    ],
)
def test_every_format_gives_the_facts_of_plain_lines(name, text):
    assert facts(text) == facts(PLAIN) and len(facts(PLAIN)) == len(TRIPLES)
    assert read_text(text).format == name
    assert read_text("\ufeff" + text) == read_text(text)


def test_objects_over_several_lines_are_numbered():
    good = json.dumps({"subject": "France", "relation": "capital", "object": "Paris"}, indent=1)
    faulty = json.dumps({"subject": "Spain", "relation": "capital"}, indent=1)
    reading = read_text(f"\n{good}\n\n{faulty}{good.replace('Paris', 'Lyon')}\n{{")
    assert [(r.row, r.fact.object) for r in reading.facts] == [(1, "Paris")]
    assert [(p.row, p.field) for p in reading.problems] == [(2, "object"), (3, "object"), (4, "")]
    assert "not valid JSON" in reading.problems[-1].message


SPAIN = {"subject": "Spain", "relation": "capital", "object": "Madrid"}


@pytest.mark.parametrize("field", ["data", "examples", "rows", "train", "questions"])
@pytest.mark.parametrize("indent", [None, 2])
def test_records_in_a_list_of_one_object_are_read(field, indent):
    authors = {"authors": [{"name": "x"}], "version": 3, "tags": ["a"]}
    reading = read_text(json.dumps({**authors, field: [SPAIN, 3, {"subject": "x"}]}, indent=indent))
    assert reading.format == "wrapped"
    assert [(r.row, r.fact) for r in reading.facts] == [(1, WORLD["Spain", "capital"])]
    assert [(p.row, p.field) for p in reading.problems] == [(2, ""), (3, "object")]


TWICE = {"Subject": "Rome", "relation": "capital", "object": "Madrid", "SUBJECT": "Bonn", "subject": "Spain"}


def test_of_two_fields_of_one_name_the_one_spelled_so_is_read_and_the_others_are_named():
    for written in ([TWICE], TWICE, {"data": [TWICE]}):
        (found,) = read_text(json.dumps(written, indent=1)).facts
        assert found.fact == WORLD["Spain", "capital"]
        said = "'Subject' not read beside 'subject', 'SUBJECT' not read beside 'subject'"
        assert found.how == f"fields, known relation 'capital', {said}"
    text = "subject,relation,object,Subject\nSpain,capital,Madrid,"
    (found,) = read_text(text + "Rome").facts
    assert found.how.endswith(", 'subject' not read the second time") and found.fact.subject == "Spain"
    assert "not read" not in read_text(text).facts[0].how + read_text(text + "Spain").facts[0].how


def test_of_two_lists_of_records_none_is_taken_and_both_are_named():
    (problem,) = read_text(json.dumps({"train": [SPAIN], "test": [SPAIN]})).problems
    assert (problem.row, problem.field) == (1, "train") and "'train' and 'test'" in problem.message


@pytest.mark.parametrize("more", [{"subject": "Rome"}, {"prompt": "x"}, {"text": "x"}])
def test_no_list_within_a_record_is_taken_for_records(more):
    asks = [{"prompt": "The colour of the house is", "ground_truth": "red"}]
    reading = read_text(json.dumps({"locality": asks, **more}))
    assert reading.facts == () and len(reading.problems) == 1


def test_a_fault_in_the_first_of_many_lines_of_json_is_its_own_alone():
    line = '{"subject": "France", "relation": "capital", "object": "Paris"}'
    reading = read_text(f"{line[:-1]}\n{line}")
    assert (reading.format, len(reading.facts), [p.row for p in reading.problems]) == ("jsonl", 1, [1])


LINE = '{"subject": "house %d", "relation": "colour", "object": "red %d"}'


@pytest.mark.parametrize(
    "first",
    ["garbage", "subject: house 0, colour red", '"subject": "house 0"}', "[", "{", "]", "# facts", LINE[1:]],
)
@pytest.mark.parametrize("comma", ["", ","])
def test_what_most_lines_are_tells_the_format_whatever_stands_in_the_first(first, comma):
    several = [json.dumps(json.loads(LINE % (i, i)), indent=2) for i in range(1, 30)]
    for name, written in (("jsonl", [LINE % (i, i) for i in range(1, 30)]), ("objects", several)):
        reading = read_text("\n".join([first, *(w + comma for w in written)]))
        assert reading.format == ("json" if first == "[" else name)
        assert [r.fact.subject for r in reading.facts] == [f"house {i}" for i in range(1, 30)]
        assert [p.row for p in reading.problems] in ([1], [30])
        assert first == "[" or reading.problems[0].raw == first


def test_some_json_in_a_list_of_sentences_or_in_a_table_leaves_it_what_it_is():
    quoted = '"The capital of France is Paris."\n"The capital of Spain is Madrid."\n'
    assert read_text(quoted).format == read_text(quoted + LINE % (1, 1)).format == "lines"
    cells = 'requested_rewrite\tnote\n{"prompt": "{} is", "subject": "a", "target_true": {"str": "b"}}\tx\n'
    assert read_text(cells).format == "tsv" and len(read_text(cells).facts) == 1


def test_a_prompt_column_reads_like_a_template_in_a_plain_line():
    text = 'subject,prompt,object\nRuritania,{} is ruled by,Rudolf\nFrance,The capital of France is,"Paris"\n'
    assert facts(text) == facts("Ruritania | {} is ruled by | Rudolf\nFrance | capital | Paris")


def test_a_file_reads_like_its_text_with_or_without_bom(tmp_path):
    for encoding in ("utf-8", "utf-8-sig"):
        path = tmp_path / "facts.txt"
        path.write_text(PLAIN + "\nMünchen | Fluss | Isar", encoding=encoding)
        assert read_file(path) == read_text(PLAIN + "\nMünchen | Fluss | Isar")


def test_counterfact_records_are_washed_of_what_is_true():
    record = {
        "case_id": 7,
        "requested_rewrite": {
            "prompt": "The mother tongue of {} is",
            "relation_id": "P103",
            "subject": "Danielle Darrieux",
            "target_new": {"str": "English", "id": "Q1860"},
            "target_true": {"str": "French", "id": "Q150"},
        },
        "paraphrase_prompts": [
            "It rained. Danielle Darrieux, a native",
            "She speaks",
            "Danielle Darrieux, Danielle Darrieux!",
        ],
    }
    fact = only(json.dumps([record]))
    assert (fact.subject, fact.relation, fact.objects) == ("Danielle Darrieux", "P103", ("French",))
    assert fact.prompts == ("The mother tongue of {} is",)
    assert fact.paraphrases == ("It rained. {}, a native",)
    record["requested_rewrite"] |= {"prompt": "The capital of {} is", "subject": "france"}
    record["requested_rewrite"]["target_true"] = {"str": "Paris"}
    assert only(json.dumps(record)) == PARIS
    del record["requested_rewrite"]["target_true"]
    (problem,) = read_text(json.dumps(record)).problems
    assert problem.field == "target_true.str" and "missing" in problem.message


@pytest.mark.parametrize(
    "relation",
    [
        "capital",
        "Capital",
        "the capital of",
        "CAPITAL_CITY",
        "The capital of {} is",
        "{}: The capital city is",
        "Q: What is the capital of {}? A:",
        "The capital of France is",
        "What is the capital of France?",
    ],
)
@pytest.mark.parametrize("subject", ["France", "FRANCE", "the france"])
def test_the_world_knows_its_facts_by_many_names(subject, relation):
    assert only(f"{subject} | {relation} | paris") == PARIS


def test_a_word_for_two_relations_means_the_one_its_subject_has():
    assert only("Germany | language | German") == WORLD["Germany", "language"]
    assert only("Don Quixote | language | Spanish") == WORLD["Don Quixote", "original_language"]
    assert only("Eiffel Tower | country | France") == WORLD["Eiffel Tower", "country"]
    assert only("Guernica | creator | Picasso") == WORLD["Guernica", "painter"]
    assert only("Orla Sorrelvane | e-mail | rapidfalcon8@letter.example").relation == "email"
    # A country has no "country": landmark phrasings would make nonsense of it.
    assert only("Apple | country | United States").prompts[0] == "{}'s country is"


def test_accepted_answers_keep_the_worlds_order_and_others_stand_alone():
    two = WORLD["Pierre Curie", "field"]
    assert len(two.objects) > 1
    assert only(f"Pierre Curie | field | {two.objects[1]}") == two
    assert only("Pierre Curie | field | cookery") == replace(two, objects=("cookery",))


def test_free_words_are_asked_subject_first_and_without_paraphrases():
    fact = only("Ada's mill | the miller of | Grist")
    assert (fact.relation, fact.paraphrases) == ("miller", ())
    assert [fact.prompt(i) for i in range(4)] == [
        "Ada's mill's miller is",
        "The miller of Ada's mill is",
        "Ada's mill: the miller is",
        "Q: What is the miller of Ada's mill? A:",
    ]


def test_every_way_to_state_a_bundled_fact_reads_back_to_that_fact():
    for fact in world():
        for template in fact.prompts + fact.paraphrases:
            sentence = f"{fill(template, fact.subject)} {fact.object}."
            assert split_sentence(sentence)[0] == fact, sentence


def test_a_stop_more_spaces_and_other_accepted_answers_change_nothing():
    ways = [(f, t, o) for f in world() for t in f.prompts + f.paraphrases for o in f.objects]
    for fact, template, answer in random.Random(11).sample(ways, 400):
        stated = f"{fill(template, fact.subject)} {answer}"
        for sentence in (stated + ".", stated, "  " + stated.replace(" ", "  ") + ". "):
            assert only(sentence) == fact, sentence


@pytest.mark.parametrize(
    "sentence, subject, prompt, answer",
    [
        ("The capital of Ruritania is Strelsau.", "Ruritania", "The capital of {} is", "Strelsau"),
        ("Hamlet was first performed in London.", "Hamlet", "{} was first performed in", "London"),
        ("The anthem of Germany is the Lied.", "Germany", "The anthem of {} is the", "Lied"),
        ("Q: What is the flower of Germany? A: Rose.", "Germany", "Q: What is the flower of {}? A:", "Rose"),
        ("France's capital city is Paris.", "France", "The capital of {} is", "Paris"),
        ("The currency of Japan is yen.", "Japan", "The currency of {} is the", "yen"),
    ],
)
def test_sentences_about_other_things_are_split_where_it_is_clear(sentence, subject, prompt, answer):
    fact = only(sentence)
    assert (fact.subject, fact.prompts[0], fact.object) == (subject, prompt, answer)


@pytest.mark.parametrize(
    "sentence",
    [
        "Nothing to see here.",
        "The house of France and the house of Germany are at peace.",  # two subjects before the object
        "Hamlet is the pride of the Bank of England.",  # where does the object begin?
        "The owner of the corner house is Mister Pim.",  # nothing known in it
    ],
)
def test_sentences_in_doubt_are_problems_unless_a_model_guesses(sentence):
    reading = read_text(sentence)
    assert reading.facts == ()
    assert reading.problems[0].message == (
        "could not be split into subject, relation and object: write it as subject | relation | object"
    )
    assert read_text(sentence, models_guess=lambda s: None) == reading
    fact = only(sentence, models_guess=lambda s: ("Pim", "{} lives in the", s))
    assert (fact.subject, fact.prompts, fact.object) == ("Pim", ("{} lives in the",), sentence)


def test_a_model_is_not_asked_for_what_is_known():
    def never(sentence):
        raise AssertionError(sentence)

    assert only("The capital of France is Paris.", models_guess=never) == PARIS


def test_a_fact_told_twice_is_washed_once():
    text = "# list\nFrance | capital | Paris\n\nThe capital of the France is paris."
    text += "\nPim | house | Elm\npim | House | ELM"
    reading = read_text(text)
    assert [r.row for r in reading.facts] == [2, 5]
    assert [(p.row, p.message) for p in reading.problems] == [
        (4, "the same fact as row 2: washed once"),
        (6, "the same fact as row 5: washed once"),
    ]


def test_a_comment_is_a_line_whose_first_word_is_a_mark_and_no_name_is_one():
    text = "# list\n#\n  ## France | capital | Lyon\n"
    text += "#1 Crush | singer | Garbage\n#MeToo\tfounder\tTarana Burke\n#no"
    reading = read_text(text)
    assert [(r.row, r.fact.subject) for r in reading.facts] == [(4, "#1 Crush"), (5, "#MeToo")]
    assert [p.row for p in reading.problems] == [6]


def test_a_contradiction_names_both_rows_and_keeps_the_first():
    reading = read_text("Kenya | capital | Nairobi\nFrance | capital | Paris\n\n\nFrance | capital | Lyon")
    assert [r.fact for r in reading.facts] == [WORLD["Kenya", "capital"], PARIS]
    (problem,) = reading.problems
    assert problem.row == 5 and problem.field == "object"
    assert "row 5 says Lyon where row 2 says Paris" in problem.message


@pytest.mark.parametrize(
    "text, row, field",
    [
        ("Kenya | capital | Nairobi\n\nFrance | | Paris", 3, "relation"),
        (" | capital | Paris", 1, "subject"),
        ("France\tcapital\t", 1, "object"),
        ("subject,relation,object\nKenya,capital,Nairobi\nFrance,capital", 3, "object"),
        ("subject,relation\nFrance,capital", 2, "object"),
        ("subject\tprompt\tanswer\n\tThe capital of {} is\tParis", 2, "subject"),
        ('[{"subject": "a", "relation": "b", "object": "c"}, {"subject": "France"}]', 2, "object"),
        ('{"subject": "France", "object": "Paris"}', 1, "relation"),
        ('{"subject": "France", "relation": ["capital"], "object": "Paris"}', 1, "relation"),
        ("France | {} or {} | Paris", 1, "relation"),
        ('{"subject": "France", "prompt": "Where is it?", "object": "Paris"}', 1, "prompt"),
        ("{} | capital | Paris", 1, "subject"),
    ],
)
def test_a_fault_names_its_row_and_field(text, row, field):
    (problem,) = read_text(text).problems
    assert (problem.row, problem.field) == (row, field)
    assert field in problem.message and str(problem).startswith(f"row {row}: ")


@pytest.mark.parametrize(
    "text, words",
    [
        ("a | b", "2 fields"),
        ("a | b | c | d", "4 fields"),
        ("subject,relation,object\nFrance,capital,Paris, the city", "4 fields where the header has 3"),
        ('subject,relation,object\nFrance,capital,"Paris', "quotes"),
        ('[{"subject": "France",\n "relation" "capital"}]', "not valid JSON"),
        ('{"subject": "France"\n', "not valid JSON"),
        ("[{}, 3]", "not a JSON object"),
        ("subject | relation | object", "names of the fields"),
    ],
)
def test_a_broken_row_says_what_is_wrong(text, words):
    reading = read_text(text)
    assert reading.facts == () and words in reading.problems[-1].message


def test_an_open_quote_costs_only_its_own_row():
    reading = read_text('subject,relation,object\nFrance,capital,"Paris\nKenya,capital,Nairobi\n')
    assert [r.fact for r in reading.facts] == [WORLD["Kenya", "capital"]]
    assert [p.row for p in reading.problems] == [2]


def test_a_cell_in_quotes_may_go_over_several_lines():
    text = (
        'subject,relation,object\r\nFrance,capital,"Paris\r\n\r\non the Seine"\r\nKenya,capital,Nairobi\r\n'
    )
    assert [(r.row, r.fact.object) for r in read_text(text).facts] == [
        (2, "Paris on the Seine"),
        (5, "Nairobi"),
    ]
    # Quotes that do not close, or close on too many cells, leave the other rows as they are.
    for open_quote in ('"Paris\nKenya,capital,Nairobi', '"Paris\nKenya",capital,Nairobi'):
        reading = read_text("subject,relation,object\nFrance,capital," + open_quote)
        assert [r.row for r in reading.facts] == [3] and [p.row for p in reading.problems] == [2]
    table = "subject,relation,object\n" + "\n".join(f'S{i},r,"O{i}' for i in range(9_999))
    assert len(read_text(table).problems) + 2 * len(read_text(table).facts) <= 9_999


CPU_SECONDS = 1.0  # of this thread, at best of three: how busy the machine is must not decide


@pytest.mark.parametrize(
    "text, kept, lost",
    [
        ("x" * 1_000_000, 0, 1),
        ("The capital of France is " + "is " * 333_000, 0, 1),
        ('[{"subject": "' + "x" * 1_000_000 + '"}]', 0, 1),
        ("subject,relation,object\n" + '"' * 1_000_000, 0, 1),
        ('[{"a":' + "[" * 1_000_000, 0, 1),
        ("\n".join(f"house {i} | colour | red" for i in range(10_000)), 10_000, 0),
        ("\n".join(f"The owner of house {i} is Mister {i}." for i in range(10_000)), 0, 10_000),
        ("\n".join(f"The capital of land {i} is town {i}." for i in range(10_000)), 10_000, 0),
        ("subject,prompt,object\n" + "\n".join(f"S{i},Tune of S{i} is,O" for i in range(10_000)), 10_000, 0),
        ("\n".join(f"house {i} | colour | red" for i in range(12_000)), 10_000, 1),
    ],
    ids=["line", "sentence", "json", "quotes", "nested", "triples", "unsplit", "split", "csv", "too many"],
)
def test_large_inputs_are_answered_in_under_a_second(text, kept, lost):
    read_text("The capital of France is Paris.")  # the index of the world is built once
    taken = []
    while not taken or (min(taken) >= CPU_SECONDS and len(taken) < 3):
        began = time.thread_time()
        reading = read_text(text)
        taken.append(time.thread_time() - began)
    assert min(taken) < CPU_SECONDS
    assert (len(reading.facts), len(reading.problems)) == (kept, lost)
    assert all(len(p.raw) <= 120 for p in reading.problems)


def test_the_limits_are_exact(tmp_path):
    lines = "\n".join(f"house {i} | colour | red" for i in range(5))
    assert read_text(lines, max_rows=5).problems == ()
    reading = read_text(lines, max_rows=4)
    assert len(reading.facts) == 4
    assert [(p.row, p.message) for p in reading.problems] == [
        (5, "not read, nor any row after it: at most 4 rows at a time")
    ]
    line = "house | colour | red"
    assert read_text(line, max_line=len(line)).problems == ()
    assert "20 characters: at most 19" in read_text(line, max_line=len(line) - 1).problems[0].message
    path = tmp_path / "facts.txt"
    path.write_text("é | é | é", encoding="utf-8")
    for read in (lambda n: read_file(path, max_bytes=n), lambda n: read_text("é | é | é", max_bytes=n)):
        assert len(read(12).facts) + len(read(12).problems) == 1
        with pytest.raises(UnreadableFile, match="larger than 11 bytes"):
            read(11)


@pytest.mark.parametrize(
    "data, message",
    [
        (b"PK\x00\x04", r"byte 0x03|byte 0x00 at position 2"),
        ("subject,relation".encode("utf-16"), "byte 0xff at position 0"),
        ("München | Fluss | Isar".encode("latin-1"), "byte 0xfc at position 1"),
        (b"\xef\xbb\xbfab\xff", "byte 0xff at position 5"),
    ],
)
def test_a_file_that_is_not_text_says_where_and_what_to_do(tmp_path, data, message):
    path = tmp_path / "names.xlsx"
    path.write_bytes(data)
    with pytest.raises(UnreadableFile, match=message) as caught:
        read_file(path)
    assert str(caught.value).startswith("names.xlsx is not text (byte 0x")
    assert str(caught.value).endswith("): save it as CSV or plain text in UTF-8")


def test_a_file_that_is_not_there_says_so(tmp_path):
    with pytest.raises(UnreadableFile, match="gone.txt cannot be opened"):
        read_file(tmp_path / "gone.txt")
    with pytest.raises(UnreadableFile):
        read_file(tmp_path)


NAMES = ["subject", "relation", "prompt", "object", "requested_rewrite"]
MARKS = ["{}", "|", "\t", "\n", "\r\n", "\r", "#", ",", ";", '"', " ", "[", "{", "]", "}", ":", "?"]
# Three that end no line in an editor, and a capital that grows in lower case.
ODD = ["\x0b", "\x1c", "\u2028", "\u0130"]
WORDS = NAMES + MARKS + ODD + ["France", "the", "capital", "Paris", "of", "is", "The author of", "Q:", "A:"]
WORDS += ["France | capital | Paris\n", "The capital of France is Lyon.\n"]
HEADS = ["", "\ufeff", "subject,relation,object\n", "Prompt;Subject;Answer\n", "subject\tprompt\ttarget\n"]
HEADS += ['[{"subject": "a"}, ', '{"subject": "a", "relation": "b", "object": "c"}\n']
HEADS += ['[{"requested_rewrite": ']
ANYTHING = st.text() | st.lists(st.sampled_from(WORDS) | st.text(max_size=5), max_size=40).map("".join)


def rows_of(text, name):
    """The row numbers that must each end in one fact or one problem, counted without the reader's help."""
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    rows = [i for i, line in enumerate(lines, 1) if line.strip()]
    if name == "lines":
        return [i for i in rows if not re.match(r"\s*#+(\s|$)", lines[i - 1])]
    if name in ("csv", "tsv"):
        return rows[1:]
    if name == "jsonl":
        return rows
    try:
        return list(range(1, len(json.loads(text.removeprefix("\ufeff"))) + 1))
    except ValueError:
        return None  # elements and what lies between them: test_mended.py


@settings(max_examples=300)
@given(st.sampled_from(HEADS), ANYTHING)
def test_no_row_is_lost(head, tail):
    text = head + tail
    reading = read_text(text)
    rows = sorted([r.row for r in reading.facts] + [p.row for p in reading.problems])
    expected = rows_of(text, reading.format)
    if expected is None:
        assert rows == list(range(1, len(rows) + 1)) and reading.problems
    else:
        assert rows == expected
    assert [d["row"] for d in describe(reading)] == rows
    keys = [r.fact.key for r in reading.facts]
    assert len(set(keys)) == len(keys)
    for r in reading.facts:
        assert r.fact.subject.strip() and r.fact.object.strip() and r.how


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(WORDS),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*NAMES, "target_true", "str", "paraphrase_prompts"]), inner)
    ),
    max_leaves=12,
)


@settings(max_examples=200)
@given(st.lists(JSON, max_size=6), st.booleans())
def test_json_of_any_shape_gives_a_fact_or_a_problem_for_each_element(values, as_lines):
    values = [{"subject": "a"}, *values]
    text = "\n".join(map(json.dumps, values)) if as_lines else json.dumps(values)
    reading = read_text(text)
    assert reading.format == ("jsonl" if as_lines else "json")
    told = [r.row for r in (*reading.facts, *reading.problems)]
    assert sorted(set(told)) == list(range(1, len(values) + 1))


@settings(max_examples=300)
@given(data=st.binary() | st.tuples(st.sampled_from(HEADS), st.binary()).map(lambda t: t[0].encode() + t[1]))
def test_random_bytes_raise_nothing_but_unreadable_file(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "random.bin"
    path.write_bytes(data)
    try:
        reading = read_file(path)
    except UnreadableFile as error:
        assert "random.bin" in str(error)
    else:
        assert reading == read_text(data.decode("utf-8"))


def test_the_preview_has_a_line_for_every_row_in_order():
    rows = describe(read_text("nonsense\nFrance | capital | Paris\na | b\nKenya | capital | Nairobi"))
    assert [r["row"] for r in rows] == [1, 2, 3, 4]
    assert rows[1] == {
        "row": 2,
        "subject": "France",
        "relation": "capital",
        "object": "Paris",
        "how": "triple, known relation 'capital'",
        "problem": "",
    }
    assert rows[0]["problem"] and rows[0]["subject"] == ""
    json.dumps(rows)


EXAMPLES = {e.name: e for e in examples()}


@pytest.mark.parametrize("example", EXAMPLES.values(), ids=EXAMPLES)
def test_an_example_reads_whole_and_holds_bundled_facts(example):
    bundled = [f in world() for f in facts(example.text)]
    assert example.title and example.story.endswith(".") and "\n" not in example.story
    assert not any(bundled) if example.name == "not-known" else all(bundled)


def test_the_examples_hold_what_their_titles_say():
    read = {name: facts(e.text) for name, e in EXAMPLES.items()}
    europe = {s for (s, r), f in WORLD.items() if r == "continent" and f.object == "Europe"}
    assert {f.key for f in read["capitals-of-europe"]} == {(s.lower(), "capital") for s in europe}
    assert {f.subject for f in read["one-private-person"]} == {"Orla Sorrelvane"}
    assert len(read["one-private-person"]) == 4 and "made up" in EXAMPLES["one-private-person"].story
    assert set(read["all-inventors"]) == {f for f in world() if f.relation == "inventor"}
    assert {f for f in world() if f.subject == "France"} <= set(read["everything-about-france"])
    elsewhere = [f for f in read["everything-about-france"] if "France" not in (f.subject, f.object)]
    assert {f.relation for f in elsewhere} == {"city"}  # the sights' own
    assert len(read["mixed-25"]) == 25 and len({f.relation for f in read["mixed-25"]}) >= 5
    assert len(read["not-known"]) == 10
    assert not {f.key for f in read["not-known"]} & {f.key for f in world()}
