//! Ways through a program: operations with nested blocks, counts, sizes.

use std::collections::BTreeMap;

use super::opset;
use super::{Argument, Binding, Block, Function, Operation, Program, Value};
use crate::diag::Result;

impl Program {
    /// How often each operation occurs, in all functions and nested blocks.
    pub fn op_histogram(&self) -> BTreeMap<&str, usize> {
        let mut counts = BTreeMap::new();
        for function in self.functions.values() {
            for operation in function.operations() {
                *counts.entry(operation.op.as_str()).or_insert(0) += 1;
            }
        }
        counts
    }
}

/// Makes a new value out of one, told the function and operation that hold it.
type MapValue<'a> = &'a mut dyn FnMut(&Function, &Operation, &Value) -> Result<Value>;

impl Program {
    /// The program with each attribute and literal argument of its operations replaced by `map`.
    pub fn try_map_values(&self, map: MapValue) -> Result<Program> {
        let functions = self.functions.iter().map(|(name, function)| {
            let mapped = Function {
                opset: function.opset.clone(),
                inputs: function.inputs.clone(),
                attributes: function.attributes.clone(),
                block: map_block(function, &function.block, map)?,
            };
            Ok((name.clone(), mapped))
        });
        Ok(Program {
            functions: functions.collect::<Result<_>>()?,
            attributes: self.attributes.clone(),
        })
    }
}

fn map_block(function: &Function, block: &Block, map: MapValue) -> Result<Block> {
    let operations = block.operations.iter();
    Ok(Block {
        inputs: block.inputs.clone(),
        operations: operations
            .map(|operation| map_operation(function, operation, map))
            .collect::<Result<_>>()?,
        outputs: block.outputs.clone(),
    })
}

fn map_operation(function: &Function, operation: &Operation, map: MapValue) -> Result<Operation> {
    let mut mapped = Operation {
        op: operation.op.clone(),
        outputs: operation.outputs.clone(),
        ..Operation::default()
    };
    for (name, argument) in &operation.inputs {
        let bindings = argument.bindings().iter().map(|binding| match binding {
            Binding::Name(name) => Ok(Binding::Name(name.clone())),
            Binding::Value(value) => map(function, operation, value).map(Binding::Value),
        });
        let argument = Argument::of(bindings.collect::<Result<_>>()?);
        mapped.inputs.insert(name.clone(), argument);
    }
    for (name, value) in &operation.attributes {
        let value = map(function, operation, value)?;
        mapped.attributes.insert(name.clone(), value);
    }
    for block in &operation.blocks {
        mapped.blocks.push(map_block(function, block, map)?);
    }
    Ok(mapped)
}

impl Function {
    /// All operations in program order; a nested block's follow the operation that holds it.
    pub fn operations(&self) -> impl Iterator<Item = &Operation> {
        self.block.operations()
    }

    /// The lowest Core ML specification version that has the function's opset, if it is known.
    pub fn specification(&self) -> Option<i32> {
        opset::specification(&self.opset)
    }
}

impl Block {
    /// All operations in program order; a nested block's follow the operation that holds it.
    pub fn operations(&self) -> impl Iterator<Item = &Operation> {
        let mut stack = vec![self.operations.iter()];
        std::iter::from_fn(move || {
            loop {
                let Some(operation) = stack.last_mut()?.next() else {
                    stack.pop();
                    continue;
                };
                let nested = operation.blocks.iter().rev();
                stack.extend(nested.map(|block| block.operations.iter()));
                return Some(operation);
            }
        })
    }
}

impl Operation {
    /// The literal and blob values of its attributes and arguments.
    pub fn values(&self) -> impl Iterator<Item = &Value> {
        let bindings = self.inputs.values().flat_map(|a| a.bindings());
        let literals = bindings.filter_map(|binding| match binding {
            Binding::Value(value) => Some(value),
            Binding::Name(_) => None,
        });
        self.attributes.values().chain(literals)
    }
}

#[cfg(test)]
mod tests {
    use crate::mil::text::parse;

    #[test]
    fn nested_blocks_are_walked_in_order() {
        let text = "program(1.3){func main<ios18>(bool p){
            fp16 a = const()[val = fp16(1)];
            tensor<int4, [9]> w = const()[val = tensor<int4, [9]>(BLOBFILE(path = string(\"f\"), offset = uint64(64)))];
            tensor<int4, [9]> v = const()[val = tensor<int4, [9]>(BLOBFILE(path = string(\"f\"), offset = uint64(64)))];
            fp16 b = cond(pred = p) () { fp16 c = relu(x = a); } -> (c) () { fp16 d = tanh(x = a); } -> (d);
            fp16 e = relu(x = b); } -> (e); }";
        let program = parse(text, "t").unwrap().0;
        program.check().unwrap();
        let ops: Vec<&str> = program.functions["main"]
            .operations()
            .map(|op| op.op.as_str())
            .collect();
        assert_eq!(
            ops,
            ["const", "const", "const", "cond", "relu", "tanh", "relu"]
        );
        assert_eq!(program.op_histogram()["relu"], 2);
        assert_eq!(program.functions["main"].specification(), Some(9));
    }

    #[test]
    fn undefined_and_doubled_names_are_found() {
        for (body, message) in [
            (
                "fp16 a = relu(x = b);",
                "operation relu \"a\": the value \"b\" is used",
            ),
            ("fp16 x = relu(x = x);", "the value \"x\" is defined twice"),
            ("fp16 b = relu(x = x);", "the value \"a\" is used"),
        ] {
            let text = format!("program(1.3){{func main<ios18>(fp16 x){{{body}}} -> (a);}}");
            let error = parse(&text, "t")
                .unwrap()
                .0
                .check()
                .unwrap_err()
                .to_string();
            assert!(error.contains(message), "{error}");
        }
    }
}
