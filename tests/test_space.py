"""The Hugging Face Space: the lines at the top of the README, and app.py in a Space's environment."""

import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from huggingface_hub import metadata_load
from packaging.requirements import Requirement

from tests.measure.served import PATIENCE, free_port

ROOT = Path(__file__).resolve().parent.parent
COLOURS = {"red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray"}
# https://huggingface.co/docs/hub/spaces-config-reference; `short_description` is refused above 60 characters
KEYS = set(
    "title emoji colorFrom colorTo sdk python_version sdk_version suggested_hardware suggested_storage"
    " app_file app_port base_path fullWidth header short_description models datasets tags thumbnail"
    " pinned hf_oauth disable_embedding startup_duration_timeout custom_headers preload_from_hub"
    " license".split()
)


@pytest.fixture(scope="module")
def said():
    return metadata_load(ROOT / "README.md")


@pytest.fixture(scope="module")
def required():
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    found = [Requirement(line) for line in lines if line and not line.startswith("#")]
    return {r.name: r.specifier for r in found}


def test_the_hub_takes_what_the_readme_says(said):
    assert said.keys() <= KEYS
    assert said["title"] and 0 < len(said["short_description"]) <= 60
    assert {said["colorFrom"], said["colorTo"]} <= COLOURS
    assert said["sdk"] == "gradio" and (ROOT / said["app_file"]).is_file()


def test_the_space_installs_what_is_required(said, required):
    assert re.fullmatch(r"\d+\.\d+\.\d+", said["sdk_version"])
    assert said["sdk_version"] in required["gradio"]
    assert said["python_version"] == "3.12"  # as text (3.10 would be 3.1), and what ZeroGPU runs


def test_zero_gpu_finds_a_torch_that_it_supports(required):
    assert "2.11.0" in required["torch"]  # the newest it takes


@pytest.mark.slow
def test_app_py_answers_in_a_spaces_environment_and_keeps_runs_in_the_home_folder(said, tmp_path):
    port = free_port()
    space = {"SYSTEM": "spaces", "SPACE_ID": "someone/lethe", "HOME": str(tmp_path)}
    space |= {"GRADIO_SERVER_NAME": "0.0.0.0", "GRADIO_NUM_PORTS": "1", "GRADIO_SERVER_PORT": str(port)}
    env = {k: v for k, v in os.environ.items() if not k.startswith(("LETHE_", "XDG_"))} | space
    app = subprocess.Popen(
        [sys.executable, said["app_file"]],
        cwd=ROOT,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        end = time.monotonic() + PATIENCE
        while not (page := get(f"http://127.0.0.1:{port}/")):
            assert app.poll() is None, app.stdout.read()
            assert time.monotonic() < end, "no answer"
            time.sleep(0.2)
    finally:
        app.terminate()
        told, _ = app.communicate()
    assert '"title":"Lethe"' in page
    assert f"http://0.0.0.0:{port}" in told
    assert (tmp_path / ".cache" / "lethe" / "runs").is_dir()


def get(url: str) -> str:
    """The page, or "" where nothing answers yet."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.read().decode()
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return ""
