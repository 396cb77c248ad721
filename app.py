"""Lethe's page: python app.py

LETHE_MODEL    a folder with a model of your own, offered first
LETHE_HOST     address to listen on (else GRADIO_SERVER_NAME, else 127.0.0.1)
LETHE_PORT     port (else GRADIO_SERVER_PORT, else 7860 or the next free one)
LETHE_THREADS  torch's threads, 1 if not set: beside a busy server two are slower than one
LETHE_RUNS     folder for the runs, if not set ~/.cache/lethe/runs; a run is deleted after a day
"""

import os
from threading import Thread

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
THREADS = int(os.environ.get("LETHE_THREADS") or 1)
os.environ.setdefault("OMP_NUM_THREADS", str(THREADS))


def main() -> None:
    from unlearning.ui.launch import launch
    from unlearning.ui.page import build
    from unlearning.ui.state import Shared

    shared = Shared(os.environ.get("LETHE_RUNS"), os.environ.get("LETHE_MODEL"), THREADS)
    Thread(target=shared.lm, args=(shared.names[0],), daemon=True).start()  # loaded while the page opens
    port = os.environ.get("LETHE_PORT")
    launch(build(shared), shared, os.environ.get("LETHE_HOST") or None, int(port) if port else None)


if __name__ == "__main__":
    main()
