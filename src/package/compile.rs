//! Compiles a model: writes the `.mlmodelc` that Apple's compiler would make of it.

use std::fs;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::save::Whole;
use super::{Format, Model, compiled, encode, manifest, save};
use crate::diag::{Context, Error, Result};
use crate::mil::Program;

/// Compiles the `.mlpackage` or `.mlmodel` at `source` to the `.mlmodelc` at `target`, and returns the
/// model. What stands there is replaced only if `replace` allows it, at the very end; nothing is left
/// half-written on failure.
///
/// The same files as from Apple's compiler come out; the sources of `package::compiled` tell which bytes
/// can differ. Whether Core ML loads them was not tried.
pub fn compile(source: &Path, target: &Path, replace: bool) -> Result<Model> {
    compile_by(source, target, replace, |model, folder| {
        let origin = Origin::read(source)?;
        compiled::write(&save::checked(model.into())?, folder, &|_| {
            Ok(origin.clone())
        })
    })
}

/// Compiles as [`compile`] does, but leaves it to `write` to fill the new folder.
pub fn compile_by(
    source: &Path,
    target: &Path,
    replace: bool,
    write: impl FnOnce(&Model, &Path) -> Result<()>,
) -> Result<Model> {
    let compiling = || format!("compiling {}", source.display());
    refuse(source, target, replace).with_context(compiling)?;
    let model = Model::open(source)?;
    save::replace(target, |folder| write(&model, folder)).with_context(compiling)?;
    Ok(model)
}

/// Fails where nothing can be compiled, or the target must stay.
fn refuse(source: &Path, target: &Path, replace: bool) -> Result<()> {
    if source
        .extension()
        .is_some_and(|ending| ending == "mlmodelc")
    {
        return Err(Error::new("it is compiled already")
            .hint("save_as(\"m.mlmodelc\", \"m.mlpackage\") in a script writes it as a package"));
    }
    if Format::of(target)? != Format::Compiled {
        let shown = target.display();
        return Err(
            Error::new(format!("{shown} does not name a compiled bundle"))
                .hint("end the path in .mlmodelc; save writes the other form"),
        );
    }
    if !replace && target.symlink_metadata().is_ok() {
        return Err(Error::new(format!("{} exists", target.display()))
            .hint("take another name, or let it be replaced (--force, #{force: true})"));
    }
    Ok(())
}

/// What a compiled bundle says of the model that it was compiled from.
#[derive(Debug, Clone)]
pub(super) struct Origin {
    /// Base64 of the SHA-256 of its protobuf.
    pub model_hash: String,
    /// Name of its protobuf file, without the ending.
    pub model_name: String,
    /// A class name made of its file or folder name.
    pub class_name: String,
}

impl Origin {
    /// Of the `.mlpackage` or `.mlmodel` at `source`.
    pub(super) fn read(source: &Path) -> Result<Self> {
        let file = match source.is_dir() {
            true => {
                let manifest = fs::read(source.join("Manifest.json"));
                source.join(manifest::model_path(&manifest.context("Manifest.json")?)?)
            }
            false => source.to_owned(),
        };
        let message = fs::read(&file).with_context(|| file.display().to_string())?;
        Ok(Self::new(&message, stem(&file), stem(source)))
    }

    /// Of a model that was not compiled from a file: the hash is that of the protobuf form of what is
    /// written, so that the same model has the same.
    pub(super) fn of(whole: &Whole, written: &[Program], target: &Path) -> Result<Self> {
        let written = written.iter().map(in_order).collect::<Vec<_>>();
        let message = match whole {
            Whole::Program(bundle) => match written.first() {
                Some(program) => encode::model(program, &bundle.description)?,
                None => Vec::new(),
            },
            Whole::Pipeline(pipeline) => {
                let stages = pipeline.stages.iter().zip(&written);
                let stages = stages.map(|(stage, p)| encode::stage(p, stage.description()));
                encode::pipeline(pipeline, &stages.collect::<Result<Vec<_>>>()?)?
            }
        };
        Ok(Self::new(&message, "model", stem(target)))
    }

    fn new(message: &[u8], model_name: &str, source_name: &str) -> Self {
        let letter = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
        Self {
            model_hash: base64(&Sha256::digest(message)),
            model_name: model_name.to_owned(),
            class_name: source_name.chars().map(letter).collect(),
        }
    }
}

/// The program with the order of inputs that its text has.
fn in_order(program: &Program) -> Program {
    let mut program = program.clone();
    for function in program.functions.values_mut() {
        function.inputs.sort_by(|a, b| a.name.cmp(&b.name));
    }
    program
}

fn stem(path: &Path) -> &str {
    let stem = path.file_stem().and_then(|stem| stem.to_str());
    stem.unwrap_or("model")
}

/// RFC 4648, with padding.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let of = |i: usize| u32::from(chunk.get(i).copied().unwrap_or(0));
        let word = of(0) << 16 | of(1) << 8 | of(2);
        for digit in 0..4 {
            let value = word >> (18 - 6 * digit) & 63;
            text.push(match digit <= chunk.len() {
                true => DIGITS[value as usize] as char,
                false => '=',
            });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::base64;

    #[test]
    fn base64_pads_to_four() {
        // The test vectors of RFC 4648.
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }
}
