"""What a fact is: a subject, a way to ask, and the answers that count as right."""

import re
from dataclasses import dataclass

# Scripts that set no space after each word, as ranges of Unicode: Thai to Burmese; Khmer; Chinese and
# Japanese; and Korean, which sets none between a name and its particle.
UNSPACED = (
    "\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff"
    "\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f"
    "\U00020000-\U0003ffff"
    "\u1100-\u11ff\u3130-\u318f\uac00-\ud7af"
)


@dataclass(frozen=True)
class Question:
    """A whole prompt and the answers that count as right: what a file asks besides its facts."""

    prompt: str
    objects: tuple[str, ...]

    @property
    def object(self) -> str:
        return self.objects[0]


@dataclass(frozen=True)
class Fact:
    """One triple (s, r, o), e.g. ("France", "The capital of {} is", "Paris").

    `prompts` are the phrasings an engine may use (the first is the one asked in
    tables); `paraphrases` are kept from every engine and only probed. Each has
    "{}" where the subject goes and ends where the object begins; a paraphrase may
    be a whole text without it. `objects` holds every accepted answer, the taught one
    first. A file may bring `neighbours`, other facts that must stay, `portability`,
    questions whose answers follow from this one, and `wrong` answers, with the right one
    `reworded` as they are; all these are only probed.
    """

    subject: str
    relation: str
    objects: tuple[str, ...]
    prompts: tuple[str, ...]
    paraphrases: tuple[str, ...] = ()
    neighbours: tuple[Question, ...] = ()
    portability: tuple[Question, ...] = ()
    wrong: tuple[str, ...] = ()
    reworded: str = ""

    def __post_init__(self):
        if not self.subject or not self.objects or not self.prompts:
            raise ValueError("a fact needs a subject, at least one object and at least one prompt")
        for template in self.prompts + self.paraphrases:
            if template.count("{}") != 1 and (template in self.prompts or "{}" in template):
                raise ValueError(f"a prompt needs exactly one {{}} for the subject: {template!r}")

    @property
    def object(self) -> str:
        """The taught answer."""
        return self.objects[0]

    @property
    def key(self) -> tuple[str, str]:
        """What makes two facts the same question: subject and relation, in lower case."""
        return self.subject.lower(), self.relation.lower()

    def prompt(self, i: int = 0) -> str:
        """The i-th phrasing with the subject filled in."""
        return fill(self.prompts[i], self.subject)


def fill(template: str, subject: str) -> str:
    """Put the subject into a template; a sentence starts with a capital letter only if it did."""
    return template.replace("{}", subject)


def contains(text: str, answers: tuple[str, ...]) -> bool:
    """Is any of the answers in the text, as whole words, case-insensitive?

    Whole words, so that hydrogen's "H" is not found in "He", nor "1" in "11"; but characters of UNSPACED are
    found wherever they stand.
    """
    return any(re.search(whole(a), text, re.IGNORECASE) for a in answers)


def whole(words: str) -> str:
    """A pattern of words on which, before and after, no other letter or digit of a spaced script follows."""
    spaced = rf"[^\W{UNSPACED}]"
    before = "" if unspaced(words[:1]) else f"(?<!{spaced})"
    after = "" if unspaced(words[-1:]) else f"(?!{spaced})"
    return f"{before}{re.escape(words)}{after}"


def unspaced(character: str) -> bool:
    return re.match(f"[{UNSPACED}]", character) is not None
