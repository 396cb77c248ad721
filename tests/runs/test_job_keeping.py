"""What the runner keeps, in memory and on disk, and what it lets go: results, progress, old and lost runs."""

import errno
import gc
import math
import os
import shutil
import subprocess
import sys
import tempfile
import time
import weakref
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from run_engines import PLAIN, Big, Gate, bare, end, plain

from tests.ui.ui_help import until
from unlearning.events import Done, Figure, Phase, Progress, Warn, to_json
from unlearning.files import write_json
from unlearning.runs import log as log_module
from unlearning.runs.job import Runner, Thinned, UnknownRun
from unlearning.runs.log import RunLog

ROOT = Path(__file__).resolve().parents[2]


def test_an_idle_runner_holds_nothing_of_its_runs(start):
    runner = start()
    held = []

    def make():
        big = Big()
        held.append(weakref.ref(big))
        yield Done(big)

    def fails():
        yield from make()
        raise RuntimeError

    for engine in (make, fails, make):
        end(runner, runner.submit({}, engine))
    gc.collect()
    assert [big() for big in held] == [None] * 3


@pytest.mark.parametrize("progress", [5000, 1])
def test_fast_progress_is_thinned_and_its_last_word_kept(start, progress):
    runner = start()
    steps = [Progress(i + 1, 10_000) for i in range(progress)]
    id = runner.submit({}, plain([Phase("a", "A"), *steps, Phase("b", "B"), *steps, Done()]))
    events = bare(seen := end(runner, id))
    logged = [e["done"] for e in events if e["type"] == "Progress"]
    assert len(logged) <= 10 * seen[-1]["t"] + 4
    assert events[events.index(to_json(Phase("b", "B"))) - 1] == to_json(steps[-1])
    assert events[-2:] == [to_json(steps[-1]), to_json(Done())]


def test_a_full_bar_is_logged_when_it_comes_not_when_the_next_phase_does(start):
    runner = start()
    gate = Gate([Progress(i, 50) for i in range(51)])
    id = runner.submit({}, gate)
    assert gate.reached.wait(60)
    assert RunLog(runner.folder(id)).read()[-1]["done"] == 50


@pytest.mark.parametrize("ending", ["stopped", "failed"])
def test_the_last_progress_is_logged_when_a_run_ends_early(start, ending):
    runner = start()
    steps = [Progress(i, 100) for i in range(50)]
    gate = Gate(steps, [Warn("late") if ending == "stopped" else "no event"])
    id = runner.submit({}, gate)
    assert gate.reached.wait(60)
    if ending == "stopped":
        runner.stop(id)
    gate.opened.set()
    told = [event for event in bare(end(runner, id)) if event["type"] != "Failed"]
    assert told[-1] == to_json(steps[-1])
    assert runner.state(id) == ending


@example([(7, "step"), (1, "full")] * 20)
@given(st.lists(st.tuples(st.integers(0, 20), st.sampled_from(["step", "step", "step", "full", "other"]))))
def test_thinning_drops_only_progress_that_more_progress_follows(steps):
    now = [0.0]
    yielded = []
    with tempfile.TemporaryDirectory() as folder:
        log = RunLog(Path(folder))
        with Thinned(log, clock=lambda: now[0]) as thinned:
            for i, (gap, kind) in enumerate(steps):
                now[0] += gap / 64  # exact in binary
                event = Warn(str(i)) if kind == "other" else Progress(i, i if kind == "full" else 1000)
                thinned.append(event)
                yielded.append(to_json(event))
        logged = bare(log.read())
        log.close()
    rest = iter(yielded)
    assert all(event in rest for event in logged), "a part of what was yielded, in its order"
    kinds = [event["type"] for event in yielded] + ["the end"]
    due = [event for i, event in enumerate(yielded) if not kinds[i] == kinds[i + 1] == "Progress"]
    assert all(event in logged for event in due)
    others = sum(e["type"] == "Warn" for e in yielded)
    assert sum(e["type"] == "Progress" for e in logged) <= math.floor(now[0] / 0.1) + 1 + 2 * (others + 1)


KILLED = """
import sys, threading
from unlearning.events import Figure, Phase
from unlearning.runs.job import Runner
def engine():
    yield Phase("washing", "Washing")
    yield Figure("gone", 1)
    threading.Event().wait()
runner = Runner(sys.argv[1])
print(runner.submit({"facts": 1}, engine), runner.submit({"facts": 2}, engine), flush=True)
threading.Event().wait()
"""


