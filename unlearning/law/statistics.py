"""What a wash must know about a model before any fact is named; measured once, kept in memory and on disk.

- which of the bundled facts the model knows;
- C of each layer over ordinary text;
- C_keep of each layer: the same mean over the keys of known facts to protect.

No figure is measured on what the engine was told to keep: by a hash, an eighth of the known facts is
only ever scored, and of the washed facts' subjects half of what else is known. The rest is protected.
"""

import hashlib
import json
import zlib
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from ..events import Progress
from ..facts.fact import Fact
from ..facts.world import world
from ..models.cache import kept_folder, kept_tensors
from ..models.loading import LM
from ..probes.knowledge import ask, judged
from ..probes.opening import Judged
from ..steps import step
from .contexts import gram
from .moments import until_converged
from .ordinary import BUNDLED, Text, text_for

AT_ONCE = 1024  # facts asked between two words of how far it is
FORM = "2"  # the folder of what is kept: another whenever names or meanings of its tensors change
CONVERGED = 0.02  # by how much twice as many tokens may change C, relative, where it may end early


def scored(washed: Sequence[Fact], known: Sequence[Fact]) -> list[Fact]:
    """The known facts that are asked after these were washed, and so are in no keep set."""
    gone, subjects = {f.key for f in washed}, {f.subject for f in washed}
    return [f for f in known if f.key not in gone and _lot(f) % (2 if f.subject in subjects else 8) == 0]


def _lot(fact: Fact) -> int:
    return zlib.crc32("|".join(fact.key).encode())


