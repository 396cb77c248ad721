"""δ found for many groups at once is the δ of each alone, and says what the whole model would say with it."""

from dataclasses import replace

import pytest
import torch
from law_weights import untouched, weights

from unlearning.bench import one_at_a_time
from unlearning.law.contexts import POSITIONS, build, residuals
from unlearning.law.settings import Settings
from unlearning.law.targets import Above, Targets, TargetSettings, _Essence, adam, find
from unlearning.models.hooks import changed
from unlearning.models.text import answer_ids

LAYER = 0  # of two
PREFIXES = ("It rained all day.",)
SETTINGS = TargetSettings(steps=4)


def wanted(lm, facts):
    """Token ids to be said: one token for every other fact, several for the rest."""
    several = answer_ids(lm.tokenizer, ["unknown", "never heard of it"])
    assert min(map(len, several)) > 1
    return [[lm.tokenizer.eos_token_id] if i % 2 else several[i // 2 % 2] for i in range(len(facts))]


def found(lm, contexts, facts, settings=SETTINGS, essence=False, chunk=128, layer=LAYER) -> Targets:
    *_, last = find(lm, contexts, facts, wanted(lm, facts), layer, settings, essence, chunk)
    return last


def slow_logits(lm, ids, at, delta, layer=LAYER):
    """Logits (T, V) of one text, by the whole model with a hook that adds δ after the layer."""

    def add(h):
        return torch.cat([h[:, :at], h[:, at : at + 1] + delta, h[:, at + 1 :]], 1)

    with torch.no_grad(), changed(lm.adapter.layer_module(lm.model, layer), add):
        return lm.model(torch.tensor([ids])).logits[0]


@pytest.mark.parametrize("position", POSITIONS)
def test_all_at_once_is_one_group_at_a_time(tiny, some_facts, position):
    contexts, essence = build(tiny, some_facts, position, 2, PREFIXES), position == "subject"
    assert len({len(i) for i in contexts.ids}) > 3
    whole = found(tiny, contexts, some_facts, essence=essence)
    for chunk in (1, 4):
        part = found(tiny, contexts, some_facts, essence=essence, chunk=chunk)
        assert torch.allclose(part.delta, whole.delta, atol=1e-4)
        assert torch.allclose(part.z, whole.z, atol=1e-4)
        assert torch.allclose(part.nll, whole.nll, atol=1e-4, rtol=1e-4)
    alone = found(tiny, build(tiny, some_facts[:1], position, 2, PREFIXES), some_facts[:1], essence=essence)
    assert torch.allclose(alone.delta, whole.delta[:, : alone.delta.shape[1]], atol=1e-4)


@pytest.mark.parametrize(("position", "phrasings"), [("prompt", 3), ("subject", 1)])
def test_all_at_once_is_one_fact_at_a_time_through_the_whole_model(tiny, some_facts, position, phrasings):
    """What the bench compares times with computes the same."""
    contexts, goal = build(tiny, some_facts, position, phrasings), wanted(tiny, some_facts)
    whole = found(tiny, contexts, some_facts)
    settings = Settings(layers=(LAYER,), targets=SETTINGS)
    for i in range(len(some_facts)):
        mine = [g for g, fact in enumerate(contexts.fact_of) if fact == i]
        alone = one_at_a_time(tiny, contexts.of_facts([i]), goal, settings)
        assert torch.allclose(alone.double(), whole.delta[:, mine], atol=1e-4)


@pytest.mark.parametrize("position", [*POSITIONS, "start"])
@pytest.mark.parametrize("layer", [0, 1])
def test_logits_above_are_those_of_the_whole_model(tiny, some_facts, position, layer):
    contexts = build(tiny, some_facts, "prompt" if position == "start" else position, 2, PREFIXES)
    lookup = list(contexts.lookup)
    if position == "start":
        lookup[::2] = [0] * len(lookup[::2])  # some texts have nothing before the lookup token
    ids = [(*i, 7, 8) for i in contexts.ids]
    above = Above(tiny, ids, lookup, layer)
    delta = torch.randn(above.h[:, 0].shape, generator=torch.Generator().manual_seed(0))
    for row, (text, at) in enumerate(zip(ids, lookup, strict=True)):
        t = torch.arange(len(text) - at)
        fast = above.logits(torch.full_like(t, row), t, delta)
        slow = slow_logits(tiny, text, at, delta[row], layer)[at:]
        assert torch.allclose(fast, slow, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("position", POSITIONS)
def test_logits_of_some_rows_are_those_rows_logits(tiny, some_facts, position):
    contexts = build(tiny, some_facts, position, 2, PREFIXES)
    above = Above(tiny, contexts.ids, contexts.lookup, LAYER)
    rows = torch.tensor([5, 0, 3])
    delta = torch.randn(above.h[:, 0].shape, generator=torch.Generator().manual_seed(0))
    t = torch.zeros_like(rows)
    few = above.only(rows).logits(torch.arange(3), t, delta[rows])
    assert torch.allclose(few, above.logits(rows, t, delta), atol=1e-5)


def test_texts_that_all_begin_with_the_lookup_token(tiny):
    ids = [(3, 4, 5, 6), (9, 10)]
    above = Above(tiny, ids, [0, 0], LAYER)
    delta = torch.ones_like(above.h[:, 0])
    for row, text in enumerate(ids):
        t = torch.arange(len(text))
        fast = above.logits(torch.full_like(t, row), t, delta)
        assert torch.allclose(fast, slow_logits(tiny, text, 0, delta[row]), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("position", POSITIONS)
def test_the_reported_nll_is_the_whole_models(tiny, some_facts, position):
    contexts, goals = build(tiny, some_facts, position, 2, PREFIXES), wanted(tiny, some_facts)
    targets = found(tiny, contexts, some_facts, essence=position == "subject")
    nll = [[] for _ in range(contexts.n)]
    for ids, at, g in zip(contexts.ids, contexts.lookup, contexts.group, strict=True):
        goal = goals[contexts.fact_of[g]]
        logp = slow_logits(tiny, (*ids, *goal), at, targets.delta[:, g].float()).log_softmax(-1)
        said = [logp[len(ids) - 1 + k, token].item() for k, token in enumerate(goal)]
        nll[g].append(-sum(said) / len(said))
    assert targets.nll.tolist() == pytest.approx([sum(x) / len(x) for x in nll], abs=1e-4, rel=1e-4)


def test_the_essence_term_is_the_kl_of_the_whole_model(tiny, some_facts):
    is_a = _Essence(tiny, [f.subject for f in some_facts], LAYER)
    delta = 0.3 * torch.randn(is_a.above.h[:, 0].shape, generator=torch.Generator().manual_seed(0))
    fast = is_a.kl(delta)
    for row, fact in enumerate(some_facts):
        template = replace(fact, prompts=("{} is a",))
        contexts = build(tiny, [template], "subject")
        ids, at = contexts.ids[0], contexts.lookup[0]
        before, after = (
            slow_logits(tiny, ids, at, x)[-1].log_softmax(-1) for x in (0 * delta[row], delta[row])
        )
        slow = torch.nn.functional.kl_div(after, before, log_target=True, reduction="sum")
        assert fast[row].item() == pytest.approx(slow.item(), abs=1e-4, rel=1e-3)
    assert is_a.kl(torch.zeros_like(delta)).abs().max() < 1e-6


@pytest.mark.parametrize("position", POSITIONS)
def test_more_steps_say_the_target_better(tiny, some_facts, position):
    contexts = build(tiny, some_facts, position, 1, PREFIXES)
    before, after = (
        found(tiny, contexts, some_facts, TargetSettings(steps=n), position == "subject").nll for n in (0, 20)
    )
    assert (after < before).all()


@pytest.mark.parametrize("position", POSITIONS)
def test_z_is_what_is_there_plus_delta_and_delta_keeps_its_bound(tiny, some_facts, position):
    contexts, clamp = build(tiny, some_facts, position, 2, PREFIXES), 0.2
    targets = found(tiny, contexts, some_facts, TargetSettings(steps=6, clamp=clamp))
    H = residuals(tiny, contexts, LAYER)
    assert torch.allclose(targets.z - H, targets.delta, atol=1e-5)
    bare = build(tiny, some_facts, position, 2 if position == "prompt" else 1)  # MEMIT's ‖h‖: without prefix
    limit = clamp * residuals(tiny, bare, LAYER).norm(dim=0)
    norm = targets.delta.norm(dim=0)
    assert (norm <= limit * (1 + 1e-5)).all()
    assert (norm > 0.99 * limit).any()  # the bound is what stops some


def test_a_group_that_starts_below_the_stop_value_keeps_still(tiny, some_facts):
    contexts = build(tiny, some_facts, "prompt", 2, PREFIXES)
    start = found(tiny, contexts, some_facts, TargetSettings(steps=0)).nll
    stop = start.median().item() + 1e-3
    targets = found(tiny, contexts, some_facts, TargetSettings(steps=2, stop=stop))
    still = (targets.delta == 0).all(dim=0)
    assert torch.equal(still, start < stop)
    assert 0 < still.sum() < len(still)
    assert torch.allclose(targets.nll[still], start[still], atol=1e-5, rtol=1e-5)


def test_weights_are_untouched(tiny, some_facts):
    before = weights(tiny)
    for position in POSITIONS:
        found(tiny, build(tiny, some_facts, position, 2, PREFIXES), some_facts, essence=position == "subject")
    assert untouched(tiny, before)
    assert all(p.grad is None for p in tiny.model.parameters())


def test_adam_is_torchs_adam_on_every_row_alone():
    g = torch.Generator().manual_seed(0)
    n, d = 6, 5
    goal, scale = torch.randn(n, d, generator=g), torch.rand(n, d, generator=g) + 0.1
    start = torch.zeros(n, d)
    goal[2] = 0.01  # below the stop value from the beginning
    limit = torch.tensor([10.0, 0.4, 10.0, 1.0, 0.7, 10.0])
    settings = TargetSettings(lr=0.1, steps=25, stop=0.02)

    def loss_of(x, row):
        return (scale[row] * (x - goal[row]) ** 2).sum(-1)

    together, moved = adam(loss_of, start, limit, settings)
    steps = []
    for row in range(n):
        x = start[row].clone().requires_grad_()
        optimiser = torch.optim.Adam([x], lr=settings.lr)
        taken = 0
        for _ in range(settings.steps):
            loss = loss_of(x, row)
            if loss < settings.stop:
                break
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            taken += 1
            with torch.no_grad():
                x *= (limit[row] / x.norm()).clamp(max=1)
        steps.append(taken)
        assert torch.allclose(together[row], x, atol=1e-6)
    assert steps[2] == 0 and len(set(steps)) > 2 and settings.steps in steps  # all kinds of ends are met
    assert moved.tolist() == [row for row in range(n) if steps[row] == settings.steps]
