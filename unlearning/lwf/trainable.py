"""Which parameters learn and forget: all, the MLPs, the last layers, or LoRA's; and the change they made."""

from copy import deepcopy

import torch
from torch import nn

from ..models.delta import Delta
from ..models.loading import LM
from .settings import Settings

LORA = "lora_"  # in the names of the parameters that peft adds


def trainable_copy(lm: LM, settings: Settings):
    """A copy of the base model's weights in float32 of which only the chosen subset takes gradients.

    It is in eval mode, so dropout is off: two arms differ in nothing but what they are told to.
    Raises ValueError when there are fewer layers than `last`.
    """
    with lm.lock:
        model = deepcopy(lm.model)
    model = model.float().eval().requires_grad_(False)
    if settings.subset == "lora":
        _add_lora(lm, model, settings)
    chosen = set(subset(lm, model, settings))
    for name, p in model.named_parameters():
        p.requires_grad_(name in chosen)
    return model


def subset(lm: LM, model, settings: Settings) -> list[str]:
    """Names of the parameters that move."""
    names = [n for n, _ in model.named_parameters()]
    n = lm.adapter.n_layers(lm.model)
    if settings.subset == "mlp":
        mlps = tuple(name for i in range(n) for name in lm.adapter.mlp_names(i))
        return [x for x in names if x.startswith(mlps)]
    if settings.subset == "last":
        if settings.last > n:
            raise ValueError(f"{lm.name} has {n} layers, so the last {settings.last} cannot be trained")
        layers = [f"{lm.adapter.layer.format(i)}." for i in range(n - settings.last, n)]
        return [x for x in names if x.startswith(tuple(layers))]
    if settings.subset == "lora":
        return [x for x in names if LORA in x]
    return names


def _add_lora(lm: LM, model, settings: Settings) -> None:
    """LoRA (arXiv 2106.09685) on every linear module of the decoder layers; its α is 2 · rank."""
    from peft import LoraConfig, inject_adapter_in_model
    from transformers.pytorch_utils import Conv1D

    layers = lm.adapter.layer.split("{}")[0]
    linear = [
        name
        for name, module in model.named_modules()
        if name.startswith(layers) and isinstance(module, nn.Linear | Conv1D)
    ]
    transposed = lm.adapter.transposed
    config = LoraConfig(
        r=settings.rank, lora_alpha=2 * settings.rank, target_modules=linear, fan_in_fan_out=transposed
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        inject_adapter_in_model(config, model)


def change(lm: LM, model, about: dict) -> Delta:
    """What training changed: ΔW of every base parameter that moved, LoRA's product put together."""
    base = dict(lm.model.named_parameters())
    now = dict(model.named_parameters())
    changes = {}
    with lm.lock, torch.no_grad():
        for name, w in base.items():
            if name in now and now[name].requires_grad:
                changes[name] = (now[name].detach() - w.detach().float()).cpu()
        for path, module in model.named_modules():
            if hasattr(module, "lora_A") and hasattr(module, "get_delta_weight"):
                changes[f"{path}.weight"] = module.get_delta_weight("default").detach().float().cpu()
    return Delta(changes, lm.hash, about)
