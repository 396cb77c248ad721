"""Training: killed and resumed it ends with the same weights; a checkpoint serves its own recipe only."""

import json
import os
import random
import signal
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import small_training
import torch
from small_training import GPT2, RECIPE, SIZES, WITHOUT, small
from transformers import AutoModelForCausalLM, AutoTokenizer

from unlearning.events import Done, Figure, Phase, Progress
from unlearning.facts.world import world
from unlearning.models.adapters import adapter_for
from unlearning.pretrain import train as training
from unlearning.pretrain.batches import WEIGHT_ANSWER, collate, encode, pack
from unlearning.pretrain.corpus import Corpus, join
from unlearning.pretrain.start import DISTANCES
from unlearning.pretrain.tokenizer import train_tokenizer
from unlearning.pretrain.train import Masked, Masters, Recipe, build, rate_at

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def sizes():
    with pytest.MonkeyPatch.context() as patch:
        for name, value in SIZES.items():
            patch.setattr(training, name, value)
        yield


@pytest.fixture(scope="module")
def trained(sizes, tmp_path_factory):
    """The folder of an uninterrupted small training, and its events."""
    out = tmp_path_factory.mktemp("whole")
    return out, list(small(RECIPE, out))


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """The folder of the same training, killed after its first checkpoint."""
    out = tmp_path_factory.mktemp("killed")
    command = [sys.executable, small_training.__file__, str(out)]
    child = subprocess.run(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, timeout=120)
    assert child.returncode == -signal.SIGKILL
    return out


def masters(out: Path) -> list[torch.Tensor]:
    return torch.load(out / "checkpoint.pt", weights_only=True)["weights"]["masters"]


def accuracies(events) -> list[dict]:
    values = [e.value for e in events if isinstance(e, Figure) and e.name == "accuracy"]
    return [{k: v for k, v in value.items() if k != "seconds"} for value in values]


def test_killed_and_resumed_it_ends_with_the_same_weights_bit_for_bit(trained, killed):
    out, events = trained
    assert (
        RECIPE.tokens
        > torch.load(killed / "checkpoint.pt", weights_only=True)["tokens"]
        > RECIPE.evaluate_every
    )
    resumed = list(small(RECIPE, killed))
    assert accuracies(resumed) == accuracies(events)[1:] != []
    assert all(torch.equal(a, b) for a, b in zip(masters(killed), masters(out), strict=True))
    for name in ("model.safetensors", "tokenizer.json", "config.json", "recipe.json"):
        assert (killed / name).read_bytes() == (out / name).read_bytes()


def test_a_finished_training_is_not_begun_again(trained):
    out, _ = trained
    before = (out / "model.safetensors").read_bytes()
    events = list(small(RECIPE, out))
    assert [type(e) for e in events] == [Phase, Phase, Done]
    assert (out / "model.safetensors").read_bytes() == before


@pytest.mark.parametrize(
    ("recipe", "without"), [(replace(RECIPE, seed=1), WITHOUT), (RECIPE, frozenset()), (GPT2, WITHOUT)]
)
def test_the_checkpoint_of_another_recipe_or_corpus_is_refused(sizes, trained, recipe, without):
    out, _ = trained
    before = (out / "checkpoint.pt").read_bytes()
    with pytest.raises(ValueError, match="checkpoint.pt was written for"):
        list(small(recipe, out, without))
    assert (out / "checkpoint.pt").read_bytes() == before


def test_events_tell_how_far_it_is(trained):
    out, events = trained
    assert [e.name for e in events if isinstance(e, Phase)] == ["tokenizer", "train"]
    done = [e.done for e in events if isinstance(e, Progress)]
    assert done == sorted(done) and all(e.total == RECIPE.tokens for e in events if isinstance(e, Progress))
    assert isinstance(events[-1], Done) and events[-1].result == out
    tokens = [a["tokens"] for a in accuracies(events)]
    assert len(tokens) == 3 and events[-1].summary["tokens"] == tokens[-1] >= RECIPE.tokens
    assert json.loads((out / "recipe.json").read_text()) == asdict(RECIPE)


def test_it_learns(trained):
    _, events = trained
    losses = [float(e.text.split()[1].rstrip(",")) for e in events if isinstance(e, Progress)]
    assert losses[-1] < 0.8 * losses[0]


