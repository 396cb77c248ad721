"""Pre-train a bundled model: tables -> corpus -> tokenizer -> weights, from one seed.

    python -m unlearning pretrain --arch llama --out assets/models/lethe-llama --seed 0

Muon (https://kellerjordan.github.io/posts/muon/) for the matrices, AdamW for the rest;
bfloat16 weights with float32 masters; rows packed with whole documents. Facts and families
that are not yet answered are told more often. A checkpoint is written at every evaluation.

What made reasoning learnable at this size, where before it stayed at chance: almost no loss
on text that cannot be foreseen; Muon's update kept at one spectral norm for every matrix, with
weight decay to bound it, or the MLPs drown what attention brings; and heads that begin by
looking back and by finding what came next (`start.py`).
"""

import json
import random
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from ..events import Done, Event, Figure, Phase, Progress
from ..files import replacing
from ..models.adapters import adapter_for
from ..models.text import score
from ..tasks.reasoning import test_set
from .batches import Batch, batches, collate, encode
from .corpus import LATER, Corpus, join
from .start import begin
from .tokenizer import train_tokenizer

POOL = 8192  # documents generated at a time
TOKENIZER_POOL = 20_000  # documents in each of the three pools that the tokenizer is trained on
ITEMS = 100  # of each reasoning family in an evaluation


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the weights, next to the code and the tables."""

    arch: str = "llama"  # "llama" or "gpt2"
    recall: str = "prompt"  # training mask, see batches.py
    recall_layer: int = 1  # with "prompt": the only layer whose MLP may answer
    seed: int = 0
    tokens: int = 24_000_000
    batch_tokens: int = 2048
    row: int = 96  # tokens in a packed row
    vocab: int = 4096
    width: int = 192
    layers: int = 3
    heads: int = 6
    hidden: int = 2048
    lr_matrix: float = 0.01  # spectral norm of Muon's step
    lr_other: float = 5e-3
    weight_decay: float = 0.2  # of matrices: bounds their spectral norm at about 1 / weight_decay
    warmup: float = 0.01  # share of all tokens
    decay_from: float = 0.5  # share of all tokens after which the rate falls linearly to 0
    evaluate_every: int = 1_000_000  # tokens


def build(recipe: Recipe):
    """An untrained model of the recipe's shape."""
    from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

    torch.manual_seed(recipe.seed)
    ids = {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 1}
    if recipe.arch == "llama":
        config = LlamaConfig(
            vocab_size=recipe.vocab,
            hidden_size=recipe.width,
            intermediate_size=recipe.hidden,
            num_hidden_layers=recipe.layers,
            num_attention_heads=recipe.heads,
            num_key_value_heads=recipe.heads,
            max_position_embeddings=256,
            tie_word_embeddings=True,
            attn_implementation="sdpa",
            **ids,
        )
        return begin(LlamaForCausalLM(config))
    if recipe.arch == "gpt2":
        config = GPT2Config(
            vocab_size=recipe.vocab,
            n_positions=256,
            n_embd=recipe.width,
            n_layer=recipe.layers,
            n_head=recipe.heads,
            n_inner=recipe.hidden,
            activation_function="gelu_pytorch_tanh",
            resid_pdrop=0.0,
            embd_pdrop=0.0,
            attn_pdrop=0.0,
            attn_implementation="sdpa",
            **ids,
        )
        return begin(GPT2LMHeadModel(config))
    raise ValueError(f'arch must be "llama" or "gpt2", not {recipe.arch!r}')


class Masters:
    """Float32 copies of bfloat16 weights, and the two optimizers that move them."""

    def __init__(self, model, recipe: Recipe):
        named = [(n, p) for n, p in model.named_parameters()]
        self.weights = [p for _, p in named]
        self.masters = [p.detach().float().clone().requires_grad_() for p in self.weights]
        matrices, other = [], []
        for (name, p), m in zip(named, self.masters):
            (matrices if p.ndim == 2 and not _is_embedding(name) else other).append(m)
        self.optimizers = [
            torch.optim.Muon(
                matrices,
                lr=recipe.lr_matrix,
                weight_decay=recipe.weight_decay,
                adjust_lr_fn="original",
            ),
            torch.optim.AdamW(other, lr=recipe.lr_other, betas=(0.9, 0.95), weight_decay=0.0),
        ]
        self.base_rates = [recipe.lr_matrix, recipe.lr_other]

    def step(self, rate: float) -> None:
        """Move the masters by the weights' gradients at `rate` times the base rates, and copy them back."""
        for m, w in zip(self.masters, self.weights):
            m.grad = w.grad.float()
            w.grad = None
        for optimizer, base in zip(self.optimizers, self.base_rates):
            for group in optimizer.param_groups:
                group["lr"] = base * rate
            optimizer.step()
        with torch.no_grad():
            for m, w in zip(self.masters, self.weights):
                w.copy_(m)

    def state_dict(self) -> dict:
        return {"masters": self.masters, "optimizers": [o.state_dict() for o in self.optimizers]}

    def load_state_dict(self, state: dict) -> None:
        with torch.no_grad():
            for m, w, saved in zip(self.masters, self.weights, state["masters"]):
                m.copy_(saved)
                w.copy_(saved)
        for optimizer, saved in zip(self.optimizers, state["optimizers"]):
            optimizer.load_state_dict(saved)


