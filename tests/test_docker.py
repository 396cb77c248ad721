"""The Dockerfile, carried out in a scratch folder as far as that goes without a Docker engine.

Every RUN is run by sh, with stand-ins for what needs root or the network (useradd, chown, pip: they note
what they were asked); every COPY copies, as .dockerignore allows; CMD starts the page from what was copied,
and the HEALTHCHECK asks it. Paths from the root lead into the scratch folder, port 7860 is a free one, and
python is this one. What was not made writable is not writable, for root neither.
"""

import ctypes
import json
import os
import re
import shutil
import subprocess
import sys
import time
from fnmatch import fnmatch
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.measure.served import PATIENCE, free_port

ROOT = Path(__file__).resolve().parent.parent
STAND_IN = (
    '#!/bin/sh\n{ printf "%s" "${0##*/}"; for x in "$@"; do printf "\\t%s" "$x"; done; echo; } >>"$NOTES"\n'
)
DROP, OVERRIDES = 24, (1, 2, 3)  # prctl's PR_CAPBSET_DROP; capabilities that set file permissions aside


def instructions() -> list[tuple[str, str]]:
    """(instruction, rest of the line), with continued lines joined and comments left out."""
    lines = [ln for ln in (ROOT / "Dockerfile").read_text().splitlines() if not ln.lstrip().startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ").splitlines()
    return [tuple(line.split(maxsplit=1)) for line in joined if line.strip()]


def ignored(path: str) -> bool:
    """Does .dockerignore leave out this file? The last line that matches it or a folder of it decides."""
    parts = path.split("/")
    above = ["/".join(parts[: i + 1]) for i in range(len(parts))]
    out = False
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        pattern = line.strip().removeprefix("!")
        if not pattern or pattern.startswith("#"):
            continue
        names = [p.rsplit("/", 1)[-1] for p in above] if pattern.startswith("**/") else above
        if any(fnmatch(name, pattern.removeprefix("**/")) for name in names):
            out = not line.startswith("!")
    return out


def copy(source: str, target: Path) -> None:
    """COPY of one file, or of what is in a folder."""
    start = ROOT / source
    files = [start] if start.is_file() else [f for f in start.rglob("*") if f.is_file()]
    kept = [f for f in files if not ignored(str(f.relative_to(ROOT)))]
    assert kept, f"COPY {source}: nothing to copy"
    for file in kept:
        to = target / (file.relative_to(start) if start.is_dir() else file.name)
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, to)


class Image:
    """What the instructions come to: a tree under `root`, and with what the container would be started."""

    def __init__(self, scratch: Path):
        self.root, self.notes, self.bin = scratch / "root", scratch / "notes", scratch / "bin"
        self.at, self.user = self.root, "0"
        self.arguments, self.variables, self.commands = {}, {}, {}
        self.writable: list[Path] = []
        self.root.mkdir()
        self.bin.mkdir()
        for name in ("useradd", "chown", "pip"):
            (self.bin / name).write_text(STAND_IN)
            (self.bin / name).chmod(0o755)
        for word, rest in instructions():
            self.carry_out(word, rest)

    def carry_out(self, word: str, rest: str) -> None:
        match word:
            case "ARG":
                name, _, value = rest.partition("=")
                self.arguments[name] = value
            case "RUN":
                self.run(rest)
            case "WORKDIR":
                self.at = Path(self.inside(rest))
                self.at.mkdir(parents=True)
            case "COPY":
                *sources, target = rest.split()
                for source in sources:
                    copy(source, self.at / target)
            case "USER":
                self.user = rest
            case "ENV":
                self.variables |= dict(pair.split("=", 1) for pair in self.inside(rest).split())
            case "CMD":
                self.commands["CMD"] = json.loads(rest)
            case "HEALTHCHECK":
                self.commands["HEALTHCHECK"] = json.loads(rest.split("CMD", 1)[1])
            case _:
                assert word in ("FROM", "EXPOSE"), f"{word} is not known here"

    def inside(self, text: str) -> str:
        """The text with paths from the root led into the scratch folder."""
        return re.sub(r"(?<![\w.:/])/(?=home/)", f"{self.root}/", text)

    def run(self, line: str) -> None:
        assert self.user == "0"
        env = {"PATH": f"{self.bin}:/usr/bin:/bin", "NOTES": str(self.notes), **self.arguments}
        subprocess.run(["sh", "-ec", self.inside(line)], cwd=self.at, env=env, check=True)
        self.writable = [Path(path) for words in self.noted("chown") for path in words[1:]]

    def noted(self, name: str) -> list[list[str]]:
        """What a stand-in was asked, a list for each call."""
        calls = [line.split("\t") for line in self.notes.read_text().splitlines()]
        return [words for first, *words in calls if first == name]

    def protect(self) -> None:
        """Take away the right to write anything but what the user was given."""
        for path in [self.root, *self.root.rglob("*")]:
            if not any(path.is_relative_to(folder) for folder in self.writable):
                path.chmod(path.stat().st_mode & ~0o222)

    def files(self) -> set[str]:
        """Files and folders that the user was not given."""
        names = (p for p in self.root.rglob("*") if not any(p.is_relative_to(w) for w in self.writable))
        return {str(p.relative_to(self.root)) for p in names}

    def start(self, which: str, port: int) -> subprocess.Popen:
        """CMD or HEALTHCHECK, as the container would run it, but on this port and with this python."""
        words = [word.replace("7860", str(port)) for word in self.commands[which]]
        assert words[0] == "python"
        env = {k: v.replace("7860", str(port)) for k, v in self.variables.items()}
        return subprocess.Popen(
            [sys.executable, *words[1:]],
            cwd=self.at,
            env={"PATH": "/usr/bin:/bin", "HF_HUB_OFFLINE": "1", **env},
            preexec_fn=bound_by_permissions,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )


