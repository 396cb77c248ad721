"""Which texts a fact is looked up in, and at which token.

Position "subject": the last token of the subject; one key per subject-and-fact.
Position "prompt": the last token of the prompt; one key per phrasing of the fact.
All texts that share a key and a target form a *group*; keys are averaged over a group.
"""

import random
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

import torch
from torch import Tensor

from ..events import Progress
from ..facts.fact import Fact, fill
from ..models.hooks import inputs_of, outputs_of
from ..models.loading import LM
from ..models.text import Rows, by_length, pad
from ..steps import step

POSITIONS = ("subject", "prompt")
GROUPS, ROOM = 128, 2**16  # of a block, at least; and the numbers that a small model's residuals may take


def groups_at_once(d: int) -> int:
    """How many groups are held and optimised at once, of a model of width d.

    Of a small model more, or most of a step would be overhead.
    """
    return max(GROUPS, ROOM // d)


@dataclass(frozen=True)
class Contexts:
    """Token lists with the lookup token's index and the group of each; `fact_of[g]` is a group's fact."""

    ids: tuple[tuple[int, ...], ...]
    lookup: tuple[int, ...]
    group: tuple[int, ...]
    fact_of: tuple[int, ...]

    @property
    def n(self) -> int:
        """Number of groups: columns of K."""
        return len(self.fact_of)

    def of_facts(self, wanted: Sequence[int]) -> "Contexts":
        """Only the groups of these facts, renumbered; `fact_of` keeps the old fact numbers."""
        wanted = set(wanted)
        return self.of_groups([g for g, i in enumerate(self.fact_of) if i in wanted])

    def of_groups(self, groups: Sequence[int]) -> "Contexts":
        """Only these groups, renumbered in the order given; `fact_of` keeps the old fact numbers."""
        new = {g: k for k, g in enumerate(groups)}
        rows = [c for c, g in enumerate(self.group) if g in new]
        return Contexts(
            tuple(self.ids[c] for c in rows),
            tuple(self.lookup[c] for c in rows),
            tuple(new[self.group[c]] for c in rows),
            tuple(self.fact_of[g] for g in groups),
        )


def build(
    lm: LM, facts: Sequence[Fact], position: str, phrasings: int = 6, prefixes: Sequence[str] = ()
) -> Contexts:
    """Contexts of facts: each of the first `phrasings` prompts, bare and behind each prefix.

    Raises ValueError when `position` is unknown.
    """
    if position not in POSITIONS:
        raise ValueError(f"position must be one of {POSITIONS}, not {position!r}")
    texts, ends, group, fact_of = [], [], [], []
    for i, fact in enumerate(facts):
        for j, template in enumerate(fact.prompts[:phrasings]):
            if position == "prompt" or j == 0:
                fact_of.append(i)
            for prefix in ("", *prefixes):
                head = f"{prefix} " if prefix else ""
                text = (head + fill(template, fact.subject)).rstrip()
                texts.append(text)
                ends.append(
                    len(head) + subject_end(template, fact.subject) if position == "subject" else len(text)
                )
                group.append(len(fact_of) - 1)
    encoded = (
        lm.tokenizer(texts, return_offsets_mapping=True) if texts else {"input_ids": [], "offset_mapping": []}
    )
    lookup = [token_at(offsets, end) for offsets, end in zip(encoded["offset_mapping"], ends, strict=True)]
    return Contexts(tuple(map(tuple, encoded["input_ids"])), tuple(lookup), tuple(group), tuple(fact_of))


class Groups:
    """The groups of facts, block by block: only one block's texts are in memory at once.

    Blocks hold `size` groups each, the last one what is left; arguments are those of `build`.
    """

    def __init__(
        self, lm: LM, facts: Sequence[Fact], position: str, phrasings: int = 6, prefixes: Sequence[str] = ()
    ):
        self.lm, self.facts, self.position = lm, facts, position
        self.phrasings, self.prefixes = phrasings, prefixes
        self.size = groups_at_once(lm.model.config.hidden_size)
        each = (min(phrasings, len(f.prompts)) if position == "prompt" else 1 for f in facts)
        self.ends = list(accumulate(each))  # groups of the facts up to each

    @property
    def n(self) -> int:
        """Number of groups."""
        return self.ends[-1] if self.ends else 0

    def __len__(self) -> int:
        """Number of blocks."""
        return -(-self.n // self.size)

    def __getitem__(self, block: int) -> Contexts:
        """The contexts of a block; `fact_of` holds numbers of all facts. Raises IndexError past the last."""
        if not 0 <= block < len(self):
            raise IndexError(block)
        start, stop = block * self.size, min((block + 1) * self.size, self.n)
        first, last = bisect_right(self.ends, start), bisect_right(self.ends, stop - 1)
        some = build(self.lm, self.facts[first : last + 1], self.position, self.phrasings, self.prefixes)
        before = self.ends[first - 1] if first else 0
        some = some.of_groups(range(start - before, stop - before))
        return replace(some, fact_of=tuple(first + i for i in some.fact_of))


def token_at(offsets: Sequence[tuple[int, int]], end: int) -> int:
    """Index of the token that holds the character before `end`: the last one, where its bytes are tokens."""
    holding = [t for t, (a, b) in enumerate(offsets) if a < end <= b]
    if not holding:
        raise ValueError("the tokenizer has no token for the last character of a subject or prompt")
    return holding[-1]


def subject_end(template: str, subject: str) -> int:
    """Where the subject ends in the filled template, whatever else in it looks like the subject."""
    return template.index("{}") + len(subject)


def prefixes(lm: LM, texts: Sequence[str], n: int, seed: int) -> list[str]:
    """n short sentences to put before a prompt, drawn from ordinary text."""
    pool = sorted({t.split(". ")[0].rstrip(".") + "." for t in texts if len(t.split()) > 4})
    return random.Random(f"prefixes {seed}").sample(pool, min(n, len(pool)))


@torch.no_grad()
def keys(lm: LM, contexts: Contexts, layers: Sequence[int], chunk: int = 64) -> dict[int, Tensor]:
    """K (f, n) of each layer: the down-projection's input at the lookup token, mean over a group; float64."""
    return _at_lookup(lm, contexts, layers, None, chunk)[0]


@torch.no_grad()
def residuals(lm: LM, contexts: Contexts, layer: int, chunk: int = 64) -> Tensor:
    """H (d, n): residual stream after `layer` at the lookup token, mean over a group; float64."""
    return _at_lookup(lm, contexts, [], layer, chunk)[1]


@torch.no_grad()
def keys_and_residuals(lm: LM, contexts: Contexts, at: int, layer: int) -> tuple[Tensor, Tensor]:
    """K (f, n) of layer `at` <= `layer`, and H (d, n) after `layer`, from one pass."""
    K, H = _at_lookup(lm, contexts, [at], layer, 64)
    return K[at], H


def gram(
    lm: LM, facts: Sequence[Fact], position: str, phrasings: int, layers: Sequence[int]
) -> dict[int, Tensor]:
    """K Kᵀ (f, f), float64, of each layer, for all groups of one or more facts, block by block."""
    sums: dict[int, Tensor] = {}
    groups = Groups(lm, facts, position, phrasings)
    for n, block in enumerate(groups):
        step(Progress(n, len(groups), "blocks of facts to spare"))
        for i, k in keys(lm, block, layers).items():
            sums[i] = sums[i].addmm_(k, k.T) if i in sums else k @ k.T
    return sums


def _at_lookup(
    lm: LM, contexts: Contexts, layers: Sequence[int], after: int | None, chunk: int
) -> tuple[dict[int, Tensor], Tensor | None]:
    """Keys of `layers`; with `after`, which is none below them, residuals after that layer, too."""
    group = torch.tensor(contexts.group, device=lm.device)
    lookup = torch.tensor(contexts.lookup, device=lm.device)
    found: dict[int | None, list[Tensor]] = {}
    order: list[int] = []
    for part in by_length(contexts.ids, chunk):
        rows = pad([contexts.ids[c] for c in part], "right", lm.device)
        for i, x in _pass(lm, rows, lookup[part], layers, after).items():
            found.setdefault(i, []).append(x)
        order += part
    where = group[torch.tensor(order, device=lm.device)]
    means = {i: mean_of(torch.cat(x), where, contexts.n).T for i, x in found.items()}
    return {i: means[i] for i in layers}, means.get(None)


def _pass(
    lm: LM, rows: Rows, lookup: Tensor, layers: Sequence[int], after: int | None
) -> dict[int | None, Tensor]:
    """What is wanted of one batch, at its lookup tokens: keys by layer, and the residuals under None.

    The pass ends where no more is wanted: without `after`, before the last layer's MLP, which is then run
    at the lookup tokens alone where it can be run by itself.
    """
    get, model, home = lm.adapter, lm.model, lm.device
    b = torch.arange(len(lookup), device=home)
    if after is None:
        end = max(layers)
        inner = [i for i in layers if i != end or not get.whole]
        module = get.mlp_module(model, end) if get.whole else get.down_module(model, end)
    elif after + 1 < get.n_layers(model):  # what comes out of a layer goes into the next
        inner, end, module = layers, after + 1, get.layer_module(model, after + 1)
    else:
        inner, end, module = layers, after, get.layer_module(model, after)
    downs = {i: get.down_module(model, i) for i in inner}
    watch = outputs_of({end: module}, home) if end == after else inputs_of({end: module}, end, home)
    with inputs_of(downs, home=home) as seen, watch as ended:
        model.base_model(**rows.kwargs(), use_cache=False)
    shape = rows.ids.shape  # some families run their MLPs on all positions in one row
    wanted: dict[int | None, Tensor] = {i: x.reshape(*shape, -1)[b, lookup] for i, x in seen.items()}
    if after is not None:
        return wanted | {None: ended[end][b, lookup]}
    if get.whole:
        with inputs_of({end: get.down_module(model, end)}, end, home) as seen:
            module(ended[end].reshape(*shape, -1)[b, lookup])
        wanted |= seen
    return wanted


def mean_of(x: Tensor, group: Tensor, n: int) -> Tensor:
    """(n, ·): the mean of the rows x of each group, in float64."""
    sums = torch.zeros(n, x.shape[1], dtype=torch.float64, device=x.device)
    return sums.index_add(0, group, x.double()) / torch.bincount(group, minlength=n)[:, None]
