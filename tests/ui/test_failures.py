"""The real wash on a bundled model, stopped or failing in the middle: nothing of it is left behind."""

import gc
import json
import weakref

import gradio as gr
import pytest
import torch
from ui_help import FACTS, until, weights

from unlearning.facts.read import read_text
from unlearning.law import experiment
from unlearning.law import targets as finding
from unlearning.law import wash as washing
from unlearning.runs import wash as job
from unlearning.runs.log import ENDED
from unlearning.runs.memory import GIB, Use
from unlearning.ui.ask import both
from unlearning.ui.follow import look
from unlearning.ui.room import with_room
from unlearning.ui.state import Shared
from unlearning.ui.wash import chosen

STEPS = [  # where, which function, at which of its calls: are weights edited then?
    (finding, "adam", 1, False),
    (washing, "initial", 2, True),
    (washing, "ascend", 2, True),
    (experiment, "paraphrased", 2, True),  # measuring after
]
LITTLE = {"keep": 0.0, "moment_tokens": 2000}  # so that little is measured for layers no other test edits
CHANGES = {"seconds", "result_seconds"}  # of a record, from one time to the next


def begin(shared) -> str:
    facts = [r.fact for r in read_text(FACTS).facts]
    settings = chosen("facts", "law", "unknown", 0, layers="0, 2") | LITTLE
    return shared.wash(shared.names[0], facts, settings, FACTS)


def ended(shared, id: str):
    """The run as the page sees it, once it has ended."""
    assert until(lambda: shared.runner.state(id) in ENDED)
    return look(shared.runner, id)


def told(shared, id: str) -> dict:
    """What a run that is done has to say, without its times."""
    view = ended(shared, id)
    assert view.state == "done", view.failed
    figures = {k: v for k, v in view.figures.items() if k != "forecast"}
    return {k: v for k, v in view.summary.items() if k not in CHANGES} | {"figures": figures}


@pytest.fixture(scope="module", autouse=True)
def short_curve():
    """The trade-off at other strengths takes most of the time."""
    with pytest.MonkeyPatch.context() as m:
        m.setattr(experiment, "STRENGTHS", ())
        yield


@pytest.fixture(scope="module")
def usual(shared, short_curve):
    """Hash of the base weights, and what a wash says when all goes well."""
    before = weights(shared.lm(shared.names[0]))
    return before, told(shared, begin(shared))


@pytest.fixture
def at(shared, usual, monkeypatch):
    """Lets `act` happen inside the engine, at a step's n-th call. Gives back the list of calls."""
    lm, (before, _) = shared.lm(shared.names[0]), usual

    def at(where, name: str, n: int, edited: bool, act):
        plain, calls = getattr(where, name), []

        def step(*args, **kwargs):
            calls.append(name)
            if len(calls) == n:
                assert (weights(lm) != before) is edited
                act()
            return plain(*args, **kwargs)

        monkeypatch.setattr(where, name, step)
        return calls

    return at


def fail(error: Exception):
    raise error


NO_ROOM, FAULT = torch.OutOfMemoryError("CUDA out of memory."), RuntimeError("CUDA error")
NAMES = [name for _, name, *_ in STEPS]


@pytest.mark.parametrize("step, error", list(zip(STEPS, [NO_ROOM, FAULT] * 2, strict=True)), ids=NAMES)
def test_a_failure_leaves_the_base_and_the_next_wash_as_they_were(
    shared, usual, at, monkeypatch, step, error
):
    calls = at(*step, lambda: fail(error))
    view = ended(shared, begin(shared))
    assert view.state == "failed" and len(calls) == step[2]
    assert weights(shared.lm(shared.names[0])) == usual[0]
    monkeypatch.undo()
    assert told(shared, begin(shared)) == usual[1]


@pytest.mark.parametrize("step", STEPS, ids=NAMES)
def test_a_stop_lets_the_step_end_and_no_other_begin(shared, usual, at, step):
    ids = []
    calls = at(*step, lambda: until(lambda: ids) and shared.runner.stop(ids[0]))
    ids.append(begin(shared))
    view = ended(shared, ids[0])
    assert view.state == "stopped" and len(calls) == step[2] and "answers" not in view.figures
    assert weights(shared.lm(shared.names[0])) == usual[0]


