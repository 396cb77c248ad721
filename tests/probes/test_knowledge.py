import copy
from dataclasses import replace
from math import exp, log

import pytest
import torch

from unlearning.facts.fact import Fact, contains
from unlearning.models.text import MAX_NEW, Scored, answer_ids, greedy, greedy_within, window
from unlearning.probes import opening
from unlearning.probes.knowledge import (
    accuracy,
    answer_probability,
    answers,
    ask,
    f1,
    first_token_nll,
    judged,
    knows,
    paraphrase_accuracy,
    paraphrases,
    probability,
    qa_f1,
    scored,
    share,
    told,
)

FRANCE = Fact(
    "France", "capital", ("Paris",), ("The capital of {} is", "{}'s capital is"), ("{} is ruled from",)
)


def slow_knows(lm, prompts, facts):
    """Each for its own number of tokens."""
    ids = answer_ids(lm.tokenizer, [f.object for f in facts])
    asked = [(p, window(len(i))) for p, i in zip(prompts, ids, strict=True)]
    texts = [greedy(lm.model, lm.tokenizer, [p], n)[0] for p, n in asked]
    return [contains(t, f.objects) for t, f in zip(texts, facts, strict=True)]


def test_ask():
    assert ask([FRANCE]) == ["The capital of France is"]
    assert ask([FRANCE], 1) == ["France's capital is"]
    assert ask([FRANCE], ["Where is {}?"]) == ["Where is France?"]
    with pytest.raises(ValueError):
        ask([FRANCE], ["{} is", "one {} too many"])


@pytest.mark.parametrize(
    ("text", "whole", "verdict"),
    [
        (" Paris.", False, True),
        (" Paris", True, True),
        (" Parisi", False, None),  # no Paris here, but it may come yet
        (" Parisi", True, False),
        (" Paris", False, None),  # the next token is not to be seen, and what follows it may be a letter
        (" Paris\N{REPLACEMENT CHARACTER}", False, None),  # half a character, which may be a letter
        (" Lutetia or", False, True),
    ],
)
def test_what_an_opening_tells(text, whole, verdict):
    assert told(opening.Opening(text, whole), ("Paris", "Lutetia")) is verdict


def test_the_fast_path_equals_the_slow_one(tiny, said, monkeypatch):
    prompts = ask(said)
    expected = slow_knows(tiny, prompts, said)
    generated = []
    monkeypatch.setattr(opening, "greedy_within", lambda *a: generated.extend(a[2]) or greedy_within(*a))
    assert knows(tiny, prompts, said) == expected
    forced = [all(s.best) for s in scored(tiny, said)]
    assert sum(expected) > 100 and expected.count(False) > 100
    # Not vacuous: some were settled without generating, and argmax on the whole object was not enough
    # everywhere, because the model went on with the same word ("Paris" in "Parisian").
    assert len(said) - len(generated) > 10
    assert any(f and not e for f, e in zip(forced, expected, strict=True))


def test_the_fast_path_settles_objects_of_ten_tokens_and_ends_of_text(tiny, said, monkeypatch):
    ten = [f for f in said if len(answer_ids(tiny.tokenizer, [f.object])[0]) == MAX_NEW]
    ten = [f for f, s in zip(ten, scored(tiny, ten), strict=True) if all(s.best)]
    assert ten
    expected = slow_knows(tiny, ask(ten), ten)
    nothing = lambda *a: [pytest.fail("nothing is left to generate") for _ in a[2]]  # noqa: E731
    monkeypatch.setattr(opening, "greedy_within", nothing)
    assert knows(tiny, ask(ten), ten) == expected
    found = scored(tiny, said)
    ended = [f for f, s in zip(said, found, strict=True) if all(s.best)][:1]
    tokenizer = copy.deepcopy(tiny.tokenizer)
    tokenizer.eos_token = tokenizer.convert_ids_to_tokens(scored(tiny, ended)[0].then)
    assert knows(replace(tiny, tokenizer=tokenizer), ask(ended), ended) == [True]


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("chunk", [1, 7])
def test_batching_changes_nothing(tiny, said, facts, side, chunk):
    few, kw = said[::60], {"chunk": chunk, "side": side}
    assert knows(tiny, ask(few), few, **kw) == knows(tiny, ask(few), few)
    assert answers(tiny, few, **kw) == answers(tiny, few)
    assert qa_f1(tiny, few, **kw) == qa_f1(tiny, few)
    assert paraphrases(tiny, facts[::8], **kw) == paraphrases(tiny, facts[::8])
    assert answer_probability(tiny, few, **kw) == pytest.approx(answer_probability(tiny, few), rel=1e-3)
    assert first_token_nll(tiny, few, **kw) == pytest.approx(first_token_nll(tiny, few), abs=1e-4)


def test_what_was_said_is_the_greedy_answer_as_far_as_it_was_read(tiny, said):
    prompts = ask(said)
    whole = answers(tiny, said)
    for fact, text, j in zip(said, whole, judged(tiny, prompts, said), strict=True):
        assert text.startswith(j.said.rstrip(opening.LOST)) and j.right == contains(text, fact.objects)
        assert contains(j.said, fact.objects) if j.right else j.said == text


