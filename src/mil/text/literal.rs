//! Parses typed values, checking each literal against its declared type and shape.

use super::lexer::Token;
use super::number::parse_float;
use super::parser::Parser;
use crate::diag::Result;
use crate::fail;
use crate::mil::{Data, Dim, Type, Value};
use crate::numeric::{Array, DType};

impl Parser<'_> {
    /// `type(literal)`.
    pub(super) fn value(&mut self) -> Result<Value> {
        let at = self.start();
        let word = self.word("a value")?;
        self.value_after(word, at)
    }

    /// A value whose first word, at `at`, was taken already.
    pub(super) fn value_after(&mut self, word: &str, at: usize) -> Result<Value> {
        let ty = self.type_after(word, at)?;
        self.symbol('(')?;
        let data = self.literal(&ty)?;
        self.symbol(')')?;
        Ok(Value { ty, data })
    }

    fn literal(&mut self, ty: &Type) -> Result<Data> {
        match ty {
            Type::Tensor { .. } if self.at_word("BLOBFILE") => self.blob(),
            Type::Tensor { dtype, dims } => self.tensor_literal(*dtype, dims),
            Type::List { item, length } => self.list(item, *length),
            Type::Tuple(types) => self.tuple(types),
            Type::Dict { key, value } => self.dict(key, value),
            Type::State(_) => {
                let at = self.start();
                Err(self.error(at, "a state has no literal"))
            }
        }
    }

    fn blob(&mut self) -> Result<Data> {
        self.advance()?;
        self.symbol('(')?;
        self.keyword("path")?;
        self.symbol('=')?;
        let at = self.start();
        let path = match self.value()?.as_text() {
            Some(path) => path.to_owned(),
            None => return Err(self.error(at, "the path of a BLOBFILE must be a string")),
        };
        self.symbol(',')?;
        self.keyword("offset")?;
        self.symbol('=')?;
        let at = self.start();
        let offset = match self.value()?.data {
            Data::Array(array) if array.dtype() == DType::Uint64 && array.len() == 1 => {
                array.to_i64s()[0] as u64
            }
            _ => return Err(self.error(at, "the offset of a BLOBFILE must be a uint64")),
        };
        self.symbol(')')?;
        Ok(Data::Blob { path, offset })
    }

    /// A value of `ty` inside another value; types are repeated there, so their sum is bounded.
    fn item(&mut self, ty: &Type) -> Result<Value> {
        let at = self.start();
        self.spend(nodes(ty), at)?;
        let data = self.literal(ty)?;
        Ok(Value {
            ty: ty.clone(),
            data,
        })
    }

    fn list(&mut self, item: &Type, length: Dim) -> Result<Data> {
        let at = self.start();
        self.symbol('[')?;
        let items = self.items(']', |parser| parser.item(item))?;
        match length {
            Dim::Fixed(n) if n != items.len() => Err(self.error(
                at,
                format!(
                    "a list of {n} was declared, but {} items given",
                    items.len()
                ),
            )),
            _ => Ok(Data::List(items)),
        }
    }

    fn tuple(&mut self, types: &[Type]) -> Result<Data> {
        self.symbol('(')?;
        let mut items = Vec::new();
        for (i, ty) in types.iter().enumerate() {
            if i > 0 {
                self.symbol(',')?;
            }
            items.push(self.item(ty)?);
        }
        self.symbol(')')?;
        Ok(Data::Tuple(items))
    }

    fn dict(&mut self, key: &Type, value: &Type) -> Result<Data> {
        self.symbol('{')?;
        let pairs = self.items('}', |parser| {
            parser.symbol('{')?;
            let key = parser.item(key)?;
            parser.symbol(',')?;
            let value = parser.item(value)?;
            parser.symbol('}')?;
            Ok((key, value))
        })?;
        Ok(Data::Dict(pairs))
    }

    fn tensor_literal(&mut self, dtype: DType, dims: &[Dim]) -> Result<Data> {
        if dims.contains(&Dim::Variadic) {
            let at = self.start();
            return Err(self.error(at, "a literal of unknown rank"));
        }
        // The protobuf form has the elements alone, packed if they are below a byte.
        let packed = dtype != DType::String && dtype.bits() < 8;
        match dims.iter().filter(|dim| **dim == Dim::Unknown).count() {
            0 => {}
            1 if !packed && !dims.contains(&Dim::Fixed(0)) => {}
            _ => return Err(self.error(self.start(), "a literal must tell its extents")),
        }
        let mut elements = Elements {
            dtype,
            dims,
            shape: vec![None; dims.len()],
            bytes: Vec::new(),
            texts: Vec::new(),
        };
        let at = self.start();
        self.nested(&mut elements, 0)?;
        let shape = elements.shape();
        if dtype == DType::String {
            return Ok(Data::Texts(elements.texts));
        }
        Array::new(dtype, shape, elements.bytes)
            .map(Data::Array)
            .map_err(|error| self.locate(at, error))
    }

    /// The brackets of dimension `depth`, down to the elements.
    fn nested(&mut self, elements: &mut Elements, depth: usize) -> Result<()> {
        let at = self.start();
        if depth == elements.dims.len() {
            let token = self.advance()?;
            return elements
                .push(&token)
                .map_err(|error| self.locate(at, error));
        }
        self.symbol('[')?;
        let mut count = 0;
        while !self.at_symbol(']') {
            self.nested(elements, depth + 1)?;
            count += 1;
            if !self.accept(',')? {
                break;
            }
        }
        self.symbol(']')?;
        elements
            .close(depth, count)
            .map_err(|error| self.locate(at, error))
    }
}

