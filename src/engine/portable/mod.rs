//! Our own engine: runs an ML Program on candle, on any OS, in any batch, with gradients.