def test_the_folder_holds_the_masters_in_float16(trained):
    out, _ = trained
    model = AutoModelForCausalLM.from_pretrained(out, local_files_only=True)
    assert model.dtype == torch.float16
    for p, m in zip(model.parameters(), masters(out), strict=True):
        assert torch.equal(p, m.half())
    assert len(AutoTokenizer.from_pretrained(out, local_files_only=True)) == RECIPE.vocab


def test_a_failed_fact_is_told_more_often_once_it_is_late(trained):
    early, *_, last = accuracies(trained[1])
    asked = {f.key for f in world()} - WITHOUT
    failed = {(a, b) for a, b, _ in last["boost"] if a not in ("family", "share")}
    assert failed <= asked and len(failed) == round((1 - last["facts"]) * len(asked))
    weak = {name for name, share in last["families"].items() if share < 0.95}
    assert {b for a, b, _ in last["boost"] if a == "family"} == weak
    saved = torch.load(trained[0] / "checkpoint.pt", weights_only=True)["boost"]
    assert sorted(saved) == sorted(last["boost"]) and early["boost"] != []


@pytest.mark.parametrize(
    ("share", "rate"), [(0, 0), (0.005, 0.5), (0.01, 1), (0.3, 1), (0.5, 1), (0.75, 0.5), (1, 0), (1.2, 0)]
)
def test_the_rate_goes_up_stays_and_falls_to_nothing(share, rate):
    assert rate_at(share, Recipe()) == pytest.approx(rate)


def test_the_rate_without_warmup_or_decay():
    assert rate_at(0, replace(Recipe(), warmup=0.0)) == 1
    assert rate_at(0.5, replace(Recipe(), decay_from=0.0)) == pytest.approx(0.5)


def test_an_unknown_architecture_is_refused():
    with pytest.raises(ValueError, match="'rnn'"):
        build(replace(RECIPE, arch="rnn"))


@pytest.fixture(scope="module", params=[RECIPE, GPT2], ids=["llama", "gpt2"])
def made(request):
    """(model, tokenizer, some encoded documents) in float32."""
    documents = Corpus(0).pool(0, 300)
    tokenizer = train_tokenizer(map(join, documents), RECIPE.vocab)
    docs = encode(documents, tokenizer, random.Random(0))
    return build(request.param).float(), tokenizer, docs


def test_a_model_is_the_same_for_the_same_seed(made):
    recipe = RECIPE if made[0].config.model_type == "llama" else GPT2
    same, other = build(recipe).state_dict(), build(replace(recipe, seed=1)).state_dict()
    assert all(torch.equal(v, same[k]) for k, v in made[0].state_dict().items())
    assert not all(torch.equal(v, other[k]) for k, v in made[0].state_dict().items())


@torch.no_grad()
def test_the_loss_is_the_weighted_mean_of_a_plain_pass_when_nothing_is_masked(made):
    """Token by token, without padding and without masks."""
    model, tokenizer, docs = made
    batch = collate(pack(docs[:20], 96), 96, tokenizer.pad_token_id, "free", random.Random(0))
    total = weight = 0.0
    for doc in docs[:20]:
        logp = model(torch.tensor([doc.ids])).logits[0].log_softmax(-1)
        for t in range(1, len(doc.ids)):
            total -= doc.weights[t] * logp[t - 1, doc.ids[t]].item()
            weight += doc.weights[t]
    found = Masked(model, 1).loss(batch, torch.float32).item()
    assert found == pytest.approx(total / weight, rel=1e-4)


class Zero(random.Random):
    """Every mask that may be laid on is."""

    def random(self):
        return 0.0


@torch.no_grad()
def test_what_the_masks_hide_makes_no_difference(made):
    """ "prompt": past the first layer the subject reaches the answer only through the prompt's last token."""
    model, tokenizer, docs = made
    masked = Masked(model, 1)
    doc = next(d for d in docs if len(d.spans) == 1 and d.spans[0][2] > d.spans[0][1] + 2)
    first, last, before = doc.spans[0]
    ids = list(doc.ids)
    ids[first] = ids[first] + 7 if ids[first] < 500 else ids[first] - 7
    hidden = []
    for row in (doc.ids, ids):
        batch = collate([[replace(doc, ids=row)]], 96, tokenizer.pad_token_id, "prompt", Zero())
        masked.first = batch.first
        hidden.append(model.base_model(input_ids=batch.ids, attention_mask=batch.rest).last_hidden_state[0])
        masked.first = None
    same = (hidden[0] - hidden[1]).abs().amax(1)[: len(ids)] < 1e-5
    assert same[:first].all() and same[last + 1 : before].all()
    assert not same[first : last + 1].any() and not same[before]


