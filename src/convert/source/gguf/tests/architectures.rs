//! Names, layouts and `config.json` of each architecture.

use serde_json::{Value, json};

use super::{Writer, opened, small};

/// Opens `file` and holds `config.json`'s keys, and names and first column of weights, against `expected`.
fn check(file: Writer, config: Value, weights: &[(&str, &[f32])]) {
    let checkpoint = opened(&file.bytes()).unwrap();
    for (key, value) in config.as_object().unwrap() {
        assert_eq!(checkpoint.config.get(key), Some(value), "{key}");
    }
    for (name, column) in weights {
        let array = checkpoint.tensors.read(name).unwrap();
        assert_eq!(checkpoint.tensors.shapes()[*name], array.shape(), "{name}");
        let width = array.len() / array.shape()[0];
        let got: Vec<f32> = array.to_f32s().into_iter().step_by(width).collect();
        assert_eq!(&got, column, "{name}");
    }
}

#[test]
fn llama() {
    let file = small("llama")
        .count("llama.attention.head_count_kv", 1)
        .float("llama.rope.freq_base", 5e5)
        .tensor("blk.0.attn_q.weight", &[8, 2])
        .tensor("blk.0.attn_k.weight", &[4, 2])
        .tensor("blk.0.attn_q.bias", &[8])
        .tensor("blk.0.ffn_norm.weight", &[2])
        .tensor("output.weight", &[4, 8]);
    let config = json!({
        "model_type": "llama", "hidden_size": 8, "head_dim": 4, "num_key_value_heads": 1, "vocab_size": 4,
        "rms_norm_eps": 1e-5, "rope_theta": 5e5, "tie_word_embeddings": false, "attention_bias": true,
        "max_position_embeddings": 16,
    });
    check(
        file,
        config,
        &[
            (
                "model.layers.0.self_attn.q_proj.weight",
                &[0., 4., 2., 6., 8., 12., 10., 14.],
            ),
            (
                "model.layers.0.self_attn.q_proj.bias",
                &[0., 2., 1., 3., 4., 6., 5., 7.],
            ),
            ("model.layers.0.self_attn.k_proj.weight", &[0., 4., 2., 6.]),
            ("model.layers.0.post_attention_layernorm.weight", &[0., 1.]),
            ("lm_head.weight", &[0., 8., 16., 24.]),
        ],
    );
}

#[test]
fn smollm3() {
    let file = small("smollm3").count("smollm3.block_count", 5);
    let file = (0..5).fold(file, |file, i| {
        file.tensor(&format!("blk.{i}.attn_q.weight"), &[4, 2])
    });
    check(
        file,
        json!({ "model_type": "smollm3", "no_rope_layers": [1, 1, 1, 0, 1] }),
        &[("model.layers.4.self_attn.q_proj.weight", &[0., 2., 4., 6.])],
    );
}

#[test]
fn qwen() {
    let file = small("qwen2")
        .tensor("blk.0.attn_q.weight", &[8, 1])
        .tensor("blk.0.attn_v.bias", &[2]);
    check(
        file,
        json!({ "model_type": "qwen2", "num_key_value_heads": 2 }),
        &[
            (
                "model.layers.0.self_attn.q_proj.weight",
                &[0., 1., 2., 3., 4., 5., 6., 7.],
            ),
            ("model.layers.0.self_attn.v_proj.bias", &[0., 1.]),
        ],
    );
    let file = small("qwen3")
        .count("qwen3.attention.key_length", 16)
        .tensor("blk.0.attn_k_norm.weight", &[2]);
    check(
        file,
        json!({ "model_type": "qwen3", "head_dim": 16, "attention_bias": false }),
        &[("model.layers.0.self_attn.k_norm.weight", &[0., 1.])],
    );
}

#[test]
fn gemma() {
    let file = small("gemma3")
        .count("gemma3.block_count", 7)
        .count("gemma3.attention.key_length", 4)
        .count("gemma3.attention.sliding_window", 5)
        .tensor("output_norm.weight", &[2]);
    let names = [
        "attn_norm",
        "ffn_norm",
        "post_attention_norm",
        "post_ffw_norm",
        "attn_q_norm",
        "ffn_up",
    ];
    let file = names.iter().fold(file, |file, name| {
        file.tensor(&format!("blk.6.{name}.weight"), &[2])
    });
    let (near, far) = ("sliding_attention", "full_attention");
    let config = json!({
        "model_type": "gemma3_text", "sliding_window": 5, "query_pre_attn_scalar": 4, "rope_theta": 1e6,
        "layer_types": [near, near, near, near, near, far, near], "rope_local_base_freq": 1e4,
        "tie_word_embeddings": true,
    });
    let layer = |name: &str| format!("model.layers.6.{name}.weight");
    let less: &[f32] = &[-1., 0.];
    check(
        file,
        config,
        &[
            ("model.norm.weight", less),
            (&layer("input_layernorm"), less),
            (&layer("pre_feedforward_layernorm"), less),
            (&layer("post_attention_layernorm"), less),
            (&layer("post_feedforward_layernorm"), less),
            (&layer("self_attn.q_norm"), less),
            (&layer("mlp.up_proj"), &[0., 1.]),
        ],
    );
}

