//! Elements of less than a byte: packed row-major, least significant bits first, straddling bytes.

use super::{Array, DType};

/// The first `count` elements of `bytes`, a byte each, sign-extended if `dtype` is signed; elements
/// past the end of `bytes` are 0.
pub fn unpack(bytes: &[u8], dtype: DType, count: usize) -> Vec<u8> {
    let bits = dtype.bits();
    let mask = ((1u16 << bits) - 1) as u8;
    let sign = if dtype == DType::Int4 { 8 } else { 0 };
    let byte = |i: usize| u16::from(bytes.get(i).copied().unwrap_or(0));
    let element = |i: usize| {
        let bit = i * bits;
        let word = byte(bit / 8) | byte(bit / 8 + 1) << 8;
        let value = (word >> (bit % 8)) as u8 & mask;
        (value ^ sign).wrapping_sub(sign)
    };
    (0..count).map(element).collect()
}

/// The elements of an array of a sub-byte type, packed; the last byte is filled up with zeros.
pub fn pack(array: &Array) -> Vec<u8> {
    let bits = array.dtype().bits();
    let mask = ((1u16 << bits) - 1) as u8;
    let mut packed = vec![0u8; (array.len() * bits).div_ceil(8)];
    for (i, value) in array.bytes().iter().enumerate() {
        let bit = i * bits;
        let word = u16::from(value & mask) << (bit % 8);
        packed[bit / 8] |= word as u8;
        if let Some(next) = packed.get_mut(bit / 8 + 1) {
            *next |= (word >> 8) as u8;
        }
    }
    packed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_width_packs_and_unpacks() {
        for dtype in [
            DType::Uint1,
            DType::Uint2,
            DType::Uint3,
            DType::Uint4,
            DType::Int4,
            DType::Uint6,
        ] {
            let top = 1i64 << dtype.bits();
            let low = if dtype == DType::Int4 { -8 } else { 0 };
            let values: Vec<i64> = (0..37).map(|i| low + i * 5 % top).collect();
            let array = Array::from_i64s(dtype, vec![37], &values).unwrap();
            let packed = pack(&array);
            assert_eq!(packed.len(), (37 * dtype.bits()).div_ceil(8));
            assert_eq!(unpack(&packed, dtype, 37), array.bytes());
        }
    }

    #[test]
    fn low_bits_come_first() {
        assert_eq!(unpack(&[0b1010_0011], DType::Uint4, 2), [3, 10]);
        assert_eq!(unpack(&[0xc7, 0x01], DType::Uint3, 3), [7, 0, 7]);
        assert_eq!(unpack(&[0x8f], DType::Int4, 2), [0xff, 0xf8]);
    }
}
