"""gradio's own scripts and styles, made once: a page asks for 80 of them, and each was compressed anew."""

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

FOLDER = "/assets/"  # names in it carry a hash of what is in the file: it never changes
LIMIT = 2**24  # bytes that are kept; a page of this app needs a fortieth
OWN = ("range", "if-none-match", "if-modified-since", "if-match", "if-unmodified-since", "if-range")


class Assets:
    """ASGI middleware: the answers to plain requests for files of `FOLDER` are kept, and given again.

    It stands behind `Guard`, so an Origin is this page's own, and an answer need not name it.
    """

    def __init__(self, app: ASGIApp):
        self.app = app
        self.kept: dict[tuple, list[Message]] = {}
        self.size = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        key = self._key(scope)
        if key is None:
            await self.app(scope, receive, send)
            return
        made = self.kept.get(key) or await self._made(scope, receive, key)
        for message in made:
            await send(message)

    @staticmethod
    def _key(scope: Scope) -> tuple | None:
        """What an answer depends on; None for a request whose answer is its own."""
        if scope["type"] != "http" or scope["method"] != "GET" or not scope["path"].startswith(FOLDER):
            return None
        headers = Headers(scope=scope)
        if any(name in headers for name in OWN):
            return None
        accepted = headers.get("accept-encoding", "")
        return scope["path"], "br" in accepted, "gzip" in accepted

    async def _made(self, scope: Scope, receive: Receive, key: tuple) -> list[Message]:
        """The answer of the app behind, kept if it is a file and there is room."""
        headers = [(name, value) for name, value in scope["headers"] if name != b"origin"]
        made = await answer(self.app, {**scope, "headers": headers}, receive)
        size = sum(len(m.get("body", b"")) for m in made)
        if made[0].get("status") == 200 and self.size + size <= LIMIT and key not in self.kept:
            self.kept[key] = made
            self.size += size
        return made


async def answer(app: ASGIApp, scope: Scope, receive: Receive) -> list[Message]:
    """All that an app sends for a request, once it is through."""
    made: list[Message] = []

    async def keep(message: Message) -> None:
        made.append(message)

    await app(scope, receive, keep)
    return made