/// A tensor literal in the making.
struct Elements<'a> {
    dtype: DType,
    dims: &'a [Dim],
    /// Extents seen so far.
    shape: Vec<Option<usize>>,
    bytes: Vec<u8>,
    texts: Vec<String>,
}

impl Elements<'_> {
    fn push(&mut self, token: &Token) -> Result<()> {
        let (dtype, bytes) = (self.dtype, &mut self.bytes);
        match (token, dtype) {
            (Token::Text(text), DType::String) => self.texts.push(text.clone()),
            (Token::Word("true"), DType::Bool) => bytes.push(1),
            (Token::Word("false"), DType::Bool) => bytes.push(0),
            (Token::Number(text) | Token::Word(text), _) if dtype.is_float() => {
                bytes.extend(float(text, dtype)?.bytes());
            }
            (Token::Number(text), DType::Uint64) => {
                let Ok(value) = text.parse::<u64>() else {
                    fail!("{text} is not a uint64");
                };
                bytes.extend(value.to_le_bytes());
            }
            (Token::Number(text), _) if dtype.is_int() => {
                let Ok(value) = text.parse::<i64>() else {
                    fail!("{text} is not an integer of type {dtype}");
                };
                bytes.extend(Array::from_i64s(dtype, vec![], &[value])?.bytes());
            }
            (other, _) => fail!("expected a {dtype} literal, got {}", other.describe()),
        }
        Ok(())
    }

    /// Notes that dimension `depth` has `count` entries and compares with what is known.
    fn close(&mut self, depth: usize, count: usize) -> Result<()> {
        let seen = &mut self.shape[depth];
        let expected = match self.dims[depth] {
            Dim::Fixed(size) => size,
            _ => seen.unwrap_or(count),
        };
        if count != expected {
            fail!("dimension {depth} has {count} entries where {expected} were declared");
        }
        *seen = Some(count);
        Ok(())
    }

    /// The final shape; an extent inside of nothing is the declared one, or 0.
    fn shape(&self) -> Vec<usize> {
        let declared = |dim: &Dim| match dim {
            Dim::Fixed(size) => *size,
            _ => 0,
        };
        let pairs = self.shape.iter().zip(self.dims);
        pairs
            .map(|(seen, dim)| seen.unwrap_or(declared(dim)))
            .collect()
    }
}

/// A float rounded to `dtype`; a finite number that becomes infinite there is an error.
fn float(text: &str, dtype: DType) -> Result<Array> {
    let Some(value) = parse_float(text) else {
        fail!("\"{text}\" is not a number");
    };
    let array = Array::from_f64s(dtype, vec![], &[value])?;
    if value.is_finite() && !array.to_f64s()[0].is_finite() {
        fail!("{text} is out of the range of {dtype}");
    }
    Ok(array)
}

fn nodes(ty: &Type) -> usize {
    1 + match ty {
        Type::Tensor { .. } => 0,
        Type::List { item, .. } | Type::State(item) => nodes(item),
        Type::Tuple(types) => types.iter().map(nodes).sum(),
        Type::Dict { key, value } => nodes(key) + nodes(value),
    }
}
