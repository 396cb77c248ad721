"""The bench of sizes: its made-up facts, and its table."""

import pytest
import torch

from unlearning import bench_size
from unlearning.bench_size import made_up, table
from unlearning.facts.world import relations, world
from unlearning.law.settings import Settings


def test_made_up_facts_are_of_subjects_that_nobody_has_heard_of():
    facts = made_up(500)
    assert len({f.subject for f in facts}) == 500
    assert not {f.subject for f in facts} & {f.subject for f in world()}
    assert {f.prompts for f in facts} == {r.phrasings for r in relations()}
    assert made_up(100) == facts[:100]


def test_a_shape_is_searched_and_solved(monkeypatch):
    tiny = Settings(target="eos", position="subject", layers=(1, 2), phrasings=1, prefixes=1)
    monkeypatch.setitem(bench_size.BIG, "tiny", ("gpt2", 4, 64))
    monkeypatch.setitem(bench_size.DTYPE, "tiny", torch.float32)
    monkeypatch.setitem(bench_size.PAPER, ("gpt2", 4, 64), tiny)
    found = bench_size.shape("tiny", 3, 0, torch.device("cpu"))
    assert (found["facts"], found["layers"], found["of"], found["dtype"]) == (3, 4, 4, "float32")
    assert min(found[k] for k in ("seconds_a_fact", "operations_a_fact", "rate", "solves_a_layer")) > 0
    assert found["edited"] == 2 and min(found["again_a_fact"], found["asked_a_fact"]) > 0
    assert any(
        "tiny: 332,036 facts, 2 layers, projected from 3" in row for row in bench_size._shape_rows(found)
    )
    fewer = bench_size.shape("tiny", 3, 3, torch.device("cpu"))
    assert fewer["operations_a_fact"] < found["operations_a_fact"]
    with pytest.raises(ValueError, match="build more than 2"):
        bench_size.shape("tiny", 3, 2, torch.device("cpu"))


def test_a_whole_wash_is_projected_from_its_parts():
    parts = {"name": "m", "edited": 3, "seconds_a_fact": 1.0, "again_a_fact": 0.25, "asked_a_fact": 0.5}
    parts |= {"solves_a_layer": 100.0}
    assert bench_size.projected(parts, 10) == 10 * (0.5 * 3 + 1.0 + 2 * 2 * 0.25) + 300


def test_the_table_gives_every_ratio_beside_its_figures():
    at = {"facts": 200, "groups": 200, "batched": 0.5, "one_at_a_time": 10.0}
    sizes = [{"facts": n, "seconds": {"targets": n / 100, "law": 1.0}, "peak": 5e8 + n} for n in (100, 1000)]
    found = {"model": "m", "device": "cpu", "threads": 1, "targets": {"prompt": at}, "facts": sizes}
    rows = list(table(found | {"scoring": {"scored": 0.002, "step of 8": 0.001}}))
    assert any("0.50 s; 10.0 s | 20.0 ×" in r for r in rows)
    assert any("1,000 made-up facts, seconds" in r and "11.0 s; 10.0 ms | 5.5 ×" in r for r in rows)
    assert any("1,000 made-up facts, peak" in r and "500 MB | 1.00 ×" in r for r in rows)
    assert any("2.00 ×" in r for r in rows)
