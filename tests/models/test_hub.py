"""A hub in miniature, asked by the real client: what can be had, what is refused, and why."""

from types import SimpleNamespace

import pytest
import torch
from huggingface_hub import constants
from small_hub import ID

from unlearning.events import Phase, Progress
from unlearning.models import hub
from unlearning.models.delta import Delta, applied
from unlearning.models.hub import Found, NoModel, check, fetch, is_id, needs, wanted
from unlearning.models.loading import folder_of, load


def test_a_model_is_downloaded_told_and_the_same_again_without_the_hub(online, tiny_llama, monkeypatch):
    told = []
    monkeypatch.setattr(hub, "MIB", 1000)  # the model has a tenth of a megabyte
    lm = load(ID, "cpu", show=told.append)
    assert all(torch.equal(v, lm.model.state_dict()[k]) for k, v in tiny_llama.model.state_dict().items())
    assert [e.name for e in told if isinstance(e, Phase)] == ["look", "download"]
    progress = [e for e in told if isinstance(e, Progress)]
    size = sum(p.stat().st_size for p in lm.folder.iterdir())
    assert {e.total for e in progress} == {size // 1000} and size > 100_000
    assert [e.done for e in progress] == sorted({e.done for e in progress})
    assert progress[0].done < progress[-1].done == size // 1000
    files = {path.rsplit("/", 1)[1] for path, _ in online.asked if "/resolve/" in path}
    assert "model.safetensors" in files and not files & {"evil.bin", "consolidated.safetensors"}
    assert lm.hash == tiny_llama.hash  # by the hub's name for the file, and by reading it
    name = lm.adapter.weight_name(0)
    delta = Delta({name: torch.ones_like(lm.model.state_dict()[name])}, lm.hash)
    online.refusal = (503, "")
    again = load(ID, "cpu")
    with applied(again, delta):
        assert torch.equal(again.model.state_dict()[name], lm.model.state_dict()[name] + 1)
    assert again.hash == lm.hash
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert load(ID, "cpu").hash == lm.hash


@pytest.mark.parametrize(
    "name, setup, said",
    [
        ("own/gone", {}, "own/gone is not on the hub, or is private: mind the spelling, and set HF_TOKEN"),
        (f"{ID}@older", {}, "own/tiny has no such revision"),
        (ID, {"refusal": (403, "GatedRepo")}, "is gated: accept its terms on the hub, and set HF_TOKEN"),
        (ID, {"refusal": (503, "")}, "is not here, and the hub cannot be reached"),
        (ID, {"without": (".safetensors",)}, "has no weights as safetensors"),
        (ID, {"without": ("config.json",)}, "has no config.json"),
        (ID, {"changed": {"model_type": "t5"}}, "is of the type 't5', no causal language model"),
        (
            ID,
            {"changed": {"model_type": "own", "auto_map": {}}},
            "it brings code of its own, which is never run",
        ),
        (
            ID,
            {"changed": {"model_type": "mamba"}},
            "own/tiny cannot be washed: no adapter for model type 'mamba'",
        ),
        (
            ID,
            {"changed": {"architectures": ["LlamaForSequenceClassification"]}},
            "not a causal language model",
        ),
    ],
)
def test_what_cannot_be_had_is_said_before_any_weight_is_asked_for(online, name, setup, said):
    for k, v in setup.items():
        setattr(online, k, v)
    with pytest.raises(NoModel, match=said):
        load(name, "cpu")
    assert not any(path.endswith(".safetensors") for path, _ in online.asked)


def test_without_a_network_it_is_said(online, monkeypatch):
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(NoModel, match="is not here, and the hub cannot be reached"):
        fetch(ID, "cpu")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(NoModel, match="is not here, and HF_HUB_OFFLINE is set"):
        fetch(ID, "cpu")


def test_the_token_is_the_environments_or_none(online, monkeypatch):
    monkeypatch.setattr("huggingface_hub.utils._headers.get_token", lambda: "kept elsewhere")
    fetch(ID, "cpu")
    assert {token for _, token in online.asked} == {None}
    monkeypatch.setenv("HF_TOKEN", "hf_mine")
    fetch(ID, "cpu")
    assert "Bearer hf_mine" in {token for _, token in online.asked}


def test_too_large_says_what_fits(online, monkeypatch):
    monkeypatch.setattr(hub, "free_memory", lambda device: 40_000)
    with pytest.raises(
        NoModel, match=r"needs .* GiB of memory on cpu.*what fits is a model of about 0.0 billion"
    ):
        fetch(ID, "cpu")
    found = Found("a/b", "c", (("model.safetensors", 10**18),), 5 * 10**17)
    with pytest.raises(NoModel, match="GiB on disk.*set HF_HOME"):
        check(found, "cpu")


def test_what_is_there_already_needs_no_room_on_the_disk(online, monkeypatch):
    folder = fetch(ID, "cpu")
    monkeypatch.setattr(hub.shutil, "disk_usage", lambda path: SimpleNamespace(free=0))
    assert fetch(ID, "cpu") == folder


def test_weights_are_taken_as_transformers_takes_them():
    shards = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    more = [
        "config.json",
        "model.safetensors.index.json",
        "onnx/model.safetensors",
        "adapter.safetensors",
        "x.py",
    ]
    assert wanted([*more, *shards]) == {*more[:2], *shards}
    assert wanted([*more, *shards, "model.safetensors"]) == {"config.json", "model.safetensors"}
    assert wanted(["config.json", "consolidated.safetensors", *shards]) == {"config.json"}


def test_what_an_earlier_download_had_finished_counts_as_done(online, monkeypatch):
    folder = fetch(ID, "cpu")
    size = sum(p.stat().st_size for p in folder.iterdir())
    small = folder / "tokenizer.json"
    rest = size - small.stat().st_size
    small.resolve().unlink()
    small.unlink()
    monkeypatch.setattr(hub, "MIB", 1000)
    told = []
    fetch(ID, "cpu", told.append)
    done = [e.done for e in told if isinstance(e, Progress)]
    assert rest // 1000 <= done[0] and done[-1] == size // 1000


def test_what_was_cut_off_is_not_taken_for_a_model(online, monkeypatch):
    folder = fetch(ID, "cpu")
    assert hub.cached(ID) == folder_of(ID) == folder
    (folder / "model.safetensors").unlink()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert hub.cached(ID) is None
    with pytest.raises(NoModel, match="is not here"):
        fetch(ID, "cpu")


def test_needs_by_hand():
    half = Found("a/b", "c", (("m.safetensors", 200), ("config.json", 7)), 100)
    assert (needs(half, "cpu"), needs(half, "cuda"), half.bytes) == (480, 240, 207)


@pytest.mark.parametrize(
    "name", ["a", "a/b/c", "../b", "a/..", "-a/b", "a/b@", "a/b@../c", "a--b/c", "http://a/b", "a/b c"]
)
def test_what_is_no_id(name):
    assert not is_id(name)


def test_what_is_an_id():
    assert all(map(is_id, ["gpt2/x", "Qwen/Qwen2.5-0.5B", "EleutherAI/pythia-70m@step3000", "a/b@refs/pr/1"]))
