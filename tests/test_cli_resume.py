"""A killed wash goes on where it was, and several processes share one: with the same delta in the end."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from test_cli import TAUGHT, lines_of, teach
from transformers import AutoModelForCausalLM

from unlearning.models.delta import load_delta

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parent.parent
LAUNCH = "-m accelerate.commands.launch --multi_gpu --num_processes 2 --num_machines 1".split()
LAUNCH += "--mixed_precision no --dynamo_backend no -m".split()


@pytest.fixture(scope="module")
def folder(tiny_llama, tmp_path_factory) -> Path:
    """A model that knows 24 capitals, whose wash takes five blocks a layer, and the facts to wash."""
    folder = tmp_path_factory.mktemp("resumed")
    knowing = AutoModelForCausalLM.from_pretrained(tiny_llama.folder)
    teach(knowing, tiny_llama.tokenizer, TAUGHT)
    knowing.save_pretrained(folder / "model")
    tiny_llama.tokenizer.save_pretrained(folder / "model")
    (folder / "facts.txt").write_text(lines_of(TAUGHT))
    return folder


def start(
    folder: Path, out: str, *launcher: str, blocks: int = 20, model: str = "model", second: str = "pass"
) -> subprocess.Popen:
    """The real command; blocks of fewer groups, so that a small wash has several to be killed between.

    `second`: a line of code that the second process runs first.
    """
    wash = f"unlearning wash --model {model} --facts facts.txt --out {out}".split()
    wash += ["--layers", "0", "1"] if model == "model" else []
    small = f"from unlearning.law import contexts; contexts.groups_at_once = lambda d: {blocks}\n"
    small += f"    if os.environ.get('RANK') == '1':\n        {second}\n"
    (folder / "sitecustomize.py").write_text(f"import os, sys\nif 'wash' in sys.orig_argv:\n    {small}")
    env = os.environ | {
        "OMP_NUM_THREADS": "1",
        "LETHE_CACHE": str(folder / "cache"),
        "PYTHONPATH": f"{folder}:{ROOT}",
    }
    command = [sys.executable, *(launcher or ["-m"]), *wash]
    return subprocess.Popen(command, cwd=folder, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


@pytest.fixture(scope="module")
def whole(folder):
    """The delta of a run that nobody disturbs."""
    run = start(folder, "whole")
    assert run.communicate()[1] is not None and run.returncode == 0
    return load_delta(folder / "whole" / "delta.safetensors")


def test_killed_twice_it_goes_on_and_ends_with_the_same_delta(folder, whole):
    out = folder / "killed"
    for left in ("wash-targets.pt", "wash-initial-0.pt"):  # in the search, and in the layers after it
        run = start(folder, "killed")
        while not (out / left).exists():
            assert run.poll() is None, run.stderr.read()
            time.sleep(0.01)
        os.kill(run.pid, signal.SIGKILL)
        run.communicate()
        assert run.returncode == -signal.SIGKILL
        assert not (out / "delta.safetensors").exists()
    run = start(folder, "killed")
    said = run.communicate()[1].decode()
    assert run.returncode == 0, said
    assert load_delta(out / "delta.safetensors").digest == whole.digest
    assert {p.name for p in out.iterdir()} == {p.name for p in (folder / "whole").iterdir()}


def test_two_processes_find_what_one_finds(folder, whole):
    run = start(folder, "two", *LAUNCH)
    said = run.communicate()[1].decode()
    assert run.returncode == 0, said
    assert said.count("finding what to say instead") == 1  # one of them speaks and writes
    found = load_delta(folder / "two" / "delta.safetensors")
    for name, change in whole.changes.items():
        assert ((found.changes[name] - change).norm() / change.norm()).item() < 1e-6
    assert {p.name for p in (folder / "two").iterdir()} == {p.name for p in (folder / "whole").iterdir()}


def test_the_first_process_decides_what_the_second_would_do_otherwise(folder, whole):
    """The other has other text to draw prefixes from, knows no other fact, and has found other settings."""
    shutil.copytree(folder / "model", folder / "prefixed")
    found = {"layers": [0, 1], "prefixes": 2, "target": "prior"}
    (folder / "prefixed" / "law.json").write_text(json.dumps({"facts": found}))
    (folder / "other.txt").write_text("\n\n".join(f"Here are {i} quite other words." for i in range(200)))
    second = "; ".join([
        "os.environ['LETHE_TEXT'] = 'other.txt'",
        "from unlearning.law import settings, statistics",
        "statistics.world = lambda: ()",
        "settings.settings_for = None",
    ])  # fmt: skip
    deltas = []
    for out, launcher in (("one", ()), ("both", LAUNCH)):
        run = start(folder, out, *launcher, model="prefixed", second=second)
        said = run.communicate()[1].decode()
        assert run.returncode == 0, said
        deltas.append(load_delta(folder / out / "delta.safetensors"))
    one, both = deltas
    assert one.digest != whole.digest
    for name, change in one.changes.items():
        assert ((both.changes[name] - change).norm() / change.norm()).item() < 1e-6
