//! Between our arrays and Core ML's: one copy, any element type, strides honoured.

use std::cell::RefCell;
use std::ffi::c_void;
use std::ptr::NonNull;
use std::slice;

use block2::RcBlock;
use objc2::AnyThread;
use objc2::rc::Retained;
use objc2_core_ml::{MLFeatureType, MLFeatureValue, MLMultiArray, MLMultiArrayDataType};
use objc2_foundation::{NSArray, NSError, NSInteger, NSNumber};

use super::multiarray::{Layout, code_of, dtype_of};
use crate::diag::{Error, Result};
use crate::fail;
use crate::numeric::{Array, DType};

/// A new multi-array with the elements of `array`.
pub(super) fn to_multi_array(array: &Array) -> Result<Retained<MLMultiArray>> {
    let kind = MLMultiArrayDataType(code_of(array.dtype())?);
    let extents: Vec<Retained<NSNumber>> = array
        .shape()
        .iter()
        .map(|extent| NSNumber::new_usize(*extent))
        .collect();
    let shape = NSArray::from_retained_slice(&extents);
    // SAFETY: any shape and type is allowed; Core ML refuses with an error what it can't make.
    let made =
        unsafe { MLMultiArray::initWithShape_dataType_error(MLMultiArray::alloc(), &shape, kind) };
    let made = made.map_err(|error| in_words(&error))?;
    write(&made, array)?;
    Ok(made)
}

/// Overwrites the elements of `target`, which has the shape of `array`.
pub(super) fn write(target: &MLMultiArray, array: &Array) -> Result<()> {
    // SAFETY: plain properties of a live array.
    let (kind, extents) = unsafe { (target.dataType(), target.shape()) };
    let (dtype, shape) = (dtype_of(kind.0)?, numbers(&extents)?);
    if shape != array.shape() {
        fail!("shape {:?} given for a buffer of {shape:?}", array.shape());
    }
    let array = array.cast(dtype)?;
    let outcome = RefCell::new(None);
    let block = RcBlock::new(
        |bytes: NonNull<c_void>, size: NSInteger, strides: NonNull<NSArray<NSNumber>>| {
            // SAFETY: for the time of this call Core ML gives `size` writable bytes and their strides.
            let (buffer, strides) = unsafe {
                let size = usize::try_from(size).unwrap_or(0);
                let bytes = bytes.cast::<u8>().as_ptr();
                (slice::from_raw_parts_mut(bytes, size), strides.as_ref())
            };
            let scattered = numbers(strides)
                .and_then(|strides| layout(dtype, &shape, &strides).scatter(array.bytes(), buffer));
            outcome.replace(Some(scattered));
        },
    );
    // SAFETY: the block outlives the call, which is synchronous.
    unsafe { target.getMutableBytesWithHandler(&block) };
    drop(block);
    outcome.into_inner().ok_or_else(no_bytes)?
}

/// The elements of a multi-array in its own element type.
pub(super) fn read(source: &MLMultiArray) -> Result<Array> {
    // SAFETY: plain properties of a live array.
    let (kind, extents, steps) = unsafe { (source.dataType(), source.shape(), source.strides()) };
    let (dtype, shape, strides) = (dtype_of(kind.0)?, numbers(&extents)?, numbers(&steps)?);
    let outcome = RefCell::new(None);
    let block = RcBlock::new(|bytes: NonNull<c_void>, size: NSInteger| {
        let size = usize::try_from(size).unwrap_or(0);
        // SAFETY: for the time of this call Core ML gives `size` readable bytes.
        let buffer = unsafe { slice::from_raw_parts(bytes.cast::<u8>().as_ptr(), size) };
        outcome.replace(Some(layout(dtype, &shape, &strides).gather(buffer)));
    });
    // SAFETY: the block outlives the call, which is synchronous.
    unsafe { source.getBytesWithHandler(&block) };
    drop(block);
    let bytes = outcome.into_inner().ok_or_else(no_bytes)??;
    Array::new(dtype, shape, bytes)
}

/// An output as an array: a multi-array, or one number of an `Int64` or `Double` feature.
pub(super) fn from_feature(value: &MLFeatureValue) -> Result<Array> {
    // SAFETY: plain properties of a live value, each asked for only when the value is of its type.
    unsafe {
        match value.r#type() {
            MLFeatureType::MultiArray => match value.multiArrayValue() {
                Some(array) => read(&array),
                None => fail!("Core ML left it undefined"),
            },
            MLFeatureType::Int64 => Array::from_i64s(DType::Int64, vec![1], &[value.int64Value()]),
            MLFeatureType::Double => Array::from_f64s(DType::Fp64, vec![1], &[value.doubleValue()]),
            MLFeatureType::String => fail!(
                "it is the text \"{}\", and a prediction returns arrays only",
                value.stringValue()
            ),
            MLFeatureType::Dictionary => {
                fail!("it is a dictionary, and a prediction returns arrays only")
            }
            MLFeatureType::Image => fail!("it is an image, and a prediction returns arrays only"),
            other => fail!("it is of Core ML's feature type {}, not an array", other.0),
        }
    }
}

/// Core ML's own words, with a way out where one is known.
pub(super) fn in_words(error: &NSError) -> Error {
    let text = error.localizedDescription().to_string();
    let newer = text.contains("more recent than this framework");
    let error = Error::new(text);
    if newer {
        return error.hint("the model was compiled for a later macOS; compile its .mlpackage here");
    }
    error
}

fn layout<'a>(dtype: DType, shape: &'a [usize], strides: &'a [usize]) -> Layout<'a> {
    Layout {
        size: dtype.bytes(),
        shape,
        strides,
    }
}

fn numbers(numbers: &NSArray<NSNumber>) -> Result<Vec<usize>> {
    let whole = |number: Retained<NSNumber>| usize::try_from(number.as_isize());
    let read: Result<Vec<usize>, _> = numbers.iter().map(whole).collect();
    read.map_err(|_| Error::new("a multi-array with a negative extent or stride"))
}

fn no_bytes() -> Error {
    Error::new("Core ML did not give the bytes of a multi-array")
}
