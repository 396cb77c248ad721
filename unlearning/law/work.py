"""How much work a wash is and how much memory it takes, counted from shapes, settings and texts."""

from collections.abc import Sequence
from dataclasses import dataclass

from ..facts.fact import Fact
from ..models.loading import LM
from ..models.text import AT_ONCE, MAX_NEW
from ..pretrain.corpus import held_out
from ..probes.knowledge import ask
from ..probes.reasoning import everything
from ..tasks.reasoning import test_set
from .contexts import groups_at_once
from .experiment import BROUGHT, STRENGTHS, Sizes, brought
from .settings import Settings
from .statistics import scored

SOME = 64  # facts whose length stands for all
SINGLE, DOUBLE = 4, 8  # bytes of a number
TERMS, TRIES = 9, 30  # about so many, of the ascent's series, and for its largest eigenvalue


@dataclass(frozen=True)
class Work:
    """Floating-point operations: of the model's `passes` in its own precision, of `solves` in float64."""

    passes: float = 0.0
    solves: float = 0.0

    def __add__(self, other: "Work") -> "Work":
        return Work(self.passes + other.passes, self.solves + other.solves)


@dataclass(frozen=True)
class Missing:
    """What a run has to measure first: the known facts, C and the keep set's of layers, the probes before."""

    known: bool = False
    C: tuple[int, ...] = ()
    keep: tuple[int, ...] = ()
    probes: bool = False


@dataclass(frozen=True)
class Shape:
    """Weights of one layer (`block`) and of the unembedding (`head`); layers; widths d and f; vocabulary."""

    block: int
    head: int
    layers: int
    d: int
    f: int
    vocabulary: int

    @staticmethod
    def of(lm: LM) -> "Shape":
        block = sum(p.numel() for p in lm.adapter.layer_module(lm.model, 0).parameters())
        vocabulary, d = lm.model.get_output_embeddings().weight.shape
        f = lm.adapter.weight(lm.model, 0).shape[1]
        return Shape(block, vocabulary * d, lm.adapter.n_layers(lm.model), d, f, vocabulary)

    def run(self, tokens: float, said: float = 0.0, layers: int | None = None) -> float:
        """Operations for tokens through so many layers (all), and to read off what `said` of them say.

        Two a weight; attention is left out.
        """
        return 2 * (tokens * self.block * (self.layers if layers is None else layers) + said * self.head)


