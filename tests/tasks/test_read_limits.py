"""What a page or a model cannot take is left out or refused with the rows, before anything is run."""

import pytest

from unlearning.tasks.read import BadTask, read_task

ROWS = [f"question {i} | answer {i}" for i in range(30)]


def test_rows_too_long_for_the_model_are_named():
    rows = [*ROWS, "x" * 300 + " | y", "ж" * 150 + " | y"]
    task = read_task("\n".join(rows), "own", longest=240)
    assert task.left_out[0].startswith("rows 31, 32: ") and "more than 240 bytes" in task.left_out[0]
    assert len(task.train + task.test) == 30
    assert len(read_task("\n".join(rows), "own").train) == 26


def test_more_rows_than_allowed_are_refused():
    with pytest.raises(BadTask, match="more than 29 rows"):
        read_task("\n".join(ROWS), "own", max_rows=29)
    assert len(read_task("\n".join(ROWS), "own", max_rows=30).test) == 6
