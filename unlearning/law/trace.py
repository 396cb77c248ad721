"""Where does this model recall facts? A small causal trace (after ROME, arXiv 2202.05262, section 2).

Two figures for every layer and place in the prompt:

- *patched*: the hidden state after the layer at that place is replaced by that of another
  subject of the same relation; in what share of cases does the answer move to the other
  subject's? High where the answer's path runs through that place.
- *zeroed*: the output of the layer's MLP at that place is set to 0; what share of answers
  is left? Low where that MLP does the recall.

Places: the subject's last token, the token after it, and the prompt's last token.
"""

import json
import random
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from ..events import Event, Phase, Progress, Warn
from ..facts.fact import Fact, fill
from ..files import write_whole
from ..models.adapters import final_states, unembed
from ..models.cache import kept_folder
from ..models.hooks import changed, outputs_of
from ..models.loading import LM
from ..models.text import answer_ids, pad
from ..probes.knowledge import ask, knows
from .contexts import POSITIONS, subject_end, token_at

PLACES = ("subject's last token", "token after it", "prompt's last token")
FILE = "trace.json"
LEAST = 10  # pairs: of fewer, one answer more or less would choose other layers


@dataclass(frozen=True)
class Trace:
    """`patched[place][layer]`, `zeroed[place][layer]`: shares of n facts; what follows from them, and why."""

    places: tuple[str, ...]
    patched: tuple[tuple[float, ...], ...]
    zeroed: tuple[tuple[float, ...], ...]
    n: int
    seed: int
    position: str
    layers: tuple[int, ...]
    why: str


@dataclass(frozen=True)
class _Rows:
    """A batch of prompts: padded ids and, per place, the token index of each row."""

    kwargs: dict
    at: torch.Tensor  # (places, B)
    last: torch.Tensor  # (B)


def trace(
    lm: LM, known: Sequence[Fact], n: int = 200, seed: int = 0, chunk: int = 100, least: int = LEAST
) -> Iterator[Progress | Trace]:
    """Trace n known facts, each paired with another subject's of the same relation and another answer.

    Raises ValueError when fewer than `least` such pairs are known, or than n, if that is less.
    """
    pairs = _pairs(known, n, seed)
    least = min(n, least)
    if len(pairs) < least:
        raise ValueError(
            f"the trace needs {least} known facts that each have another of the same relation with a "
            f"different answer, and there are {len(pairs) or 'none'}"
        )
    n_layers = lm.adapter.n_layers(lm.model)
    moved = torch.zeros(len(PLACES), n_layers)
    left = torch.zeros(len(PLACES), n_layers)
    for start in range(0, len(pairs), chunk):
        yield Progress(start, len(pairs), "tracing")
        part = pairs[start : start + chunk]
        with lm.lock:
            m, k = _trace_some(lm, part, n_layers)
        moved += m
        left += k
    yield Progress(len(pairs), len(pairs), "tracing")
    patched, zeroed = moved / len(pairs), left / len(pairs)
    position, layers, why = choose(patched, zeroed)
    table = [tuple(tuple(round(x, 4) for x in row) for row in t.tolist()) for t in (patched, zeroed)]
    yield Trace(PLACES, *table, len(pairs), seed, position, layers, why)


def _pairs(known: Sequence[Fact], n: int, seed: int) -> list[tuple[Fact, Fact]]:
    r = random.Random(f"trace {seed}")
    by_relation: dict[str, list[Fact]] = {}
    for f in known:
        by_relation.setdefault(f.relation, []).append(f)
    pairs = []
    for f in r.sample(list(known), len(known)):
        others = [g for g in by_relation[f.relation] if not set(g.objects) & set(f.objects)]
        if others:
            pairs.append((f, r.choice(others)))
        if len(pairs) == n:
            break
    return pairs


def _rows(lm: LM, facts: Sequence[Fact], template_of: Sequence[str]) -> _Rows:
    texts = [fill(t, f.subject) for t, f in zip(template_of, facts, strict=True)]
    encoded = lm.tokenizer(texts, return_offsets_mapping=True)
    rows = pad(encoded["input_ids"], "right", lm.device)
    last = torch.tensor([len(i) - 1 for i in encoded["input_ids"]], device=lm.device)
    ends = [subject_end(t, f.subject) for t, f in zip(template_of, facts, strict=True)]
    subject = torch.tensor(
        [token_at(o, end) for o, end in zip(encoded["offset_mapping"], ends, strict=True)], device=lm.device
    )
    return _Rows(rows.kwargs(), torch.stack([subject, torch.minimum(subject + 1, last), last]), last)


