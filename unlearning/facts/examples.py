"""The example lists under `assets/examples/`: plain lines, each headed `# Title: story`."""

from dataclasses import dataclass

from .world import ASSETS

EXAMPLES = ASSETS / "examples"


@dataclass(frozen=True)
class Example:
    """A list: its file's name without ending, its title, its story in a sentence, and the whole text."""

    name: str
    title: str
    story: str
    text: str


def examples() -> list[Example]:
    """All examples, in the order of their file names. Raises ValueError for a file without a heading."""
    found = []
    for path in sorted(EXAMPLES.glob("*.txt")):
        text = path.read_text(encoding="utf-8")
        title, colon, story = text.partition("\n")[0].removeprefix("# ").partition(": ")
        if not text.startswith("# ") or not colon:
            raise ValueError(f"{path.name} does not begin with '# Title: story'")
        found.append(Example(path.stem, title, story, text))
    return found
