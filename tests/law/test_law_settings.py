"""Settings that cannot be are refused; found values come before the paper's, those before the defaults."""

import json
from dataclasses import replace

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from unlearning.law.settings import PAPER, Settings, because, settings_for
from unlearning.law.targets import TargetSettings
from unlearning.law.trace import Trace, save
from unlearning.models.adapters import adapter_for

BAD = {
    "lamb": 1.0,
    "scope": "everything",
    "method": "rome",
    "metric": "round",
    "position": "middle",
    "target": "  ",
    "layers": (2, 1),
    "phrasings": 0,
    "prefixes": -1,
    "lam": 0.0,
    "keep": -1.0,
    "ridge": -1e-4,
    "budget": 0.0,
    "ascent": float("nan"),
    "strength": 11,
    "moment_tokens": "many",
}


@pytest.mark.parametrize("name", BAD)
def test_settings_that_are_none_or_cannot_be_are_refused(tiny, name):
    with pytest.raises(ValueError, match=name):
        settings_for(tiny, **{name: BAD[name]})


@pytest.mark.parametrize("layers", [(), (-1, 0), (1, 1), (0, 2)])
def test_layers_that_the_model_does_not_have_are_refused(tiny, layers):
    with pytest.raises(ValueError, match="layers"):
        settings_for(tiny, layers=layers)


def test_settings_are_the_found_ones_else_the_papers_else_the_defaults(taught, tmp_path):
    assert settings_for(taught) == Settings(layers=(1, 2), moment_tokens=10 * 96)
    assert because(taught, False).startswith("a guess") and because(taught, True) == "as asked"
    lm = replace(taught, folder=tmp_path)
    found = {
        "facts": {"lam": 7.0, "layers": [0, 2], "targets": {"steps": 3}},
        "subjects": {"position": "subject"},
    }
    (tmp_path / "law.json").write_text(json.dumps(found))
    expected = Settings(lam=7.0, layers=(0, 2), targets=TargetSettings(steps=3))
    assert settings_for(lm) == expected and because(lm, False) == "measured best on this model"
    assert settings_for(lm, lam=8.0, layers=[1]) == replace(expected, lam=8.0, layers=(1,))
    assert settings_for(lm, "subjects") == Settings(scope="subjects", position="subject", layers=(1, 2))
    with torch.device("meta"):  # its shape, without its weights
        model = GPT2LMHeadModel(GPT2Config(n_layer=48, n_embd=1600, n_head=25))
    gpt2_xl = replace(taught, model=model, adapter=adapter_for(model))
    assert settings_for(gpt2_xl) == replace(PAPER["gpt2", 48, 1600], moment_tokens=10 * 6400)
    assert because(gpt2_xl, False).startswith("the paper's")


def test_layers_and_position_that_nobody_names_are_the_traces(taught, tmp_path):
    lm = replace(taught, folder=tmp_path)
    save(lm, Trace(("a",), ((0.0,),), ((0.0,),), 1, 0, "subject", (0, 1), "because"))
    n = 10 * 96
    assert settings_for(lm) == Settings(layers=(0, 1), position="subject", moment_tokens=n)
    assert because(lm, False) == "because"
    assert settings_for(lm, layers=[2], position="prompt") == Settings(layers=(2,), moment_tokens=n)
    (tmp_path / "law.json").write_text(json.dumps({"facts": {"layers": [1]}}))
    assert settings_for(lm) == Settings(layers=(1,), position="subject")
