"""Is a model still what it was?"""

import torch

from unlearning.models.loading import LM


def weights(lm: LM) -> dict[str, torch.Tensor]:
    """A copy of everything in the model."""
    return {k: v.clone() for k, v in lm.model.state_dict().items()}


def untouched(lm: LM, before: dict[str, torch.Tensor]) -> bool:
    """Is the model what it was, bit for bit?"""
    return all(torch.equal(v, before[k]) for k, v in lm.model.state_dict().items())
