"""What several tests of the page need."""

import hashlib
import time
from collections.abc import Callable

from tests.measure.served import FACTS as FACTS
from tests.measure.served import PATIENCE as PATIENCE

PROMPT = "The capital of France is"


def weights(lm) -> str:
    """A hash over every weight."""
    with lm.lock:
        parameters = [p.detach().cpu().numpy().tobytes() for p in lm.model.parameters()]
    return hashlib.sha256(b"".join(parameters)).hexdigest()


def until(true: Callable[[], bool]) -> bool:
    """Wait until it is true; False when patience runs out."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if true():
            return True
        time.sleep(0.05)
    return False
