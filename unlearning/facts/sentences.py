"""Splitting a sentence that states a fact: known phrasings first, then known subjects."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from .fact import Fact
from .triples import (
    ARTICLES,
    Unclear,
    accepts,
    bundled_fact,
    fold,
    known,
    prompt_fact,
    subject_key,
    template_from,
    template_key,
    without_article,
)
from .world import Relation, relations

Guess = Callable[[str], tuple[str, str, str] | None]

QUESTION = re.compile(r"(?:q(?:uestion)?:\s*)?([^?]+\?)\s*(?:a(?:nswer)?:\s*)?(.+)", re.IGNORECASE)
# "D.C." and "Strauss Jr." keep their full stop; strontium's "Sr." at the end of a sentence does not.
ABBREVIATION = re.compile(r"(?:\b\w\.){2,}$|\w,? (?:Jr|Sr|Inc|Ltd|Co|Corp|Bros)\.$")
# Words that an object may follow. "of" only where it is alone: in "is the Bank of England" it is in a name.
LINKS = {"is", "are", "was", "were", "called", "named"}
LINKS |= {"in", "on", "at", "by", "of", "to", "from", "with", "as", "for"}
MAX_OBJECT_WORDS = 6
MAX_HEAD = 300  # characters: subject and phrasing lie in these
ADVICE = "could not be split into subject, relation and object: write it as subject | relation | object"


@dataclass(frozen=True)
class Pattern:
    """A template in two halves, in `fold`ed letters: prefix + subject + suffix + object."""

    prefix: str
    suffix: str
    article: bool  # an article may stand before the object
    relation: Relation


@cache
def patterns() -> dict[str, list[Pattern]]:
    """Every bundled phrasing and paraphrase, by its prefix."""
    found: dict[str, list[Pattern]] = {}
    for r in relations():
        for template in r.phrasings + r.paraphrases:
            body, article = without_article(fold(template))
            prefix, suffix = body.split("{}")
            found.setdefault(prefix, []).append(Pattern(prefix, suffix + " ", article, r))
    return found


def split_sentence(sentence: str, models_guess: Guess | None = None) -> tuple[Fact, str]:
    """The fact a sentence states, and how it was found. Raises Unclear when it could not be split.

    `models_guess(sentence)` gives (subject, prompt, object) or None and is asked last.
    """
    sentence = " ".join(sentence.split())
    if "{}" in sentence:
        raise Unclear("", ADVICE)
    question = QUESTION.fullmatch(sentence)
    variants = [f"Q: {question[1]} A: {question[2]}", sentence] if question else [sentence]
    match = by_phrasing(variants)
    if match:
        relation, subject, answer = match
        return bundled_fact(relation, subject, answer), f"sentence, known phrasing of '{relation.name}'"
    match = by_question(question[1], question[2]) if question else by_subject(sentence)
    if match:
        subject, template, answer = match
        fact = mentioned(template, subject, answer)
        if fact is not None:
            return fact, f"sentence, known subject and relation '{fact.relation}'"
        return Fact(subject, template, (answer,), (template,)), "sentence, known subject"
    guess = models_guess(sentence) if models_guess else None
    if guess and all(part.strip() for part in guess):
        subject, prompt, answer = (" ".join(part.split()) for part in guess)
        template = template_from(prompt, subject)
        if template and "{}" not in subject + answer:
            fact = mentioned(template, subject, answer) or prompt_fact(subject, template, answer)[0]
            return fact, "sentence, split where the model completes it"
    raise Unclear("", ADVICE)


def by_phrasing(variants: list[str]) -> tuple[Relation, str, str] | None:
    """Relation, subject and object by the longest bundled phrasing that fits, known subjects first."""
    unknown = None
    for sentence in variants:
        head = fold(sentence[:MAX_HEAD])
        groups = [group for prefix, group in patterns().items() if head.startswith(prefix)]
        fitting = [p for group in groups for p in group if p.suffix in head]
        for p in sorted(fitting, key=lambda p: -len(p.prefix) - len(p.suffix)):
            start = len(p.prefix)
            end = head.find(p.suffix, start)
            while end >= 0:
                subject = sentence[start:end].strip()
                at_home = known().subjects.get(subject_key(subject), ("",))[0] == p.relation.table
                answer = bare(sentence[end + len(p.suffix) :], p.article) if at_home or not unknown else ""
                if subject and answer:
                    if at_home:
                        return p.relation, subject, answer
                    unknown = p.relation, subject, answer
                end = head.find(p.suffix, end + 1)
    return unknown


def by_subject(sentence: str) -> tuple[str, str, str] | None:
    """Subject, template and object of a sentence about one known subject that ends in its object, or None.

    The object follows the last copula or preposition. Another known subject may only be part of the object.
    """
    places = subjects_in(sentence) if len(sentence) <= MAX_HEAD else []
    if not places:
        return None
    start, end, subject = places[0]
    links = [m for m in re.finditer(r"[^\W\d_]+", sentence) if m.start() > end and m[0].lower() in LINKS]
    if not links or (links[-1][0].lower() == "of" and len(links) > 1):
        return None
    cut = links[-1].end()
    answer = bare(sentence[cut:], article=True)
    if not 0 < len(answer.split()) <= MAX_OBJECT_WORDS:
        return None
    object_at = sentence.rindex(answer)
    if any(other[0] < cut for other in places[1:]):
        return None
    return subject, sentence[:start] + "{}" + sentence[end:object_at].rstrip(), answer


def by_question(question: str, answer: str) -> tuple[str, str, str] | None:
    """Subject, template and object of a question about one known subject, and its answer, or None."""
    places, answer = subjects_in(question[:MAX_HEAD]), bare(answer, article=False)
    if len(places) != 1 or not answer:
        return None
    start, end, subject = places[0]
    return subject, f"Q: {question[:start]}{{}}{question[end:]} A:", answer


def subjects_in(sentence: str, any_case: bool = False) -> list[tuple[int, int, str]]:
    """Start, end and canonical spelling of every known subject in the sentence, the longest at each place.

    A single word must also agree in case, unless `any_case`: "lead" is an element, but "trial" is no book.
    """
    folded, found, at = fold(sentence), [], 0
    for word in re.finditer(r"\w+", folded):
        if word.start() < at:
            continue
        for key, subject in subjects_by_first_word().get(word[0], ()):
            end = word.start() + len(key)
            if not folded.startswith(key, word.start()) or (end < len(folded) and folded[end].isalnum()):
                continue
            written = sentence[word.start() : end]
            if any_case or " " in key or written in subject or word.start() == 0:
                found.append((word.start(), end, subject))
                at = end
                break
    return [(with_the(folded, start, subject), end, subject) for start, end, subject in found]


def with_the(folded: str, start: int, subject: str) -> int:
    """Where the subject begins, with the "The" of a title that has one."""
    return start - 4 if subject.startswith("The ") and folded[:start].endswith("the ") else start


@cache
def subjects_by_first_word() -> dict[str, list[tuple[str, str]]]:
    """First word -> (key, canonical spelling) of the known subjects that begin with it, longest first."""
    index: dict[str, list[tuple[str, str]]] = {}
    for key, (_, subject) in known().subjects.items():
        if first := re.match(r"\w+", key):
            index.setdefault(first[0], []).append((key, subject))
    for entries in index.values():
        entries.sort(key=lambda entry: -len(entry[0]))
    return index


def mentioned(template: str, subject: str, answer: str) -> Fact | None:
    """The bundled fact that the template names by its relation and the answer agrees with."""
    words = f" {template_key(template).replace('{}', ' ').replace('-', ' ')} "
    named = {r for spelling, rs in known().words.items() if f" {spelling} " in words for r in rs}
    facts = [known().facts.get((subject_key(subject), r.name)) for r in named]
    agreeing = [f for f in facts if f is not None and accepts(f, answer)]
    return agreeing[0] if len(agreeing) == 1 else None


def bare(answer: str, article: bool) -> str:
    """The answer without its full stop and, if asked, without a leading article; "" if no word is left."""
    answer = answer.strip()
    if answer.endswith((".", "!")) and not ABBREVIATION.search(answer):
        answer = answer[:-1].rstrip()
    if article:
        found = next((a for a in ARTICLES if fold(answer).startswith(a[1:] + " ")), "")
        answer = answer[len(found) :].lstrip()
    return answer if any(c.isalnum() for c in answer) else ""