class Held:
    """Holds a tensor, the error and so the frames it came through: a cycle that only a collection ends."""


@pytest.fixture
def shortage(monkeypatch):
    """A step that runs short, and whether its tensor lived whenever the GPU's cache was emptied."""
    seen, tensors = [], []

    def short():
        held = Held()
        held.tensor = torch.zeros(1000)
        tensors.append(weakref.ref(held.tensor))
        monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
        monkeypatch.setattr(torch.cuda, "empty_cache", lambda: seen.append(tensors[0]() is not None))
        try:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1.00 GiB.")
        except torch.OutOfMemoryError as error:
            held.error = error
            raise

    return short, seen


def test_when_memory_runs_out_it_is_given_back_and_the_person_told_what_fits(
    shared, at, monkeypatch, shortage
):
    short, seen = shortage
    gpu = Use(rest=GIB, peak=3 * GIB, free=3 * GIB)  # 1 GiB a fact
    looks = []
    monkeypatch.setattr(job, "use", lambda lm: looks.append(len(seen)) or gpu)
    at(washing, "initial", 2, True, short)
    gc.disable()  # so that only the program's own care can free anything
    try:
        view = ended(shared, begin(shared))
    finally:
        gc.enable()
    assert view.failed == (
        "There was not enough memory for a wash of 3 facts. It needs 3.0 GiB or more beside the model; "
        "3.0 GiB are free. What should fit: 1 fact at once, or a smaller model."
    )
    assert seen[0] is False and looks == [1]  # nothing held when it was emptied, and measured only then


def test_when_memory_runs_out_while_both_models_are_asked_the_washed_one_goes_and_the_person_is_told(
    shared, usual, monkeypatch, shortage
):
    short, seen = shortage
    lm, id = shared.lm(shared.names[0]), begin(shared)
    assert ended(shared, id).state == "done"
    said = []

    def greedy(*args):
        said.append(weights(lm) != usual[0])
        return ["something"] if len(said) == 1 else short()

    monkeypatch.setattr("unlearning.models.text.greedy", greedy)
    gc.disable()
    try:
        with pytest.raises(gr.Error, match="What may fit: fewer facts"):
            with_room(both)(shared, "The capital of France is", shared.names[0], id)
    finally:
        gc.enable()
    assert said == [False, True] and seen[0] is False and weights(lm) == usual[0]
    with pytest.raises(RuntimeError, match="no such thing"):  # anything else is no shortage
        with_room(lambda: fail(RuntimeError("no such thing")))()


def test_where_nothing_can_be_measured_half_as_many_are_advised(shared, at):
    at(washing, "ascend", 1, False, lambda: fail(torch.OutOfMemoryError("CUDA out of memory.")))
    said = ended(shared, begin(shared)).failed
    assert said.endswith("a wash of 3 facts. What should fit: 1 fact at once, or a smaller model.")


def test_a_model_that_does_not_fit_is_no_end_either(shared, usual, monkeypatch):
    monkeypatch.setattr(shared, "lm", lambda name: fail(torch.OutOfMemoryError("CUDA out of memory.")))
    view = ended(shared, begin(shared))
    assert view.state == "failed" and "a smaller model may fit" in view.failed
    monkeypatch.undo()
    assert told(shared, begin(shared)) == usual[1]


def test_a_model_that_nothing_is_known_of_is_traced_where_it_can_be_seen(tmp_path, monkeypatch, tiny_llama):
    monkeypatch.setenv("LETHE_CACHE", str(tmp_path / "cache"))
    shared = Shared(tmp_path / "runs", model=str(tiny_llama.folder), device="cpu")
    try:
        facts = [r.fact for r in read_text(FACTS).facts]
        id = shared.wash(shared.names[0], facts, chosen("facts", "law", "unknown", 0), FACTS)
        view = ended(shared, id)
        told = [json.loads(line) for line in (shared.runner.folder(id) / "events.jsonl").open()]
    finally:
        shared.runner.close()
    assert next(e["name"] for e in told if e["type"] == "Phase") == "trace"
    assert any("the layers are a guess" in text for text in view.warnings)
    assert "knows none of these facts" in view.failed
