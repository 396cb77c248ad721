"""A row that was read wrong is corrected in the text, which is what is washed; and what a model splits."""

import pytest
from ui_help import FACTS, PATIENCE

from unlearning.facts.read import MAX_LINE
from unlearning.ui import words
from unlearning.ui.correct import now, rows
from unlearning.ui.preview import read
from unlearning.ui.tables import SHOWN

SPLIT = "You find Apple in the city of Cupertino."
UNSPLIT = "The owner of the corner house is Mister Pim."
HOW = "sentence, split where the model completes it"


# without a browser


def test_rows_at_fault_come_first_and_none_is_left_out(shared):
    preview = shared.read(f"a | b\nx | y | z\n{UNSPLIT}\n\ud800", shared.names[0])
    assert rows(preview) == [
        ("1, no fact: a | b", 1),
        (f"3, no fact: {UNSPLIT}", 3),
        ("4, no fact: ?", 4),
        ("2: x | y | z", 2),
    ]
    many = shared.read("\n".join(f"s{i} | r | o\n{i}" for i in range(SHOWN + 9)), shared.names[0])
    assert len(rows(many)) == 2 * (SHOWN + 9) and rows(many)[0] == ("2, no fact: 0", 2)


def test_what_is_said_of_a_corrected_row(shared):
    preview = shared.read("x | y | z\nX | y | z", shared.names[0])
    assert now(preview, 1) == "Row 1 is corrected; it reads x | y | z."
    assert now(preview, 2).startswith("Row 2 is corrected, but gave no fact: the same fact as row 1")


def test_a_text_is_read_once_and_its_sentences_asked_of_the_model_that_is_chosen(shared, monkeypatch):
    from unlearning.probes import completion

    asked = []
    plain = completion.said_from
    monkeypatch.setattr(completion, "said_from", lambda lm, s: asked.append((lm.name, s)) or plain(lm, s))
    text = f"{FACTS}{SPLIT}\n{UNSPLIT}\nonce"
    first = shared.read(text, shared.names[0])
    assert shared.read(text, shared.names[0]) is first
    assert [r.how for r in first.facts if r.row == 4] == [HOW] and [p.row for p in first.problems] == [5, 6]
    shared.read(text, shared.names[1])
    assert asked == [(name, [SPLIT, UNSPLIT]) for name in shared.names]
    assert [r.row for r in read(text, shared.names[0]).facts] == [1, 2, 3]  # no model, no fourth fact


def test_what_the_preview_shows_is_what_is_washed(client):
    text = f"France | capital | Paris\n{SPLIT}\n{UNSPLIT}"
    first, second, third = client.predict(text, api_name="/preview")
    assert (second["how"], second["known"]) == (HOW, True) and third["message"].endswith("| object")
    job = client.submit(text, api_name="/wash")
    told = job.result(timeout=PATIENCE)["answers"]
    assert [(t["subject"], t["relation"], t["object"]) for t in told] == [
        (r["subject"], r["relation"], r["object"]) for r in (first, second)
    ]


# in a browser


@pytest.mark.browser
def test_a_wrong_reading_is_corrected_in_its_own_format_and_that_is_washed(visitor):
    page = visitor.page
    text, knows = page.locator("#facts textarea"), page.locator("#preview td[data-head='knows it?']")
    table = (
        'subject;prompt;note;object\nFrance;The capital of {} is;"a;b";Lyon\nJapan;{} has it;;Tokyo\nKenya;x'
    )
    page.fill("#facts textarea", table)
    page.click("#read")
    visitor.expect(knows).to_have_text(["no", "no"])
    visitor.choose_row("3: Japan")
    fields = [page.locator(f"#row-{name} textarea") for name in ("subject", "relation", "object")]
    for field, value in zip(fields, ["Japan", "{} has it", "Tokyo"], strict=True):
        visitor.expect(field).to_have_value(value)
    visitor.correct(relation="The capital of {} is")
    visitor.expect(knows).to_have_text(["no", "yes"])
    visitor.expect(text).to_have_value(table.replace("Japan;{} has it", "Japan;The capital of {} is"))
    visitor.choose_row("2: France")
    visitor.expect(fields[1]).to_have_value("capital")
    page.fill("#row-object textarea", "Paris")
    page.keyboard.press("Enter")  # as good as the button
    visitor.expect(knows).to_have_text(["yes", "yes"])
    visitor.choose_row("4, no fact: Kenya;x")
    visitor.expect(fields[0]).to_have_value("Kenya")
    visitor.correct(relation="capital", object='"Nai"; robi')
    visitor.expect(knows).to_have_text(["yes", "yes", "no"])
    assert text.input_value().splitlines()[1:] == [
        'France;The capital of {} is;"a;b";Paris',
        "Japan;The capital of {} is;;Tokyo",
        'Kenya;The capital of {} is;;"""Nai""; robi"',
    ]
    page.click("#wash")
    visitor.wait_for_status(r"^Done in [\d.]+ s\.")
    assert visitor.column("answers", "right answer", 2) == ["Paris", "Tokyo"]
    visitor.expect(page.locator("#row-said textarea")).to_have_value("")
    visitor.reload()
    visitor.choose_row("4: Kenya")


