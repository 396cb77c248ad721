"""Runners that are closed again."""

import pytest
from run_engines import Gate

from unlearning.runs.job import Runner


@pytest.fixture
def start(tmp_path):
    """Starts runners on one root, and closes them in the end with all gates open."""
    runners = []

    def start(**settings) -> Runner:
        runners.append(Runner(tmp_path / "runs", **settings))
        return runners[-1]

    yield start
    while Gate.made:
        Gate.made.pop().opened.set()
    for runner in runners:
        runner.close()