def _is_embedding(name: str) -> bool:
    return any(part in name for part in ("embed_tokens", "wte", "wpe", "lm_head"))


def rate_at(share: float, recipe: Recipe) -> float:
    """Learning-rate factor after this share of all tokens: up, level, linearly down to 0."""
    if share < recipe.warmup:
        return share / recipe.warmup
    return min(1.0, max(0.0, (1 - share) / (1 - recipe.decay_from)))


class Masked:
    """The forward pass under training's masks: of the first layer's attention, the others', and the MLPs."""

    def __init__(self, model, recall_layer: int):
        self.model = model
        self.core = model.base_model
        adapter = adapter_for(model)
        adapter.attention_module(model, 0).register_forward_pre_hook(self._swap, with_kwargs=True)
        for i in range(adapter.n_layers(model)):
            if i != recall_layer:
                adapter.mlp_module(model, i).register_forward_hook(self._silence)
        self.first: Tensor | None = None
        self.silent: Tensor | None = None

    def _swap(self, module, args, kwargs):
        return (args, kwargs) if self.first is None else (args, {**kwargs, "attention_mask": self.first})

    def _silence(self, module, args, output):
        return output if self.silent is None else output.masked_fill(self.silent, 0)

    def loss(self, batch: Batch, dtype) -> Tensor:
        """Weighted mean negative log-likelihood; logits only where a weight is."""
        self.first, self.silent = batch.first.to(dtype), batch.lookup[..., None]
        h = self.core(
            input_ids=batch.ids, position_ids=batch.positions, attention_mask=batch.rest.to(dtype)
        ).last_hidden_state
        self.first = self.silent = None
        w = batch.weights[:, 1:].reshape(-1)
        keep = w > 0
        logits = self.model.lm_head(h[:, :-1].reshape(-1, h.shape[-1])[keep]).float()
        nll = F.cross_entropy(logits, batch.ids[:, 1:].reshape(-1)[keep], reduction="none")
        return (nll * w[keep]).sum() / w[keep].sum()


def right_answers(model, tokenizer, prompts: list[str], answers: list[str]) -> list[bool]:
    """Is every token of the answer the most probable one after the tokens before it?"""
    return [all(s.best) for s in score(model, tokenizer, prompts, answers, chunk=256)]


def evaluate(model, tokenizer, corpus: Corpus) -> dict:
    """Accuracy per relation (first phrasing), on the first paraphrase, per reasoning family; what failed."""
    model.eval()
    facts = corpus.facts
    ok = right_answers(model, tokenizer, [f.prompt() for f in facts], [f.object for f in facts])
    some = facts[::7]
    para = right_answers(
        model,
        tokenizer,
        [f.paraphrases[0].replace("{}", f.subject) for f in some],
        [f.object for f in some],
    )
    by_relation: dict[str, list[bool]] = {}
    for f, good in zip(facts, ok):
        by_relation.setdefault(f.relation, []).append(good)
    families = {
        name: right_answers(model, tokenizer, [i.prompt for i in its], [i.answer for i in its])
        for name, its in test_set(ITEMS).items()
    }
    model.train()
    return {
        "facts": _mean(ok),
        "paraphrases": _mean(para),
        "relations": {k: _mean(v) for k, v in by_relation.items()},
        "families": {k: _mean(v) for k, v in families.items()},
        "boost": [[*f.key, 2.0] for f, good in zip(facts, ok) if not good]
        + [["family", k, 2.0] for k, v in families.items() if _mean(v) < 0.95]
        + ([["share", kind, share] for kind, share in LATER.items()] if _mean(ok) > 0.96 else []),
    }


