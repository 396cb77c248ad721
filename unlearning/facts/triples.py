"""From subject, relation and object as people write them to a Fact with its ways to ask."""

from dataclasses import dataclass, replace
from functools import cache

from .fact import Fact, unspaced
from .world import Relation, read_table, relations, world

# What people call a bundled relation besides its own name. A word may serve two: the subject's table decides.
SPELLINGS = {
    "capital": ("capital city",),
    "language": ("official language",),
    "currency": ("money",),
    "symbol": ("chemical symbol",),
    "class": ("animal class", "class of animal", "type"),
    "young": ("name of the young", "offspring"),
    "inventor": ("invented by", "creator"),
    "year": ("year of invention", "invention year", "invented in"),
    "author": ("written by", "writer", "creator"),
    "original_language": ("language", "written in"),
    "painter": ("painted by", "artist", "creator"),
    "composer": ("composed by", "creator"),
    "kind": ("kind of work", "type"),
    "founder": ("founded by", "creator"),
    "headquarters": ("head office", "headquartered in", "based in"),
    "field": ("field of work",),
    "born_in": ("country of birth", "birth country"),
    "employer": ("works for", "employed by"),
    "home_town": ("hometown", "lives in"),
    "birthday": ("born on",),
    "email": ("e mail", "e mail address", "email address"),
}
GENERIC = ("{}'s %s is", "The %s of {} is", "{}: the %s is", "Q: What is the %s of {}? A:")
ARTICLES = (" the", " a", " an")


class Unclear(ValueError):
    """A row that cannot be read: `field` names what is at fault ("" for the whole row)."""

    def __init__(self, field: str, message: str):
        super().__init__(message)
        self.field = field
        self.message = message


@dataclass(frozen=True)
class Known:
    """The bundled world by what people may type: subjects by `subject_key`, words by `relation_key`."""

    subjects: dict[str, tuple[str, str]]  # -> table, canonical spelling
    facts: dict[tuple[str, str], Fact]  # subject key, relation name -> fact
    words: dict[str, tuple[Relation, ...]]  # spelling -> the relations it may mean
    templates: dict[str, Relation]  # `template_key` of each phrasing and paraphrase -> its relation


@cache
def known() -> Known:
    """The index, built once from the tables."""
    subjects = {}
    for table in dict.fromkeys(r.table for r in relations()):
        for row in read_table(table):
            subjects[subject_key(row["subject"])] = (table, row["subject"])
    facts = {(subject_key(f.subject), f.relation): f for f in world()}
    words: dict[str, tuple[Relation, ...]] = {}
    templates = {}
    for r in relations():
        for spelling in (r.name, *SPELLINGS.get(r.name, ())):
            words[relation_key(spelling)] = words.get(relation_key(spelling), ()) + (r,)
        templates.update((template_key(t), r) for t in r.phrasings + r.paraphrases)
    return Known(subjects, facts, words, templates)


def fold(text: str) -> str:
    """Lower case and straight apostrophes, of the same length as the text, so that positions agree."""
    lower = text.lower()
    return (lower if len(lower) == len(text) else text).replace("\u2019", "'")


def subject_key(subject: str) -> str:
    """What makes two spellings of a name the same: case and a leading "the" do not count."""
    return fold(subject).removeprefix("the ")


def relation_words(relation: str) -> str:
    """A relation as words that follow "the" and come before "of": "the_mayor_of" -> "mayor"."""
    words = " ".join(relation.replace("_", " ").split())
    if words.lower().startswith("the "):
        words = words[4:]
    if words.lower().endswith(" of"):
        words = words[:-3]
    return words


def relation_key(relation: str) -> str:
    """What makes two spellings of a relation the same: case, underscores and hyphens do not count."""
    return relation_words(fold(relation).replace("-", " "))


def template_key(template: str) -> str:
    """What makes two templates the same: case, "Q:", "A:" and a last article do not count."""
    words = without_article(" ".join(fold(template).split()))[0]
    return words.removeprefix("q: ").removesuffix(" a:")


def without_article(template: str) -> tuple[str, bool]:
    """The template without the article it ends in, and whether there was one."""
    for article in ARTICLES:
        if template.endswith(article):
            return template.removesuffix(article), True
    return template, False


