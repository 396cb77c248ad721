"""The disk gives back what was measured, for this model and input only; keep set and probes are apart."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from unlearning.facts.world import world
from unlearning.law import ordinary
from unlearning.law import statistics as module
from unlearning.law.contexts import POSITIONS, build, gram, keys
from unlearning.law.experiment import Sizes, probe_sets
from unlearning.law.statistics import AfterWash, Statistics, scored
from unlearning.models.cache import cache_folder
from unlearning.models.delta import Delta, edited
from unlearning.models.loading import load
from unlearning.models.text import greedy_within
from unlearning.probes.knowledge import ask
from unlearning.probes.opening import Judged
from unlearning.steps import Stopped, watched

SIZES = Sizes(retained=5, reasoning=1, held_out=1)


@pytest.fixture
def fresh(tmp_path, monkeypatch):
    """An empty cache, and a list of what was measured: (function's name)."""
    monkeypatch.setenv("LETHE_CACHE", str(tmp_path))
    measured = []
    for name in ("until_converged", "gram", "judged"):
        plain = getattr(module, name)

        def counted(*args, name=name, plain=plain):
            measured.append(name)
            return plain(*args)

        monkeypatch.setattr(module, name, counted)
    return measured


def with_known(lm, facts, tokens=400):
    stats = Statistics(lm, tokens)
    stats.known = list(facts)
    return stats


def equal(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[i], b[i]) for i in a)


def files() -> list[Path]:
    return sorted(cache_folder().rglob("*.safetensors"))


def test_measured_once_and_read_back_bit_for_bit(tiny, some_facts, fresh, monkeypatch):
    monkeypatch.setattr(module, "world", lambda: tuple(some_facts))

    def everything():
        stats = Statistics(tiny, 400)
        known = stats.known
        stats.known = some_facts  # this model knows nothing, and an empty keep set is not measured
        return known, stats.C([0, 1]), stats.C([1]), stats.C_keep([0, 1], "prompt", [])

    first = everything()
    assert sorted(fresh) == ["gram", "judged", "until_converged"]
    again = everything()
    assert len(fresh) == 3
    assert again[0] == first[0]
    assert all(equal(a, b) for a, b in zip(again[1:], first[1:], strict=True))
    assert equal(first[2], {1: first[1][1]})


def test_what_was_said_is_kept_with_what_is_known(taught, taught_facts, fresh, monkeypatch):
    facts = [*taught_facts, *world()[:20]]
    monkeypatch.setattr(module, "world", lambda: facts)
    stats = Statistics(taught)
    assert stats.said(facts) == [""] * len(facts)  # not asked yet
    assert set(stats.known) >= set(taught_facts)
    said = stats.said(facts)
    whole = greedy_within(taught.model, taught.tokenizer, ask(facts), [f.object for f in facts])
    assert all(said) and all(text.startswith(part) for text, part in zip(whole, said, strict=True))
    again = Statistics(taught)
    assert again.known == stats.known and again.said(facts) == said and fresh == ["judged"]
    items = ask(facts[:3])
    found = [Judged(True, "é / 1"), Judged(False, ""), Judged(True, "\ud83d")]
    assert stats.answers("asked", items, lambda: found) == found
    assert Statistics(taught).answers("asked", items, lambda: []) == found


def test_what_is_measured_tells_how_far_it_is_and_can_be_stopped(tiny, some_facts, fresh, monkeypatch):
    monkeypatch.setattr(module, "world", lambda: tuple(some_facts))
    monkeypatch.setattr(module, "AT_ONCE", 2)
    told = []
    with watched(lambda progress: progress and told.append(progress)):
        stats = Statistics(tiny, 20_000)
        known = stats.known
        C = stats.C([0, 1])
    asked, read = ([p for p in told if p.text == text] for text in dict.fromkeys(p.text for p in told))
    assert [p.done for p in asked] == list(range(0, len(some_facts), 2))
    assert [p.done for p in read] == sorted({p.done for p in read}) and len(read) > 3
    assert all(p.done < p.total for p in told) and read[-1].done > 0.8 * read[-1].total

    def stop(progress):
        if progress and progress.done:
            raise Stopped

    for file in files():
        file.unlink()
    stats = Statistics(tiny, 20_000)
    with pytest.raises(Stopped), watched(stop):
        stats.C([0, 1])
    assert files() == [] and not tiny.lock._is_owned()
    assert equal(stats.C([0, 1]), C)
    monkeypatch.setattr(module, "AT_ONCE", 1024)
    assert stats.known == known


