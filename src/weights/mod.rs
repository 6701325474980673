//! Core ML's weight blobs (`weight.bin`), both ways, and the codecs of compressed weights.
//!
//! A blob file is little-endian: a storage header of 64 bytes (u32 count, u32 version = 2), then
//! entries aligned to 64 bytes, each 64 bytes of metadata followed by the data. Metadata: u32
//! sentinel `0xDEADBEEF`, u32 element type, u64 size of the data in bytes, u64 absolute offset of the
//! data, u64 padding in bits (sub-byte types only). Shapes are not stored. A program refers to an
//! entry by the offset of its metadata.

mod blob;
pub mod codec;
pub mod encode;
mod layout;
mod mapped;
mod writer;

pub use blob::Blob;
pub use mapped::Mapped;
pub use writer::BlobWriter;
