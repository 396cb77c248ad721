"""The runner: one run at a time, in turn, each followed by anyone, each with an end that is told."""

import gc
import json
import re
import subprocess
import sys
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from run_engines import PLAIN, Big, Gate, bare, end, plain

from unlearning.events import Done, Figure, Phase, Progress, Warn, to_json
from unlearning.files import write_json
from unlearning.runs.job import QueueFull, UnknownRun
from unlearning.steps import step

ROOT = Path(__file__).resolve().parents[2]


def test_events_arrive_complete_and_in_order_and_late_followers_see_the_same(start):
    runner = start()
    gate = Gate(PLAIN[:2], PLAIN[2:])
    id = runner.submit({"facts": 3}, gate)
    follower = runner.follow(id, poll=0.005)
    first = [next(follower), next(follower)]
    assert gate.reached.wait(60) and runner.state(id) == "running"
    gate.opened.set()
    seen = first + list(follower)
    assert bare(seen) == [to_json(event) for event in PLAIN]
    assert [event["n"] for event in seen] == [0, 1, 2, 3]
    assert end(runner, id) == end(start(), id) == seen
    assert list(runner.follow(id, after=1)) == seen[2:]
    assert runner.state(id) == "done"
    assert json.loads((runner.folder(id) / "config.json").read_text()) == {"facts": 3}


def test_time_is_counted_from_when_the_run_begins_not_from_when_it_was_queued(start):
    runner = start()
    gate = Gate()
    runner.submit({}, gate)
    assert gate.reached.wait(60)
    queued = time.monotonic()
    id = runner.submit({}, plain())
    time.sleep(0.3)
    gate.opened.set()
    events = end(runner, id)
    assert 0 <= events[0]["t"] <= events[-1]["t"] <= time.monotonic() - queued - 0.3


def test_another_process_follows_a_run_from_the_folder_alone(start):
    runner = start()
    gate = Gate(PLAIN[:2], PLAIN[2:])
    id = runner.submit({}, gate)
    code = (
        "import json, sys; from unlearning.runs.log import RunLog\n"
        "for event in RunLog(sys.argv[1]).follow(): print(json.dumps(event), flush=True)"
    )
    command = [sys.executable, "-c", code, str(runner.folder(id))]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:
        lines = [child.stdout.readline() for _ in PLAIN[:2]]  # while the run is still running
        gate.opened.set()
        lines += child.stdout.readlines()
    assert [json.loads(line) for line in lines] == end(runner, id)


def test_twenty_followers_at_once_see_the_same(start):
    runner = start()
    figures = [Figure("step", i) for i in range(200)]
    gate = Gate(figures[:100], [*figures[100:], Done()])
    id = runner.submit({}, gate)
    with ThreadPoolExecutor(20) as pool:
        early = [pool.submit(end, runner, id) for _ in range(10)]
        assert gate.reached.wait(60)
        late = [pool.submit(end, runner, id) for _ in range(10)]
        gate.opened.set()
        seen = [follower.result() for follower in early + late]
    assert [event["value"] for event in seen[0][:-1]] == list(range(200))
    assert all(one == seen[0] for one in seen)


def test_runs_never_overlap_and_keep_their_turn(start):
    runner = start()
    active, most, order = [], [], []

    def engine(i):
        def events():
            active.append(i)
            order.append(i)
            for n in range(5):
                most.append(len(active))
                yield Figure("n", n)
            active.remove(i)
            yield Done(i)

        return events

    gate = Gate()
    runner.submit({}, gate)
    ids = [runner.submit({}, engine(i)) for i in range(8)]
    with ThreadPoolExecutor(4) as pool:
        ids += pool.map(lambda i: runner.submit({}, engine(i)), range(8, 20))
    gate.opened.set()
    for id in ids:
        end(runner, id)
    assert max(most) == 1
    assert order[:8] == list(range(8)) and sorted(order) == list(range(20))
    assert {runner.state(id) for id in ids} == {"done"}


def test_places_in_the_queue_count_the_runs_before(start):
    runner = start()
    gates = [Gate() for _ in range(4)]
    ids = [runner.submit({}, gate) for gate in gates]
    assert [runner.place(id) for id in ids] == [0, 1, 2, 3]
    assert gates[0].reached.wait(60)
    assert [runner.place(id) for id in ids] == [0, 1, 2, 3]
    assert [runner.state(id) for id in ids] == ["running", "queued", "queued", "queued"]
    runner.stop(ids[2])
    assert [runner.place(id) for id in ids] == [0, 1, None, 2]
    gates[0].opened.set()
    assert gates[1].reached.wait(60)
    assert [runner.place(id) for id in ids] == [None, 0, None, 1]


