"""Where things are in a decoder-only model: one adapter per architecture family.

`W` of a layer's MLP down-projection is always spoken of as (d, f), output by input,
whatever way the module stores it (GPT-2's `Conv1D` stores its transpose).
"""

from dataclasses import dataclass
from functools import reduce

from torch import Tensor, nn


@dataclass(frozen=True)
class Adapter:
    """Module paths inside a `...ForCausalLM`, relative to it; `{}` stands for the layer number."""

    family: str
    layer: str
    attention: str
    down: str
    final_norm: str
    unembedding: str = "lm_head"
    transposed: bool = False

    def n_layers(self, model) -> int:
        return len(_get(model, self.layer.rsplit(".{}", 1)[0]))

    def layer_module(self, model, i: int) -> nn.Module:
        return _get(model, self.layer.format(i))

    def attention_module(self, model, i: int) -> nn.Module:
        return _get(model, f"{self.layer.format(i)}.{self.attention}")

    def mlp_module(self, model, i: int) -> nn.Module:
        return _get(model, f"{self.layer.format(i)}.{self.down.split('.')[0]}")

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

    def logits(self, model, h: Tensor) -> Tensor:
        """Residual stream after the last layer (..., d) to logits (..., V)."""
        return _get(model, self.unembedding)(_get(model, self.final_norm)(h))


GPT2 = Adapter("gpt2", "transformer.h.{}", "attn", "mlp.c_proj", "transformer.ln_f", transposed=True)
LLAMA = Adapter("llama", "model.layers.{}", "self_attn", "mlp.down_proj", "model.norm")
ADAPTERS = {"gpt2": GPT2, "llama": LLAMA, "mistral": LLAMA, "qwen2": LLAMA, "qwen3": LLAMA}


class UnknownArchitecture(ValueError):
    """No adapter for this model type."""


def adapter_for(model) -> Adapter:
    """The adapter of a loaded model. Raises `UnknownArchitecture` with the model type and the known ones."""
    kind = model.config.model_type
    if kind not in ADAPTERS:
        raise UnknownArchitecture(f"no adapter for model type {kind!r}; known: {', '.join(sorted(ADAPTERS))}")
    return ADAPTERS[kind]


def _get(module: nn.Module, path: str) -> nn.Module:
    return reduce(
        lambda m, part: m[int(part)] if part.isdigit() else getattr(m, part), path.split("."), module
    )
