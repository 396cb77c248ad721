"""Questions that are numbered in the browser, so that an answer that comes late is not shown for another."""


class Turns:
    """JavaScript of gradio's events, for questions of one kind.

    take     before asking: (turn, rest) becomes a new turn and the rest; the handler hands the turn on
    newest   of (turn, answer, what is shown): the answer if no other question was asked since
    same     of (turn, answer, what is shown, rest): if besides the rest stands there as it was asked
    last     no answer that is still to come is shown
    nothing  the same, and what is shown becomes empty
    """

    def __init__(self, name: str):
        turn, asked = f"window.{name}", f"window.{name}Asked"
        new = f"{turn} = ({turn} || 0) + 1"
        self.take = f"(turn, ...rest) => {{ {asked} = JSON.stringify(rest); return [{new}, ...rest] }}"
        self.newest = f"(turn, said, shown) => turn === {turn} ? said : shown"
        self.same = (
            "(turn, said, shown, ...rest) => "
            f"turn === {turn} && {asked} === JSON.stringify(rest) ? said : shown"
        )
        self.last = f"() => {{ {new} }}"
        self.nothing = f"() => {{ {new}; return '' }}"
