"""Reasoning prompts worked out from their words alone: slow, and without the code that made them."""

import re
from itertools import permutations

from unlearning.tasks.reasoning import CATEGORIES, ORDINALS, PAIRS


def solve(prompt: str) -> tuple[str, str, str] | None:
    """Family, content key and answer of a prompt of the reasoning families; None for any other text."""
    for family, solver in SOLVERS.items():
        solved = solver(prompt)
        if solved is not None:
            return family, *solved
    return None


def compare(prompt):
    m = re.fullmatch(r"((?:\w+ is \w+ than \w+\. )+)The (\w+) is", prompt)
    if not m:
        return None
    steps = re.findall(r"(\w+) is (\w+) than (\w+)\.", m[1])
    (up,) = {word for _, word, _ in steps}
    (pair,) = [p for p in PAIRS if p[0] == up]
    people = {name for a, _, b in steps for name in (a, b)}
    (order,) = [
        order for order in permutations(people) if all(order.index(a) < order.index(b) for a, _, b in steps)
    ]
    top = {pair[1]: True, pair[3]: False}[m[2]]
    return f"{up} {[(a, b) for a, _, b in steps]} {top}", order[0 if top else -1]


def arithmetic(prompt):
    m = re.fullmatch(r"(\d+) ([+-]) (\d+) =", prompt)
    if not m:
        return None
    a, b = int(m[1]), int(m[3])
    if m[2] == "+":
        return f"{min(a, b)}+{max(a, b)}", str(len([*range(a), *range(b)]))
    return f"{a}-{b}", str(len(range(b, a)))


def position(prompt):
    m = re.fullmatch(r"List: (.+)\. The (\w+) word is", prompt)
    if not m:
        return None
    words, i = m[1].split(", "), ORDINALS.index(m[2])
    return f"{words} {i}", words[i]


def where(prompt):
    m = re.fullmatch(r"((?:\w+ went to the \w+\. )+)(\w+) is in the", prompt)
    if not m:
        return None
    return _looked_up(re.findall(r"(\w+) went to the (\w+)\.", m[1]), m[2])


def attribute(prompt):
    m = re.fullmatch(r"((?:The \w+ is \w+\. )+)The colour of the (\w+) is", prompt)
    if not m:
        return None
    return _looked_up(re.findall(r"The (\w+) is (\w+)\.", m[1]), m[2])


def _looked_up(told, asked):
    names, values = [a for a, _ in told], [b for _, b in told]
    if len(told) < 2 or asked not in names:
        return None
    i = names.index(asked)
    return f"{names} {values} {i}", values[i]


def sequence(prompt):
    m = re.fullmatch(r"Go on: (.+),", prompt)
    if not m:
        return None
    row = m[1].split(", ")
    if row[0].isdigit():
        numbers = [int(x) for x in row]
        (step,) = {b - a for a, b in zip(numbers, numbers[1:], strict=False)}
        return f"{numbers[0]} {step}", str(numbers[-1] + step)
    period = min(p for p in range(1, len(row)) if all(row[i] == row[i - p] for i in range(p, len(row))))
    return f"{row[:period]}", row[len(row) - period]


def odd_one_out(prompt):
    m = re.fullmatch(r"Of (.+) the odd one out is", prompt)
    if not m:
        return None
    words = m[1].split(", ")
    kinds = [[kind for kind, members in CATEGORIES.items() if word in members] for word in words]
    (odd,) = [word for word, kind in zip(words, kinds, strict=True) if kinds.count(kind) == 1]
    return f"{sorted(words)}", odd


def logic_not(prompt):
    m = re.fullmatch(
        r"The (\w+) is in the (\w+) or in the (\w+)\. It is not in the (\w+)\. It is in the", prompt
    )
    if m:
        thing, a, b, gone = m.groups()
        (left,) = {a, b} - {gone}
        return f"{thing} {a} {b} {gone}", left
    m = re.fullmatch(r"(\w+) is (not )?(\w+)\. (\w+) is (not )?(\w+)\. Is (\w+) (\w+)\?", prompt)
    if not m:
        return None
    people, nots = [m[1], m[4]], [m[2] is not None, m[5] is not None]
    (state,) = {m[3], m[6], m[8]}
    (i,) = [i for i, name in enumerate(people) if name == m[7]]
    return f"{people} {state} {nots} {i}", "no" if nots[i] else "yes"


SOLVERS = {
    f.__name__: f for f in (compare, arithmetic, position, where, attribute, sequence, odd_one_out, logic_not)
}