def occurrences(text: str, subject: str) -> list[tuple[int, int]]:
    """Start and end of the subject in the text, as whole words in any case; if none, without its "the"."""
    text, name = fold(text), fold(subject)
    found, at = [], text.find(name)
    while at >= 0:
        end = at + len(name)
        inside = at and goes_on(text[at - 1], name[0])
        if not inside and not (end < len(text) and goes_on(name[-1], text[end])):
            found.append((at, end))
        at = text.find(name, at + 1)
    shorter = subject_key(subject)
    return found or (occurrences(text, shorter) if shorter not in ("", name) else [])


def goes_on(last: str, following: str) -> bool:
    """Are two characters within one word, as far as a space between words would tell?"""
    return all(c.isalnum() and not unspaced(c) for c in (last, following))


def template_from(prompt: str, subject: str) -> str | None:
    """The prompt if it has one {}, else with {} for the subject where that stands there once, else None."""
    if "{}" in prompt:
        return prompt if prompt.count("{}") == 1 else None
    places = occurrences(prompt, subject)
    if len(places) != 1:
        return None
    start, end = places[0]
    return prompt[:start] + "{}" + prompt[end:]


def accepts(fact: Fact, answer: str) -> bool:
    """Is this one of the fact's accepted answers, whatever its case and leading "the"?"""
    return any(subject_key(answer) == subject_key(o) for o in fact.objects)


def relation_named(words: str, subject: str) -> Relation | None:
    """The bundled relation that the words mean for this subject.

    None for a subject of a table without such a column: "Apple | country" must not be asked as a landmark.
    """
    meant = known().words.get(relation_key(words), ())
    table, _ = known().subjects.get(subject_key(subject), ("", ""))
    if table:
        return next((r for r in meant if r.table == table), None)
    if len(meant) > 1:
        return next((r for r in meant if relation_key(r.name) == relation_key(words)), None)
    return meant[0] if meant else None


def bundled_fact(relation: Relation, subject: str, answer: str) -> Fact:
    """A fact in a bundled relation: the world's own where it has one, else the relation's ways to ask.

    An accepted answer brings the world's whole list; any other answer stands alone.
    """
    table, canonical = known().subjects.get(subject_key(subject), ("", ""))
    fact = known().facts.get((subject_key(subject), relation.name))
    if fact is None:
        name = canonical if table == relation.table else subject
        return Fact(name, relation.name, (answer,), relation.phrasings, relation.paraphrases)
    return fact if accepts(fact, answer) else replace(fact, objects=(answer,))


def prompt_fact(
    subject: str, prompt: str, answer: str, name: str = "", field: str = "prompt"
) -> tuple[Fact, str]:
    """A fact asked by a prompt with {} or the subject in it, and how that was read.

    `name` is what the file calls the relation; without it the template itself names it.
    Raises Unclear(field) when the prompt does not say where the subject goes.
    """
    template = template_from(prompt, subject)
    if template is None:
        message = f"the field {field!r} needs {{}} or the subject in it exactly once"
        raise Unclear(field, f"{message}: {prompt[:80]!r}")
    how = "prompt with {}" if "{}" in prompt else "prompt with the subject in it"
    relation = known().templates.get(template_key(template))
    if relation is not None:
        return bundled_fact(relation, subject, answer), f"{how}, known phrasing of '{relation.name}'"
    relation = relation_named(name, subject)
    if relation is not None:
        fact = bundled_fact(relation, subject, answer)
        return replace(fact, prompts=(template, *fact.prompts)), f"{how}, known relation '{relation.name}'"
    return Fact(subject, name or template, (answer,), (template,)), how


def word_fact(subject: str, relation: str, answer: str) -> tuple[Fact, str]:
    """A fact from a relation in words (bundled or free) or from a prompt in the relation's place, and how."""
    bundled = relation_named(relation, subject)
    if bundled is not None:
        return bundled_fact(bundled, subject, answer), f"known relation '{bundled.name}'"
    if "{}" in relation or occurrences(relation, subject):
        return prompt_fact(subject, relation, answer, field="relation")
    words = relation_words(relation)
    if not words:
        raise Unclear("relation", "the field 'relation' has no words")
    prompts = tuple(g.replace("%s", words) for g in GENERIC)
    return Fact(subject, words, (answer,), prompts), "relation in free words"
