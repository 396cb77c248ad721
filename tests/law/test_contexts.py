"""The lookup token is where it should be, and what is read there does not depend on the batch."""

import pytest
import torch

from unlearning.facts.fact import Fact
from unlearning.facts.world import relations, world
from unlearning.law.contexts import POSITIONS, build, keys, prefixes, residuals
from unlearning.models.hooks import inputs_of, outputs_of

PREFIXES = ("It rained all day.", "Then, 12 + 5 = 17.")
AWKWARD = (  # letters of several tokens; subjects that occur in the phrasing as well
    Fact(
        "Zürich", "river", ("Limmat",), ("The river of {} is", "Through {} flows the", "{}: river?", "Aus {}")
    ),
    Fact("Pelé", "sport", ("football",), ("The sport of {} is", "{} plays", "{}'s game is", "Sport von {}")),
    Fact("日本", "capital", ("Tokyo",), ("The capital of {} is", "{} has as its capital", "{}")),
    Fact(
        "a", "place", ("first",), ("The letter {} has a place as a letter in a row, namely", "As for {}, a")
    ),
)


def sample():
    """One fact of every relation, and awkward ones."""
    facts = [next(f for f in world()[i * 7 :] if f.relation == r.name) for i, r in enumerate(relations())]
    return [*facts, *AWKWARD]


def decoded(lm, ids):
    return lm.tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False).lstrip()


@pytest.mark.parametrize("position", POSITIONS)
def test_the_lookup_token_ends_with_the_subject_or_the_prompt(tiny, position):
    facts = sample()
    contexts = build(tiny, facts, position, 6, PREFIXES)
    row = 0
    for fact in facts:
        for template in fact.prompts:
            for head in ("", *(p + " " for p in PREFIXES)):
                before = template.split("{}")[0]
                text = head + template.replace("{}", fact.subject)
                upto = head + before + fact.subject if position == "subject" else text
                ids, at = contexts.ids[row], contexts.lookup[row]
                assert decoded(tiny, ids) == text
                assert decoded(tiny, ids[: at + 1]).startswith(upto)
                assert not decoded(tiny, ids[:at]).startswith(upto)
                assert position == "subject" or at == len(ids) - 1
                row += 1
    assert row == len(contexts.ids)


def test_a_group_is_a_fact_or_a_phrasing_of_it(tiny):
    facts = sample()
    by_subject = build(tiny, facts, "subject", 3, PREFIXES)
    assert by_subject.fact_of == tuple(range(len(facts)))
    by_prompt = build(tiny, facts, "prompt", 3, PREFIXES)
    assert by_prompt.fact_of == tuple(i for i, f in enumerate(facts) for _ in f.prompts[:3])
    assert [by_prompt.group.count(g) for g in range(by_prompt.n)] == [1 + len(PREFIXES)] * by_prompt.n
    assert by_subject.ids == by_prompt.ids


def slow(lm, contexts, watch, module):
    """Mean over each group, one text at a time."""
    sums = [0.0] * contexts.n
    for ids, at, g in zip(contexts.ids, contexts.lookup, contexts.group, strict=True):
        with torch.no_grad(), watch({0: module}) as seen:
            lm.model(torch.tensor([ids]))
        sums[g] = sums[g] + seen[0][0, at].double()
    return torch.stack([s / contexts.group.count(g) for g, s in enumerate(sums)], 1)


@pytest.mark.parametrize("position", POSITIONS)
def test_keys_and_residuals_are_those_of_one_text_at_a_time(tiny, some_facts, position):
    contexts = build(tiny, some_facts, position, 2, PREFIXES[:1])
    K_slow = {i: slow(tiny, contexts, inputs_of, tiny.adapter.down_module(tiny.model, i)) for i in (0, 1)}
    H_slow = {i: slow(tiny, contexts, outputs_of, tiny.adapter.layer_module(tiny.model, i)) for i in (0, 1)}
    for chunk in (1, 3, 256):
        K = keys(tiny, contexts, [0, 1], chunk)
        for i in (0, 1):
            assert K[i].dtype == torch.float64
            assert torch.allclose(K[i], K_slow[i], atol=1e-5, rtol=1e-4)
            assert torch.allclose(keys(tiny, contexts, [i], chunk)[i], K_slow[i], atol=1e-5, rtol=1e-4)
            assert torch.allclose(residuals(tiny, contexts, i, chunk), H_slow[i], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("position", POSITIONS)
def test_contexts_of_some_facts_are_columns_of_the_whole(tiny, some_facts, position):
    contexts, wanted = build(tiny, some_facts, position, 2, PREFIXES[:1]), [1, 4, 5]
    part = contexts.of_facts(wanted)
    columns = [g for g, i in enumerate(contexts.fact_of) if i in wanted]
    assert part.fact_of == tuple(contexts.fact_of[g] for g in columns)
    assert set(part.group) == set(range(part.n))
    whole = keys(tiny, contexts, [1])[1]
    assert torch.allclose(keys(tiny, part, [1])[1], whole[:, columns], atol=1e-5, rtol=1e-4)
    assert contexts.of_facts(range(len(some_facts))) == contexts
    assert contexts.of_facts([]).n == 0


def test_prefixes_are_short_sentences_and_the_seeds_choice(tiny):
    texts = [f"Some story of number {i} goes on. It ends at last." for i in range(30)] + ["Too short."]
    drawn = prefixes(tiny, texts, 5, 1)
    assert len(set(drawn)) == 5 and all(p.startswith("Some story") and p.endswith("goes on.") for p in drawn)
    assert drawn == prefixes(tiny, texts, 5, 1) != prefixes(tiny, texts, 5, 2)
    assert len(prefixes(tiny, texts, 100, 1)) == 30


def test_an_unknown_position_is_refused(tiny, some_facts):
    with pytest.raises(ValueError, match="position"):
        build(tiny, some_facts, "middle")


def test_a_prompt_without_a_token_is_refused(tiny):
    with pytest.raises(ValueError, match="no token"):
        build(tiny, [Fact(" ", "nothing", ("x",), ("{}",))], "prompt")
