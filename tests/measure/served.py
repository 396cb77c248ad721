"""The real app in a process of its own, and Chromium: for what is measured and for the README's pictures."""

import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = "/usr/bin/chromium"
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()
# seconds for one thing, such as a first wash, which measures what is measured once; more on a busy machine
PATIENCE = float(os.environ.get("LETHE_PATIENCE", 120))
FACTS = "France | capital | Paris\nJapan | capital | Tokyo\nEgypt | continent | Africa\n"
# the page's own first events are through
READY = "document.querySelector('#model-line')?.innerText.includes('MB')"
QUIET = {"GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_OFFLINE": "1", "PYTHONUNBUFFERED": "1"}


@contextmanager
def served(**variables: str) -> Iterator[tuple[str, subprocess.Popen, float]]:
    """app.py on a free port with an empty folder for its runs: its address, process, and seconds to answer.

    variables   environment of the app besides this process's own
    Raises `RuntimeError` with the app's output when it ends or does not answer.
    """
    with tempfile.TemporaryDirectory(prefix="lethe-") as folder:
        port, log = free_port(), Path(folder) / "log"
        env = os.environ | QUIET | {"LETHE_HOST": "127.0.0.1", "LETHE_PORT": str(port)}
        env |= {"LETHE_RUNS": f"{folder}/runs", "GRADIO_TEMP_DIR": f"{folder}/gradio", **variables}
        with log.open("wb") as out:
            start = time.monotonic()
            app = subprocess.Popen(
                [sys.executable, "app.py"], cwd=ROOT, env=env, stdout=out, stderr=subprocess.STDOUT
            )
        try:
            url = f"http://127.0.0.1:{port}/"
            while not _answers(url):
                if app.poll() is not None or time.monotonic() - start > PATIENCE:
                    raise RuntimeError(f"the app does not answer:\n{log.read_text(errors='replace')}")
                time.sleep(0.05)
            yield url, app, time.monotonic() - start
        finally:
            app.terminate()
            try:
                app.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                app.kill()
                app.wait()


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=PATIENCE):
            return True
    except (urllib.error.URLError, ConnectionError):
        return False


@contextmanager
def chromium() -> Iterator:
    """Debian's Chromium, driven by Playwright."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as p:
        browser = p.chromium.launch(executable_path=CHROMIUM, args=FLAGS, timeout=1000 * PATIENCE)
        yield browser
        browser.close()
