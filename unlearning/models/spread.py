"""On which GPUs a model's weights lie: on one, or where none holds them alone, on all, some layers on each.

They are never put off to the CPU or a disk: an edit and its undo want them where they are.
"""

from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

from .hub import GIB, ROOM, NoModel

Places = str | dict[str, int]  # one device; or of each module, by its name, the GPU's number


def places(folder: Path, dtype) -> Places:
    """Where `load` puts the model of a folder that may be on any GPU. Raises `NoModel`."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    if torch.cuda.device_count() < 2:
        return "cuda"
    config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    with torch.device("meta"):
        empty = AutoModelForCausalLM.from_config(config, dtype=config.dtype if dtype == "auto" else dtype)
    return shared_out(empty, free_each())


def free_each() -> Iterator[int]:
    """Free bytes of each GPU. One that is asked holds some hundred MB from then on, so they come as asked."""
    import torch

    return (torch.cuda.mem_get_info(i)[0] for i in range(torch.cuda.device_count()))


def shared_out(model, free: Iterable[int]) -> Places:
    """Places of a model built without weights, on GPUs of so many free bytes each.

    The first that holds it, with the room that a model takes beside its weights (`hub.ROOM`); else all, in
    turn and about as much on each, no layer on two. The embedding's GPU is where everything else is held.
    Raises `NoModel` where that is not enough.
    """
    from accelerate import infer_auto_device_map
    from accelerate.utils import get_balanced_memory

    needed = int(ROOM * sum(x.numel() * x.element_size() for x in chain(model.parameters(), model.buffers())))
    rooms: list[int] = []
    for i, room in enumerate(free):
        if needed <= room:
            return f"cuda:{i}"
        rooms.append(room)
    whole = list(model._no_split_modules)  # the layers' classes
    most = {i: int(room / ROOM) for i, room in enumerate(rooms)}
    for memory in (get_balanced_memory(model, dict(most), whole), most):
        found = infer_auto_device_map(model, dict(memory), whole)
        if set(found.values()) <= set(most):
            return found
    each = " + ".join(f"{room / GIB:.1f}" for room in rooms)
    raise NoModel(
        f"the model needs {needed / GIB:.1f} GiB on GPUs, and {sum(rooms) / GIB:.1f} GiB are free ({each}), "
        "no layer to be split. Weights that are put off to the CPU or a disk cannot be edited: take a "
        "smaller model, or let CUDA_VISIBLE_DEVICES name more GPUs"
    )