def _mean(values: list[bool]) -> float:
    return sum(values) / max(1, len(values))


def train(
    recipe: Recipe, out: Path, without: frozenset = frozenset(), device: str | None = None
) -> Iterator[Event]:
    """Train and save to `out`; resumes from `out/checkpoint.pt` when it is there and of the same recipe.

    Yields events; the last is Done with the folder. Raises ValueError when the checkpoint
    belongs to another recipe, or leaves out other facts.
    """
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    out.mkdir(parents=True, exist_ok=True)
    corpus = Corpus(recipe.seed, without)
    yield Phase("tokenizer", "training the tokenizer")
    texts = (join(d) for i in range(3) for d in corpus.pool(-1 - i, TOKENIZER_POOL))
    tokenizer = train_tokenizer(texts, recipe.vocab)
    dtype = torch.bfloat16
    model = build(recipe).to(device=device, dtype=dtype)
    masters = Masters(model, recipe)
    masked = Masked(model, recipe.recall_layer)
    tokens, pool, boost, seconds = 0, 0, {}, 0.0
    checkpoint = out / "checkpoint.pt"
    if checkpoint.exists():
        saved = torch.load(checkpoint, map_location=device, weights_only=True)
        if saved["recipe"] != asdict(recipe):
            raise ValueError(f"{checkpoint} was written for another recipe: {saved['recipe']}")
        if saved.get("without", []) != sorted(map(list, without)):
            raise ValueError(f"{checkpoint} was written for a corpus without other facts")
        masters.load_state_dict(saved["weights"])
        tokens, pool, seconds = saved["tokens"], saved["pool"], saved["seconds"]
        boost = {(a, b): c for a, b, c in saved["boost"]}
    yield Phase("train", f"training {sum(p.numel() for p in model.parameters()):,} weights on {device}")
    started, next_evaluation = time.monotonic() - seconds, tokens + recipe.evaluate_every
    first_tokens, first_time = tokens, time.monotonic()
    while tokens < recipe.tokens:
        r = random.Random(f"batches {recipe.seed} {pool}")
        encoded = encode(corpus.pool(pool, POOL, boost), tokenizer, r)
        losses = []
        positions = model.config.max_position_embeddings
        for n, rows in enumerate(batches(encoded, recipe.batch_tokens, recipe.row, r)):
            batch = collate(rows, recipe.row, tokenizer.pad_token_id, recipe.recall, r, positions).to(device)
            loss = masked.loss(batch, dtype)
            loss.backward()
            masters.step(rate_at(tokens / recipe.tokens, recipe))
            tokens += batch.ids.numel()
            losses.append(loss.detach())
            if n % 20 == 0:
                mean = torch.stack(losses[-20:]).mean().item()
                speed = (tokens - first_tokens) / (time.monotonic() - first_time)
                left = (recipe.tokens - tokens) / speed / 60
                text = f"loss {mean:.3f}, {speed:,.0f} tokens/s, {left:.0f} min left"
                yield Progress(tokens, recipe.tokens, text)
        pool += 1
        if tokens >= next_evaluation or tokens >= recipe.tokens:
            next_evaluation = tokens + recipe.evaluate_every
            seconds = time.monotonic() - started
            figures = evaluate(model, tokenizer, corpus)
            late = tokens > 0.3 * recipe.tokens
            boost = {(a, b): c for a, b, c in figures["boost"] if late or a in ("family", "share")}
            yield Figure("accuracy", {"tokens": tokens, "seconds": seconds, **figures})
            save(
                masters, model, tokenizer, out
            )  # first: whoever resumes from the last checkpoint saves no more
            state = {"recipe": asdict(recipe), "without": sorted(map(list, without)), "seconds": seconds}
            state |= {"weights": masters.state_dict(), "tokens": tokens, "pool": pool}
            state |= {"boost": [[a, b, c] for (a, b), c in boost.items()]}
            with replacing(checkpoint) as part:
                torch.save(state, part)
    (out / "recipe.json").write_text(json.dumps(asdict(recipe), indent=1) + "\n")
    yield Done(out, {"folder": str(out), "tokens": tokens, "seconds": seconds})


def save(masters: Masters, model, tokenizer, out: Path) -> None:
    """Write the float32 masters as a float16 `from_pretrained` folder."""
    half = type(model)(model.config)
    with torch.no_grad():
        for p, m in zip(half.parameters(), masters.masters):
            p.copy_(m)
    half.half().save_pretrained(out)
    tokenizer.save_pretrained(out)
