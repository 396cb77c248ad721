"""What the served page refuses over HTTP: paths, bodies, pages, names, doors and files that it is not for."""

import http.client
import io
import json
import select
import socket
import struct
import zipfile
from urllib.parse import quote, urlsplit

import pytest
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient
from ui_help import FACTS

from unlearning.runs.wash import ANSWERS
from unlearning.ui import words
from unlearning.ui.guard import BODY_LIMIT, Guard, body_limit, local
from unlearning.ui.launch import launch
from unlearning.ui.preview import MAX_BYTES

API = "/gradio_api"
JSON = {"Content-Type": "application/json"}


@pytest.fixture
def ask(url):
    """Sends one request, the path just as it is given: status, headers and body of the answer."""

    def ask(path: str, body=None, method: str | None = None, **headers):
        connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
        body = json.dumps(body) if isinstance(body, dict) else body
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method or ("POST" if body else "GET"), path, body, JSON | named)
        answer = connection.getresponse()
        told = answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
        connection.close()
        return told

    return ask


@pytest.fixture
def events(ask):
    """The events of the page by name, from its config."""
    return {event["api_name"]: event for event in json.loads(ask("/config")[2])["dependencies"]}


# paths


def test_no_path_leads_out_of_the_run_folders(ask, told, shared, tmp_path):
    folder = shared.runner.folder(told[-1]["run"]).resolve()
    secret = tmp_path / "secret.txt"
    secret.write_text("a secret")
    (folder / "link.csv").symlink_to(secret)
    (folder / "door").symlink_to(tmp_path)
    up = "../" * len(folder.parts)
    outside = [f"{folder}/{up}{secret}", f"{folder.parent}/../{secret}", f"{up}{secret}", str(secret)]
    outside += [f"{folder}/link.csv", f"{folder}/door/secret.txt", f"file://{secret}", f"/{secret}"]
    outside += ["/etc/passwd", "/proc/self/environ", "app.py", f"{folder}/\0", f"{folder}/..\\..\\secret.txt"]
    guessed = [str(folder)[:-1] + ("A" if folder.name[-1] != "A" else "B"), str(folder.parent / ("A" * 22))]
    outside += [f"{run}/{ANSWERS}" for run in [*guessed, str(folder.parent / "*"), str(folder.parent)]]
    outside += [str(folder), str(folder.parent), f"http://{secret}", "http://127.0.0.1:1/"]
    ways = [lambda p: quote(p), lambda p: quote(p, safe=""), lambda p: quote(p).replace(".", "%2e")]
    ways += [lambda p: quote(quote(p, safe=""), safe="")]
    for way in ways:
        for path in outside:
            for route in (
                f"{API}/file=",
                f"{API}/file/",
                f"{API}/proxy=",
                "/static/",
                "/assets/",
                "/svelte/",
            ):
                status, _, body = ask(route + way(path))
                assert status in (400, 403, 404) and b"a secret" not in body, route + way(path)
    for way in ways[:3]:  # twice encoded it is another file
        assert ask(f"{API}/file={way(f'{folder}/{ANSWERS}')}")[0] == 200
    (folder / "link.csv").unlink()
    (folder / "door").unlink()


# bodies


def served(url) -> socket.socket:
    parts = urlsplit(url)
    return socket.create_connection((parts.hostname, parts.port), timeout=60)


def head(path: str, *headers: str) -> bytes:
    return "\r\n".join([f"POST {path} HTTP/1.1", "Host: localhost", *headers, "\r\n"]).encode()


DOORS = ("/queue/join", "/run/predict", "/upload", "/call/wash")


@pytest.mark.parametrize("path", [*(API + door for door in DOORS), "/login"])
@pytest.mark.parametrize("kind", ["application/json", "multipart/form-data; boundary=x"])
def test_a_body_that_says_it_is_too_large_is_refused_before_it_is_sent(url, path, kind):
    with served(url) as s:
        s.sendall(head(path, f"Content-Type: {kind}", f"Content-Length: {BODY_LIMIT + 1}"))
        assert s.recv(100).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize("door", DOORS)