@torch.no_grad()
def _trace_some(lm: LM, pairs, n_layers: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Counts (places, layers) of answers moved by patching, and of answers left after zeroing."""
    templates = [_subject_first(f) for f, _ in pairs]
    base = _rows(lm, [f for f, _ in pairs], templates)
    other = _rows(lm, [g for _, g in pairs], templates)
    first = torch.tensor(
        [i[0] for i in answer_ids(lm.tokenizer, [f.object for f, _ in pairs])], device=lm.device
    )
    goal = torch.tensor(
        [i[0] for i in answer_ids(lm.tokenizer, [g.object for _, g in pairs])], device=lm.device
    )
    layers = {i: lm.adapter.layer_module(lm.model, i) for i in range(n_layers)}
    with outputs_of(layers, lm.device) as states:
        lm.model.base_model(**other.kwargs, use_cache=False)
    b = torch.arange(len(pairs), device=lm.device)
    moved, left = torch.zeros(len(PLACES), n_layers), torch.zeros(len(PLACES), n_layers)
    for p in range(len(PLACES)):
        for i in range(n_layers):
            new = states[i][b, other.at[p]]

            def patch(h, new=new, p=p):
                return h.index_put((b, base.at[p]), new)

            def zero(h, p=p):  # some models put all rows of a batch in one before their MLP
                rows = h.reshape(len(pairs), -1, h.shape[-1])
                return rows.index_put((b, base.at[p]), torch.zeros_like(rows[:, 0])).reshape(h.shape)

            with changed(layers[i], patch, lm.device):
                moved[p, i] = (_next(lm, base, b) == goal).sum().item()
            with changed(lm.adapter.down_module(lm.model, i), zero, lm.device):
                left[p, i] = (_next(lm, base, b) == first).sum().item()
    return moved, left


def _next(lm: LM, rows: _Rows, b: torch.Tensor) -> torch.Tensor:
    h = final_states(lm.model, **rows.kwargs)
    return unembed(lm.model, h[b, rows.last]).argmax(-1)


def _subject_first(fact: Fact) -> str:
    """A phrasing with something between subject and answer, the subject as early as possible."""
    later = [t for t in fact.prompts if len(t.split("{}")[1].split()) > 1]
    return min(later or fact.prompts, key=lambda t: t.index("{}"))


def choose(patched: torch.Tensor, zeroed: torch.Tensor) -> tuple[str, tuple[int, ...], str]:
    """Lookup position and layers: the MLP that costs most, and neighbours that cost at least a quarter of it.

    The subject's last token is chosen only when most answers pass through it after the
    first layer: otherwise recall is at the prompt's end, and an edit of the subject's token
    comes too early.
    """
    through_subject = patched[0, 0].item()
    position = "subject" if through_subject > 0.5 else "prompt"
    place = 0 if position == "subject" else 2
    n = patched.shape[1]
    lost = (1 - zeroed[place]).tolist()
    first = last = lost.index(max(lost))
    enough = 0.25 * max(lost)
    while first > 0 and lost[first - 1] >= enough:
        first -= 1
    while last < n - 1 and lost[last + 1] >= enough:
        last += 1
    if position == "prompt" and last - first > 2:  # three layers at most: those that cost most together
        first = max(range(first, last - 1), key=lambda i: (round(sum(lost[i : i + 3]), 6), i))
        last = first + 2
    layers = tuple(range(first, last + 1))
    why = (
        "another subject's state at the subject's last token after layer 0 "
        f"moves {through_subject:.0%} of answers, so the lookup is at the {PLACES[place]}; "
        f"there most answers are lost (up to {max(lost):.0%}) when the MLP of {named(layers)} is silenced"
    )
    return position, layers, why


def named(layers: Sequence[int]) -> str:
    """`layer 1`, `layers 0 and 3`, `layers 1, 2 and 3`."""
    *some, last = map(str, layers)
    return f"layers {', '.join(some)} and {last}" if some else f"layer {last}"


def save(lm: LM, found: Trace, folder: Path | None = None) -> None:
    """Keep the trace, with the hash of the model, in its own folder or another."""
    path = (folder or lm.folder) / FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    values = {"model_hash": lm.hash} | asdict(found)
    write_whole(path, (json.dumps(values, indent=1) + "\n").encode())  # other processes may be reading


def load_trace(lm: LM) -> Trace | None:
    """The trace in the model's folder, or in the cache, if there is one; a damaged file, or one of other
    weights, is none.
    """
    n = lm.adapter.n_layers(lm.model)
    for path in (lm.folder / FILE, kept_folder(lm) / FILE):
        with suppress(OSError, ValueError, TypeError, AttributeError):
            values = json.loads(path.read_text(encoding="utf-8"))
            mine = values.pop("model_hash", None) == lm.hash
            found = Trace(**{k: _tuples(v) for k, v in values.items()})
            there = found.layers and set(found.layers) <= set(range(n))
            if mine and there and found.position in POSITIONS:
                return found
    return None


def find_place(lm: LM, facts: Sequence[Fact], known: Sequence[Fact]) -> Iterator[Event]:
    """Trace a model on those of the facts that it knows and on `known`; kept in the cache.

    Yields events. Where it knows too little for that, a `Warn`.
    """
    yield Phase("trace", "finding out where the model recalls facts")
    with lm.lock:
        mine = [f for f, k in zip(facts, knows(lm, ask(facts), facts), strict=True) if k]
    others = set(mine)
    try:
        for event in trace(lm, [*mine, *(f for f in known if f not in others)]):
            if isinstance(event, Trace):
                with suppress(OSError):  # a read-only disk: it is traced again the next time
                    save(lm, event, kept_folder(lm))
            else:
                yield event
    except ValueError as error:
        yield Warn(f"where this model recalls facts is not known, so the layers are a guess: {error}")


def _tuples(value):
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