class Count:
    """The work of each phase of washing these facts, all of them known to the model: a method a phase.

    letters  characters a token
    known    all facts that the model knows; new: what has to be measured
    Raises ValueError when no fact is given.
    """

    def __init__(
        self,
        shape: Shape,
        facts: Sequence[Fact],
        settings: Settings,
        letters: float,
        sizes: Sizes | None = None,
        known: Sequence[Fact] = (),
        new: Missing | None = None,
    ):
        if not facts:
            raise ValueError("no facts are given")
        self.shape, self.settings, self.letters = shape, settings, letters
        self.sizes, self.new = sizes or Sizes(), new or Missing()
        self.n, self.all = len(facts), len(known)
        some = facts[:SOME]
        self.prompt = sum(map(len, ask(some))) / len(some) / letters  # tokens, as the two below
        self.answer = sum(len(f.object) for f in some) / len(some) / letters
        own = {"eos": 1.0, "prior": self.answer}
        self.target = own.get(settings.target, max(1.0, len(settings.target) / letters))
        # the texts that facts are looked up in, and the groups of them that share a key
        phrasings = sum(len(f.prompts[: settings.phrasings]) for f in facts)
        self.texts = phrasings * (1 + settings.prefixes)
        self.groups = phrasings if settings.position == "prompt" else self.n
        self.paraphrases = sum(len(f.paraphrases) for f in facts)
        self.brought = sum(len(brought(facts, name, self.sizes.brought, settings.seed)) for name in BROUGHT)
        self.answers = sum(1 + len(f.wrong) for f in facts if f.wrong)  # of truth ratios
        # what is probed besides, and what is in the keep set or has to be taken out of it
        subjects, own_keys, asked = {f.subject for f in facts}, {f.key for f in facts}, scored(facts, known)
        self.same = sum(f.subject in subjects for f in asked)
        self.retained = min(self.sizes.retained, len(asked) - self.same)
        always = {f.key for f in scored([], known)}
        self.protected = len(known) - len(always)
        self.taken_out = max(0, self.protected + len(asked) - sum(f.key not in own_keys for f in known))
        in_base = sum(f.key in own_keys and f.key not in always for f in known)  # their K Kᵀ is at hand
        if settings.alike and self.n < 2 * in_base:
            self.taken_out += self.n - 2 * in_base

    def statistics(self) -> Work:
        """What is missing of what is measured once about a model."""
        f, tokens, new = self.shape.f, self.settings.moment_tokens, self.new
        work = Work(self.read(self.all) if new.known else 0.0)
        if new.C:
            work += Work(self.shape.run(tokens, 0, new.C[-1] + 1) + len(new.C) * 2 * f**2 * tokens)
        return work + self.keep(self.protected, new.keep)

    def known(self) -> Work:
        return Work(self.say(self.n) + self.read(self.n))

    def before(self) -> Work:
        """With a fact's paraphrases; its own question is asked already."""
        asked = self.read(self.paraphrases) + self.ask_brought()
        return Work(asked + (self.elsewhere() if self.new.probes else 0.0))

    def targets(self) -> Work:
        """The search, with all its steps; and the keep set without what is washed or asked after it."""
        return Work(self.search()) + self.keep(self.taken_out, self.settings.layers)

    def search(self) -> float:
        """Passes of the search: once through all layers, each step there and back through the upper ones."""
        s, n = self.settings, self.texts
        upper = self.shape.layers - 1 - s.layers[-1]
        step = 2 * self.shape.run(n * self.after_lookup(), n * self.target, upper)
        return self.shape.run(n * (self.length() + self.target)) + s.targets.steps * step

    def initial(self) -> Work:
        """K Kᵀ and R Kᵀ, and one solve a layer; keys and residuals of the layers after the first, whose keys
        the search takes down."""
        d, f, s = self.shape.d, self.shape.f, self.settings
        passes = (len(s.layers) - 1) * self.shape.run(self.texts * self.length(), 0, s.layers[-1] + 1)
        sums = 2 * f * (f + d) * self.groups
        return Work(passes, len(s.layers) * (sums + f**3 / 3 + 2 * f**2 * d))

    def law(self) -> Work:
        """A layer's factor and series; the facts are asked between layers, and keys taken of those left."""
        f, layers, rows = self.shape.f, self.settings.layers, min(self.shape.d, self.groups)
        once = f**3 / 3 + TERMS * 4 * rows * f**2 + TRIES * 4 * f**2
        later = (len(layers) - 1) * (2 * f**2 * self.groups + once) + once
        return Work(self.keys(layers[1:]) + (len(layers) - 1) * self.read(self.n), later)

    def after(self) -> Work:
        """All is asked; what is gone has to be said."""
        facts = self.n + self.same + self.retained + self.paraphrases
        said = self.say(self.n + self.paraphrases)
        return Work(self.read(facts) + said + self.ask_brought() + self.elsewhere())

    def curve(self) -> Work:
        part, points = self.sizes.curve, 2 * len(STRENGTHS)  # of LAW and MEMIT
        n, families = min(self.n, part), len(everything(test_set(1, 0)))
        one = self.read(n + min(self.retained, part)) + self.say(n) + self.reason(max(1, part // families))
        return Work(points * one)

    def read(self, facts: float) -> float:
        """Passes over questions and answers."""
        return self.shape.run(facts * (self.prompt + self.answer), facts * (self.answer + 1))

    def say(self, facts: float) -> float:
        """Greedy decoding."""
        return self.shape.run(facts * (self.prompt + MAX_NEW), facts * MAX_NEW)

    def ask_brought(self) -> float:
        """What the file asks besides its facts, as if the model knew none of it."""
        return self.read(self.brought + self.answers) + self.say(self.brought)

    def elsewhere(self) -> float:
        """Reasoning and held-out text."""
        tokens = sum(map(len, held_out(self.sizes.held_out, 0))) / self.letters
        return self.reason(self.sizes.reasoning) + self.shape.run(tokens, tokens)

    def reason(self, each: int) -> float:
        """One pass over so many items of every family."""
        items = everything(test_set(1, 0))
        answers = sum(len(x.answer) for x in items) / self.letters
        tokens = sum(len(x.prompt) for x in items) / self.letters + answers
        return each * self.shape.run(tokens, answers + len(items))

    def keys(self, layers: Sequence[int]) -> float:
        """Of all texts at each layer, every time through the layers up to it."""
        return sum(self.shape.run(self.texts * self.length(), 0, i + 1) for i in layers)

    def keep(self, facts: int, layers: Sequence[int]) -> Work:
        """The keys of so many facts of the keep set, and K Kᵀ."""
        s = self.settings
        if not s.keep or not layers:
            return Work()
        passes = self.shape.run(facts * s.keep_phrasings * self.prompt, 0, layers[-1] + 1)
        return Work(passes, len(layers) * 2 * self.shape.f**2 * self.columns(facts))

    def columns(self, facts: int) -> int:
        """Keys of so many facts of the keep set."""
        return facts * (self.settings.keep_phrasings if self.settings.position == "prompt" else 1)

    def length(self) -> float:
        """Tokens of a text that a fact is looked up in; a prefix is taken to be as long as a prompt."""
        return self.prompt * (1 + self.settings.prefixes / (1 + self.settings.prefixes))

    def after_lookup(self) -> float:
        """Tokens from the lookup token on, with the target: of a prompt about half follows the subject."""
        return self.target + (self.prompt / 2 if self.settings.position == "subject" else 0.0)

    def memory(self) -> int:
        """Bytes beside the model at the peak, by the largest tensors that are there together."""
        d, f, L = self.shape.d, self.shape.f, len(self.settings.layers)
        square = DOUBLE * f**2
        rest = (2 if self.settings.keep else 1) * L * square  # C and the keep set's stay
        measured = len(self.new.keep) * square
        metric = (3 * L + 2) * square if self.settings.keep else (L + 2) * square
        solves = (L + (3 if L == 1 else 4)) * square + DOUBLE * 4 * d * f  # G, λC + G and its factor
        at_once = self.texts / self.groups * min(groups_at_once(d), self.groups)  # texts of a search
        width = self.prompt if self.settings.position == "subject" else self.target  # padded
        upper = self.shape.layers - 1 - self.settings.layers[-1]
        held = width * upper * (16 * d + 4 * f) + 4 * self.target * self.shape.vocabulary
        read_off = 3 * SINGLE * AT_ONCE * self.shape.vocabulary
        return round(rest + max(measured, metric, solves, at_once * SINGLE * held, read_off))
