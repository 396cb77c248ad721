import random
from dataclasses import replace
from math import exp, log

import pytest

from unlearning.facts.fact import Fact
from unlearning.facts.world import world
from unlearning.models.text import score
from unlearning.probes.truth_ratio import brought, perturbed, ratio, truth_ratio


def test_by_hand():
    # right answer 1/2, wrong ones 1/4 and 1/8: mean 3/16, over 1/2: 3/8
    assert ratio(log(1 / 2), [log(1 / 4), log(1 / 8)]) == pytest.approx(3 / 8)
    assert ratio(-1e6, [-1.0]) > 1e300  # a destroyed model gives a large number, no error


def test_wrong_answers_are_of_the_relation_and_never_accepted():
    for f in world()[::17]:
        wrong = perturbed(f, world())
        objects = {o for g in world() if g.relation == f.relation for o in g.objects}
        assert set(wrong) <= objects and not {w.casefold() for w in wrong} & {o.casefold() for o in f.objects}
        assert len(set(wrong)) == len(wrong) <= 5


def test_wrong_answers_depend_on_the_seed_and_not_on_the_order():
    pool = list(world())
    f = pool[3]
    first = perturbed(f, pool)
    random.Random(0).shuffle(pool)
    assert perturbed(f, pool) == first
    assert any(perturbed(f, pool, seed=s) != first for s in (1, 2, 3))


def test_another_spelling_of_an_accepted_answer_is_not_wrong():
    a = Fact("A", "r", ("Big Ben", "the clock"), ("{} is",))
    b = Fact("B", "r", ("BIG BEN",), ("{} is",))
    c = Fact("C", "r", ("a tower", "The Clock"), ("{} is",))
    other = Fact("D", "another relation", ("a bridge",), ("{} is",))
    assert perturbed(a, [a, b, c, other]) == ["a tower"]


@pytest.mark.parametrize(("chunk", "side"), [(1, "left"), (1, "right"), (128, "left"), (128, "right")])
def test_equals_a_loop_over_single_answers_in_any_batch(tiny, chunk, side):
    facts = list(world()[::150])
    alone = Fact("Nobody", "nothing like it", ("x",), ("{} is",))
    found = truth_ratio(tiny, [*facts, alone], world(), chunk=chunk, side=side)
    assert found[-1] is None
    for f, value in zip(facts, found, strict=False):

        def p(answer, fact=f):
            (s,) = score(
                tiny.model, tiny.tokenizer, [fact.paraphrases[0].replace("{}", fact.subject)], [answer]
            )
            return exp(sum(s.logp) / len(s.logp))

        wrong = perturbed(f, world())
        assert value == pytest.approx(sum(map(p, wrong)) / len(wrong) / p(f.object), rel=1e-3)


@pytest.mark.parametrize("chunk", [1, 128])
def test_a_files_own_answers_are_asked_behind_its_own_question(tiny, chunk):
    plain, *rest = world()[:4]
    first = replace(plain, wrong=("a baker", "two poets"), reworded="He is a civil engineer")
    second = replace(rest[0], wrong=("nobody",))
    found = brought(tiny, [first, rest[1], second], chunk)
    assert [f for f, _ in found] == [first, second]
    for (fact, value), right in zip(found, (first.reworded, second.object), strict=True):
        logs = [
            sum(s.logp) / len(s.logp)
            for a in (right, *fact.wrong)
            for s in score(tiny.model, tiny.tokenizer, [fact.prompt()], [a])
        ]
        assert value == pytest.approx(ratio(logs[0], logs[1:]), rel=1e-3)


def test_the_pool_is_the_facts_themselves_by_default(tiny):
    facts = list(world()[:12])
    assert truth_ratio(tiny, facts) == pytest.approx(truth_ratio(tiny, facts, facts))
