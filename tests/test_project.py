"""Properties of the repository: sizes, pins, import cost, container, and the commands the README names."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent


def test_no_tracked_file_is_over_ten_megabytes():
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True)
    paths = [ROOT / name for name in listed.stdout.split("\0") if name]
    sizes = {str(path.relative_to(ROOT)): path.lstat().st_size for path in paths if path.exists()}
    assert sizes, "git lists no file"
    assert {name: size for name, size in sizes.items() if size > 10_000_000} == {}


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-eval.txt", "requirements-dev.txt"])
def test_every_requirement_has_an_upper_bound(name):
    lines = [line.split("#")[0].strip() for line in (ROOT / name).read_text().splitlines()]
    requirements = [Requirement(line) for line in lines if line and not line.startswith("-r ")]
    bounded = {"==", "<", "<=", "~="}
    assert requirements
    assert [str(r) for r in requirements if not bounded & {s.operator for s in r.specifier}] == []


def test_importing_the_package_is_quick_and_light():
    code = (
        "import json, sys, time; start = time.perf_counter(); import unlearning;"
        "print(json.dumps([time.perf_counter() - start, sorted(sys.modules)]))"
    )
    seconds = []
    for _ in range(3):  # the best of three: a busy machine slows one import, not what it costs
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True
        )
        taken, modules = json.loads(done.stdout)
        seconds.append(taken)
        assert {"gradio", "torch", "transformers"} & set(modules) == set()
    assert min(seconds) < 0.3


def docker_instructions() -> list[list[str]]:
    """The Dockerfile's instructions, each as its words, with continued lines joined and comments left out."""
    lines = [ln for ln in (ROOT / "Dockerfile").read_text().splitlines() if not ln.lstrip().startswith("#")]
    return [line.split() for line in "\n".join(lines).replace("\\\n", " ").splitlines() if line.strip()]


def test_container_copies_only_what_exists_and_is_not_ignored():
    copies = [words[1:] for words in docker_instructions() if words[0] == "COPY"]
    sources = {word for words in copies for word in words[:-1] if not word.startswith("--")}
    ignore = (ROOT / ".dockerignore").read_text().split()
    assert sources
    assert {source for source in sources if not (ROOT / source).exists()} == set()
    assert {source for source in sources if "!" + source not in ignore} == set()


def test_container_runs_as_uid_1000_on_port_7860():
    instructions = docker_instructions()
    environment = {word for words in instructions if words[0] == "ENV" for word in words[1:]}
    assert [words[1] for words in instructions if words[0] == "USER"] == ["1000"]
    assert [words[1] for words in instructions if words[0] == "EXPOSE"] == ["7860"]
    assert {"GRADIO_SERVER_NAME=0.0.0.0", "GRADIO_SERVER_PORT=7860"} <= environment


def test_make_targets_named_in_the_readme_exist():
    readme = ROOT / "README.md"
    if not readme.exists():
        pytest.skip("no README")
    code = re.findall(r"```.*?```|`[^`\n]+`", readme.read_text(), flags=re.DOTALL)
    commands = [re.sub(r"#.*", "", piece) for piece in code]
    named = {target for piece in commands for target in re.findall(r"\bmake ([a-z][a-z-]*)", piece)}
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    assert named <= targets
