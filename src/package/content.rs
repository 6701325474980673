//! One number for what a loaded bundle computes with.

use super::Bundle;
use crate::diag::Result;
use crate::files::sha256;
use crate::mil::{Data, Value, text};

impl Bundle {
    /// SHA-256 in hex of the program and of every array in it, wherever that is kept: a bundle that was saved in
    /// another form has the same.
    ///
    /// # Errors
    /// A weight can't be read.
    pub fn content(&self) -> Result<String> {
        let program = self.program.try_map_values(&mut |_, _, value| {
            Ok(match &value.data {
                Data::Array(_) | Data::Blob { .. } => Value {
                    ty: value.ty.clone(),
                    data: Data::Blob {
                        path: sha256(self.resolve(value)?.bytes()),
                        offset: 0,
                    },
                },
                _ => value.clone(),
            })
        })?;
        Ok(sha256(
            text::print(&program, text::Dialect::V1_3).as_bytes(),
        ))
    }
}

#[cfg(test)]
mod tests {
    use crate::models::{LoadOptions, embedded};

    #[test]
    fn equal_programs_with_equal_weights_alone_share_it() {
        let content = |name: &str| {
            let model = embedded(name, &LoadOptions::default()).unwrap();
            model.bundle().unwrap().content().unwrap()
        };
        assert_eq!(content("student"), content("student"));
        assert_ne!(content("student"), content("judge"));
    }
}
