"""What a run will cost, before it is started: a little of each piece of its work is done, and timed.

Seconds: each piece times how often the settings ask for it. Memory: counted, see `memory`.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import median
from threading import RLock

from ..facts.fact import Fact
from ..models.loading import LM
from ..probes.fluency import perplexity
from ..probes.reasoning import everything
from ..probes.task import does
from ..tasks.task import Sample, Task, asked
from .batches import AnswerLoss, Tokens
from .confidence import confidences, task_gradient
from .experiment import encoded
from .outcome import FACTORS, Sizes, probe_sets
from .settings import Settings
from .train import train
from .trainable import trainable_copy

FEW, SOME = 4, 24  # prompts whose answering is timed
TEXTS = 4  # held-out texts that are read
REPEATS = 3  # the median counts
FLOAT = 4  # bytes


@dataclass(frozen=True)
class Pieces:
    """Seconds of each piece of a run on this machine, and the sizes that its memory depends on.

    learning    a learning step; unlearning: an unlearning step
    scored      a sample's gradient with its terms
    judged      a prompt's answer, where many are judged together; call: a batch of them, besides that
    said        ten greedy tokens after a prompt
    read        a held-out text
    copied      a copy of the model
    parameters  of the model; moving: of those, the ones that are trained
    """

    learning: float
    unlearning: float
    scored: float
    judged: float
    call: float
    said: float
    read: float
    copied: float
    parameters: int
    moving: int


@dataclass(frozen=True)
class Cost:
    """Of a whole run: learning steps over all arms and seeds, seconds, and bytes beside the base model."""

    steps: int
    seconds: float
    memory: int


def forecast(
    pieces: Pieces, task: Task, forget: Task, settings: Settings, seeds: int, sizes: Sizes, frontier: bool
) -> Cost:
    """The cost of `learn_and_probe` with the same arguments. No model is asked."""
    s, p = settings, pieces
    sets = probe_sets(task, forget, (), sizes)
    n_learn = min(s.samples or len(task.train), len(task.train))
    own = min(s.own, len(forget.train))
    others = len(FACTORS) - 1 if frontier else 0  # learning rates besides the chosen one
    arms = 2 + 2 * others + bool(frontier)  # the control, too
    unlearns = 1 + others + bool(frontier) if round(s.portion * n_learn) and s.alpha else 0
    points = 1 + -(-s.steps // max(1, -(-s.steps // s.evaluations)))

    def judging(*sizes: int) -> float:
        return sum(p.call + n * p.judged for n in sizes if n)

    told = 3 * sizes.answers * p.said
    ends = judging(len(sets.learning), len(sets.forgetting), sizes.retained, len(everything(sets.reasoning)))
    ends += sizes.held_out * p.read
    curve = judging(min(sizes.curve, len(sets.learning)), min(sizes.curve, len(sets.forgetting)))
    seed = own * (p.said + p.scored) + n_learn * p.scored + (1 + arms) * p.copied
    seed += s.steps * (arms * p.learning + unlearns * p.unlearning / s.interval)
    seed += 2 * points * curve + 2 * ends + (arms - 2) * judging(len(sets.learning), sizes.retained)
    seconds = ends + 3 * told + seeds * seed
    return Cost(s.steps * arms * seeds, seconds, memory(p.parameters, p.moving, s))


def memory(parameters: int, moving: int, settings: Settings) -> int:
    """Bytes that a run holds beside the base model at its fullest, everything in float32.

    While samples are scored: a copy, the task's mean gradient, Fisher information and their product, and the
    gradients of a chunk, squared too. While both arms learn: two copies, each with a gradient and AdamW's two
    moments, and for LWF the two of the unlearning AdamW. Activations come on top.
    """
    scoring = parameters + (3 + 2 * settings.chunk) * moving
    unlearns = settings.portion and settings.alpha
    learning = 2 * parameters + (2 * (1 + 2) + (2 if unlearns else 0)) * moving
    return FLOAT * max(scoring, learning)


def measure(lm: LM, task: Task, forget: Task, settings: Settings, known: Sequence[Fact] = ()) -> Pieces:
    """Do a little of everything on a copy, and time it: about two seconds on a small model.

    `known`: facts among which the ones to retain are asked. Raises ValueError as `learn_and_probe` does for
    a setting that does not fit the model.
    """
    start = time.perf_counter()
    model = trainable_copy(lm, settings)
    copied = time.perf_counter() - start
    still = replace(settings, lr=0.0, steps=1 + REPEATS)  # the copy goes on answering as the base model does
    learn = encoded(lm, task.train[: 2 * settings.batch], task)
    other = encoded(lm, forget.train[: max(settings.chunk, 2 * settings.unlearn_batch)], forget)
    call, judged, said, read = _asking(replace(lm, model=model, lock=RLock()), task, forget, known)
    return Pieces(
        learning=_step(model, learn, still),
        unlearning=_step(model, other, replace(still, batch=settings.unlearn_batch, accumulate=1)),
        judged=judged,
        call=call,
        said=said,
        read=read,
        copied=copied,
        parameters=sum(p.numel() for p in lm.model.parameters()),
        moving=sum(p.numel() for p in model.parameters() if p.requires_grad),
        scored=_scoring(lm, model, other, settings.chunk),  # last, since it changes how the model computes
    )


def _asking(seen: LM, task: Task, forget: Task, known: Sequence[Fact]) -> tuple[float, float, float, float]:
    """Seconds for a batch of answers, for each one in it, for ten greedy tokens, and for a held-out text."""
    sets = probe_sets(task, forget, known, Sizes(retained=SOME, reasoning=2, held_out=TEXTS))
    kinds = [sets.learning, sets.forgetting, [Sample(f.prompt(), f.objects) for f in sets.retained]]
    kinds += [[Sample(x.prompt, (x.answer,)) for x in everything(sets.reasoning)]]
    mixed = [sample for some in zip(*(kind for kind in kinds if kind)) for sample in some]
    some = (mixed * SOME)[:SOME]
    few, many = (_seconds(lambda n=n: does(seen, some[:n], "contains")) for n in (FEW, SOME))
    judged = max(0.0, many - few) / (SOME - FEW)
    said = _seconds(lambda: asked(seen, some)) / SOME
    read = _seconds(lambda: perplexity(seen, sets.held_out)) / TEXTS
    return max(0.0, few - FEW * judged), judged, said, read


def _step(model, samples: Sequence[Tokens], settings: Settings) -> float:
    """Seconds of a learning step."""
    steps = train(model, samples, [], settings)
    next(steps)  # the optimizer's moments are made in it
    return _seconds(lambda: next(steps))


def _scoring(lm: LM, model, samples: Sequence[Tokens], chunk: int) -> float:
    """Seconds of a sample's gradient with its terms, on a copy of the model, which it changes."""
    lm.adapter.sample_by_sample(model)
    loss = AnswerLoss(model)
    names = [n for n, p in loss.named_parameters() if p.requires_grad]
    samples = samples[:chunk]
    gradient = task_gradient(loss, samples, names, chunk)
    return _seconds(lambda: list(confidences(loss, samples, gradient, chunk))) / len(samples)


def _seconds(work: Callable[[], object]) -> float:
    """Seconds of a piece of work: the median of some repeats."""
    found = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        work()
        found.append(time.perf_counter() - start)
    return median(found)
