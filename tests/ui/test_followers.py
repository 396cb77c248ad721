"""Many pages that follow runs at once: each is attached, and nobody else has to wait for them."""

import json
import threading
import urllib.request

import pytest
from ui_help import FACTS, PATIENCE

from unlearning.events import Done, Phase
from unlearning.ui.follow import POLL, SELDOM, View, pause
from unlearning.ui.page import PAGES, build, followers, threads
from unlearning.ui.state import Shared

MANY = 120


@pytest.fixture
def held(shared):
    """The id of a run that goes on until the test is over."""
    opened = threading.Event()

    def engine():
        yield Phase("held", "held up for the test")
        assert opened.wait(10 * PATIENCE)
        yield Done()

    config = {"model": shared.names[0], "text": FACTS, "scope": "facts", "method": "law", "target": "unknown"}
    id = shared.runner.submit(config | {"seed": 0}, engine)
    yield id
    shared.runner.stop(id)
    opened.set()


def told(url: str, session: str, word: str) -> bool:
    """Does the stream of a session tell this?"""
    with urllib.request.urlopen(
        f"{url}gradio_api/queue/data?session_hash={session}", timeout=PATIENCE
    ) as lines:
        return any(word in line.decode() for line in lines)


def test_many_pages_follow_a_run_and_others_are_still_served(url, client, held):
    with urllib.request.urlopen(f"{url}config") as answer:
        events = {event["api_name"]: event["id"] for event in json.load(answer)["dependencies"]}
    for i in range(MANY):
        page = {"data": [held, None], "fn_index": events["attach"], "session_hash": f"page{i}"}
        body = json.dumps(page).encode()
        asked = urllib.request.Request(
            f"{url}gradio_api/queue/join", body, {"Content-Type": "application/json"}
        )
        assert urllib.request.urlopen(asked, timeout=PATIENCE).status == 200
    assert len(client.submit(FACTS, api_name="/preview").result(timeout=PATIENCE)) == 3
    for i in (0, MANY - 1):
        assert told(url, f"page{i}", "Held up for the test")


@pytest.mark.parametrize("waiting", [1, 50, 1000])
def test_there_is_room_for_every_run_that_may_wait_and_for_other_pages(tmp_path, waiting):
    shared = Shared(tmp_path, waiting=waiting)
    demo = build(shared)
    assert followers(shared) >= waiting + 1 + PAGES
    limits = {fn.concurrency_id: fn.concurrency_limit for fn in demo.fns.values() if fn.queue}
    assert limits["model"] == 1 and limits["following"] == followers(shared)
    assert threads(shared) >= sum(1 if limit == "default" else limit for limit in limits.values())
    assert demo._queue.max_size >= 2 * PAGES


def test_no_event_is_followed_by_sums_for_a_monitor_that_is_off(shared):
    queue = build(shared)._queue
    queue.events_recorded = 100_000
    event = {"function": "wash", "status": "success", "process_time": 1.0}
    assert queue.compute_analytics_summary([event]) == {"functions": {}}


def test_a_run_far_back_in_the_queue_is_looked_at_seldom():
    assert pause(View(place=None)) == pause(View(place=0)) == pause(View(place=1)) == POLL
    assert POLL < pause(View(place=3)) < pause(View(place=5)) < SELDOM == pause(View(place=900))
    assert sum(1 / pause(View(place=i)) for i in range(1001)) < 1100  # looks a second, each 0.2 ms
