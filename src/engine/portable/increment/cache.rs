//! What a sequence keeps of its past: keys, values, whatever later positions look back at.

use candle_core::Tensor;

use crate::diag::Result;

/// Rows of one value, growing along their positions axis. Memory doubles, so that adding a row costs the
/// same whatever stands before it.
#[derive(Debug, Default)]
pub struct Cache {
    buffer: Option<Tensor>,
}

/// The fewest rows that memory is taken for.
const FEWEST: usize = 16;

impl Cache {
    /// Writes `rows` behind the first `from`; what stood there before is replaced.
    pub fn write(&mut self, rows: &Tensor, axis: usize, from: usize) -> Result<()> {
        let needed = from + rows.dim(axis)?;
        let room = match &self.buffer {
            Some(buffer) => buffer.dim(axis)?,
            None => 0,
        };
        if room < needed {
            let mut shape = rows.dims().to_vec();
            shape[axis] = needed.max(2 * room).max(FEWEST);
            let grown = Tensor::zeros(shape, rows.dtype(), rows.device())?;
            if let Some(buffer) = self.buffer.take().filter(|_| from > 0) {
                grown.slice_set(&buffer.narrow(axis, 0, from)?.contiguous()?, axis, 0)?;
            }
            self.buffer = Some(grown);
        }
        if let Some(buffer) = &self.buffer {
            buffer.slice_set(&rows.detach().contiguous()?, axis, from)?;
        }
        Ok(())
    }

    /// The first `count` rows.
    pub fn read(&self, axis: usize, count: usize) -> Result<Tensor> {
        match &self.buffer {
            Some(buffer) => Ok(buffer.narrow(axis, 0, count)?),
            None => crate::fail!("internal: nothing was kept of a sequence"),
        }
    }

    /// A copy of its own with the first `count` rows.
    pub fn fork(&self, axis: usize, count: usize) -> Result<Self> {
        let mut fork = Cache::default();
        if let Some(buffer) = &self.buffer {
            fork.write(&buffer.narrow(axis, 0, count)?, axis, 0)?;
        }
        Ok(fork)
    }
}
