"""Many visitors at once: 200 open pages, and in 60 of them Wash is pressed, ten more than may wait.

    python -m tests.measure.load [--pages 200] [--washes 60] [--waiting 50]

A page is not a browser here, but asks the server for what a browser does: the page, its stylesheet, its
heartbeat, the events of its opening, and the stream that answers them. All pages are opened at the same
moment. Memory is the server's resident set: before, when one page with one wash in it was there and is gone;
and after, when all pages are closed.
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

KEPT_MB = 64  # memory may stay so much higher: pages closed a moment ago, caches, and the allocator's own
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


async def load(url: str, pid: int, n: int, washes: int) -> bool:
    """Open, wash, close; print the figures. True if nothing went wrong."""
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
    async with httpx.AsyncClient(base_url=url, timeout=httpx.Timeout(PATIENCE), limits=limits) as http:
        first = Page(http)
        await first.open()
        await first.wash()
        await first.close()
        await asyncio.sleep(5)
        before = memory(pid)

        pages = [Page(http) for _ in range(n)]
        opened = await asyncio.gather(*(p.open() for p in pages), return_exceptions=True)
        wrong = Counter(repr(e) for e in opened if isinstance(e, BaseException))
        opened = [x for x in opened if isinstance(x, float)]
        print(wrong or "no page failed to open", flush=True)
        seconds(f"{len(opened)} of {n} pages opened at once", opened)
        await asyncio.sleep(2)
        idle = memory(pid)

        pressed = time.monotonic()
        washing = [asyncio.create_task(p.wash()) for p in pages[:washes] if p.heart]
        meanwhile, peak = [], idle
        while not all(task.done() for task in washing) and time.monotonic() - pressed < HOUR:
            page = Page(http)
            try:
                meanwhile.append(await page.open())
                await page.close()
            except Exception as e:
                wrong[f"a page opened meanwhile: {e!r}"] += 1
            peak = max(peak, memory(pid))
            await asyncio.sleep(1)
        for task in washing:
            task.cancel()
        ends = await asyncio.gather(*washing, return_exceptions=True)
        said = Counter(re.sub(r"[\d.]+ s", "… s", e) if isinstance(e, str) else repr(e) for e in ends)
        wrong += Counter({s: k for s, k in said.items() if not s.startswith(("Done in", "Sorry, "))})
        for text, k in said.most_common():
            print(f"{k:4} times: {text}")
        seconds(f"{len(meanwhile)} more pages opened while they wash", meanwhile)
        print(f"{'until all were through':44} {time.monotonic() - pressed:.0f} s")
        await asyncio.gather(*(p.close() for p in pages if p.heart))
        await asyncio.sleep(GRACE + 20)
    after = memory(pid)
    page_kb = 1024 * (idle - before) / n
    print(
        f"memory: {before:.0f} MB before, {idle:.0f} with {n} pages: {page_kb:.0f} KB each (≤ {PER_PAGE_KB})"
    )
    print(f"        {peak:.0f} MB at most, {after:.0f} after all were closed (≤ {KEPT_MB} more than before)")
    for text, k in wrong.items():
        print(f"WRONG, {k} times: {text}")
    return not wrong and after - before <= KEPT_MB and page_kb <= PER_PAGE_KB


def main() -> int:
    """1 if anything went wrong or memory stayed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pages", type=int, default=200)
    parser.add_argument("--washes", type=int, default=60)
    parser.add_argument("--waiting", type=int, default=50)
    asked = parser.parse_args()
    with served(LETHE_QUEUE=str(asked.waiting)) as (url, app, _):
        fine = asyncio.run(load(url, app.pid, asked.pages, asked.washes))
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
