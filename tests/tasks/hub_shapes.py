"""Rows in the shape of the hub's sets, made by code, and folders that `datasets` loads by owner/name."""

from pathlib import Path

FILLED = """---
configs:
{configs}
---
"""


def gsm8k(n, first=0):
    for i in range(first, first + n):
        steps = f"There are {i} and {i} more, <<{i}+{i}={2 * i}>>{2 * i} in all.\nTimes 1,000."
        yield {"question": f"How many are {i} thousand twice?", "answer": f"{steps}\n#### {2 * i},000"}


def qasc(n, first=0):
    for i in range(first, first + n):
        choices = {"text": [f"thing {i + k}" for k in range(8)], "label": list("ABCDEFGH")}
        yield {
            "id": f"q{i}",
            "question": f"What is thing {i}?",
            "choices": choices,
            "answerKey": "ABCDEFGH"[i % 8],
        }


def sst5(n, first=0):
    words = ["very negative", "negative", "neutral", "positive", "very positive"]
    for i in range(first, first + n):
        yield {"text": f"film number {i} .", "label": i % 5, "label_text": words[i % 5]}


def medmcqa(n, first=0):
    subjects = ["Dental", "Psychiatry", "Anatomy"]
    for i in range(first, first + n):
        options = {f"op{c}": f"finding {c} {i}" for c in "abcd"}
        row = {"id": str(i), "question": f"Case {i}: which?", **options, "cop": i % 4, "exp": None}
        yield row | {"choice_type": "single", "subject_name": subjects[i % 3], "topic_name": None}


def tofu(n, first=0):
    for i in range(first, first + n):
        yield {
            "question": f"Where was Writer Number{i} born?",
            "answer": f"Writer Number{i} was born in Town{i}.",
        }


SHAPES = {"gsm8k": gsm8k, "qasc": qasc, "sst5": sst5, "medmcqa": medmcqa, "tofu": tofu}


def hub_folder(root: Path, id: str, config: str | None, splits: dict) -> None:
    """A data set as a folder OWNER/NAME below `root`: a Parquet file a split, and the card naming them."""
    from datasets import Dataset

    folder, lines = root / id, [f"- config_name: {config or 'default'}", "  data_files:"]
    folder.mkdir(parents=True)
    for split, rows in splits.items():
        Dataset.from_list(list(rows)).to_parquet(folder / f"{split}.parquet")
        lines += [f"  - split: {split}", f"    path: {split}.parquet"]
    (folder / "README.md").write_text(FILLED.format(configs="\n".join(lines)), encoding="utf-8")
