"""A queue of runs with one worker: first come, first served; a run outlives the page that asked for it."""

import logging
import re
import secrets
import shutil
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

from ..events import Done, Event, Progress, to_json
from ..files import write_json
from ..steps import Stopped, watched
from .log import ENDED, RunLog, where
from .memory import give_back, is_shortage, trim

ID = re.compile(r"[A-Za-z0-9_-]{22}")
PROGRESS_SECONDS = 0.1
ABOVE = ".above"  # of an empty file in a run's folder that is named after a run on top of it
SWEEP_SECONDS = 60.0  # between two looks for old runs while nothing else happens

logger = logging.getLogger(__name__)


class QueueFull(RuntimeError):
    """As many runs are waiting as may wait."""


class UnknownRun(LookupError):
    """Not the id of a run, or of one that has been deleted since."""


@dataclass
class Job:
    """A run that has not ended."""

    id: str
    make: Callable[[], Generator[Event, None, None]]
    log: RunLog
    stop: threading.Event = field(default_factory=threading.Event)


class Runner:
    """Runs engines one at a time, each with its own folder under `root`.

    max_waiting   runs that may wait behind the running one
    keep_seconds  a folder is deleted when its run has ended and nothing was written to it for so long, nor
                  to that of a run on top of it

    What a run makes is in its folder; nothing of it stays in memory.

    One process submits to a `root`; others may follow, with their own `Runner` or with `RunLog(root / id)`.
    """

    def __init__(self, root: Path, max_waiting: int = 50, keep_seconds: float = 24 * 3600):
        """Make `root`, delete old runs in it. The worker starts with `begin`, or a run. Raises `OSError`."""
        self.root = Path(root)
        self.max_waiting = max_waiting
        self.keep_seconds = keep_seconds
        self._changed = threading.Condition()  # guards all below
        self._waiting: deque[Job] = deque()
        self._running: Job | None = None
        self._worker: threading.Thread | None = None
        self._closed = False
        self.root.mkdir(parents=True, exist_ok=True)
        self._sweep()

    def submit(
        self, config: dict, make: Callable[[], Generator[Event, None, None]], on: Iterable[str] = ()
    ) -> str:
        """Queue a run and return its id. `make` is called in the worker, when its turn comes.

        `config`, plain JSON, is kept as `config.json` in the run's folder. `on`: the runs that it is on top
        of, whose folders are kept as long as its own.
        Raises `QueueFull`, `UnknownRun` for one of `on`, `RuntimeError` after `close`, `TypeError` for a
        config that is no JSON, `OSError`.
        """
        with self._changed:
            if self._closed:
                raise RuntimeError("this runner is closed")
            if self.unfinished() > self.max_waiting:
                raise QueueFull(
                    f"Sorry, {self.max_waiting} runs are waiting already. Please try again in a few minutes."
                )
            self._sweep()
            below = [self.folder(run) for run in on]
            id = secrets.token_urlsafe(16)
            log = RunLog(self.root / id)
            log.folder.mkdir()
            try:
                write_json(log.folder / "config.json", config)
                log.set_state("queued")
                for folder in below:
                    (folder / f"{id}{ABOVE}").touch()
            except BaseException:
                shutil.rmtree(log.folder, ignore_errors=True)
                raise
            self._waiting.append(Job(id, make, log))
            self.begin()
            self._changed.notify_all()
        return id

    def begin(self) -> None:
        """Start the worker, which deletes old runs as time passes, even where none is ever submitted."""
        with self._changed:
            if self._worker is None and not self._closed:
                self._worker = threading.Thread(target=self._work, name="lethe-runs", daemon=True)
                self._worker.start()

    def stop(self, id: str) -> bool:
        """Ask a run to end. True if it was waiting or running here, False if it had ended.

        A waiting run is stopped on return. A running one is closed at its next event, which is not logged;
        only an engine that yields nothing more than its `Done` still ends as done. Raises `UnknownRun`.
        """
        self.folder(id)
        with self._changed:
            for job in self._waiting:
                if job.id == id:
                    self._waiting.remove(job)
                    _end(job.log, "stopped")
                    return True
            if self._running is not None and self._running.id == id:
                self._running.stop.set()
                return True
            return False

    def place(self, id: str) -> int | None:
        """How many runs come before this one: 0 when running, None when it has ended or is another process's.

        Raises `UnknownRun`.
        """
        self.folder(id)
        with self._changed:
            unfinished = ([self._running] if self._running is not None else []) + list(self._waiting)
            return next((i for i, job in enumerate(unfinished) if job.id == id), None)

    def unfinished(self) -> int:
        """How many runs a new one would have to wait for."""
        with self._changed:
            return len(self._waiting) + (self._running is not None)

    def state(self, id: str) -> str:
        """One of `log.STATES`. Raises `UnknownRun`."""
        return RunLog(self.folder(id)).state()

    def follow(self, id: str, after: int = -1, poll: float = 0.1) -> Iterator[dict]:
        """Logged events with n > `after`, as they come, until the run has ended: see `RunLog.follow`.

        Raises `UnknownRun` at once, not at the first event.
        """
        return RunLog(self.folder(id)).follow(after, poll)

    def folder(self, id: str) -> Path:
        """Where a run's files are. Raises `UnknownRun`; no path is built from what is not formed as an id."""
        if not isinstance(id, str) or not ID.fullmatch(id):
            raise UnknownRun("This is not the id of a run.")
        folder = self.root / id
        if not folder.is_dir():
            raise UnknownRun("This run is not known here; it may be too old.")
        return folder

    def close(self) -> None:
        """Stop all runs, wait until the running engine has put everything back, and take no more."""
        with self._changed:
            self._closed = True
            if self._running is not None:
                self._running.stop.set()
            while self._waiting:
                _end(self._waiting.popleft().log, "stopped")
            self._changed.notify_all()
        if self._worker is not None:
            self._worker.join()

    def _work(self) -> None:
        while self._run_next():
            pass  # nothing of a run may stay in a variable here while the worker waits for the next

    def _run_next(self) -> bool:
        """Wait for a run and see it through; False when closed."""
        with self._changed:
            while not self._changed.wait_for(lambda: self._waiting or self._closed, SWEEP_SECONDS):
                self._sweep()
            if not self._waiting:
                return False
            job = self._running = self._waiting.popleft()
        failed = None
        try:
            state = _drive(job)
        except BaseException as e:  # whatever an engine raises, the next run's turn comes
            if not for_people(e):
                logger.error("run %s failed\n%s", job.id, where(e))  # text: a record may be kept
            state = "failed"
            failed = {"type": "Failed", "text": explain(e), "kind": type(e).__name__}
        if failed:
            give_back()
        with self._changed:
            self._running = None
        _end(job.log, state, failed)
        trim()
        return True

    @property
    def uploads(self) -> Path:
        """Where the page may put copies of what was brought: they become old as runs do."""
        return self.root / "uploads"

    def _sweep(self) -> None:
        """Delete what is old: folders formed as runs whose run has ended, and uploads."""
        for folder in self.root.iterdir():
            if ID.fullmatch(folder.name) and folder.is_dir() and self._old(folder):
                shutil.rmtree(folder, ignore_errors=True)
        for path in self.uploads.glob("*"):  # of a server that was killed; of this one gradio deletes them
            if time.time() - _last_written(path) >= self.keep_seconds:
                if path.is_dir():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    path.unlink(missing_ok=True)

    def _old(self, folder: Path) -> bool:
        """Has its run ended, long ago, and those on top of it too?"""
        above = [self.root / path.stem for path in folder.glob(f"*{ABOVE}")]
        return (
            time.time() - _last_written(folder) >= self.keep_seconds
            and RunLog(folder).state() in ENDED
            and all(self._old(run) for run in above if run.is_dir())
        )