def test_any_accepted_object_counts(tiny, said):
    first = next(f for f, k in zip(said, knows(tiny, ask(said), said), strict=True) if k)
    both = Fact(first.subject, first.relation, ("Nowhere at all", first.object), first.prompts)
    wrong = Fact(first.subject, first.relation, ("Nowhere at all",), first.prompts)
    assert knows(tiny, ask([both, wrong]), [both, wrong]) == [True, False]
    assert accuracy(tiny, [both, wrong]).accuracy == 0.5
    assert qa_f1(tiny, [both])[0] >= qa_f1(tiny, [first])[0]


def test_paraphrases_by_hand(tiny, said):
    known = next(f for f, k in zip(said, knows(tiny, ask(said), said), strict=True) if k)
    half = Fact(known.subject, "r", known.objects, known.prompts, (known.prompts[0], "No {} no no no"))
    none = Fact(known.subject, "r", known.objects, known.prompts)
    whole = Fact(known.subject, "r", known.objects, known.prompts, (known.prompts[0],))
    other = slow_knows(tiny, [f"No {known.subject} no no no"], [half])[0]
    found = paraphrases(tiny, [half, none, whole])
    assert [len(some) for some in found] == [2, 0, 1]
    assert share(found[0]) == (1 + other) / 2 and share(found[2]) == 1.0
    assert paraphrase_accuracy(tiny, [half, none, whole]).accuracy == ((1 + other) / 2 + 1) / 2
    assert paraphrase_accuracy(tiny, [half, none, whole]).n == 2
    assert paraphrase_accuracy(tiny, [none]).accuracy is None


def test_f1_by_hand():
    # "The city of Paris, France." -> city of paris france; "Paris" -> paris: precision 1/4, recall 1, F1 2/5.
    assert f1("The city of Paris, France.", ["Paris"]) == pytest.approx(0.4)
    # the best of the accepted: against "paris france" precision 2/4, recall 1, F1 2/3.
    assert f1("The city of Paris, France.", ["Paris", "Paris, France", "Rome"]) == pytest.approx(2 / 3)
    assert f1("AN U.S. president!", ["the US President"]) == 1  # articles, marks and case do not count
    assert f1("paris paris", ["Paris"]) == pytest.approx(2 / 3)  # a word counts as often as it stands there
    assert f1("Rome", ["Paris"]) == f1("", ["Paris"]) == 0
    assert f1("theatre", ["atre"]) == 0  # an article is a whole word


def test_probability_by_hand():
    # two tokens of 1/2 and 1/8: the geometric mean is sqrt(1/16) = 1/4
    assert probability(Scored((log(1 / 2), log(1 / 8)), (True, False), 0)) == pytest.approx(0.25)


def test_probabilities_equal_a_plain_loop(tiny, facts):
    found = answer_probability(tiny, facts[:8], 1), first_token_nll(tiny, facts[:8], 1)
    for f, p, nll in zip(facts[:8], *found, strict=True):
        ids = tiny.tokenizer(f.prompt(1))["input_ids"]
        goal = tiny.tokenizer(" " + f.object, add_special_tokens=False)["input_ids"]
        logp = []
        for t, token in enumerate(goal):
            logits = tiny.model(input_ids=torch.tensor([ids + goal[:t]])).logits[0, -1]
            logp.append(logits.log_softmax(-1)[token].item())
        assert p == pytest.approx(exp(sum(logp) / len(logp)), rel=1e-3)
        assert nll == pytest.approx(-logp[0], abs=1e-4)


def test_a_model_that_knows_nothing_knows_nothing(tiny, facts):
    found = accuracy(tiny, facts)
    assert found.accuracy <= 0.05 and found.n == len(facts) and found.high > 0


def test_no_facts(tiny):
    assert accuracy(tiny, []).n == 0 and answers(tiny, []) == [] and qa_f1(tiny, []) == []


def test_an_answer_of_many_tokens_is_looked_for_in_as_many(tiny, facts):
    """TOFU's answers are sentences: 10 greedy tokens can never hold them."""
    some = facts[:40]
    texts = greedy(tiny.model, tiny.tokenizer, ask(some), 12)
    long = [Fact(f.subject, f.relation, (t,), f.prompts) for f, t in zip(some, texts, strict=True) if t]
    ids = answer_ids(tiny.tokenizer, [f.object for f in long])
    long = [f for f, i in zip(long, ids, strict=True) if len(i) > MAX_NEW]
    assert len(long) > 5
    windows = [window(len(i)) for i in answer_ids(tiny.tokenizer, [f.object for f in long])]
    said = [
        greedy(tiny.model, tiny.tokenizer, [f.prompt()], w)[0] for f, w in zip(long, windows, strict=True)
    ]
    expected = [contains(t, f.objects) for t, f in zip(said, long, strict=True)]
    assert any(expected) and answers(tiny, long) == said
    assert knows(tiny, ask(long), long) == expected == knows(tiny, ask(long), long, chunk=3, side="right")
    assert [window(n) for n in (0, 1, 10, 11, 20, 21)] == [10, 10, 10, 20, 20, 30]
