"""Many visitors at once: 200 open pages, and in 60 of them Wash is pressed, ten more than may wait.

    python -m tests.measure.load [--pages 200] [--washes 60] [--waiting 50] [--rounds 2]

A page is not a browser here, but asks the server for what a browser does: the page, its stylesheet, its
heartbeat, the events of its opening, and the stream that answers them. All pages are opened at the same
moment. Memory is the server's resident set: before, when a few pages with washes in them, which load what
every later one shares, were there and are gone; and after each round, when all pages are closed.
"""

import argparse
import asyncio
import contextlib
import json
import re
import secrets
import statistics
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from unlearning.ui.sessions import GRACE

from .served import FACTS, PATIENCE, served

KEPT_MB = 32  # memory may stay so much higher: the allocator's blocks are not all of them empty
WARM = 20, 3  # pages and washes before anything is measured
SETTLED = GRACE + 20  # seconds until what a closed page had is gone
HOUR = 3600.0  # seconds that the last of the queued washes may take
PER_PAGE_KB = 200


@dataclass
class Page:
    """One visitor's page."""

    http: httpx.AsyncClient
    config: dict = field(default_factory=dict)
    session: str = field(default_factory=lambda: secrets.token_hex(6))
    heart: asyncio.Task | None = None

    async def open(self) -> float:
        """Seconds until everything that happens when a page is opened has been answered."""
        start = time.monotonic()
        page = await self.get("")
        self.config = json.loads(re.search(r"window\.gradio_config = (\{.*?\});</script>", page, re.S)[1])
        await self.get("theme.css")
        self.heart = asyncio.create_task(self.beat())
        events = [d for d in self.config["dependencies"] if any(t[1] == "load" for t in d["targets"])]
        joined = [await self.join(event) for event in events]
        await self.answers(set(joined))
        return time.monotonic() - start

    async def get(self, path: str) -> str:
        answer = await self.http.get(path)
        answer.raise_for_status()
        return answer.text

    async def beat(self) -> None:
        """Hold the heartbeat's stream, as an open page does."""
        path = f"gradio_api/heartbeat/{self.session}"
        with contextlib.suppress(httpx.HTTPError):  # a server that is gone is noticed elsewhere
            async with self.http.stream("GET", path, timeout=None) as stream:
                async for _ in stream.aiter_bytes():
                    pass

    async def join(self, event: dict, **filled) -> str:
        """Ask for an event with the inputs as they stand on the page, or as `filled` by element: its id."""
        components = {c["id"]: c["props"] for c in self.config["components"]}
        data = [filled.get(components[i].get("elem_id"), components[i].get("value")) for i in event["inputs"]]
        body = {"data": data, "fn_index": event["id"], "session_hash": self.session, "trigger_id": None}
        answer = await self.http.post("gradio_api/queue/join", json=body)
        answer.raise_for_status()
        return answer.json()["event_id"]

    async def answers(self, waiting: set[str]) -> list[dict]:
        """All messages of the session's stream until these events are through. Raises on one that failed."""
        told = []
        path = f"gradio_api/queue/data?session_hash={self.session}"
        async with self.http.stream("GET", path) as stream:
            async for line in stream.aiter_lines():
                if not line.startswith("data: "):
                    continue
                message = json.loads(line[6:])
                told.append(message)
                if message["msg"] in ("unexpected_error", "server_stopped"):
                    raise RuntimeError(f"{message['msg']}: {message.get('message')}")
                if message["msg"] == "process_completed":
                    if not message["success"]:
                        raise RuntimeError(f"an event failed: {message['output']}")
                    waiting.discard(message["event_id"])
                if message["msg"] == "close_stream":
                    break
        if waiting:
            raise RuntimeError("the stream ended before its events did")
        return told

    async def wash(self) -> str:
        """Press Wash and follow the run: the last that the page said of it."""
        button = next(c["id"] for c in self.config["components"] if c["props"].get("elem_id") == "wash")
        event = next(
            d for d in self.config["dependencies"] if [button, "click"] in d["targets"] and d["outputs"]
        )
        told = await self.answers({await self.join(event, facts=FACTS)})
        said = re.findall(r'role=\\"status\\">(.*?)</p>', json.dumps(told, ensure_ascii=False))
        return said[-1]

    async def close(self) -> None:
        self.heart.cancel()
        await asyncio.gather(self.heart, return_exceptions=True)


def memory(pid: int) -> float:
    """Resident set of a process, in MB."""
    text = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", text)[1]) / 1024


def seconds(name: str, xs: list[float]) -> None:
    """Print a row of times, if there are any."""
    if not xs:
        return
    xs = sorted(xs)
    middle, late = statistics.median(xs), xs[int(0.95 * (len(xs) - 1))]
    print(f"{name:44} median {middle:.2f} s, 95 % {late:.2f} s, worst {xs[-1]:.2f} s", flush=True)


