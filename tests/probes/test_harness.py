"""lm-eval's own tasks, on rows of their data sets' shapes, judge the loaded model as this project does."""

import json
import random
import sys
from dataclasses import replace
from math import exp

import families
import pytest
import torch

from tests.tasks.hub_shapes import hub_folder
from unlearning.cli import OK, WRONG, main
from unlearning.events import Phase, Progress, Warn
from unlearning.facts.world import world
from unlearning.models.delta import Delta, applied, edited
from unlearning.models.loading import load
from unlearning.models.text import score
from unlearning.probes import harness
from unlearning.probes.reasoning import choose, everything
from unlearning.probes.stats import rate
from unlearning.tasks.reasoning import Item
from unlearning.tasks.reasoning import test_set as held_items

FACTS = [f for f in world() if len(f.object.split()) == 1][::20][:60]
ASKED = [x for x in everything(held_items(12)) if x.choices]
ASKED = [x if i % 3 else replace(x, answer=x.choices[0]) for i, x in enumerate(ASKED)]  # not all are right
TASKS = tuple(harness.USUAL)
KINDS = [*families.configs(), *families.detected()]


def lambada():
    """Every third passage ends in the answer to another question."""
    for i, f in enumerate(FACTS):
        yield {"text": f"{f.prompt()} {(FACTS[i - 1] if i % 3 == 0 else f).object}"}


def arc(items=ASKED):
    for i, x in enumerate(items):
        labels = list("ABCDE" if i % 2 else "12345")[: len(x.choices)]  # ARC has both
        choices = {"text": list(x.choices), "label": labels}
        key = labels[x.choices.index(x.answer)]
        yield {"id": f"item {i}", "question": x.prompt, "choices": choices, "answerKey": key}


def hellaswag(items=ASKED):
    for i, x in enumerate(items):
        text, _, question = x.prompt.rpartition(". ")
        row = {"ind": i, "activity_label": x.family, "ctx_a": f"{text}.", "ctx_b": question, "ctx": x.prompt}
        yield row | {"endings": list(x.choices), "label": str(x.choices.index(x.answer)), "split": "val"}


@pytest.fixture(scope="module")
def llama():
    return load("lethe-llama", "cpu")


@pytest.fixture(scope="module")
def delta(llama):
    """Noise strong enough that some answers change, and some do not."""
    name = llama.adapter.weight_name(1)
    w = dict(llama.model.named_parameters())[name]
    noise = torch.randn(w.shape, generator=torch.Generator().manual_seed(0))
    return Delta({name: 3 * w.std() * noise}, llama.hash)


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    """The working folder holds the three data sets where `datasets` looks before it asks the hub."""
    pytest.importorskip("lm_eval", reason="pip install -r requirements-eval.txt")
    import datasets

    root = tmp_path_factory.mktemp("sets")
    hub_folder(root, "EleutherAI/lambada_openai", "default", {"test": lambada()})
    splits = {"train": hellaswag(ASKED[:3]), "validation": hellaswag()}
    hub_folder(root, "Rowan/hellaswag", None, splits)
    splits = {"train": arc(ASKED[:3]), "validation": arc(ASKED[3:5]), "test": arc()}
    hub_folder(root, "allenai/ai2_arc", "ARC-Easy", splits)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.setattr(datasets.config, "HF_DATASETS_CACHE", root / "cache")
        yield root


@pytest.fixture(scope="module")
def drawn(sets):
    return harness.find(TASKS, 40, 7)


def last_words(lm, drawn) -> dict:
    """What this project makes of the passages drawn."""
    texts = [row["text"].rpartition(" ") for row in lambada()]
    texts = [texts[i] for i in drawn["lambada_openai"].indices]
    scores = score(lm.model, lm.tokenizer, [before for before, _, _ in texts], [word for _, _, word in texts])
    logp = pytest.approx([sum(s.logp) for s in scores], abs=1e-4)
    return {"lambada_openai": {"acc": [float(all(s.best)) for s in scores], "perplexity": logp}}


