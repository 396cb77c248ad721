"""The model's own answers: what they are, that they are repeatable, and what they are worth."""

import math
from dataclasses import replace

import pytest

from unlearning.lwf.self_knowledge import first_sentence, self_knowledge
from unlearning.models.text import greedy, sample, score
from unlearning.tasks.task import Sample, Task

SAMPLES = tuple(Sample(f"The colour of the {x} is", ("red",), "colour") for x in "hat coat shoe bag".split())
TASK = Task("colours", "colours", "Colours.", SAMPLES, SAMPLES[:1], metric="contains", end="")


def test_it_is_what_the_model_says(tiny):
    own = self_knowledge(tiny, TASK)
    said = dict(
        zip([s.prompt for s in SAMPLES], greedy(tiny.model, tiny.tokenizer, [s.prompt for s in SAMPLES]))
    )
    assert {o.prompt: o.text for o in own} == {p: t for p, t in said.items() if t}
    assert all(o.kind == "colour" and o.right == ("red" in o.text.split()) for o in own)
    for o in own:
        (s,) = score(tiny.model, tiny.tokenizer, [o.prompt], [o.text])
        assert o.logp == pytest.approx(sum(s.logp) / len(s.logp), abs=1e-4)
        assert math.isfinite(o.logp) and o.logp <= 0


def test_sampling_is_by_seed_and_temperature(tiny):
    warm = self_knowledge(tiny, TASK, temperature=1.0, seed=1)
    assert warm == self_knowledge(tiny, TASK, temperature=1.0, seed=1)
    assert [o.text for o in warm] != [o.text for o in self_knowledge(tiny, TASK, seed=1)]
    prompts = [s.prompt for s in SAMPLES]
    cold = sample(tiny.model, tiny.tokenizer, prompts, 5, seed=3, temperature=1e-3)
    assert cold == greedy(tiny.model, tiny.tokenizer, prompts, 5)  # near 0 it is greedy


def test_at_most_n_drawn_by_seed(tiny):
    assert len(self_knowledge(tiny, TASK, n=2)) <= 2
    assert self_knowledge(tiny, TASK, n=2, seed=5) == self_knowledge(tiny, TASK, n=2, seed=5)


def test_answers_end_where_the_tasks_do(tiny):
    sentences = replace(TASK, end=".")
    assert all(first_sentence(o.text) == o.text for o in self_knowledge(tiny, sentences))
    assert first_sentence("Paris. It is large.") == "Paris"
    assert first_sentence("3.5 metres. Or so") == "3.5 metres"
    assert first_sentence("Paris") == "Paris"
