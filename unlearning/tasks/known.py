"""The sets that LWF learned and forgot (arXiv 2505.19715), by name: from the hub, or from a file."""

from dataclasses import dataclass

from ..facts.hub import Source


@dataclass(frozen=True)
class Known:
    """Where a set's training rows and the rows that are asked come from; `kind`: only those of this kind."""

    train: Source
    test: Source
    kind: str = ""


# QASC's and MedMCQA's test splits tell no answers, so their validation splits are asked.
GSM8K = Known(Source("openai/gsm8k", "main", "train"), Source("openai/gsm8k", "main", "test"))
QASC = Known(Source("allenai/qasc", None, "train"), Source("allenai/qasc", None, "validation"))
SST5 = Known(Source("SetFit/sst5", None, "train"), Source("SetFit/sst5", None, "test"))


def _medical(subject: str) -> Known:
    where = "openlifescienceai/medmcqa"
    return Known(Source(where, None, "train"), Source(where, None, "validation"), subject)


KNOWN = {
    "gsm8k": GSM8K,
    "qasc": QASC,
    "sst5": SST5,
    "dental": _medical("Dental"),
    "psychol": _medical("Psychiatry"),  # the subject of MedMCQA nearest to psychology
}
