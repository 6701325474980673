//! Smaller models: which weights are compressed, and how each one by its shape.

use std::collections::{BTreeMap, BTreeSet};

use super::coreml_model::CoreMLModelWrapper;
use crate::diag::{Error, Result};
use crate::engine::portable::Weight;
use crate::fail;
use crate::numeric::DType;
use crate::package::{Bundle, StoredWeight};
use crate::weights::encode::{Keep, Offset, Scheme};

/// A way to make matrices smaller.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Compression {
    /// 8 bits and a scale for each output channel (axis 0), from iOS 16 on; or for each `block` elements
    /// along axis 1 where that divides it, from iOS 18 on.
    Int8 { block: Option<usize> },
    /// 4 bits, a scale and an offset for each block along axis 1; a whole row where `block` does not divide
    /// it. The offsets are floats, which is the arithmetic of GGUF's Q4_0, Q4_1 and Q4_K: such weights come
    /// through as they are. Tables that are looked up have 8 bits, in the same blocks. iOS 18.
    Int4 { block: usize },
    /// [`Int4`](Self::Int4) where that loses at most `lost` of a weight's norm, else [`Int8`](Self::Int8) in
    /// blocks: 4 bits for what had no more before. iOS 18.
    Mixed { block: usize, lost: f64 },
    /// A table of 2^bits entries; of 3 bits, or for each `group` output channels, from iOS 18 on.
    Palette { bits: usize, group: Option<usize> },
    /// The elements of the largest magnitude, this part of all.
    Sparse { keep: f64 },
}

impl Compression {
    /// Short names of common ways.
    pub const NAMED: [(&str, Self); 8] = [
        ("int8", Self::Int8 { block: None }),
        ("int8-blocks", Self::Int8 { block: Some(BLOCK) }),
        ("int4", Self::Int4 { block: BLOCK }),
        (
            "mixed",
            Self::Mixed {
                block: BLOCK,
                lost: MIXED_LOSS,
            },
        ),
        ("palette4", Self::palette(4)),
        ("palette6", Self::palette(6)),
        ("palette8", Self::palette(8)),
        ("sparse", Self::Sparse { keep: 0.5 }),
    ];

    /// The names of [`NAMED`](Self::NAMED).
    pub const NAMES: [&str; Self::NAMED.len()] = {
        let mut names = [""; Self::NAMED.len()];
        let mut at = 0;
        while at < names.len() {
            names[at] = Self::NAMED[at].0;
            at += 1;
        }
        names
    };

    /// The way that is called so in [`NAMED`](Self::NAMED).
    pub fn named(name: &str) -> Result<Self> {
        let found = Self::NAMED.iter().find(|(known, _)| *known == name);
        let known = Self::NAMED.iter().map(|(known, _)| *known);
        let unknown = || Error::unknown("way to quantise", name, known);
        found
            .map(|(_, compression)| *compression)
            .ok_or_else(unknown)
    }

    const fn palette(bits: usize) -> Self {
        Self::Palette { bits, group: None }
    }
}

/// What 4 bits of a mixed model may lose: three times what fp16 loses of 4-bit weights with offsets.
pub const MIXED_LOSS: f64 = 0.002;

/// Elements that share a scale unless another number is asked for.
pub const BLOCK: usize = 32;

/// Smaller weights stay dense unless asked for.
pub const ELEMENTS_MIN: usize = 2048;

impl From<Compression> for CompressOptions {
    fn from(compression: Compression) -> Self {
        Self {
            compression,
            targets: Vec::new(),
            elements_min: ELEMENTS_MIN,
        }
    }
}

/// What is compressed, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct CompressOptions {
    pub compression: Compression,
    /// Parts of weight names; empty: every matrix that a product, convolution or look-up reads.
    pub targets: Vec<String>,
    /// Weights of fewer elements stay dense.
    pub elements_min: usize,
}

