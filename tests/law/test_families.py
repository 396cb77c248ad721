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
from unlearning.models.text import answer_ids, pad, prompt_ids, score

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


def test_a_target_is_the_same_alone_and_beside_others_that_come_to_rest_before_it(lm):
    """At a stop between their losses, so that some of a batch are left and the rest is run no more."""
    contexts = build(lm, FACTS, "subject", 1)
    goal = answer_ids(lm.tokenizer, ["hat"] * len(FACTS))

    def found(some, stop, steps=6):
        settings = TargetSettings(lr=0.1, steps=steps, stop=stop)
        return find_block(lm, some, FACTS, goal, 0, settings, False)

    stop = found(contexts, 0.0, 2).nll.sort().values[:2].mean().item()
    together = found(contexts, stop)
    alone = [found(contexts.of_groups([g]), stop) for g in range(contexts.n)]
    assert torch.allclose(together.delta, torch.cat([x.delta for x in alone]), atol=1e-4)
    assert torch.allclose(together.nll, torch.cat([x.nll for x in alone]), atol=1e-4)


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


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_a_whole_wash_of_half_precision_weights_is_in_them_and_comes_off_bit_for_bit(lm, dtype):
    """What is added is what half precision has of ΔW; with it on, the target is likelier than before."""
    half = load(str(lm.folder), device="cpu", dtype=dtype)
    stats = Statistics(half, tokens=400)
    stats.known = []
    settings = Settings(target="hat", layers=(0, 1), phrasings=1, keep=0.0, lam=1.0)
    before = {k: v.clone() for k, v in half.model.state_dict().items()}
    assert {v.dtype for v in before.values() if v.is_floating_point()} == {dtype}
    (washed,) = [e for e in wash(half, FACTS, settings, stats) if isinstance(e, Washed)]
    prompts, goal = [f.prompt() for f in FACTS], ["hat"] * len(FACTS)

    def says_it():
        scored = score(half.model, half.tokenizer, prompts, goal)
        return torch.tensor([sum(x.logp) for x in scored])

    was = says_it()
    for delta in washed.deltas.values():
        with applied(half, delta):
            now = half.model.state_dict()
            for k, change in delta.changes.items():
                assert change.isfinite().all() and now[k].dtype == dtype
                added = now[k].float() - before[k].float()
                assert (added - change).norm() < 4 * torch.finfo(dtype).eps * change.norm()
            assert all(torch.equal(now[k], v) for k, v in before.items() if k not in delta.changes)
            assert (says_it() > was).all()
    assert all(torch.equal(v, before[k]) for k, v in half.model.state_dict().items())


def test_the_trace_of_every_family_patches_and_silences_where_it_says(lm, monkeypatch):
    """Facts are what the model says: token numbers, since a random one seldom says a word. After the last
    layer, another's state at the prompt's end brings that one's answer, always; before the end, never.
    """
    subjects = "France Peru Norway Anna hat 7 blue list Tom 12 first capital".split()
    ids = prompt_ids(lm.tokenizer, [f"{s} has" for s in subjects])
    said = [lm.model(input_ids=torch.tensor([i])).logits[0, -1].argmax().item() for i in ids]
    facts = [Fact(s, "says", (str(t),), ("{} has",)) for s, t in zip(subjects, said, strict=True)]
    monkeypatch.setattr("unlearning.law.trace.answer_ids", lambda _, texts: [[int(t)] for t in texts])
    (found,) = [e for e in trace(lm, facts, n=len(facts), least=2) if isinstance(e, Trace)]
    subject, _, end = found.patched
    assert found.n > 1 and end[-1] == 1 and subject[-1] == 0
    assert found.zeroed[0][-1] == 1 and min(found.zeroed[2]) < 1
    assert set(found.layers) <= {0, 1} and found.position in POSITIONS
