"""Splitting a sentence that a model completes by itself: the words it says hold the object.

What comes out of the model is a number: after how many words it says all the rest of the sentence
(`unlearning/probes/completion.py`). Where in that rest the object begins, and what the subject is, is
told by the words alone.
"""

from .sentences import LINKS, MAX_OBJECT_WORDS, bare, subjects_in
from .triples import ARTICLES, accepts, known, subject_key, template_from
from .world import relations

COPULAS = {"is", "are", "was", "were"}
BEFORE_OBJECT = LINKS | {a.strip() for a in ARTICLES}
WITHIN_NAMES = BEFORE_OBJECT - COPULAS | set("and de la le da di del van von der den".split())
NO_NAMES = BEFORE_OBJECT | {  # words that begin a sentence with a capital letter and are no name
    *"i you he she it we they my your his her its our their this that these those there".split(),
    *"q question who whom whose what which where when why how as if and but".split(),
}
AROUND = "\"'\u2018\u2019\u201c\u201d()[],.:;?!"  # marks around a word


def told(sentence: str) -> list[str]:
    """The words of a sentence without its full stop; none where it has no word."""
    return bare(sentence, article=False).split()


def split_at(sentence: str, said_from: int) -> tuple[str, str, str] | None:
    """Subject, prompt with "{}" and object of a sentence that a model completes after `said_from` words.

    It then completes it after any more words too, so the object may begin later: after the last copula or
    preposition of what it says and an article, "is the capital" | "Paris". None where the cut would go
    through a name ("by Alexander" | "Graham Bell": the model knows the name, not the fact), where the
    object is too long, or where no subject stands before it.
    """
    words = told(sentence)
    at = said_from
    for i in range(said_from, len(words) - 1):
        word = words[i].strip(",:").lower()
        if word in COPULAS or (word in BEFORE_OBJECT and not is_name(words[last_of_name(words[:i])])):
            at = i + 1
    if len(words) - at > MAX_OBJECT_WORDS:
        return None
    prompt, answer = " ".join(words[:at]), " ".join(words[at:])
    for subject in subjects_of(prompt, answer):
        template = template_from(prompt, subject)
        if template and not template.endswith("{}"):
            return None if in_name(words[:at], template) else (subject, template, answer)
    return None


def in_name(words: list[str], template: str) -> bool:
    """Would a cut after these words go through a name, as after "Alexander" or "Museum of"?"""
    last = last_of_name(words)
    after = words[last + 1 :]
    subject_ends = after and after[0] != "of" and template.endswith(" ".join(["{}", *after]))
    return is_name(words[last]) and not subject_ends


def last_of_name(words: list[str]) -> int:
    """The number of the last word that names do not only have inside; 0 where there is none."""
    return next((i for i in reversed(range(len(words))) if words[i].lower() not in WITHIN_NAMES), 0)


def is_name(word: str) -> bool:
    """May a name go on after this word? So after a capital letter or a number; not after ":", "," or "?"."""
    return (word[0].isupper() or word[0].isdigit()) and word[-1] not in ":,;?"


def subjects_of(prompt: str, answer: str) -> list[str]:
    """What a prompt may be about, the likeliest first: known subjects; runs of words with capital letters;
    known subjects in any case; the first word alone. Of each those with this answer, then the longest."""
    runs = [run for run in names_in(prompt) if not prompt.startswith(run) or " " in run]
    first = [run for run in names_in(prompt) if run not in runs]
    exact, any_case = ([s for *_, s in subjects_in(prompt, case)] for case in (False, True))
    groups = (exact, runs, any_case, first)
    return [s for group in groups for s in sorted(group, key=lambda s: (not has_answer(s, answer), -len(s)))]


def has_answer(subject: str, answer: str) -> bool:
    """Does a bundled fact about the subject accept this answer?"""
    facts = (known().facts.get((subject_key(subject), r.name)) for r in relations())
    return any(fact is not None and accepts(fact, answer) for fact in facts)


def names_in(prompt: str) -> list[str]:
    """Runs of words that begin with capital letters, without what is no name at their beginning."""
    runs: list[list[str]] = [[]]
    for word in prompt.split():
        name = word.strip(AROUND).removesuffix("'s").removesuffix("\u2019s")
        if name[:1].isupper() and (runs[-1] or name.lower() not in NO_NAMES):
            runs[-1].append(name)
        if not name[:1].isupper() or not word.endswith(name):
            runs.append([])
    return [" ".join(run) for run in runs if run]
