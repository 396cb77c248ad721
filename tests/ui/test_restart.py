"""app.py itself: killed in mid-run, and started again on the same folder, this time with settings."""

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path

import pytest
from ui_help import FACTS, PATIENCE, until
from visitor import WAIT, Visitor

from tests.measure.served import chromium, free_port
from unlearning.facts.examples import examples
from unlearning.files import write_json
from unlearning.runs.log import RunLog
from unlearning.ui import words

pytestmark = pytest.mark.browser

ROOT = Path(__file__).resolve().parents[2]
MIXED = next(e.text for e in examples() if e.name == "mixed-25")
LOGIN = ("ann", "so:secret")
SECRET = "Quittenbaum"
OLD, YOUNG = "O" * 22, "Y" * 22


class Server:
    """app.py in a process of its own, ready to be asked. What it writes is in `log`."""

    def __init__(self, port: int, runs: Path, log: Path, **settings: str):
        self.port, self.url, self.log = port, f"http://127.0.0.1:{port}/", log
        env = {k: v for k, v in os.environ.items() if not k.startswith(("LETHE_HOST", "GRADIO_SERVER"))}
        env |= {"LETHE_PORT": str(port), "LETHE_RUNS": str(runs), **settings}
        with open(log, "wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "app.py"], cwd=ROOT, env=env, stdout=out, stderr=out
            )
        assert until(lambda: self.process.poll() is not None or self.get("/") is not None)
        assert self.process.poll() is None, log.read_text()

    def get(self, path: str, **headers: str) -> tuple[int, bytes] | None:
        """Status and body of the answer; None when nobody listens."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        except ConnectionError:
            return None
        finally:
            connection.close()

    def kill(self, how: int = signal.SIGKILL) -> int:
        self.process.send_signal(how)
        return self.process.wait(PATIENCE)


def upload(visitor, folder: Path) -> None:
    """Bring a file, of a fact that nobody else writes."""
    file = folder / "mine.csv"
    file.write_text(f"subject,relation,object\n{SECRET},capital,{SECRET}\n", encoding="utf-8")
    with visitor.page.expect_file_chooser() as chooser:
        visitor.page.click("#upload")
    chooser.value.set_files(file)
    visitor.expect(visitor.page.locator("#facts textarea")).to_have_value(re.compile("^subject,"))


class Returning(Visitor):
    """A visitor who closes the page and comes back in another: the browser's storage is the same."""

    def open_again(self, url: str) -> None:
        old, self.page = self.page, self.page.context.new_page()
        old.close()
        self.page.set_default_timeout(WAIT)
        self.page.goto(url)
        self.ready()


@pytest.fixture(scope="module")
def story(tmp_path_factory):
    """What befell: the browser's page, the killed run's log and what it told in time, the second server."""
    folder = tmp_path_factory.mktemp("restart")
    runs = folder / "runs"
    port = free_port()
    first = Server(port, runs, folder / "first.log")
    second = None
    try:
        with chromium() as browser:
            visitor = Returning(browser, first.url)
            visitor.wash(MIXED)
            assert until(lambda: any(runs.glob("*/events.jsonl")))
            log = RunLog(next(runs.glob("*/events.jsonl")).parent)
            assert until(lambda: any(event.get("name") == "targets" for event in log.read()))
            before = log.read()
            upload(visitor, folder)
            first.kill()
            assert any((runs / "uploads").rglob("mine.csv"))
            for path in [*(runs / "uploads").rglob("*")][::-1]:
                os.utime(path, (time.time() - 7200,) * 2)
            for name, hours in ((OLD, 2), (YOUNG, 0.5)):
                (runs / name).mkdir()
                write_json(runs / name / "state.json", {"state": "done", "pid": 1, "mark": ""})
                for path in (runs / name / "state.json", runs / name):
                    os.utime(path, (time.time() - 3600 * hours,) * 2)
            settings = {"LETHE_LOGIN": ":".join(LOGIN), "LETHE_QUEUE": "1", "LETHE_KEEP_HOURS": "1"}
            second = Server(port, runs, folder / "second.log", LETHE_NAMES="lethe.example", **settings)
            yield visitor, log, before, second
    finally:
        for server in filter(None, (first, second)):
            server.kill()


def test_a_killed_run_is_lost_and_the_page_says_so_and_washes_again(story):
    visitor, log, before, server = story
    assert log.state() == "lost"
    assert log.read()[: len(before)] == before and before[-1]["n"] == len(before) - 1
    form = dict(zip(("username", "password"), LOGIN, strict=True))
    assert visitor.page.context.request.post(f"{server.url}login", form=form).ok
    visitor.open_again(server.url)
    said = visitor.wait_for_status("^The program ended")
    phase = next(e["text"] for e in reversed(log.read()) if e["type"] == "Phase")
    assert f"s, at: {phase}" in said and said.endswith(words.LOST.split("{share}")[1])
    assert visitor.page.input_value("#facts textarea").strip() == MIXED.strip()
    visitor.expect(visitor.page.locator("#happened")).to_be_hidden()
    visitor.wash(FACTS)
    visitor.wait_for_status(r"^Done in [\d.]+ s\.")
    visitor.column("answers", "after", 3)


