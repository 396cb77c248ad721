"""What a run will cost, said before it is started: measured for what is chosen, and remembered."""

import logging
from collections import OrderedDict
from threading import Lock

from ...runs.log import where
from ...runs.memory import is_shortage
from ..room import with_room
from ..state import NoModel, Shared
from ..text import safe
from ..turns import Turns
from . import words
from .setup import Asked, NotReady, asked_for

KEEP = 32  # measurements
TURNS = Turns("learnCostTurn")

logger = logging.getLogger(__name__)
_measured: OrderedDict[tuple, object] = OrderedDict()
_lock = Lock()


def sizes(shared: Shared):
    """How much a run asks."""
    from ...lwf.outcome import Sizes

    return shared.learn_sizes or Sizes()


@with_room
def line(shared: Shared, *chosen) -> str:
    """A sentence with steps, seconds and memory; or what keeps the run from being begun."""
    from ...lwf.forecast import forecast

    try:
        asked = asked_for(shared, *chosen)
        pieces, alone = pieces_of(shared, asked)
        found = forecast(
            pieces, asked.task, asked.forget, asked.settings, asked.seeds, sizes(shared), asked.frontier
        )
    except (NotReady, NoModel) as error:
        return safe(str(error))
    except Exception as error:
        if is_shortage(error):
            raise
        # a model that cannot be trained: the run would say so, too
        logger.error("the cost of a run could not be measured\n%s", where(error))
        return ""
    said = words.COST if alone else words.COST_BUSY
    return safe(
        said.format(time=duration(found.seconds), memory=size(found.memory), steps=f"{found.steps:,}")
    )


def pieces_of(shared: Shared, asked: Asked) -> tuple:
    """The pieces of such a run, and whether nothing else was running while they were timed."""
    from ...law.statistics import statistics
    from ...lwf.forecast import measure

    lm, s = shared.lm(asked.model), asked.settings
    key = lm.hash, hash(asked.task), hash(asked.forget), s.subset, s.batch, s.unlearn_batch, s.chunk
    with _lock:
        if key in _measured:
            _measured.move_to_end(key)
            return _measured[key], True
    busy = shared.runner.unfinished()
    pieces = measure(lm, asked.task, asked.forget, s, statistics(lm).known)
    if busy or shared.runner.unfinished():
        return pieces, False
    with _lock:
        _measured[key] = pieces
        while len(_measured) > KEEP:
            _measured.popitem(last=False)
    return pieces, True


def duration(seconds: float) -> str:
    """`40 s`, `3 min`: no more digits than can be known beforehand."""
    if seconds < 100:
        return words.SECONDS.format(x=max(1, float(f"{seconds:.1g}" if seconds < 10 else round(seconds, -1))))
    return words.MINUTES.format(x=seconds / 60)


def size(n: int) -> str:
    """`380 MB`, `2.1 GB`."""
    return f"{n / 1e9:.1f} GB" if n >= 1e9 else f"{max(1, round(n / 1e6, -1)):.0f} MB"
