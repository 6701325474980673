//! Numbers of the blob format that reader and writer share.

use crate::numeric::DType;

/// Of entries; also the size of the storage header and of each entry's metadata.
pub(super) const ALIGNMENT: u64 = 64;
pub(super) const VERSION: u32 = 2;
pub(super) const SENTINEL: u32 = 0xDEAD_BEEF;

const CODES: [(DType, u32); 17] = [
    (DType::Fp16, 1),
    (DType::Fp32, 2),
    (DType::Uint8, 3),
    (DType::Int8, 4),
    (DType::Bf16, 5),
    (DType::Int16, 6),
    (DType::Uint16, 7),
    (DType::Int4, 8),
    (DType::Uint1, 9),
    (DType::Uint2, 10),
    (DType::Uint4, 11),
    (DType::Uint3, 12),
    (DType::Uint6, 13),
    (DType::Int32, 14),
    (DType::Uint32, 15),
    (DType::Fp8E4M3FN, 16),
    (DType::Fp8E5M2, 17),
];

/// The number of an element type in blob metadata; none for int64, uint64, fp64, bool and strings.
pub(super) fn code(dtype: DType) -> Option<u32> {
    CODES.iter().find(|(d, _)| *d == dtype).map(|(_, c)| *c)
}

pub(super) fn dtype(code: u32) -> Option<DType> {
    CODES.iter().find(|(_, c)| *c == code).map(|(d, _)| *d)
}
