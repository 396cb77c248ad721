"""Reasoning families: items made by code from a seed, train and test disjoint by construction.

An item belongs to the test split when the hash of its *content* (what must be worked
out, without the wording) falls in one of ten buckets; a generator throws away what
belongs to the other split, so no test item can be met in training.
"""

import random
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
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


def compare(r: random.Random) -> tuple[str, Item]:
    """A chain of comparisons: who is at its end?"""
    n = r.choice((2, 3, 3, 3))
    people = r.sample(NAMES, n)
    up, most, down, least = r.choice(PAIRS)
    steps = [(a, b) for a, b in zip(people, people[1:])]
    if r.random() < 0.5:
        steps.reverse()
    top = r.random() < 0.5
    text = " ".join(f"{a} is {up} than {b}." for a, b in steps)
    prompt = f"{text} The {most if top else least} is"
    return f"{up} {steps} {top}", Item("compare", prompt, people[0] if top else people[-1], tuple(people))


def arithmetic(r: random.Random) -> tuple[str, Item]:
    """Addition and subtraction of numbers below 50; train and test share no sum."""
    a, b = r.randrange(50), r.randrange(50)
    if r.random() < 0.5:
        return f"{min(a, b)}+{max(a, b)}", Item("arithmetic", f"{a} + {b} =", str(a + b))
    a, b = max(a, b), min(a, b)
    return f"{a}-{b}", Item("arithmetic", f"{a} - {b} =", str(a - b))


def position(r: random.Random) -> tuple[str, Item]:
    """Which word stands at a place in a list?"""
    words = r.sample(WORDS, r.randint(3, 5))
    i = r.randrange(len(words))
    prompt = f"List: {', '.join(words)}. The {ORDINALS[i]} word is"
    return f"{words} {i}", Item("position", prompt, words[i], tuple(words))


def where(r: random.Random) -> tuple[str, Item]:
    """People go to places; where is one of them?"""
    people = r.sample(NAMES, r.randint(2, 4))
    places = r.sample(PLACES, len(people))
    i = r.randrange(len(people))
    text = " ".join(f"{a} went to the {p}." for a, p in zip(people, places))
    key = f"{people} {places} {i}"
    return key, Item("where", f"{text} {people[i]} is in the", places[i], tuple(places))


def attribute(r: random.Random) -> tuple[str, Item]:
    """Things have colours; which colour has one of them?"""
    things = r.sample(WORDS, r.randint(2, 4))
    colours = r.sample(COLOURS, len(things))
    i = r.randrange(len(things))
    text = " ".join(f"The {t} is {c}." for t, c in zip(things, colours))
    key = f"{things} {colours} {i}"
    return key, Item("attribute", f"{text} The colour of the {things[i]} is", colours[i], tuple(colours))


def sequence(r: random.Random) -> tuple[str, Item]:
    """What comes next in a row of numbers with equal steps, or of words that repeat?"""
    if r.random() < 0.5:
        start, step = r.randrange(40), r.randint(1, 9)
        row = [str(start + step * i) for i in range(5)]
        return f"{start} {step}", Item("sequence", f"Go on: {', '.join(row[:4])},", row[4])
    words = r.sample(WORDS, r.choice((2, 3)))
    n = r.randint(len(words) + 1, 2 * len(words) + 1)
    row = [words[i % len(words)] for i in range(n + 1)]
    return f"{words} {n}", Item("sequence", f"Go on: {', '.join(row[:n])},", row[n], tuple(words))


def odd_one_out(r: random.Random) -> tuple[str, Item]:
    """Three of a kind and one of another."""
    kind, other = r.sample(sorted(CATEGORIES), 2)
    odd = r.choice(CATEGORIES[other])
    words = [*r.sample(CATEGORIES[kind], 3), odd]
    r.shuffle(words)
    prompt = f"Of {', '.join(words)} the odd one out is"
    return f"{sorted(words)}", Item("odd_one_out", prompt, odd, tuple(words))


def logic_not(r: random.Random) -> tuple[str, Item]:
    """Either-or with one side denied, or a plain statement with or without "not"."""
    a, b = r.sample(PLACES, 2)
    if r.random() < 0.5:
        thing = r.choice(WORDS)
        gone = r.choice((a, b))
        prompt = f"The {thing} is in the {a} or in the {b}. It is not in the {gone}. It is in the"
        return f"{thing} {a} {b} {gone}", Item("logic_not", prompt, b if gone == a else a, (a, b))
    people = r.sample(NAMES, 2)
    state = r.choice(STATES)
    nots = [r.random() < 0.5 for _ in people]
    i = r.randrange(2)
    text = " ".join(f"{p} is {'not ' if no else ''}{state}." for p, no in zip(people, nots))
    answer = "no" if nots[i] else "yes"
    prompt = f"{text} Is {people[i]} {state}?"
    return f"{people} {state} {nots} {i}", Item("logic_not", prompt, answer, ("yes", "no"))


FAMILIES: dict[str, Callable[[random.Random], tuple[str, Item]]] = {
    f.__name__: f for f in (compare, arithmetic, position, where, attribute, sequence, odd_one_out, logic_not)
}


def in_test(key: str) -> bool:
    """Does the content with this key belong to the test split (one in ten)?"""
    return zlib.crc32(key.encode()) % 10 == 0


def items(family: str, split: str, seed: int) -> Iterator[Item]:
    """An endless stream of items of one family and split ("train" or "test"), the same for the same seed."""
    if split not in ("train", "test"):
        raise ValueError(f'split must be "train" or "test", not {split!r}')
    r = random.Random(f"{family} {split} {seed}")
    while True:
        key, item = FAMILIES[family](r)
        if in_test(f"{family} {key}") == (split == "test"):
            yield item


def test_set(n: int, seed: int = 0) -> dict[str, list[Item]]:
    """n distinct test items of every family (fewer where a family has fewer)."""
    sets = {}
    for family in FAMILIES:
        stream = dict.fromkeys(islice(items(family, "test", seed), 4 * n))
        sets[family] = list(stream)[:n]
    return sets


test_set.__test__ = False  # not a test, though its name begins like one