def by_hand(lm, drawn) -> dict:
    """What this project makes of the documents drawn, worded as the harness words them."""
    out = last_words(lm, drawn)
    wordings = {
        "hellaswag": lambda x: f"{x.family}: {x.prompt}",
        "arc_easy": lambda x: f"Question: {x.prompt}\nAnswer:",
    }
    for task, worded in wordings.items():
        items = [ASKED[i] for i in drawn[task].indices]
        said = choose(lm, [Item(x.family, worded(x), x.answer, x.choices) for x in items])
        acc, norm = zip(*said)
        out[task] = {"acc": list(map(float, acc)), "acc_norm": list(map(float, norm))}
    return out


def test_the_harness_and_this_project_judge_alike(llama, drawn):
    found = harness.measure(llama, drawn)
    assert found == by_hand(llama, drawn)
    assert [len(o["acc"]) for o in found.values()] == [40, 40, 40]
    assert all(0 < sum(o["acc"]) < 40 for o in found.values())
    assert found["arc_easy"]["acc"] != found["arc_easy"]["acc_norm"]


def test_a_washed_model_is_measured_with_its_delta_on_and_has_its_weights_back(llama, drawn, delta):
    weights = {k: v.clone() for k, v in llama.model.state_dict().items()}
    state, threads = random.getstate(), torch.get_rng_state()
    before, after = harness.measure(llama, drawn), harness.measure(edited(llama, [delta]), drawn)
    with applied(llama, delta):
        assert after == by_hand(llama, drawn)
    assert all(after[task]["acc"] != before[task]["acc"] for task in TASKS)
    assert harness.measure(llama, drawn) == before
    assert all(torch.equal(v, weights[k]) for k, v in llama.model.state_dict().items())
    assert random.getstate() == state and torch.equal(torch.get_rng_state(), threads)
    assert not any(p.requires_grad for p in llama.model.parameters())


@pytest.mark.parametrize("kind", KINDS)
def test_every_family_is_measured_and_left_as_it_was(made, kind, drawn):
    lm = load(made(kind), "cpu")
    weights = {k: v.clone() for k, v in lm.model.state_dict().items()}
    parameters = {k: id(p) for k, p in lm.model.named_parameters()}
    one = {"lambada_openai": drawn["lambada_openai"]}
    assert harness.measure(lm, one) == last_words(lm, one)
    assert all(torch.equal(v, weights[k]) for k, v in lm.model.state_dict().items())
    assert {k: id(p) for k, p in lm.model.named_parameters()} == parameters


def test_log_p_of_a_bfloat16_model_is_finer_than_bfloat16(made, drawn):
    lm = load(made("llama"), "cpu", torch.bfloat16)
    found = harness.measure(lm, {"lambada_openai": drawn["lambada_openai"]})["lambada_openai"]["perplexity"]
    fine = [x != torch.tensor(x).bfloat16().item() for x in found]
    assert sum(fine) > len(fine) / 2


def test_how_many_texts_are_scored_at_once_changes_nothing_but_what_is_told(llama, drawn, monkeypatch):
    one, events = {"arc_easy": drawn["arc_easy"]}, []
    expected = harness.measure(llama, one)
    monkeypatch.setattr(harness, "AT_ONCE", 7)
    assert harness.measure(llama, one, events.append) == expected
    told = [e for e in events if isinstance(e, Progress)]
    texts = sum(len(ASKED[i].choices) for i in one["arc_easy"].indices)
    assert [e.done for e in told] == [*range(7, texts, 7), texts] and {e.total for e in told} == {texts}


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_a_text_that_is_too_long_loses_its_beginning_and_that_is_told(request, kind, sets):
    tiny = request.getfixturevalue(f"tiny_{kind}")
    text = " ".join(x.prompt for x in ASKED)
    (sets / "long.json").write_text(json.dumps([{"text": "He went home"}, {"text": f"{text} home"}]))
    own = f"task: own\ndataset_path: json\ndataset_kwargs: {{data_files: {{test: {sets / 'long.json'}}}}}\n"
    own += "output_type: loglikelihood\ntest_split: test\ndoc_to_text: '{{text.rpartition(\" \")[0]}}'\n"
    own += 'doc_to_target: \'{{" " + text.rpartition(" ")[2]}}\'\nmetric_list:\n'
    own += "".join(f"  - {{metric: {m}, aggregation: {a}}}\n" for m, a in harness_metrics())
    (sets / "own.yaml").write_text(own)
    events = []
    found = harness.measure(tiny, harness.find([str(sets / "own.yaml")], 2, 0), events.append)["own"]
    ids = tiny.tokenizer(f"{text} home")["input_ids"]
    answer = len(ids) - len(tiny.tokenizer(text)["input_ids"])
    kept = torch.tensor([ids[-257:-1]])
    logp = tiny.model(kept).logits[0, -answer:].log_softmax(-1)
    expected = logp.gather(1, torch.tensor(ids[-answer:])[:, None]).sum().item()
    assert len(ids) > 257 and found["perplexity"][1] == pytest.approx(expected, abs=1e-3)
    assert [type(e) for e in events] == [Phase, Warn, Progress]
    assert events[1].text == "1 of 2 texts lose their beginnings: the model looks at 256 tokens"


