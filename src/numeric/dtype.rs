//! The element types of Core ML's model intermediate language (MIL).

use std::fmt;

/// An element type of MIL; names as Apple writes them in `model.mil`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DType {
    Bool,
    String,
    Fp16,
    Fp32,
    Fp64,
    Bf16,
    Fp8E4M3FN,
    Fp8E5M2,
    Int4,
    Int8,
    Int16,
    Int32,
    Int64,
    Uint1,
    Uint2,
    Uint3,
    Uint4,
    Uint6,
    Uint8,
    Uint16,
    Uint32,
    Uint64,
}

use DType::*;

impl DType {
    pub const ALL: [DType; 22] = [
        Bool, String, Fp16, Fp32, Fp64, Bf16, Fp8E4M3FN, Fp8E5M2, Int4, Int8, Int16, Int32, Int64,
        Uint1, Uint2, Uint3, Uint4, Uint6, Uint8, Uint16, Uint32, Uint64,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Bool => "bool",
            String => "string",
            Fp16 => "fp16",
            Fp32 => "fp32",
            Fp64 => "fp64",
            Bf16 => "bf16",
            Fp8E4M3FN => "fp8e4m3fn",
            Fp8E5M2 => "fp8e5m2",
            Int4 => "int4",
            Int8 => "int8",
            Int16 => "int16",
            Int32 => "int32",
            Int64 => "int64",
            Uint1 => "uint1",
            Uint2 => "uint2",
            Uint3 => "uint3",
            Uint4 => "uint4",
            Uint6 => "uint6",
            Uint8 => "uint8",
            Uint16 => "uint16",
            Uint32 => "uint32",
            Uint64 => "uint64",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|d| d.name() == name)
    }

    /// Bits of one element as stored in a blob (sub-byte types are packed there); 0 for strings.
    pub fn bits(self) -> usize {
        match self {
            String => 0,
            Uint1 => 1,
            Uint2 => 2,
            Uint3 => 3,
            Int4 | Uint4 => 4,
            Uint6 => 6,
            Bool | Int8 | Uint8 | Fp8E4M3FN | Fp8E5M2 => 8,
            Fp16 | Bf16 | Int16 | Uint16 => 16,
            Fp32 | Int32 | Uint32 => 32,
            Fp64 | Int64 | Uint64 => 64,
        }
    }

    /// Bytes of one element in an [`Array`](super::Array): sub-byte types take a whole byte there.
    pub fn bytes(self) -> usize {
        self.bits().div_ceil(8)
    }

    pub fn is_float(self) -> bool {
        matches!(self, Fp16 | Fp32 | Fp64 | Bf16 | Fp8E4M3FN | Fp8E5M2)
    }

    pub fn is_int(self) -> bool {
        !self.is_float() && !matches!(self, Bool | String)
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
