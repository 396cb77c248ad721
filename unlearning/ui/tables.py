"""Tables as HTML: every cell escaped, read by screen readers, and rows that become cards on a phone."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from . import words
from .text import safe_html

SHOWN = 200  # rows; the rest is in the download


@dataclass(frozen=True)
class Shares:
    """A cell that writes out two shares (0 to 1) and draws them as bars, one below the other."""

    before: float | None
    after: float | None

    def __str__(self) -> str:
        return words.SHARES.format(before=words.percent(self.before), after=words.percent(self.after))

    def bars(self) -> str:
        """The bars, for eyes only: the text says the same."""
        return "".join(
            f'<span class="bar {name}" style="--share: {x or 0:.3f}" aria-hidden="true"></span>'
            for name, x in (("before", self.before), ("after", self.after))
        )


def table(
    caption: str,
    head: Sequence[str],
    rows: Iterable[Sequence[object]],
    hints: Mapping[str, str] = words.HINTS,
    more: str = words.MORE_ROWS,
) -> str:
    """A table with a caption, or "" when it has no rows. `hints`: what a column's name means, on hover and in
    a fold below. `more`: what is said of the rows beyond the first SHOWN.
    """
    rows = list(rows)
    if not rows:
        return ""
    cells = "".join(_row(head, row) for row in rows[:SHOWN])
    heads = "".join(f'<th scope="col"{hint(h, hints)}>{safe_html(h)}</th>' for h in head)
    name = safe_html(caption)
    rest = f"<p>{safe_html(more.format(n=len(rows) - SHOWN))}</p>" if len(rows) > SHOWN else ""
    return (
        f'<h3>{name}</h3><div class="lethe-table" role="region" tabindex="0" aria-label="{name}">'
        f"<table><thead><tr>{heads}</tr></thead><tbody>{cells}</tbody></table></div>{rest}{told(head, hints)}"
    )


def hint(name: str, hints: Mapping[str, str]) -> str:
    """A column's title attribute, or "" where there is nothing to say of it."""
    said = hints.get(name)
    return f' title="{safe_html(said)}"' if said else ""


def told(head: Sequence[str], hints: Mapping[str, str]) -> str:
    """What the columns' names mean, in a fold, for who cannot hover; "" where there is nothing to say."""
    said = "".join(
        f"<dt>{safe_html(h)}</dt><dd>{safe_html(hints[h])}</dd>" for h in dict.fromkeys(head) if h in hints
    )
    return fold(words.HEADS, f"<dl>{said}</dl>") if said else ""


def fold(name: str, inside: str) -> str:
    """A fold that is closed at first, around HTML."""
    return f'<details class="lethe-fold"><summary>{safe_html(name)}</summary>{inside}</details>'


def _row(head: Sequence[str], row: Sequence[object]) -> str:
    cells = (
        f'<td data-head="{safe_html(h)}"><span>{safe_html(str(x))}'
        f"{x.bars() if isinstance(x, Shares) else ''}</span></td>"
        for h, x in zip(head, row, strict=True)
    )
    return f"<tr>{''.join(cells)}</tr>"
