"""The event log of one run on disk: one process writes it, any number read it, now or next week.

A run's folder holds `events.jsonl`, one event a line, and `state.json`, the state with the process that
set it. When that process is gone before the run has ended, the run is "lost".
"""

import json
import os
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from ..files import to_text, write_json

ENDED = frozenset({"done", "failed", "stopped", "lost"})
STATES = frozenset({"queued", "running"}) | ENDED
# of torch and the system, or about the program's own names
HARMLESS = (RuntimeError, MemoryError, OSError, TypeError, AttributeError, ImportError)


def where(error: BaseException) -> str:
    """A traceback for the server's log, without words that may hold what a visitor wrote: an exception's own
    are left out, but for those of kinds that know no facts.
    """
    told = error if isinstance(error, HARMLESS) else ""
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    before = f"{where(cause)}\n\n" if cause else ""
    frames = "".join(traceback.format_tb(error.__traceback__))
    return f"{before}Traceback (most recent call last):\n{frames}{type(error).__name__}: {told}"


class RunLog:
    """Events and state of the run in `folder`. Writing is for one thread at a time; reading is for all."""

    def __init__(self, folder: Path):
        """Nothing is read or written yet; `folder` has to exist before the first writing."""
        self.folder = Path(folder)
        self._events = self.folder / "events.jsonl"
        self._state = self.folder / "state.json"
        self._file: BinaryIO | None = None
        self._next = 0
        self._start: float | None = None

    def append(self, event: dict) -> dict:
        """Write one event, a dict with "type", as a line of its own, and return it as logged.

        Added are "n", counted from 0, and "t", seconds since the state became running (or, without that,
        since the first event). Raises `TypeError` for what JSON cannot hold, and `OSError`.
        """
        if self._file is None:
            self._open()
        line = {"n": self._next, "t": round(time.monotonic() - self._start, 3), **event}
        self._file.write(to_text(line).encode() + b"\n")
        self._file.flush()
        self._next += 1
        return line

    def _open(self) -> None:
        """Open for appending, behind the last whole line; a torn one is cut off."""
        before, end = self._read_from(0)
        self._file = open(self._events, "ab")  # noqa: SIM115 (kept open, see close)
        self._file.truncate(end)
        self._next = before[-1]["n"] + 1 if before else 0
        if self._start is None:
            self._start = time.monotonic() - (before[-1]["t"] if before else 0)

    def read(self, after: int = -1) -> list[dict]:
        """The events logged so far with n > `after`, in order; none when there is no log."""
        return [event for event in self._read_from(0)[0] if event["n"] > after]

    def _read_from(self, offset: int) -> tuple[list[dict], int]:
        """Events of the whole lines from byte `offset` on, and where the next line begins."""
        try:
            with open(self._events, "rb") as file:
                file.seek(offset)
                data = file.read()
        except FileNotFoundError:
            return [], offset
        end = data.rfind(b"\n") + 1
        return [event for line in data[:end].splitlines() if (event := _parse(line))], offset + end

    def follow(self, after: int = -1, poll: float = 0.1) -> Iterator[dict]:
        """Yield every event with n > `after` as it comes, until the run has ended; look each `poll` seconds.

        Needs nothing but the folder, so it works in another process too, and for a run that has long ended.
        """
        offset = 0
        while True:
            ended = self.state() in ENDED  # asked before reading: what is read then is all there will be
            events, offset = self._read_from(offset)
            yield from (event for event in events if event["n"] > after)
            if ended:
                return
            time.sleep(poll)

    def state(self) -> str:
        """One of `STATES`. "lost": its process is gone with the run unfinished, or there is no run here."""
        saved = self._saved()
        if saved["state"] not in ENDED and process_mark(saved["pid"]) != saved["mark"]:
            saved = self._saved()  # the process may have ended the run, then itself, since the first look
            return saved["state"] if saved["state"] in ENDED else "lost"
        return saved["state"]

    def _saved(self) -> dict:
        try:
            return json.loads(self._state.read_bytes())
        except (OSError, ValueError):
            return {"state": "lost"}

    def set_state(self, state: str) -> None:
        """Write the state in one step, as this process's. Raises `OSError`; `ValueError` for no state."""
        if state not in STATES:
            raise ValueError(f"no such state: {state!r}")
        if state == "running":
            self._start = time.monotonic()
        pid = os.getpid()
        write_json(self._state, {"state": state, "pid": pid, "mark": process_mark(pid), "at": time.time()})

    def give_up(self) -> None:
        """For when a state cannot be written (a full disk): from now on the run counts as lost."""
        self._state.unlink(missing_ok=True)

    def close(self) -> None:
        """Close the file; reading goes on working."""
        if self._file is not None:
            self._file.close()
            self._file = None


def _parse(line: bytes) -> dict | None:
    """The event in a line, or None for anything else, such as the zeros a power cut leaves."""
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) and "n" in event else None


def process_mark(pid: int) -> str | None:
    """What tells process `pid` from any other that ever had this number: boot and start time.

    None if it is gone; one that was killed and not yet waited for (a zombie) is gone.
    """
    if Path("/proc/self/stat").exists():
        try:
            fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            return None
        boot_id = Path("/proc/sys/kernel/random/boot_id")  # some sandboxes have none
        boot = boot_id.read_text().strip() if boot_id.exists() else ""
        return None if fields[0] in "ZX" else f"{boot}/{fields[19]}"  # see proc(5): state, starttime
    import psutil  # comes with accelerate

    try:
        return str(psutil.Process(pid).create_time())
    except psutil.NoSuchProcess:
        return None
