"""What a cut-off run left is found again under the very same key only, and no foreign file is trusted."""

import pytest
import torch

from unlearning.facts.world import world
from unlearning.law.settings import Settings
from unlearning.law.statistics import Statistics
from unlearning.models.delta import Delta, edited
from unlearning.runs.kept import Kept
from unlearning.runs.wash import _key


def test_it_is_found_with_the_same_key_only(tmp_path):
    Kept(tmp_path, "wash", lambda: "a")["x"] = {"at": 3}
    assert Kept(tmp_path, "wash", lambda: "a")["x"] == {"at": 3}
    other = Kept(tmp_path, "wash", lambda: "b")
    assert "x" not in other and list(other) == ["x"]


@pytest.mark.parametrize("what", [torch.zeros(3), [1, 2], {"left": 1}, {"key": "a"}, None, "not a file"])
def test_a_foreign_file_is_not_there(tmp_path, what):
    if what == "not a file":
        (tmp_path / "wash-x.pt").write_bytes(b"no tensors")
    else:
        torch.save(what, tmp_path / "wash-x.pt")
    assert "x" not in Kept(tmp_path, "wash", lambda: "a")


def test_nothing_is_asked_of_the_key_before_it_is_needed(tmp_path):
    kept = Kept(tmp_path, "wash", lambda: 1 / 0)
    kept.clear()
    with pytest.raises(ZeroDivisionError):
        kept["x"]


def test_the_sums_of_a_wash_belong_to_its_text_and_to_what_is_known(tiny_llama, tmp_path, monkeypatch):
    facts, some, settings = world()[:3], world()[5:20], Settings(layers=(0,))

    def key(known=some, text="bundled", lm=tiny_llama, facts=facts, settings=settings):
        monkeypatch.setenv("LETHE_TEXT", text)
        stats = Statistics(lm, 400)
        stats.known = list(known)
        return _key(stats, facts, settings)

    own = tmp_path / "own.txt"
    own.write_text("Some other words that a person brings.\n\nAnd more of them, until it is enough.")
    name = tiny_llama.adapter.weight_name(0)
    view = edited(tiny_llama, [Delta({name: 0 * tiny_llama.model.state_dict()[name]}, tiny_llama.hash)])
    keys = [
        key(),
        key(text=str(own)),
        key(known=world()[5:21]),
        key(lm=view),
        key(facts=facts[:2]),
        key(settings=Settings(layers=(1,))),
    ]
    assert len(set(keys)) == len(keys)
    assert key() == key(settings=Settings(layers=(0,), strength=0.5, method="memit")) == keys[0]
