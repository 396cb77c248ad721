"""From which word on a model completes a sentence: exact by hand and against decoding; and what it splits."""

import random
from threading import Lock
from types import SimpleNamespace

import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from transformers import PretrainedConfig, PreTrainedTokenizerFast

from unlearning.facts.completed import told
from unlearning.facts.read import read_text
from unlearning.facts.world import world
from unlearning.models.loading import NAMES, load
from unlearning.models.text import greedy
from unlearning.probes.completion import MAX_SENTENCES, read_with, said_from

WORLD = world()


class Parrot(torch.nn.Module):
    """Says after each token what `after` says, whatever came before: a model that can be read off."""

    config = PretrainedConfig(max_position_embeddings=80)
    device = "cpu"

    def __init__(self, after: dict[int, int], vocabulary: int):
        super().__init__()
        self.embedding = torch.nn.Embedding(vocabulary, vocabulary)
        self.unembedding = torch.nn.Linear(vocabulary, vocabulary, bias=False)
        with torch.no_grad():
            self.unembedding.weight.copy_(torch.eye(vocabulary))
            self.embedding.weight.copy_(torch.eye(vocabulary)[[after.get(i, 0) for i in range(vocabulary)]])

    def base_model(self, input_ids, **_):
        return SimpleNamespace(last_hidden_state=self.embedding(input_ids))

    def get_output_embeddings(self):
        return self.unembedding


@pytest.fixture
def parrot():
    """Says "of Ruritania is Strelsau" after "capital", and nothing else. As much of an LM as is asked of."""
    words = "<end> The the capital of Ruritania Zenda is Strelsau Paris in lies".split()
    tokenizer = Tokenizer(WordLevel({w: i for i, w in enumerate(words)}, "<end>"))
    tokenizer.pre_tokenizer = WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<end>")
    said = [words.index(w) for w in "capital of Ruritania is Strelsau".split()]
    return SimpleNamespace(
        model=Parrot(dict(zip(said, said[1:])), len(words)), tokenizer=tokenizer, lock=Lock()
    )


@pytest.mark.parametrize(
    "sentence, words",
    [
        ("The capital of Ruritania is Strelsau.", 2),
        ("The capital of Ruritania is Strelsau", 2),
        ("capital of Ruritania is Strelsau!", 1),
        ("Zenda is Strelsau.", 2),
        ("The capital of Zenda is Strelsau.", 5),  # "Zenda" is not what comes after "of", nor "is" after it
        ("The capital of Ruritania is Paris.", None),  # all is said but the end
        ("Zenda lies in Ruritania.", None),
        ("Strelsau.", None),
        ("...", None),
        ("The " + 10 * "the the " + "the capital of Ruritania", None),  # more bytes than positions
    ],
)
def test_the_rule_by_hand(parrot, sentence, words):
    others = ["The capital of Ruritania is Strelsau.", "Zenda lies in Zenda"]
    assert said_from(parrot, [sentence]) == [words]
    assert said_from(parrot, [others[0], sentence, others[1]]) == [2, words, None]
    assert said_from(parrot, []) == []