/// The model's bundle with its matrices compressed, in every function; and how near each is to what it
/// was, the least faithful first. What functions share is told once.
pub fn compress(
    model: &CoreMLModelWrapper,
    options: &CompressOptions,
) -> Result<(Bundle, Vec<StoredWeight>)> {
    let engine = model.portable()?;
    let mut bundle = Bundle::clone(model.bundle()?);
    let (mut report, mut told) = (Vec::new(), BTreeSet::new());
    for function in model.bundle()?.program.functions.keys() {
        let schemes = schemes(engine.weights(function)?, options)?;
        let (compressed, stored) = bundle.compressed(function, &schemes, model.interrupt())?;
        bundle = compressed;
        report.extend(stored.into_iter().filter(|w| told.insert(w.name.clone())));
    }
    if report.is_empty() {
        return Err(
            Error::new("no weight is large enough, of the kind, and named so")
                .hint("`weights()` of the model tells their names and shapes"),
        );
    }
    let error = |weight: &StoredWeight| weight.fidelity.relative_rms;
    report.sort_by(|a, b| error(b).total_cmp(&error(a)));
    Ok((bundle, report))
}

fn schemes(weights: Vec<Weight>, options: &CompressOptions) -> Result<BTreeMap<String, Scheme>> {
    let named = |name: &str| {
        options.targets.is_empty() || options.targets.iter().any(|part| name.contains(part))
    };
    let mut schemes = BTreeMap::new();
    for weight in weights {
        let large = weight.shape.iter().product::<usize>() >= options.elements_min;
        if large && is_matrix(&weight) && named(&weight.name) {
            let scheme = scheme(options.compression, &weight)?;
            schemes.insert(weight.name, scheme);
        }
    }
    Ok(schemes)
}

/// Whether every operation that reads the weight takes a compressed one, and multiplies or looks up.
fn is_matrix(weight: &Weight) -> bool {
    const READERS: [(&str, &str); 7] = [
        ("conv", "weight"),
        ("conv_transpose", "weight"),
        ("einsum", "values"),
        ("gather", "x"),
        ("linear", "weight"),
        ("matmul", "x"),
        ("matmul", "y"),
    ];
    let reads =
        |(op, parameter): &(String, String)| READERS.contains(&(op.as_str(), parameter.as_str()));
    weight.shape.len() >= 2 && !weight.compressed && weight.uses.iter().all(reads)
}

fn scheme(compression: Compression, weight: &Weight) -> Result<Scheme> {
    let (rows, columns) = (weight.shape[0], weight.shape[1]);
    let grid = |along: [usize; 2]| {
        let mut grid = vec![1; weight.shape.len()];
        grid[..2].copy_from_slice(&along);
        grid
    };
    let blocks = |block: Option<usize>| match block.filter(|b| *b > 0 && columns % b == 0) {
        Some(block) => grid([rows, columns / block]),
        None => grid([rows, 1]),
    };
    let looked_up = weight.uses.iter().any(|(op, _)| op == "gather");
    Ok(match compression {
        Compression::Int4 { block } if !looked_up => Scheme::Linear {
            data: DType::Uint4,
            grid: blocks(Some(block)),
            offset: Offset::Fitted(weight.dtype),
        },
        Compression::Int4 { block } => scheme(Compression::Int8 { block: Some(block) }, weight)?,
        Compression::Mixed { block, lost } => Scheme::Within {
            relative_rms: lost,
            coarse: Box::new(scheme(Compression::Int4 { block }, weight)?),
            fine: Box::new(scheme(Compression::Int8 { block: Some(block) }, weight)?),
        },
        Compression::Int8 { block } => Scheme::Linear {
            data: DType::Int8,
            grid: blocks(block),
            offset: Offset::None,
        },
        Compression::Palette { bits, group } => Scheme::Palette {
            bits,
            groups: match group {
                None => grid([1, 1]),
                Some(group) if group > 0 && rows % group == 0 => grid([rows / group, 1]),
                Some(group) => fail!("groups of {group} channels do not divide {rows}"),
            },
            vectors: None,
            table: Box::new(Scheme::Dense),
        },
        Compression::Sparse { keep } => Scheme::Sparse {
            keep: Keep::Largest(keep),
            values: Box::new(Scheme::Dense),
        },
    })
}
