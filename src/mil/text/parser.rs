//! Recursive descent over programs, functions, statements and nested blocks.

use std::collections::BTreeMap;

use super::Dialect;
use super::lexer::{Lexer, Token};
use crate::diag::{Error, Result};
use crate::mil::opset;
use crate::mil::{Argument, Attributes, Binding, Block, Function, NamedType, Operation, Program};

/// Blocks in blocks; about as many as readers of the protobuf form allow.
const MAX_DEPTH: usize = 32;

/// A parser that looks one token ahead.
pub(super) struct Parser<'a> {
    lexer: Lexer<'a>,
    token: Token<'a>,
    start: usize,
    depth: usize,
    /// Types that may still be repeated inside literals.
    budget: usize,
}

impl<'a> Parser<'a> {
    pub(super) fn new(text: &'a str, source: &'a str) -> Result<Self> {
        let mut lexer = Lexer::new(text, source);
        let (token, start) = lexer.next()?;
        let budget = lexer.text_len() + 1000;
        Ok(Self {
            lexer,
            token,
            start,
            depth: 0,
            budget,
        })
    }

    /// The whole text.
    pub(super) fn program(mut self) -> Result<(Program, Dialect)> {
        self.keyword("program")?;
        self.symbol('(')?;
        let dialect = self.version()?;
        self.symbol(')')?;
        let mut program = Program {
            attributes: self.attributes()?,
            ..Program::default()
        };
        self.symbol('{')?;
        while !self.at_symbol('}') {
            let at = self.start;
            let (name, function) = self.function()?;
            let message = format!("function \"{name}\" is defined twice");
            if program.functions.insert(name, function).is_some() {
                return Err(self.error(at, message));
            }
        }
        self.symbol('}')?;
        match &self.token {
            Token::End => Ok((program, dialect)),
            other => Err(self.expected(self.start, "the end of the text", other)),
        }
    }

    fn version(&mut self) -> Result<Dialect> {
        let at = self.start;
        match self.advance()? {
            Token::Number("1" | "1.0") => Ok(Dialect::V1_0),
            Token::Number(number) if number.starts_with("1.") => Ok(Dialect::V1_3),
            other => Err(self.expected(at, "program version 1.0 or 1.3", &other)),
        }
    }

    fn function(&mut self) -> Result<(String, Function)> {
        self.keyword("func")?;
        let name = self.word("a function's name")?.to_owned();
        self.symbol('<')?;
        let opset = opset::from_core_ml(self.word("an opset")?);
        self.symbol('>')?;
        let inputs = self.parameters()?;
        let attributes = self.attributes()?;
        let block = self.block(Vec::new())?;
        self.symbol(';')?;
        let function = Function {
            opset,
            inputs,
            attributes,
            block,
        };
        Ok((name, function))
    }

    /// `(type name, …)`.
    fn parameters(&mut self) -> Result<Vec<NamedType>> {
        self.symbol('(')?;
        self.items(')', |parser| {
            let ty = parser.ty()?;
            let name = parser.word("a name")?.to_owned();
            Ok(NamedType { name, ty })
        })
    }

    /// `{ statements } -> (names)`.
    fn block(&mut self, inputs: Vec<NamedType>) -> Result<Block> {
        if self.depth == MAX_DEPTH {
            return Err(self.error(self.start, "blocks are nested too deeply"));
        }
        self.depth += 1;
        self.symbol('{')?;
        let mut operations = Vec::new();
        while !self.at_symbol('}') {
            operations.push(self.statement()?);
        }
        self.symbol('}')?;
        let at = self.start;
        match self.advance()? {
            Token::Arrow => {}
            other => return Err(self.expected(at, "\"->\"", &other)),
        }
        self.symbol('(')?;
        let outputs = self.items(')', |parser| Ok(parser.word("a name")?.to_owned()))?;
        self.depth -= 1;
        Ok(Block {
            inputs,
            operations,
            outputs,
        })
    }

    fn statement(&mut self) -> Result<Operation> {
        let mut outputs = Vec::new();
        let mut at = self.start;
        let mut op = self.word("an operation")?;
        if !self.at_symbol('(') {
            loop {
                let ty = self.type_after(op, at)?;
                let name = self.word("a name")?.to_owned();
                outputs.push(NamedType { name, ty });
                if !self.accept(',')? {
                    break;
                }
                at = self.start;
                op = self.word("a type")?;
            }
            self.symbol('=')?;
            op = self.word("an operation")?;
        }
        let inputs = self.arguments()?;
        let attributes = self.attributes()?;
        let mut blocks = Vec::new();
        while self.at_symbol('(') {
            let inputs = self.parameters()?;
            blocks.push(self.block(inputs)?);
        }
        self.symbol(';')?;
        Ok(Operation {
            op: op.to_owned(),
            inputs,
            outputs,
            blocks,
            attributes,
        })
    }