@pytest.mark.parametrize("damage", ["empty", "cut", "garbage", "foreign", "one bit"])
def test_a_bad_file_is_measured_again_and_put_right(tiny_llama, tiny_gpt2, fresh, damage):
    right = Statistics(tiny_llama, 400).C([0])
    (file,) = files()
    whole = file.read_bytes()
    if damage == "foreign":
        Statistics(tiny_gpt2, 400).C([0])
        (other,) = set(files()) - {file}
        file.write_bytes(other.read_bytes())
    elif damage == "one bit":  # in the midst of the numbers, which are most of the file
        at = len(whole) // 2
        file.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
    else:
        file.write_bytes(
            {"empty": b"", "cut": whole[: len(whole) // 2], "garbage": b"x" * len(whole)}[damage]
        )
    n = len(fresh)
    assert equal(Statistics(tiny_llama, 400).C([0]), right)
    assert len(fresh) == n + 1
    assert equal(Statistics(tiny_llama, 400).C([0]), right)
    assert len(fresh) == n + 1


def test_a_file_of_another_layer_under_its_name_is_measured_anew(tiny_llama, fresh):
    right = Statistics(tiny_llama, 400).C([0, 1])
    apart = Statistics(tiny_llama, 400)
    first = apart.C([0])
    (file,) = [f for f in files() if f.name == "C-0.safetensors"]
    file.with_name("C-1.safetensors").write_bytes(file.read_bytes())
    assert equal(first | Statistics(tiny_llama, 400).C([1]), right)


@pytest.mark.parametrize(
    ("file", "key", "value"),
    [
        ("config.json", "hidden_act", "relu"),
        ("config.json", "rms_norm_eps", 0.1),
        ("tokenizer_config.json", "add_bos_token", True),
    ],
)
def test_the_same_weights_that_compute_otherwise_are_another_model(
    tiny_llama, fresh, tmp_path, file, key, value
):
    folder = shutil.copytree(tiny_llama.folder, tmp_path / "other")
    same = load(str(folder), device="cpu")
    assert same.identity == tiny_llama.identity, "wherever it lies"
    about = json.loads((folder / file).read_text())
    (folder / file).write_text(json.dumps(about | {key: value}))
    other = load(str(folder), device="cpu")
    assert other.hash == tiny_llama.hash and other.identity != tiny_llama.identity
    n = len(fresh)
    C = [Statistics(lm, 400).C([0])[0] for lm in (tiny_llama, other, tiny_llama, other)]
    assert len(fresh) == n + 2 and equal({0: C[0], 1: C[1]}, {0: C[2], 1: C[3]})
    assert file != "config.json" or not torch.equal(C[0], C[1])


def test_other_text_other_facts_or_another_model_are_measured_anew(
    tiny_llama, tiny_gpt2, some_facts, fresh, monkeypatch
):
    few = Statistics(tiny_llama, 400).C([0])[0]
    assert not torch.equal(Statistics(tiny_llama, 800).C([0])[0], few)
    plain = ordinary.ordinary_text
    monkeypatch.setattr(ordinary, "ordinary_text", lambda n: plain(n)[:1] + plain(n)[:0:-1])
    assert not torch.equal(Statistics(tiny_llama, 400).C([0])[0], few)  # same number, same first text
    kept = [f for f in world() if f not in scored([], world())][:6]
    a = with_known(tiny_llama, kept[:3]).C_keep([0], "prompt", [])[0]
    b = with_known(tiny_llama, kept[3:]).C_keep([0], "prompt", [])[0]
    c = with_known(tiny_llama, kept[3:]).C_keep([0], "subject", [])[0]
    assert not torch.equal(a, b) and not torch.equal(b, c)
    assert Statistics(tiny_gpt2, 400).C([0])[0].shape != few.shape


def test_a_cache_that_cannot_be_written_costs_only_time(tiny_llama, fresh, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("in the way")
    right = Statistics(tiny_llama, 400).C([0])
    monkeypatch.setenv("LETHE_CACHE", str(tmp_path / "file"))
    assert equal(Statistics(tiny_llama, 400).C([0]), right)


def test_known_is_what_the_model_answers(taught, taught_facts, fresh, monkeypatch):
    strangers = [f for f in world() if f.key not in {g.key for g in taught_facts}][:20]
    monkeypatch.setattr(module, "world", lambda: tuple(taught_facts + strangers))
    for _ in range(2):
        known = Statistics(taught).known
        assert set(known) <= set(taught_facts) and len(known) > len(taught_facts) / 2
    monkeypatch.setattr(module, "world", lambda: tuple(strangers + taught_facts))
    assert set(Statistics(taught).known) == set(known)


def slow_keep(lm, facts, position, phrasings=3):
    K = keys(lm, build(lm, facts, position, phrasings), [0, 1])
    return {i: k @ k.T / k.shape[1] for i, k in K.items()}


def close(a, b, tolerance=1e-5):
    return all(((a[i] - b[i]).norm() / b[i].norm()).item() < tolerance for i in b)


@pytest.mark.parametrize("position", POSITIONS)
def test_the_keep_set_without_the_washed_is_as_if_they_had_never_been_in_it(tiny, position):
    known = list(world()[::150])
    known[3] = replace(known[3], prompts=known[3].prompts[:2])  # fewer phrasings than others
    stats = with_known(tiny, known)
    kept = stats.keep_facts([])
    assert 4 < len(kept) < len(known)
    assert close(stats.C_keep([0, 1], position, []), slow_keep(tiny, kept, position))
    asked = scored([], known)
    own = [replace(f, prompts=f.prompts[1:4]) for f in kept[2:4]]  # a person's phrasings of known facts
    cases = [kept[:2], kept[1::2], known[3:4], asked, own]
    cases += [[*kept[:3], asked[0]], [own[0], *kept[3:]], [*kept[:3], kept[0]]]  # some never kept, one twice
    for washed in cases:
        left = stats.keep_facts(washed)
        assert set(left) <= set(kept) - set(washed)
        assert close(stats.C_keep([0, 1], position, washed), slow_keep(tiny, left, position))
        assert close(stats.C_keep([0, 1], position, washed, 5), slow_keep(tiny, left, position, 5))
        G = gram(tiny, washed, position, 5, [0, 1])  # at hand: nothing else changes
        assert close(stats.C_keep([0, 1], position, washed, 5, G), slow_keep(tiny, left, position, 5))


@pytest.mark.parametrize("position", POSITIONS)
def test_a_model_that_knows_nothing_has_nothing_to_keep(tiny, some_facts, position):
    widths = {i: tiny.adapter.weight(tiny.model, i).shape[1] for i in (0, 1)}
    nothing = {i: torch.zeros(f, f, dtype=torch.float64) for i, f in widths.items()}
    assert equal(with_known(tiny, []).C_keep([0, 1], position, some_facts), nothing)
    kept = [f for f in some_facts if f not in scored([], some_facts)]
    gone = with_known(tiny, kept).C_keep([0, 1], position, kept)
    assert all(m.abs().max() < 1e-3 for m in gone.values())


def test_nothing_that_may_be_kept_is_asked_as_a_probe(tiny):
    known = list(world()[::10])
    stats = with_known(tiny, known)
    sizes = replace(SIZES, retained=10_000)
    for washed in (known[:1], known[::7], [f for f in known if f.subject[0] in "AB"]):
        sets = probe_sets(washed, stats, sizes, 0)
        keep, asked = set(stats.keep_facts(washed)), set(sets.same_subject) | set(sets.retained)
        assert not keep & asked
        assert not set(washed) & (keep | asked)
        assert keep | asked | set(washed) == set(known)  # every known fact has its place
        subjects = {f.subject for f in washed}
        assert all(f.subject in subjects for f in sets.same_subject)
        assert not any(f.subject in subjects for f in sets.retained)


def test_an_eighth_of_everything_and_half_of_the_same_subjects_is_scored():
    facts = world()
    assert 0.11 < len(scored([], facts)) / len(facts) < 0.14
    washed = [f for f in facts if f.relation == "capital"]
    subjects = {f.subject for f in washed}
    same = [f for f in facts if f.subject in subjects and f not in washed]
    asked = [f for f in scored(washed, facts) if f.subject in subjects]
    assert 0.45 < len(asked) / len(same) < 0.55


def test_probes_are_the_seeds_draw(tiny):
    stats = with_known(tiny, world()[::10])
    a, same, b = (probe_sets(stats.known[:3], stats, SIZES, seed) for seed in (0, 0, 1))
    assert a == same and len(a.retained) == SIZES.retained
    assert a.retained != b.retained and a.reasoning != b.reasoning and a.held_out != b.held_out


@pytest.mark.parametrize("position", POSITIONS)
def test_after_a_wash_all_is_as_if_measured_anew(tiny_llama, position, monkeypatch):
    """The base's keys below an edit are taken over: equal to measuring the edited model itself."""
    known = list(world()[::150])
    base = with_known(tiny_llama, known)
    name = tiny_llama.adapter.weight_name(0)
    shape = dict(tiny_llama.model.named_parameters())[name].shape
    delta = Delta({name: torch.randn(shape, generator=torch.Generator().manual_seed(0))}, tiny_llama.hash)
    view = edited(tiny_llama, [delta])
    still = known[3:]
    monkeypatch.setattr(module, "judged", lambda lm, _, facts: [Judged(f in still, f.object) for f in facts])
    after = AfterWash(view, base, [0])
    assert after.known == still
    anew = with_known(view, still)
    for washed in ([], still[:2]):
        found = after.C_keep([0, 1], position, washed)
        assert close(found, anew.C_keep([0, 1], position, washed))
    assert not close(after.C_keep([1], position, []), base.C_keep([1], position, known[:3]))
    assert close(after.C([0, 1]), anew.C([0, 1]))
    assert not close(after.C([1]), base.C([1]))


def test_statistics_after_a_wash_leave_nothing_on_disk(tiny_llama, tmp_path, monkeypatch):
    monkeypatch.setenv("LETHE_CACHE", str(tmp_path))
    base = Statistics(tiny_llama, 200)
    base.C([0])
    there = sorted(tmp_path.rglob("*"))
    name = tiny_llama.adapter.weight_name(0)
    shape = dict(tiny_llama.model.named_parameters())[name].shape
    after = AfterWash(edited(tiny_llama, [Delta({name: torch.ones(shape)}, tiny_llama.hash)]), base, [0])
    after.C([0, 1])
    assert after.once("x", ["y"], lambda: [1.0]) == [1.0]
    assert sorted(tmp_path.rglob("*")) == there
