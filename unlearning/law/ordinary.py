"""Ordinary text for C, and for the prefixes of prompts: from a file, a data set, or the model itself.

C is the mean over text as the model reads it every day; MEMIT takes 100,000 articles of Wikipedia. Which text
was taken is in a run's events.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from ..files import write_json
from ..models.adapters import max_positions
from ..models.loading import LM, bundled
from ..models.text import sample
from ..pretrain.corpus import ordinary_text

CORPUS, BUNDLED = "bundled", "the bundled corpus"  # the one as LETHE_TEXT, whatever the model
WIKITEXT = ("Salesforce/wikitext", "wikitext-103-raw-v1")
SHORTEST = 200  # characters of a paragraph that is taken
LENGTH = 128  # tokens of a text that the model writes itself
CHARACTERS = 6  # a token, at most, in the length of text that is read


@dataclass(frozen=True)
class Text:
    """Texts, none longer than the model can read, and in words where they are from."""

    texts: tuple[str, ...]
    source: str


def text_for(lm: LM, tokens: int, keep: Path | None = None) -> Text:
    """Text of at least `tokens` tokens, if there is as much: LETHE_TEXT's file, or "bundled"; for the bundled
    models the corpus they were trained on, of a pool never seen; else WikiText-103 where the hub is reached;
    else what the model writes from nothing at temperature 1, which is kept in the file `keep`.

    Raises ValueError when the file named by LETHE_TEXT cannot be read.
    """
    named = os.environ.get("LETHE_TEXT", "")
    if named == CORPUS or (not named and lm.name in bundled()):
        return Text(tuple(ordinary_text(tokens // 10)), BUNDLED)
    if named:
        return _enough(lm, _paragraphs(_read(Path(named))), tokens, Path(named).name)
    return _wikitext(lm, tokens) or _own(lm, tokens, keep)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"LETHE_TEXT names {path}, which cannot be read as UTF-8 text: {error}") from error


def _paragraphs(text: str) -> Iterator[str]:
    return (" ".join(part.split()) for part in text.split("\n\n") if part.strip())


def _enough(lm: LM, paragraphs: Iterator[str], tokens: int, source: str) -> Text:
    """Paragraphs, cut to what the model can read, until they hold `tokens` tokens."""
    room, found, n = max_positions(lm.model.config) - 2, [], 0
    for paragraph in paragraphs:
        offsets = lm.tokenizer(
            paragraph[: CHARACTERS * room], add_special_tokens=False, return_offsets_mapping=True
        )["offset_mapping"][:room]
        if offsets:
            found.append(paragraph[: offsets[-1][1]])
            n += len(offsets)
        if n >= tokens:
            break
    if not found:
        raise ValueError(f"there is no text in {source}")
    return Text(tuple(found), source)


def _wikitext(lm: LM, tokens: int) -> Text | None:
    """WikiText-103's long paragraphs, or None where the hub is not reached."""
    if os.environ.get("HF_HUB_OFFLINE", "").lower() in ("1", "true", "yes", "on"):
        return None
    from datasets import load_dataset

    try:
        rows = load_dataset(*WIKITEXT, split="train", streaming=True)
        long = (r["text"].strip() for r in rows if len(r["text"]) > SHORTEST)
        return _enough(lm, islice(long, tokens), tokens, "WikiText-103")
    except (OSError, ValueError):  # no network, or no such data set any more
        return None


def _own(lm: LM, tokens: int, keep: Path | None) -> Text:
    """What the model writes from nothing, by a fixed seed; or wrote, as `keep` has it."""
    source = "the model's own samples"
    if keep is not None:
        with suppress(OSError, ValueError, TypeError, KeyError):
            written = json.loads(keep.read_text(encoding="utf-8"))
            if written["sha256"] == _sha256(lm, written["texts"]):
                return Text(tuple(written["texts"]), source)
    n, length = -(-tokens // LENGTH), min(LENGTH, max_positions(lm.model.config) - 2)
    with lm.lock:
        said = sample(lm.model, lm.tokenizer, [""] * n, length, seed=0)
    texts = tuple(t for t in said if t)
    if not texts:
        raise ValueError(f"{lm.name} writes nothing by itself: name a file with ordinary text in LETHE_TEXT")
    if keep is not None:
        with suppress(OSError):  # a read-only disk costs time, not the wash
            keep.parent.mkdir(parents=True, exist_ok=True)
            write_json(keep, {"sha256": _sha256(lm, texts), "texts": texts})
    return Text(texts, source)


def _sha256(lm: LM, texts: Sequence[str]) -> str:
    """Of the model and what it wrote: a file that has changed, or is another model's, is told by it."""
    return hashlib.sha256(json.dumps([lm.identity, *texts]).encode()).hexdigest()
