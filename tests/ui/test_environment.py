"""Settings from outside: as said in the README, and refused by name where they cannot be."""

from dataclasses import fields
from pathlib import Path

import pytest

from unlearning.ui.environment import BadSetting, Environment, environment

README = Path(__file__).resolve().parents[2] / "README.md"


def test_nothing_said_is_the_default():
    assert environment({}) == Environment() == environment({"LETHE_PORT": " ", "OTHER": "x"})
    assert Environment().auth is None


def test_what_is_said_is_taken():
    said = environment(
        {"LETHE_PORT": "80", "LETHE_KEEP_HOURS": "0.5", "LETHE_LOGIN": "ann:a:b", "LETHE_MODEL": "m"}
    )
    assert (said.port, said.keep_hours, said.model, said.auth) == (80, 0.5, "m", ("ann", "a:b"))


@pytest.mark.parametrize(
    "name, text",
    [
        ("LETHE_PORT", "eighty"),
        ("LETHE_THREADS", "0"),
        ("LETHE_QUEUE", "-1"),
        ("LETHE_KEEP_HOURS", "nan"),
        ("LETHE_KEEP_HOURS", "inf"),
        ("LETHE_PORT", "99999"),
        ("LETHE_LOGIN", "ann"),
        ("LETHE_LOGIN", ":secret"),
    ],
)
def test_what_cannot_be_is_refused_by_name(name, text):
    with pytest.raises(BadSetting, match=name):
        environment({name: text})


def test_the_readme_lists_every_setting_as_it_is():
    text = README.read_text(encoding="utf-8")
    for f in fields(Environment):
        default = "" if f.default is None else f"{f.default:g}"
        assert f"| `{f.metadata['name']}` | {f.metadata['meaning']} | {default} |" in text
