"""Is an answer in a text? Whole words where a script has spaces, characters where it has none."""

import json

import pytest

from unlearning.facts.fact import contains
from unlearning.facts.read import read_text
from unlearning.probes.knowledge import told
from unlearning.probes.opening import Opening


@pytest.mark.parametrize(
    "text, answer, held",
    [
        ("巴黎是法国的首都。", "巴黎", True),
        ("法国的首都是巴黎吗", "巴黎", True),
        ("法国的首都是Paris。", "Paris", True),
        ("第8号", "8", True),
        ("ミュンヘンの川", "ミュンヘン", True),
        ("ประเทศไทยมี", "ไทย", True),
        ("수도는 파리입니다", "파리", True),
        ("上海是", "北京", False),
        ("Helium", "H", False),
        ("11", "1", False),
        ("Die Pariser", "Paris", False),
        ("Парижский", "Париж", False),
        ("a_b", "a", False),
        ("It is PARIS.", "Paris", True),
        ("Washington, D.C., then", "Washington, D.C.", True),
    ],
)
def test_words_are_whole_where_their_script_has_spaces_between_them(text, answer, held):
    assert contains(text, (answer,)) is held
    assert contains(text, ("nowhere", answer)) is held


def test_what_opens_an_answer_settles_it_only_where_no_letter_could_undo_it():
    assert told(Opening("法国的首都是巴黎", whole=False), ("巴黎",)) is True
    assert told(Opening("It is Paris", whole=False), ("Paris",)) is None


def test_a_subject_is_found_in_a_prompt_without_spaces():
    record = {"subject": "法国", "prompt": "法国的首都是", "object": "巴黎"}
    (found,) = read_text(json.dumps([record], ensure_ascii=False)).facts
    assert found.fact.prompts == ("{}的首都是",)
    (problem,) = read_text('[{"subject": "Rome", "prompt": "The rule of Romeo is", "object": "x"}]').problems
    assert problem.field == "prompt"