class Statistics:
    """Measured on demand. `tokens` of ordinary text go into C."""

    def __init__(self, lm: LM, tokens: int = 16_000):
        self.lm, self.tokens = lm, tokens
        self._moments: dict[tuple[str, str, int], Tensor] = {}
        self._remembered: dict[tuple[str, str], list] = {}
        self._notes: dict[tuple, Tensor] = {}  # what was found beside moments, by kind and layers

    @cached_property
    def text(self) -> Text:
        """Ordinary text, and where it is from."""
        return text_for(self.lm, self.tokens, self._folder() / f"own-{self.tokens}.json")

    @property
    def texts(self) -> tuple[str, ...]:
        return self.text.texts

    @cached_property
    def known(self) -> list[Fact]:
        """The bundled facts that the model answers (step 1 of LAW)."""
        return [f for f, j in self.asked.items() if j.right]

    @cached_property
    def asked(self) -> dict[Fact, Judged]:
        """What the model answers to the bundled facts."""
        facts = world()
        what = "|".join("|".join((*f.key, *f.objects)) for f in facts)
        found = self._cached("known", what, lambda: _as_tensors(_answers(self.lm, facts)))
        return dict(zip(facts, _as_judged(found), strict=True))

    def said(self, facts: Sequence[Fact]) -> list[str]:
        """What the model answered when it was asked what it knows; "" of a fact that was not among that."""
        answers = vars(self).get("asked", {})
        return [answers[f].said if f in answers else "" for f in facts]

    def answers(self, name: str, asked: Sequence[str], measure: Callable[[], list[Judged]]) -> list[Judged]:
        """Answers that `measure` gives for the base model to these prompts: measured once, then kept."""
        return self._once(name, asked, lambda: _as_tensors(measure()), _as_judged)

    def once(self, name: str, asked: Sequence[str], measure: Callable[[], list]) -> list[float]:
        """Numbers that `measure` gives for the base model on these texts: measured once, then remembered."""

        def numbers() -> dict[str, Tensor]:
            return {name: torch.tensor(measure(), dtype=torch.float64)}

        return self._once(name, asked, numbers, lambda found: found[name].tolist())

    def _once(
        self, name: str, asked: Sequence[str], measure, read: Callable[[dict[str, Tensor]], list]
    ) -> list:
        """What `read` makes of the tensors that `measure` gives for these texts: measured and read once."""
        what = _digest(asked)
        if (name, what) not in self._remembered:
            self._remembered[name, what] = read(self._cached(f"{name}-{what[:8]}", what, measure))
        return self._remembered[name, what]

    def C(self, layers: Sequence[int]) -> dict[int, Tensor]:
        """E[k kᵀ] (f, f), float64, of each layer; how it was measured is in `measured` then."""
        tolerance = 0.0 if self.text.source == BUNDLED else CONVERGED
        what = f"{self.tokens} {tolerance} {_digest(self.texts)}"

        def measure(new: Sequence[int]) -> dict:
            found = until_converged(self.lm, self.texts, new, self.tokens, tolerance)
            return found.C | {
                "tokens": torch.tensor(found.tokens),
                "converged": torch.tensor(found.converged),
            }

        return self._per_layer("C", what, layers, measure)

    def measured(self) -> dict:
        """Of C: the text's source, over how many tokens (of any layer, the fewest), and if it converged."""
        tokens, converged = (
            min((n.item() for (kind, *_), n in self._notes.items() if kind == name), default=0)
            for name in ("tokens", "converged")
        )
        return {"source": self.text.source, "tokens": int(tokens), "converged": bool(converged)}

    def keep_facts(self, washed: Sequence[Fact]) -> list[Fact]:
        """What the model knows, without what is washed and what is scored."""
        out = {f.key for f in (*washed, *scored(washed, self.known))}
        return [f for f in self.known if f.key not in out]

    def _protected(self) -> list[Fact]:
        """The keep set when nothing is washed: measured once, and the base of every other."""
        return self.keep_facts([])

    def C_keep(
        self,
        layers: Sequence[int],
        position: str,
        washed: Sequence[Fact],
        phrasings: int = 3,
        G: dict[int, Tensor] | None = None,
    ) -> dict[int, Tensor]:
        """Second moment (f, f) of the keep set's keys at the lookup token, for `phrasings` of each fact.

        It is that of all that is kept when nothing is washed, less what is not kept with these washed.
        `G`: where it is at hand, K Kᵀ (f, f) of the washed facts' bare phrasings, as many, of each layer.
        Zero where the model knows none of the bundled facts.
        """
        everything = self._protected()

        def sums(facts: Sequence[Fact], which: Sequence[int]) -> dict[int, Tensor]:
            return gram(self.lm, facts, position, phrasings, which) if facts else {}

        if not everything:  # a model that knows nothing of the bundled world has nothing to protect
            widths = {i: self.lm.adapter.weight(self.lm.model, i).shape[1] for i in layers}
            return {
                i: torch.zeros(f, f, dtype=torch.float64, device=self.lm.device) for i, f in widths.items()
            }
        what = f"{position} {phrasings} {_digest(repr(f) for f in everything)}"
        name = f"keep{phrasings}-{position}"
        total = self._per_layer(name, what, layers, lambda new: sums(everything, new))
        kept, gone, base = set(self.keep_facts(washed)), set(washed), set(everything)
        taken_out = [f for f in everything if f not in kept]
        never_in = [f for f in washed if f not in base]
        n = sum(min(phrasings, len(f.prompts)) if position == "prompt" else 1 for f in kept)
        with self.lm.lock:
            if G and 2 * len(never_in) < len(gone) == len(washed):  # most of what is taken out is in G, once
                more, back = sums([f for f in taken_out if f not in gone], layers), sums(never_in, layers)
                less = {i: G[i] + more.get(i, 0.0) - back.get(i, 0.0) for i in layers}
            else:
                less = sums(taken_out, layers)
        return {i: (total[i] - less.get(i, 0.0)) / max(1, n) for i in layers}

    def has(self, name: str) -> bool:
        """Are the known facts, or numbers of this name for whatever texts, in memory or on disk?"""
        there = name in vars(self) or any(name == kept for kept, _ in self._remembered)
        return there or any(self._folder().glob(f"{name}[-.]*safetensors"))

    def missing(self, name: str, layers: Sequence[int]) -> list[int]:
        """The layers whose moments of this name, such as "C", are neither in memory nor on disk."""
        new = [i for i in layers if not any((name, i) == (kept, j) for kept, _, j in self._moments)]
        return [] if (self._folder() / f"{_of_layers(name, new)}.safetensors").exists() else new

    def _per_layer(self, name: str, what: str, layers: Sequence[int], measure) -> dict[int, Tensor]:
        new = [i for i in layers if (name, what, i) not in self._moments]
        if new:
            found = self._cached(
                _of_layers(name, new), what, lambda: {str(i): m.float() for i, m in measure(new).items()}
            )
            self._moments |= {(name, what, i): found[str(i)].double().to(self.lm.device) for i in new}
            self._notes |= {(k, *new): x for k, x in found.items() if not k.isdigit()}
        return {i: self._moments[name, what, i] for i in layers}

    def _folder(self) -> Path:
        return kept_folder(self.lm) / FORM

    def _cached(self, name: str, what: str, measure) -> dict[str, Tensor]:
        """From disk when it was measured on this very model and input; a damaged file is measured anew."""
        dtype = str(next(self.lm.model.parameters()).dtype)
        key = hashlib.sha256(f"{self.lm.identity} {dtype} {name} {what}".encode()).hexdigest()

        def alone() -> dict[str, Tensor]:
            with self.lm.lock:
                return measure()

        return kept_tensors(self._folder() / f"{name}.safetensors", key, alone)


