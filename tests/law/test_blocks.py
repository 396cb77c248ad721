"""Whatever the blocks, and whoever sums them, a wash is the same; cut off, it goes on to the last bit."""

from dataclasses import replace

import pytest
import torch

from unlearning.law import blocks as module
from unlearning.law import contexts
from unlearning.law.contexts import POSITIONS, Groups, build, gram, keys, keys_and_residuals, residuals
from unlearning.law.settings import settings_for
from unlearning.law.wash import wash

PREFIXES = ("It rained all day.",)


def close(a, b, tolerance):
    return ((a - b).norm() / b.norm()).item() < tolerance


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    """Five groups a block, so that a few facts fill several and a block begins in the middle of a fact."""
    monkeypatch.setattr(contexts, "groups_at_once", lambda d: 5)


@pytest.mark.parametrize("position", POSITIONS)
@pytest.mark.parametrize("size", [1, 5, 1000])
def test_the_blocks_are_the_whole_in_parts(tiny, some_facts, position, size, monkeypatch):
    monkeypatch.setattr(contexts, "groups_at_once", lambda d: size)
    whole = build(tiny, some_facts, position, 3, PREFIXES)
    groups = Groups(tiny, some_facts, position, 3, PREFIXES)
    assert (groups.n, len(groups)) == (whole.n, -(-whole.n // size))
    texts, lookup, group, fact_of = [], [], [], []
    for block in groups:
        group += [len(fact_of) + g for g in block.group]
        texts, lookup, fact_of = texts + [*block.ids], lookup + [*block.lookup], fact_of + [*block.fact_of]
    assert (tuple(texts), tuple(lookup)) == (whole.ids, whole.lookup)
    assert (tuple(group), tuple(fact_of)) == (whole.group, whole.fact_of)


@pytest.mark.parametrize("position", POSITIONS)
def test_the_sum_over_blocks_is_that_of_all_keys(tiny, some_facts, position):
    K = keys(tiny, build(tiny, some_facts, position, 3), [0, 1])
    for i, G in gram(tiny, some_facts, position, 3, [0, 1]).items():
        assert close(G, K[i] @ K[i].T, 1e-6)


@pytest.mark.parametrize("last", [0, 1])
def test_keys_and_residuals_of_one_pass_are_those_of_two(tiny, some_facts, last):
    contexts = build(tiny, some_facts, "prompt", 3, PREFIXES)
    K, H = keys_and_residuals(tiny, contexts, 0, last)
    assert close(K, keys(tiny, contexts, [0])[0], 1e-6)
    assert torch.equal(H, residuals(tiny, contexts, last))


class Cut(dict):
    """What a run keeps, until it is cut off: after so many writings nothing more is written."""

    def __init__(self, had, writings):
        super().__init__(had)
        self.left = writings

    def __setitem__(self, name, value):
        if self.left == 0:
            raise KeyboardInterrupt
        self.left -= 1
        clone = (
            {k: v.clone() if isinstance(v, torch.Tensor) else v for k, v in value.items()}
            if isinstance(value, dict)
            else value
        )
        super().__setitem__(name, clone)


def test_cut_off_anywhere_it_goes_on_and_ends_with_the_same_delta(taught, stats, monkeypatch):
    """Every state that can be left is gone on from: the run is cut off at every second thing it writes."""
    monkeypatch.setattr(module, "SHARE", 0)  # written down after every block
    settings = replace(settings_for(taught, layers=(0, 1, 2), moment_tokens=2000), ascent=0.1)
    facts = stats.known[:3]
    *_, through = wash(taught, facts, settings, stats)
    had, cuts = {}, 0
    while True:
        kept = Cut(had, 2)
        try:
            *_, last = wash(taught, facts, settings, stats, kept)
            break
        except KeyboardInterrupt:
            had, cuts = dict(kept), cuts + 1
    assert cuts > 10 and last.converged == through.converged
    for name, delta in through.deltas.items():
        assert delta.digest == last.deltas[name].digest


def test_what_is_kept_is_bounded_beside_z(taught, stats):
    """f × f and d × f a layer, however many facts; and d numbers a group."""
    sizes = {}
    for n in (2, 8):
        kept = {}
        list(
            wash(
                taught, stats.known[:n], settings_for(taught, layers=(0, 1), moment_tokens=2000), stats, kept
            )
        )
        sizes[n] = {
            k: sum(
                x.numel() for x in (v.values() if isinstance(v, dict) else [v]) if isinstance(x, torch.Tensor)
            )
            for k, v in kept.items()
        }
    z = {n: sum(s for k, s in found.items() if k.startswith("z-")) for n, found in sizes.items()}
    assert z[8] == 4 * z[2] == 48 * 8 * 6
    assert {k: s for k, s in sizes[2].items() if k[:2] != "z-"} == {
        k: s for k, s in sizes[8].items() if k[:2] != "z-"
    }
