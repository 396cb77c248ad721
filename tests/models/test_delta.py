"""Weights change inside the block only, and come back bit for bit; a bad file is told as such."""

import json
import threading

import pytest
import torch
from safetensors.torch import save_file

from unlearning.models.delta import FORMAT, BadDelta, Delta, applied, check, edited, load_delta, total


def state(lm):
    return {k: v.clone() for k, v in lm.model.state_dict().items()}


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def make(lm, layer=0, seed=0, size=0.1):
    name = lm.adapter.weight_name(layer)
    shape = dict(lm.model.named_parameters())[name].shape
    change = size * torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    return Delta({name: change}, lm.hash, {"seed": seed, "λ": 0.5})


def test_applied_adds_and_comes_back_bit_for_bit(tiny):
    before, delta = state(tiny), make(tiny)
    (name,) = delta.changes
    with applied(tiny, delta):
        assert torch.equal(tiny.model.state_dict()[name], before[name] + delta.changes[name])
        others = {k: v for k, v in tiny.model.state_dict().items() if k != name}
        assert all(torch.equal(v, before[k]) for k, v in others.items())
    assert same(state(tiny), before)


def test_comes_back_after_an_exception(tiny):
    before = state(tiny)
    with pytest.raises(RuntimeError, match="inside"), applied(tiny, make(tiny)):
        raise RuntimeError("inside")
    assert same(state(tiny), before)


def test_comes_back_when_the_second_delta_does_not_fit(tiny):
    before, good = state(tiny), make(tiny)
    bad = Delta({next(iter(good.changes)): torch.zeros(3, 5)}, tiny.hash)
    with pytest.raises(RuntimeError), applied(tiny, good, bad):
        raise AssertionError("the block must not run")
    assert same(state(tiny), before)


def test_comes_back_after_changes_too_large_to_subtract(tiny):
    before = state(tiny)
    with applied(tiny, make(tiny, size=1e30)):
        pass
    assert same(state(tiny), before)


def test_two_deltas_at_once_are_their_sum(tiny):
    before, a, b = state(tiny), make(tiny, 0, seed=1), make(tiny, 0, seed=2)
    c = make(tiny, 1, seed=3)
    (first,), (second,) = a.changes, c.changes
    with applied(tiny, a, b, c):
        assert torch.equal(
            tiny.model.state_dict()[first], before[first] + a.changes[first] + b.changes[first]
        )
        assert torch.equal(tiny.model.state_dict()[second], before[second] + c.changes[second])
    assert same(state(tiny), before)


def test_nested_blocks_come_off_one_by_one(tiny):
    before = state(tiny)
    with applied(tiny, make(tiny, seed=1)):
        outer = state(tiny)
        with applied(tiny, make(tiny, seed=2)):
            assert not same(state(tiny), outer)
        assert same(state(tiny), outer)
    assert same(state(tiny), before)


def test_the_output_changes_inside_and_only_there(tiny):
    ids = tiny.tokenizer("The capital of France is", return_tensors="pt")
    before = tiny.model(**ids).logits
    with applied(tiny, make(tiny)):
        assert not torch.allclose(tiny.model(**ids).logits, before, atol=1e-3)
    assert torch.equal(tiny.model(**ids).logits, before)


def test_scaled_and_norms(tiny):
    delta = make(tiny)
    (name,) = delta.changes
    w = dict(tiny.model.named_parameters())[name]
    assert torch.equal(delta.scaled(0.5).changes[name], delta.changes[name] * 0.5)
    expected = (delta.changes[name].square().sum().sqrt() / w.square().sum().sqrt()).item()
    assert delta.norms(tiny)[name] == pytest.approx(expected, rel=1e-5)
    assert delta.scaled(2).norms(tiny)[name] == pytest.approx(2 * expected, rel=1e-5)


def test_saved_and_loaded_is_the_same(tiny, tmp_path):
    delta = make(tiny)
    delta.save(tmp_path / "wash.safetensors")
    loaded = load_delta(tmp_path / "wash.safetensors", tiny)
    assert same(loaded.changes, delta.changes)
    assert (loaded.model_hash, loaded.about) == (delta.model_hash, delta.about)


def test_another_models_delta_is_refused(tiny_llama, tiny_gpt2, tmp_path):
    make(tiny_gpt2).save(tmp_path / "other.safetensors")
    assert load_delta(tmp_path / "other.safetensors").model_hash == tiny_gpt2.hash != tiny_llama.hash
    with pytest.raises(BadDelta, match="another model"):
        load_delta(tmp_path / "other.safetensors", tiny_llama)


def write(path, meta, changes=None):
    save_file(changes or {"w": torch.zeros(2)}, path, metadata=meta)


