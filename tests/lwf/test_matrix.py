"""The matrix and its table, on cases worked by hand and on a small real one."""

import pytest
import torch

from unlearning.lwf.matrix import matrix
from unlearning.lwf.outcome import Sizes
from unlearning.lwf.recorded import counts, gains, points, tables
from unlearning.models.loading import load


def cell(arm, learning, lr=1.0, forget="mixed"):
    rates = {"forgetting": [1.0, 1.0], "retained": [1.0, 0.9], "reasoning": [1.0, 1.0]}
    return {"task": "t", "forget": forget, "arm": arm, "lr": lr, "learning": learning} | rates


def test_gains_are_paired_with_vanilla_at_the_same_rate():
    cells = [cell("vanilla", [0.5, 0.6]), cell("lwf", [0.6, 0.9]), cell("vanilla", [0.9, 0.9], 2.0)]
    cells += [cell("lwf", [0.9, 0.7], 2.0), cell("random", [None, 0.6])]
    rows = {(g["arm"], g["lr"]): g for g in gains({"cells": cells})}
    assert rows["lwf", 1.0]["learning"]["accuracy"] == pytest.approx(0.2)
    assert rows["lwf", 2.0]["learning"]["accuracy"] == pytest.approx(-0.1)
    assert rows["random", 1.0]["learning"] == {"accuracy": 0.0, "low": None, "high": None, "n": 1}
    (row,) = gains({"cells": [cell("random", [0.5, 0.6]), cell("cosine", [0.6, 0.9])]}, "random")
    assert row["learning"]["accuracy"] == pytest.approx(0.2)
    result = {"cells": cells, "settings": {"t": {"lr": 1.0}}}
    learned, retained, frontier = tables(result)
    assert learned.head == ["learn \\ forget", "vanilla", "mixed"]
    assert learned.rows[0][:2] == ["t", "55.0"] and learned.rows[0][2].startswith("+20.0 (")
    assert retained.rows == [["t", "95.0", "+0.0 (+0.0 to +0.0)"]]
    assert [r[2:5] for r in frontier.rows] == [
        ["1", "55.0, 95.0", "75.0, 95.0"],
        ["2", "90.0, 95.0", "80.0, 95.0"],
    ]
    assert counts(result) == {"pairs": 1, "more": 0, "less": 0, "none": 1}


def test_a_sign_says_that_0_lies_outside():
    def r(mean, low, high):
        return {"accuracy": mean, "low": low, "high": high, "n": 5}

    assert points(r(0.05, 0.01, 0.09)) == "+5.0 (+1.0 to +9.0) ▲"
    assert points(r(-0.05, -0.09, -0.01)) == "-5.0 (-9.0 to -1.0) ▼"
    assert points(r(0.05, 0.0, 0.1)) == "+5.0 (+0.0 to +10.0)"
    assert points(r(0.05, None, None)) == "+5.0" and points(r(None, None, None)) == "diverged"


def test_a_small_matrix_is_real(monkeypatch, tmp_path):
    """Same seed, same matrix; every arm is there once, with an accuracy a seed."""
    monkeypatch.setenv("LETHE_CACHE", str(tmp_path))
    monkeypatch.setattr("unlearning.lwf.matrix.SIZES", Sizes(retained=10, reasoning=1, held_out=1))
    torch.set_num_threads(1)
    lm = load("lethe-llama", device="cpu")
    few = {"learn": ("employer-to-home-town",), "forget": ("mixed",), "samples": 8, "steps": 2, "own": 16}
    (found,) = matrix(lm, (0, 1), **few)
    arms = [c["arm"] for c in found["cells"]]
    assert arms == ["vanilla", "lwf", "low", "random", "cosine", "ahead", "extra"]
    assert all(len(c[m]) == 2 for c in found["cells"] for m in ("learning", "retained"))
    learned, retained, ways = tables(found)
    assert len(learned.rows) == len(retained.rows) == 1 and len(ways.rows) == 6
    monkeypatch.setattr("unlearning.lwf.matrix._of_task", None)  # what is had is not run again
    assert list(matrix(lm, (0, 1), had=found, **few)) == [found]
    with pytest.raises(TypeError):
        list(matrix(lm, (0, 2), had=found, **few))
