"""What a wash will cost, told before it is done: seconds by phase, and memory beside the model.

The work is counted (`work.py`); how much of it the machine does in a second is measured on it
(`measure`), and set right by every run that ends (`Pace.after`).
"""

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from itertools import cycle, islice
from statistics import median

import torch

from ..facts.fact import Fact
from ..facts.world import world
from ..models.loading import LM
from ..models.text import answer_ids
from ..probes.knowledge import ask
from ..probes.opening import openings
from .contexts import build
from .experiment import Sizes
from .settings import Settings, settings_for
from .statistics import Statistics
from .targets import find
from .update import solve
from .wash import expand
from .work import Count, Missing, Shape, Work

PHASES = ("statistics", "known", "before", "targets", "initial", "law", "after", "curve")
ASKED, FEW, TRIED = 64, 8, 8  # facts asked for a pace; on a slow machine; whose targets are searched
ENOUGH, SURE = 0.1, 0.5  # seconds of asking that are believed of a few facts; at once of more
TOO_LONG = 2.0  # seconds of a search that is not tried
ORDER = 512  # of the matrix that is solved and multiplied with


@dataclass(frozen=True)
class Pace:
    """Operations a second, as measured.

    `letters`: characters a token. `searched`: the share of its counted work that a search for targets took;
    most are found before the last step. `off`: how many times as long as forecast the `runs` since took.
    """

    passes: float
    solves: float
    letters: float
    searched: float = 1.0
    off: float = 1.0
    runs: int = 0

    def seconds(self, work: Work) -> float:
        return self.off * (work.passes / self.passes + work.solves / self.solves)

    def after(self, forecast: float, taken: float, share: float = 0.5) -> "Pace":
        """The pace once a run took so long to its result; a share of what was off, a factor, is believed."""
        return replace(self, off=self.off * (taken / forecast) ** share, runs=self.runs + 1)


def measure(lm: LM, facts: Sequence[Fact]) -> Pace:
    """The pace now, from a few facts, known or not.

    Takes about half a second, or of long facts and on a slow machine as long as they take to be asked.
    Raises ValueError when no fact is given.
    """
    if not facts:
        raise ValueError("no facts are given")
    settings, shape, trial = settings_for(lm), Shape.of(lm), list(islice(cycle(facts), TRIED))
    with lm.lock:
        letters = letters_a_token(lm, facts)
        some, asking = _asking(lm, facts)
        C = torch.eye(ORDER, dtype=torch.float64, device=lm.device)
        solving = min(_seconds(lambda: (solve(C, C) @ C).sum().item()) for _ in range(3))
        read = Count(shape, some, settings, letters).read(len(some))
        pace = Pace(read / asking, (1 / 3 + 4) * ORDER**3 / solving, letters)
        counted = pace.seconds(Work(Count(shape, trial, settings, letters).search()))
        if counted < TOO_LONG:
            pace = replace(pace, searched=min(1.0, _searching(lm, trial, settings) / counted))
    return pace


def letters_a_token(lm: LM, facts: Sequence[Fact]) -> float:
    """Of what is asked in a wash of these facts."""
    prompts = ask([*facts[:ASKED], *world()[:: len(world()) // ASKED]])
    return sum(map(len, prompts)) / sum(map(len, lm.tokenizer(prompts)["input_ids"]))


def _asking(lm: LM, facts: Sequence[Fact]) -> tuple[list[Fact], float]:
    """Facts that were asked, and the seconds it took: more facts where a few are done at once, and thrice
    where even these are.
    """

    def seconds(some: list[Fact]) -> float:
        return _seconds(lambda: openings(lm, ask(some), [f.object for f in some]))

    few, some = (list(islice(cycle(facts), n)) for n in (FEW, ASKED))
    if seconds(few) > ENOUGH and (taken := seconds(few)) > ENOUGH:  # the first may have warmed up
        return few, taken
    once = seconds(some)
    return some, once if once > SURE else median((once, seconds(some), seconds(some)))


def _searching(lm: LM, facts: Sequence[Fact], settings: Settings) -> float:
    """Seconds of a search for targets of these facts; for end of text, where each fact has its own."""
    contexts = build(lm, facts, settings.position, settings.phrasings)
    end = settings.target in ("eos", "prior")
    goal = [[lm.tokenizer.eos_token_id]] if end else answer_ids(lm.tokenizer, [settings.target])
    essence, last = settings.position == "subject", settings.layers[-1]
    search = find(lm, contexts, facts, goal * len(facts), last, settings.targets, essence)
    return _seconds(lambda: list(search)[-1].nll.sum().item())


def _seconds(run: Callable[[], object]) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def missing(stats: Statistics, settings: Settings, on_top: bool = False) -> Missing:
    """What a run would measure of its statistics; `on_top` of a wash, all but the moments of its layer."""
    base = settings.layers[:1] if on_top else settings.layers
    kept = f"keep{settings.keep_phrasings}-{settings.position}"
    C, keep = ((*stats.missing(name, base), *settings.layers[len(base) :]) for name in ("C", kept))
    probes = stats.has("reasoning") and stats.has("perplexity")
    return Missing(on_top or not stats.has("known"), C, keep if settings.keep else (), on_top or not probes)


@dataclass(frozen=True)
class Forecast:
    """How many facts will be washed; seconds by phase; bytes beside the model.

    `exact`: False where facts of a wider scope come from the tables, of which the model may know fewer.
    """

    facts: int
    exact: bool = True
    seconds: dict[str, float] = field(default_factory=dict)
    memory: int = 0

    @property
    def result(self) -> float:
        """Seconds to the result, after which the trade-off curve follows."""
        return sum(s for phase, s in self.seconds.items() if phase != "curve")

    def said(self) -> dict:
        """What is told of it, as plain JSON."""
        said = {"facts": self.facts, "exact": self.exact, "result": self.result}
        return said | {"curve": self.seconds["curve"], "memory": self.memory}


def forecast(
    lm: LM,
    facts: Sequence[Fact],
    unknown: Collection[tuple[str, str]],
    settings: Settings,
    pace: Pace,
    stats: Statistics,
    sizes: Sizes | None = None,
    new: Missing | None = None,
) -> Forecast:
    """What it costs to wash these facts, of which the model does not know those with `unknown` keys.

    `new`: what the run has to measure, if not what `missing` says now. The model is not run.
    """
    known = stats.known if stats.has("known") else world()
    washed = [f for f in expand(facts, settings.scope, known) if f.key not in unknown]
    exact = settings.scope == "facts" or stats.has("known")
    if not washed:
        return Forecast(0, exact)
    new = missing(stats, settings) if new is None else new
    count = Count(Shape.of(lm), washed, settings, pace.letters, sizes, known, new)
    seconds = {phase: pace.seconds(getattr(count, phase)()) for phase in PHASES}
    seconds["targets"] -= (1 - pace.searched) * pace.seconds(Work(count.search()))
    return Forecast(len(washed), exact, seconds, count.memory())
