"""Lethe's page: python app.py. Its settings are environment variables: unlearning/ui/environment.py."""

import os
import sys
from threading import Thread

from unlearning.runs.memory import one_arena
from unlearning.ui.environment import BadSetting, environment

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
if os.environ.get("LETHE_HUB", "").strip() != "1":
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


def main() -> None:
    try:
        env = environment(os.environ)
    except BadSetting as error:
        sys.exit(f"lethe: {error}")
    os.environ.setdefault("OMP_NUM_THREADS", str(env.threads))
    one_arena()
    from unlearning.models.loading import NoDevice
    from unlearning.ui.launch import launch
    from unlearning.ui.page import build
    from unlearning.ui.state import NoModel, Shared

    try:
        shared = Shared(
            env.runs,
            env.model,
            env.threads,
            waiting=env.queue,
            keep_hours=env.keep_hours,
            device=env.device,
            limits=(env.max_rows, env.max_bytes),
            max_steps=env.max_steps,
            hub=bool(env.hub),
        )
    except (NoDevice, NoModel) as error:
        sys.exit(f"lethe: {error}")
    Thread(target=shared.lm, args=(shared.names[0],), daemon=True).start()  # loaded while the page opens
    os.environ.setdefault("GRADIO_TEMP_DIR", str(shared.runner.uploads))
    shared.runner.begin()
    try:
        launch(build(shared), shared, env.host, env.port, env.hosts, auth=env.auth)
    finally:
        shared.close()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # Python would wait for threads, and some may wait for a model, for good by now


if __name__ == "__main__":
    main()
