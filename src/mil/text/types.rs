//! Parses types: `tensor<fp16, [1, ?]>`, `int32`, `state<…>`, `dict<…>`.

use super::lexer::Token;
use super::parser::Parser;
use crate::diag::{Error, Result};
use crate::mil::{Dim, Type};
use crate::numeric::DType;

/// Types in a type, and extents in a shape: enough for any model, little enough for hostile text.
const MAX_NODES: usize = 64;
const MAX_RANK: usize = 16;
const MAX_DEPTH: usize = 16;

impl Parser<'_> {
    /// A whole type.
    pub(super) fn ty(&mut self) -> Result<Type> {
        let at = self.start();
        let word = self.word("a type")?;
        self.type_after(word, at)
    }

    /// A type whose first word, at `at`, was taken already.
    pub(super) fn type_after(&mut self, word: &str, at: usize) -> Result<Type> {
        let mut nodes = MAX_NODES;
        self.nested_type(word, at, &mut nodes, MAX_DEPTH)
    }

    fn inner_type(&mut self, nodes: &mut usize, depth: usize) -> Result<Type> {
        let at = self.start();
        let word = self.word("a type")?;
        self.nested_type(word, at, nodes, depth)
    }

    fn nested_type(
        &mut self,
        word: &str,
        at: usize,
        nodes: &mut usize,
        depth: usize,
    ) -> Result<Type> {
        if *nodes == 0 || depth == 0 {
            return Err(self.error(at, "a type that is nested too deeply or too large"));
        }
        *nodes -= 1;
        if !self.at_symbol('<') {
            return scalar(word).map_err(|error| self.locate(at, error));
        }
        self.symbol('<')?;
        let ty = match word {
            "tensor" => self.tensor()?,
            "list" => {
                let item = Box::new(self.inner_type(nodes, depth - 1)?);
                self.symbol(',')?;
                let length = self.dim()?;
                Type::List { item, length }
            }
            "tuple" => {
                let mut types = vec![self.inner_type(nodes, depth - 1)?];
                while self.accept(',')? {
                    types.push(self.inner_type(nodes, depth - 1)?);
                }
                Type::Tuple(types)
            }
            "dict" => {
                let key = Box::new(self.inner_type(nodes, depth - 1)?);
                self.symbol(',')?;
                let value = Box::new(self.inner_type(nodes, depth - 1)?);
                Type::Dict { key, value }
            }
            "state" => Type::State(Box::new(self.inner_type(nodes, depth - 1)?)),
            other => {
                let known = ["tensor", "list", "tuple", "dict", "state"];
                return Err(self.locate(at, Error::unknown("type", other, known)));
            }
        };
        self.symbol('>')?;
        Ok(ty)
    }

    fn tensor(&mut self) -> Result<Type> {
        let at = self.start();
        let dtype = self.word("an element type")?;
        let dtype = element(dtype).map_err(|error| self.locate(at, error))?;
        self.symbol(',')?;
        self.symbol('[')?;
        let mut dims = Vec::new();
        while !self.at_symbol(']') {
            if dims.len() == MAX_RANK {
                let at = self.start();
                return Err(self.error(at, format!("a tensor of rank above {MAX_RANK}")));
            }
            dims.push(self.dim()?);
            if !self.accept(',')? {
                break;
            }
        }
        self.symbol(']')?;
        Ok(Type::Tensor { dtype, dims })
    }

    fn dim(&mut self) -> Result<Dim> {
        let at = self.start();
        match self.advance()? {
            Token::Symbol('?') => Ok(Dim::Unknown),
            Token::Ellipsis => Ok(Dim::Variadic),
            Token::Number(text) => match text.parse() {
                Ok(size) => Ok(Dim::Fixed(size)),
                Err(_) => Err(self.error(at, format!("\"{text}\" is not an extent"))),
            },
            other => Err(self.expected(at, "an extent", &other)),
        }
    }
}

fn scalar(word: &str) -> Result<Type> {
    element(word).map(Type::scalar)
}

fn element(word: &str) -> Result<DType> {
    DType::from_name(word)
        .ok_or_else(|| Error::unknown("element type", word, DType::ALL.map(DType::name)))
}