def test_stop_takes_effect_at_the_next_event_and_the_engine_restores_first(start):
    runner = start()
    ids, state_when_restored = [], []

    def engine():
        try:
            yield from gate()
        finally:
            state_when_restored.append(runner.state(ids[0]))

    gate = Gate([Phase("washing", "Washing")], [Figure("late", 1), Figure("never", 2), Done("weights")])
    ids.append(runner.submit({}, engine))
    assert gate.reached.wait(60)
    assert runner.stop(ids[0]) is True
    gate.opened.set()
    assert bare(end(runner, ids[0])) == [to_json(Phase("washing", "Washing"))]
    assert gate.restored.is_set() and state_when_restored == ["running"]
    assert runner.state(ids[0]) == "stopped"
    assert runner.stop(ids[0]) is False
    other = runner.submit({}, plain())
    assert len(end(runner, other)) == len(PLAIN)


def test_stop_takes_effect_in_the_middle_of_what_yields_no_event(start):
    """A pass over ordinary text, or thousands of prompts, may take minutes: each batch is a step."""
    runner = start()
    reached, opened, restored, taken = *(threading.Event() for _ in range(3)), []

    def engine():
        try:
            yield PLAIN[0]
            for n in range(9):
                step(Progress(n, 9, "tokens"))
                taken.append(n)
                if n == 3:
                    reached.set()
                    assert opened.wait(60)
            yield PLAIN[1]
        finally:
            restored.set()

    id = runner.submit({}, engine)
    assert reached.wait(60)
    assert runner.stop(id) is True
    opened.set()
    events = end(runner, id)
    assert runner.state(id) == "stopped" and restored.is_set()
    assert taken == [0, 1, 2, 3]
    assert bare(events)[:2] == [to_json(PLAIN[0]), to_json(Progress(0, 9, "tokens"))]
    assert bare(events)[-1] == to_json(Progress(3, 9, "tokens"))
    step(Progress(1, 9))  # nobody watches here


def test_a_stop_that_comes_with_the_result_loses_nothing(start):
    runner = start()
    gate = Gate((), [Done("weights")])
    id = runner.submit({}, gate)
    assert gate.reached.wait(60)
    runner.stop(id)
    gate.opened.set()
    assert bare(end(runner, id)) == [to_json(Done("weights"))]
    assert runner.state(id) == "done"


def test_a_waiting_run_is_stopped_at_once_and_never_begins(start):
    runner = start()
    gate, never = Gate(), Gate()
    first, second = runner.submit({}, gate), runner.submit({}, never)
    assert gate.reached.wait(60)
    assert runner.stop(second) is True
    assert runner.state(second) == "stopped"
    assert end(runner, second) == []
    gate.opened.set()
    end(runner, first)
    end(runner, runner.submit({}, plain()))
    assert not never.reached.is_set()


def test_a_weight_that_cannot_be_restored_is_a_failure_not_a_stop(start):
    runner = start()
    gate = Gate((), PLAIN)

    def engine():
        try:
            yield from gate()
        finally:
            raise ValueError("could not restore")

    id = runner.submit({}, engine)
    assert gate.reached.wait(60)
    runner.stop(id)
    gate.opened.set()
    assert end(runner, id)[-1]["kind"] == "ValueError"
    assert runner.state(id) == "failed"


class OutOfMemoryError(RuntimeError):
    """Named as torch's."""


@pytest.mark.parametrize(
    "error, said",
    [
        (
            ValueError("/home/someone/secret"),
            r"Something went wrong inside the program \(ValueError\); .*log.*\.",
        ),
        (SystemExit(2), r"Something went wrong inside the program \(SystemExit\); .*log.*\."),
        (
            OutOfMemoryError("CUDA out of memory. Tried 3 GiB"),
            r"There was not enough memory for this run; .*\.",
        ),
        (MemoryError(), r"There was not enough memory for this run; .*\."),
        (
            RuntimeError("DefaultCPUAllocator: can't allocate"),
            r"There was not enough memory for this run; .*\.",
        ),
        (UnknownRun("This was written\nfor people."), r"This was written for people\."),
    ],
    ids=lambda x: type(x).__name__ if isinstance(x, BaseException) else "",
)
@pytest.mark.parametrize("when", ["making", "running", "after done"])
def test_a_failing_engine_is_told_in_one_sentence_and_the_next_run_goes_on(start, caplog, error, said, when):
    runner = start()
    events = {"making": [], "running": PLAIN[:2], "after done": PLAIN}[when]

    def engine():
        yield from events
        raise error

    def make():
        if when == "making":
            raise error
        return engine()

    gate = Gate()
    runner.submit({}, gate)
    failing, following = runner.submit({}, make), runner.submit({}, plain())
    gate.opened.set()
    *before, last = bare(end(runner, failing))
    assert before == [to_json(event) for event in events]
    assert (last["type"], last["kind"]) == ("Failed", type(error).__name__)
    assert re.fullmatch(said, last["text"])
    assert runner.state(failing) == "failed"
    assert bare(end(runner, following)) == [to_json(event) for event in PLAIN]
    assert runner.state(following) == "done"
    if isinstance(error, UnknownRun):  # all is said
        assert caplog.text == ""
    else:
        assert "Traceback" in caplog.text and __file__ in caplog.text
        harmless = isinstance(error, RuntimeError | MemoryError)
        assert (f"{type(error).__name__}: {error}" in caplog.text) == harmless
    assert "Traceback" not in (runner.folder(failing) / "events.jsonl").read_text()


