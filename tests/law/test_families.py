"""A wash on every architecture family: the update makes the model say the target, and comes off again."""

import families
import pytest
import torch

from unlearning.facts.fact import Fact
from unlearning.law.contexts import POSITIONS, build, residuals
from unlearning.law.settings import Settings
from unlearning.law.statistics import Statistics
from unlearning.law.targets import TargetSettings, find_block
from unlearning.law.trace import Trace, trace
from unlearning.law.update import initial
from unlearning.law.wash import Washed, wash
from unlearning.models.delta import Delta, applied
from unlearning.models.hooks import changed
from unlearning.models.loading import load
from unlearning.models.text import answer_ids, pad

KINDS = [*families.configs(), *families.windowed(), *families.detected()]
FACTS = [
    Fact(s, "capital", (o,), ("The capital of {} is", "{} has the capital"))
    for s, o in (("France", "Paris"), ("Peru", "Lima"), ("Norway", "Oslo"))
]


@pytest.fixture(params=KINDS)
def lm(request, made):
    return load(made(request.param), device="cpu")


@pytest.mark.parametrize("position", POSITIONS)
def test_the_edit_of_a_layer_brings_the_residual_stream_to_the_targets(lm, position):
    """Of three keys, by one layer, with hardly any λ: exactly; behind a norm, whose size stays, in direction.

    Where attention and MLP stand side by side, layer 0 has one key for prompts that end alike: so layer 1.
    """
    i = 1 if position == "prompt" else 0
    settings = TargetSettings(lr=0.1, steps=5)
    contexts = build(lm, FACTS, position, 1)
    goal = answer_ids(lm.tokenizer, ["hat"] * len(FACTS))
    h = residuals(lm, contexts, i)
    found = find_block(lm, contexts, FACTS, goal, i, settings, False, i)
    delta = found.delta.double().T
    assert (delta.norm(dim=0) > 0).all()
    R = lm.adapter.said_more(lm.model, i, found.K, delta)
    C = torch.eye(found.K.shape[0], dtype=torch.float64)
    update = initial(R @ found.K.T, found.K @ found.K.T, C, 1e-9)
    edit = Delta({lm.adapter.weight_name(i): lm.adapter.stored(update.float())}, lm.hash)
    with applied(lm, edit):
        moved = residuals(lm, contexts, i) - h
    if lm.adapter.after:
        assert (torch.cosine_similarity(moved, delta, dim=0) > 0.7).all()
    else:
        assert torch.allclose(moved, delta, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("position", POSITIONS)
def test_what_a_target_costs_is_what_the_whole_model_says_with_it(lm, position):
    """The layers above, run alone on what was kept, against δ put into a pass through everything."""
    contexts = build(lm, FACTS, position, 1)
    goal = answer_ids(lm.tokenizer, ["hat"] * len(FACTS))
    found = find_block(lm, contexts, FACTS, goal, 0, TargetSettings(lr=0.1, steps=5), False)
    rows = pad([(*t, *g[:-1]) for t, g in zip(contexts.ids, goal, strict=True)], "right", "cpu")
    where = torch.arange(len(FACTS)), torch.tensor(contexts.lookup)

    def add(h):
        return h.index_put(where, found.delta, accumulate=True)

    with torch.no_grad(), changed(lm.adapter.layer_module(lm.model, 0), add):
        logp = lm.model(**rows.kwargs()).logits.log_softmax(-1)
    for b, (text, g) in enumerate(zip(contexts.ids, goal, strict=True)):
        said = logp[b, len(text) - 1 + torch.arange(len(g)), torch.tensor(g)]
        assert found.nll[b].item() == pytest.approx(-said.mean().item(), abs=1e-4)


def test_a_whole_wash_of_every_family_comes_off_bit_for_bit(lm):
    stats = Statistics(lm, tokens=400)
    stats.known = []
    settings = Settings(target="hat", layers=(0, 1), phrasings=1, keep=0.0, targets=TargetSettings(steps=2))
    before = {k: v.clone() for k, v in lm.model.state_dict().items()}
    (washed,) = [e for e in wash(lm, FACTS, settings, stats) if isinstance(e, Washed)]
    names = [lm.adapter.weight_name(i) for i in (0, 1)]
    for method, delta in washed.deltas.items():  # LAW's own step ends when no fact is answered any more
        with applied(lm, delta):
            now = lm.model.state_dict()
            moved = {k for k, v in before.items() if not torch.equal(now[k], v)}
            assert moved == set(names[: len(delta.changes)]) and (method == "law" or len(moved) == 2)
    after = lm.model.state_dict()
    assert all(torch.equal(after[k], v) for k, v in before.items())


def test_the_trace_finds_places_in_every_family(lm):
    """What a random model says is random, but patching all of another's state at the end moves the answer."""
    (found,) = [e for e in trace(lm, FACTS, n=3) if isinstance(e, Trace)]
    assert found.n == 3 and set(found.layers) <= {0, 1} and found.position in POSITIONS
