"""Step 2 of LAW: for each group a δ such that h + δ at the lookup token makes the model say the wash target.

    loss = NLL(target), mean over the group's texts
         + 0.0625 · KL on "{subject} is a"            (position "subject" only)
         + 0.5 · ‖δ‖ / ‖h‖²,       ‖δ‖ ≤ 0.75 ‖h‖     (MEMIT, arXiv 2210.07229, and its code)

A block of groups is optimised at once. Layers up to L run once; only the layers above are
run again at every step, on their recorded inputs, from the lookup token on. A group stops for itself at
loss < 0.05 and costs nothing from then on.
"""

import inspect
from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..events import Progress
from ..facts.fact import Fact
from ..models.hooks import calls_of, hidden, inputs_of, outputs_of
from ..models.loading import LM
from ..models.text import by_length, pad
from .contexts import Contexts, groups_at_once, mean_of, token_at

if TYPE_CHECKING:
    from transformers.cache_utils import DynamicCache


@dataclass(frozen=True)
class TargetSettings:
    """The optimisation's figures, with MEMIT's names and values for GPT2-XL."""

    lr: float = 0.5
    steps: int = 20
    stop: float = 0.05
    clamp: float = 0.75
    kl: float = 0.0625
    decay: float = 0.5


@dataclass(frozen=True)
class Targets:
    """z = h + δ and δ (d, n), float64; the target's NLL in nats at the end (n).

    h is the mean over a group's texts, as in `contexts.residuals`, so that what is missing before
    any edit, z - h, is δ itself.
    """

    z: Tensor
    delta: Tensor
    nll: Tensor


class Above:
    """The layers above L at the lookup token and after it, ready to be run again and again.

    δ cannot reach the layers up to L, nor the positions before the lookup token: the former
    are run once, of the latter the upper layers' attention keys and values are kept. Rows
    are aligned so that the lookup token is column 0 of what is run again.
    """

    def __init__(
        self, lm: LM, ids: Sequence[Sequence[int]], lookup: Sequence[int], layer: int, key: int | None = None
    ):
        """With `key` <= `layer`, that layer's keys at the lookup tokens (B, f) are taken down on the way."""
        self.lm = lm
        n = lm.adapter.n_layers(lm.model)
        upper = [lm.adapter.layer_module(lm.model, i) for i in range(layer + 1, n)]
        after = pad([i[at:] for i, at in zip(ids, lookup, strict=True)], "right", lm.device)
        with torch.no_grad():
            cache, before = _read(lm, [i[:at] for i, at in zip(ids, lookup, strict=True)])
            mask = torch.cat([before, after.mask], 1)
            positions = (mask.cumsum(1) - 1).clamp(min=0)
            self.past = cache and Past(cache, layer + 1)
            at = {layer: lm.adapter.layer_module(lm.model, layer)}
            downs = {} if key is None else {key: lm.adapter.down_module(lm.model, key)}
            here = lm.device
            with outputs_of(at, here) as seen, inputs_of(downs, home=here) as keys, calls_of(upper) as calls:
                lm.model.base_model(
                    input_ids=after.ids,
                    attention_mask=mask,
                    position_ids=positions[:, before.shape[1] :],
                    cache=cache,
                    use_cache=cache is not None,
                )
        self.h = seen[layer]  # (B, S, d)
        self.keys = None if key is None else keys[key].reshape(*after.ids.shape, -1)[:, 0]
        self.calls = []
        for module, (args, kwargs) in zip(upper, calls, strict=True):
            named = inspect.signature(module.forward).bind(*args, **kwargs)
            extra = named.arguments.pop("kwargs", {})
            named.arguments.pop("hidden_states")
            given = {**named.arguments, **extra}  # the cache among them, whatever its name
            self.calls.append((module, {k: self.past if x is cache else x for k, x in given.items()}))

    def only(self, rows: Tensor) -> "Above":
        """The same for some of the rows."""
        some = copy(self)
        some.h = self.h[rows]
        some.past = self.past and self.past.only(rows)
        B = len(self.h)
        some.calls = [
            (module, {k: some.past if x is self.past else _rows_of(x, rows, B) for k, x in kwargs.items()})
            for module, kwargs in self.calls
        ]
        return some

    def logits(self, b: Tensor, t: Tensor, delta: Tensor) -> Tensor:
        """Logits (m, V) at rows b, t tokens after the lookup token, when delta (B, d) is added there."""
        h = torch.cat([self.h[:, :1] + delta[:, None], self.h[:, 1:]], 1)
        for module, kwargs in self.calls:
            h = hidden(module(h, **kwargs))
        return self.lm.adapter.logits(self.lm.model, h.to(b.device)[b, t]).float()


