//! Files as memory.

use std::fs::File;
use std::io;
use std::ops::Deref;
use std::path::Path;

use memmap2::Mmap;

/// A file whose content is read when it is looked at.
///
/// It must not be cut short meanwhile; this crate replaces weight files by renaming, never by writing into
/// them.
pub struct Mapped(Mmap);

impl Mapped {
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        // SAFETY: a read-only map of a regular file; see the note above on changing files.
        let map = unsafe { Mmap::map(&file)? };
        Ok(Self(map))
    }
}

impl Deref for Mapped {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}
