"""Where things are in a decoder-only model: one adapter per architecture family.

`W` of a layer's MLP down-projection is always spoken of as (d, f), output by input,
whatever way the module stores it (GPT-2's `Conv1D` stores its transpose).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import reduce

import torch
from torch import Tensor, nn

WIDE = 2048  # positions of a model that sets itself no limit (ALiBi)


@dataclass(frozen=True)
class Adapter:
    """Module paths inside a `...ForCausalLM`, relative to it; `{}` stands for the layer number.

    layer       a decoder layer
    attention   its attention, inside it
    mlp         what belongs to its MLP, inside it: one module, or the projections themselves
    down        the MLP's down-projection, inside the layer
    final       what stands between the last layer and the unembedding; paths that hold None are left out
    whole       is the MLP one module, of one input, that can be run by itself?
    transposed  is the down-projection's weight stored as (f, d)?
    after       a norm, inside the layer, that the MLP's output goes through before it is added (Gemma 2)
    scale       what a layer multiplies that by before it is added (Granite)
    gelu        the MLP's activation, inside the layer, where its derivative is written by hand (Bloom)
    """

    family: str
    layer: str
    attention: str
    down: str
    final: tuple[str, ...]
    mlp: tuple[str, ...] = ("mlp",)
    unembedding: str = "lm_head"
    whole: bool = True
    transposed: bool = False
    after: str = ""
    scale: float = 1.0
    gelu: str = ""

    def n_layers(self, model) -> int:
        return len(_get(model, self.layer.rsplit(".{}", 1)[0]))

    def layer_module(self, model, i: int) -> nn.Module:
        return _get(model, self.layer.format(i))

    def attention_module(self, model, i: int) -> nn.Module:
        return _get(model, f"{self.layer.format(i)}.{self.attention}")

    def mlp_module(self, model, i: int) -> nn.Module:
        """Where the MLP begins: its one module, or the first of its projections."""
        return _get(model, f"{self.layer.format(i)}.{self.mlp[0]}")

    def mlp_names(self, i: int) -> tuple[str, ...]:
        """What the names of the MLP's parameters in layer i begin with."""
        return tuple(f"{self.layer.format(i)}.{part}." for part in self.mlp)

    def down_module(self, model, i: int) -> nn.Module:
        """The projection whose input is the key k (f) and whose weight is edited."""
        return _get(model, f"{self.layer.format(i)}.{self.down}")

    def weight_name(self, i: int) -> str:
        """The edited parameter's name in the model's state dict."""
        return f"{self.layer.format(i)}.{self.down}.weight"

    def weight(self, model, i: int) -> Tensor:
        """W (d, f) of layer i: a view of the parameter, transposed where it is stored so."""
        w = self.down_module(model, i).weight
        return w.T if self.transposed else w

    def stored(self, delta: Tensor) -> Tensor:
        """A change of W (d, f) in the layout the parameter is stored in."""
        return delta.T.contiguous() if self.transposed else delta

    def added(self, model, i: int, said: Tensor) -> Tensor:
        """What layer i adds to the stream where its down-projection says `said` (..., d)."""
        norm = _get(model, f"{self.layer.format(i)}.{self.after}") if self.after else nn.Identity()
        return norm(said) * self.scale

    @torch.no_grad()
    def said_more(self, model, i: int, K: Tensor, R: Tensor) -> Tensor:
        """What the down-projection of layer i has to say more at keys K (f, n) to add R (d, n) to the stream.

        That is R over the layer's scale; behind a norm, n(y) = g ⊙ y / rms(y), the change of y that gives it
        while rms(y) stays, R ⊙ y / n(y).
        """
        if not self.after:
            return R / self.scale
        down = self.down_module(model, i)
        y = down(K.T.to(down.weight.dtype))
        return R * (y / self.added(model, i, y)).T.to(R)

    def sample_by_sample(self, model) -> None:
        """Change the model so that torch.func takes the gradients of many samples at once; it says the same.

        There is no batching rule for fused attention kernels, nor for derivatives that are written by hand.
        """
        model.set_attn_implementation("eager")
        if self.gelu:
            parent, _, name = self.gelu.rpartition(".")
            for i in range(self.n_layers(model)):
                setattr(_get(model, f"{self.layer.format(i)}.{parent}"), name, nn.GELU("tanh"))

    def logits(self, model, h: Tensor) -> Tensor:
        """Residual stream after the last layer (..., d) to logits (..., V), on the device of the stream."""
        home = h.device
        for path in self.final:
            module = _get(model, path)
            h = h if module is None else module(h)
        return unembed(model, h.to(home))


def unembed(model, h: Tensor) -> Tensor:
    """Final hidden states of the base model (..., d) to logits (..., V), capped where the model caps them.

    They are on the device of the hidden states, as `final_states` are on that of the ids.
    """
    logits = model.get_output_embeddings()(h).to(h.device)
    cap = model.config.to_dict().get("final_logit_softcapping")  # Gemma 2, arXiv 2408.00118 section 2
    return cap * torch.tanh(logits / cap) if cap else logits


