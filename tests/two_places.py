"""A second device on a machine that has none: its tensors lie on the CPU, but meet no tensor of the first.

torch's place for other makers' hardware is given the name "away". What is done with its tensors the CPU's
own kernels do, forwards and backwards, so that results are the same bit for bit; and as with two GPUs,
whatever takes tensors of both places raises, except what moves one to the other.
"""

from functools import cache

import torch
from accelerate import dispatch_model
from torch.utils import backend_registration
from torch.utils._python_dispatch import return_and_correct_aliasing
from torch.utils._pytree import tree_leaves, tree_map

aten = torch.ops.aten
CPU = torch.device("cpu")
MOVING = ("aten::copy_", "aten::_to_copy")


class WrongDevice(RuntimeError):
    """What torch says of tensors that are on different devices."""


class Away(torch.Tensor):
    """A tensor on the other device; `held` is the one on the CPU that it stands for."""

    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, held: torch.Tensor):
        like = {"strides": held.stride(), "storage_offset": held.storage_offset(), "dtype": held.dtype}
        made = torch.Tensor._make_wrapper_subclass(cls, held.size(), device=away(), **like)
        made.held = held
        return made

    def __deepcopy__(self, memo):
        """Of a parameter, as `trainable_copy` asks for."""
        made = torch.nn.Parameter(self.detach().clone(), self.requires_grad)
        return memo.setdefault(id(self), made)

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        tensors = [x for x in tree_leaves((args, kwargs)) if isinstance(x, torch.Tensor)]
        if func._schema.name not in MOVING and not all(isinstance(x, Away) for x in tensors):
            raise WrongDevice(f"{func} takes tensors here and away")
        there = isinstance(tensors[0], Away)
        if to := kwargs.get("device"):
            there, kwargs = to != CPU, kwargs | {"device": CPU}
        on_cpu, named = tree_map(lambda x: x.held if isinstance(x, Away) else x, (args, kwargs))
        made = func(*on_cpu, **named)
        if there:
            made = tree_map(lambda x: Away(x) if isinstance(x, torch.Tensor) else x, made)
        return return_and_correct_aliasing(func, args, kwargs, made)


@cache
def away() -> torch.device:
    """The other device; from the first call on torch knows it."""
    backend_registration._setup_privateuseone_for_python_backend("away")
    kernels, here = _kernels(), {"device": CPU}
    kernels.impl("empty.memory_format", lambda *a, **kw: Away(aten.empty.memory_format(*a, **kw | here)))
    kernels.impl("empty_strided", lambda *a, **kw: Away(aten.empty_strided(*a, **kw | here)))
    kernels.impl("_copy_from", lambda x, to, *_: (to.held.copy_(x), to)[1])
    # without a kernel of the device's own, this one is taken apart and rounds otherwise
    kernels.impl("silu_backward", lambda grad, x: Away(aten.silu_backward(grad.held, x.held)))
    return torch.device("away:0")


@cache  # kept: what it registers goes with it
def _kernels() -> torch.library.Library:
    return torch.library.Library("aten", "IMPL", "PrivateUse1")


def halves(lm) -> dict[str, torch.device]:
    """A `device_map`: the embedding and the first half of the layers here, the rest away.

    The head is with the embedding where they are one matrix, as `accelerate` has it.
    """
    a, model = lm.adapter, lm.model
    stack, n = a.layer.rsplit(".{}", 1)[0], a.n_layers(model)
    tied = model.get_output_embeddings().weight is model.get_input_embeddings().weight
    found: dict[str, torch.device] = {}

    def walk(module, path: str) -> None:
        for name, child in module.named_children():
            full = f"{path}{name}"
            if full == stack:
                found.update({a.layer.format(i): CPU if i < n / 2 else away() for i in range(n)})
            elif stack.startswith(f"{full}."):
                walk(child, f"{full}.")
            elif child.state_dict() or any(True for _ in child.buffers()):
                early = a.layer.format(0) not in found or (tied and full == a.unembedding)
                found[full] = CPU if early else away()

    walk(model, "")
    return found


def spread(lm) -> None:
    """Split a loaded model in two, with `accelerate`'s own hooks, as `device_map` does on loading."""
    skip = lm.model._skip_keys_device_placement
    dispatch_model(lm.model, halves(lm), main_device="cpu", skip_keys=skip)
    # fused attention is taken apart on a device without a kernel for it: compare with one that is not fused
    lm.model.set_attn_implementation("eager")
