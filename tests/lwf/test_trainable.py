"""Which parameters move, and that their change is a delta of the base model."""

from dataclasses import replace

import pytest
import torch

from unlearning.lwf.settings import Settings
from unlearning.lwf.train import train
from unlearning.lwf.trainable import change, trainable_copy
from unlearning.models.delta import applied, check
from unlearning.models.text import score_ids

S = Settings(steps=4, batch=3, lr=5e-3, interval=2, unlearn_batch=2, alpha=0.5, last=1, rank=2)


@pytest.mark.parametrize("subset", ["all", "mlp", "last", "lora"])
def test_the_delta_is_what_was_trained(tiny, samples, subset):
    """Base model with the delta put on says what the trained copy says; nothing outside of it moved."""
    s = replace(S, subset=subset)
    model = trainable_copy(tiny, s)
    list(train(model, samples[:4], samples[4:], s))
    delta = change(tiny, model, {})
    check(delta, tiny)
    assert delta.changes and all(c.abs().max() > 0 for c in delta.changes.values())
    names = {n for n, _ in tiny.model.named_parameters()}
    if subset == "all":
        assert set(delta.changes) == names
    if subset == "mlp":
        assert all("mlp" in n for n in delta.changes)
    if subset == "last":
        assert all(".1." in n for n in delta.changes)
    if subset == "lora":
        assert len(delta.changes) == {"gpt2": 8, "llama": 14}[tiny.model.config.model_type]
    ids = [list(x.ids) for x in samples]
    starts, ends = [i[:1] for i in ids], [i[1:] for i in ids]
    trained = score_ids(model, starts, ends)
    with applied(tiny, delta):
        put_on = score_ids(tiny.model, starts, ends)
    for a, b in zip(trained, put_on):
        torch.testing.assert_close(torch.tensor(a.logp), torch.tensor(b.logp), rtol=1e-4, atol=1e-4)


def test_more_layers_than_there_are(tiny):
    with pytest.raises(ValueError, match="has 2 layers"):
        trainable_copy(tiny, replace(S, subset="last", last=3))


def test_lora_starts_the_same_for_a_seed(tiny):
    s = replace(S, subset="lora")
    a, b = (dict(trainable_copy(tiny, s).named_parameters()) for _ in range(2))
    assert all(torch.equal(a[n], b[n]) for n in a)
