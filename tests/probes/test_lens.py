import pytest
import torch

from unlearning.models.delta import Delta, applied
from unlearning.probes.knowledge import first_token_nll
from unlearning.probes.lens import _looks, lens


def test_a_look_by_hand(tiny):
    # Probabilities .1, .5, .25, .15 of tokens 0 to 3; the object begins with token 3: two are more probable.
    probs = torch.zeros(1, len(tiny.tokenizer))
    probs[0, :4] = torch.tensor([0.1, 0.5, 0.25, 0.15])
    (look,) = _looks(tiny, 1, probs, torch.tensor([3]), 2)
    assert (look.layer, look.rank, look.p) == (1, 3, pytest.approx(0.15))
    assert look.top == ((tiny.tokenizer.decode([1]), 0.5), (tiny.tokenizer.decode([2]), 0.25))


def test_every_layer_equals_a_plain_computation(tiny, facts):
    """Each layer's input is taken from a single unpadded pass; norm and unembedding are put on by hand."""
    for fact, looks in zip(facts[:6], lens(tiny, facts[:6]), strict=True):
        ids = tiny.tokenizer(fact.prompt(), return_tensors="pt")
        token = tiny.tokenizer(" " + fact.object, add_special_tokens=False)["input_ids"][0]
        out = tiny.model(**ids, output_hidden_states=True)
        base = tiny.model.base_model
        norm = base.norm if hasattr(base, "norm") else base.ln_f
        states = [tiny.model.lm_head(norm(h[0, -1])) for h in out.hidden_states[:-1]] + [out.logits[0, -1]]
        assert [look.layer for look in looks] == [-1, 0, 1]
        for look, logits in zip(looks, states, strict=True):
            p = logits.softmax(-1)
            assert look.p == pytest.approx(p[token].item(), rel=1e-3)
            assert look.rank == sorted(p.tolist(), reverse=True).index(p[token].item()) + 1
            best = p.topk(5)
            assert [w for w, _ in look.top] == [tiny.tokenizer.decode([t]) for t in best.indices.tolist()]
            assert [v for _, v in look.top] == pytest.approx(best.values.tolist(), rel=1e-3)


def test_the_last_layer_is_the_model(tiny, facts):
    found = [looks[-1].p for looks in lens(tiny, facts, 1)]
    nll = torch.tensor(first_token_nll(tiny, facts, 1))
    assert found == pytest.approx((-nll).exp().tolist(), rel=1e-3)


@pytest.mark.parametrize(("chunk", "side"), [(1, "left"), (1, "right"), (5, "left"), (128, "left")])
def test_batching_changes_nothing(tiny, facts, chunk, side):
    few = facts[::4]
    for a, b in zip(lens(tiny, few, chunk=chunk, side=side), lens(tiny, few), strict=True):
        for x, y in zip(a, b, strict=True):
            assert (x.layer, x.rank, [w for w, _ in x.top]) == (y.layer, y.rank, [w for w, _ in y.top])
            assert x.p == pytest.approx(y.p, rel=1e-3)


def test_an_edit_shows_from_its_layer_on(tiny, facts):
    """A change of layer 1 leaves the embedding's and layer 0's view as they were."""
    name = tiny.adapter.weight_name(1)
    w = dict(tiny.model.named_parameters())[name]
    before = lens(tiny, facts[:3])
    with applied(tiny, Delta({name: -w.clone()}, tiny.hash)):
        after = lens(tiny, facts[:3])
    assert all(a[:2] == b[:2] and a[2] != b[2] for a, b in zip(before, after, strict=True))
    assert lens(tiny, facts[:3]) == before