def final_states(model, input_ids: Tensor, **kwargs: Tensor) -> Tensor:
    """Final hidden states (B, T, d) of the base model for ids (B, T), wherever its last layer is."""
    return model.base_model(input_ids=input_ids, **kwargs, use_cache=False).last_hidden_state.to(
        input_ids.device
    )


def max_positions(config) -> int:
    """How many tokens a model of this config can look at; `WIDE` where it sets itself no limit."""
    return positions_in(config.to_dict())


def positions_in(values: Mapping) -> int:
    """`max_positions` of a config.json's values."""
    return values.get("max_position_embeddings") or values.get("n_positions") or WIDE


_H, _LAYERS = "transformer.h.{}", "model.layers.{}"
GPT2 = Adapter("GPT-2", _H, "attn", "mlp.c_proj", ("transformer.ln_f",), transposed=True)
GPT_NEO = Adapter("GPT-Neo", _H, "attn", "mlp.c_proj", ("transformer.ln_f",))
GPTJ = Adapter("GPT-J", _H, "attn", "mlp.fc_out", ("transformer.ln_f",))
GPT_NEOX = Adapter(
    "GPT-NeoX", "gpt_neox.layers.{}", "attention", "mlp.dense_4h_to_h", ("gpt_neox.final_layer_norm",)
)
LLAMA = Adapter("Llama", _LAYERS, "self_attn", "mlp.down_proj", ("model.norm",))
GEMMA2 = Adapter(
    "Gemma 2 and 3",
    _LAYERS,
    "self_attn",
    "mlp.down_proj",
    ("model.norm",),
    after="post_feedforward_layernorm",
)
PHI = Adapter("Phi", _LAYERS, "self_attn", "mlp.fc2", ("model.final_layernorm",))
OPT = Adapter(
    "OPT",
    "model.decoder.layers.{}",
    "self_attn",
    "fc2",
    ("model.decoder.final_layer_norm", "model.decoder.project_out"),
    mlp=("fc1", "fc2"),
    whole=False,
)
BLOOM = Adapter(
    "Bloom",
    _H,
    "self_attention",
    "mlp.dense_4h_to_h",
    ("transformer.ln_f",),
    whole=False,
    gelu="mlp.gelu_impl",
)
ADAPTERS = {
    "gpt2": GPT2,
    "gpt_neo": GPT_NEO,
    "gptj": GPTJ,
    "gpt_neox": GPT_NEOX,
    "llama": LLAMA,
    "mistral": LLAMA,
    "qwen2": LLAMA,
    "qwen3": LLAMA,
    "smollm3": LLAMA,
    "phi3": LLAMA,
    "gemma": LLAMA,
    "gemma2": GEMMA2,
    "gemma3_text": GEMMA2,
    "phi": PHI,
    "opt": OPT,
    "bloom": BLOOM,
}


class UnknownArchitecture(ValueError):
    """No adapter for this model, and none that its modules show without doubt."""


def adapter_for(model) -> Adapter:
    """The adapter of a loaded model: its family's, else the one that its modules show.

    Raises `UnknownArchitecture` naming what was not found, and for an OPT like opt-350m.
    """
    kind = model.config.model_type
    if kind == "opt" and not model.config.do_layer_norm_before:
        raise UnknownArchitecture(
            "an OPT that norms the stream after each addition to it (do_layer_norm_before is false, as in "
            "opt-350m) cannot be washed: no edit of an MLP brings its stream to a target. Take another OPT"
        )
    return ADAPTERS[kind] if kind in ADAPTERS else detect(model)


def detect(model) -> Adapter:
    """An adapter read off the module tree, where that leaves no choice, and tried on a few tokens.

    Every layer must have its attention and its down-projection (of one shape) where layer 0 has them. A model
    without weights is not tried. Raises `UnknownArchitecture` naming what was not found, and in which layer,
    or was found more than once.
    """
    d = model.config.hidden_size

    def only(what: str, found: list[str]) -> str:
        if len(found) != 1:
            some = f" ({', '.join(found[:4])})" if found else ""
            raise _unknown(model, f"its modules do not tell: {len(found) or 'no'} {what}{some}")
        return found[0]

    stack = only("list of equal decoder layers", [name for name, m in model.named_modules() if _is_stack(m)])
    layers = _get(model, stack)
    down = only(f"projection down to {d} in an MLP", _downs(layers[0], d))
    attention = only("attention in a layer", _attentions(layers[0]))
    for i, layer in enumerate(layers):
        for path, found in ((down, _downs(layer, d)), (attention, _attentions(layer))):
            if found != [path]:
                there = f", but {', '.join(found[:4])}" if found else ""
                raise _unknown(model, f"layer {i} does not have {path}, as layer 0 has{there}")
        if _get(layer, down).weight.shape != _get(layers[0], down).weight.shape:
            raise _unknown(model, f"{down} of layer {i} has another shape than that of layer 0")
    parent = stack.rpartition(".")[0]
    norms = [n for n, m in _get(model, parent).named_children() if "norm" in n.lower() or n == "ln_f"]
    final = only("norm after the layers", [n for n in norms if "emb" not in n])
    found = Adapter(
        f"{model.config.model_type}, detected",
        f"{stack}.{{}}",
        attention,
        down,
        (f"{parent}.{final}",),
        mlp=(down.rpartition(".")[0] or down,),
        unembedding=only(
            "unembedding", [n for n, m in model.named_modules() if m is model.get_output_embeddings()]
        ),
        transposed=not isinstance(_get(layers[0], down), nn.Linear),
        scale=model.config.to_dict().get("residual_multiplier") or 1.0,
    )
    return found if model.device.type == "meta" else _tried(model, found)


