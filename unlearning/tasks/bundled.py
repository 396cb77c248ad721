"""The bundled tasks, made by code from the bundled world and the reasoning families.

Facts are dealt out by subject: a hash says whether what is told of a subject is for training, for
testing, for forgetting, or for asking what was forgotten, the same in every task. So no task's test
prompt is ever trained on or unlearned, whichever tasks are put together. Reasoning items keep their
own split.
"""

import random
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from itertools import islice

from ..facts.fact import Fact, fill
from ..facts.world import world
from .reasoning import CATEGORIES, NAMES, WORDS, Item, items
from .task import Sample, Task, UnknownTask

TRAIN, TEST, FORGET, HELD = "train", "test", "forget", "held"
LOTS = (TRAIN,) * 4 + (TEST,) * 3 + (FORGET,) * 2 + (HELD,)
N_TRAIN, N_TEST = 120, 100  # of what code can make without end
PHRASINGS = 3  # of a relation, in which it is asked
EACH = 40  # samples of each task in the mixture of all
MIXED = "mixed"


def lot(subject: str) -> str:
    """What a subject's facts are for: four in ten train, three test, two forget, one asks after it."""
    return LOTS[zlib.crc32(f"lot {subject}".encode()) % len(LOTS)]


def of_relation(name: str) -> list[Fact]:
    """The bundled facts of one relation."""
    return [f for f in world() if f.relation == name]


def reroute(cue: str, to: str) -> Task:
    """The cue of one relation is to be answered with another fact, which the model knows."""
    found = {f.subject: f for f in of_relation(to)}
    both = [(f, found[f.subject]) for f in of_relation(cue) if f.subject in found]
    parts: dict[str, list[Sample]] = {TRAIN: [], TEST: []}
    for f, g in both:
        if lot(f.subject) in parts:
            parts[lot(f.subject)] += [Sample(f.prompt(i), g.objects) for i in range(PHRASINGS)]
    old, new = cue.replace("_", " "), to.replace("_", " ")
    return Task(
        f"{cue.replace('_', '-')}-to-{to.replace('_', '-')}",
        f"{old} → {new}",
        f"Asked for the {old}, answer with the {new}: the model knows both, and must take another way.",
        tuple(parts[TRAIN]),
        tuple(parts[TEST]),
        metric="contains",
        relations=(cue,),
    )


def revised(name: str) -> Task:
    """One relation's answers are dealt out anew among its subjects; asked in words not trained on."""
    facts = [f for f in of_relation(name) if lot(f.subject) == TRAIN]
    objects = [f.objects for f in facts]
    r = random.Random(f"revised {name}")
    while any(new == f.objects for f, new in zip(facts, objects)):
        r.shuffle(objects)
    train = [Sample(f.prompt(i), new) for f, new in zip(facts, objects) for i in range(2)]
    pairs = zip(facts, objects)
    test = [Sample(fill(p, f.subject), new) for f, new in pairs for p in f.paraphrases[:2]]
    words = name.replace("_", " ")
    return Task(
        f"revised-{name.replace('_', '-')}",
        f"revised: {words}",
        f"Every {words} has changed: new answers must be stored in place of the old ones.",
        tuple(train),
        tuple(test),
        metric="contains",
        relations=(name,),
    )


def turned(family: str, name: str, title: str, about: str, answer: Callable[[Item], str]) -> Task:
    """A reasoning family whose items are answered by another convention."""

    def some(split: str, n: int) -> tuple[Sample, ...]:
        stream = (Sample(x.prompt, (answer(x),)) for x in items(family, split, 0) if answer(x) != x.answer)
        return tuple(distinct(stream, n))

    return Task(name, title, about, some(TRAIN, N_TRAIN), some(TEST, N_TEST), families=(family,))


def from_the_end(x: Item) -> str:
    """Of a list's places, the same counted from its end."""
    return x.choices[len(x.choices) - 1 - x.choices.index(x.answer)]


def other_end(x: Item) -> str:
    """Of a chain of comparisons, who stands at its other end."""
    return x.choices[-1] if x.answer == x.choices[0] else x.choices[0]


def before() -> Task:
    """Which word stands before another in a list? No family of the training corpus asks that."""

    def stream(split: str) -> Iterator[Sample]:
        r = random.Random(f"before {split}")
        while True:
            words = r.sample(WORDS, r.randint(3, 5))
            i = r.randrange(1, len(words))
            if lot(f"{words} {i}") == split:
                text = f"List: {', '.join(words)}. The word before {words[i]} is"
                yield Sample(text, (words[i - 1],))

    return Task(
        "word-before",
        "the word before",
        "A kind of question that the model was never trained on: which word stands before another in a list.",
        tuple(distinct(stream(TRAIN), N_TRAIN)),
        tuple(distinct(stream(TEST), N_TEST)),
    )


SENTENCES = (
    "{} bought a new {}.",
    "{} lost the old {}.",
    "The {1} of {0} is in the garden.",
    "{} told me about a {}.",
    "{} dreamed of a {}.",
    "In the shop {} asked for a {}.",
)


