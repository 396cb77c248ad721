"""Run by test_gpu.py in a process of its own, in which the page believes to be on ZeroGPU: a few washes.

python washes.py FOLDER    # prints one line of JSON: what each run came to
"""

import json
import os
import sys
from contextlib import closing
from pathlib import Path

import spaces
from gradio.context import LocalContext

from tests.measure.served import FACTS
from unlearning.facts.read import read_text
from unlearning.law.experiment import Sizes
from unlearning.ui.ask import both
from unlearning.ui.model import describe
from unlearning.ui.state import Shared

SIZES = Sizes(retained=40, reasoning=2, held_out=4, curve=4)
UNKNOWN = "France | national anthem | La Marseillaise\n"
CHOSEN = {"seed": 3}


def main(folder: str) -> dict:
    shared = Shared(Path(folder), sizes=SIZES)
    name, runner = shared.names[0], shared.runner
    lm = shared.lm(name)
    start = [p.clone() for p in lm.model.parameters()]
    shared.costs.measure(lm, [r.fact for r in read_text(FACTS).facts])  # as the page does when they are read

    def wash(text: str, asker: str = "", stop_at: str = "") -> dict:
        LocalContext.request.set(asker)
        id = shared.wash(name, [r.fact for r in read_text(text).facts], CHOSEN, text)
        LocalContext.request.set(None)
        events = []
        for event in runner.follow(id, poll=0.01):
            events.append(event)
            if stop_at and event.get("name") == stop_at:
                runner.stop(id)
        files = sorted(f.name for f in runner.folder(id).iterdir())
        said = {
            "id": id,
            "state": runner.state(id),
            "events": events,
            "files": files,
            "call": spaces.calls[-1],
        }
        if said["state"] == "done":
            said["says"] = both(shared, "The capital of France is", name, id)
        return said

    with closing(runner):
        told = {
            "process": os.getpid(),
            "line": describe(shared, name),
            "device": str(lm.device),
            "washed": wash(FACTS, asker="ann"),
            "stopped": wash(FACTS, asker="ben", stop_at="law"),
            "unknown": wash(UNKNOWN),
            "again": wash(FACTS),
        }
        spaces.refusal = "You have exceeded your quota."
        told["refused"] = wash(FACTS)
        spaces.kill_after = 3
        told["killed"] = wash(FACTS)
        told["after"] = wash(FACTS)
    same = all(bool((p == q).all()) for p, q in zip(start, lm.model.parameters(), strict=True))
    return told | {"restored": same}


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1])))
