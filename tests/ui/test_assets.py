"""gradio's files come from memory: byte for byte what the app behind would send, which is asked once."""

import asyncio
import gzip
import urllib.request

import pytest

from unlearning.ui import assets
from unlearning.ui.assets import Assets


class Files:
    """An app that says what it was asked; a file named `missing` is not there."""

    def __init__(self):
        self.asked = []

    async def __call__(self, scope, receive, send):
        headers = dict(scope["headers"])
        self.asked.append((scope["path"], headers))
        status = 404 if "missing" in scope["path"] else 200
        accepted = headers.get(b"accept-encoding", b"").split(b", ")
        named = [(b"content-encoding", next((p for p in (b"br", b"gzip") if p in accepted), b""))]
        await send({"type": "http.response.start", "status": status, "headers": named})
        await send({"type": "http.response.body", "body": scope["path"].encode(), "more_body": True})
        await send({"type": "http.response.body", "body": b" end"})


def get(app, path: str, **headers: str) -> list[dict]:
    """All that is sent for a request."""
    sent = []

    async def send(message):
        sent.append(message)

    named = [(k.replace("_", "-").encode(), v.encode()) for k, v in headers.items()]
    scope = {"type": "http", "method": headers.pop("method", "GET"), "path": path, "headers": named}
    asyncio.run(app(scope, None, send))
    return sent


@pytest.mark.parametrize("accepts", ["", "gzip", "gzip, deflate, br"])
def test_a_file_is_made_once_for_each_way_to_pack_it(accepts):
    files, plain = Files(), Files()
    kept = Assets(files)
    get(kept, "/assets/a.js", accept_encoding="deflate")
    for _ in range(3):
        assert get(kept, "/assets/a.js", accept_encoding=accepts, origin="http://here") == get(
            plain, "/assets/a.js", accept_encoding=accepts
        )
    assert len(files.asked) == (2 if accepts else 1)
    assert all(b"origin" not in headers for _, headers in files.asked)


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/assets/a.js", {"range": "bytes=0-1"}),
        ("/assets/a.js", {"if_none_match": "x"}),
        ("/assets/a.js", {"method": "HEAD"}),
        ("/assets/missing.js", {}),
        ("/theme.css", {"origin": "http://here"}),
    ],
)
def test_what_is_no_plain_request_for_a_file_that_is_there_reaches_the_app_each_time(path, headers):
    files = Files()
    kept = Assets(files)
    answers = [get(kept, path, **headers) for _ in range(2)]
    assert answers[0] == answers[1] == get(Files(), path, **headers)
    assert len(files.asked) == 2


def test_no_more_is_kept_than_the_limit(monkeypatch):
    monkeypatch.setattr(assets, "LIMIT", 30)
    files = Files()
    kept = Assets(files)
    for _ in range(2):
        for name in "abc":
            assert get(kept, f"/assets/{name}.js")[1]["body"] == f"/assets/{name}.js".encode()
    assert [path for path, _ in files.asked] == [f"/assets/{name}.js" for name in "abcbc"]


def test_the_pages_own_script_comes_packed_and_whole(url):
    page = urllib.request.urlopen(url).read().decode()
    name = page.split('src="./assets/')[1].split('"')[0]
    bodies = []
    for packing in ("gzip", "gzip", "identity"):
        asked = urllib.request.Request(f"{url}assets/{name}", headers={"Accept-Encoding": packing})
        with urllib.request.urlopen(asked) as answer:
            body = answer.read()
            bodies.append(gzip.decompress(body) if answer.headers["Content-Encoding"] == "gzip" else body)
            assert answer.headers["Content-Type"].startswith(("text/javascript", "application/javascript"))
    assert bodies[0] == bodies[1] == bodies[2] and len(bodies[0]) > 10_000
