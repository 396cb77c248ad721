"""What several tests of the page need."""

import hashlib
import os
import time
from collections.abc import Callable

PATIENCE = float(os.environ.get("LETHE_PATIENCE", 60))  # seconds for one thing; more on a busy machine
FACTS = "France | capital | Paris\nJapan | capital | Tokyo\nEgypt | continent | Africa\n"
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
