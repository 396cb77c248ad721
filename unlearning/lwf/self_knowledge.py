"""D_self: what the model itself says to the prompts of the forgetting task (arXiv 2505.19715)."""

import random
import re
from dataclasses import dataclass

from ..models.loading import LM
from ..models.text import greedy_within, sample, score
from ..tasks.task import MAX_NEW, METRICS, Task


@dataclass(frozen=True)
class Own:
    """An answer of the model's own; `logp`: mean log p of its tokens, nats; `right` by the task's metric."""

    prompt: str
    text: str
    kind: str
    logp: float
    right: bool


def self_knowledge(lm: LM, task: Task, n: int = 400, temperature: float = 0.0, seed: int = 0) -> list[Own]:
    """The base model's answers to at most n of the task's prompts, drawn by seed; greedy at temperature 0.

    An answer ends where the task's answers do: at the first full stop that ends a sentence, or at the end of
    the text. Empty answers are left out: there is nothing to forget.
    """
    samples = list(task.train)
    random.Random(f"own {seed}").shuffle(samples)
    samples = samples[:n]
    prompts = [s.prompt for s in samples]
    new = task.max_new or MAX_NEW
    if temperature:
        said = sample(lm.model, lm.tokenizer, prompts, new, seed, temperature=temperature)
    else:
        said = greedy_within(lm.model, lm.tokenizer, prompts, prompts, new=new)
    texts = [first_sentence(t) if task.end else t for t in said]
    kept = [(s, t) for s, t in zip(samples, texts, strict=True) if t]
    scores = score(lm.model, lm.tokenizer, [s.prompt for s, _ in kept], [t for _, t in kept])
    right = METRICS[task.metric]
    return [
        Own(s.prompt, t, s.kind or task.name, sum(x.logp) / len(x.logp), right(t, s.answers))
        for (s, t), x in zip(kept, scores, strict=True)
    ]


def first_sentence(text: str) -> str:
    """What stands before the first full stop that a space or the end follows."""
    return re.split(r"\.(?:\s|$)", text, maxsplit=1)[0].strip()