    fn arguments(&mut self) -> Result<BTreeMap<String, Argument>> {
        self.symbol('(')?;
        let mut arguments = BTreeMap::new();
        while !self.at_symbol(')') {
            let at = self.start;
            let name = self.word("a parameter's name")?;
            self.symbol('=')?;
            let argument = self.argument()?;
            if arguments.insert(name.to_owned(), argument).is_some() {
                return Err(self.error(at, format!("argument \"{name}\" is given twice")));
            }
            if !self.accept(',')? {
                break;
            }
        }
        self.symbol(')')?;
        Ok(arguments)
    }

    fn argument(&mut self) -> Result<Argument> {
        if !self.accept('(')? {
            return Ok(Argument::One(self.binding()?));
        }
        Ok(Argument::of(self.items(')', Self::binding)?))
    }

    fn binding(&mut self) -> Result<Binding> {
        let at = self.start;
        let word = self.word("a name or a value")?;
        if self.at_symbol('(') || self.at_symbol('<') {
            return Ok(Binding::Value(self.value_after(word, at)?));
        }
        Ok(Binding::Name(word.to_owned()))
    }

    /// `[name = value, …]`, or nothing.
    fn attributes(&mut self) -> Result<Attributes> {
        let mut attributes = Attributes::new();
        if !self.accept('[')? {
            return Ok(attributes);
        }
        while !self.at_symbol(']') {
            let at = self.start;
            let name = self.word("an attribute's name")?;
            self.symbol('=')?;
            let value = self.value()?;
            if attributes.insert(name.to_owned(), value).is_some() {
                return Err(self.error(at, format!("attribute \"{name}\" is given twice")));
            }
            if !self.accept(',')? {
                break;
            }
        }
        self.symbol(']')?;
        Ok(attributes)
    }

    /// Items with commas between them, up to and including `close`.
    pub(super) fn items<T>(
        &mut self,
        close: char,
        mut item: impl FnMut(&mut Self) -> Result<T>,
    ) -> Result<Vec<T>> {
        let mut items = Vec::new();
        while !self.at_symbol(close) {
            items.push(item(self)?);
            if !self.accept(',')? {
                break;
            }
        }
        self.symbol(close)?;
        Ok(items)
    }

    /// Takes `nodes` from what literals may repeat.
    pub(super) fn spend(&mut self, nodes: usize, at: usize) -> Result<()> {
        match self.budget.checked_sub(nodes) {
            Some(rest) => {
                self.budget = rest;
                Ok(())
            }
            None => Err(self.error(at, "a literal that repeats too large a type")),
        }
    }

    pub(super) fn start(&self) -> usize {
        self.start
    }

    /// Takes the current token.
    pub(super) fn advance(&mut self) -> Result<Token<'a>> {
        let (token, start) = self.lexer.next()?;
        self.start = start;
        Ok(std::mem::replace(&mut self.token, token))
    }

    pub(super) fn word(&mut self, what: &str) -> Result<&'a str> {
        match &self.token {
            Token::Word(word) => {
                let word = *word;
                self.advance()?;
                Ok(word)
            }
            other => Err(self.expected(self.start, what, other)),
        }
    }

    pub(super) fn keyword(&mut self, keyword: &str) -> Result<()> {
        if !self.at_word(keyword) {
            let what = format!("\"{keyword}\"");
            return Err(self.expected(self.start, &what, &self.token));
        }
        self.advance().map(|_| ())
    }

    pub(super) fn symbol(&mut self, symbol: char) -> Result<()> {
        if !self.at_symbol(symbol) {
            let what = format!("\"{symbol}\"");
            return Err(self.expected(self.start, &what, &self.token));
        }
        self.advance().map(|_| ())
    }

    /// Takes `symbol` if it is next.
    pub(super) fn accept(&mut self, symbol: char) -> Result<bool> {
        let found = self.at_symbol(symbol);
        if found {
            self.advance()?;
        }
        Ok(found)
    }

    pub(super) fn at_symbol(&self, symbol: char) -> bool {
        self.token == Token::Symbol(symbol)
    }

    pub(super) fn at_word(&self, word: &str) -> bool {
        self.token == Token::Word(word)
    }

    pub(super) fn error(&self, at: usize, message: impl Into<String>) -> Error {
        self.lexer.error(at, message)
    }

    pub(super) fn locate(&self, at: usize, error: Error) -> Error {
        self.lexer.locate(at, error)
    }

    pub(super) fn expected(&self, at: usize, what: &str, got: &Token) -> Error {
        self.error(at, format!("expected {what}, got {}", got.describe()))
    }
}
