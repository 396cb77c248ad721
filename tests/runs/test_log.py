"""The event log: whole after any kind of end, and the same for everyone who reads it."""

import json
import os
import subprocess
import sys
import threading

import pytest

from unlearning.files import write_json
from unlearning.runs import log as log_module
from unlearning.runs.log import ENDED, STATES, RunLog, process_mark, where

EVENTS = [
    {"type": "Phase", "name": "washing", "text": "Washing Zürich\r\n\u2028 away"},
    {"type": "Figure", "name": "gone", "value": [1, 2.5, {"a": None}]},
    {"type": "Warn", "text": "half of a character: \ud83d"},
]


def without_time(events: list[dict]) -> list[dict]:
    return [{k: v for k, v in event.items() if k != "t"} for event in events]


def test_what_is_appended_is_read_numbered_and_in_order(tmp_path):
    log = RunLog(tmp_path)
    written = [log.append(event) for event in EVENTS]
    assert RunLog(tmp_path).read() == written
    assert without_time(written) == [{"n": n, **event} for n, event in enumerate(EVENTS)]
    assert [e["t"] for e in written] == sorted(e["t"] for e in written)
    assert [RunLog(tmp_path).read(after) for after in (-1, 0, 1, 2, 9)] == [
        written,
        written[1:],
        written[2:],
        [],
        [],
    ]


def test_every_event_is_on_disk_before_append_returns(tmp_path):
    log = RunLog(tmp_path)
    for n, event in enumerate(EVENTS):
        log.append(event)
        assert (tmp_path / "events.jsonl").read_bytes().count(b"\n") == n + 1


def test_a_file_cut_at_any_byte_reads_as_its_whole_lines_and_can_be_continued(tmp_path):
    log = RunLog(tmp_path)
    written = [log.append(event) for event in EVENTS]
    log.close()
    file = tmp_path / "events.jsonl"
    whole = file.read_bytes()
    for cut in range(len(whole) + 1):
        file.write_bytes(whole[:cut])
        kept = written[: whole[:cut].count(b"\n")]
        again = RunLog(tmp_path)
        assert again.read() == kept
        added = again.append({"type": "Warn", "text": "on"})
        again.close()
        assert again.read() == [*kept, added]
        assert added["n"] == len(kept)


def test_a_line_of_rubbish_is_passed_over(tmp_path):
    log = RunLog(tmp_path)
    first = log.append(EVENTS[0])
    with open(tmp_path / "events.jsonl", "ab") as file:
        file.write(b"\0\0\0\0\n[1]\n\xff\n")
    assert log.read() == [first]


def test_numbers_that_json_lacks_become_null_and_other_things_are_refused(tmp_path):
    log = RunLog(tmp_path)
    log.append({"type": "Figure", "name": "perplexity", "value": [float("inf"), {"x": float("nan")}, 1.0]})
    with pytest.raises(TypeError):
        log.append({"type": "Figure", "name": "tensor", "value": object()})
    log.append(EVENTS[0])
    lines = (tmp_path / "events.jsonl").read_text().splitlines()
    assert json.loads(lines[0], parse_constant=pytest.fail)["value"] == [None, {"x": None}, 1.0]
    assert [event["n"] for event in log.read()] == [0, 1]


@pytest.mark.parametrize("state", sorted(STATES))
def test_a_state_set_by_a_living_process_is_the_state(tmp_path, state):
    RunLog(tmp_path).set_state(state)
    assert RunLog(tmp_path).state() == state


def test_only_the_six_states_can_be_set(tmp_path):
    with pytest.raises(ValueError):
        RunLog(tmp_path).set_state("asleep")
    assert RunLog(tmp_path).state() == "lost"


@pytest.mark.parametrize("state", sorted(STATES))
def test_an_unfinished_run_of_another_process_with_this_number_is_lost(tmp_path, state):
    write_json(tmp_path / "state.json", {"state": state, "pid": os.getpid(), "mark": "an earlier boot"})
    assert RunLog(tmp_path).state() == (state if state in ENDED else "lost")


def test_a_process_is_gone_once_killed_even_before_it_is_waited_for():
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    mark = process_mark(child.pid)
    assert mark and mark != process_mark(os.getpid()) and mark == process_mark(child.pid)
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # dead now, and left a zombie
    assert process_mark(child.pid) is None
    child.communicate()
    assert process_mark(child.pid) is None


def test_a_run_that_ends_with_its_process_between_two_looks_is_not_lost(tmp_path, monkeypatch):
    log = RunLog(tmp_path)
    log.set_state("running")

    def ends_meanwhile(pid):
        write_json(tmp_path / "state.json", {"state": "done", "pid": pid, "mark": None})
        return None

    monkeypatch.setattr(log_module, "process_mark", ends_meanwhile)
    assert log.state() == "done"


def test_a_state_is_never_read_half_written(tmp_path):
    log = RunLog(tmp_path)
    log.set_state("queued")
    seen, stop = set(), threading.Event()

    def look():
        while not stop.is_set():
            seen.add(RunLog(tmp_path).state())

    reader = threading.Thread(target=look)
    reader.start()
    for _ in range(200):
        log.set_state("running")
        log.set_state("queued")
    stop.set()
    reader.join()
    assert seen <= {"queued", "running"}
    assert sorted(p.name for p in tmp_path.iterdir()) == ["state.json"]


def test_a_refused_write_leaves_the_former_file(tmp_path):
    write_json(tmp_path / "a.json", {"kept": True})
    with pytest.raises(TypeError):
        write_json(tmp_path / "a.json", {"kept": object()})
    assert json.loads((tmp_path / "a.json").read_text()) == {"kept": True}
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_following_where_there_is_no_run_ends_at_once(tmp_path):
    assert list(RunLog(tmp_path / "nothing").follow()) == []


def test_the_package_is_light():
    code = (
        "import sys, unlearning.runs.job, unlearning.runs.record as r; r.versions();"
        "print({'gradio', 'numpy', 'torch', 'transformers'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "set()"


def test_a_traceback_tells_where_but_not_what_a_visitor_wrote():
    def ask(subject: str) -> None:
        try:
            {}[subject]
        except KeyError as error:
            raise ValueError(f"no prior for {subject}") from error

    subject = "Quitten" + "baum"
    try:
        ask(subject)
    except ValueError as error:
        said = where(error)
    assert subject not in said
    assert said.index("KeyError") < said.index("ValueError") and said.count("in ask") == 2
    assert where(RuntimeError("shapes 2 and 3")).endswith("RuntimeError: shapes 2 and 3")
