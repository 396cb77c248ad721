"""What runs will cost: a pace for each model of this process, set right by the runs that end."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from time import monotonic
from typing import TYPE_CHECKING

from ..events import Done, Event, Figure
from ..facts.fact import Fact
from .memory import is_shortage

if TYPE_CHECKING:
    from ..law.experiment import Sizes
    from ..law.forecast import Forecast, Pace
    from ..law.settings import Settings
    from ..models.loading import LM

FRESH = 60.0  # seconds for which a model's measured pace is believed: it is the machine's, whatever the facts


class Costs:
    """Forecasts of washes with probes of these sizes.

    `lent`: they run on another machine than the one measured here, so the first to end says all of the pace.
    """

    def __init__(self, sizes: "Sizes | None" = None, lent: bool = False):
        self.sizes, self.lent = sizes, lent
        self._paces: dict[str, Pace] = {}
        self._measured: dict[str, float] = {}  # when

    def measure(self, lm: "LM", facts: Sequence[Fact]) -> None:
        """Measure a model's pace, if that was not done just now; what runs have taught is kept.

        Raises ValueError when no fact is given.
        """
        from ..law.forecast import letters_a_token, measure

        was = self._paces.get(lm.name)
        if was and facts and monotonic() - self._measured[lm.name] < FRESH:
            self._paces[lm.name] = replace(was, letters=letters_a_token(lm, facts))
            return
        new = measure(lm, facts)
        was = self._paces.get(lm.name, new)
        self._paces[lm.name], self._measured[lm.name] = replace(new, off=was.off, runs=was.runs), monotonic()

    def timed(self, lm: "LM") -> bool:
        """Is there a pace to tell seconds by?"""
        return lm.name in self._paces and (self._paces[lm.name].runs > 0 or not self.lent)

    def forecast(
        self,
        lm: "LM",
        facts: Sequence[Fact],
        unknown: Collection[tuple[str, str]],
        settings: "Settings",
        on_top: bool = False,
    ) -> "Forecast | None":
        """What it costs to wash facts but those of `unknown` keys; None before the pace was measured."""
        from ..law.forecast import forecast, missing
        from ..law.statistics import statistics

        if lm.name not in self._paces:
            return None
        stats = statistics(lm, settings.moment_tokens)
        new = missing(stats, settings, on_top)
        return forecast(lm, facts, unknown, settings, self._paces[lm.name], stats, self.sizes, new)

    def learning(
        self, lm: "LM", facts: Sequence[Fact], settings: "Settings", on_top: bool, events: Iterator[Event]
    ) -> Iterator[Event]:
        """The events of a wash of these facts, with a figure "forecast" once it is known which are washed, if
        there is a pace; when it is done, the pace learns how long it took.
        """
        from ..law.forecast import forecast, missing
        from ..law.statistics import statistics

        stats, unknown, pace = statistics(lm, settings.moment_tokens), (), None
        new = missing(stats, settings, on_top)  # now: the run will measure it
        with closing(events):
            for event in events:
                if isinstance(event, Figure) and event.name == "known":
                    unknown = {(u["subject"].lower(), u["relation"].lower()) for u in event.value["unknown"]}
                    yield event
                    if pace := self._at_hand(lm, facts):
                        told = forecast(lm, facts, unknown, settings, pace, stats, self.sizes, new)
                        if told.facts and self.timed(lm):
                            yield Figure("forecast", told.said())
                    continue
                if isinstance(event, Done) and pace:
                    share = 1.0 if self.lent and not pace.runs else 0.5
                    taken = event.summary["result_seconds"]
                    self._paces[lm.name] = self._paces[lm.name].after(told.result, taken, share)
                yield event

    def _at_hand(self, lm: "LM", facts: Sequence[Fact]) -> "Pace | None":
        """The model's pace, measured if it was not yet; None where there is no memory even for that."""
        try:
            if lm.name not in self._paces:
                self.measure(lm, facts)
        except Exception as error:
            if not is_shortage(error):
                raise
        return self._paces.get(lm.name)
