"""How an untrained model begins: random weights, and heads that look back.

Whatever must be found in the text ("where is Anna?") needs two steps: a token takes in what
stood a few tokens before it, and a later token finds it by that. Neither step pays without the
other, so chance alone takes very long to find both. Here both are given, as a beginning:

- head i of the first layer attends i + 1 tokens back, and writes down what stands there, each
  head in a place of its own;
- head i of the next layers compares what stood i tokens before the asking token (itself for
  i = 0) with what stood i + 1 before the others, and copies the one that it finds: what came
  next when that word was met before (an induction head, https://arxiv.org/abs/2209.11895).

From then on everything is trained.
"""

import torch
from torch import Tensor

EMBEDDING = 0.5  # standard deviation: of a size with what the layers add
NORM = 0.1  # of the final norm's weight, so that the first logits are small
SHARP = 4.0  # how clearly a head prefers its distance to the next one
COMPARED = 1.5  # scale of what is compared
DISTANCES = 4  # looked back, one a head
TURNS = 4  # frequencies by which distances are told apart: 1, 0.56, 0.32, 0.18 a token
COMPARING = (1, 2)  # layers that begin with comparing heads


@torch.no_grad()
def begin(model):
    """Set the starting weights of a fresh Llama or GPT-2 in place, from torch's seed; return it."""
    d, heads = model.config.hidden_size, model.config.num_attention_heads
    embedding = model.get_input_embeddings().weight
    embedding.mul_(EMBEDDING / embedding.std())
    llama = model.config.model_type == "llama"
    final = model.model.norm if llama else model.transformer.ln_f
    final.weight.fill_(NORM)
    n, distances = d // heads, min(DISTANCES, heads - 1)
    own, *back = _orthonormal((distances + 1) * n, d).split(n)
    query, key = _constant(embedding, d, heads) if llama else _clock(model.transformer.wpe.weight, d, heads)
    layers = model.model.layers if llama else model.transformer.h
    for h, written in enumerate(back):
        q, k, v, o = _projections(layers[0], h, d, heads, llama)
        q += _turned(query, -(h + 1.0))
        k += key
        v += own
        o += written.T
    for layer in (layers[i] for i in COMPARING if i < len(layers)):
        for h, (asked, told) in enumerate(zip([own, *back], back)):
            q, k, v, o = _projections(layer, h, d, heads, llama)
            q += COMPARED * asked
            k += COMPARED * told
            v += own
            o += own.T
    return model


def _projections(layer, h: int, d: int, heads: int, llama: bool) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Views of head h's W_q, W_k, W_v (d/heads, d) and W_o (d, d/heads)."""
    n = d // heads
    rows = slice(h * n, (h + 1) * n)
    if llama:
        a = layer.self_attn
        return *(p.weight[rows] for p in (a.q_proj, a.k_proj, a.v_proj)), a.o_proj.weight[:, rows]
    joint = layer.attn.c_attn.weight.T  # (3d, d): queries, keys, values
    return *(joint[i * d :][rows] for i in range(3)), layer.attn.c_proj.weight.T[:, rows]


def _frequencies(n: int) -> Tensor:
    """Rotary frequencies of n / 2 pairs, in radians a token."""
    return 10_000.0 ** (-torch.arange(n // 2) / (n // 2))


def _turned(w: Tensor, tokens: float) -> Tensor:
    """Rows of w as pairs (i, i + n/2), each turned by its frequency times `tokens`: rotary embedding."""
    angle = (_frequencies(len(w)) * tokens)[:, None]
    a, b = w.chunk(2)
    return torch.cat([a * angle.cos() - b * angle.sin(), b * angle.cos() + a * angle.sin()])


def _constant(embedding: Tensor, d: int, heads: int) -> tuple[Tensor, Tensor]:
    """Llama: one direction is added to all embeddings (logits do not see it); a head reads only that, and
    the rotary embedding makes distance of it."""
    u = torch.nn.functional.normalize(torch.randn(d), dim=0)
    embedding += u * embedding.norm(dim=1).mean()
    read = torch.zeros(d // heads)
    read[:TURNS] = SHARP
    w = torch.outer(read, u) / (d / 2) ** 0.5
    return w, w.clone()


def _clock(positions: Tensor, d: int, heads: int) -> tuple[Tensor, Tensor]:
    """GPT-2: position embeddings are the hands of `TURNS` clocks, as large as a word's; a head reads them."""
    n = d // heads
    angle = torch.arange(len(positions))[:, None] * _frequencies(n)[:TURNS]
    cos, sin = _orthonormal(2 * TURNS, d).chunk(2)
    size = EMBEDDING * (d / TURNS) ** 0.5
    positions.copy_(size * (angle.cos() @ cos + angle.sin() @ sin))
    w = torch.zeros(n, d)
    w[:TURNS], w[n // 2 : n // 2 + TURNS] = cos, sin
    w *= SHARP / (d / (2 * TURNS)) ** 0.5
    return w, w.clone()


def _orthonormal(n: int, d: int) -> Tensor:
    return torch.linalg.qr(torch.randn(d, n))[0].T
