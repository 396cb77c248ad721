"""Ways in which a file goes wrong on its way: of its records, and of its bytes. All by a seeded generator."""

import copy
import json
import random

from test_known_formats import WRITTEN

DEEP = 3_000
ODD = [
    None,
    True,
    0,
    -1,
    1.5,
    10**30,
    "",
    " ",
    "{}",
    "{",
    "a" * 3_000,
    "\x00",
    "\ud800",
    "\u2028",
    [],
    {},
    [[]],
]
ODD += [
    ["a", "b"],
    [None],
    {"str": "x"},
    {"str": None},
    [{"prompt": "a", "ground_truth": "b"}],
    {"prompt": []},
]


def record(records: list, r: random.Random) -> list:
    """One record with a field deleted, doubled in another case, swapped with another, or of another type."""
    records = copy.deepcopy(records)
    some = r.choice(records)
    inner = [v for v in some.values() if isinstance(v, dict) and v]
    some = r.choice([some, *inner]) if r.random() < 0.5 else some
    name = r.choice(list(some))
    what = r.randrange(4)
    if what == 0:
        del some[name]
    elif what == 1:
        some[name.upper()] = r.choice(ODD)
    elif what == 2:
        other = r.choice(list(some))
        some[name], some[other] = some[other], some[name]
    else:
        some[name] = r.choice(ODD)
    return records


def cut(data: bytes, r: random.Random) -> bytes:
    return data[: r.randrange(len(data) + 1)]


def flip(data: bytes, r: random.Random) -> bytes:
    out = bytearray(data)
    for _ in range(r.randint(1, 4)):
        if out:
            out[r.randrange(len(out))] = r.randrange(256)
    return bytes(out)


def ascii_flip(data: bytes, r: random.Random) -> bytes:
    """As `flip`, but the file stays text."""
    out = bytearray(data)
    for _ in range(r.randint(1, 4)):
        i = r.randrange(len(out)) if out else 0
        if out and out[i] < 128:
            out[i] = r.choice(b'"{}[],:|;#\t\n\\ ax0')
    return bytes(out)


def doubled(data: bytes, r: random.Random) -> bytes:
    a, b = sorted(r.randrange(len(data) + 1) for _ in range(2))
    return data[:b] + data[a:b] + data[b:]


def taken_out(data: bytes, r: random.Random) -> bytes:
    a, b = sorted(r.randrange(len(data) + 1) for _ in range(2))
    return data[:a] + data[min(b, a + 40) :]


def nested(data: bytes, r: random.Random) -> bytes:
    """Huge nesting where a value stands, or all round."""
    mark = r.choice([b"[", b'{"a":'])
    at = data.find(b":") + 1 if r.random() < 0.5 else 0
    return data[:at] + mark * DEEP + data[at:]


def put_in(data: bytes, r: random.Random) -> bytes:
    """NULs, line ends, separators of lines that are none to editors, marks of byte order, half of UTF-8."""
    what = r.choice(
        [b"\x00", b"\r\n", b"\r", b"\n", b"\x0b", b"\x0c", "\u2028\x85".encode(), b"\xef\xbb\xbf", b"\xc3"]
    )
    at = r.randrange(len(data) + 1)
    return data[:at] + what + data[at:]


def quotes(data: bytes, r: random.Random) -> bytes:
    """Some of the quotes as another kind."""
    other = r.choice([b"'", b"\xe2\x80\x9c", b'""', b'\\"', b""])
    parts = data.split(b'"')
    return parts[0] + b"".join((other if r.random() < 0.2 else b'"') + p for p in parts[1:])


def encoded(data: bytes, r: random.Random) -> bytes:
    """Of another encoding than UTF-8, or with a mark."""
    return data.decode("utf-8", "replace").encode(
        r.choice(["utf-16", "utf-8-sig", "utf-32", "latin-1"]), "replace"
    )


def ends(data: bytes, r: random.Random) -> bytes:
    return data.replace(b"\r\n", b"\n").replace(b"\n", r.choice([b"\r\n", b"\r", b"\n\n", b"\n#\n"]))


BYTES = (cut, flip, ascii_flip, doubled, taken_out, nested, put_in, quotes, encoded, ends)


def mutated(seeds: dict[str, list], n: int, seed: int = 0):
    """n files: a seed's text, or its records, some with a fault, written in some way; most are damaged."""
    r, names = random.Random(seed), list(seeds)
    for i in range(n):
        records = seeds[names[i % len(names)]]
        if isinstance(records, str):
            yield damaged(records.encode(), r)
            continue
        for _ in range(r.choice([0, 0, 1, 2])):
            if all(records):
                records = record(records, r)
        text = WRITTEN[r.choice(list(WRITTEN))](records) if any(records) else json.dumps(records)
        yield damaged(text.encode("utf-8", "surrogatepass"), r)


def damaged(data: bytes, r: random.Random) -> bytes:
    for _ in range(r.choice([0, 1, 1, 2])):
        data = r.choice(BYTES)(data, r)
    return data