def harness_metrics():
    return (("acc", "mean"), ("perplexity", "perplexity"))


# what is drawn


def test_a_draw_is_of_the_whole_split_by_seed_and_never_the_first():
    draws = [harness.draw("arc_easy", 2376, 500, seed) for seed in range(20)]
    assert len(set(draws)) == 20 and draws[3] == harness.draw("arc_easy", 2376, 500, 3)
    assert harness.draw("hellaswag", 2376, 500, 3) != draws[3]
    for indices in draws:
        assert list(indices) == sorted(set(indices)) and len(indices) == 500
        assert set(indices) <= set(range(2376)) and indices != tuple(range(500))
        thirds = [sum(third * 792 <= i < (third + 1) * 792 for i in indices) for third in range(3)]
        assert min(thirds) > 120  # 167 are expected, give or take 9
    assert len({i for indices in draws for i in indices}) > 2300


def test_more_samples_hold_the_fewer_and_too_many_are_all():
    few, many = (set(harness.draw("arc_easy", 1000, n, 1)) for n in (50, 300))
    assert few < many
    assert harness.draw("arc_easy", 10, 50, 1) == tuple(range(10))


def test_the_documents_asked_are_those_drawn(llama, drawn):
    assert harness.find(TASKS, 40, 7)["arc_easy"].indices == drawn["arc_easy"].indices
    other = harness.find(TASKS, 40, 8)
    assert all(other[task].indices != drawn[task].indices for task in TASKS)
    assert [(d.of, len(d.indices)) for d in other.values()] == [(60, 40), (len(ASKED), 40), (len(ASKED), 40)]
    assert harness.measure(llama, other) == by_hand(llama, other)


# figures


def test_figures_are_this_projects_and_differences_are_paired():
    before = {"acc": [1.0, 1.0, 0.0, 1.0], "perplexity": [-1.0, -2.0, -3.0, -4.0]}
    after = {"acc": [1.0, 0.0, 0.0, 0.0], "perplexity": [-1.0, -2.0, -3.0, -6.0]}
    assert harness.figures(before) == {"acc": rate([1, 1, 0, 1]).to_json(), "perplexity": exp(2.5)}
    difference = harness.differences(before, after)
    assert difference == {"acc": rate([0, -1, 0, -1], share=False).to_json()}
    assert difference["acc"]["accuracy"] == -0.5
    assert harness.differences(before, before)["acc"]["low"] is None


# on the command line


@pytest.fixture
def told(capfd):
    """Run `probe --tasks`: (exit code, stdout, stderr), all that reaches the terminal."""

    def call(*args) -> tuple[int, str, str]:
        code = main(["probe", *map(str, args)])
        return code, *capfd.readouterr()

    return call


