"""The bench of sizes: its made-up facts, and its table."""

from unlearning.bench_size import made_up, table
from unlearning.facts.world import relations, world


def test_made_up_facts_are_of_subjects_that_nobody_has_heard_of():
    facts = made_up(500)
    assert len({f.subject for f in facts}) == 500
    assert not {f.subject for f in facts} & {f.subject for f in world()}
    assert {f.prompts for f in facts} == {r.phrasings for r in relations()}
    assert made_up(100) == facts[:100]


def test_the_table_gives_every_ratio_beside_its_figures():
    at = {"facts": 200, "groups": 200, "batched": 0.5, "one_at_a_time": 10.0}
    sizes = [{"facts": n, "seconds": {"targets": n / 100, "law": 1.0}, "peak": 5e8 + n} for n in (100, 1000)]
    found = {"model": "m", "device": "cpu", "threads": 1, "targets": {"prompt": at}, "facts": sizes}
    rows = list(table(found | {"scoring": {"scored": 0.002, "step of 8": 0.001}}))
    assert any("0.50 s; 10.0 s | 20.0 ×" in r for r in rows)
    assert any("1,000 made-up facts, seconds" in r and "11.0 s; 10.0 ms | 5.5 ×" in r for r in rows)
    assert any("1,000 made-up facts, peak" in r and "500 MB | 1.00 ×" in r for r in rows)
    assert any("2.00 ×" in r for r in rows)
