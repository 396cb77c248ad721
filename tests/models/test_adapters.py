"""Every architecture family: the right matrix, whole logits, batches like single rows, half precision."""

from contextlib import ExitStack

import families
import pytest
import torch
from transformers import AutoModelForCausalLM

from unlearning.facts.fact import Fact
from unlearning.law.contexts import build, keys
from unlearning.law.update import initial
from unlearning.models.adapters import ADAPTERS, UnknownArchitecture, adapter_for, detect, max_positions
from unlearning.models.delta import Delta, applied
from unlearning.models.hooks import changed, inputs_of, outputs_of
from unlearning.models.loading import load
from unlearning.models.text import greedy, pad, prompt_ids, score
from unlearning.probes.lens import lens

KINDS = [*ADAPTERS, *families.windowed(), *families.detected()]
PROMPTS = ["The capital of France is", "A", "List: hat, saw, pear. The first word is", "7 + 5 ="]
ANSWERS = ["Paris", "long answer of several words", "hat", "12"]
FACT = Fact("France", "capital", ("Paris",), ("The capital of {} is",))


@pytest.fixture(params=KINDS)
def lm(request, made):
    return load(made(request.param), device="cpu")


def test_every_type_with_an_adapter_is_tried():
    assert set(families.configs()) == set(ADAPTERS)


def test_the_edited_matrix_is_the_right_one_and_undo_restores_bit_for_bit(lm):
    """At the lookup token the down-projection's output changes by exactly ΔW k, and nothing else does."""
    a, before = lm.adapter, {k: v.clone() for k, v in lm.model.state_dict().items()}
    for i in range(a.n_layers(lm.model)):
        W = a.weight(lm.model, i)
        change = 0.1 * torch.randn(W.shape, generator=torch.Generator().manual_seed(i))
        assert W.shape[0] == lm.model.config.hidden_size != W.shape[1]
        contexts = build(lm, [FACT], "subject")
        K = keys(lm, contexts, [i])[i].float()
        delta = Delta({a.weight_name(i): a.stored(change)}, lm.hash)
        seen = []
        for edit in (None, delta):
            with ExitStack() as on:
                if edit:
                    on.enter_context(applied(lm, edit))
                rows = pad(contexts.ids, "right", "cpu")
                with outputs_of({0: a.down_module(lm.model, i)}) as out:
                    lm.model.base_model(**rows.kwargs(), use_cache=False)
                seen.append(out[0].reshape(1, -1, W.shape[0])[0, contexts.lookup[0]])
        assert torch.allclose(seen[1] - seen[0], (change @ K)[:, 0], atol=1e-4)
    after = lm.model.state_dict()
    assert all(torch.equal(after[k], v) for k, v in before.items())


def test_what_the_down_projection_says_is_what_is_added(lm):
    """Silenced, the last layer's residual stream lacks its output; behind a norm, the norm of that."""
    a, last = lm.adapter, lm.adapter.n_layers(lm.model) - 1
    rows = pad(prompt_ids(lm.tokenizer, PROMPTS[:1]), "right", "cpu").kwargs()
    layer, down = {0: a.layer_module(lm.model, last)}, a.down_module(lm.model, last)
    with outputs_of(layer) as whole, inputs_of({0: down}) as k:
        lm.model.base_model(**rows, use_cache=False)
    with outputs_of(layer) as without, changed(down, torch.zeros_like):
        lm.model.base_model(**rows, use_cache=False)
    said = down(k[0]).reshape(whole[0].shape)
    said = getattr(layer[0], a.after)(said) if a.after else said
    scale = 0.22 if a.family.startswith("granite") else 1.0
    assert torch.allclose(whole[0] - without[0], scale * said, atol=1e-3)


