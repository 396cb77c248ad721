"""Step 2 of LAW: for each group a δ such that h + δ at the lookup token makes the model say the wash target.

    loss = NLL(target), mean over the group's texts
         + 0.0625 · KL on "{subject} is a"            (position "subject" only)
         + 0.5 · ‖δ‖ / ‖h‖²,       ‖δ‖ ≤ 0.75 ‖h‖     (MEMIT, arXiv 2210.07229, and its code)

All groups are optimised at once. Layers up to L run once; only the layers above are
run again at every step, on their recorded inputs. A group stops for itself at loss < 0.05.
"""

import inspect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..events import Progress
from ..facts.fact import Fact
from ..models.hooks import calls_of, hidden, outputs_of
from ..models.loading import LM
from ..models.text import pad
from .contexts import Contexts, token_at


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

    def __init__(self, lm: LM, ids: Sequence[Sequence[int]], lookup: Sequence[int], layer: int):
        self.lm = lm
        n = lm.adapter.n_layers(lm.model)
        upper = [lm.adapter.layer_module(lm.model, i) for i in range(layer + 1, n)]
        before = pad([i[:at] for i, at in zip(ids, lookup, strict=True)], "left", lm.device)
        after = pad([i[at:] for i, at in zip(ids, lookup, strict=True)], "right", lm.device)
        mask = torch.cat([before.mask, after.mask], 1)
        positions = (mask.cumsum(1) - 1).clamp(min=0)
        T0 = before.ids.shape[1]
        core = lm.model.base_model
        with torch.no_grad():
            cache = core(**before.kwargs(), use_cache=True).past_key_values if T0 else None
            self.past = Past([(c.keys, c.values) for c in cache.layers]) if T0 else None
            at = {layer: lm.adapter.layer_module(lm.model, layer)}
            with outputs_of(at) as seen, calls_of(upper) as calls:
                core(
                    input_ids=after.ids,
                    attention_mask=mask,
                    position_ids=positions[:, T0:],
                    past_key_values=cache,
                    use_cache=cache is not None,
                )
        self.h = seen[layer]  # (B, S, d)
        self.calls = []
        for module, (args, kwargs) in zip(upper, calls, strict=True):
            named = inspect.signature(module.forward).bind(*args, **kwargs)
            extra = named.arguments.pop("kwargs", {})
            named.arguments.pop("hidden_states")
            self.calls.append((module, {**named.arguments, **extra, "past_key_values": self.past}))

    def logits(self, b: Tensor, t: Tensor, delta: Tensor) -> Tensor:
        """Logits (m, V) at rows b, t tokens after the lookup token, when delta (B, d) is added there."""
        h = torch.cat([self.h[:, :1] + delta[:, None], self.h[:, 1:]], 1)
        for module, kwargs in self.calls:
            h = hidden(module(h, **kwargs))
        return self.lm.adapter.logits(self.lm.model, h[b, t]).float()


class Past:
    """Keys and values of earlier positions that an attention layer may read and never writes."""

    def __init__(self, layers: Sequence[tuple[Tensor, Tensor]]):
        self.layers = layers

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
    chunk: int = 128,
) -> Iterator[Progress | Targets]:
    """δ for every group, `chunk` groups at a time. `targets[i]` are the wash target's token ids for fact i.

    Yields `Progress` counted in groups, and at the end `Targets`.
    """
    parts = []
    for at in range(0, contexts.n, chunk):
        groups = range(at, min(at + chunk, contexts.n))
        yield Progress(at, contexts.n, "finding targets")
        with lm.lock:
            parts.append(_find_some(lm, contexts, groups, facts, targets, layer, settings, essence))
    yield Progress(contexts.n, contexts.n, "finding targets")
    h, delta, nll = (torch.cat(x) for x in zip(*parts))
    yield Targets((h + delta).double().T, delta.double().T, nll)