def _drive(job: Job) -> str:
    """Run an engine to its end, or to its next event or step after a stop: the state."""
    job.log.set_state("running")

    def watch(progress: Progress | None) -> None:
        if job.stop.is_set():
            raise Stopped
        if progress is not None:
            thinned.append(progress)

    with suppress(Stopped), Thinned(job.log) as thinned, closing(job.make()) as events, watched(watch):
        for event in events:
            if job.stop.is_set() and not isinstance(event, Done):
                break
            thinned.append(event)
        else:
            return "done"
    return "stopped"


def _end(log: RunLog, state: str, event: dict | None = None) -> None:
    """Write the last event, if any, and the last state, as far as the disk allows."""
    try:
        if event:
            log.append(event)
        log.set_state(state)
        log.close()
    except OSError:
        logger.exception("the end of run %s could not be written", log.folder.name)
        with suppress(OSError):
            log.give_up()


def _last_written(path: Path) -> float:
    """When a file, or anything in a folder, last changed, in seconds of `time.time`; 0 if it was deleted
    meanwhile."""
    try:
        return max(p.stat().st_mtime for p in [path, *(path.iterdir() if path.is_dir() else ())])
    except FileNotFoundError:
        return 0.0


class Thinned:
    """Passes events on to a log, but leaves out a `Progress` that another follows within a tenth of a second.

    So every other event is logged, in its place, and the last `Progress` before it too. The first with
    done = total is logged when it comes: a person should not wait for the next phase to see a bar full.
    """

    def __init__(self, log: RunLog, clock: Callable[[], float] = time.monotonic):
        self._log = log
        self._clock = clock
        self._last = float("-inf")
        self._full = False
        self._held: Progress | None = None

    def append(self, event: Event) -> None:
        """Log the event now, later, or not at all. Raises as `RunLog.append`; `TypeError` for no event."""
        if not isinstance(event, Event):
            raise TypeError(f"an engine yields events, not {type(event).__name__}")
        if isinstance(event, Progress):
            self._held = event
            full = event.done >= event.total and not self._full
            if self._clock() - self._last < PROGRESS_SECONDS and not full:
                return
            self._last = self._clock()
            self._full = self._full or full
            self.flush()
        else:
            self.flush()
            self._full = False
            self._log.append(to_json(event))

    def flush(self) -> None:
        """Log the `Progress` held back, if any."""
        if self._held is not None:
            self._log.append(to_json(self._held))
            self._held = None

    def __enter__(self) -> "Thinned":
        return self

    def __exit__(self, *_) -> None:
        self.flush()


def explain(error: BaseException) -> str:
    """One plain sentence. The words of an exception are shown only if its class is of this package.

    Others may tell of paths and insides that help nobody on the page; they are in the server's log.
    """
    if is_shortage(error):
        return "There was not enough memory for this run; fewer facts at once or a smaller model may fit."
    if for_people(error):
        return " ".join(str(error).split())
    return f"Something went wrong inside the program ({type(error).__name__}); the server's log says more."


def for_people(error: BaseException) -> bool:
    """Is it of a class of this package, whose words are for people and say all there is to say?"""
    return type(error).__module__.split(".")[0] == __name__.split(".")[0]