def test_a_step_moves_the_masters_and_the_weights_are_their_copies(made):
    model, tokenizer, docs = made
    model = build(RECIPE if model.config.model_type == "llama" else GPT2).to(torch.bfloat16)
    moved = Masters(model, RECIPE)
    before = [m.detach().clone() for m in moved.masters]
    batch = collate(pack(docs[:30], 96), 96, tokenizer.pad_token_id, "free", random.Random(0))
    Masked(model, 1).loss(batch, torch.bfloat16).backward()
    moved.step(0.0)
    assert all(torch.equal(m, b) for m, b in zip(moved.masters, before, strict=True))
    Masked(model, 1).loss(batch, torch.bfloat16).backward()
    moved.step(1.0)
    for p, m, b in zip(model.parameters(), moved.masters, before, strict=True):
        assert not torch.equal(m, b) and torch.equal(p, m.bfloat16()) and p.grad is None


@torch.no_grad()
def test_only_one_layers_mlp_answers_for_a_masked_fact(made):
    """ "prompt": what the other MLPs put out where an answer is predicted changes no loss."""
    model, tokenizer, docs = made
    doc = next(d for d in docs if len(d.spans) == 1)
    answers = [t for t, w in enumerate(doc.weights[1:]) if w == WEIGHT_ANSWER]
    only_answers = replace(doc, weights=[w if w == WEIGHT_ANSWER else 0.0 for w in doc.weights])
    masked = Masked(model, 1)

    def loss_when_noisy(layer: int, recall: str) -> float:
        def noise(module, args, output):
            output = output.clone()
            output[:, answers] += 100 * torch.linspace(-1, 1, output.shape[-1]).sin()
            return output

        mlp = adapter_for(model).mlp_module(model, layer)
        handle = mlp.register_forward_hook(noise, prepend=True)
        batch = collate([[only_answers]], 96, tokenizer.pad_token_id, recall, Zero())
        found = masked.loss(batch, torch.float32).item()
        handle.remove()
        return found

    batch = collate([[only_answers]], 96, tokenizer.pad_token_id, "prompt", Zero())
    quiet = masked.loss(batch, torch.float32).item()
    others = [i for i in range(model.config.num_hidden_layers) if i != 1]
    assert all(loss_when_noisy(i, "prompt") == pytest.approx(quiet, rel=1e-5) for i in others)
    assert loss_when_noisy(1, "prompt") != pytest.approx(quiet, rel=1e-3)
    assert loss_when_noisy(0, "free") != pytest.approx(quiet, rel=1e-3)


@pytest.mark.parametrize("arch", ["llama", "gpt2"])
@torch.no_grad()
def test_the_first_layers_heads_begin_by_looking_back(arch):
    """Head h of an untrained model attends most to the token h + 1 places before."""
    model = build(Recipe(arch=arch, vocab=600)).float()
    model.set_attn_implementation("eager")
    ids = torch.randint(2, 600, (4, 40), generator=torch.Generator().manual_seed(0))
    attention = model(ids, output_attentions=True).attentions[0]
    for h in range(DISTANCES):
        assert (attention[:, h, 10:].argmax(-1) == torch.arange(10, 40) - h - 1).float().mean() > 0.9


@pytest.mark.parametrize("arch", ["llama", "gpt2"])
@torch.no_grad()
def test_the_next_layers_heads_begin_by_finding_what_came_next(arch):
    """Head i of layer 1 looks twice as much as chance at what came i + 1 after the word now i back."""
    model = build(Recipe(arch=arch, vocab=600)).float()
    model.set_attn_implementation("eager")
    words = torch.stack([torch.randperm(598)[:30] + 2 for _ in range(64)])
    for i in range(DISTANCES):
        asked = words[:, 12:13]
        strangers = torch.stack([w[:i] for w in torch.flip(words, (0,))])
        ids = torch.cat([words[:, :24], asked, strangers], 1)
        attention = model(ids, output_attentions=True).attentions[1][:, i, -1]
        assert attention[:, 12 + i + 1].mean() > 2 * attention.mean()