@pytest.mark.browser
def test_nothing_is_changed_or_lost_where_it_cannot_be(visitor):
    page, note = visitor.page, visitor.page.locator("#row-note")
    text = page.locator("#facts textarea")
    visitor.expect(page.locator("#correct")).to_be_hidden()
    page.fill("#facts textarea", f"{FACTS}{UNSPLIT}")
    page.click("#read")
    page.click("#correct > button")
    visitor.correct(subject="a", relation="b", object="c")
    visitor.expect(note).to_have_text(words.NO_ROW)
    visitor.choose_row("4, no fact")
    for fields, said in [
        ({"subject": " ", "relation": "owner", "object": "Pim"}, "'subject' is empty"),
        ({"subject": "corner house", "relation": "{} {}"}, "'relation' needs {}"),
        ({"relation": "owner", "object": "Mr | Pim"}, "'object' has | in it"),
        ({"object": "a\nb"}, "'object' has a line break"),
    ]:
        visitor.correct(**fields)
        visitor.expect(note).to_contain_text(f"Nothing is changed: the field {said}")
    assert page.input_value("#row-subject textarea") == "corner house"
    assert page.get_attribute("#row-object textarea", "maxlength") == str(MAX_LINE)
    visitor.expect(text).to_have_value(f"{FACTS}{UNSPLIT}")
    page.fill("#facts textarea", f"a | b | c\n{FACTS}{UNSPLIT}")  # row 4 is another now
    for button in ("#row-correct", "#row-remove"):
        visitor.correct(object="")
        visitor.expect(note).to_have_text(words.MEANWHILE)
        page.click(button)
        visitor.expect(note).to_have_text(words.MEANWHILE)
    visitor.expect(text).to_have_value(f"a | b | c\n{FACTS}{UNSPLIT}")
    page.fill("#facts textarea", "")
    page.click("#read")
    visitor.expect(page.locator("#correct")).to_be_hidden()


@pytest.mark.browser
def test_what_is_corrected_in_an_example_stays_when_its_list_loses_the_focus(visitor):
    page, text = visitor.page, visitor.page.locator("#facts textarea")
    page.click("#example input")
    page.get_by_role("option", name="private person").click()
    visitor.expect(page.locator("#preview td[data-head='knows it?']")).to_have_text(["yes"] * 4)
    visitor.choose_row("2: ")
    visitor.correct(object="Nobody")
    visitor.expect(page.locator("#row-note")).to_contain_text("Row 2 is corrected")
    corrected = text.input_value()
    visitor.choose_row("3: ")
    page.fill("#row-object textarea", "half a word")
    for field in ("#example input", "#row input"):
        page.focus(field)
        page.keyboard.press("Escape")
        page.focus("#row-subject textarea")
    page.wait_for_timeout(1000)  # for what must not come
    assert text.input_value() == corrected and "Nobody" in corrected
    assert page.input_value("#row-object textarea") == "half a word"
    visitor.correct()
    visitor.expect(page.locator("#row-note")).to_contain_text("Row 3 is corrected")
    page.click("#example input")
    page.get_by_role("option", name=words.EXAMPLE_NONE).click()
    visitor.expect(page.locator("#example input")).to_have_value(words.EXAMPLE_NONE)
    page.wait_for_timeout(1000)
    assert "half a word" in text.input_value()
    visitor.expect(page.locator("#row-note")).to_contain_text("Row 3 is corrected")
