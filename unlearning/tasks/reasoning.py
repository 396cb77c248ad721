"""Reasoning families: items made by code from a seed, train and test disjoint by construction.

A family makes *scenes*: a text and every question that can be asked about it. A question
belongs to the test split when the hash of its *content* (what must be worked out, without
the wording) falls in one of ten buckets. A question of the training split is none of these, and
its prompt ends in none of these either (of four people's places, the last two are a shorter
item), so no test item can be met in training.
"""

import random
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice

NAMES = tuple(
    "Anna Ben Carla David Emma Frank Grace Henry Iris Jack Karen Leo Mary Nick Olga Paul Rosa Sam Tom Vera "
    "Adam Beth Carl Dora Eric Fay Gus Hope Ian Jane".split()
)
PLACES = tuple("garden kitchen office attic cellar library garage hall bedroom school market station".split())
COLOURS = tuple("red blue green yellow black white brown orange pink purple".split())
CATEGORIES = {
    "fruit": tuple("apple pear plum cherry peach grape melon lemon fig mango banana apricot".split()),
    "tool": tuple("hammer saw drill chisel wrench pliers spade rake axe file screwdriver shovel".split()),
    "clothing": tuple("hat coat shirt scarf glove sock shoe belt jacket skirt cap boot".split()),
    "furniture": tuple(
        "table chair sofa bed desk shelf stool bench wardrobe cupboard armchair couch".split()
    ),
    "instrument": tuple("violin flute drum guitar trumpet harp cello clarinet oboe banjo organ tuba".split()),
    "vehicle": tuple("car bus train bicycle tram lorry van boat ship canoe scooter truck".split()),
}
WORDS = tuple(w for words in CATEGORIES.values() for w in words)
ORDINALS = ("first", "second", "third", "fourth", "fifth")
PAIRS = (
    ("taller", "tallest", "shorter", "shortest"),
    ("older", "oldest", "younger", "youngest"),
    ("faster", "fastest", "slower", "slowest"),
    ("richer", "richest", "poorer", "poorest"),
    ("stronger", "strongest", "weaker", "weakest"),
)
STATES = ("happy", "tired", "hungry", "busy", "late", "ill", "angry", "alone")


@dataclass(frozen=True)
class Item:
    """A question with one right answer; `choices` holds all sensible ones where they can be listed."""

    family: str
    prompt: str
    answer: str
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Scene:
    """A text and the questions about it.

    Each question: (content keys, question, answer). The first key is its own content; the others
    are those of the shorter items that its prompt ends in.
    """

    family: str
    text: str
    questions: tuple[tuple[tuple[str, ...], str, str], ...]
    choices: tuple[str, ...] = ()

    def item(self, question: str, answer: str) -> Item:
        """One of the questions, asked right after the text."""
        return Item(self.family, f"{self.text} {question}".strip(), answer, self.choices)


def compare(r: random.Random) -> Scene:
    """A chain of comparisons: who is at its end?"""
    people = r.sample(NAMES, r.choice((2, 3, 3, 3)))
    up, most, down, least = r.choice(PAIRS)
    steps = [(a, b) for a, b in zip(people, people[1:])]
    if r.random() < 0.5:
        steps.reverse()
    text = " ".join(f"{a} is {up} than {b}." for a, b in steps)
    ends = ((True, most, people[0]), (False, least, people[-1]))
    asked = tuple(
        (tuple(f"{up} {steps[j:]} {top}" for j in range(len(steps))), f"The {word} is", who)
        for top, word, who in ends
    )
    return Scene("compare", text, asked, tuple(people))


def arithmetic(r: random.Random) -> Scene:
    """Addition and subtraction of numbers below 50; train and test share no sum."""
    a, b = r.randrange(50), r.randrange(50)
    if r.random() < 0.5:
        return Scene("arithmetic", "", (((f"{min(a, b)}+{max(a, b)}",), f"{a} + {b} =", str(a + b)),))
    a, b = max(a, b), min(a, b)
    return Scene("arithmetic", "", (((f"{a}-{b}",), f"{a} - {b} =", str(a - b)),))


def position(r: random.Random) -> Scene:
    """Which word stands at a place in a list?"""
    words = r.sample(WORDS, r.randint(3, 5))
    asked = tuple(((f"{words} {i}",), f"The {ORDINALS[i]} word is", w) for i, w in enumerate(words))
    return Scene("position", f"List: {', '.join(words)}.", asked, tuple(words))


def where(r: random.Random) -> Scene:
    """People go to places; where is one of them?"""
    people = r.sample(NAMES, r.randint(2, 4))
    places = r.sample(PLACES, len(people))
    text = " ".join(f"{a} went to the {p}." for a, p in zip(people, places))
    told = enumerate(zip(people, places))
    asked = tuple((_endings(people, places, i), f"{a} is in the", p) for i, (a, p) in told)
    return Scene("where", text, asked, tuple(places))


