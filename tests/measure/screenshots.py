"""The README's pictures of the real page after a finished run, into assets/screenshots or --out.

python -m tests.measure.screenshots [--out FOLDER] [--only NAME ...]
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from .served import PATIENCE, READY, ROOT, chromium, served

EXAMPLE = ROOT / "assets" / "examples" / "capitals-of-europe.txt"
MOST = 400_000  # bytes a picture may have
LONG = 600  # seconds a run may take, however busy the machine is


def wash(page) -> None:
    """Wash the example's facts."""
    page.fill("#facts textarea", EXAMPLE.read_text(encoding="utf-8"))
    page.click("#wash")
    page.wait_for_function("/^Done in/.test(document.querySelector('#status')?.innerText)")
    page.wait_for_selector("#trade-off-plot .js-plotly-plot")


def learn(page) -> None:
    """Learn the task that stands there first, forgetting the cue's own relation; look at the top answer."""
    page.get_by_role("tab", name="Learn with forgetting").click()
    boxes = page.locator("#learn-forget")
    boxes.get_by_label("a mixture of all", exact=True).uncheck()
    boxes.get_by_label("employer", exact=True).check()
    page.click("#learn-run")
    done = "/^Done in/.test(document.querySelector('#learn-status')?.innerText)"
    page.wait_for_function(done, timeout=1000 * LONG)
    page.wait_for_selector("#frontier-plot .js-plotly-plot")
    page.locator("#strip [role=slider]").press("End")


PICTURES = (  # name, what is done, theme, width, height, the element at the top
    ("light", wash, "light", 1280, 1000, "#happened"),
    ("dark", wash, "dark", 1280, 1000, "#trade-off"),
    ("phone", wash, "light", 390, 844, "#happened"),
    ("learn", learn, "light", 1280, 1700, "#learn-run"),
)


def picture(
    browser, url: str, path: Path, do: Callable, theme: str, width: int, height: int, top: str
) -> None:
    """Do something on a page of its own, and take the part that begins at `top`."""
    context = browser.new_context(viewport={"width": width, "height": height})
    page = context.new_page()
    page.set_default_timeout(1000 * PATIENCE)
    page.goto(f"{url}?__theme={theme}")
    page.wait_for_function(READY)
    do(page)
    page.evaluate("top => document.querySelector(top).scrollIntoView()", top)
    page.mouse.move(0, 0)
    page.wait_for_timeout(1000)  # plots are drawn, and their tools fade
    page.screenshot(path=path)
    context.close()


def main() -> int:
    """1 if a picture is too large to be kept in the repository."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / "assets" / "screenshots")
    parser.add_argument("--only", nargs="+", choices=[name for name, *_ in PICTURES])
    args = parser.parse_args()
    folder = args.out
    folder.mkdir(parents=True, exist_ok=True)
    large = False
    with served() as (url, _, _), chromium() as browser:
        for name, *how in (p for p in PICTURES if not args.only or p[0] in args.only):
            path = folder / f"{name}.png"
            picture(browser, url, path, *how)
            size = path.stat().st_size
            large |= size > MOST
            print(f"{path}: {size / 1000:.0f} KB{' TOO LARGE' if size > MOST else ''}", flush=True)
    return int(large)


if __name__ == "__main__":
    sys.exit(main())
