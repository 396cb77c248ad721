"""Batched text functions against one row at a time, `generate` and a plain loop over whole texts."""

import copy

import pytest
import torch

from unlearning.facts.world import world
from unlearning.models.text import answer_ids, greedy, pad, prompt_ids, sample, score, score_ids, start_id

FACTS = world()[:: len(world()) // 12]
PROMPTS = [f.prompt() for f in FACTS] + [
    "A",
    "The old man walked to the river in the morning. It was late. 3 + 4 =",
]
ANSWERS = [f.object for f in FACTS] + ["long answer of several words", "7"]


def slow_greedy(lm, prompt, max_new, eos):
    """No batch, no cache, no padding."""
    ids = lm.tokenizer(prompt)["input_ids"]
    new = []
    for _ in range(max_new):
        token = lm.model(input_ids=torch.tensor([ids + new])).logits[0, -1].argmax().item()
        if token == eos:
            break
        new.append(token)
    return lm.tokenizer.decode(new, skip_special_tokens=True).strip()


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("chunk", [1, 5, 128])
def test_greedy_is_the_same_in_any_batch(tiny, side, chunk):
    expected = [slow_greedy(tiny, p, 10, tiny.tokenizer.eos_token_id) for p in PROMPTS]
    assert greedy(tiny.model, tiny.tokenizer, PROMPTS, 10, chunk, side) == expected
    assert len(set(expected)) > 5  # the model says different things, so a mix-up of rows would show


def test_greedy_equals_generate(tiny):
    expected = []
    for p in PROMPTS:
        ids = tiny.tokenizer(p, return_tensors="pt")
        out = tiny.model.generate(**ids, max_new_tokens=10, do_sample=False, pad_token_id=1)
        new = out[0, ids["input_ids"].shape[1] :]
        expected.append(tiny.tokenizer.decode(new, skip_special_tokens=True).strip())
    assert greedy(tiny.model, tiny.tokenizer, PROMPTS) == expected


@pytest.mark.parametrize("side", ["left", "right"])
def test_greedy_ends_each_row_at_its_own_end_of_text(tiny, side):
    ids = tiny.tokenizer(PROMPTS[0], return_tensors="pt")
    row = tiny.model.generate(**ids, max_new_tokens=10, do_sample=False, pad_token_id=1)[0]
    tokenizer = copy.deepcopy(tiny.tokenizer)
    eos = row[ids["input_ids"].shape[1] + 3].item()
    tokenizer.eos_token = tokenizer.convert_ids_to_tokens(
        eos
    )  # what the first row says fourth ends a text now
    said = greedy(tiny.model, tokenizer, PROMPTS, 10, 128, side)
    assert said == [slow_greedy(tiny, p, 10, eos) for p in PROMPTS]
    assert len(tokenizer(said[0], add_special_tokens=False)["input_ids"]) < 10
    assert said != greedy(tiny.model, tiny.tokenizer, PROMPTS, 10, 128, side)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("chunk", [1, 5, 128])
def test_score_equals_a_plain_loop(tiny, side, chunk):
    found = score(tiny.model, tiny.tokenizer, PROMPTS, ANSWERS, chunk, side)
    for s, p, a in zip(found, PROMPTS, ANSWERS, strict=True):
        ids = tiny.tokenizer(p)["input_ids"]
        goal = tiny.tokenizer(" " + a, add_special_tokens=False)["input_ids"]
        for t, token in enumerate(goal):
            logits = tiny.model(input_ids=torch.tensor([ids + goal[:t]])).logits[0, -1]
            assert s.logp[t] == pytest.approx(logits.log_softmax(-1)[token].item(), abs=1e-4)
            assert s.best[t] == (logits.argmax().item() == token)
        assert len(s.logp) == len(s.best) == len(goal)
        assert s.then == tiny.model(input_ids=torch.tensor([ids + goal])).logits[0, -1].argmax().item()


def test_what_greedy_says_is_best_everywhere(tiny):
    said = []
    for p in PROMPTS:
        ids = tiny.tokenizer(p, return_tensors="pt")
        out = tiny.model.generate(**ids, max_new_tokens=5, do_sample=False, pad_token_id=1)
        said.append(out[0, ids["input_ids"].shape[1] :].tolist())
    found = score_ids(tiny.model, prompt_ids(tiny.tokenizer, PROMPTS), [s[:4] for s in said])
    assert all(all(f.best) and f.then == s[4] for f, s in zip(found, said, strict=True))


@pytest.mark.parametrize("side", ["left", "right"])
def test_samples_do_not_depend_on_the_batch(tiny, side):
    many = sample(tiny.model, tiny.tokenizer, PROMPTS, 8, seed=3)
    assert sample(tiny.model, tiny.tokenizer, PROMPTS, 8, seed=3, chunk=1, side=side) == many
    assert sample(tiny.model, tiny.tokenizer, PROMPTS, 8, seed=4) != many


def test_samples_follow_the_models_probabilities(tiny):
    n = 2000
    first = sample(tiny.model, tiny.tokenizer, ["The"] * n, 1, seed=0)
    p = tiny.model(**tiny.tokenizer("The", return_tensors="pt")).logits[0, -1].softmax(-1)
    for token in p.topk(5).indices.tolist():
        text = tiny.tokenizer.decode([token]).strip()
        same = [
            t for t in range(len(p)) if tiny.tokenizer.decode([t], skip_special_tokens=True).strip() == text
        ]
        expected = p[same].sum().item()
        assert abs(first.count(text) / n - expected) < 4 * (expected * (1 - expected) / n) ** 0.5


def test_nothing_to_do_gives_nothing(tiny):
    assert greedy(tiny.model, tiny.tokenizer, []) == []
    assert score(tiny.model, tiny.tokenizer, [], []) == []


def test_an_empty_prompt_is_the_start_of_a_text(tiny):
    assert prompt_ids(tiny.tokenizer, [""]) == [[start_id(tiny.tokenizer)]]


def test_an_answer_does_not_depend_on_spaces_around_it(tiny):
    assert answer_ids(tiny.tokenizer, ["Paris"]) == answer_ids(tiny.tokenizer, ["  Paris "])


def test_padding():
    left, right = (pad([[5, 6, 7], [8]], side, "cpu", fill=1) for side in ("left", "right"))
    assert left.ids.tolist() == [[5, 6, 7], [1, 1, 8]] and left.mask.tolist() == [[1, 1, 1], [0, 0, 1]]
    assert right.ids.tolist() == [[5, 6, 7], [8, 1, 1]] and right.mask.tolist() == [[1, 1, 1], [1, 0, 0]]
    assert left.positions[1, 2] == 0 and left.positions[0].tolist() == [0, 1, 2]
    with pytest.raises(ValueError, match="side"):
        pad([[1]], "middle", "cpu")


def test_an_answer_is_what_follows_a_prompt_whatever_the_tokenizer_puts_before_a_text():
    """Of the Llama 2 kind: a beginning of text, and a space before every text of its own."""
    from tokenizers import Tokenizer, decoders, models, normalizers, processors
    from transformers import PreTrainedTokenizerFast

    vocabulary = {"<s>": 0, "<unk>": 1, "▁": 2, "x": 3, "▁x": 4, "▁Paris": 5, "▁is": 6, "P": 7}
    core = Tokenizer(models.WordPiece(vocabulary, unk_token="<unk>", continuing_subword_prefix=""))
    core.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    core.post_processor = processors.TemplateProcessing("<s> $A", special_tokens=[("<s>", 0)])
    core.decoder = decoders.Metaspace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, bos_token="<s>", eos_token="<s>")
    assert tokenizer(" Paris", add_special_tokens=False)["input_ids"] == [2, 5]
    assert answer_ids(tokenizer, ["Paris", " Paris "]) == [[5], [5]]
    assert prompt_ids(tokenizer, ["x is"]) == [[0, 4, 6]]
    assert (
        prompt_ids(tokenizer, ["x is"])[0] + answer_ids(tokenizer, ["Paris"])[0]
        == prompt_ids(tokenizer, ["x is Paris"])[0]
    )
