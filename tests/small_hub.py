"""A hub in miniature on this machine, for one model: as much of the hub's API as its client asks for."""

import hashlib
import json
import re
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"
ID = "own/tiny"


class Hub(BaseHTTPRequestHandler):
    """Answers for one repository: its model card, its list of files, and the files."""

    folder: Path
    refusal: tuple[int, str] | None = None  # status and X-Error-Code of every answer
    changed: dict = {}  # of the config
    without: tuple[str, ...] = ()  # endings of files that are not there
    asked: list

    def log_message(self, *args):
        pass

    def do_HEAD(self):
        self.do_GET()

    def files(self) -> dict[str, bytes]:
        found = {
            p.name: p.read_bytes()
            for p in self.folder.iterdir()
            if not p.name.endswith(self.without or ("\0",))
        }
        found["evil.bin"] = b"never to be asked for"
        found["consolidated.safetensors"] = b"evil: the same weights once more"
        if "config.json" in found:
            config = json.loads(found["config.json"]) | self.changed
            found["config.json"] = json.dumps(config).encode()
        return found

    def do_GET(self):
        url = urlsplit(self.path)
        path = unquote(url.path)
        self.asked.append((path, self.headers.get("authorization")))
        if self.refusal:
            return self.answer(
                b"", self.refusal[0], {"X-Error-Code": self.refusal[1], "X-Error-Message": "no"}
            )
        files = self.files()
        if path.startswith("/api/models/"):
            revision = re.search(r"/(?:revision|tree)/(.+)$", path)
            revision = revision[1] if revision else "main"
            if not path.startswith(f"/api/models/{ID}"):
                return self.answer(b"", 404, {"X-Error-Code": "RepoNotFound"})
            if revision not in ("main", COMMIT):
                return self.answer(b"", 404, {"X-Error-Code": "RevisionNotFound"})
            if "/tree/" in path:
                rows = [
                    {"type": "file", "path": n, "size": len(b), "oid": _sha1(b)} for n, b in files.items()
                ]
                return self.answer(json.dumps(rows).encode(), 200, {"content-type": "application/json"})
            sizes = "blobs=" in url.query  # told only where they are asked for
            siblings = [
                {"rfilename": n} | ({"size": len(b), "blobId": _sha1(b)} if sizes else {})
                for n, b in files.items()
            ]
            told = {
                "id": ID,
                "modelId": ID,
                "sha": COMMIT,
                "siblings": siblings,
                "private": False,
                "gated": False,
            }
            return self.answer(json.dumps(told).encode(), 200, {"content-type": "application/json"})
        body = files.get(path.rsplit("/", 1)[1])
        if body is None:
            return self.answer(b"", 404, {"X-Error-Code": "EntryNotFound"})
        tag = (
            hashlib.sha256(body).hexdigest() if path.endswith(".safetensors") else _sha1(body)
        )  # LFS, or git
        self.answer(
            body,
            200,
            {"ETag": f'"{tag}"', "X-Repo-Commit": COMMIT, "content-type": "application/octet-stream"},
        )

    def answer(self, body: bytes, status: int, headers: dict):
        self.send_response(status)
        for name, value in ({"content-length": str(len(body))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)


def _sha1(body: bytes) -> str:
    return hashlib.sha1(body).hexdigest()


@contextmanager
def served(handler):
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