#[test]
fn phi3() {
    let file = small("phi3")
        .count("phi3.rope.dimension_count", 2)
        .count("phi3.rope.scaling.original_context_length", 4)
        .tensor("blk.0.attn_qkv.weight", &[3, 1])
        .tensor("blk.0.ffn_up.weight", &[2, 1])
        .tensor("rope_factors_long.weight", &[2])
        .tensor("rope_factors_short.weight", &[1]);
    let rope = json!({ "type": "longrope", "rope_type": "longrope", "long_factor": [0.0, 1.0], "short_factor": [0.0] });
    let config = json!({
        "model_type": "phi3", "partial_rotary_factor": 0.5, "original_max_position_embeddings": 4,
        "rope_scaling": rope,
    });
    check(
        file,
        config,
        &[
            ("model.layers.0.self_attn.qkv_proj.weight", &[0., 1., 2.]),
            ("model.layers.0.mlp.gate_up_proj.weight", &[0., 1.]),
        ],
    );
}

#[test]
fn olmo2() {
    let file = small("olmo2").tensor("blk.0.post_ffw_norm.weight", &[2]);
    check(
        file,
        json!({ "model_type": "olmo2" }),
        &[(
            "model.layers.0.post_feedforward_layernorm.weight",
            &[0., 1.],
        )],
    );
}

#[test]
fn gpt2() {
    let file = small("gpt2")
        .tensor("position_embd.weight", &[2, 1])
        .tensor("blk.0.attn_qkv.weight", &[3, 2])
        .tensor("blk.0.attn_qkv.bias", &[3])
        .tensor("output_norm.bias", &[2]);
    let config =
        json!({ "model_type": "gpt2", "n_embd": 8, "n_head": 2, "layer_norm_epsilon": 1e-5 });
    check(
        file,
        config,
        &[
            ("transformer.wte.weight", &[0., 8., 16., 24.]),
            ("transformer.wpe.weight", &[0., 1.]),
            ("transformer.h.0.attn.c_attn.weight", &[0., 1.]),
            ("transformer.h.0.attn.c_attn.bias", &[0., 1., 2.]),
            ("transformer.ln_f.bias", &[0., 1.]),
        ],
    );
}

#[test]
fn gptneox() {
    let file = small("gptneox")
        .count("gptneox.rope.dimension_count", 1)
        .flag("gptneox.use_parallel_residual", false)
        .tensor("blk.0.attn_qkv.weight", &[12, 1])
        .tensor("blk.0.ffn_down.bias", &[2])
        .tensor("output.weight", &[1, 1]);
    let config =
        json!({ "model_type": "gpt_neox", "rotary_pct": 0.25, "use_parallel_residual": false });
    check(
        file,
        config,
        &[
            (
                "gpt_neox.layers.0.attention.query_key_value.weight",
                &[0., 1., 4., 5., 8., 9., 2., 3., 6., 7., 10., 11.],
            ),
            ("gpt_neox.layers.0.mlp.dense_4h_to_h.bias", &[0., 1.]),
            ("embed_out.weight", &[0.]),
        ],
    );
}

/// Divisors as llama.cpp's converter writes them for Llama 3.2 1B (theta 5e5, head of 64, factor 32), by
/// NumPy from the formula of Hugging Face's `_compute_llama3_parameters`.
#[test]
fn positions_are_stretched() {
    let scaled = |values: &[f32]| {
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        small("llama").float("llama.rope.freq_base", 5e5).stored(
            "rope_freqs.weight",
            &[values.len()],
            0,
            bytes,
        )
    };
    check(scaled(&[1.0; 32]), json!({ "model_type": "llama" }), &[]);
    let llama3 = json!({
        "rope_type": "llama3", "factor": 32.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    });
    check(scaled(&divisors()), json!({ "rope_scaling": llama3 }), &[]);
    let mut other = divisors();
    other[20] = 30.0;
    let error = opened(&scaled(&other).bytes()).err().unwrap().to_string();
    assert!(error.contains("does not follow Llama 3's way"), "{error}");
    let yarn = small("qwen2")
        .text("qwen2.rope.scaling.type", "yarn")
        .float("qwen2.rope.scaling.factor", 4.0)
        .count("qwen2.rope.scaling.original_context_length", 8);
    let expected =
        json!({ "rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 8 });
    check(yarn, json!({ "rope_scaling": expected }), &[]);
}

fn divisors() -> [f32; 32] {
    std::array::from_fn(|i| match i {
        ..15 => 1.0,
        15 => 1.651_329_3,
        16 => 3.292_262,
        17 => 9.666_729,
        _ => 32.0,
    })
}
