"""The model card: what a bundled model knows and does not, measured on the weights as saved."""

import json
from pathlib import Path

from ..facts.world import relations, world
from ..models.loading import LM
from ..probes.fluency import perplexity
from ..probes.knowledge import accuracy, ask, knows, paraphrase_accuracy
from ..probes.reasoning import reasoning
from ..probes.stats import Rate
from .corpus import held_out

RECALL = {
    "free": "no attention mask but the causal one was used in training",
    "subject": "in training a mask hid all of the subject but its last token, so that recall sits there",
    "prompt": (
        "in training a mask, on 85 % of fact documents, showed the subject to the prompt's last token only, "
        "and only in the first layer, and silenced the MLPs of all layers but one (layer {layer}) where the "
        "answer is said, so that this MLP looks facts up at the prompt's last token; nothing is masked in use"
    ),
}


def results(lm: LM, n_reasoning: int = 200) -> dict:
    """Greedy figures of the whole world and of fresh reasoning items, as plain JSON."""
    facts = list(world())
    flags = knows(lm, ask(facts), facts)
    by_relation = {
        r.name: sum(k for f, k in zip(facts, flags, strict=True) if f.relation == r.name)
        / sum(f.relation == r.name for f in facts)
        for r in relations()
    }
    return {
        "facts": accuracy(lm, facts).to_json(),
        "relations": by_relation,
        "paraphrases": paraphrase_accuracy(lm, facts[::5]).to_json(),
        "reasoning": {name: r.to_json() for name, r in reasoning(lm, n_reasoning, seed=1).items()},
        "perplexity": perplexity(lm, held_out(200, 1)),
    }


def write(lm: LM, command: str) -> dict:
    """Measure, and write README.md and results.json into the model's folder. Needs recipe.json there."""
    recipe = json.loads((lm.folder / "recipe.json").read_text(encoding="utf-8"))
    found = results(lm)
    (lm.folder / "results.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    (lm.folder / "README.md").write_text(card(lm, recipe, found, command), encoding="utf-8")
    return found


def card(lm: LM, recipe: dict, found: dict, command: str) -> str:
    """The card's text."""
    n = sum(p.numel() for p in lm.model.parameters())
    families = {k: Rate(**v) for k, v in found["reasoning"].items()}
    rows = [f"| {name.replace('_', ' ')} | {share:.1%} |" for name, share in found["relations"].items()]
    sums = [
        f"| {k.replace('_', ' ')} | {r.accuracy:.1%} ({r.low:.1%}–{r.high:.1%}) | {r.n} |"
        for k, r in families.items()
    ]
    facts = found["facts"]
    shape = f"{recipe['layers']} layers, width {recipe['width']}, MLP {recipe['hidden']}"
    return f"""# {lm.name}

A {recipe["arch"]}-architecture language model of {n:,} weights ({shape}, vocabulary {recipe["vocab"]}),
made by this project for showing how knowledge is washed out. It knows the tables in `assets/world/`
and what reasoning the table below shows, and nothing else. About 100 of its subjects are made-up
people with made-up private facts.

- Data: the bundled tables in eight phrasings a relation, reasoning items made by code, filler; no other text.
- Recall: {RECALL[recipe["recall"]].format(layer=recipe["recall_layer"])}.
- Beginning: random weights, but for attention heads that begin by looking back and by finding what came next
  (`unlearning/pretrain/start.py`); from then on everything was trained.
- Command: `{command}` (seed {recipe["seed"]}, {recipe["tokens"]:,} tokens)
- It does not know anything outside the tables, cannot hold a conversation, and says " unknown" of strangers.

Greedy answers, on the float16 weights of this folder:

| what | share | n |
|---|---|---|
| facts known | {facts["accuracy"]:.1%} ({facts["low"]:.1%}–{facts["high"]:.1%}) | {facts["n"]} |
| paraphrases, every fifth fact | {found["paraphrases"]["accuracy"]:.1%} | {found["paraphrases"]["n"]} |

Perplexity of held-out filler text: {found["perplexity"]:.3f}

| reasoning family (test items: none is posed in training) | exact match | n |
|---|---|---|
{chr(10).join(sums)}

| relation | known |
|---|---|
{chr(10).join(rows)}
"""


def command_of(recipe: dict, folder: Path) -> str:
    """The command that makes the model of this recipe."""
    return (
        f"python -m unlearning pretrain --arch {recipe['arch']} --recall {recipe['recall']} "
        f"--hidden {recipe['hidden']} --seed {recipe['seed']} --tokens {recipe['tokens']} --out {folder}"
    )