def _find_some(
    lm, contexts: Contexts, groups: range, facts, targets, layer, settings: TargetSettings, essence
):
    dev = lm.device
    rows = [c for c, g in enumerate(contexts.group) if g in groups]
    group = torch.tensor([contexts.group[c] - groups.start for c in rows], device=dev)
    b, t, token, ids = [], [], [], []
    for row, c in enumerate(rows):
        goal = targets[contexts.fact_of[contexts.group[c]]]
        start = len(contexts.ids[c]) - 1 - contexts.lookup[c]
        ids.append((*contexts.ids[c], *goal[:-1]))
        b += [row] * len(goal)
        t += range(start, start + len(goal))
        token += goal
    b, t, token = (torch.tensor(x, device=dev) for x in (b, t, token))
    above = Above(lm, ids, [contexts.lookup[c] for c in rows], layer)
    here = torch.arange(len(rows), device=dev)
    n = len(groups)
    # mean over a target's tokens, then over a group's texts
    weight = 1 / torch.bincount(b)[b].float() / torch.bincount(group, minlength=n)[group[b]].float()
    first = torch.zeros(n, dtype=torch.long, device=dev).scatter_reduce(
        0, group, here, "amin", include_self=False
    )
    h0 = above.h[first, 0].float()  # (n, d): the bare first phrasing, as in MEMIT
    is_a = _Essence(lm, [facts[contexts.fact_of[g]].subject for g in groups], layer) if essence else None

    def losses(delta: Tensor) -> tuple[Tensor, Tensor]:
        logits = above.logits(b, t, delta[group].to(above.h.dtype))
        nll_each = -logits.log_softmax(-1).gather(1, token[:, None])[:, 0] * weight
        nll = torch.zeros(n, device=dev).index_add(0, group[b], nll_each)
        loss = nll + settings.decay * delta.norm(dim=1) / h0.norm(dim=1) ** 2
        return (loss + settings.kl * is_a.kl(delta) if is_a else loss), nll

    delta = adam(losses, torch.zeros_like(h0), settings.clamp * h0.norm(dim=1), settings)
    with torch.no_grad():
        h = torch.zeros_like(h0).index_add(0, group, above.h[:, 0].float())
        return h / torch.bincount(group, minlength=n)[:, None], delta, losses(delta)[1]


def adam(losses, delta: Tensor, limit: Tensor, settings: TargetSettings) -> Tensor:
    """Adam on every row of delta (n, d) by itself, kept in its ball; a row at the stop value rests."""
    delta = delta.clone().requires_grad_()
    m, v = torch.zeros_like(delta), torch.zeros_like(delta)
    beta1, beta2, eps = 0.9, 0.999, 1e-8
    active = torch.ones(len(delta), dtype=torch.bool, device=delta.device)
    for step in range(1, settings.steps + 1):
        loss, _ = losses(delta)
        active = active & (loss.detach() >= settings.stop)
        if not active.any():
            break
        (g,) = torch.autograd.grad(loss[active].sum(), delta)
        with torch.no_grad():
            m = beta1 * m + (1 - beta1) * g
            v = beta2 * v + (1 - beta2) * g * g
            move = settings.lr * (m / (1 - beta1**step)) / ((v / (1 - beta2**step)).sqrt() + eps)
            new = delta - move * active[:, None]
            norm = new.norm(dim=1, keepdim=True)
            new = torch.where(norm > limit[:, None], new * limit[:, None] / norm.clamp(min=1e-12), new)
            delta = torch.where(active[:, None], new, delta).requires_grad_()
    return delta.detach()


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

    def _logp(self, delta: Tensor) -> Tensor:
        return self.above.logits(self.rows, self.last, delta).log_softmax(-1)

    def kl(self, delta: Tensor) -> Tensor:
        """(n)"""
        after = self._logp(delta.to(self.above.h.dtype))
        return (self.before.exp() * (self.before - after)).sum(-1)