def test_a_body_that_grows_too_large_is_cut_off(url, door):
    piece = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    sent = 0
    with served(url) as s:
        s.sendall(head(API + door, "Content-Type: application/json", "Transfer-Encoding: chunked"))
        while not select.select([s], [], [], 0)[0] and sent < 10 * BODY_LIMIT:
            try:
                sent += s.send(piece)
            except ConnectionError:
                break
        assert BODY_LIMIT < sent < 3 * BODY_LIMIT  # what is on its way comes on top
        assert s.recv(100).startswith(b"HTTP/1.1 413 ")


def test_the_longest_text_comes_in_however_it_is_written(ask):
    text = "ж" * (MAX_BYTES // 2)
    assert len(json.dumps({"data": [text, ""]})) > 2.9 * MAX_BYTES
    assert ask(f"{API}/call/preview", {"data": [text, ""]})[0] == 200


def form(*files: tuple[str, bytes]) -> tuple[bytes, str]:
    """Files as a form: its body and its content type."""
    part = '--x\r\nContent-Disposition: form-data; name="files"; filename="{}"\r\n\r\n'
    body = b"".join(part.format(name).encode() + content + b"\r\n" for name, content in files)
    return body + b"--x--\r\n", "multipart/form-data; boundary=x"


@pytest.mark.parametrize("files", [[MAX_BYTES + 1], [10] * 1001], ids=len)
def test_an_upload_is_refused_when_a_file_is_too_large_or_files_are_too_many(ask, files):
    body, kind = form(*((f"{i}.csv", b"x" * size) for i, size in enumerate(files)))
    assert ask(f"{API}/upload", body, Content_Type=kind)[0] in (400, 413)
    body, kind = form(("fine.csv", b"x" * MAX_BYTES))
    assert ask(f"{API}/upload", body, Content_Type=kind)[0] == 200


# other pages


JOIN = {"data": [FACTS, ""], "fn_index": 0, "session_hash": "elsewhere"}


@pytest.mark.parametrize("host", [None, "192.168.1.5:7860", "localhost:7860", "[::1]:7860"])
@pytest.mark.parametrize(
    "page",
    [
        {"Origin": "http://elsewhere.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:9999"},
        {"Origin": "http://127.0.0.1"},
        {"Origin": "//"},
        {"Origin": "https://elsewhere.example", "Sec_Fetch_Site": "cross-site"},
        {"Origin": "http://localhost:9999", "Sec_Fetch_Site": "same-site"},
        {"Sec_Fetch_Site": "cross-site"},
    ],
    ids=str,
)
def test_another_page_may_ask_for_nothing(ask, url, page, host):
    page = page | {"Host": host or urlsplit(url).netloc}
    body, kind = form(("x.csv", b"x"))
    asked = [ask(API + door, JOIN, **page) for door in (*DOORS, "/cancel")]
    asked += [ask(f"{API}/queue/join", JOIN, **page, Content_Type="text/plain")]
    asked += [ask(f"{API}/upload", body, **page, Content_Type=kind)]
    if "Origin" in page:  # what it wants to read, and what its browser asks beforehand
        asked += [
            ask(path, **page) for path in ("/config", f"{API}/info", f"{API}/queue/data?session_hash=x")
        ]
        asked += [ask(f"{API}/queue/join", method="OPTIONS", Access_Control_Request_Method="POST", **page)]
    for status, headers, text in asked:
        assert (status, text.decode().strip()) == (403, words.OTHER_PAGE)
        assert "access-control-allow-origin" not in headers


@pytest.mark.parametrize(
    "page",
    [
        {"Host": "localhost:7860", "Origin": "http://localhost:7860"},
        {"Host": "[::1]:7860", "Origin": "http://[::1]:7860"},
        {"Host": "127.0.0.1:1", "Origin": "https://lethe.example", "Sec_Fetch_Site": "same-origin"},
        {"Host": "127.0.0.1:1", "Origin": "http://lethe.example", "X_Forwarded_Host": "lethe.example"},
        {"Host": "192.168.1.5"},
    ],
    ids=str,
)
def test_the_page_itself_may_behind_a_proxy_too(ask, page):
    assert ask(f"{API}/call/preview", {"data": [FACTS, ""]}, **page)[0] == 200
    assert ask("/config", **page)[0] == 200


def test_a_link_from_another_page_leads_here(ask):
    assert ask("/", Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="navigate")[0] == 200


# other names


@pytest.mark.parametrize(
    "host", ["elsewhere.example:7860", "localhost.elsewhere.example", "127.0.0.1.nip.io", "["]
)
def test_a_name_that_was_made_to_point_here_is_refused(ask, host):
    for path, body in (("/", None), ("/config", None), (f"{API}/queue/join", JOIN)):
        status, _, text = ask(path, body, Host=host, Origin=f"http://{host}", Sec_Fetch_Site="same-origin")
        assert (status, text.decode().strip()) == (421, words.OTHER_NAME)


def status(guard: dict, host: str, **headers) -> int:
    """What a guard answers to a POST under a host name."""
    app = Guard(PlainTextResponse("in"), ["wash"], **guard)
    return TestClient(app).post(f"{API}/call/wash", headers={"host": host} | headers).status_code


def test_as_much_may_be_sent_as_the_longest_text_takes_and_what_the_page_itself_needs():
    longest = 3_000_000
    assert body_limit(100) == BODY_LIMIT
    app = Guard(PlainTextResponse("in"), ["wash"], limit=body_limit(longest))
    for body, answer in (('"' * 2 * longest, 200), ("x" * (body_limit(longest) + 1), 413)):
        assert TestClient(app).post(f"{API}/call/wash", content=body).status_code == answer


def test_names_are_asked_for_on_this_machine_alone_or_where_they_are_said():
    proxied = {"names": ["lethe.example"], "local": True}
    assert status({}, "me-lethe.hf.space") == 200  # a Space, a container: it cannot know its name
    assert status({}, "me-lethe.hf.space", origin="https://me-lethe.hf.space") == 200
    assert status({"local": True}, "lethe.example") == 421
    assert status(proxied, "lethe.example:80") == status(proxied, "127.0.0.1:1") == 200
    assert status(proxied, "127.0.0.1:1", origin="http://lethe.example") == 200
    assert status({"names": ["lethe.example"]}, "elsewhere.example") == 421
    assert [local(x) for x in ("localhost", "127.0.0.1", "[::1]", "0.0.0.0", "::", "lethe.example")] == [
        True, True, True, False, False, False
    ]  # fmt: skip


def test_what_is_served_for_this_machine_knows_so_from_where_it_listens(shared, monkeypatch):
    made = []
    monkeypatch.setattr("unlearning.ui.launch.local", lambda host: made.append(host))

    class Demo:
        launch = staticmethod(lambda **options: options)

    launch(Demo, shared, "10.0.0.1")
    monkeypatch.setenv("GRADIO_SERVER_NAME", "0.0.0.0")
    launch(Demo, shared)
    monkeypatch.delenv("GRADIO_SERVER_NAME")
    launch(Demo, shared)
    assert made == ["10.0.0.1", "0.0.0.0", "localhost"]


# other doors


def test_the_pages_own_events_are_not_listed_and_have_no_name_outside(ask, events):
    private = {name for name, event in events.items() if event["api_visibility"] != "public"}
    assert len(private) > 20 and set(events) - private == {"preview", "ask", "wash"}
    listed = [
        ask(f"{API}/{list}")[2].decode() for list in ("info", "info?all_endpoints=true", "openapi.json")
    ]
    for name in (*private, "no_such_name"):
        for call in ("call", "call/v2", "run", "api"):
            for end in ("", "/"):
                assert ask(f"{API}/{call}/{name}{end}", {"data": [""]})[0] == 404, f"{call}/{name}"
        assert not any(f"/{name}" in text for text in listed)
    assert all("/wash" in text for text in listed)


def test_the_queue_cannot_be_passed_by(ask, events):
    for name in ("preview", "wash", "start", "attach"):
        for path in (f"{API}/run/predict", f"{API}/api/predict", f"{API}/run/{name}"):
            assert ask(path, JOIN | {"fn_index": events[name]["id"]})[0] == 404


@pytest.mark.parametrize("event", [9999, -1, None])
def test_an_event_that_does_not_exist_is_not_found(ask, event):
    for path in (f"{API}/queue/join", f"{API}/run/predict"):
        status, _, text = ask(path, JOIN | {"fn_index": event})
        assert status in (400, 404) and b"Traceback" not in text


@pytest.mark.parametrize(
    "path", ["vibe-edit", "vibe-code", "process_recording", "component_server", "stream/x", "../queue/join"]
)
def test_what_gradio_offers_and_this_page_does_not_use_is_shut(ask, path):
    assert ask(f"{API}/{path}", {"data": [""]})[0] == 404
    assert ask(f"{API}/queue/join", JOIN, method="PUT")[0] == 404


# arguments of public functions


@pytest.mark.parametrize(
    "given, said",
    [
        ({}, b"No value provided for required argument: text"),
        ({"text": "a|b|c", "txt": "x"}, b"`txt` is not a valid key-word argument"),
    ],
)
def test_named_arguments_that_do_not_fit_are_named(ask, given, said):
    status, _, text = ask(f"{API}/call/v2/preview", json.dumps(given))
    assert status == 422 and said in text and b"Traceback" not in text


@pytest.mark.parametrize(
    "name, data, said",
    [
        ("preview", [5, ""], "text must be text."),
        ("preview", ["a | b | c", None], "model must be text."),
        ("ask", [["x"], "", ""], "prompt must be text."),
        ("wash", ["a | b | c", "facts", "law", "x", "1", 0, "", "", "", ""], "strength must be a number."),
        ("wash", ["a | b | c", "facts", "law", "x", 1, True, "", "", "", ""], "seed must be a number."),
    ],
)
def test_an_argument_of_the_wrong_kind_is_named(ask, name, data, said):
    id = json.loads(ask(f"{API}/call/{name}", {"data": data})[2])["event_id"]
    told = ask(f"{API}/call/{name}/{id}")[2].decode()
    assert "event: error" in told and said in told  # behind heartbeats, if others are served first


# files of the wrong kind


def zipped() -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as file:
        file.writestr("facts.csv", "subject,relation,object\nFrance,capital,Paris\n")
    return held.getvalue()


HEADER = b'{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
WRONG = {
    "zip": zipped(),
    "safetensors": struct.pack("<Q", len(HEADER)) + HEADER + b"\0\0\x80\x3f",
    "program": b"\x7fELF\x02\x01\x01" + bytes(range(256)),
    "zeros": bytes(1000),
    "image": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
}


@pytest.fixture
def upload(ask, events):
    """Uploads a file and hands it to the page's event, as the page does: status and what it puts where."""

    def upload(name: str, content: bytes):
        body, kind = form((name, content))
        _, _, said = ask(f"{API}/upload", body, Content_Type=kind)
        file = {"path": json.loads(said)[0], "orig_name": name, "meta": {"_type": "gradio.FileData"}}
        event = {"data": [file], "fn_index": events["of_file"]["id"], "session_hash": "files"}
        status, _, said = ask(f"{API}/run/predict", event)
        return status, json.loads(said).get("data")

    return upload


@pytest.mark.parametrize("kind", WRONG)
def test_what_only_has_the_name_of_a_table_is_refused_in_a_sentence(upload, kind):
    status, (text, line, *_) = upload("facts.csv", WRONG[kind])
    assert status == 200 and isinstance(text, dict) and "value" not in text
    assert "not" in line and "Traceback" not in line
    status, (text, *_) = upload("facts.csv", b"subject,relation,object\nFrance,capital,Paris\n")
    assert (status, text.splitlines()[1]) == (200, "France,capital,Paris")


@pytest.mark.parametrize("name", ["facts.zip", "facts.safetensors", "facts.csv.exe", "facts"])
def test_what_has_another_name_is_not_taken(upload, name):
    assert upload(name, b"subject,relation,object\n") == (500, None)