def test_nothing_is_shown_before_the_login(story):
    server = story[-1]
    for path in ("/config", "/gradio_api/info", f"/gradio_api/file={story[1].folder}/events.jsonl"):
        status, body = server.get(path)
        assert status == 401 and b"France" not in body
    page = server.get("/")[1].decode()
    assert "auth_required" in page and "lethe-llama" not in page


def test_runs_older_than_the_hours_said_are_gone_and_younger_ones_are_not(story):
    assert not (story[1].folder.parent / OLD).exists()
    assert (story[1].folder.parent / YOUNG).exists()


def test_what_a_killed_server_was_brought_is_gone_with_its_runs(story):
    assert not [*story[1].folder.parent.rglob("mine.csv")]


def test_nothing_that_a_visitor_wrote_is_in_the_servers_log(story):
    """Facts, a file and its name, a free question, a refused setting, and what no event takes."""
    from gradio_client import Client

    visitor, log, _, server = story
    client = Client(server.url, auth=LOGIN, verbose=False)
    told = client.predict(f"{SECRET} | capital | {SECRET}", api_name="/wash")
    assert told["state"] == "failed" and "knows none of these facts" in told["failed"]
    client.predict(f"{SECRET} is in", api_name="/ask")
    with pytest.raises(Exception, match="scope"):
        client.predict(FACTS, SECRET, api_name="/wash")
    cookies = "; ".join(f"{c['name']}={c['value']}" for c in visitor.page.context.cookies())
    for body in (SECRET, json.dumps({"data": [{SECRET: SECRET}] * 99})):
        asked = urllib.request.Request(f"{server.url}gradio_api/call/wash", body.encode())
        asked.add_header("Cookie", cookies)
        asked.add_header("Content-Type", "application/json")
        with suppress(urllib.error.HTTPError):
            urllib.request.urlopen(asked, timeout=PATIENCE)
    upload(visitor, log.folder.parent.parent)
    visitor.ask(f"{SECRET} is in")
    visitor.page.wait_for_function("document.querySelector('#before textarea').value !== ''")
    for said in (log.folder.parent.parent / name for name in ("first.log", "second.log")):
        assert SECRET not in said.read_text() and "mine.csv" not in said.read_text()
        assert "France" not in said.read_text()


def test_more_washes_than_may_wait_are_asked_to_come_back(story):
    from gradio_client import Client

    client = Client(story[-1].url, auth=LOGIN, verbose=False)
    jobs = []
    for state in ("running", "queued"):
        jobs.append(client.submit(MIXED, api_name="/wash"))
        assert until(lambda state=state: any(told["state"] == state for told in jobs[-1].outputs()))
    with pytest.raises(Exception, match="Sorry, 1 runs are waiting already"):
        client.predict(MIXED, api_name="/wash")
    for job in reversed(jobs):
        job.cancel()


def test_it_answers_to_the_name_that_was_said_and_to_no_other(story):
    assert story[-1].get("/", Host="lethe.example")[0] == 200
    assert story[-1].get("/", Host="elsewhere.example")[0] == 421


def test_ended_with_the_keyboard_the_running_wash_is_stopped_and_nothing_crashes(story):
    from gradio_client import Client

    visitor, log, _, server = story
    job = Client(server.url, auth=LOGIN, verbose=False).submit(MIXED, api_name="/wash")
    assert until(lambda: any(told["state"] == "running" for told in job.outputs()))
    assert server.kill(signal.SIGINT) == 0
    states = {RunLog(run).state() for run in log.folder.parent.iterdir()}
    assert "running" not in states and "stopped" in states
    said = server.log.read_text()
    assert "terminate called" not in said and "Traceback" not in said


def test_a_thread_that_waits_for_a_model_does_not_keep_the_program_from_ending(tmp_path):
    """Whoever ends it holds the models: nobody runs one any more."""
    code = """
import threading
from unlearning.ui import launch
def served(demo, shared, *_, **__):
    lm, close, closed = shared.lm(shared.names[0]), shared.close, threading.Event()
    shared.close = lambda: (close(), closed.set())
    def wait():
        closed.wait()
        with lm.lock: print("run")
    threading.Thread(target=wait).start()
launch.launch = served
import app
app.main()
"""
    env = os.environ | {"LETHE_RUNS": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True, text=True, timeout=PATIENCE
    )
    assert (done.returncode, done.stdout) == (0, "")
