"""How quick and how large one page is, in a real Chromium, against the budgets.

    python -m tests.measure.page [--visits 5]

Each visit is a new browser profile, so nothing is cached; then the page is opened again, with its cache.
What is transferred has no budget: a page of gradio 6.31 with one button alone has 337 KB, nothing cached.
Then 200 pages are opened at once, as in load.py, to see what the server needs for each.
Seconds depend on the machine and on what else it does; the first visit also waits for the model to load.
"""

import argparse
import asyncio
import statistics
import subprocess
import sys
import time
from collections import defaultdict

from .load import PER_PAGE_KB, page_kb, visitors
from .served import FACTS, PATIENCE, READY, ROOT, chromium, served

PAGES = 200
BUDGETS = {  # what: (limit, unit); no limit where there is no budget
    "first paint": (1.0, "s"),
    "wash button usable": (2.0, "s"),
    "click to first sign of the run": (0.5, "s"),
    "click to the run's own first step": (0.5, "s"),
    f"server memory a page, {PAGES} open": (PER_PAGE_KB, "KB"),
    "import unlearning": (0.3, "s"),
    "page load, nothing cached": (None, "KB"),
    "page load, cached": (None, "KB"),
}
WATCH = """() => {
  const said = () => document.querySelector('#status [role=status]')?.innerText.trim();
  const idle = said(), seen = [];
  document.querySelector('#wash').addEventListener('click', () => {
    const start = performance.now();
    const look = () => {
      const text = said();
      if (text !== (seen.at(-1)?.[0] ?? idle)) seen.push([text, (performance.now() - start) / 1000]);
      requestAnimationFrame(look);
    };
    look();
  }, {once: true});
  window.seen = seen;
}"""


def visit(browser, url: str) -> dict[str, float]:
    """One visit with a wash in it, and one more with the cache: figures by name, seconds and KB."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.set_default_timeout(1000 * PATIENCE)
    network = context.new_cdp_session(page)
    network.send("Network.enable")
    sizes: list[float] = []
    network.on("Network.loadingFinished", lambda e: sizes.append(e["encodedDataLength"]))
    found = {}
    start = time.monotonic()
    page.goto(url)
    page.wait_for_selector("#wash:not([disabled])")
    found["wash button usable"] = time.monotonic() - start
    page.wait_for_function(READY)
    found["first paint"] = page.evaluate("performance.getEntriesByName('first-paint')[0].startTime / 1000")
    found["page load, nothing cached"] = sum(sizes) / 1000
    page.fill("#facts textarea", FACTS)
    page.evaluate(WATCH)
    page.click("#wash")
    page.wait_for_function("/^Done/.test(document.querySelector('#status')?.innerText)")
    seen = page.evaluate("window.seen")
    found["click to first sign of the run"] = seen[0][1]
    found["click to the run's own first step"] = next(s for text, s in seen if text != "Starting.")
    page.evaluate("localStorage.clear()")  # else the finished wash would be shown, and measured, too
    sizes.clear()
    page.goto(url)
    page.wait_for_function(READY)
    found["page load, cached"] = sum(sizes) / 1000
    context.close()
    return found


def importing() -> float:
    """Seconds that `import unlearning` takes in a new Python. Raises `RuntimeError` if it is not light."""
    code = (
        "import sys, time; start = time.perf_counter(); import unlearning;"
        "print(time.perf_counter() - start);"
        "sys.exit(any(m in sys.modules for m in ('gradio', 'torch', 'transformers')))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError("import unlearning brings gradio, torch or transformers with it")
    return float(done.stdout)


async def open_page(url: str, pid: int) -> float:
    """KB of the server's memory that each of PAGES open pages takes."""
    async with visitors(url) as http:
        return await page_kb(http, pid, PAGES)


def main() -> int:
    """Print the figures; 1 if the median of one is over its budget."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--visits", type=int, default=5)
    visits = parser.parse_args().visits
    figures = defaultdict(list)
    with served() as (url, app, seconds):
        with chromium() as browser:
            for _ in range(visits):
                for name, x in visit(browser, url).items():
                    figures[name].append(x)
        figures[f"server memory a page, {PAGES} open"] = [asyncio.run(open_page(url, app.pid))]
    figures["import unlearning"] = [importing() for _ in range(visits)]
    print(f"server answers after {seconds:.1f} s; {visits} visits, the first while the model loads")
    print(f"{'':36}{'first':>8}{'median':>8}{'worst':>8}{'budget':>9}")
    over = 0
    for name, (limit, unit) in BUDGETS.items():
        xs = figures[name]
        middle = statistics.median(xs)
        row = "".join(f"{x:8.2f}" for x in (xs[0], middle, max(xs)))
        late = limit is not None and middle > limit
        over += late
        print(f"{name:36}{row}{limit or 'none':>6} {unit:3}{'OVER' if late else ''}")
    return int(over > 0)


if __name__ == "__main__":
    sys.exit(main())
