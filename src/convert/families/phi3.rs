//! Phi 3 and 4 (Abdin et al. 2024): Llama whose projections are stored together, in stretched contexts.

use super::Family;
use super::keys::Keys;
use super::llama_like::Sizes;
use super::rope::rope;
use crate::convert::Checkpoint;
use crate::convert::transformer::{Linear, Part, Transformer};
use crate::diag::Result;

pub(super) const FAMILY: Family = Family {
    names: &["phi3"],
    describe,
};

fn describe(source: &Checkpoint) -> Result<Transformer> {
    let config = Keys(&source.config);
    let sizes = Sizes::of(config, "model")?;
    let rope = rope(config, sizes.head_dim, 10_000.0)?;
    let window = config.opt_size("sliding_window")?;
    let layer = |i| {
        let mut attention = sizes.attention(i, false, false);
        let name = format!("{}.qkv_proj", attention.name);
        let [q, k, v] = [&mut attention.q, &mut attention.k, &mut attention.v];
        store_together(&name, [(q, "q"), (k, "k"), (v, "v")]);
        attention.rope = Some(rope.clone());
        attention.window = window;
        let mut feed_forward = sizes.feed_forward(i, false)?;
        if let Some(gate) = &mut feed_forward.gate {
            let name = format!("{}.mlp.gate_up_proj", sizes.layer(i));
            store_together(&name, [(gate, "gate"), (&mut feed_forward.up, "up")]);
        }
        Ok(sizes.pre_normed(i, attention, feed_forward))
    };
    let layers = (0..sizes.layers).map(layer).collect::<Result<_>>()?;
    sizes.decoder(layers, false)
}

/// The maps are runs of rows of the matrix `name`, one after the other.
fn store_together<const N: usize>(name: &str, parts: [(&mut Linear, &'static str); N]) {
    let of = parts.iter().map(|(linear, _)| linear.outputs).sum();
    let mut start = 0;
    for (linear, label) in parts {
        linear.name = name.to_owned();
        linear.part = Part::Run { label, start, of };
        start += linear.outputs;
    }
}
