"""On how many GPUs a model is put; and that one on two devices does all as one in one piece."""

import subprocess
import sys
from pathlib import Path

import families
import pytest
import torch
from transformers import AutoModelForCausalLM

from unlearning.models import spread as spreading
from unlearning.models.hub import ROOM, NoModel, free_memory
from unlearning.models.loading import load
from unlearning.models.spread import shared_out

HERE = Path(__file__).resolve().parent


@pytest.mark.slow
def test_a_split_model_does_all_as_one_in_one_piece():
    run = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(HERE / "split_models.py")]
    done = subprocess.run(run, capture_output=True, text=True, cwd=HERE.parents[1])
    assert done.returncode == 0, done.stdout[-10_000:]


@pytest.fixture
def empty():
    """A Llama of 24 layers, without weights; and how many bytes it needs."""
    config = families.configs()["llama"]
    config.num_hidden_layers, config.vocab_size = 24, 64  # as in a large one, the layers are most of it
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    size = sum(x.numel() * x.element_size() for x in (*model.parameters(), *model.buffers()))
    return model, int(ROOM * size)


def test_a_model_that_one_gpu_holds_is_put_on_the_first_that_does(empty):
    model, needed = empty
    asked: list[int] = []
    each = (asked.append(i) or room for i, room in enumerate((needed - 1, needed, 9 * needed)))
    assert shared_out(model, each) == "cuda:1" and asked == [0, 1]  # the third is not even asked


@pytest.mark.parametrize("shares", [(0.9, 0.9), (0.6, 0.6), (0.4, 0.5, 0.4), (0.25, 0.95), (0.95, 0.25)])
def test_else_its_layers_are_shared_out_in_turn_and_none_gets_more_than_is_free(empty, shares):
    model, needed = empty
    rooms = [int(share * needed) for share in shares]
    found = shared_out(model, rooms)
    held = dict.fromkeys(range(len(rooms)), 0)
    for name, p in model.named_parameters():
        (gpu,) = {i for path, i in found.items() if name.startswith(f"{path}.")}  # each has one place
        held[gpu] += ROOM * p.numel() * p.element_size()
    assert all(0 < held[i] <= room for i, room in enumerate(rooms))
    layers = [found[f"model.layers.{i}"] for i in range(24)]
    assert layers == sorted(layers) and found["model.embed_tokens"] == 0


def test_what_they_do_not_hold_together_is_refused_with_what_is_needed_and_free(empty, monkeypatch):
    model, needed = empty
    monkeypatch.setattr(spreading, "GIB", 2**10)  # a small model's KiB stand for them
    for shares in ((0.4, 0.4), (0.1,) * 8, (0.9,)):
        rooms = [int(share * needed) for share in shares]
        with pytest.raises(NoModel) as error:
            shared_out(model, rooms)
        said = f"needs {needed / 2**10:.1f} GiB on GPUs, and {sum(rooms) / 2**10:.1f} GiB are free"
        assert said in str(error.value) and " + ".join(f"{r / 2**10:.1f}" for r in rooms) in str(error.value)


@pytest.fixture
def gpus(monkeypatch):
    """Say how much is free on how many GPUs; what is asked of transformers, then, comes back, not done."""

    def there(*free: int) -> list[dict]:
        asked: list[dict] = []

        class Loaded:
            def to(self, device):
                asked[-1]["to"] = device
                raise InterruptedError

            def eval(self):
                raise EOFError

        monkeypatch.setattr(torch.cuda, "is_available", lambda: bool(free))
        monkeypatch.setattr(torch.cuda, "device_count", lambda: len(free))
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda i: (free[i], 10**12))
        info = {"missing_keys": set(), "mismatched_keys": set()}
        monkeypatch.setattr(
            AutoModelForCausalLM, "from_pretrained", lambda *_, **kw: asked.append(kw) or (Loaded(), info)
        )
        return asked

    return there


@pytest.mark.parametrize(
    "device, free, to",
    [
        (None, (0,), "cuda"),  # one GPU: as ever, whatever is free
        (None, (10**9, 10**9), "cuda:0"),
        ("cuda", (0, 10**9), "cuda:1"),
        ("cuda:0", (0, 10**9), "cuda:0"),  # one that is named is taken
        ("cpu", (10**9, 10**9), "cpu"),
    ],
)
def test_a_model_goes_to_one_device_as_a_whole(made, gpus, device, free, to):
    asked = gpus(*free)
    with pytest.raises(InterruptedError):
        load(made("llama"), device)
    assert asked[0]["to"] == to and "device_map" not in asked[0]


def test_or_to_all_gpus_by_a_device_map(made, gpus):
    folder = made("llama")
    size = sum(p.numel() * 4 for p in load(folder, "cpu").model.parameters())
    asked = gpus(int(size * 0.9), int(size * 0.9))
    with pytest.raises(EOFError):
        load(folder)
    assert set(asked[0]["device_map"].values()) == {0, 1} and "to" not in asked[0]
    asked = gpus(size // 3, size // 3)
    with pytest.raises(NoModel, match="cannot be edited"):
        load(folder)
    assert not asked


def test_free_memory_is_that_of_all_gpus_unless_one_is_named(gpus, monkeypatch):
    gpus(3, 4)
    assert free_memory("cuda") == 7
    monkeypatch.setattr(torch.cuda, "mem_get_info", {"cuda:1": (4, 9)}.get)
    assert free_memory("cuda:1") == 4