def attribute(r: random.Random) -> Scene:
    """Things have colours; which colour has one of them?"""
    things = r.sample(WORDS, r.randint(2, 4))
    colours = r.sample(COLOURS, len(things))
    text = " ".join(f"The {t} is {c}." for t, c in zip(things, colours))
    told = enumerate(zip(things, colours))
    asked = tuple((_endings(things, colours, i), f"The colour of the {t} is", c) for i, (t, c) in told)
    return Scene("attribute", text, asked, tuple(colours))


def _endings(a: list[str], b: list[str], i: int) -> tuple[str, ...]:
    """Keys of asking for the i-th pair, of all pairs and of the last ones down to two."""
    return tuple(f"{a[j:]} {b[j:]} {i - j}" for j in range(min(i, len(a) - 2) + 1))


def sequence(r: random.Random) -> Scene:
    """What comes next in a row of numbers with equal steps, or of words that repeat?"""
    if r.random() < 0.5:
        start, step = r.randrange(40), r.randint(1, 9)
        row = [str(start + step * i) for i in range(5)]
        return Scene("sequence", "", (((f"{start} {step}",), f"Go on: {', '.join(row[:4])},", row[4]),))
    words = r.sample(WORDS, r.choice((2, 3)))
    n = r.randint(len(words) + 1, 2 * len(words) + 1)
    row = [words[i % len(words)] for i in range(n + 1)]
    asked = (((f"{words}",), f"Go on: {', '.join(row[:n])},", row[n]),)
    return Scene("sequence", "", asked, tuple(words))


def odd_one_out(r: random.Random) -> Scene:
    """Three of a kind and one of another."""
    kind, other = r.sample(sorted(CATEGORIES), 2)
    odd = r.choice(CATEGORIES[other])
    words = [*r.sample(CATEGORIES[kind], 3), odd]
    r.shuffle(words)
    asked = (((f"{sorted(words)}",), f"Of {', '.join(words)} the odd one out is", odd),)
    return Scene("odd_one_out", "", asked, tuple(words))


def logic_not(r: random.Random) -> Scene:
    """Either-or with one side denied, or plain statements with or without "not"."""
    a, b = r.sample(PLACES, 2)
    if r.random() < 0.5:
        thing = r.choice(WORDS)
        text = f"The {thing} is in the {a} or in the {b}."
        asked = tuple(
            ((f"{thing} {a} {b} {gone}",), f"It is not in the {gone}. It is in the", left)
            for gone, left in ((a, b), (b, a))
        )
        return Scene("logic_not", text, asked, (a, b))
    people = r.sample(NAMES, 2)
    state = r.choice(STATES)
    nots = [r.random() < 0.5 for _ in people]
    text = " ".join(f"{p} is {'not ' if no else ''}{state}." for p, no in zip(people, nots))
    asked = tuple(
        ((f"{people} {state} {nots} {i}",), f"Is {p} {state}?", "no" if no else "yes")
        for i, (p, no) in enumerate(zip(people, nots))
    )
    return Scene("logic_not", text, asked, ("yes", "no"))


FAMILIES: dict[str, Callable[[random.Random], Scene]] = {
    f.__name__: f for f in (compare, arithmetic, position, where, attribute, sequence, odd_one_out, logic_not)
}


def in_test(key: str) -> bool:
    """Does the content with this key belong to the test split (one in ten)?"""
    return zlib.crc32(key.encode()) % 10 == 0


def split_of(family: str, keys: Sequence[str]) -> str | None:
    """Which split: "test", "train", or None for what is no test item itself but ends in one."""
    found = [in_test(f"{family} {key}") for key in keys]
    return "test" if found[0] else None if any(found) else "train"


def scenes(family: str, split: str, seed: int) -> Iterator[Scene]:
    """Scenes with the questions of one split ("train" or "test") only; the same for the same seed.

    Raises ValueError for another split.
    """
    if split not in ("train", "test"):
        raise ValueError(f'split must be "train" or "test", not {split!r}')
    r = random.Random(f"{family} {split} {seed}")
    while True:
        scene = FAMILIES[family](r)
        asked = tuple(q for q in scene.questions if split_of(family, q[0]) == split)
        if asked:
            yield replace(scene, questions=asked)


def items(family: str, split: str, seed: int) -> Iterator[Item]:
    """An endless stream of items of one family and split: one question of each scene."""
    r = random.Random(f"{family} {split} {seed} question")
    for scene in scenes(family, split, seed):
        _, question, answer = r.choice(scene.questions)
        yield scene.item(question, answer)


def test_set(n: int, seed: int = 0) -> dict[str, list[Item]]:
    """n distinct test items of every family (fewer where a family has fewer)."""
    return {family: list(_distinct(family, n, seed)) for family in FAMILIES}


@lru_cache(32)  # making them takes as long as asking them: a wash needs the same ones as the one before
def _distinct(family: str, n: int, seed: int) -> tuple[Item, ...]:
    return tuple(islice(dict.fromkeys(islice(items(family, "test", seed), 4 * n)), n))


test_set.__test__ = False  # not a test, though its name begins like one
