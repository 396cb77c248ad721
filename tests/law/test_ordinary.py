"""Where ordinary text comes from: a file, the corpus, or the model itself; no further than it can read."""

import json

import pytest

from unlearning.law import ordinary
from unlearning.law.ordinary import BUNDLED, text_for
from unlearning.law.statistics import Statistics
from unlearning.pretrain.corpus import ordinary_text


def test_the_corpus_by_name(tiny):
    assert text_for(tiny, 200) == ordinary.Text(tuple(ordinary_text(20)), BUNDLED)


def test_a_file_is_read_by_paragraphs_cut_where_the_model_ends(tiny, tmp_path, monkeypatch):
    file = tmp_path / "mine.txt"
    file.write_text(
        "One paragraph\nof two lines.\n\n\n" + "word " * 600 + "\n\nA third one.\n", encoding="utf-8"
    )
    monkeypatch.setenv("LETHE_TEXT", str(file))
    found = text_for(tiny, 10**6)
    assert found.source == "mine.txt" and found.texts[0] == "One paragraph of two lines."
    assert found.texts[2] == "A third one."
    assert len(tiny.tokenizer(found.texts[1])["input_ids"]) <= 255 < 600
    assert text_for(tiny, 3).texts == found.texts[:1], "no more than is needed"


@pytest.mark.parametrize(
    "content, said", [(None, "cannot be read"), (b"\xff\xfe", "cannot be read"), (b" ", "no text")]
)
def test_a_file_that_is_none_is_named(tiny, tmp_path, monkeypatch, content, said):
    file = tmp_path / "gone.txt"
    if content is not None:
        file.write_bytes(content)
    monkeypatch.setenv("LETHE_TEXT", str(file))
    with pytest.raises(ValueError, match=f"gone.txt.*{said}|{said}.*gone.txt"):
        text_for(tiny, 100)


def test_without_any_the_model_writes_itself_once(tiny, tmp_path, monkeypatch):
    """The hub is not asked where HF_HUB_OFFLINE is set, as it is in these tests."""
    monkeypatch.delenv("LETHE_TEXT")
    monkeypatch.setenv("LETHE_CACHE", str(tmp_path))
    stats = Statistics(tiny, 600)
    assert stats.text.source == "the model's own samples" and len(stats.texts) == 5
    C = stats.C([0, 1])
    monkeypatch.setattr(ordinary, "sample", None)  # not to be called again
    again = Statistics(tiny, 600)
    assert again.texts == stats.texts and again.C([0])[0].equal(C[0])
    said = stats.measured()
    assert said["source"] == stats.text.source and said["tokens"] > 0 and said == again.measured()


@pytest.mark.parametrize("damage", ["another word", "another model's", "no texts"])
def test_what_it_wrote_is_written_anew_where_the_file_is_not_as_it_was(
    tiny, tiny_llama, tmp_path, monkeypatch, damage
):
    monkeypatch.delenv("LETHE_TEXT")
    file = tmp_path / "own.json"
    right = text_for(tiny, 300, file)
    written = json.loads(file.read_text())
    if damage == "another word":
        written["texts"][0] = f"a {written['texts'][0]}"
        file.write_text(json.dumps(written))
    elif damage == "no texts":
        file.write_text('["a list"]')
    else:
        file.unlink()
        text_for(tiny_llama, 300, file)
    assert text_for(tiny, 300, file) == right
    monkeypatch.setattr(ordinary, "sample", None)  # put right: not to be called again
    assert text_for(tiny, 300, file) == right
