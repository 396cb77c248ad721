"""The processes that share a wash, on one machine or several: `accelerate launch -m unlearning wash …`.

Blocks of facts are dealt out in turn; the sums over them come together on the first process, which alone
measures, solves and writes. All of it goes through gloo on the CPU: what is exchanged is small beside the
work, f × f numbers a few times a layer.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

from torch import Tensor

T = TypeVar("T")
SIZES = ("WORLD_SIZE", "OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MV2_COMM_WORLD_SIZE")  # of torchrun, of MPI
PATIENCE = timedelta(days=1)  # that the others wait while the first measures or solves


@dataclass(frozen=True)
class Team:
    """This process's number among `size`, and the group they talk in. One alone talks to nobody."""

    rank: int = 0
    size: int = 1
    group: Any = None

    @property
    def first(self) -> bool:
        """Is this the process that measures, solves and writes?"""
        return self.rank == 0

    def agree(self, value: T) -> T:
        """The first process's value, for all."""
        if self.size == 1:
            return value
        import torch.distributed as dist

        box = [value]
        dist.broadcast_object_list(box, src=0, group=self.group)
        return box[0]

    def gather(self, value: T) -> list[T]:
        """Every process's value, in their order, for all."""
        if self.size == 1:
            return [value]
        import torch.distributed as dist

        values: list = [None] * self.size
        dist.all_gather_object(values, value, group=self.group)
        return values

    def collect(self, sums: dict[str, Tensor]) -> None:
        """Add what the others have summed to the first process's sums, in place; theirs are then zero."""
        if self.size == 1:
            return
        import torch.distributed as dist

        for x in sums.values():
            total = x.cpu().contiguous()
            dist.reduce(total, dst=0, group=self.group)
            x.copy_(total) if self.first else x.zero_()

    def map(self, work: Callable[[Sequence[T]], list], items: Sequence[T], size: int = 1024) -> list:
        """What `work` gives for the items, `size` of them at a time, the parts dealt out in turn; for all."""
        parts = [items[at : at + size] for at in range(0, len(items), size)]
        mine = [work(p) for p in parts[self.rank :: self.size]]
        dealt = [iter(given) for given in self.gather(mine)]
        return [x for i in range(len(parts)) for x in next(dealt[i % self.size])]


ALONE = Team()


def team() -> tuple[Team, str | None]:
    """The team that this process was launched into, and the device it was given; alone, no device is."""
    if all(os.environ.get(name, "1") == "1" for name in SIZES):
        return ALONE, None
    import torch
    import torch.distributed as dist
    from accelerate import PartialState

    state = PartialState(cpu=not torch.cuda.is_available())  # unless told so, it ignores a team without GPUs
    group = dist.new_group(backend="gloo", timeout=PATIENCE)
    device = "cpu" if state.device.type == "cpu" else str(state.device)  # a CPU has no number
    return Team(state.process_index, state.num_processes, group), device