@pytest.mark.parametrize("event", ["a word", None, Figure("tensor", object()), Done(None, {"x": object()})])
def test_what_cannot_be_logged_fails_the_run_and_restores(start, event):
    runner = start()
    gate = Gate((), [event, Done()])
    gate.opened.set()
    id = runner.submit({}, gate)
    assert end(runner, id)[-1]["kind"] == "TypeError"
    assert gate.restored.is_set()


def test_when_a_failure_is_told_nothing_of_the_engine_is_held(start):
    runner = start()
    held = []

    def engine():
        big = Big()
        held.append(weakref.ref(big))
        yield Figure("n", 1)
        try:
            raise OutOfMemoryError("no room")
        except OutOfMemoryError as e:
            big.cause = e  # a cycle: error -> traceback -> frame -> big -> error
            raise RuntimeError("failed") from e

    gc.disable()  # so that only the runner's own care can free it
    try:
        id = runner.submit({}, engine)
        end(runner, id)
        assert runner.state(id) == "failed"
        assert held[0]() is None
    finally:
        gc.enable()


def test_a_full_queue_says_so_politely_and_has_room_again_later(start):
    runner = start(max_waiting=2)
    gates = [Gate() for _ in range(3)]
    ids = [runner.submit({}, gate) for gate in gates]
    with pytest.raises(QueueFull, match=r"^Sorry, 2 runs are waiting already\. Please try again .*\.$"):
        runner.submit({}, plain())
    assert len(list(runner.root.iterdir())) == 3
    runner.stop(ids[1])
    assert runner.place(runner.submit({}, plain())) == 2


def test_a_config_that_is_no_json_leaves_nothing(start):
    runner = start()
    with pytest.raises(TypeError):
        runner.submit({"model": object()}, plain())
    assert list(runner.root.iterdir()) == []


def test_ids_are_unguessable_and_never_the_same(start):
    runner = start(max_waiting=100)
    ids = {runner.submit({}, plain()) for _ in range(50)}
    assert len(ids) == 50
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{22}", id) for id in ids)  # 16 bytes of the system's randomness


@pytest.mark.parametrize(
    "id",
    [
        "",
        ".",
        "..",
        "../" + "a" * 19,
        "a" * 21,
        "a" * 23,
        "a" * 22 + "\n",
        "/" + "a" * 21,
        "a" * 21 + "/",
        "a" * 22,
    ]
    + ["a" * 21 + "é", "a" * 21 + "\0", None, 7, ["a" * 22]],
)
def test_what_is_no_id_reaches_no_file(start, id):
    runner = start()
    outside = runner.root.parent / ("a" * 19)
    outside.mkdir()
    write_json(outside / "state.json", {"state": "done"})
    for call in (runner.folder, runner.state, runner.stop, runner.place, runner.follow):
        with pytest.raises(UnknownRun, match="not known here" if id == "a" * 22 else "not the id of a run"):
            call(id)


def test_closing_stops_all_and_waits_until_the_engine_has_restored(start):
    runner = start()
    gate = Gate((), [Warn("late"), Done("weights")])
    running, queued = runner.submit({}, gate), runner.submit({}, plain())
    assert gate.reached.wait(60)
    closing = threading.Thread(target=runner.close)
    closing.start()
    assert list(runner.follow(queued, poll=0.005)) == []
    gate.opened.set()
    closing.join(60)
    assert gate.restored.is_set()
    assert (runner.state(running), runner.state(queued)) == ("stopped", "stopped")
    with pytest.raises(RuntimeError):
        runner.submit({}, plain())
    runner.close()