def bound_by_permissions() -> None:
    """From the next program on, root too is kept to what file permissions say (Linux)."""
    if os.geteuid() == 0:
        for capability in OVERRIDES:
            ctypes.CDLL(None).prctl(DROP, capability, 0, 0, 0)


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    return Image(tmp_path_factory.mktemp("docker"))


def test_torch_is_installed_from_its_own_index_and_nothing_is_left_of_the_download(image):
    torch, rest = image.noted("pip")
    assert torch[:3] == ["install", "--no-cache-dir", "--index-url"]
    assert torch[3] == "https://download.pytorch.org/whl/cpu"
    assert [Requirement(r).name for r in torch[4:]] == ["torch"]
    assert rest == ["install", "--no-cache-dir", "-r", "requirements.txt"]
    assert (image.root / "home/user/app/requirements.txt").read_bytes() == (
        ROOT / "requirements.txt"
    ).read_bytes()


def test_what_is_written_has_its_place_and_belongs_to_the_user(image):
    assert [words[-2:] for words in image.noted("useradd")] == [["1000", "user"]]
    assert {words[0] for words in image.noted("chown")} == {"1000:1000"} and image.user == "1000"
    for name in ("GRADIO_TEMP_DIR", "HF_HOME", "LETHE_CACHE", "LETHE_RUNS"):
        assert any(Path(image.variables[name]).is_relative_to(w) for w in image.writable), name
    assert not any((image.root / "home/user/app").is_relative_to(w) for w in image.writable)


def test_only_what_is_needed_is_copied(image):
    tops = {path.name for path in (image.root / "home/user/app").iterdir()}
    assert tops == {"app.py", "assets", "requirements.txt", "unlearning"}
    assert not [f for f in image.files() if "__pycache__" in f or f.endswith((".pyc", "checkpoint.pt"))]


@pytest.mark.slow
def test_the_page_starts_from_what_was_copied_and_writes_only_where_it_may(image):
    from gradio_client import Client

    image.protect()
    before, port = image.files(), free_port()
    image.commands["WRITE"] = ["python", "-c", "open('new', 'w')"]
    assert "PermissionError" in image.start("WRITE", port).communicate()[0]
    server = image.start("CMD", port)
    try:
        end = time.monotonic() + PATIENCE
        while image.start("HEALTHCHECK", port).wait() != 0:
            assert server.poll() is None, server.stdout.read()
            assert time.monotonic() < end, "no answer"
        client = Client(f"http://127.0.0.1:{port}", verbose=False)
        rows = client.predict("France | capital | Paris", api_name="/preview")
        assert [row["known"] for row in rows] == [True]
        wash = client.submit("France | capital | Paris", api_name="/wash")
        runs, cache = (Path(image.variables[name]) for name in ("LETHE_RUNS", "LETHE_CACHE"))
        while not (any(runs.glob("*/events.jsonl")) and any(cache.rglob("*.safetensors"))):
            assert time.monotonic() < end, "nothing was written"
            time.sleep(0.05)
        wash.cancel()
    finally:
        server.terminate()
        server.communicate()
    assert image.files() == before
