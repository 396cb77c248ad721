"""What gradio keeps of a closed page goes, unless the page was used meanwhile."""

from datetime import datetime, timedelta

import gradio as gr
from gradio.state_holder import StateHolder

from unlearning.ui.sessions import drop


def test_only_a_session_that_was_not_used_since_is_dropped():
    with gr.Blocks() as demo:
        gr.State(0)
    kept = StateHolder()
    kept.set_blocks(demo)
    kept["closed"], kept["used"]
    now = datetime.now()
    kept.time_last_used["used"] = now + timedelta(seconds=1)
    for session in ("closed", "used", "unknown"):
        drop(demo, session, now)
    assert list(kept.session_data) == list(kept.time_last_used) == ["used"]
