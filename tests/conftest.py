"""Settings that gradio and the hub client read once, when first imported; so they come before any import."""

import os

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ["GRADIO_IS_E2E_TEST"] = "1"
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["LETHE_TEXT"] = "bundled"  # for models that the tests make, too
os.environ["OMP_NUM_THREADS"] = "1"  # each process has a core; threads that wait for one another have none
os.environ["TOKENIZERS_PARALLELISM"] = "false"

from pathlib import Path  # noqa: E402

import hypothesis  # noqa: E402
import pytest  # noqa: E402

hypothesis.settings.register_profile("lethe", deadline=None)  # how busy the machine is must not decide
hypothesis.settings.load_profile("lethe")


def pytest_collection_modifyitems(items):
    """Files with long tests come first, so that two processes end at about the same time."""
    long = {item.path for item in items for mark in ("browser", "slow") if item.get_closest_marker(mark)}
    items.sort(key=lambda item: item.path not in long)


@pytest.fixture(scope="session")
def tiny_tokenizer():
    """A byte-level tokenizer of 512 tokens, trained on a few documents of the corpus."""
    from unlearning.pretrain.corpus import Corpus, join
    from unlearning.pretrain.tokenizer import train_tokenizer

    shares = {"fact": 0.4, "reason": 0.4, "filler": 0.06, "echo": 0.14}
    pool = Corpus(0).pool(0, 200, {("share", kind): share for kind, share in shares.items()})
    return train_tokenizer(map(join, pool), 512)


def _tiny(model, tokenizer, folder: Path):
    import torch

    from unlearning.models.loading import load

    torch.set_num_threads(1)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return load(str(folder), device="cpu")


@pytest.fixture(scope="session")
def tiny_llama(tiny_tokenizer, tmp_path_factory):
    """An `LM` that knows nothing: random Llama, 2 layers, width 32, loaded from its folder."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tiny_tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=256,
        initializer_range=0.3,  # wide, so that it says many different things, each without a near tie
        bos_token_id=0,
        eos_token_id=0,
        pad_token_id=1,
    )
    return _tiny(LlamaForCausalLM(config), tiny_tokenizer, tmp_path_factory.mktemp("tiny-llama"))


@pytest.fixture(scope="session")
def tiny_gpt2(tiny_tokenizer, tmp_path_factory):
    """An `LM` that knows nothing: random GPT-2, 2 layers, width 32, loaded from its folder."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(1)
    config = GPT2Config(
        vocab_size=len(tiny_tokenizer),
        n_positions=256,
        n_embd=32,
        n_layer=2,
        n_head=4,
        initializer_range=0.3,
        bos_token_id=0,
        eos_token_id=0,
        pad_token_id=1,
    )
    return _tiny(GPT2LMHeadModel(config), tiny_tokenizer, tmp_path_factory.mktemp("tiny-gpt2"))


@pytest.fixture(params=["llama", "gpt2"])
def tiny(request):
    """Both tiny models, one after the other."""
    return request.getfixturevalue(f"tiny_{request.param}")


@pytest.fixture(scope="session")
def made(tiny_tokenizer, tmp_path_factory):
    """By model type, the folder of a small random model; made when first asked for."""
    import families

    configs, folders = families.configs() | families.windowed() | families.detected(), {}

    def folder(kind: str) -> str:
        if kind not in folders:
            path = tmp_path_factory.mktemp(kind)
            folders[kind] = str(families.saved(configs[kind], tiny_tokenizer, path))
        return folders[kind]

    return folder


@pytest.fixture
def online(tiny_llama, tmp_path, monkeypatch):
    """The handler's class, to be set up; the client asks it, and keeps what it gets in its own folder."""
    from huggingface_hub import constants
    from small_hub import Hub, served

    handler = type("Here", (Hub,), {"folder": tiny_llama.folder, "asked": []})
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    with served(handler) as url:
        monkeypatch.setattr(constants, "ENDPOINT", url)
        monkeypatch.setattr(
            constants, "HUGGINGFACE_CO_URL_TEMPLATE", url + "/{repo_id}/resolve/{revision}/{filename}"
        )
        yield handler