def test_a_run_whose_process_is_killed_is_lost_with_its_log_readable(tmp_path):
    command = [sys.executable, "-c", KILLED, str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:
        running, queued = child.stdout.readline().split()
        reader = Runner(tmp_path)
        follower = reader.follow(running, poll=0.005)
        seen = [next(follower), next(follower)]
        assert (reader.state(running), reader.state(queued)) == ("running", "queued")
        child.kill()
        assert list(follower) == []  # and ends, rather than waiting for what will never come
        assert (reader.state(running), reader.state(queued)) == ("lost", "lost")
    with open(tmp_path / running / "events.jsonl", "ab") as file:
        file.write(b'{"n": 2, "t": 0.1, "ty')
    assert [event["type"] for event in seen] == ["Phase", "Figure"]
    assert end(reader, running) == seen
    assert (reader.state(running), reader.state(queued)) == ("lost", "lost")
    assert reader.place(running) is None and reader.stop(running) is False


def age(folder: Path, seconds: float) -> None:
    """Let a run's folder look as if last written so long ago."""
    then = time.time() - seconds
    for path in [*folder.iterdir(), folder]:
        os.utime(path, (then, then))


@pytest.mark.parametrize("moment", ["submit", "start-up"])
def test_old_runs_are_deleted_but_none_that_is_running_or_waiting(start, moment):
    runner = start(keep_seconds=60)
    old, fresh = runner.submit({}, plain()), runner.submit({}, plain())
    end(runner, fresh)
    gate = Gate()
    running, queued = runner.submit({}, gate), runner.submit({}, plain())
    assert gate.reached.wait(60)
    lost = runner.root / ("L" * 22)
    notes = runner.root / "notes"
    lost.mkdir(), notes.mkdir()
    write_json(lost / "state.json", {"state": "running", "pid": os.getpid(), "mark": "an earlier boot"})
    for folder in [runner.folder(old), runner.folder(running), runner.folder(queued), lost, notes]:
        age(folder, 61)
    age(runner.folder(fresh), 30)
    if moment == "submit":
        runner.submit({}, plain())
    else:
        start(keep_seconds=60)
    with pytest.raises(UnknownRun):
        runner.follow(old)
    assert not lost.exists() and notes.exists()
    assert [runner.state(id) for id in (fresh, running, queued)] == ["done", "running", "queued"]


def test_what_grows_old_is_deleted_where_no_run_is_ever_submitted(start, monkeypatch):
    monkeypatch.setattr("unlearning.runs.job.SWEEP_SECONDS", 0.01)
    runner = start(keep_seconds=60)
    left = runner.root / ("L" * 22)
    left.mkdir()
    write_json(left / "state.json", {"state": "done", "pid": 1, "mark": ""})
    age(left, 61)
    runner.begin()
    assert until(lambda: not left.exists())


def test_uploads_of_a_server_that_was_killed_are_deleted_as_runs_are(start):
    runner = start(keep_seconds=60)
    old, young, cut_off = (runner.uploads / name for name in ("old", "young", "tmp1234"))
    for folder in (old, young):
        folder.mkdir(parents=True)
        (folder / "facts.csv").write_text("a | b | c")
    cut_off.write_text("a | b")
    age(old, 61)
    os.utime(cut_off, (time.time() - 61,) * 2)
    start(keep_seconds=60)
    assert [path.name for path in runner.uploads.iterdir()] == ["young"]


def test_a_run_is_kept_as_long_as_those_on_top_of_it(start):
    runner = start(keep_seconds=60)
    low = runner.submit({}, plain())
    middle = runner.submit({}, plain(), on=[low])
    top = runner.submit({}, plain(), on=[low, middle])
    gate = Gate()
    waiting = runner.submit({}, gate, on=[low])
    assert gate.reached.wait(60)
    for id in (low, middle, waiting):
        age(runner.folder(id), 61)
    runner.submit({}, plain())
    assert all(runner.folder(id) for id in (low, middle, top))
    age(runner.folder(top), 61)
    runner.submit({}, plain())
    runner.submit({}, plain())
    assert runner.folder(low) and runner.folder(waiting)  # that one has not ended
    for id in (middle, top):
        with pytest.raises(UnknownRun):
            runner.folder(id)
    gate.opened.set()
    end(runner, waiting)
    age(runner.folder(waiting), 61)
    runner.submit({}, plain())
    runner.submit({}, plain())
    with pytest.raises(UnknownRun):
        runner.folder(low)


def test_a_run_on_top_of_one_that_is_gone_is_refused(start):
    runner = start()
    with pytest.raises(UnknownRun):
        runner.submit({}, plain(), on=["x" * 22])
    assert not list(runner.root.iterdir())


def test_a_follower_of_a_deleted_run_ends(start):
    runner = start()
    id = runner.submit({}, plain())
    end(runner, id)
    follower = runner.follow(id)
    shutil.rmtree(runner.folder(id))
    assert list(follower) == []


def test_when_the_end_cannot_be_written_the_run_is_lost_and_the_next_one_goes_on(start, monkeypatch):
    runner = start()
    ids = []

    def full(path, value):
        if path.parent.name == ids[2]:
            raise OSError(errno.ENOSPC, "No space left on device")
        write_json(path, value)

    def fills():
        monkeypatch.setattr(log_module, "write_json", full)
        yield Figure("n", 1)

    def spoils():
        state = runner.folder(ids[0]) / "state.json"
        state.unlink()
        state.mkdir()
        yield Figure("n", 1)

    def removes():
        shutil.rmtree(runner.folder(ids[1]))
        yield Figure("n", 1)

    gate = Gate()
    runner.submit({}, gate)
    ids += [runner.submit({}, engine) for engine in (spoils, removes, fills, plain())]
    gate.opened.set()
    assert len(end(runner, ids[3])) == len(PLAIN)
    for id in (ids[0], ids[2]):
        assert len(end(runner, id)) == 1
        assert runner.state(id) == "lost"
