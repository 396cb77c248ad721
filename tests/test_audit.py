"""No known vulnerability in what requirements.txt installs: pip-audit, where an advisory service answers."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent
VULNERABLE = {"jinja2": "2.4.1"}  # by several advisories: a service that knows of none is none


def brought(file: Path) -> dict[str, str]:
    """Names and versions, as installed here, of a requirements file's packages and of all they need."""
    lines = (line.split("#")[0].strip() for line in file.read_text().splitlines())
    todo = [Requirement(line) for line in lines if line]
    found, seen = {}, set()
    while todo:
        wanted = todo.pop()
        name = canonicalize_name(wanted.name)
        if (name, frozenset(wanted.extras)) in seen:
            continue
        seen.add((name, frozenset(wanted.extras)))
        found[name] = Version(metadata.version(name)).public  # advisories know no 2.13.0+cpu
        for r in map(Requirement, metadata.requires(name) or []):
            if not r.marker or any(r.marker.evaluate({"extra": extra}) for extra in wanted.extras or {""}):
                todo.append(r)
    return found


def audit(packages: dict[str, str], folder: Path, *service: str) -> dict[str, list[str]] | None:
    """Of each package that has any: its advisories, or why it was not looked up. None: no answer."""
    pinned = folder / "pinned.txt"
    pinned.write_text("".join(f"{name}=={version}\n" for name, version in packages.items()))
    command = [sys.executable, "-m", "pip_audit", "-r", pinned, "--no-deps", "--disable-pip", "-f", "json"]
    command += ["--progress-spinner", "off", "--timeout", "10", "--cache-dir", folder / "cache", *service]
    done = subprocess.run(command, capture_output=True, text=True, timeout=250)
    try:
        told = json.loads(done.stdout)["dependencies"]
    except ValueError:
        return None
    return {
        d["name"]: [v["id"] for v in d.get("vulns", [])] or [d["skip_reason"]]
        for d in told
        if d.get("vulns", True)
    }


@pytest.fixture
def advisories() -> Iterator[tuple[list[dict], dict[str, str], str]]:
    """A service of our own that speaks OSV: what it was asked, its advisories by package, and its address."""
    asked, known = [], {}

    class Service(BaseHTTPRequestHandler):
        def do_POST(self):
            query = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            asked.append(query)
            id = known.get(query["package"]["name"])
            told = [{"id": id, "published": "2020-01-01T00:00:00Z", "affected": []}] if id else []
            body = json.dumps({"vulns": told} if told else {}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Service)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield asked, known, f"http://127.0.0.1:{server.server_port}/v1/query"
    server.shutdown()


def test_the_audit_is_of_all_that_is_installed_and_tells_what_it_is_told(advisories, tmp_path):
    asked, known, url = advisories
    packages = brought(ROOT / "requirements.txt")
    assert {"torch", "gradio", "transformers", "starlette", "numpy"} <= set(packages)
    assert "pytest" not in packages and "pip-audit" not in packages
    assert audit(packages, tmp_path, "-s", "osv", "--osv-url", url) == {}
    assert {q["package"]["name"]: q["version"] for q in asked} == packages
    known["starlette"] = "CVE-0000-1"
    assert audit(packages, tmp_path, "-s", "osv", "--osv-url", url) == {"starlette": ["CVE-0000-1"]}
    assert audit(packages, tmp_path, "-s", "osv", "--osv-url", url.replace("/v1", "x/v1")) is None


def test_no_advisory_is_known_of_what_is_installed(tmp_path):
    for service in ("pypi", "osv"):
        canary = audit(VULNERABLE, tmp_path, "-s", service)
        if canary and len(canary.get("jinja2", [])) > 1:
            assert audit(brought(ROOT / "requirements.txt"), tmp_path, "-s", service) == {}
            return
    pytest.skip("no advisory service can be reached: neither pypi.org's JSON API nor api.osv.dev answers")