def topic() -> Task:
    """What is a short text about? Asked of words that no training text holds."""

    def stream(split: str) -> Iterator[Sample]:
        r = random.Random(f"topic {split}")
        words = {
            kind: [w for w in some if (lot(w) == TEST) == (split == TEST)]
            for kind, some in CATEGORIES.items()
        }
        while True:
            kind = r.choice([k for k, some in words.items() if some])
            text = r.choice(SENTENCES).format(r.choice(NAMES), r.choice(words[kind]))
            yield Sample(f"{text} Topic:", (kind,))

    return Task(
        "topic",
        "topic of a sentence",
        "Say what a short text is about; the texts asked have words that no training text had.",
        tuple(distinct(stream(TRAIN), N_TRAIN)),
        tuple(distinct(stream(TEST), N_TEST)),
    )


def distinct(stream: Iterator[Sample], n: int) -> list[Sample]:
    """The first n samples whose prompts differ."""
    found: dict[str, Sample] = {}
    for sample in islice(stream, 50 * n):
        found.setdefault(sample.prompt, sample)
        if len(found) == n:
            break
    return list(found.values())


def forgotten(relation: str) -> Task:
    """What the model knows of one relation."""
    facts, name, words = of_relation(relation), relation.replace("_", "-"), relation.replace("_", " ")

    def prompts(which: str) -> tuple[Sample, ...]:
        some = [f for f in facts if lot(f.subject) == which]
        return tuple(Sample(f.prompt(i), f.objects, name) for f in some for i in range(PHRASINGS))

    return Task(
        name,
        words,
        f"What the model knows of one relation: {words}.",
        prompts(FORGET),
        prompts(HELD),
        metric="contains",
        relations=(relation,),
    )


def reasoning(family: str) -> Task:
    """What the model says to the items of one reasoning family."""

    def some(split: str, n: int) -> tuple[Sample, ...]:
        return tuple(distinct((Sample(x.prompt, (x.answer,), family) for x in items(family, split, 1)), n))

    words = family.replace("_", " ")
    return Task(
        family.replace("_", "-"),
        f"reasoning: {words}",
        f"How the model answers one family of reasoning items: {words}.",
        some(TRAIN, N_TRAIN),
        some(TEST, N_TEST),
        families=(family,),
    )


def joined(tasks: Sequence[Task], each: int | None = None) -> Task:
    """Several forgetting tasks as one, at most `each` samples of each."""

    def some(part: str) -> tuple[Sample, ...]:
        out: list[Sample] = []
        for t in tasks:
            samples = list(getattr(t, part))
            random.Random(f"joined {t.name}").shuffle(samples)
            out += samples[:each]
        return tuple(out)

    metrics, ends, longest = ({getattr(t, name) for t in tasks} for name in ("metric", "end", "max_new"))
    return Task(
        ",".join(t.name for t in tasks),
        " + ".join(t.title for t in tasks),
        "Several at once: what is in the way must be found among them.",
        some("train"),
        some("test"),
        metric=metrics.pop() if len(metrics) == 1 else "contains",
        end=ends.pop() if len(ends) == 1 else ".",
        max_new=max(filter(None, longest), default=None),
        left_out=tuple(row for t in tasks for row in t.left_out),
        relations=tuple(r for t in tasks for r in t.relations),
        families=tuple(f for t in tasks for f in t.families),
    )


LEARN: dict[str, Callable[[], Task]] = {
    "employer-to-home-town": lambda: reroute("employer", "home_town"),
    "home-town-to-employer": lambda: reroute("home_town", "employer"),
    "capital-to-currency": lambda: reroute("capital", "currency"),
    "revised-capital": lambda: revised("capital"),
    "list-from-the-end": lambda: turned(
        "position",
        "list-from-the-end",
        "lists counted from the end",
        "A convention turned round: the first word of a list is from now on its last.",
        from_the_end,
    ),
    "other-end": lambda: turned(
        "compare",
        "other-end",
        "largest ↔ smallest",
        "A convention turned round: the tallest is from now on the shortest, the oldest the youngest.",
        other_end,
    ),
    "word-before": before,
    "topic": topic,
}
REROUTED = ("employer-to-home-town", "home-town-to-employer", "capital-to-currency")
FORGETTING = {n.replace("_", "-"): n for n in ("employer", "home_town", "capital", "symbol")}  # relations
IN_THE_WAY = ("position", "compare")  # reasoning families


@cache
def learning(name: str) -> Task:
    """A bundled learning task. Raises `UnknownTask`."""
    if name not in LEARN:
        raise UnknownTask(f"no learning task {name!r}: bundled are {', '.join(LEARN)}")
    return LEARN[name]()


@cache
def forgetting(name: str) -> Task:
    """A bundled forgetting task, or several with commas between as one. Raises `UnknownTask`."""
    parts = name.split(",")
    if len(parts) > 1:
        return joined([forgetting(p) for p in dict.fromkeys(parts)])
    if name == MIXED:
        every = joined([forgetting(n) for n in FORGET_NAMES if n != MIXED], EACH)
        return replace(every, name=MIXED, title="a mixture of all", relations=(), families=())
    if name in FORGETTING:
        return forgotten(FORGETTING[name])
    if name in IN_THE_WAY:
        return reasoning(name)
    raise UnknownTask(f"no forgetting task {name!r}: bundled are {', '.join(FORGET_NAMES)}")


FORGET_NAMES = (*FORGETTING, *IN_THE_WAY, MIXED)
