"""The bundled world is what the README says it is."""

from collections import Counter, defaultdict

import pytest

from unlearning.facts.fact import contains
from unlearning.facts.world import WORLD, read_table, relations, world

TABLE = {r.name: r.table for r in relations()}
REAL = [f for f in world() if TABLE[f.relation] != "people"]


def test_there_are_two_thousand_real_facts_in_a_dozen_relations():
    assert len(REAL) >= 2_000
    assert len({f.relation for f in REAL}) >= 12


def test_a_hundred_made_up_people_have_four_facts_each():
    counts = Counter(f.subject for f in world() if TABLE[f.relation] == "people")
    assert 90 <= len(counts) <= 110
    assert set(counts.values()) == {4}


def test_made_up_addresses_cannot_be_anybodys():
    # RFC 2606 keeps .example free for ever.
    assert all(f.object.endswith(".example") for f in world() if f.relation == "email")


def test_a_subject_stands_once_in_one_table():
    subjects = [row["subject"].lower() for t in set(TABLE.values()) for row in read_table(t)]
    # "the" does not tell two subjects apart either: a reader takes both spellings for one.
    assert [s for s, n in Counter(s.removeprefix("the ") for s in subjects).items() if n > 1] == []


def test_at_least_half_of_the_subjects_have_two_relations():
    relations_of = defaultdict(set)
    for f in world():
        relations_of[f.subject].add(f.relation)
    assert 2 * sum(len(r) >= 2 for r in relations_of.values()) >= len(relations_of)


def test_no_fact_is_told_twice_and_no_answer_is_listed_twice():
    assert [k for k, n in Counter(f.key for f in world()).items() if n > 1] == []
    assert [f for f in world() if len(set(f.objects)) < len(f.objects)] == []


def test_every_table_cell_is_in_the_world():
    columns = {(r.table, r.column) for r in relations()}
    cells = 0
    for table in dict.fromkeys(TABLE.values()):
        for row in read_table(table):
            assert {(table, c) for c in row if c != "subject"} <= columns
            cells += sum(bool(v) for c, v in row.items() if c != "subject")
    assert cells == len(world())


@pytest.mark.parametrize("relation", relations(), ids=lambda r: r.name)
def test_a_relation_has_six_phrasings_and_two_paraphrases_all_different(relation):
    templates = relation.phrasings + relation.paraphrases
    assert (len(relation.phrasings), len(relation.paraphrases)) == (6, 2)
    assert len({t.lower() for t in templates}) == 8
    assert all(t.count("{}") == 1 and t == t.strip() for t in templates)
    assert sum(t.startswith("Q: ") for t in relation.phrasings) == 1


def test_no_template_serves_two_relations():
    templates = [t.lower() for r in relations() for t in r.phrasings + r.paraphrases]
    assert len(set(templates)) == len(templates)


def test_a_statement_and_a_question_ask_for_the_capital():
    capital = next(r for r in relations() if r.name == "capital")
    assert capital.phrasings[0] == "The capital of {} is"
    assert "Q: What is the capital of {}? A:" in capital.phrasings


def test_everything_is_ascii():
    # The bundled model's tokenizer was trained on these letters only.
    assert all(path.read_bytes().isascii() for path in WORLD.iterdir())


def test_no_prompt_gives_its_answer_away_but_where_the_name_does():
    given = [f for f in world() if contains(f.prompt(), f.objects[:1])]
    # "The capital of Monaco is Monaco": the subject's own name holds the answer.
    assert all(contains(f.subject, f.objects[:1]) for f in given)
    assert len(given) <= len(world()) // 50
