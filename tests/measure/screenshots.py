"""The README's pictures of the real page after a finished wash, into assets/screenshots or --out.

python -m tests.measure.screenshots [--out FOLDER]
"""

import argparse
import sys
from pathlib import Path

from .served import PATIENCE, READY, ROOT, chromium, served

EXAMPLE = ROOT / "assets" / "examples" / "capitals-of-europe.txt"
MOST = 400_000  # bytes a picture may have
PICTURES = (  # name, theme, width, height, the element at the top
    ("light", "light", 1280, 1000, "#happened"),
    ("dark", "dark", 1280, 1000, "#trade-off"),
    ("phone", "light", 390, 844, "#happened"),
)


def picture(browser, url: str, path: Path, theme: str, width: int, height: int, top: str) -> None:
    """Wash the example's facts on a page of its own, and take the part that begins at `top`."""
    context = browser.new_context(viewport={"width": width, "height": height})
    page = context.new_page()
    page.set_default_timeout(1000 * PATIENCE)
    page.goto(f"{url}?__theme={theme}")
    page.wait_for_function(READY)
    page.fill("#facts textarea", EXAMPLE.read_text(encoding="utf-8"))
    page.click("#wash")
    page.wait_for_function("/^Done in/.test(document.querySelector('#status')?.innerText)")
    page.wait_for_selector("#trade-off-plot .js-plotly-plot")
    page.evaluate("top => document.querySelector(top).scrollIntoView()", top)
    page.mouse.move(0, 0)
    page.wait_for_timeout(1000)  # plots are drawn, and their tools fade
    page.screenshot(path=path)
    context.close()


def main() -> int:
    """1 if a picture is too large to be kept in the repository."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / "assets" / "screenshots")
    folder = parser.parse_args().out
    folder.mkdir(parents=True, exist_ok=True)
    large = False
    with served() as (url, _, _), chromium() as browser:
        for name, *how in PICTURES:
            path = folder / f"{name}.png"
            picture(browser, url, path, *how)
            size = path.stat().st_size
            large |= size > MOST
            print(f"{path}: {size / 1000:.0f} KB{' TOO LARGE' if size > MOST else ''}", flush=True)
    return int(large)


if __name__ == "__main__":
    sys.exit(main())
