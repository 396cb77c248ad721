"""Look into a forward pass, or change it; every hook is taken off again when its `with` block ends.

`home`: the device that what is seen is brought to, and changed on, where a model's layers are on several.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class Stop(Exception):
    """Raised inside a forward pass to end it early; caught by `until`."""


@contextmanager
def inputs_of(
    modules: dict[int, nn.Module], stop_after: int | None = None, home: torch.device | None = None
) -> Iterator[dict[int, Tensor]]:
    """Fill a dict with the first input of each module; end the pass after module `stop_after`, if given."""
    seen: dict[int, Tensor] = {}

    def hook_for(i):
        def hook(module, args):
            seen[i] = args[0].to(home or args[0].device)
            if i == stop_after:
                raise Stop

        return hook

    handles = [m.register_forward_pre_hook(hook_for(i)) for i, m in modules.items()]
    try:
        yield seen
    except Stop:
        pass
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def outputs_of(
    modules: dict[int, nn.Module], home: torch.device | None = None
) -> Iterator[dict[int, Tensor]]:
    """Fill a dict with the output (the hidden state, where it is a tuple) of each module."""
    seen: dict[int, Tensor] = {}

    def hook_for(i):
        def hook(_, __, out):
            h = hidden(out)
            seen[i] = h.to(home or h.device)

        return hook

    handles = [m.register_forward_hook(hook_for(i)) for i, m in modules.items()]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def changed(
    module: nn.Module, change: Callable[[Tensor], Tensor], home: torch.device | None = None
) -> Iterator[None]:
    """Within the block the module's output h becomes change(h)."""

    def hook(_, __, out):
        h = hidden(out)
        new = change(h.to(home or h.device)).to(h.device)
        return (new, *out[1:]) if isinstance(out, tuple) else new

    handle = module.register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def calls_of(modules: list[nn.Module]) -> Iterator[list[tuple[tuple, dict]]]:
    """Fill a list with the (args, kwargs) each module was called with, in order, for running it again."""
    calls: list[tuple[tuple, dict]] = []
    handles = [
        m.register_forward_pre_hook(lambda _, args, kwargs: calls.append((args, kwargs)), with_kwargs=True)
        for m in modules
    ]
    try:
        yield calls
    finally:
        for handle in handles:
            handle.remove()


def hidden(out) -> Tensor:
    """The hidden state in what a decoder layer returned."""
    return out[0] if isinstance(out, tuple) else out
