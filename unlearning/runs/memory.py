"""When memory runs out: give back what can be given back, and say what would fit instead."""

import ctypes
import gc
import re
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..models.loading import LM

GIB = 2**30
M_ARENA_MAX = -8  # of glibc's malloc.h
SPARE = 0.9  # of what is free; the rest is lost between blocks
UNITS = {"bytes": 1, "KiB": 2**10, "MiB": 2**20, "GiB": GIB}


class NoRoom(RuntimeError):
    """Memory ran out; the message says what would fit, in plain words."""


def is_shortage(error: BaseException) -> bool:
    """Is this a lack of memory, on a GPU or not?"""
    names = {base.__name__ for base in type(error).__mro__}
    return bool(names & {"OutOfMemoryError", "MemoryError"}) or "DefaultCPUAllocator" in str(error)


@dataclass(frozen=True)
class Use:
    """Bytes on a GPU: `rest` while nothing is done, `peak` reached by a run, `free` for one."""

    rest: int
    peak: int
    free: int

    @property
    def part(self) -> float:
        """What a run used, of what is free for one."""
        return (self.peak - self.rest) / max(1, self.free)


def watch(lm: "LM") -> None:
    """Count the peak from now on. On a CPU nothing is counted."""
    import torch

    for device in lm.devices:
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)


def give_back() -> None:
    """Let go of what nobody holds any more. To be called outside an `except`: that still holds the frames."""
    gc.collect()  # an error can be in a cycle with the frames that hold tensors
    torch = sys.modules.get("torch")  # not imported: nothing to empty
    if torch and torch.cuda.is_initialized():
        torch.cuda.empty_cache()
    trim()


def trim() -> None:
    """Hand the system what was freed: glibc holds on to it."""
    _glibc("malloc_trim", 0)


def one_arena() -> None:
    """Let all threads share one of glibc's arenas.

    It gives every few threads one of their own, and each keeps what was ever used in it.
    """
    _glibc("mallopt", M_ARENA_MAX, 1)


def _glibc(name: str, *args: int) -> None:
    """Call a function of the C library's allocator; other C libraries lack it, and nothing is done."""
    if sys.platform == "linux" and (function := getattr(ctypes.CDLL(None), name, None)):
        function(*args)


def use(lm: "LM") -> Use | None:
    """What a run on this model used and could have, after `give_back`; None on a CPU.

    Of several GPUs that one which would be full first.
    """
    import torch

    def of(device) -> Use:
        peak, rest = torch.cuda.max_memory_allocated(device), torch.cuda.memory_allocated(device)
        return Use(rest, peak, torch.cuda.mem_get_info(device)[0])

    return max((of(d) for d in lm.devices if d.type == "cuda"), key=lambda u: u.part, default=None)


def asked_for(text: str) -> int:
    """The bytes that an error says could not be had; 0 where it says nothing."""
    found = re.search(r"[Tt]ried to allocate ([\d.]+) (bytes|KiB|MiB|GiB)", text)
    return int(float(found[1]) * UNITS[found[2]]) if found else 0


def advice(n: int, at_once: int, used: Use | None, asked: int) -> str:
    """What to do when a wash of `n` facts found no room for a step over `at_once` of them.

    What was needed, that is used beyond rest and `asked` for last, is taken as spread evenly over the facts
    of the step. Without such figures half as many is the advice. `at_once` 0: the step is over other things.
    """
    said = f"There was not enough memory for a wash of {n:,} {'fact' if n == 1 else 'facts'}."
    fits = at_once // 2
    need = used.peak - used.rest + asked if used else 0
    if need > 0:
        said += (
            f" It needs {need / GIB:.1f} GiB or more beside the model; {used.free / GIB:.1f} GiB are free."
        )
        fits = min(fits, int(SPARE * used.free / need * at_once))
    if fits < 1:
        return f"{said} Fewer facts would not help: only a smaller model would fit."
    return f"{said} What should fit: {fits:,} {'fact' if fits == 1 else 'facts'} at once, or a smaller model."
