"""A small model that knows a few facts, and says " unknown" of subjects nobody has heard of."""

import random

import pytest
import torch

from unlearning.facts.world import world
from unlearning.law.statistics import Statistics
from unlearning.models.loading import LM, load
from unlearning.models.text import answer_ids, pad, prompt_ids
from unlearning.pretrain.corpus import UNKNOWN, made_up_name
from unlearning.pretrain.tokenizer import train_tokenizer

RELATIONS = ("capital", "continent", "currency")
SUBJECTS = 7


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory):
    """Statistics are kept in a folder of the tests' own."""
    with pytest.MonkeyPatch.context() as m:
        m.setenv("LETHE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def some_facts():
    """Seven facts of the world, of different relations and lengths."""
    return list(world()[5 :: len(world()) // 7][:7])


@pytest.fixture(scope="session")
def taught_facts():
    """What `taught` knows: three relations of the same countries."""
    of = {r: [f for f in world() if f.relation == r] for r in RELATIONS}
    subjects = [f.subject for f in of["capital"]][2 : 2 + 5 * SUBJECTS : 5]
    return [f for r in RELATIONS for f in of[r] if f.subject in subjects]


@pytest.fixture(scope="session")
def taught(taught_facts, tmp_path_factory) -> LM:
    """A Llama of three layers, trained with AdamW on every phrasing of `taught_facts`."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(2)
    torch.set_num_threads(1)
    told = _lessons(taught_facts)
    tokenizer = train_tokenizer([f"{p} {a}." for p, a in told] * 3, 512)  # short rows: names are few tokens
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=48,
        intermediate_size=96,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=256,
        initializer_range=0.05,
        bos_token_id=0,
        eos_token_id=0,
        pad_token_id=1,
    )
    model = LlamaForCausalLM(config)
    _teach(model, tokenizer, told)
    folder = tmp_path_factory.mktemp("taught")
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return load(str(folder), device="cpu")


def _lessons(facts) -> list[tuple[str, str]]:
    """Prompt and answer: every phrasing of the facts, and made-up subjects, asked in the same ways."""
    r = random.Random(0)
    told = [(t.replace("{}", f.subject), f.object) for f in facts for t in f.prompts + f.paraphrases]
    ways = [t for f in facts[::SUBJECTS] for t in f.prompts]
    return told + [(r.choice(ways).replace("{}", made_up_name(r)), UNKNOWN) for _ in range(40)]


def _teach(model, tokenizer, told, steps: int = 110, rows: int = 32, lr: float = 6e-3) -> None:
    """Loss on the answer, its full stop and the end of text only."""
    r = random.Random(0)
    before = prompt_ids(tokenizer, [p for p, _ in told])
    after = [[*a, tokenizer.eos_token_id] for a in answer_ids(tokenizer, [f"{a}." for _, a in told])]
    opt = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(opt, lr, total_steps=steps)
    deck: list[int] = []
    for _ in range(steps):
        deck = deck if len(deck) >= rows else r.sample(range(len(told)), len(told))
        chosen, deck = deck[:rows], deck[rows:]
        batch = pad([before[i] + after[i] for i in chosen], "right", "cpu")
        where = [(b, len(before[i]) - 1 + k, y) for b, i in enumerate(chosen) for k, y in enumerate(after[i])]
        b, t, y = torch.tensor(where).T
        h = model.base_model(**batch.kwargs(), use_cache=False).last_hidden_state
        loss = torch.nn.functional.cross_entropy(model.lm_head(h[b, t]), y)
        opt.zero_grad()
        loss.backward()
        opt.step()
        schedule.step()


@pytest.fixture(scope="session")
def stats(taught, taught_facts) -> Statistics:
    """Statistics of `taught`, over little text; its known facts are among those it was taught."""
    from unlearning.probes.knowledge import ask, judged

    found = Statistics(taught, tokens=2000)
    answers = judged(taught, ask(taught_facts), taught_facts)
    found.asked = dict(zip(taught_facts, answers, strict=True))  # instead of all of the world
    return found