@pytest.mark.parametrize(
    ("meta", "says"),
    [
        (None, "no delta"),
        ({"format": "something else"}, "no delta"),
        ({"format": FORMAT, "about": "{}"}, "metadata"),
        ({"format": FORMAT, "model": "0" * 64}, "metadata"),
        ({"format": FORMAT, "model": "0" * 64, "about": "{no json"}, "metadata"),
        ({"format": FORMAT, "model": "0" * 64, "about": "[1]"}, "metadata"),
        ({"format": FORMAT, "model": "0" * 64, "about": "[" * 100_000}, "metadata"),
    ],
)
def test_wrong_metadata_is_refused(tmp_path, meta, says):
    write(tmp_path / "x.safetensors", meta)
    with pytest.raises(BadDelta, match=says):
        load_delta(tmp_path / "x.safetensors")


def test_files_that_cannot_be_read_are_refused(tiny, tmp_path):
    make(tiny).save(tmp_path / "good.safetensors")
    whole = (tmp_path / "good.safetensors").read_bytes()
    for name, data in {"empty": b"", "text": b"subject,relation\n", "cut": whole[: len(whole) // 2]}.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(BadDelta, match=name):
            load_delta(tmp_path / name)
    for path in (tmp_path / "missing", tmp_path):
        with pytest.raises(BadDelta):
            load_delta(path)


def test_changes_that_do_not_fit_are_refused(tiny, tmp_path):
    (name,) = make(tiny).changes
    shape = dict(tiny.model.named_parameters())[name].shape
    cases = [
        ({"no.such.weight": torch.zeros(2)}, "no.such.weight"),
        ({name: torch.zeros(2, 3)}, "does not have"),
        ({name: torch.full(shape, float("nan"))}, "not finite"),
    ]
    for changes, says in cases:
        with pytest.raises(BadDelta, match=says):
            check(Delta(changes, tiny.hash), tiny)
        meta = {"format": FORMAT, "model": tiny.hash, "about": json.dumps({})}
        write(tmp_path / "x.safetensors", meta, changes)
        with pytest.raises(BadDelta, match=says):
            load_delta(tmp_path / "x.safetensors", tiny)


def test_a_strength_is_made_from_any_other(tiny):
    made = Delta(make(tiny).changes, tiny.hash, {"strength": 0.8})
    half = made.at(0.4)
    assert half.about["strength"] == 0.4
    for name, change in made.changes.items():
        assert torch.allclose(half.changes[name], 0.5 * change)
        assert torch.allclose(half.at(1.2).changes[name], 1.5 * change)
        assert not made.at(0.0).changes[name].any()
    nothing = Delta(made.scaled(0).changes, tiny.hash, {"strength": 0.0})
    assert not any(c.any() for c in nothing.at(1.0).changes.values())


def test_an_edited_model_is_the_base_whenever_nobody_holds_its_lock(tiny):
    before, a, b = state(tiny), make(tiny, 0, seed=1), make(tiny, 1, seed=2)
    view = edited(tiny, [a, b])
    assert same(state(view), before)
    with applied(tiny, a, b):
        wanted = state(tiny)
    with view.lock:
        assert same(state(view), wanted)
        with view.lock:  # taken again by the same thread
            assert same(state(view), wanted)
        assert same(state(view), wanted)
    assert same(state(tiny), before)


def test_a_delta_goes_on_top_of_an_edited_model_and_off_again(tiny):
    before, a, b = state(tiny), make(tiny, 0, seed=1), make(tiny, 0, seed=2)
    view = edited(tiny, [a])
    with applied(tiny, a, b):
        wanted = state(tiny)
    with applied(view, b):
        assert same(state(view), wanted)
    with pytest.raises(RuntimeError, match="inside"), view.lock, applied(view, b):
        raise RuntimeError("inside")
    assert same(state(tiny), before)


def test_an_edited_model_whose_delta_does_not_fit_leaves_the_base_free(tiny):
    view = edited(tiny, [Delta({tiny.adapter.weight_name(0): torch.zeros(3, 5)}, tiny.hash)])
    before = state(tiny)
    with pytest.raises(RuntimeError), view.lock:
        raise AssertionError("the block must not run")
    assert same(state(tiny), before)
    taken = []

    def take():
        if tiny.lock.acquire(timeout=5):
            taken.append(True)
            tiny.lock.release()

    thread = threading.Thread(target=take)
    thread.start()
    thread.join()
    assert taken == [True]


def test_the_hash_of_an_edited_model_tells_its_edits(tiny):
    a, b = make(tiny, 0, seed=1), make(tiny, 0, seed=2)
    hashes = [edited(tiny, deltas).hash for deltas in ([], [a], [b], [a, b], [a.scaled(0.5)])]
    assert hashes[0] == tiny.hash and len(set(hashes)) == 5
    assert edited(tiny, [make(tiny, 0, seed=1)]).hash == hashes[1]


def test_the_total_of_deltas_is_their_sum_and_only_of_one_model(tiny):
    a, b = make(tiny, 0, seed=1), make(tiny, 1, seed=2)
    both = total([a, b, a], {"washes": 3})
    assert both.about == {"washes": 3} and both.model_hash == tiny.hash
    assert torch.equal(both.changes[tiny.adapter.weight_name(0)], 2 * a.changes[tiny.adapter.weight_name(0)])
    assert both.changes.keys() == a.changes.keys() | b.changes.keys()
    with pytest.raises(BadDelta, match="different models"):
        total([a, Delta(b.changes, "another")], {})
