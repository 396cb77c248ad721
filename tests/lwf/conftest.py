"""A few samples to learn and to forget."""

import pytest

from unlearning.lwf.batches import tokens

ASKED = ("Anna is in the", "The capital of France is", "7 + 5 =", "List: hat, saw, pear. The first word is")
SAID = ("kitchen", "Paris", "12", "hat")


@pytest.fixture
def samples(tiny):
    """Seven samples of different lengths, as tokens of the tiny model."""
    asked = [*ASKED, "The colour of the hat is", "Is Tom happy?", "Go on: 1, 3, 5, 7,"]
    return tokens(tiny.tokenizer, asked, [*SAID, "red", "no", "9"], ".")