def test_before_and_after_stand_side_by_side(told, llama, delta, sets, tmp_path):
    delta.save(tmp_path / "delta.safetensors")
    draw = ("--samples", 40, "--seed", 7)
    washed = ("--model", "lethe-llama", "--delta", tmp_path / "delta.safetensors", *draw, "--tasks")
    code, out, err = told(*washed)
    lines = [line.split("\t") for line in out.splitlines()]
    assert code == OK and {len(line) for line in lines} == {6}
    assert [line[:2] for line in lines] == [
        ["lambada_openai", "acc"],
        ["lambada_openai", "perplexity"],
        ["hellaswag", "acc"],
        ["hellaswag", "acc_norm"],
        ["arc_easy", "acc"],
        ["arc_easy", "acc_norm"],
    ]
    said = [line for line in err.splitlines() if line and not line.startswith("Loading weights")]
    assert set(said) == {
        "lambada_openai: 40 of 60",
        f"hellaswag: 40 of {len(ASKED)}",
        f"arc_easy: 40 of {len(ASKED)}",
        "once more, washed",
    }
    code, out, _ = told(*washed, "arc_easy", "--json")
    found = json.loads(out)
    drawn = harness.find(["arc_easy"], 40, 7)
    before, after = harness.measure(llama, drawn), harness.measure(edited(llama, [delta]), drawn)
    assert (code, found["model"], found["seed"], list(found["tasks"])) == (OK, "lethe-llama", 7, ["arc_easy"])
    assert found["lm_eval"].startswith("0.4.")
    assert found["tasks"]["arc_easy"] == {
        "n": 40,
        "of": len(ASKED),
        "before": harness.figures(before["arc_easy"]),
        "after": harness.figures(after["arc_easy"]),
        "difference": harness.differences(before["arc_easy"], after["arc_easy"]),
    }
    shown = [f"{found['tasks']['arc_easy'][k]['acc']['accuracy']:.3f}" for k in ("before", "after")]
    assert [cell.split()[0] for cell in lines[4][2:4]] == shown
    code, out, _ = told("--model", "lethe-llama", *draw, "--tasks", "arc_easy")
    assert [line.split("\t") for line in out.splitlines()] == [[*x[:3], x[5]] for x in lines[4:]]


def refusal(said) -> str:
    code, out, err = said
    assert (code, out) == (WRONG, "") and "Traceback" not in err
    return err.splitlines()[-1]


def test_without_lm_eval_it_is_told_how_to_get_it(told, monkeypatch):
    monkeypatch.setitem(sys.modules, "lm_eval", None)
    message = refusal(told("--tasks", "arc_easy"))
    assert message.startswith("lethe: arc_easy need") and "pip install -r requirements-eval.txt" in message


def test_without_the_hub_it_is_told_that_the_data_cannot_be_had(told, sets, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    message = refusal(told("--tasks"))
    assert (
        message
        == "lethe: lambada_openai cannot be fetched: HF_HUB_OFFLINE is set. Without it, the hub is asked"
    )


def test_what_cannot_be_asked_is_refused(told, sets):
    assert "--samples must be 1 or more" in refusal(told("--tasks", "arc_easy", "--samples", 0))
    assert "not for --tasks" in refusal(told("--tasks", "arc_easy", "--facts", "facts.txt"))
    assert "no model 'lama'" in refusal(told("--tasks", "arc_easy", "--model", "lama"))
    own = (
        "task: own\ndataset_path: EleutherAI/lambada_openai\noutput_type: generate_until\ntest_split: test\n"
    )
    own += "doc_to_text: '{{text}}'\ndoc_to_target: '{{text}}'\n"
    (sets / "told.yaml").write_text(own)
    assert "own is neither a choice nor a last word" in refusal(told("--tasks", "told.yaml"))
    (sets / "told.yaml").write_text("task: own\n\tdataset_path")
    assert "told.yaml cannot be read: " in refusal(told("--tasks", "told.yaml"))


@pytest.mark.slow
def test_all_tasks_of_lm_eval_are_known_and_names_are_looked_at_before_data(told):
    pytest.importorskip("lm_eval", reason="pip install -r requirements-eval.txt")
    assert "lm-eval has no task 'arc_eazy'" in refusal(told("--tasks", "piqa", "arc_easy", "arc_eazy"))
