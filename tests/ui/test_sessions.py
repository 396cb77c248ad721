"""What gradio keeps of a page is little, and of a closed page it goes; pages are made one after another."""

import asyncio
import gzip
from datetime import datetime, timedelta

import gradio as gr

from unlearning.ui.launch import OnePage
from unlearning.ui.sessions import Sessions


def sessions() -> tuple[Sessions, gr.Textbox]:
    """A page's sessions, to be asked for inside a loop: there gradio does."""
    with gr.Blocks() as demo:
        gr.State(0)
        box = gr.Textbox()
    kept = Sessions()
    kept.set_blocks(demo)
    return kept, box


async def asked(kept: Sessions, *names: str) -> list:
    return [kept[name] for name in names]


def test_when_no_more_pages_come_or_go_memory_is_given_back_once(monkeypatch):
    given = []
    monkeypatch.setattr("unlearning.ui.sessions.trim", lambda: given.append(len(kept.session_data)))
    monkeypatch.setattr("unlearning.ui.sessions.QUIET", 0.2)
    kept, _ = sessions()

    async def crowd():
        for i in range(5):
            kept[str(i)]
            await asyncio.sleep(0.02)
        assert not given
        await asyncio.sleep(0.5)
        kept["0"], kept["4"]  # pages that are there already
        await asyncio.sleep(0.5)
        assert given == [5]
        for i in range(5):
            kept.drop(str(i), datetime.now())
        await asyncio.sleep(0.5)

    asyncio.run(crowd())
    assert given == [5, 0]


def test_only_a_session_that_was_not_used_since_is_dropped():
    kept, _ = sessions()
    asyncio.run(asked(kept, "closed", "used"))
    queue = kept.blocks._queue
    queue.pending_event_ids_session = {"closed": set(), "used": set()}
    now = datetime.now()
    kept.time_last_used["used"] = now + timedelta(seconds=1)

    async def drop():
        for session in ("closed", "used", "unknown"):
            kept.drop(session, now)

    asyncio.run(drop())
    assert list(kept.session_data) == list(kept.time_last_used) == ["used"]
    assert list(queue.pending_event_ids_session) == ["used"]


def test_what_a_page_shows_is_not_kept_but_its_state_is():
    kept, box = sessions()
    (state,) = asyncio.run(asked(kept, "a"))
    state._update_value_in_config(box._id, "x" * 1000)
    state[box._id] = box
    state._update_config(box._id)
    assert dict(state.config_values) == {} and list(state.components) == []
    number = next(b for b in kept.blocks.blocks.values() if isinstance(b, gr.State))
    state[number._id] = 7
    assert kept["a"] is state and kept["a"][number._id] == 7


def test_the_page_is_served_with_them(demo, client):
    client.predict("", api_name="/preview")
    kept = demo.state_holder
    assert isinstance(kept, Sessions) and demo.app.state_holder is kept and kept.capacity == 1000
    assert kept.session_data and all(not s.config_values for s in kept.session_data.values())


def test_the_page_is_made_for_one_visitor_at_a_time_and_nobody_waits_for_a_slow_connection():
    making, most, got = 0, 0, []
    slow = asyncio.Event()

    async def page(scope, receive, send):
        nonlocal making, most
        making += 1
        most = max(most, making)
        await asyncio.sleep(0)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"page " * 1000})
        making -= 1

    async def visit(served, i: int, path: str = "/"):
        async def send(message):
            if i == 0:
                await slow.wait()
            got.append((i, message))

        await served({"type": "http", "path": path, "headers": [(b"accept-encoding", b"gzip")]}, None, send)

    async def visits():
        served = OnePage(page)
        first = asyncio.create_task(visit(served, 0))
        await asyncio.gather(*(visit(served, i) for i in range(1, 6)))
        assert most == 1 and not first.done()
        slow.set()
        await first
        await asyncio.gather(*(visit(served, i, "/file") for i in (6, 7)))

    asyncio.run(visits())
    bodies = {i: m["body"] for i, m in got if m["type"] == "http.response.body"}
    assert {gzip.decompress(bodies[i]) for i in range(6)} == {bodies[6]} == {bodies[7]} == {b"page " * 1000}
    assert most == 2  # files are not pages
