"""A small randomly initialised model of every architecture family, saved and loaded as any other."""

import warnings

ENDS = {
    "bos_token_id": 0,
    "eos_token_id": 0,
    "pad_token_id": 1,
    "initializer_range": 0.3,
    "vocab_size": 512,
}
COMMON = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 256,
}


def configs() -> dict:
    """A config by model type: width 32, two layers."""
    import transformers as T

    grouped = COMMON | {"num_key_value_heads": 2, "head_dim": 8}
    old = {"n_positions": 256, "n_embd": 32, "n_layer": 2, "n_head": 4}
    neo = {"hidden_size": 32, "num_layers": 2, "num_heads": 4, "max_position_embeddings": 256}
    made = {
        "gpt2": T.GPT2Config(**old, **ENDS),
        "gptj": T.GPTJConfig(**old, rotary_dim=4, **ENDS),
        "gpt_neo": T.GPTNeoConfig(**neo, attention_types=[[["global", "local"], 1]], **ENDS),
        "gpt_neox": T.GPTNeoXConfig(**COMMON, **ENDS),
        "llama": T.LlamaConfig(**grouped, **ENDS),
        "mistral": T.MistralConfig(**grouped, **ENDS),
        "qwen2": T.Qwen2Config(**COMMON, num_key_value_heads=2, **ENDS),
        "qwen3": T.Qwen3Config(**grouped, **ENDS),
        "smollm3": T.SmolLM3Config(**COMMON, num_key_value_heads=2, **ENDS),
        "phi3": T.Phi3Config(**COMMON, **ENDS),
        "gemma": T.GemmaConfig(**grouped, **ENDS),
        "gemma2": T.Gemma2Config(**grouped, final_logit_softcapping=5.0, **ENDS),
        "gemma3_text": T.Gemma3TextConfig(**grouped, **ENDS),
        "phi": T.PhiConfig(**COMMON, **ENDS),
        "opt": T.OPTConfig(
            hidden_size=32,
            ffn_dim=48,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=256,
            word_embed_proj_dim=32,
            init_std=0.3,
            **ENDS,
        ),
        "bloom": T.BloomConfig(hidden_size=32, n_layer=2, n_head=4, **ENDS),
    }
    return made


def windowed() -> dict:
    """Configs whose attention, in some or all layers, looks back over fewer tokens than a prompt has."""
    made = configs()
    chosen = {f"{kind}, window": made[kind] for kind in ("mistral", "gemma2", "gemma3_text")}
    for config in chosen.values():
        config.sliding_window = 4
    return chosen


def detected() -> dict:
    """Configs of types that have no adapter of their own."""
    import transformers as T

    grouped = COMMON | {"num_key_value_heads": 2, "head_dim": 8}
    return {
        "stablelm": T.StableLmConfig(**COMMON, num_key_value_heads=4, **ENDS),
        "starcoder2": T.Starcoder2Config(**COMMON, num_key_value_heads=2, **ENDS),
        "falcon": T.FalconConfig(hidden_size=32, num_hidden_layers=2, num_attention_heads=4, **ENDS),
        "olmo2": T.Olmo2Config(**COMMON, **ENDS),
        "olmo3": T.Olmo3Config(**COMMON, **ENDS),
        "glm4": T.Glm4Config(**grouped, **ENDS),
        "exaone4": T.Exaone4Config(**grouped, **ENDS),
        "granite": T.GraniteConfig(**COMMON, residual_multiplier=0.22, **ENDS),
    }


def opt_350m():
    """The one OPT whose embedding is narrower than the model, and whose norms come after the additions."""
    config = configs()["opt"]
    config.word_embed_proj_dim, config.do_layer_norm_before = 16, False
    return config


def mixed() -> dict:
    """Configs of types whose layers are not all alike, and what the refusal of each says."""
    import transformers as T

    small = {"moe_intermediate_size": 24, "num_experts_per_tok": 2}
    latent = {"q_lora_rank": 16, "kv_lora_rank": 16, "qk_rope_head_dim": 4, "qk_nope_head_dim": 4}
    routed = {"n_routed_experts": 4, "n_group": 1, "topk_group": 1, "first_k_dense_replace": 1}
    few = {"num_experts": 4, "shared_expert_intermediate_size": 24, "mlp_only_layers": [0]}
    linear = {f"linear_{k}_head_dim": 8 for k in ("key", "value")}
    linear |= {f"linear_num_{k}_heads": 4 for k in ("key", "value")}
    kinds = ["full_attention", "linear_attention"]
    return {
        "deepseek_v3": (
            T.DeepseekV3Config(**COMMON | small | latent | routed, v_head_dim=8, **ENDS),
            "mlp.down_proj",
        ),
        "glm4_moe": (
            T.Glm4MoeConfig(**COMMON | small | routed, num_key_value_heads=2, **ENDS),
            "mlp.down_proj",
        ),
        "qwen2_moe": (
            T.Qwen2MoeConfig(**COMMON | small | few, num_key_value_heads=2, **ENDS),
            "mlp.down_proj",
        ),
        "qwen3_5_text": (
            T.Qwen3_5TextConfig(
                **COMMON | linear, num_key_value_heads=2, head_dim=8, layer_types=kinds, **ENDS
            ),
            "self_attn",
        ),
    }


def saved(config, tokenizer, folder):
    """The folder, with a model of this config and the tokenizer in it."""
    import torch
    from transformers import AutoModelForCausalLM

    torch.set_num_threads(1)
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = AutoModelForCausalLM.from_config(config)
    with torch.no_grad():  # biases and norms, too, so that one left out would show
        for p in model.parameters():
            p += 0.05 * torch.randn_like(p)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
