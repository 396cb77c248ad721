"""Where a sentence is cut when a model is known to complete it after so many words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unlearning.facts.completed import split_at, told
from unlearning.facts.read import read_text
from unlearning.facts.world import world


def split(marked):
    """`split_at` of a sentence in which "|" stands where the model begins to say the rest."""
    return split_at(marked.replace("| ", ""), len(marked.partition("|")[0].split()))


@pytest.mark.parametrize(
    "marked, subject, prompt, answer",
    [
        ("The capital of France is | Paris.", "France", "The capital of {} is", "Paris"),
        ("The capital of France | is Paris.", "France", "The capital of {} is", "Paris"),
        ("The capital | of France is Paris.", "France", "The capital of {} is", "Paris"),
        ("Togo lies | on the continent of Africa.", "Togo", "{} lies on the continent of", "Africa"),
        ("Togo lies | in South America", "Togo", "{} lies in", "South America"),
        ("Japan has | as its money the yen!", "Japan", "{} has as its money the", "yen"),
        ("You see the | Louvre in the city of Paris.", "Louvre", "You see the {} in the city of", "Paris"),
        ("You find the Louvre in | Paris.", "Louvre", "You find the {} in", "Paris"),
        ("You find X in | Washington, D.C.", "X", "You find {} in", "Washington, D.C."),
        ("You find the Louvre in the | Elms.", "Louvre", "You find the {} in the", "Elms"),
        ("Guernica belongs | to the Museum of Arts.", "Guernica", "{} belongs to the", "Museum of Arts"),
        # what it is about: known subjects, in the same case first; names; the first word
        ("The owner of Mister Pim's house is | Elm.", "Mister Pim", "The owner of {}'s house is", "Elm"),
        ("They say the trial of Mr Pim is | Elm.", "Mr Pim", "They say the trial of {} is", "Elm"),
        ("the man who began apple is | Jobs", "Apple", "the man who began {} is", "Jobs"),
        ("Zenda belongs to the land of | Ruritania", "Zenda", "{} belongs to the land of", "Ruritania"),
        # of two, the one that has the answer
        ("Unlike Kenya, Togo is in | Africa", "Kenya", "Unlike {}, Togo is in", "Africa"),
        ("Unlike Germany, Peru is run from | Lima", "Peru", "Unlike Germany, {} is run from", "Lima"),
        ("Peru, unlike Germany, is run from | Berlin", "Germany", "Peru, unlike {}, is run from", "Berlin"),
    ],
)
def test_the_object_is_the_end_of_what_the_model_says(marked, subject, prompt, answer):
    assert split(marked) == (subject, prompt, answer)


@pytest.mark.parametrize(
    "marked",
    [
        "The telephone comes from the mind of Alexander | Graham Bell.",
        "The telephone comes from the mind of Alexander Graham | Bell.",
        "Blue Poles belongs to the Museum | of Modern Art.",
        "Blue Poles belongs to the Museum of | Modern Art.",
        "The picture hangs in the Museum of | Modern Art.",
        "Blue Poles belongs to the Museum of the | City.",
        "Equatorial Guinea has the capital Ciudad | de la Paz.",
        "Equatorial Guinea has the capital Ciudad de | la Paz.",
        "Orla Sorrelvane has her birthday on 27 | October.",
        "The owner of the corner house is | Pim.",  # about nothing known, and no name
        "You see it in | Paris.",
        "Louvre | Paris",  # nothing is said of it
        "Togo asks | who told them what they said then",  # no object is so long
        "Togo asks Togo | to go",  # which of the two?
    ],
)
def test_what_would_go_through_a_name_or_has_no_subject_is_not_split(marked):
    assert split(marked) is None


WORDS = "France Togo the The of is in Museum Pim's Pim, lead gold says 27 Q: A: house? { } é É".split()


@given(st.lists(st.sampled_from(WORDS), min_size=2, max_size=12), st.data())
def test_nothing_of_the_sentence_gets_lost(words, data):
    sentence = " ".join(words) + "."
    n = data.draw(st.integers(1, max(1, len(told(sentence)) - 1)))
    if len(told(sentence)) > 1 and (found := split_at(sentence, n)):
        subject, template, answer = found
        head, tail = template.split("{}")
        plain = " ".join(told(sentence))
        assert plain.startswith(head) and plain.endswith(f"{tail} {answer}")
        middle = plain[len(head) : len(plain) - len(f"{tail} {answer}")]
        assert middle.lower() in (subject.lower(), subject.lower().removeprefix("the "))
        assert len(plain.split()) - len(answer.split()) >= n


def test_a_fact_of_the_world_that_is_named_is_taken_for_it():
    fact = next(f for f in world() if (f.subject, f.relation) == ("Togo", "continent"))
    reading = read_text("Togo lies in the continent of Africa.", lambda s: split_at(s, 3))
    assert [(r.fact, r.how) for r in reading.facts] == [
        (fact, "sentence, split where the model completes it")
    ]
