//! Checks that a program is well formed: every name is defined once, before its use.

use std::collections::BTreeSet;

use super::{Binding, Block, Function, Operation, Program};
use crate::diag::{Context, Result};
use crate::fail;

impl Program {
    /// Fails, naming function and operation, if a value is used before it is defined or defined
    /// twice. Nested blocks see the values around them and may shadow them.
    pub fn check(&self) -> Result<()> {
        for (name, function) in &self.functions {
            check_function(function).with_context(|| format!("function \"{name}\""))?;
        }
        Ok(())
    }
}

fn check_function(function: &Function) -> Result<()> {
    let mut scopes = vec![BTreeSet::new()];
    for input in &function.inputs {
        define(&mut scopes, &input.name)?;
    }
    check_block(&function.block, &mut scopes)
}

type Scopes<'a> = Vec<BTreeSet<&'a str>>;

fn check_block<'a>(block: &'a Block, scopes: &mut Scopes<'a>) -> Result<()> {
    for operation in &block.operations {
        check_operation(operation, scopes)
            .with_context(|| format!("operation {} \"{}\"", operation.op, operation.label()))?;
    }
    for output in &block.outputs {
        known(scopes, output)?;
    }
    Ok(())
}

fn check_operation<'a>(operation: &'a Operation, scopes: &mut Scopes<'a>) -> Result<()> {
    let arguments = operation.inputs.values();
    for binding in arguments.flat_map(|argument| argument.bindings()) {
        if let Binding::Name(name) = binding {
            known(scopes, name)?;
        }
    }
    for block in &operation.blocks {
        scopes.push(BTreeSet::new());
        for input in &block.inputs {
            define(scopes, &input.name)?;
        }
        check_block(block, scopes)?;
        scopes.pop();
    }
    for output in &operation.outputs {
        define(scopes, &output.name)?;
    }
    Ok(())
}

fn known(scopes: &Scopes, name: &str) -> Result<()> {
    if !scopes.iter().any(|scope| scope.contains(name)) {
        fail!("the value \"{name}\" is used, but not defined before");
    }
    Ok(())
}

fn define<'a>(scopes: &mut Scopes<'a>, name: &'a str) -> Result<()> {
    let new = scopes.last_mut().is_some_and(|scope| scope.insert(name));
    if !new {
        fail!("the value \"{name}\" is defined twice");
    }
    Ok(())
}