def _answers(lm: LM, facts: Sequence[Fact]) -> list[Judged]:
    """What the model answers to many facts, telling how many it was asked."""
    found: list[Judged] = []
    for at in range(0, len(facts), AT_ONCE):
        step(Progress(at, len(facts), "of the bundled facts"))
        some = facts[at : at + AT_ONCE]
        found += judged(lm, ask(some), some)
    return found


def _as_tensors(answers: Sequence[Judged]) -> dict[str, Tensor]:
    said = json.dumps([j.said for j in answers]).encode()
    right = torch.tensor([j.right for j in answers], dtype=torch.bool)
    return {"right": right, "said": torch.tensor(list(said), dtype=torch.uint8)}


def _as_judged(tensors: dict[str, Tensor]) -> list[Judged]:
    said = json.loads(tensors["said"].numpy().tobytes())
    return [Judged(right, text) for right, text in zip(tensors["right"].tolist(), said, strict=True)]


def _of_layers(name: str, layers: Sequence[int]) -> str:
    return f"{name}-{'-'.join(map(str, layers))}"


def _digest(texts: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()


class AfterWash(Statistics):
    """Those of a model with deltas on (`models.delta.edited`), in memory only.

    An edit of layer l's down-projection does not reach the keys of layers up to l: theirs are the base's.
    """

    def __init__(self, lm: LM, base: Statistics, layers: Sequence[int]):
        """`layers`: those that the deltas edit."""
        super().__init__(lm, base.tokens)
        self._base, self._first = base, min(layers)

    @cached_property
    def asked(self) -> dict[Fact, Judged]:
        """What this model answers to the facts that the base knows."""
        facts = self._base.known
        with self.lm.lock:
            return dict(zip(facts, _answers(self.lm, facts), strict=True))

    @property
    def text(self) -> Text:
        return self._base.text

    def measured(self) -> dict:
        return self._base.measured() if not self._notes else super().measured()

    def _protected(self) -> list[Fact]:
        return self._base.keep_facts([])

    def _per_layer(self, name: str, what: str, layers: Sequence[int], measure) -> dict[int, Tensor]:
        same = [i for i in layers if i <= self._first]
        rest = [i for i in layers if i > self._first]
        found = self._base._per_layer(name, what, same, measure) if same else {}
        return found | (super()._per_layer(name, what, rest, measure) if rest else {})

    def _cached(self, name: str, what: str, measure) -> dict[str, Tensor]:
        with self.lm.lock:
            return measure()


KEPT = 4  # models whose statistics stay in memory, the least recently used going first
_statistics: OrderedDict[str, Statistics] = OrderedDict()


def statistics(lm: LM, tokens: int = 16_000) -> Statistics:
    """The one `Statistics` of a model."""
    key = f"{lm.identity} {tokens} {id(lm)}"
    if key not in _statistics:
        _statistics[key] = Statistics(lm, tokens)
    _statistics.move_to_end(key)
    while len(_statistics) > KEPT:
        _statistics.popitem(last=False)
    return _statistics[key]
