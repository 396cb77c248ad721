"""ZeroGPU, with a stand-in for `spaces` (see zero_gpu/): what a wash in a lent worker comes to.

The washes run in a process of their own (zero_gpu/washes.py), because the environment decides at import.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from unlearning.models.delta import load_delta
from unlearning.models.loading import load
from unlearning.runs import gpu
from unlearning.runs.wash import ANSWERS, DELTA, RECORD, wash_job

ROOT = Path(__file__).resolve().parents[2]
ZERO = Path(__file__).parent / "zero_gpu"
TIMES = ("seconds", "result_seconds")

pytestmark = pytest.mark.slow


def run(*command: str, **variables: str) -> str:
    env = {**os.environ, "PYTHONPATH": f"{ZERO}{os.pathsep}{ROOT}", **variables}
    done = subprocess.run([sys.executable, *command], env=env, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("lent")


@pytest.fixture(scope="module")
def told(folder):
    return json.loads(run(str(ZERO / "washes.py"), str(folder), SPACES_ZERO_GPU="true"))


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """The same wash in this process: the model, its events, its folder."""
    import torch

    sys.path.insert(0, str(ZERO))
    os.environ.pop("SPACES_ZERO_GPU", None)
    import washes

    from unlearning.facts.read import read_text
    from unlearning.law.settings import settings_for

    torch.set_num_threads(1)
    lm, folder = load("lethe-llama", "cpu"), tmp_path_factory.mktemp("here")
    facts = [r.fact for r in read_text(washes.FACTS).facts]
    events = list(wash_job(lm, facts, settings_for(lm, **washes.CHOSEN), folder, washes.SIZES))
    sys.path.remove(str(ZERO))
    return lm, events, folder


def timeless(record: dict) -> dict:
    return {k: v for k, v in record.items() if k not in TIMES}


def figures(run: dict) -> dict:
    """All that was measured; what was foretold depends on how fast the machine was."""
    told = {e["name"]: e["value"] for e in run["events"] if e["type"] == "Figure"}
    return {name: value for name, value in told.items() if name != "forecast"}


def test_a_lent_wash_tells_what_one_here_tells(told, here):
    _, events, _ = here
    expected = json.loads(json.dumps({e.name: e.value for e in events if hasattr(e, "value")}))
    assert told["washed"]["state"] == "done"
    assert figures(told["washed"]) == expected
    assert [e["name"] for e in told["washed"]["events"] if e["type"] == "Phase"] == [
        e.name for e in events if type(e).__name__ == "Phase"
    ]
    assert timeless(told["washed"]["events"][-1]["summary"]) == timeless(
        json.loads(json.dumps(events[-1].summary))
    )


def test_it_runs_in_a_worker_that_stays_and_what_is_quick_runs_here_on_the_cpu(told):
    assert told["washed"]["call"]["worker"] != told["process"]
    assert told["again"]["call"]["worker"] == told["washed"]["call"]["worker"]
    assert told["device"] == "cpu" and "ZeroGPU" in told["line"]


def test_the_change_comes_through_the_folder(told, folder, here):
    lm, events, own = here
    there = folder / told["washed"]["id"]
    assert {ANSWERS, DELTA, RECORD} <= set(told["washed"]["files"])
    delta = load_delta(there / DELTA, lm)
    assert delta.about == json.loads(json.dumps(events[-1].result.about))
    for name, change in events[-1].result.changes.items():
        assert (delta.changes[name] - change).abs().max() < 1e-6
        assert change.abs().max() > 1e-3
    assert (there / ANSWERS).read_bytes() == (own / ANSWERS).read_bytes()
    before, after = told["washed"]["says"]
    assert "Paris" in before and "Paris" not in after


def test_gpu_time_is_charged_to_whoever_asked(told):
    assert [told[k]["call"]["request"] for k in ("washed", "stopped", "again")] == ["ann", "ben", ""]


def test_a_gpu_is_asked_for_as_long_as_the_forecast_of_the_wash_needs():
    assert gpu.lent_for(None) == gpu.UNKNOWN
    assert [gpu.lent_for(s) for s in (0.0, 10.0, 10.2, 10_000.0)] == [30, 50, 51, gpu.LONGEST]
    assert gpu.duration("lethe-llama", [], None, 10.0) == 50


def test_the_first_wash_asks_for_what_is_taken_where_nothing_is_known_later_ones_for_less(told):
    first, later = (told[k]["call"]["for"] for k in ("washed", "again"))
    assert first == gpu.UNKNOWN > later >= gpu.SHORTEST


def test_stop_ends_the_call_and_both_models_are_as_they_were(told):
    assert told["stopped"]["state"] == "stopped"
    assert "law" in {e.get("name") for e in told["stopped"]["events"]}
    assert "Done" not in {e["type"] for e in told["stopped"]["events"]}
    assert DELTA not in told["stopped"]["files"]
    assert told["restored"]
    assert figures(told["again"]) == figures(told["washed"])  # by the same worker's model


@pytest.mark.parametrize(
    "which, words",
    [
        ("unknown", "the model knows none of these facts, so there is nothing to wash"),
        ("refused", "ZeroGPU quota exceeded: You have exceeded your quota."),
        ("killed", "ZeroGPU worker error: GPU task aborted"),
    ],
)
def test_what_goes_wrong_is_told_in_words(told, which, words):
    last = told[which]["events"][-1]
    assert (told[which]["state"], last["type"], last["text"]) == ("failed", "Failed", words)


def test_after_a_worker_is_lost_the_next_wash_has_another(told):
    assert told["after"]["state"] == "done"
    assert told["after"]["call"]["worker"] != told["killed"]["call"]["worker"]


@pytest.mark.parametrize("variables", [{}, {"SPACES_ZERO_GPU": "true", "PYTHONPATH": str(ROOT)}])
def test_elsewhere_nothing_is_lent_or_imported(variables):
    code = (
        "import sys; from unlearning.runs import gpu;"
        "assert gpu._there is gpu.there and not gpu.on_zero_gpu();"
        "print(sorted({'spaces', 'gradio', 'torch'} & set(sys.modules)))"
    )
    assert run("-c", code, **variables).strip() == "[]"


def test_a_tensor_would_not_cross(told):
    """The stand-in itself: what it is for would go unseen if it let tensors through."""
    code = "import pickle, spaces, torch; spaces.pickled([{'x': torch.ones(1)}])"
    with pytest.raises(AssertionError, match="a tensor cannot cross"):
        run("-c", code)


def test_a_model_in_the_worker_is_float32():
    import torch

    assert next(gpu._loaded("lethe-gpt2").model.parameters()).dtype == torch.float32
