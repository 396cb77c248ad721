"""The bench of speed: what of a wash is timed, and its table."""

import pytest

from unlearning import bench
from unlearning.events import Phase, Progress


def test_the_phases_until_the_result_are_timed_and_the_run_is_then_closed(monkeypatch):
    clock, closed = iter([0.0, 1.0, 3.0, 6.0]), []
    monkeypatch.setattr(bench, "monotonic", lambda: next(clock))

    def run():
        try:
            yield from (Phase("known", ""), Progress(1, 2, ""), Phase("targets", ""), Phase("curve", ""))
            yield pytest.fail("the curve was run")
        finally:
            closed.append(True)

    assert bench.phases(run()) == {"": 1.0, "known": 2.0, "targets": 3.0}
    assert closed


def test_the_last_phase_lasts_until_the_events_end(monkeypatch):
    clock = iter([0.0, 1.0, 3.0, 6.0])
    monkeypatch.setattr(bench, "monotonic", lambda: next(clock))
    events = (e for e in (Phase("targets", ""), Phase("law", ""), Progress(1, 2, "")))
    assert bench.phases(events) == {"": 1.0, "targets": 2.0, "law": 3.0}


def test_the_table_of_speed():
    found = {"model": "m", "seconds_200": 8.0, "wash_200": 5.0, "seconds_20": 2.0, "wash_20": 1.0}
    found |= {"targets_batched": 3.0, "targets_one_at_a_time": 60.0, "ratio": 20.0}
    rows = bench.table(found).splitlines()
    assert "| 200 facts, press to result; of it the wash itself | 8.0; 5.0 |" in rows
    assert any("60.00 (20 ×)" in row for row in rows)
