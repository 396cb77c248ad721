"""The trace counts what it says: against one pair at a time, and whatever the chunk."""

import re
from dataclasses import replace

import pytest
import torch

from unlearning.events import Phase, Progress, Warn
from unlearning.facts.world import world
from unlearning.law.settings import guess, settings_for, untraced
from unlearning.law.statistics import Statistics
from unlearning.law.trace import (
    FILE,
    LEAST,
    PLACES,
    Trace,
    _subject_first,
    _trace_some,
    choose,
    find_place,
    load_trace,
    named,
    save,
    trace,
)
from unlearning.models.hooks import changed, outputs_of
from unlearning.models.text import answer_ids, prompt_ids
from unlearning.runs.wash import placed

N_LAYERS = 3


def traced(lm, facts, **kwargs) -> Trace:
    *_, last = trace(lm, facts, **kwargs)
    return last


def pairs_of(facts):
    return [(f, g) for f in facts[::3] for g in facts if g.relation == f.relation and g.object != f.object][
        ::4
    ]


def places(lm, template, subject):
    """Token ids, and token index of each place, by decoding ever longer beginnings."""
    (ids,) = prompt_ids(lm.tokenizer, [template.replace("{}", subject)])
    upto = template.split("{}")[0] + subject
    said = [lm.tokenizer.decode(ids[: t + 1], skip_special_tokens=True).lstrip() for t in range(len(ids))]
    at = next(t for t, text in enumerate(said) if text.startswith(upto))
    return ids, (at, min(at + 1, len(ids) - 1), len(ids) - 1)


def slow_counts(lm, pairs, n_layers):
    """As `_trace_some`, one forward pass for every figure."""

    def top(ids):
        return lm.model(torch.tensor([ids])).logits[0, -1].argmax().item()

    moved, left = torch.zeros(3, n_layers), torch.zeros(3, n_layers)
    for f, g in pairs:
        template = _subject_first(f)
        ids, here = places(lm, template, f.subject)
        other, there = places(lm, template, g.subject)
        first, goal = (i[0] for i in answer_ids(lm.tokenizer, [f.object, g.object]))
        for p in range(3):
            for i in range(n_layers):
                layer = lm.adapter.layer_module(lm.model, i)
                with outputs_of({0: layer}) as seen:
                    top(other)
                new = seen[0][0, there[p]]

                def put(h, value, at=here[p]):
                    h = h.clone()
                    h[0, at] = value
                    return h

                with changed(layer, lambda h, new=new, put=put: put(h, new)):
                    moved[p, i] += top(ids) == goal
                with changed(lm.adapter.mlp_module(lm.model, i), lambda h, put=put: put(h, 0.0)):
                    left[p, i] += top(ids) == first
    return moved, left


@torch.no_grad()
def said_facts(lm, n=60):
    """Facts of two relations whose answers are the tokens that a model which knows nothing says to them."""
    found = []
    for relation in ("capital", "currency"):
        of = [f for f in world() if f.relation == relation]
        for f in of[:n]:
            ids, _ = places(lm, _subject_first(f), f.subject)
            top = lm.model(torch.tensor([ids])).logits[0, -1].argmax().item()
            said = lm.tokenizer.decode([top]).strip()
            if said and answer_ids(lm.tokenizer, [said])[0] == [top]:
                found.append(replace(f, objects=(said,)))
    return found


