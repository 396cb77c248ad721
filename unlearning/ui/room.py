"""When memory runs out while a model is asked: what was held goes back, and the person is told what fits."""

from collections.abc import Callable
from functools import wraps

import gradio as gr

from ..runs.memory import give_back, is_shortage
from . import words


def with_room(handler: Callable) -> Callable:
    """The handler; a lack of memory in it becomes a `gr.Error` that says what may fit. Weights are put back
    by `models.delta.applied` on the way.
    """

    @wraps(handler)
    def handled(*args, **kwargs):
        try:
            return handler(*args, **kwargs)
        except Exception as error:
            if not is_shortage(error):
                raise
        give_back()  # here, where nothing holds the failed step's tensors any more
        raise gr.Error(words.NO_ROOM, title=words.NO_ROOM_TITLE, print_exception=False)

    return handled
