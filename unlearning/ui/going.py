"""How far a run is, in a page's own words: a sentence, a bar while it goes on, and its warnings."""

from dataclasses import dataclass
from types import ModuleType

from .follow import View
from .text import safe_html
from .words import count


@dataclass(frozen=True)
class Going:
    """`words`: the page's sentences; `name`: of the bar; `runs`: what one and what several are called."""

    words: ModuleType
    name: str
    runs: tuple[str, str]

    def sentence(self, view: View) -> str:
        """How far a run is, in a sentence."""
        words = self.words
        match view.state:
            case "queued" if view.place:
                return words.WAITING.format(runs=count(view.place, *self.runs))
            case "queued":
                return words.STARTING
            case "done":
                return words.DONE.format(seconds=f"{view.seconds:.1f}")
            case "stopped":
                return words.STOPPED
            case "failed":
                return words.FAILED.format(text=view.failed)
            case "lost" if not view.phase:
                return words.LOST_WAITING
            case "lost":
                share = f" ({view.done:,} of {view.total:,})" if view.total else ""
                return words.LOST.format(seconds=f"{view.seconds:.1f}", phase=view.phase, share=share)
        return view.phase[:1].upper() + view.phase[1:] or words.STARTING

    def status(self, view: View) -> str:
        """The sentence; while it runs, a bar and its numbers too; and the run's warnings. As HTML."""
        text = line(self.sentence(view))
        if not view.ended and view.total:
            text += (
                f'<progress value="{view.done:d}" max="{view.total:d}" aria-label="{self.name}"></progress>'
                f'<p class="small">{view.done:d}/{view.total:d} {safe_html(view.text)}</p>'
            )
        return text + "".join(line(self.words.WARNING.format(text=w)) for w in view.warnings)


def line(text: str) -> str:
    """A sentence that screen readers are told of, as HTML."""
    return f'<p role="status">{safe_html(text)}</p>'


def turned(view: View, shown: View | None) -> bool:
    """Do the buttons change: is this the first view, or the one in which the run has ended?"""
    return shown is None or shown.ended != view.ended
