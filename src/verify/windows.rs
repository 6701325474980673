//! A text's tokens as rows that models take.

use crate::diag::Result;
use crate::fail;

/// The tokens cut into rows of `length` at most, each headed by `bos` if there is one. What is left over
/// at the end is a row too, unless nothing in it has a token before it.
pub fn windows(ids: &[u32], bos: Option<u32>, length: usize) -> Result<Vec<Vec<u32>>> {
    let heads = usize::from(bos.is_some());
    if length < 2 {
        fail!("a row of {length} tokens compares nothing, expected 2 at least");
    }
    let body = ids.strip_prefix(bos.as_slice()).unwrap_or(ids);
    let rows = body.chunks(length - heads);
    let rows = rows.map(|chunk| bos.iter().chain(chunk).copied().collect::<Vec<u32>>());
    let rows: Vec<Vec<u32>> = rows.filter(|row| row.len() > 1).collect();
    match rows.is_empty() {
        true => fail!("the text is too short: a comparison needs two tokens at least"),
        false => Ok(rows),
    }
}
