"""What all visitors share: base models that never change, the runner, and each run's delta by its id."""

import json
import os
import tempfile
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from functools import lru_cache, partial
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from ..events import Event
from ..facts.fact import Fact
from ..models.hub import NoModel, fetch, is_id
from ..models.loading import bundled, check_device, on_hub
from ..runs.cost import Costs
from ..runs.gpu import caller, on_zero_gpu, wash_on_gpu
from ..runs.job import Runner, explain
from ..runs.wash import DELTA, OWN, RECORD, Unwashable, placed, wash_job
from . import words
from .preview import MAX_BYTES, MAX_ROWS, Preview, read

if TYPE_CHECKING:
    from ..law.experiment import Sizes
    from ..lwf.outcome import Sizes as LearnSizes
    from ..models.delta import Delta
    from ..models.loading import LM

KEEP_MODELS = 2
LAST = 10.0  # seconds that whoever runs a model has left when the program ends
KEEP_READINGS = 8  # a text is read when it is previewed, corrected and washed; each at most as `limits` says

Washes = Sequence[tuple[str, float]]  # a run's id and how strong it is on


def default_root() -> Path:
    """`lethe/runs` in the user's cache folder, or in the temporary folder where there is none to write in."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    try:
        (cache / "lethe").mkdir(parents=True, exist_ok=True)
        if os.access(cache / "lethe", os.W_OK):
            return cache / "lethe" / "runs"
    except OSError:
        pass
    return Path(tempfile.gettempdir()) / "lethe" / "runs"


class Shared:
    """One for the process.

    root     where runs are kept; see `default_root`
    model    a bundled name, a folder or the id of a model on the hub, which is then downloaded; offered first
    threads  torch's
    sizes    how much is probed; the engine's own sizes if None
    waiting  runs that may wait; keep_hours: after which a finished run is deleted
    device   of the models: "cpu", "cuda", "cuda:1"; "auto" takes a GPU where there is one
    limits   rows and bytes of what a person brings
    max_steps    learning steps of a run, over all its seeds; learn_sizes: as `sizes`, of such a run
    hub      may the page fetch data sets and models from the Hugging Face hub?

    `lent`: washes run on ZeroGPU, see runs/gpu.py; everything else then runs on the CPU.
    Raises `NoModel`, `NoDevice`, `OSError`.
    """

    def __init__(
        self,
        root: Path | None = None,
        model: str | None = None,
        threads: int = 1,
        sizes: "Sizes | None" = None,
        waiting: int = 50,
        keep_hours: float = 24.0,
        device: str = "auto",
        limits: tuple[int, int] = (MAX_ROWS, MAX_BYTES),
        max_steps: int = 2_000,
        learn_sizes: "LearnSizes | None" = None,
        hub: bool = False,
    ):
        names = list(bundled())
        if model:
            names = [model, *(n for n in names if n != model)]
        if not names:
            raise NoModel("No model is bundled here: set LETHE_MODEL to a folder with a config.json.")
        self.names = names
        self.threads = threads
        self.sizes = sizes
        self.limits = limits
        self.max_steps, self.learn_sizes = max_steps, learn_sizes
        self.hub = hub
        self.lent = device != "cpu" and on_zero_gpu()
        self.device = "cpu" if self.lent else None if device == "auto" else device
        if self.device:
            check_device(self.device)
        if model and on_hub(model):
            fetch(model, self._device())
        self.runner = Runner(Path(root) if root else default_root(), waiting, keep_seconds=3600 * keep_hours)
        self.costs = Costs(sizes, self.lent)
        self._models: OrderedDict[str, LM] = OrderedDict()
        self._loading, self._bringing = Lock(), Lock()
        self.read = lru_cache(KEEP_READINGS)(self._read)

    def _read(self, text: str, name: str) -> Preview:
        """`preview.read` within the limits, with the model's help. Raises `UnreadableFile`, ValueError."""
        return read(text, name, *self.limits, partial(self.lm, name))

    def lm(self, name: str) -> "LM":
        """The base model of this name: loaded once, the least recently used of more than two let go."""
        if name not in self.names:
            raise NoModel(f"No model {name!r} here. There are: {', '.join(self.names)}.")
        with self._loading:
            if name not in self._models:
                import torch

                from ..models.loading import load

                torch.set_num_threads(self.threads)
                self._models[name] = load(name, self.device)
            self._models.move_to_end(name)
            while len(self._models) > KEEP_MODELS:
                self._models.popitem(last=False)
            return self._models[name]

    def close(self) -> None:
        """Before the program ends: stop the runs, and let nobody run a model any more.

        A thread that is inside torch while Python ends would abort the program.
        """
        self.runner.close()
        for lm in self._models.values():
            lm.lock.acquire(timeout=LAST)

    def _device(self) -> str:
        """The device that models are loaded on."""
        import torch

        return self.device or ("cuda" if torch.cuda.is_available() else "cpu")

    def bring(self, name: str, show: Callable[[Event], None] = lambda e: None) -> None:
        """Download a model of the hub, `owner/name[@revision]`, and offer it to all. Raises `NoModel`.

        A path is never read, not even one that looks like an id.
        """
        if not self.hub or not is_id(name) or (name not in self.names and not on_hub(name)):
            raise NoModel(words.BRING_NO_ID.format(name=name[:200]))
        if name in self.names:
            return
        if not self._bringing.acquire(blocking=False):
            raise NoModel(words.BRING_OTHER)
        try:
            fetch(name, self._device(), show)
            self.names.append(name)
            try:
                self.lm(name)
            except Exception as error:
                self.names.remove(name)
                why = explain(error).rstrip(".")
                raise NoModel(words.BRING_FAILED.format(name=name, why=why)) from error
        finally:
            self._bringing.release()

    def wash(self, name: str, facts: list[Fact], chosen: dict[str, Any], text: str, on: Washes = ()) -> str:
        """Queue a wash and return its run's id. `chosen`: settings by name, as of `ui.wash.chosen`.

        `on`: washes of the same model that it is done on top of.
        Raises ValueError for settings that cannot be, `UnknownRun` for a wash that is gone, and `QueueFull`.
        """
        from ..law.settings import Settings, settings_for

        Settings(**chosen)  # refuses here, not in the worker
        asker = caller() if self.lent else None

        def events() -> Iterator[Event]:
            lm = self.lm(name)
            folder = self.runner.folder(known.result())
            below = [self.delta(id, lm, strength) for id, strength in on]
            yield from placed(lm, facts, chosen.get("layers"))
            try:
                settings = settings_for(lm, **chosen)
            except ValueError as error:  # of this model: a layer that it does not have
                raise Unwashable(str(error)) from error
            if self.lent:
                told = (
                    self.costs.forecast(lm, facts, (), settings, bool(on)) if self.costs.timed(lm) else None
                )
                seconds = sum(told.seconds.values()) if told else None
                run = wash_on_gpu(asker, name, facts, settings, folder, self.sizes, below, seconds)
            else:
                run = wash_job(lm, facts, settings, folder, self.sizes, below)
            yield from self.costs.learning(lm, facts, settings, bool(on), run)

        known: Future[str] = Future()  # the worker may begin before `submit` has returned
        config = {"model": name, "text": text, "on": list(on), **chosen}
        id = self.runner.submit(config, events, [run for run, _ in on])
        known.set_result(id)
        return id

    def config(self, id: str) -> dict[str, Any]:
        """What a run was asked: model, text, scope and so on. Raises `UnknownRun`, `OSError`, ValueError."""
        return json.loads((self.runner.folder(id) / "config.json").read_bytes())

    def record(self, id: str) -> dict[str, Any]:
        """A finished run's record. Raises `UnknownRun`, `OSError`, ValueError."""
        return json.loads((self.runner.folder(id) / RECORD).read_bytes())

    def delta(self, id: str, lm: "LM", strength: float | None = None) -> "Delta":
        """What a finished run itself changed, so strong or as it was made, from its folder.

        Raises `UnknownRun`, `BadDelta`.
        """
        from ..models.delta import load_delta

        folder = self.runner.folder(id)
        delta = load_delta(folder / OWN if (folder / OWN).exists() else folder / DELTA, lm)
        return delta if strength is None else delta.at(strength)

    def below(self, id: str) -> list[tuple[str, float]]:
        """The washes that a run was done on top of, the first first. Raises as `config`."""
        return [(run, strength) for run, strength in self.config(id).get("on", ())]

    def deltas(
        self, id: str, lm: "LM", strength: float | None = None, off: Sequence[str] = ()
    ) -> list["Delta"]:
        """All that is on with a run: the washes below it but those in `off`, and its own, so strong.

        Raises as `config` and `delta`.
        """
        under = [self.delta(run, lm, s) for run, s in self.below(id) if run not in off]
        return [*under, self.delta(id, lm, strength)]
