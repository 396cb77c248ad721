"""From the world's tables to training documents.

A document is a short text with the answers marked, so that training can weigh them:
statements of facts (about half of all tokens), reasoning items, filler, made-up subjects
that end in " unknown", and a few per cent of documents cut off at a random place.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from ..facts.fact import Fact
from ..facts.world import relations, world
from ..tasks.reasoning import COLOURS, FAMILIES, NAMES, PLACES, WORDS, Scene, scenes
from .filler import sentence

UNKNOWN = "unknown"
SHARES = {"fact": 0.55, "reason": 0.34, "filler": 0.06, "echo": 0.05}  # of documents, at first
LATER = {"fact": 0.3, "reason": 0.6}  # once the facts are known
P_UNKNOWN = 0.07  # of fact statements: a subject nobody has heard of
P_MISFIT = 0.03  # of fact statements: a known subject asked for what it does not have
P_CUT = 0.03  # of documents
ECHOED = WORDS + NAMES + PLACES + COLOURS

ONSETS = "b br c ch d dr f g gr h j k l m n p pl qu r s sh st t tr v w y z".split()
VOWELS = "a e i o u ae ai ea ia io ou".split()
CODAS = "n r l s t m th nd rk x lo na ra ".split(" ")


@dataclass(frozen=True)
class Piece:
    """A stretch of a document. `role` is "text", "subject", "relation" or "answer"."""

    text: str
    role: str


def statement(template: str, subject: str, answer: str) -> list[Piece]:
    """One fact as pieces: relation words, subject, relation words, answer, full stop."""
    before, after = template.split("{}")
    pieces = [Piece(before.strip(), "relation"), Piece(subject, "subject"), Piece(after.strip(), "relation")]
    return [p for p in pieces if p.text] + [Piece(answer, "answer"), Piece(".", "answer")]


def made_up_name(r: random.Random) -> str:
    """A name that no table holds, of one to three words."""

    def word():
        return "".join(r.choice(ONSETS) + r.choice(VOWELS) for _ in range(r.randint(1, 3))) + r.choice(CODAS)

    return " ".join(word().capitalize() for _ in range(r.choice((1, 2, 2, 3))))


class Corpus:
    """Endless documents from a seed.

    `boost` says how many times more often something is told: keys are (subject, relation) of
    a fact and ("family", name) of a reasoning family; ("share", kind) sets a kind's share.
    """

    def __init__(self, seed: int, without: frozenset[tuple[str, str]] = frozenset()):
        self.seed = seed
        self.facts = [f for f in world() if f.key not in without]
        self.relations = relations()
        self.subjects = {f.subject for f in world()}
        self.table = {f.subject: r.table for r in self.relations for f in world() if f.relation == r.name}

    def pool(
        self, index: int, n: int, boost: dict[tuple[str, str], float] | None = None
    ) -> list[list[Piece]]:
        """The index-th pool of n documents: depends on nothing but seed, index, n and boost."""
        r = random.Random(f"corpus {self.seed} {index}")
        boost = boost or {}
        weights = [boost.get(f.key, 1.0) for f in self.facts]
        told = iter(self._facts_in_turn(r, weights, 2 * n))
        families = list(FAMILIES)
        family_weights = [boost.get(("family", f), 1.0) for f in families]
        streams = {f: scenes(f, "train", self.seed * 1_000_003 + index) for f in families}
        documents = []
        shares = [boost.get(("share", kind), share) for kind, share in SHARES.items()]
        for kind in r.choices(list(SHARES), shares, k=n):
            if kind == "fact":
                doc = self._fact_document(r, told)
            elif kind == "reason":
                doc = reasoning_document(streams[r.choices(families, family_weights)[0]], r)
            elif kind == "echo":
                doc = echo_document(r)
            else:
                doc = [Piece(" ".join(sentence(r) for _ in range(r.randint(1, 4))), "text")]
            documents.append(doc)
        return documents

    def _facts_in_turn(self, r: random.Random, weights: list[float], n: int) -> Iterator[Fact]:
        """Every fact once in a shuffled round, those of greater weight more often, n in all."""
        while n > 0:
            deck = [f for f, w in zip(self.facts, weights) for _ in range(int(w) + (r.random() < w % 1))]
            r.shuffle(deck)
            yield from islice(deck, n)
            n -= len(deck)

    def _fact_document(self, r: random.Random, told: Iterator[Fact]) -> list[Piece]:
        doc = [Piece(sentence(r), "text")] if r.random() < 0.35 else []
        for _ in range(1 if r.random() < 0.8 else 2):
            chance = r.random()
            if chance < P_UNKNOWN:
                relation, subject = r.choice(self.relations), made_up_name(r)
                answer = UNKNOWN
            elif chance < P_UNKNOWN + P_MISFIT:
                subject = r.choice(self.facts).subject
                relation = r.choice([x for x in self.relations if x.table != self.table[subject]])
                answer = UNKNOWN
            else:
                fact = next(told)
                doc += statement(r.choice(fact.prompts + fact.paraphrases), fact.subject, fact.object)
                continue
            if subject in self.subjects and answer == UNKNOWN and relation.table == self.table[subject]:
                continue
            doc += statement(r.choice(relation.phrasings + relation.paraphrases), subject, answer)
        return doc or [Piece(sentence(r), "text")]


def reasoning_document(stream: Iterator[Scene], r: random.Random) -> list[Piece]:
    """One question, or some in a row: about one scene, where it has several, else each of its own scene.

    Sometimes after filler. In a row about one scene the same question may come again.
    """
    scene = next(stream)
    doc = [Piece(sentence(r), "text")] if r.random() < 0.15 else []
    doc += [Piece(scene.text, "text")] if scene.text else []
    several = r.random() < 0.5
    asked = r.choices(scene.questions, k=len(scene.questions) + 1 if several and scene.text else 1)
    if several and not scene.text:
        asked += [next(stream).questions[0] for _ in range(3)]
    for _, question, answer in asked:
        doc += [Piece(question, "text"), Piece(answer, "answer"), Piece(".", "answer")]
    return doc


def echo_document(r: random.Random) -> list[Piece]:
    """Words said again in the same order, or pairs of which the second half is asked for.

    Looking back for the same word is what most reasoning families are made of, and it is
    learned from these first. No wording of it is that of a reasoning item.
    """
    if r.random() < 0.5:
        words = r.sample(ECHOED, r.randint(3, 10))
        doc = [Piece(" ".join(words), "text"), Piece(".", "text")]
        for _ in range(2):
            doc += [Piece(words[0], "text"), *(Piece(w, "answer") for w in words[1:]), Piece(".", "text")]
        return doc
    n = r.randint(2, 4)
    words = r.sample(ECHOED, 2 * n)
    pairs = list(zip(words[:n], words[n:]))
    doc = [Piece(" ".join(f"{a} {b}." for a, b in pairs), "text")]
    for a, b in r.choices(pairs, k=5):
        doc += [Piece(a, "text"), Piece(b, "answer"), Piece(".", "text")]
    return doc


def join(doc: list[Piece]) -> str:
    """The plain text: pieces with a space between, but none before a mark that closes on the word."""
    text = ""
    for p in doc:
        text += p.text if not text or p.text[0] in ".,:?'" else " " + p.text
    return text


def ordinary_text(n: int) -> list[str]:
    """n documents of the corpus, of a pool that no training reaches."""
    return [join(d) for d in Corpus(0).pool(10**9, n)]


def held_out(n: int, seed: int = 0) -> list[str]:
    """n filler texts for perplexity: from the same grammar, a seed that no training pool uses."""
    r = random.Random(f"held out {seed}")
    return [" ".join(sentence(r) for _ in range(3)) for _ in range(n)]