def test_the_last_layers_lens_is_the_model(lm):
    rows = pad(prompt_ids(lm.tokenizer, PROMPTS), "right", "cpu")
    with outputs_of({0: lm.adapter.layer_module(lm.model, lm.adapter.n_layers(lm.model) - 1)}) as seen:
        logits = lm.model(**rows.kwargs()).logits
    mine = lm.adapter.logits(lm.model, seen[0])
    assert torch.allclose(mine[rows.mask.bool()], logits[rows.mask.bool()], atol=1e-3)
    looks = lens(lm, [FACT])[0]
    goal = score(lm.model, lm.tokenizer, [FACT.prompt()], [FACT.object])[0]
    assert looks[-1].p == pytest.approx(torch.tensor(goal.logp[0]).exp().item(), rel=1e-3, abs=1e-6)


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_batch_is_one_at_a_time_with_padding_on_either_side(lm, side):
    alone = []
    for p in PROMPTS:
        ids = torch.tensor(prompt_ids(lm.tokenizer, [p]))
        for _ in range(4):
            new = lm.model(input_ids=ids).logits[:, -1:].argmax(-1)
            ids = torch.cat([ids, new], 1)
        alone.append(ids[0, -4:].tolist())
    said = greedy(lm.model, lm.tokenizer, PROMPTS, 4, 128, side)
    eos = lm.tokenizer.eos_token_id
    ends = [a[: a.index(eos)] if eos in a else a for a in alone]
    assert said == [lm.tokenizer.decode(a, skip_special_tokens=True).strip() for a in ends]
    one = [score(lm.model, lm.tokenizer, [p], [a])[0] for p, a in zip(PROMPTS, ANSWERS)]
    for mine, batched in zip(one, score(lm.model, lm.tokenizer, PROMPTS, ANSWERS, side=side), strict=True):
        assert batched.logp == pytest.approx(mine.logp, abs=2e-3)
        assert batched.best == mine.best and batched.then == mine.then


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_weights_are_solved_in_float64_and_restored(lm, dtype):
    half = load(str(lm.folder), device="cpu", dtype=dtype)
    a, i = half.adapter, 1
    K = keys(half, build(half, [FACT], "prompt"), [i])[i]
    assert K.dtype == torch.float64 and K.isfinite().all()
    d, f = a.weight(half.model, i).shape
    R = torch.randn(d, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    update = initial(R @ K.T, K @ K.T, torch.eye(f, dtype=torch.float64), 1e-9)
    assert torch.allclose(update @ K, R, rtol=1e-5), "one fact, hardly any λ: exactly what is wanted"
    before = a.weight(half.model, i).clone()
    with applied(half, Delta({a.weight_name(i): a.stored(update.float())}, half.hash)):
        now = a.weight(half.model, i)
        assert now.dtype == dtype and torch.equal(now, before + update.float().to(dtype))
    assert torch.equal(a.weight(half.model, i), before)


def test_a_placed_model_is_the_same(lm):
    """`device_map`, every part placed by name: what can be tried with one device."""
    a = lm.adapter
    parts = {a.layer.format(i): "cpu" for i in range(a.n_layers(lm.model))} | {"": "cpu"}
    placed = AutoModelForCausalLM.from_pretrained(lm.folder, device_map=parts, dtype=torch.float32).eval()
    assert adapter_for(placed).weight_name(1) == a.weight_name(1)
    assert greedy(placed, lm.tokenizer, PROMPTS, 4) == greedy(lm.model, lm.tokenizer, PROMPTS, 4)


@pytest.mark.parametrize("kind", [k for k in ADAPTERS if k != "opt"])
def test_what_is_detected_is_what_is_known(made, kind):
    model = load(made(kind), device="cpu").model
    found, known = detect(model), ADAPTERS[kind]
    for part in ("layer", "attention", "down", "final", "mlp", "unembedding", "transposed", "after"):
        assert getattr(found, part) == getattr(known, part)


def test_what_leaves_a_choice_is_refused_by_name(made):
    import transformers as T

    experts = T.MixtralConfig(
        vocab_size=64,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        num_local_experts=2,
    )
    with pytest.raises(UnknownArchitecture, match="'mixtral'.*projection down to 32 in an MLP"):
        adapter_for(AutoModelForCausalLM.from_config(experts))
    model = load(made("llama"), device="cpu").model
    del model.model.norm
    with pytest.raises(UnknownArchitecture, match="no norm after the layers"):
        detect(model)


@pytest.mark.parametrize("kind", families.mixed())
def test_layers_that_are_not_alike_are_refused_by_number(kind):
    config, missing = families.mixed()[kind]
    with pytest.raises(UnknownArchitecture, match=f"layer 1 does not have {missing}"):
        adapter_for(AutoModelForCausalLM.from_config(config))
    with torch.device("meta"):  # as before a download, without weights
        empty = AutoModelForCausalLM.from_config(config)
    with pytest.raises(UnknownArchitecture, match=f"layer 1 does not have {missing}"):
        adapter_for(empty)


def test_a_matrix_of_another_shape_in_a_layer_is_refused(made):
    model = load(made("llama"), device="cpu").model
    model.model.layers[1].mlp.down_proj = torch.nn.Linear(40, 32)
    with pytest.raises(UnknownArchitecture, match="mlp.down_proj of layer 1 has another shape"):
        detect(model)


@pytest.mark.parametrize("kind", ["gemma2", "gemma3_text", "olmo2", "olmo3", "glm4", "exaone4"])
def test_a_norm_behind_the_mlp_is_seen(made, kind):
    after = "post_mlp_layernorm" if kind == "glm4" else "post_feedforward_layernorm"
    assert detect(load(made(kind), device="cpu").model).after == after


def test_a_layer_that_does_more_with_its_mlps_output_is_refused(made):
    model = load(made("llama"), device="cpu").model
    layers = model.model.layers
    more = [(1, layers[1].mlp, lambda h: 0.5 * h), (0, layers[0], lambda h: h / h.norm(dim=-1, keepdim=True))]
    for i, module, change in more:
        refused = pytest.raises(UnknownArchitecture, match=f"layer {i} does more with what its mlp.down_proj")
        with changed(module, change), refused:
            detect(model)


def test_opt_350m_is_refused_whose_norms_come_after_the_addition(tiny_tokenizer, tmp_path):
    folder = families.saved(families.opt_350m(), tiny_tokenizer, tmp_path)
    with pytest.raises(UnknownArchitecture, match="opt-350m.* cannot be washed"):
        load(str(folder), device="cpu")


def test_positions_of_every_family():
    wanted = {kind: 2048 if kind == "bloom" else 256 for kind in ADAPTERS}
    assert {kind: max_positions(c) for kind, c in families.configs().items()} == wanted


def test_keys_stop_at_their_layer(lm):
    with inputs_of({0: lm.adapter.down_module(lm.model, 0)}, stop_after=0) as seen:
        lm.model.base_model(input_ids=torch.tensor([[5, 6, 7]]), use_cache=False)
    assert seen[0].reshape(1, 3, -1).shape[2] == lm.adapter.weight(lm.model, 0).shape[1]
