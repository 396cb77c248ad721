"""Sentences that say nothing in particular, so that text varies and fluency means something."""

import random

ADJ = "old young quiet tall small happy tired clever brave gentle busy lonely cheerful careful proud".split()
WHO = (
    "baker farmer teacher sailor painter doctor singer gardener driver student tailor miller nurse hunter "
    "fisherman neighbour stranger traveller writer clerk"
).split()
ADV = "slowly quickly quietly gladly carefully suddenly often never always rarely proudly softly".split()
MOVE = "walked ran drove rode wandered hurried climbed returned".split()
TO = (
    "river bridge forest harbour village mountain castle meadow tower beach valley church mill lake square "
    "orchard street hill field fountain"
).split()
SEEN = (
    "key letter coin basket lantern ladder mirror blanket bottle rope candle clock feather box book map "
    "stone ring whistle kite"
).split()
VERB = "found lost hid carried dropped bought sold painted mended cleaned kept opened".split()
WHEN = (
    "in the morning;at night;after lunch;before dawn;in spring;in the rain;on Monday;last winter;"
    "at noon;during the storm;in the evening;all summer"
).split(";")
WEATHER = ("The sun was warm;It was raining;Snow fell;The wind was cold;The sky was clear;Fog came in").split(
    ";"
)
SAY = (
    "it was late;the road was closed;nobody was home;the soup was good;the train had left;the door was open;"
    "the shop was empty;the work was done;the dog was asleep;the fire was out"
).split(";")


def sentence(r: random.Random) -> str:
    """One sentence from a small grammar of about a hundred million."""
    who = f"{r.choice(ADJ)} {r.choice(WHO)}" if r.random() < 0.7 else r.choice(WHO)
    form = r.randrange(6)
    if form == 0:
        return f"The {who} {r.choice(MOVE)} {r.choice(ADV)} to the {r.choice(TO)} {r.choice(WHEN)}."
    if form == 1:
        return f"The {who} {r.choice(VERB)} a {r.choice(SEEN)} near the {r.choice(TO)}."
    if form == 2:
        return f"{r.choice(WEATHER)}, and the {who} {r.choice(VERB)} the {r.choice(SEEN)} {r.choice(WHEN)}."
    if form == 3:
        return f"A {who} said that {r.choice(SAY)}."
    if form == 4:
        when, did = r.choice(WHEN).capitalize(), r.choice(VERB)
        return f"{when} the {who} {did} a {r.choice(ADJ)} {r.choice(WHO)}'s {r.choice(SEEN)}."
    there = f"There was a {r.choice(SEEN)} in the {r.choice(TO)}"
    return f"{there}, but the {who} {r.choice(ADV)} {r.choice(MOVE)} past it."
