"""A training of seconds, for tests. As a program it dies of SIGKILL in the middle of the second stage:

python small_training.py OUT
"""

import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

import torch

from unlearning.events import Progress
from unlearning.facts.world import world
from unlearning.pretrain import train as training

RECIPE = training.Recipe(
    tokens=45_000,
    batch_tokens=1024,
    vocab=600,
    width=32,
    hidden=64,
    layers=2,
    heads=4,
    lr_matrix=3e-2,
    lr_other=3e-2,
    evaluate_every=15_000,
)
GPT2 = replace(RECIPE, arch="gpt2", recall="subject")
WITHOUT = frozenset(
    f.key for f in world() if f.relation not in ("capital", "symbol")
)  # fewer are asked sooner
SIZES = {"POOL": 140, "TOKENIZER_POOL": 500, "ITEMS": 5}


def small(recipe: training.Recipe, out: Path, without: frozenset = WITHOUT):
    """The events of a training, on one thread: so that sums are made in the same order every time."""
    torch.set_num_threads(1)
    return training.train(recipe, out, without, device="cpu")


if __name__ == "__main__":
    for name, value in SIZES.items():
        setattr(training, name, value)
    folder = Path(sys.argv[1])
    more = 0
    for event in small(RECIPE, folder):
        more += isinstance(event, Progress) and (folder / "checkpoint.pt").exists()
        if more == 2:
            os.kill(os.getpid(), signal.SIGKILL)