async def opened(http: httpx.AsyncClient, n: int) -> tuple[list[Page], Counter]:
    """So many pages opened at once: those that are open, and what went wrong with the others."""
    pages = [Page(http) for _ in range(n)]
    took = await asyncio.gather(*(p.open() for p in pages), return_exceptions=True)
    seconds(f"{n} pages opened at once", [x for x in took if isinstance(x, float)])
    wrong = Counter(f"a page did not open: {e!r}" for e in took if isinstance(e, BaseException))
    return [p for p, x in zip(pages, took, strict=True) if isinstance(x, float)], wrong


async def closed(pages: list[Page]) -> None:
    """Close these pages and wait until the server has forgotten them."""
    await asyncio.gather(*(p.close() for p in pages))
    await asyncio.sleep(SETTLED)


def visitors(url: str) -> httpx.AsyncClient:
    """A client whose every request has its own connection."""
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
    return httpx.AsyncClient(base_url=url, timeout=httpx.Timeout(PATIENCE), limits=limits)


async def page_kb(http: httpx.AsyncClient, pid: int, n: int) -> float:
    """What an open page takes of the server's memory while `n` are open, in KB; on a server that is warm."""
    before = memory(pid)
    pages, wrong = await opened(http, n)
    if wrong:
        raise RuntimeError(str(wrong))
    await asyncio.sleep(2)
    took = 1024 * (memory(pid) - before) / n
    await asyncio.gather(*(p.close() for p in pages))
    return took


async def load(url: str, pid: int, n: int, washes: int, rounds: int) -> bool:
    """Open, wash, close, more than once; print the figures. True if nothing went wrong."""
    async with visitors(url) as http:
        warm, wrong = await opened(http, WARM[0])
        await asyncio.gather(*(p.wash() for p in warm[: WARM[1]]))
        await closed(warm)
        before, told = memory(pid), []
        for _ in range(rounds):
            start = memory(pid)
            pages, failed = await opened(http, n)
            wrong += failed
            await asyncio.sleep(2)
            idle = memory(pid)
            peak, failed = await washing(http, pid, pages[:washes])
            wrong += failed
            await closed(pages)
            told.append((start, idle, max(peak, idle), memory(pid)))
    for start, idle, peak, after in told:
        each = 1024 * (idle - start) / n
        print(
            f"memory: {start:.0f} MB, {idle:.0f} with {n} pages ({each:.0f} KB each, ≤ {PER_PAGE_KB}), "
            f"{peak:.0f} at most, {after:.0f} after ({after - before:+.0f} to the first, ≤ {KEPT_MB})"
        )
    for text, k in wrong.items():
        print(f"WRONG, {k} times: {text}")
    first = told[0]
    fits = 1024 * (first[1] - first[0]) / n <= PER_PAGE_KB
    return not wrong and fits and told[-1][-1] - before <= KEPT_MB


async def washing(http: httpx.AsyncClient, pid: int, pages: list[Page]) -> tuple[float, Counter]:
    """Press Wash in all these pages, open others meanwhile: memory at most, in MB, and what went wrong."""
    pressed = time.monotonic()
    tasks = [asyncio.create_task(p.wash()) for p in pages]
    meanwhile, peak, wrong = [], 0.0, Counter()
    while not all(task.done() for task in tasks) and time.monotonic() - pressed < HOUR:
        page = Page(http)
        try:
            meanwhile.append(await page.open())
            await page.close()
        except Exception as e:
            wrong[f"a page opened meanwhile: {e!r}"] += 1
        peak = max(peak, memory(pid))
        await asyncio.sleep(1)
    for task in tasks:
        task.cancel()
    ends = await asyncio.gather(*tasks, return_exceptions=True)
    said = Counter(re.sub(r"[\d.]+ s", "… s", e) if isinstance(e, str) else repr(e) for e in ends)
    wrong += Counter({s: k for s, k in said.items() if not s.startswith(("Done in", "Sorry, "))})
    for text, k in said.most_common():
        print(f"{k:4} times: {text}")
    seconds(f"{len(meanwhile)} more pages opened while they wash", meanwhile)
    print(f"{'until all were through':44} {time.monotonic() - pressed:.0f} s", flush=True)
    return peak, wrong


def main() -> int:
    """1 if anything went wrong or memory stayed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pages", type=int, default=200)
    parser.add_argument("--washes", type=int, default=60)
    parser.add_argument("--waiting", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=2)
    asked = parser.parse_args()
    with served(LETHE_QUEUE=str(asked.waiting)) as (url, app, _):
        fine = asyncio.run(load(url, app.pid, asked.pages, asked.washes, asked.rounds))
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
