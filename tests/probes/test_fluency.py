import re
from math import exp, log2

import pytest
import torch

from unlearning.models.delta import Delta, applied
from unlearning.pretrain.corpus import held_out
from unlearning.probes.fluency import entropy, fluency, n_gram_entropy, perplexity, texts


def test_entropy_by_hand():
    # a b a b: bigrams ab, ba, ab: 2/3 · log2(3/2) + 1/3 · log2(3) = 0.91830 bits; trigrams aba, bab: 1 bit
    h2 = 2 / 3 * log2(3 / 2) + 1 / 3 * log2(3)
    assert entropy(["a", "b", "a", "b"], 2) == pytest.approx(h2) == pytest.approx(0.91830, abs=1e-5)
    assert entropy(["a", "b", "a", "b"], 3) == 1
    # (2/3 · 0.91830 + 4/3 · 1) / 2 = 0.97277
    assert n_gram_entropy("a b a b") == pytest.approx(0.97277, abs=1e-5)


def test_entropy_at_its_ends():
    assert n_gram_entropy("") == n_gram_entropy("one") == n_gram_entropy("no no no no no no") == 0
    # all n-grams different: log2 of their number, the most there can be; a mark is a word of its own
    assert n_gram_entropy("a b c d e f g, h") == pytest.approx((2 / 3 * log2(8) + 4 / 3 * log2(7)) / 2)


def test_repetition_lowers_it():
    text = " ".join(held_out(4))
    words = re.findall(r"\w+", text)
    assert n_gram_entropy(text) > n_gram_entropy(" ".join(words[:5] * (len(words) // 5)))


@pytest.mark.parametrize("side", ["left", "right"])
def test_sampling_is_seeded_and_does_not_depend_on_the_batch(tiny, side):
    kw = {"n": 9, "max_new": 12, "prompts": ("", "The old man", "A")}
    many = texts(tiny, seed=1, **kw)
    assert texts(tiny, seed=1, chunk=1, side=side, **kw) == many != texts(tiny, seed=2, **kw)
    assert len(set(many)) == 9
    assert fluency(tiny, seed=1, **kw) == [n_gram_entropy(t) for t in many]


@pytest.mark.parametrize(("chunk", "side"), [(1, "left"), (1, "right"), (32, "left"), (32, "right")])
def test_perplexity_equals_a_plain_loop(tiny, chunk, side):
    held = [*held_out(6), "Short."]
    nll, n = 0.0, 0
    for text in held:
        ids = tiny.tokenizer(text, return_tensors="pt")["input_ids"]
        logp = tiny.model(input_ids=ids).logits[0].log_softmax(-1)
        for t in range(1, ids.shape[1]):
            nll, n = nll - logp[t - 1, ids[0, t]].item(), n + 1
    assert perplexity(tiny, held, chunk, side) == pytest.approx(exp(nll / n), rel=1e-3)


def test_perplexity_of_a_model_without_a_preference_is_its_vocabulary(tiny):
    weight = tiny.model.get_output_embeddings().weight
    name = next(k for k, p in tiny.model.named_parameters() if p is weight)
    with applied(tiny, Delta({name: -weight.clone()}, tiny.hash)):
        assert perplexity(tiny, held_out(3)) == pytest.approx(len(tiny.tokenizer), rel=1e-5)


def test_the_first_real_token_counts_whoever_puts_the_start_there(tiny, monkeypatch):
    with_start = perplexity(tiny, held_out(3))
    from unlearning.probes import fluency as module

    real = module.prompt_ids
    monkeypatch.setattr(
        module, "prompt_ids", lambda *a: [i[1:] for i in real(*a)]
    )  # as GPT-2's tokenizer gives them
    assert perplexity(tiny, held_out(3)) == pytest.approx(with_start)


def test_nothing_held_out(tiny):
    assert perplexity(tiny, []) is None and perplexity(tiny, [""]) is None


def test_perplexity_sees_damage(tiny_llama):
    name = tiny_llama.adapter.weight_name(1)
    w = dict(tiny_llama.model.named_parameters())[name]
    change = torch.randn(w.shape, generator=torch.Generator().manual_seed(0))
    before = perplexity(tiny_llama, held_out(3))
    with applied(tiny_llama, Delta({name: change}, tiny_llama.hash)):
        assert perplexity(tiny_llama, held_out(3)) != pytest.approx(before, rel=1e-3)
    assert perplexity(tiny_llama, held_out(3)) == before