def _unknown(model, why: str) -> UnknownArchitecture:
    return UnknownArchitecture(
        f"no adapter for model type {model.config.model_type!r}, and {why}. "
        f"Known types: {', '.join(sorted(ADAPTERS))}"
    )


def _is_stack(module: nn.Module) -> bool:
    """Is this a list of layers of one kind that attend?"""
    if not isinstance(module, nn.ModuleList) or not len(module):
        return False
    return len({type(m) for m in module}) == 1 and bool(_attentions(module[0]))


def _attentions(layer: nn.Module) -> list[str]:
    return [n for n, m in layer.named_children() if "att" in n.lower() and any(m.children())]


def _downs(layer: nn.Module, d: int) -> list[str]:
    """Linear maps of a layer, outside its attention, that lead from another width to d."""
    from transformers.pytorch_utils import Conv1D

    found = []
    for name, m in layer.named_modules():
        if "att" in name.lower() or not isinstance(m, nn.Linear | Conv1D):
            continue
        rows, columns = m.weight.shape
        into, out = (columns, rows) if isinstance(m, nn.Linear) else (rows, columns)
        if out == d and into != d:
            found.append(name)
    return found


@torch.no_grad()
def _tried(model, adapter: Adapter) -> Adapter:
    """The adapter, with the norm that its MLPs' output goes through, after a pass over a few tokens.

    Raises `UnknownArchitecture` unless the stream after the last layer gives the model's own logits, and
    every layer adds to the stream what the adapter says that it adds: silenced, it lacks just that.
    """
    from .hooks import calls_of, changed, hidden, inputs_of, outputs_of

    ids = torch.tensor([[1, 2, 3, 4, 5]], device=model.device)
    n = adapter.n_layers(model)
    layers = {i: adapter.layer_module(model, i) for i in range(n)}
    downs = {i: adapter.down_module(model, i) for i in range(n)}
    norms = {
        (i, name): m
        for i, layer in layers.items()
        for name, m in layer.named_modules()
        if "norm" in name.rpartition(".")[2].lower() and not isinstance(m, nn.LayerNorm)  # it has a mean, too
    }
    with calls_of([*layers.values()]) as calls, outputs_of(layers) as after, inputs_of(downs | norms) as seen:
        logits = model(input_ids=ids, use_cache=False).logits
    if len(calls) != n:
        raise _unknown(model, f"its {n} layers are run {len(calls)} times")
    said = {i: down(seen[i]) for i, down in downs.items()}  # some layers add to their MLP's output in place
    behind = [
        [name for j, name in norms if j == i and _same_rows(seen.get((j, name)), said[i])] for i in layers
    ]
    if any(names != behind[0] for names in behind) or len(behind[0]) > 1:
        raise _unknown(model, f"its MLPs' output goes through norms that are not one in each layer: {behind}")
    adapter = replace(adapter, after="".join(behind[0]))
    for i, (args, kwargs) in enumerate(calls):
        with changed(downs[i], torch.zeros_like):
            moved = (after[i] - hidden(layers[i](*args, **kwargs))).float()
        added = adapter.added(model, i, said[i]).reshape(moved.shape).to(moved)
        rounding = 8 * torch.finfo(after[i].dtype).eps * after[i].abs()
        if ((moved - added).abs() > 0.02 * added.abs().max() + rounding).any():
            raise _unknown(model, f"layer {i} does more with what its {adapter.down} says than to add it")
    mine = adapter.logits(model, after[n - 1].to(model.device))
    if mine.shape != logits.shape or not torch.allclose(mine, logits, rtol=1e-2, atol=1e-2):
        raise _unknown(model, "it does more than norm and unembedding after its last layer")
    return adapter


def _same_rows(x: Tensor | None, y: Tensor) -> bool:
    """Are these the same rows (·, d), whatever shape they come in?"""
    d = y.shape[-1]
    return x is not None and x.shape[-1] == d and torch.equal(x.reshape(-1, d), y.reshape(-1, d).to(x.device))


def _get(module: nn.Module, path: str) -> nn.Module:
    return reduce(
        lambda m, part: m[int(part)] if part.isdigit() else getattr(m, part), path.split("."), module
    )
