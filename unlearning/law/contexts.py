"""Which texts a fact is looked up in, and at which token.

Position "subject": the last token of the subject; one key per subject-and-fact.
Position "prompt": the last token of the prompt; one key per phrasing of the fact.
All texts that share a key and a target form a *group*; keys are averaged over a group.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..facts.fact import Fact, fill
from ..models.hooks import inputs_of, outputs_of
from ..models.loading import LM
from ..models.text import by_length, pad

POSITIONS = ("subject", "prompt")


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
        groups = [g for g, i in enumerate(self.fact_of) if i in wanted]
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
def keys(lm: LM, contexts: Contexts, layers: Sequence[int], chunk: int = 256) -> dict[int, Tensor]:
    """K (f, n) of each layer: the down-projection's input at the lookup token, mean over a group; float64."""
    modules = {i: lm.adapter.down_module(lm.model, i) for i in layers}
    return _at_lookup(lm, contexts, lambda: inputs_of(modules, stop_after=max(layers)), layers, chunk)


@torch.no_grad()
def residuals(lm: LM, contexts: Contexts, layer: int, chunk: int = 256) -> Tensor:
    """H (d, n): residual stream after `layer` at the lookup token, mean over a group; float64."""
    modules = {layer: lm.adapter.layer_module(lm.model, layer)}
    return _at_lookup(lm, contexts, lambda: outputs_of(modules), [layer], chunk)[layer]


def _at_lookup(lm: LM, contexts: Contexts, watch, layers, chunk) -> dict[int, Tensor]:
    sums: dict[int, Tensor] = {}
    group = torch.tensor(contexts.group, device=lm.device)
    lookup = torch.tensor(contexts.lookup, device=lm.device)
    counts = torch.bincount(group, minlength=contexts.n).double()
    for part in by_length(contexts.ids, chunk):
        rows = pad([contexts.ids[c] for c in part], "right", lm.device)
        with watch() as seen:
            lm.model.base_model(**rows.kwargs(), use_cache=False)
        b = torch.arange(len(part), device=lm.device)
        for i in layers:
            x = seen[i].reshape(*rows.ids.shape, -1)[b, lookup[part]].double()  # (rows, f or d)
            if i not in sums:
                sums[i] = torch.zeros(contexts.n, x.shape[1], dtype=torch.float64, device=lm.device)
            sums[i].index_add_(0, group[part], x)
    return {i: (s / counts[:, None]).T for i, s in sums.items()}
