"""Who is let in: this page and programs, by the doors they need, with no more than they need to bring."""

import ipaddress
import logging
import traceback
from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from . import words
from .preview import MAX_BYTES

BODY_LIMIT = 4 * MAX_BYTES  # bytes that a request may bring, where no longer texts are taken
API = "/gradio_api"
SAFE = ("GET", "HEAD")
DOORS = ("/login", *(f"{API}/{door}" for door in ("queue/join", "run/predict", "upload", "cancel", "reset")))
SHUT = tuple(
    f"{API}/{door}" for door in ("proxy=", "file/", "file=http", "deep_link")
)  # these fetch or write

logger = logging.getLogger(__name__)


def body_limit(longest: int) -> int:
    """Bytes of a body that may bring a text of so many: as JSON a letter of two bytes can take six."""
    return max(BODY_LIMIT, 4 * longest)


class Guard:
    """ASGI middleware: a refused request reaches nothing behind it, and gets one sentence.

    public   names of the functions that programs may call
    names    host names that a proxy serves the page under
    local    is the page for this machine only? Then another name is a trick (DNS rebinding)
    limit    of a body, in bytes
    """

    def __init__(
        self,
        app: ASGIApp,
        public: Iterable[str],
        names: Iterable[str] = (),
        local: bool = False,
        limit: int = BODY_LIMIT,
    ):
        self.app = app
        self.doors = {*DOORS, *(f"{API}/{call}/{name}" for call in ("call", "call/v2") for name in public)}
        self.names = frozenset(names)
        self.checks_host = local or bool(self.names)
        self.limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        refused = self.refused(scope, headers)
        if refused is None:
            messages = await self.body(headers, receive)
            if messages is not None:

                async def again() -> Message:
                    return messages.pop(0) if messages else await receive()

                await self.app(scope, again, send)
                return
            refused = 413, words.TOO_LARGE
        status, why = refused
        await PlainTextResponse(f"{why}\n", status, {"connection": "close"})(scope, receive, send)

    def refused(self, scope: Scope, headers: Headers) -> tuple[int, str] | None:
        """Status and reason, from the head of a request alone; None for one that may come in."""
        if self.checks_host and not self._ours(headers.get("host")):
            return 421, words.OTHER_NAME
        if self._foreign(scope["method"], headers):
            return 403, words.OTHER_PAGE
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        reading = scope["method"] in SAFE and not path.lower().startswith(SHUT)
        if not reading and (scope["method"] != "POST" or path not in self.doors):
            return 404, words.NO_DOOR
        return None

    def _ours(self, host: str | None) -> bool:
        """May this be the Host of a request? An address cannot be made to point elsewhere, a name can."""
        if host is None:  # no browser
            return True
        name = _name(f"//{host}")
        return name in self.names or name == "localhost" or name.endswith(".localhost") or _address(name)

    def _foreign(self, method: str, headers: Headers) -> bool:
        """Does a page from elsewhere ask, for more than a link to this one?

        Browsers say so themselves (Sec-Fetch-Site) where the connection is safe; else Origin is compared.
        """
        origin, site = headers.get("origin"), headers.get("sec-fetch-site")
        if origin is None and method in SAFE:
            return False
        if site is not None:
            return site not in ("same-origin", "none")
        if origin is None:
            return False
        here = headers.get("host"), headers.get("x-forwarded-host")
        return origin.partition("://")[2] not in here and _name(origin) not in self.names

    async def body(self, headers: Headers, receive: Receive) -> list[Message] | None:
        """All messages of a body, or None when it is over the limit: no more of it is read then."""
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > self.limit:
            return None
        messages, size = [], 0
        while True:
            messages.append(await receive())
            size += len(messages[-1].get("body", b""))
            if size > self.limit:
                return None
            if not messages[-1].get("more_body"):
                return messages


def _name(url: str) -> str:
    """The host name in a URL, without its port; "" where there is none."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def local(host: str) -> bool:
    """Does a server on this host name or address hear this machine alone?"""
    bare = host.strip("[]")
    return bare == "localhost" or (_address(bare) and ipaddress.ip_address(bare).is_loopback)


async def no_such_event(request: Request, error: Exception) -> PlainTextResponse:
    """The answer where gradio has looked up an event that does not exist."""
    logger.warning("no such event at %s", request.url.path, exc_info=error)
    return PlainTextResponse(f"{words.NO_DOOR}\n", 404)


async def wrong_arguments(request: Request, error: Exception) -> PlainTextResponse:
    """The answer where gradio finds that named arguments do not fit. Any other TypeError is raised again."""
    if traceback.extract_tb(error.__traceback__)[-1].name != "construct_args":
        raise error
    return PlainTextResponse(f"{str(error).partition('. Please click')[0]}.\n", 422)
