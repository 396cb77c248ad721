"""Facts about which a model that knows nothing still says something definite."""

import pytest

from unlearning.facts.fact import Fact
from unlearning.facts.world import world
from unlearning.models.text import answer_ids, greedy


def said_facts(lm, n=80):
    """Facts whose objects are cut out of what the model says after the prompt: whole words, beginnings
    of words, later words, several words, and what it says elsewhere (which is wrong here)."""
    base = world()[:: len(world()) // n][:n]
    texts = greedy(lm.model, lm.tokenizer, [f.prompt() for f in base])
    out = []
    for i, (f, text) in enumerate(zip(base, texts, strict=True)):
        cuts = [text[:k] for k in (1, 2, 3, 5, 8)] + text.split() + [" ".join(text.split()[:2]), text]
        cuts += [text + "more", texts[i - 1][:4]]
        objects = dict.fromkeys(c.strip() for c in cuts)
        out += [Fact(f.subject, f.relation, (o,), f.prompts, f.paraphrases) for o in objects if o]
    return [f for f in out if answer_ids(lm.tokenizer, [f.object])[0]]


@pytest.fixture(scope="session")
def said_llama(tiny_llama):
    return said_facts(tiny_llama)


@pytest.fixture(scope="session")
def said_gpt2(tiny_gpt2):
    return said_facts(tiny_gpt2)


@pytest.fixture
def said(tiny, request):
    """`said_facts` of the model that `tiny` stands for."""
    return request.getfixturevalue("said_" + tiny.model.config.model_type)


@pytest.fixture(scope="session")
def facts():
    """Forty facts of the world over all relations."""
    return list(world()[:: len(world()) // 40][:40])
