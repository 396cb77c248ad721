"""JSON with a fault in it: its whole objects are read, and what lies between them is kept as text.

After a fault the next object is looked for that is an element itself, and none within the damaged one: it has
the field names of one that was read before, or it stands where no object or list goes on around it. First
before the place of the fault: an element that lacks its end goes on, for a parser, through those after it.
"""

import json
import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass

PIECE = 4_096  # characters in which an object is looked for first
NEAR_END = 16  # characters: what is cut off within a word, a number or an escape is found as near the end
TRIES = 3  # of an element in what a damaged one goes on through
AGAIN = 30  # times the text's length that may be read in these tries
MARGIN = 100  # characters
NESTED = 200  # characters that must be gone through, at least, before nesting is too deep to read
START = re.compile(r'\{\s*"')
SIGN = re.compile(r'\{\s*"[^"]*"')
BETWEEN = re.compile(r"[\s,]*")
CLOSING = re.compile(r"\]\s*\Z")
AROUND = re.compile(r'["}]|\][\s\]]*[,}"]')  # what follows on objects within another


@dataclass(frozen=True)
class Part:
    """An object in a text; or a stretch of it that holds none, and then in `fault` why."""

    raw: str
    value: dict | None
    fault: str = ""


class Fault(ValueError):
    """`at`: where a text is not JSON, from 0. `look`: from where on another object may begin."""

    def __init__(self, message: str, at: int, look: int):
        super().__init__(message)
        self.at = at
        self.look = look


def place(ends: list[int], at: int) -> str:
    """A place in a text with line ends at these, in the words of Python's own messages."""
    line = bisect_left(ends, at)
    return f"line {line + 1} column {at - (ends[line - 1] if line else -1)} (char {at})"


def parts(text: str, at: int = 0, array: bool = False) -> Iterator[Part]:
    """The objects from a place on, and what lies between them. `array`: they end with "]".

    A comma too many or too few between two objects is no fault. Takes time linear in the text.
    """
    ends, shapes, sign, spare = [m.start() for m in re.finditer("\n", text)], set(), "", AGAIN * len(text)
    while True:
        at = BETWEEN.match(text, at).end()
        if array and CLOSING.match(text, at):
            return
        if at == len(text):
            if array:
                yield Part("", None, f"not valid JSON: the list does not end with ]: {place(ends, at)}")
            return
        try:
            value, end = decoded(text, at)
        except Fault as fault:
            early, read = swallowed(text, at, fault.at, sign, shapes) if spare > 0 else (None, 0)
            spare -= read
            end = next_element(text, fault.look, shapes) if early is None else early
            yield Part(text[at:end].strip(), None, f"not valid JSON: {fault}: {place(ends, fault.at)}")
            if end == len(text):
                return
        else:
            shapes.add(frozenset(value))
            sign = sign_at(text, at) or sign
            yield Part(text[at:end], value)
        at = end


def decoded(text: str, at: int) -> tuple[dict, int]:
    """The object that begins there, and where it ends. Raises Fault.

    In a piece of the text at first: Python's error counts all lines before it, too slow for many errors.
    """
    if text[at : at + 1] != "{":
        raise Fault("Expecting an object", at, at + 1)
    size = PIECE
    while True:
        piece, rest = text[at : at + size], at + size >= len(text)
        try:
            value, end = DECODER.raw_decode(piece)
            return value, at + end
        except json.JSONDecodeError as error:
            if rest or (error.pos < size - NEAR_END and not error.msg.startswith("Unterminated string")):
                raise Fault(error.msg, at + error.pos, resumed(text, at, at + error.pos)) from error
        except RecursionError as error:
            raise Fault("nested too deeply", at, at + NESTED) from error
        size *= 16


def number(digits: str) -> int | str:
    """A whole number; as text where it has more digits than Python makes a number of."""
    try:
        return int(digits)
    except ValueError:
        return digits


DECODER = json.JSONDecoder(parse_int=number)


def resumed(text: str, at: int, fault: int) -> int:
    """From where on another object may begin, after a fault in one that begins at `at`.

    A quote that is missing makes a string of what follows, up to the quote of the next object's first field:
    so from the last string on.
    """
    closing = text.rfind('"', at, fault)
    return max(at + 1, text.rfind('"', at, max(closing, at)))


def next_element(text: str, look: int, shapes: set[frozenset]) -> int:
    """Where the first element begins from there on; else the end of the text.

    shapes  the field names of elements that were read
    """
    while found := START.search(text, look):
        start = found.start()
        try:
            value, _ = decoded(text, start)
        except Fault as fault:
            look = fault.look
            continue
        if frozenset(value) in shapes:
            return start
        look = after_all(text, start)
        if stands_alone(text, start, look):
            return start
    return len(text)


def swallowed(text: str, at: int, fault: int, sign: str, shapes: set[frozenset]) -> tuple[int | None, int]:
    """Where in what begins at `at` and has a fault later the next element begins, or None; characters read.

    It begins as this one does, or as the one before it: `sign`.
    """
    signs, look, read = {sign, sign_at(text, at)} - {""}, at + 1, fault - at
    for _ in range(TRIES):
        look = min((i for s in signs if (i := text.find(s, look, fault)) >= 0), default=None)
        if look is None:
            break
        try:
            value, _ = decoded(text, look)
        except Fault as other:
            read += other.at - look
            look += 1
            continue
        left = margin(text, look)
        if frozenset(value) in shapes or (left is not None and left == margin(text, at)):
            return look, read
        after = after_all(text, look)
        if stands_alone(text, look, after):
            return look, read
        read, look = read + after - look, after
    return None, read


def sign_at(text: str, at: int) -> str:
    """The beginning of an object, up to the name of its first field; "" where none begins."""
    found = SIGN.match(text, at)
    return found[0] if found else ""


def margin(text: str, at: int) -> int | None:
    """How far from the left a line begins; None where something stands before."""
    begins = max(text.rfind("\n", max(0, at - MARGIN), at) + 1, at - MARGIN)
    return at - begins if not text[begins:at].strip() else None


def after_all(text: str, at: int) -> int:
    """What follows on the objects that stand one after another from there."""
    while True:
        try:
            at = BETWEEN.match(text, decoded(text, at)[1]).end()
        except Fault:
            return at


def stands_alone(text: str, at: int, after: int) -> bool:
    """Is what stands from one place to another no field's value, nor within one?"""
    colon = before(text, at, "[")
    named = colon > 0 and text[colon] == ":" and text[before(text, colon, "")] not in "[]{},"
    return not named and AROUND.match(text, after) is None


def before(text: str, at: int, skip: str) -> int:
    """Where before a place something stands that is neither space nor to be skipped; -1 for nowhere."""
    at -= 1
    while at >= 0 and (text[at] in skip or text[at].isspace()):
        at -= 1
    return at