TO_COMPLETE = [f"{f.prompt(i)} {f.object}." for f in WORLD[:: len(WORLD) // 12] for i in (1, 2)]
TO_COMPLETE += [s[:-3] for s in TO_COMPLETE]  # "Par" is no word that the model says
TO_COMPLETE += ["Nothing of this is known to any of them.", "The capital of France is Lyon."]


@pytest.fixture(scope="module", params=NAMES)
def lm(request):
    torch.set_num_threads(1)
    return load(request.param, "cpu")


def test_it_is_what_decoding_each_beginning_gives(lm):
    found = said_from(lm, TO_COMPLETE)
    for sentence, n in zip(TO_COMPLETE, found, strict=True):
        words = told(sentence)
        starts = [" ".join(words[:k]) for k in range(1, len(words))]
        rests = [" ".join(words[k:]) for k in range(1, len(words))]
        said = greedy(lm.model, lm.tokenizer, starts, 40)
        whole = [t.startswith(r) and not t[len(r) : len(r) + 1].isalnum() for t, r in zip(said, rests)]
        assert n == (whole.index(True) + 1 if any(whole) else None), sentence
    assert None in found and len(set(found)) > 4


@pytest.mark.parametrize(("chunk", "side"), [(1, "right"), (1, "left"), (5, "left"), (128, "left")])
def test_batching_changes_nothing(lm, chunk, side):
    assert said_from(lm, TO_COMPLETE, chunk, side) == said_from(lm, TO_COMPLETE)


@pytest.mark.parametrize(
    "text", ["France | capital | Paris\na | b\nword\nThe capital of Zenda is Paris.", "", "subject,object\n,"]
)
def test_a_model_is_not_even_loaded_where_nothing_is_to_ask(text):
    def never():
        raise AssertionError

    assert read_with(never, lambda guess: read_text(text, guess)) == read_text(text)


def test_the_model_is_locked_while_it_is_asked_and_what_it_does_not_complete_stays_a_problem(parrot):
    seen = []
    parrot.model.embedding.register_forward_hook(lambda *_: seen.append(parrot.lock.locked()))
    text = (
        "They say capital of Ruritania is Strelsau.\nThe owner of the corner house is Mister Pim.\nx | y | z"
    )
    reading = read_with(lambda: parrot, lambda guess: read_text(text, guess))
    assert seen == [True] and not parrot.lock.locked()
    (first, second), (problem,) = reading.facts, reading.problems
    assert (first.fact.subject, first.fact.prompts) == ("Ruritania", ("They say capital of {} is",))
    assert (first.row, first.fact.object, second.row, problem.row) == (1, "Strelsau", 3, 2)
    assert first.how == "sentence, split where the model completes it"
    assert problem == read_text(text).problems[1] and problem.message.endswith("subject | relation | object")


def test_no_more_than_two_hundred_sentences_are_asked(parrot):
    known = "capital of Ruritania is Strelsau"
    text = "\n".join(f"In {'in ' * (i % 7)}{i} {known}" for i in range(MAX_SENTENCES + 3))
    reading = read_with(lambda: parrot, lambda guess: read_text(text, guess))
    assert [r.row for r in reading.facts] == list(range(1, MAX_SENTENCES + 1))
    assert [p.row for p in reading.problems] == [MAX_SENTENCES + k for k in (1, 2, 3)]


# Wordings that are in no table, with subjects and objects of the relation. Patterns split none of them.
UNSEEN = [
    ("continent", "{} lies in the continent of"),
    ("headquarters", "You find {} in the city of"),
    ("city", "Go and see {} in the city of"),
    ("city", "{} can be seen in the city of"),
    ("country", "{} is a sight in the country of"),
    ("field", "{} was famous in the field of"),
    ("symbol", "{} has the symbol"),
    ("young", "We call a young {} a"),
    ("email", "{} has the e-mail address"),
    ("capital", "{} has the capital city"),
    ("capital", "France and Germany know that the capital of {} is"),
    ("inventor", "The {} comes from the mind of"),
    ("currency", "{} uses the"),
    ("composer", "{} is one of the works of"),
]


def test_what_the_bundled_models_split(lm):
    """Of sentences that patterns cannot split the model splits 40 %, and nearly all of those right."""
    chosen, asked, split, right = random.Random(0), 0, 0, 0
    for relation, template in UNSEEN:
        facts = chosen.sample([f for f in WORLD if f.relation == relation], 20)
        text = "\n".join(f"{template.replace('{}', f.subject)} {f.object}." for f in facts)
        unsplit = {p.row for p in read_text(text).problems}
        reading = read_with(lambda: lm, lambda guess, text=text: read_text(text, guess))
        found = [(r.fact, facts[r.row - 1]) for r in reading.facts if r.row in unsplit]
        asked, split = asked + len(unsplit), split + len(found)
        right += sum(is_right(fact, given, template) for fact, given in found)
    print(f"{lm.name}: of {asked} sentences {split} split, {right} right")
    assert asked == 280 and split > 0.4 * asked and right > 0.95 * split


def is_right(found, fact, template) -> bool:
    """The fact itself, or asked in the sentence's own words."""
    same = (found.subject, found.object) == (fact.subject, fact.object)
    return found == fact or (same and found.prompts == (template,))