@torch.no_grad()
def test_it_is_one_pair_at_a_time(tiny):
    facts = said_facts(tiny)
    pairs = [(f, g) for f in facts for g in facts if f.relation == g.relation and f.object != g.object]
    pairs = pairs[:: max(1, len(pairs) // 12)]
    assert len(pairs) >= 12
    fast, slow = _trace_some(tiny, pairs, 2), slow_counts(tiny, pairs, 2)
    assert torch.equal(fast[0], slow[0])
    assert torch.equal(fast[1], slow[1])
    both = torch.cat(fast, 1)  # some answers move or are lost and some are not, and no two places are alike
    assert 0 < fast[0].sum() < len(pairs) * 6 and 0 < fast[1].sum() < len(pairs) * 6
    assert len({tuple(row) for row in both.tolist()}) == len(PLACES)


def test_the_subjects_own_state_changes_nothing(taught, stats):
    moved, _ = _trace_some(taught, [(f, f) for f in stats.known], N_LAYERS)
    asked = prompt_ids(taught.tokenizer, [_subject_first(f).replace("{}", f.subject) for f in stats.known])
    first = [i[0] for i in answer_ids(taught.tokenizer, [f.object for f in stats.known])]
    right = sum(
        taught.model(torch.tensor([ids])).logits[0, -1].argmax().item() == goal
        for ids, goal in zip(asked, first, strict=True)
    )
    assert right > len(stats.known) / 2
    assert (moved == right).all()


def test_another_subjects_state_after_the_last_layer_at_the_last_token_is_its_answer(taught, stats):
    pairs = pairs_of(stats.known)
    moved, _ = _trace_some(taught, pairs, N_LAYERS)
    (swapped,) = {  # what the model says of the other subject, asked in the same way
        sum(
            taught.model(torch.tensor([places(taught, _subject_first(f), g.subject)[0]]))
            .logits[0, -1]
            .argmax()
            == answer_ids(taught.tokenizer, [g.object])[0][0]
            for f, g in pairs
        ).item()
    }
    assert moved[2, -1] == swapped > 0


def test_the_chunk_makes_no_difference_and_shares_are_shares(taught, stats):
    whole, *parts = (traced(taught, stats.known, n=12, chunk=chunk) for chunk in (100, 1, 5))
    assert all(part == whole for part in parts)
    assert whole.places == PLACES and whole.n == 12
    for table in (whole.patched, whole.zeroed):
        assert len(table) == len(PLACES) and {len(row) for row in table} == {N_LAYERS}
        assert all(0 <= share <= 1 for row in table for share in row)


def test_it_counts_its_pairs_and_leaves_the_model_as_it_was(taught, stats):
    from law_weights import untouched, weights

    before = weights(taught)
    *steps, found = trace(taught, stats.known, n=7, chunk=3)
    assert steps == [Progress(done, 7, "tracing") for done in (0, 3, 6, 7)]
    assert traced(taught, stats.known).n <= len(stats.known)
    assert untouched(taught, before)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in taught.model.modules())


def test_it_needs_ten_facts_with_another_answer_in_their_relation(taught, stats):
    one_each = list({f.relation: f for f in stats.known}.values())
    alike = [replace(one_each[0], subject=f"Elsewhere {i}") for i in range(12)]
    assert len(alike) > LEAST
    for facts in ([], one_each, alike):
        with pytest.raises(ValueError, match=f"needs {LEAST} known facts .* and there are none"):
            traced(taught, facts)
    some = [f for f in stats.known if f.relation == stats.known[0].relation]
    few = list({f.object: f for f in some}.values())[: LEAST - 1]
    with pytest.raises(ValueError, match=f"needs {LEAST} known facts .* and there are {len(few)}"):
        traced(taught, few)
    assert traced(taught, few, n=2).n == 2, "as few as are asked for"


def test_saved_and_loaded_is_the_same(taught, stats, tmp_path):
    lm, found = replace(taught, folder=tmp_path), traced(taught, stats.known, n=5)
    assert load_trace(lm) is None
    save(lm, found)
    assert load_trace(lm) == found
    other = replace(lm)
    other.__dict__["hash"] = "of other weights"
    assert load_trace(other) is None


def test_that_of_fewer_facts_is_not_kept(taught, taught_facts, tmp_path, monkeypatch):
    """It would stand for every later file of facts: so few are guessed at, and told."""
    monkeypatch.setenv("LETHE_CACHE", str(tmp_path))
    *_, last = find_place(taught, taught_facts[: LEAST - 1], [])
    assert isinstance(last, Warn) and f"needs {LEAST} known facts" in last.text
    assert not list(tmp_path.rglob(FILE)) and untraced(taught)


@pytest.mark.parametrize(
    "damage",
    [
        lambda whole: whole[: len(whole) // 2],
        lambda whole: b"null",
        lambda whole: re.sub(rb' "model_hash": [^,]*,', b"", whole),
        lambda whole: b"\xff" * len(whole),
        lambda whole: whole.replace(b'"why"', b'"because"'),
        lambda whole: whole.replace(b'"position": "', b'"position": "last '),
        lambda whole: re.sub(rb'"layers": \[[^]]*\]', b'"layers": [99]', whole),
        lambda whole: re.sub(rb'"layers": \[[^]]*\]', b'"layers": []', whole),
    ],
)
def test_a_damaged_file_is_no_trace(taught, stats, tmp_path, damage):
    lm = replace(taught, folder=tmp_path)
    save(lm, traced(taught, stats.known, n=5))
    file = tmp_path / FILE
    file.write_bytes(damage(file.read_bytes()))
    assert load_trace(lm) is None
    assert list(tmp_path.iterdir()) == [file]  # written in one step: no part of it is left


def tables(patched, zeroed):
    return torch.tensor(patched), torch.tensor(zeroed)


@pytest.mark.parametrize(
    ("through", "zeroed", "position", "layers"),
    [
        (0.9, [[0.1, 0.9, 1, 1, 1], [1] * 5, [1] * 5], "subject", (0,)),  # methods.md: model B
        (0.9, [[0.1, 0.6, 0.7, 1, 1], [1] * 5, [0] * 5], "subject", (0, 1, 2)),
        (0.51, [[1, 0.2, 1, 0.2, 1], [1] * 5, [0] * 5], "subject", (1,)),  # a gap ends the run
        (0.5, [[0] * 5, [1] * 5, [1, 1, 0.5, 0.9, 1]], "prompt", (2,)),
        (
            0.2,
            [[0] * 5, [1] * 5, [0.4] * 5],
            "prompt",
            (2, 3, 4),
        ),  # at the prompt's end the last three at most
        (0.2, [[0] * 5, [1] * 5, [0.1, 0.4, 0.5, 0.7, 0.7]], "prompt", (0, 1, 2)),
        (0.2, [[0] * 5, [1] * 5, [1, 0.4, 0.3, 0.9, 1]], "prompt", (1, 2)),
        (0.2, [[0] * 5, [1] * 5, [0.12, 1, 1, 0.55, 1]], "prompt", (0,)),  # the strongest is always in it
    ],
)
def test_choice_of_position_and_layers(through, zeroed, position, layers):
    patched = [[through] + [0.0] * 4, [0.0] * 5, [1.0] * 5]
    found = choose(*tables(patched, [[float(x) for x in row] for row in zeroed]))
    assert found[:2] == (position, layers)
    assert f"{through:.0%}" in found[2] and f"MLP of {named(layers)} is" in found[2]


def test_layers_are_named_as_one_says_them():
    assert [named(x) for x in ((1,), (0, 3), (1, 2, 3))] == ["layer 1", "layers 0 and 3", "layers 1, 2 and 3"]


def test_a_model_in_which_no_single_mlp_matters_gets_layers_all_the_same():
    assert choose(torch.ones(3, 4), torch.ones(3, 4))[:2] == ("subject", (0, 1, 2, 3))


def test_a_model_that_nobody_has_traced_is_traced_before_a_wash(taught, taught_facts, tmp_path, monkeypatch):
    """On the person's own facts; it is kept in the cache, not in their folder, and settings follow it."""
    monkeypatch.setenv("LETHE_CACHE", str(tmp_path))
    monkeypatch.setattr(Statistics, "known", [])
    monkeypatch.setattr("unlearning.law.statistics.statistics", lambda lm: Statistics(lm))
    assert untraced(taught)
    told = list(placed(taught, taught_facts))
    assert isinstance(told[0], Phase) and not [e for e in told if isinstance(e, Warn)]
    found = load_trace(taught)
    assert not untraced(taught) and not (taught.folder / "trace.json").exists()
    assert settings_for(taught).layers == found.layers and settings_for(taught).position == found.position
    assert list(placed(taught, taught_facts)) == []


def test_what_cannot_be_traced_is_said_and_guessed(tiny, some_facts, tmp_path, monkeypatch):
    monkeypatch.setenv("LETHE_CACHE", str(tmp_path))
    monkeypatch.setattr(Statistics, "known", [])
    monkeypatch.setattr("unlearning.law.statistics.statistics", lambda lm: Statistics(lm))
    *_, last = placed(tiny, some_facts)
    assert isinstance(last, Warn) and "a guess" in last.text
    assert list(placed(tiny, some_facts, layers=(0,))) == [], "nothing to find out where layers are given"


def test_guesses_by_hand():
    assert guess(48) == (9, 10, 11, 12, 13) and guess(28) == (5, 6, 7, 8, 9) and guess(10) == (2, 3, 4, 5, 6)
    assert guess(1) == (0,) and guess(4) == (1, 2, 3)
