//! Inputs and states of the tiny transformer, as its text and its description have them.

use rlaif_repl::numeric::DType;
use rlaif_repl::package::{Feature, FeatureKind, Flexibility};

/// An input or state, with the range of each extent.
pub struct Port {
    pub name: String,
    dtype: &'static str,
    ranges: Vec<(usize, usize)>,
}

impl Port {
    pub fn new(name: &str, dtype: &'static str, ranges: &[(usize, usize)]) -> Self {
        Self {
            name: name.to_owned(),
            dtype,
            ranges: ranges.to_vec(),
        }
    }

    pub fn ty(&self) -> String {
        let extent = |range: &(usize, usize)| match range.0 == range.1 {
            true => range.0.to_string(),
            false => "?".to_owned(),
        };
        let extents: Vec<String> = self.ranges.iter().map(extent).collect();
        format!("tensor<{}, [{}]>", self.dtype, extents.join(", "))
    }

    pub fn feature(&self) -> Feature {
        let dtype = match self.dtype {
            "int32" => DType::Int32,
            "fp16" => DType::Fp16,
            _ => DType::Fp32,
        };
        let fixed = self.ranges.iter().all(|(low, high)| low == high);
        let ranges = self.ranges.iter().map(|(low, high)| (*low, Some(*high)));
        Feature {
            kind: FeatureKind::Array {
                dtype,
                shape: self.ranges.iter().map(|(low, _)| *low).collect(),
                flexibility: match fixed {
                    true => Flexibility::Fixed,
                    false => Flexibility::Ranges(ranges.collect()),
                },
                default: None,
            },
            ..Feature::array(&self.name, dtype, &[])
        }
    }
}

pub fn fixed(extents: &[usize]) -> Vec<(usize, usize)> {
    extents.iter().map(|n| (*n, *n)).collect()
}
