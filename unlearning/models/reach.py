"""Was the hub not reached, or did it answer, with a refusal?"""

from collections.abc import Iterator

LIBRARIES = ("httpx", "httpx2", "httpcore", "httpcore2", "requests", "aiohttp")
DEEPEST = 10  # an error's causes that are looked at: they can go in a circle


def causes(error: BaseException) -> Iterator[BaseException]:
    """The error and those that it was raised from, or beside."""
    for _ in range(DEEPEST):
        yield error
        error = error.__cause__ or error.__context__
        if error is None:
            return


def unreached(error: BaseException) -> bool:
    """Was there no answer, or only that the hub itself is out of order? In offline mode there is none."""
    from huggingface_hub import errors

    for e in causes(error):
        if isinstance(e, errors.HfHubHTTPError):
            return e.response is not None and e.response.status_code >= 500
        if isinstance(e, errors.OfflineModeIsEnabled | ConnectionError | TimeoutError):
            return True
        if type(e).__module__.split(".")[0] in LIBRARIES:
            return True
    return False
