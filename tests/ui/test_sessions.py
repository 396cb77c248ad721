"""What gradio keeps of a page is little, and of a closed page it goes, unless the page was used meanwhile."""

from datetime import datetime, timedelta

import gradio as gr

from unlearning.ui.sessions import Sessions


def sessions() -> tuple[Sessions, gr.Textbox]:
    with gr.Blocks() as demo:
        gr.State(0)
        box = gr.Textbox()
    kept = Sessions()
    kept.set_blocks(demo)
    return kept, box


def test_only_a_session_that_was_not_used_since_is_dropped():
    kept, _ = sessions()
    kept["closed"], kept["used"]
    queue = kept.blocks._queue
    queue.pending_event_ids_session = {"closed": set(), "used": set()}
    now = datetime.now()
    kept.time_last_used["used"] = now + timedelta(seconds=1)
    for session in ("closed", "used", "unknown"):
        kept.drop(session, now)
    assert list(kept.session_data) == list(kept.time_last_used) == ["used"]
    assert list(queue.pending_event_ids_session) == ["used"]


def test_what_a_page_shows_is_not_kept_but_its_state_is():
    kept, box = sessions()
    state = kept["a"]
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