def _read(lm: LM, ids: Sequence[Sequence[int]], chunk: int = 64) -> "tuple[DynamicCache | None, Tensor]":
    """Attention keys and values of texts, aligned on the right, and the mask (B, T) of what is text.

    Batches of like length are read; of the last layer nothing but its keys and values is wanted.
    No cache where no text has a token.
    """
    from transformers.cache_utils import DynamicCache  # here: the page loads its model in another thread

    lengths = [len(i) for i in ids]
    T, B = max(lengths), len(ids)
    behind = torch.arange(T, 0, -1, device=lm.device)  # place counted from the end
    mask = (behind <= torch.tensor(lengths, device=lm.device)[:, None]).long()
    if T == 0:
        return None, mask
    last = lm.adapter.n_layers(lm.model) - 1
    end = {last: lm.adapter.mlp_module(lm.model, last)}
    whole: list[Tensor] = []
    for part in by_length(ids, chunk):
        rows = pad([ids[i] for i in part], "left", lm.device)
        t = rows.ids.shape[1]
        if t == 0:
            continue
        some = DynamicCache()  # of whole layers: told the config, it keeps no more than a layer's window
        with inputs_of(end, stop_after=last):
            lm.model.base_model(**rows.kwargs(), cache=some, use_cache=True)
        if len(some.layers) == last:  # its MLP comes before its attention
            some = DynamicCache()
            lm.model.base_model(**rows.kwargs(), cache=some, use_cache=True)
        read = [x for c in some.layers for x in (c.keys, c.values)]  # (rows, heads, t, d_head) each
        whole = whole or [x.new_zeros(B, x.shape[1], T, x.shape[3]) for x in read]
        for x, place in zip(read, whole, strict=True):
            place[part, :, T - t :] = x
    cache = DynamicCache()
    for i in range(len(whole) // 2):
        cache.update(whole[2 * i], whole[2 * i + 1], i)
    return cache, mask


def _rows_of(x, rows: Tensor, B: int):
    """Some rows of what a layer was called with, where it has one for each of the B rows.

    Or, as Bloom's ALiBi (B · heads, 1, T), one for each head of each.
    """
    if isinstance(x, tuple):
        return tuple(_rows_of(y, rows, B) for y in x)
    if not isinstance(x, Tensor) or x.ndim < 2 or len(x) % B or (len(x) > B and x.shape[1] > 1):
        return x
    return x.unflatten(0, (B, -1))[rows.to(x.device)].flatten(0, 1)


class Past:
    """Keys and values of earlier positions that attention layers from `first` on may read and never write."""

    def __init__(self, cache: "DynamicCache", first: int):
        self.layers = {i: (cache.layers[i].keys, cache.layers[i].values) for i in range(first, len(cache))}

    def only(self, rows: Tensor) -> "Past":
        """The same for some of the rows."""
        some = copy(self)
        some.layers = {i: _rows_of(kv, rows, len(kv[0])) for i, kv in self.layers.items()}
        return some

    def update(self, keys: Tensor, values: Tensor, layer: int, *_, **__) -> tuple[Tensor, Tensor]:
        """Earlier and new keys and values together, (B, heads, T0 + S, d_head) each."""
        past_keys, past_values = self.layers[layer]
        return torch.cat([past_keys, keys], -2), torch.cat([past_values, values], -2)


def find(
    lm: LM,
    contexts: Contexts,
    facts: Sequence[Fact],
    targets: Sequence[Sequence[int]],
    layer: int,
    settings: TargetSettings,
    essence: bool,
    chunk: int | None = None,
) -> Iterator[Progress | Targets]:
    """δ for every group, `chunk` groups at a time, or as many as a block has.

    `targets[i]` are the wash target's token ids for fact i. Yields `Progress` counted in groups, and at the
    end `Targets`.
    """
    parts, chunk = [], chunk or groups_at_once(lm.model.config.hidden_size)
    for at in range(0, contexts.n, chunk):
        some = contexts.of_groups(range(at, min(at + chunk, contexts.n)))
        yield Progress(at, contexts.n, "finding targets")
        with lm.lock:
            found = find_block(lm, some, facts, targets, layer, settings, essence)
        parts.append((found.h, found.delta, found.nll))
    yield Progress(contexts.n, contexts.n, "finding targets")
    h, delta, nll = (torch.cat(x) for x in zip(*parts))
    yield Targets((h + delta).double().T, delta.double().T, nll)


@dataclass(frozen=True)
class Found:
    """Of n groups: h and δ (n, d) in the model's precision, NLL (n), and the keys K (f, n) in float64."""

    h: Tensor
    delta: Tensor
    nll: Tensor
    K: Tensor | None


def find_block(
    lm: LM,
    contexts: Contexts,
    facts: Sequence[Fact],
    targets: Sequence[Sequence[int]],
    layer: int,
    settings: TargetSettings,
    essence: bool,
    key: int | None = None,
) -> Found:
    """δ for all groups of a block at once; with `key` their keys of that layer, too, from the same pass."""
    whole = _Problem(lm, contexts, facts, targets, layer, settings, essence, key)
    now, nll = whole, torch.zeros(whole.n, device=lm.device)

    def losses(delta: Tensor, which: Tensor) -> Tensor:
        nonlocal now
        if len(which) != now.n:  # fewer than before
            now = whole.only(which)
        loss, found = now.losses(delta)
        nll[which] = found.detach()
        return loss

    delta, moved = adam(losses, torch.zeros_like(whole.h0), settings.clamp * whole.h0.norm(dim=1), settings)
    K = None if key is None else mean_of(whole.above.keys, whole.group, whole.n).T
    with torch.no_grad():
        if len(moved):
            losses(delta[moved], moved)
        return Found(whole.mean_h(), delta, nll, K)


class _Problem:
    """What is minimised for some groups: their texts above L, and at which of their tokens what is wanted."""

    def __init__(self, lm, contexts: Contexts, facts, targets, layer, settings: TargetSettings, essence, key):
        dev = lm.device
        self.settings, self.n = settings, contexts.n
        self.group = torch.tensor(contexts.group, device=dev)
        b, t, token, ids = [], [], [], []
        for row, (text, lookup, g) in enumerate(
            zip(contexts.ids, contexts.lookup, contexts.group, strict=True)
        ):
            goal = targets[contexts.fact_of[g]]
            start = len(text) - 1 - lookup
            ids.append((*text, *goal[:-1]))
            b += [row] * len(goal)
            t += range(start, start + len(goal))
            token += goal
        self.b, self.t, self.token = (torch.tensor(x, device=dev) for x in (b, t, token))
        self.above = Above(lm, ids, contexts.lookup, layer, key)
        # mean over a target's tokens, then over a group's texts
        texts = torch.bincount(self.group, minlength=self.n)
        self.weight = 1 / torch.bincount(self.b)[self.b].float() / texts[self.group[self.b]].float()
        first = torch.zeros(self.n, dtype=torch.long, device=dev).scatter_reduce(
            0, self.group, torch.arange(len(ids), device=dev), "amin", include_self=False
        )
        self.h0 = self.above.h[first, 0].float()  # (n, d): the bare first phrasing, as in MEMIT
        subjects = [facts[i].subject for i in contexts.fact_of]
        self.is_a = _Essence(lm, subjects, layer) if essence else None

    def only(self, which: Tensor) -> "_Problem":
        """The same for some of the groups."""
        some = copy(self)
        some.n, some.h0 = len(which), self.h0[which]
        new = torch.full((self.n,), -1, device=which.device).index_put(
            (which,), torch.arange(len(which), device=which.device)
        )
        rows = (new[self.group] >= 0).nonzero()[:, 0]
        some.above, some.group = self.above.only(rows), new[self.group[rows]]
        row = torch.full_like(self.group, -1).index_put((rows,), torch.arange(len(rows), device=rows.device))
        kept = row[self.b] >= 0
        some.b, some.t, some.token = row[self.b[kept]], self.t[kept], self.token[kept]
        some.weight = self.weight[kept]
        some.is_a = self.is_a and self.is_a.only(which)
        return some

    def losses(self, delta: Tensor) -> tuple[Tensor, Tensor]:
        """Loss and the target's NLL (n) each, for delta (n, d)."""
        logits = self.above.logits(self.b, self.t, delta[self.group].to(self.above.h.dtype))
        each = torch.nn.functional.cross_entropy(logits, self.token, reduction="none") * self.weight
        nll = torch.zeros(self.n, device=delta.device).index_add(0, self.group[self.b], each)
        loss = nll + self.settings.decay * delta.norm(dim=1) / self.h0.norm(dim=1) ** 2
        return (loss + self.settings.kl * self.is_a.kl(delta) if self.is_a else loss), nll

    def mean_h(self) -> Tensor:
        """h (n, d) at the lookup token, mean over a group's texts."""
        h = torch.zeros_like(self.h0).index_add(0, self.group, self.above.h[:, 0].float())
        return h / torch.bincount(self.group, minlength=self.n)[:, None]


def adam(losses, delta: Tensor, limit: Tensor, settings: TargetSettings) -> tuple[Tensor, Tensor]:
    """Adam on every row of delta (n, d) by itself, kept in its ball; a row below the stop value rests.

    `losses(delta (k, d), which (k))` gives the losses (k) of the rows `which` that have not come to rest.
    Returns delta and which rows have moved since their loss was last asked for.
    """
    delta = delta.clone()
    m, v = torch.zeros_like(delta), torch.zeros_like(delta)
    beta1, beta2, eps = 0.9, 0.999, 1e-8
    which = torch.arange(len(delta), device=delta.device)
    for step in range(1, settings.steps + 1):
        x = delta[which].requires_grad_()
        loss = losses(x, which)
        active = loss.detach() >= settings.stop
        if not active.any():
            return delta, which[active]
        (g,) = torch.autograd.grad(loss[active].sum(), x)
        which, g = which[active], g[active]
        m[which] = beta1 * m[which] + (1 - beta1) * g
        v[which] = beta2 * v[which] + (1 - beta2) * g * g
        move = m[which] / (1 - beta1**step) / ((v[which] / (1 - beta2**step)).sqrt() + eps)
        new = delta[which] - settings.lr * move
        norm, bound = new.norm(dim=1, keepdim=True), limit[which, None]
        delta[which] = torch.where(norm > bound, new * bound / norm.clamp(min=1e-12), new)
    return delta, which


class _Essence:
    """KL(before ‖ after) of the next token after "{subject} is a", δ added at the subject's last token."""

    def __init__(self, lm: LM, subjects: Sequence[str], layer: int):
        encoded = lm.tokenizer([f"{s} is a" for s in subjects], return_offsets_mapping=True)
        ids = encoded["input_ids"]
        lookup = [token_at(o, len(s)) for o, s in zip(encoded["offset_mapping"], subjects, strict=True)]
        self.above = Above(lm, ids, lookup, layer)
        self.rows = torch.arange(len(ids), device=lm.device)
        self.last = torch.tensor(
            [len(i) - 1 - at for i, at in zip(ids, lookup, strict=True)], device=lm.device
        )
        with torch.no_grad():
            self.before = self._logp(torch.zeros_like(self.above.h[:, 0]))

    def only(self, which: Tensor) -> "_Essence":
        """The same for some of the groups."""
        some = copy(self)
        some.above, some.last, some.before = self.above.only(which), self.last[which], self.before[which]
        some.rows = torch.arange(len(which), device=which.device)
        return some

    def _logp(self, delta: Tensor) -> Tensor:
        return self.above.logits(self.rows, self.last, delta).log_softmax(-1)

    def kl(self, delta: Tensor) -> Tensor:
        """(n)"""
        after = self._logp(delta.to(self.above.h.dtype))
        return (self.before.exp() * (self.before - after)).sum(-1)
