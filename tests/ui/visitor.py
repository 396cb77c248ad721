"""A visitor of the page in Chromium."""

import csv
from urllib.parse import urlparse

from tests.measure.served import PATIENCE, READY

WAIT = int(PATIENCE * 1000)


class Visitor:
    """A page of its own, and all that went wrong on it."""

    def __init__(self, browser, url: str, width: int = 1280, query: str = ""):
        self.page = browser.new_context(viewport={"width": width, "height": 900}).new_page()
        self.page.set_default_timeout(WAIT)
        self.faults: list[str] = []
        self.leaving = False  # the streams of a page that is being left end with an error of their own
        host = urlparse(url).netloc
        self.page.on("request", lambda r: self.see(r.url, host))
        self.page.on("console", lambda m: m.type == "error" and self.fault(m.text))
        self.page.on("pageerror", lambda e: self.fault(str(e)))
        self.page.on("dialog", lambda d: (self.fault(d.message), d.dismiss()))
        self.page.goto(url + query)
        self.ready()

    def see(self, url: str, host: str) -> None:
        parts = urlparse(url)
        if parts.scheme not in ("data", "blob") and parts.netloc != host:
            self.faults.append(f"asked outside: {url}")

    def fault(self, text: str) -> None:
        if not self.leaving:
            self.faults.append(text)

    def ready(self) -> None:
        """The page's own first events are through: the model's line is there."""
        self.page.wait_for_function(READY)

    def reload(self) -> None:
        self.leaving = True
        self.page.reload()
        self.ready()
        self.leaving = False

    def wash(self, text: str) -> None:
        self.page.fill("#facts textarea", text)
        self.page.click("#wash")

    def choose_row(self, name: str) -> None:
        """Choose a row to correct, by the beginning of its name in the list."""
        if not self.page.locator("#row").is_visible():
            self.page.click("#correct > button")
        self.page.focus("#row input")
        self.page.fill("#row input", name)  # the list grows short
        self.page.get_by_role("option", name=name).first.click()
        self.page.wait_for_function("document.querySelector('#row-said textarea').value !== ''")

    def correct(self, **fields: str) -> None:
        """Write into the fields of the chosen row, once they are all drawn, and press the button."""
        self.page.evaluate("() => new Promise(r => requestAnimationFrame(() => requestAnimationFrame(r)))")
        for name, value in fields.items():
            self.page.fill(f"#row-{name} textarea", value)
        self.page.click("#row-correct")

    def wait_for_status(self, pattern: str) -> str:
        self.page.wait_for_function(
            "p => new RegExp(p).test(document.querySelector('#status')?.innerText)", arg=pattern
        )
        return self.page.inner_text("#status")

    def column(self, table: str, name: str, rows: int) -> list[str]:
        """A column's cells, once there are so many rows."""
        cells = self.page.locator(f"#{table} td[data-head='{name}'] > span:first-child")
        self.expect(cells).to_have_count(rows)
        return cells.all_inner_texts()

    def taken_rows(self, button: str, name: str) -> list[dict[str, str]]:
        """The rows of the CSV file of this name that a button gives."""
        self.expect(self.page.locator(button)).to_be_enabled()
        with self.page.expect_download() as taken:
            self.page.click(button)
        assert taken.value.suggested_filename == name
        with open(taken.value.path(), encoding="utf-8-sig", newline="") as file:
            return list(csv.DictReader(file))

    @staticmethod
    def expect(what):
        """What has to become true of a part of the page: it is drawn a moment after the server has spoken."""
        from playwright.sync_api import expect

        expect.set_options(timeout=WAIT)
        return expect(what)

    def ask(self, prompt: str) -> None:
        self.page.fill("#prompt textarea", prompt)
        self.page.click("#ask")

    def wait_for_answers(self, before: str, after: str) -> None:
        """Until the two boxes hold these."""
        self.page.wait_for_function(
            "([b, a]) => document.querySelector('#before textarea').value === b"
            " && document.querySelector('#after textarea').value === a",
            arg=[before, after],
        )
