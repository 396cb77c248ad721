"""Sums over all groups of facts, block by block: in bounded memory, by several processes, resumable.

What a stage leaves on the way is G = Σ k kᵀ (f, f) and RK = Σ r kᵀ (d, f) in float64, and how many blocks are
in them. A run that was cut off reads them and goes on with the next block, and its sums are the same to the
last bit. What later layers need of each group, z (d), is kept a block at a time.
"""

import time
from collections.abc import Callable, Iterator, MutableMapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ..events import Progress
from ..models.loading import LM
from .contexts import Contexts, Groups
from .team import ALONE, Team

SHARE = 20  # writing down takes at most one part in so many of the time


@dataclass
class Blocks:
    """How a wash goes over its groups: on which model, for layers of which width, in which team.

    `kept`: what is written down, by name; a plain dict in memory where nothing has to outlive the process.
    """

    lm: LM
    kept: MutableMapping | None = None
    team: Team = ALONE
    _saved: float = field(default_factory=time.monotonic)
    _cost: float = 0.0

    def __post_init__(self):
        self.lasting = self.kept is not None
        self.kept = {} if self.kept is None else self.kept

    def sums(
        self,
        name: str,
        groups: Groups,
        layer: int,
        add: Callable[[Contexts, Tensor | None, dict[str, Tensor]], Tensor | None],
        text: str,
        needs_z: bool = False,
    ) -> Iterator[Progress]:
        """Yields progress and returns {"G", "RK", "found"} over all blocks, on the first process.

        `add(contexts, z, sums)` adds a block's share to the sums, given its z (d, groups) where it `needs_z`;
        what it returns is kept as the block's z.
        """
        at, sums = self._begin(name, layer)
        while at < len(groups):
            yield Progress(at * groups.size, groups.n, text)
            round_of = range(at, min(at + self.team.size, len(groups)))
            given = self.team.agree(self._z(round_of) if needs_z and self.team.first else None)
            mine = None
            with self.lm.lock:
                if self.team.rank < len(round_of):
                    z = given[self.team.rank] if needs_z else None
                    mine = add(groups[round_of[self.team.rank]], z, sums)
            at = round_of.stop
            for b, z in zip(round_of, self.team.gather(mine)):
                if z is not None and self.team.first:
                    self.kept[f"z-{b}"] = z
            if self.team.agree(self.lasting and (at == len(groups) or self._due())):
                self._write(name, at, sums)
        yield Progress(groups.n, groups.n, text)
        self.team.collect(sums)
        return sums

    def once(self, name: str, find: Callable[[], Tensor]) -> Tensor:
        """A tensor that the first process finds, or has kept; for all."""
        if self.team.first and name not in self.kept:
            self.kept[name] = find().cpu()
        return self.team.agree(self.kept[name] if self.team.first else None).to(self.lm.device)

    def has(self, name: str) -> bool:
        """Is it kept on the first process?"""
        return self.team.agree(self.team.first and name in self.kept)

    def drop(self, name: str) -> None:
        """It is not needed any more."""
        if self.team.first and name in self.kept:
            del self.kept[name]

    def _z(self, blocks: range) -> list[Tensor]:
        return [self.kept[f"z-{b}"] for b in blocks]

    def _begin(self, name: str, layer: int) -> tuple[int, dict[str, Tensor]]:
        d, f = self.lm.adapter.weight(self.lm.model, layer).shape
        shapes = {"G": (f, f), "RK": (d, f), "found": (1,)}
        left = self.kept[name] if self.team.first and name in self.kept else {"at": 0}
        device = self.lm.device
        sums = {k: torch.zeros(s, dtype=torch.float64, device=device) for k, s in shapes.items()}
        for k in sums.keys() & left.keys():
            sums[k].copy_(left[k])
        return self.team.agree(left["at"]), sums

    def _due(self) -> bool:
        return time.monotonic() - self._saved > SHARE * self._cost

    def _write(self, name: str, at: int, sums: dict[str, Tensor]) -> None:
        started = time.monotonic()
        self.team.collect(sums)
        if self.team.first:
            self.kept[name] = {"at": at} | {k: x.cpu() for k, x in sums.items()}
        self._saved = time.monotonic()
        self._cost = self._saved - started
