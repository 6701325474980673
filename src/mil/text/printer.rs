//! Prints a program with the layout of Apple's compiler, byte for byte.

use super::Dialect;
use super::number::print_float;
use crate::mil::{
    Argument, Attributes, Binding, Block, Data, Dim, Function, NamedType, Operation, Program, Type,
    Value,
};
use crate::numeric::{Array, DType};

const STATEMENT: usize = 12;

pub(super) fn program(program: &Program, dialect: Dialect) -> String {
    let mut printer = Printer {
        out: String::new(),
        dialect,
    };
    let version = match dialect {
        Dialect::V1_0 => "1.0",
        Dialect::V1_3 => "1.3",
    };
    printer.push(&format!("program({version})\n"));
    if !program.attributes.is_empty() {
        printer.attributes(&program.attributes);
        printer.push("\n");
    }
    printer.push("{\n");
    for (name, function) in &program.functions {
        printer.function(name, function);
    }
    printer.push("}");
    printer.out
}

struct Printer {
    out: String,
    dialect: Dialect,
}

impl Printer {
    fn push(&mut self, text: &str) {
        self.out.push_str(text);
    }

    fn indent(&mut self, width: usize) {
        self.out.extend(std::iter::repeat_n(' ', width));
    }

    /// Calls `item` for each, with `, ` between.
    fn joined<T>(&mut self, items: impl IntoIterator<Item = T>, item: impl Fn(&mut Self, T)) {
        for (i, entry) in items.into_iter().enumerate() {
            if i > 0 {
                self.push(", ");
            }
            item(self, entry);
        }
    }

    fn function(&mut self, name: &str, function: &Function) {
        let mut inputs: Vec<&NamedType> = function.inputs.iter().collect();
        inputs.sort_by(|a, b| a.name.cmp(&b.name));
        self.push(&format!("    func {name}<{}>(", function.opset));
        self.joined(inputs, Self::named);
        self.push(") ");
        if !function.attributes.is_empty() {
            self.attributes(&function.attributes);
            self.push(" ");
        }
        self.push("{\n");
        self.operations(&function.block, STATEMENT);
        self.indent(8);
        self.outputs(&function.block);
        self.push(";\n");
    }

    fn operations(&mut self, block: &Block, indent: usize) {
        for operation in &block.operations {
            self.indent(indent);
            self.operation(operation, indent);
        }
    }

    fn outputs(&mut self, block: &Block) {
        self.push(&format!("}} -> ({})", block.outputs.join(", ")));
    }

    fn operation(&mut self, operation: &Operation, indent: usize) {
        if !operation.outputs.is_empty() {
            self.joined(&operation.outputs, Self::named);
            self.push(" = ");
        }
        self.push(&operation.op);
        self.push("(");
        self.joined(&operation.inputs, |printer, (name, argument)| {
            printer.push(name);
            printer.push(" = ");
            printer.argument(argument, is_variadic(&operation.op, name));
        });
        self.push(")");
        if !operation.attributes.is_empty() {
            self.attributes(&operation.attributes);
        }
        for block in &operation.blocks {
            self.push("\n");
            self.indent(indent + 4);
            self.push("(");
            self.joined(&block.inputs, Self::named);
            self.push(") {\n");
            self.operations(block, indent + 8);
            self.indent(indent + 7);
            self.outputs(block);
        }
        self.push(";\n");
    }

    fn argument(&mut self, argument: &Argument, variadic: bool) {
        match argument {
            Argument::One(binding) if !variadic => self.binding(binding),
            _ => {
                self.push("(");
                self.joined(argument.bindings(), Self::binding);
                self.push(")");
            }
        }
    }

    fn binding(&mut self, binding: &Binding) {
        match binding {
            Binding::Name(name) => self.push(name),
            Binding::Value(value) => self.value(value),
        }
    }

    fn attributes(&mut self, attributes: &Attributes) {
        self.push("[");
        self.joined(attributes, |printer, (name, value)| {
            printer.push(name);
            printer.push(" = ");
            printer.value(value);
        });
        self.push("]");
    }

    fn named(&mut self, named: &NamedType) {
        self.ty(&named.ty);
        self.push(" ");
        self.push(&named.name);
    }

    fn ty(&mut self, ty: &Type) {
        match ty {
            Type::Tensor { dtype, dims } if dims.is_empty() && self.dialect == Dialect::V1_3 => {
                self.push(dtype.name());
            }
            Type::Tensor { dtype, dims } => {
                self.push("tensor<");
                self.push(dtype.name());
                self.push(", [");
                self.joined(dims, Self::dim);
                self.push("]>");
            }
            Type::List { item, length } => {
                self.push("list<");
                self.ty(item);
                self.push(", ");
                self.dim(length);
                self.push(">");
            }
            Type::Tuple(types) => {
                self.push("tuple<");
                self.joined(types, Self::ty);
                self.push(">");
            }
            Type::Dict { key, value } => {
                self.push("dict<");
                self.ty(key);
                self.push(", ");
                self.ty(value);
                self.push(">");
            }
            Type::State(inner) => {
                self.push("state<");
                self.ty(inner);
                self.push(">");
            }
        }
    }

    fn dim(&mut self, dim: &Dim) {
        match dim {
            Dim::Fixed(size) => self.push(&size.to_string()),
            Dim::Unknown => self.push("?"),
            Dim::Variadic => self.push("..."),
        }
    }

    fn value(&mut self, value: &Value) {
        self.ty(&value.ty);
        self.push("(");
        self.data(value);
        self.push(")");
    }

    fn data(&mut self, value: &Value) {
        match &value.data {
            Data::Array(array) => self.tensor(array.shape(), &elements(array)),
            Data::Texts(texts) => {
                let shape = value.ty.shape().unwrap_or(vec![texts.len()]);
                let texts: Vec<String> = texts.iter().map(|text| quoted(text)).collect();
                self.tensor(&shape, &texts);
            }
            Data::List(items) => {
                self.push("[");
                self.joined(items, Self::data);
                self.push("]");
            }
            Data::Tuple(items) => {
                self.push("(");
                self.joined(items, Self::data);
                self.push(")");
            }
            Data::Dict(pairs) => {
                self.push("{");
                self.joined(pairs, |printer, (key, value)| {
                    printer.push("{");
                    printer.data(key);
                    printer.push(", ");
                    printer.data(value);
                    printer.push("}");
                });
                self.push("}");
            }
            Data::Blob { path, offset } => self.blob(path, *offset),
        }
    }

    fn blob(&mut self, path: &str, offset: u64) {
        let path = quoted(path);
        let text = match self.dialect {
            Dialect::V1_0 => format!(
                "BLOBFILE(path = tensor<string, []>({path}), offset = tensor<uint64, []>({offset}))"
            ),
            Dialect::V1_3 => {
                format!("BLOBFILE(path = string({path}), offset = uint64({offset}))")
            }
        };
        self.push(&text);
    }

    fn tensor(&mut self, shape: &[usize], elements: &[String]) {
        let Some((size, inner)) = shape.split_first() else {
            return self.push(elements.first().map_or("", String::as_str));
        };
        let stride = elements.len().checked_div(*size).unwrap_or(0);
        self.push("[");
        self.joined(0..*size, |printer, i| {
            printer.tensor(inner, &elements[i * stride..(i + 1) * stride]);
        });
        self.push("]");
    }
}

/// Parameters that take several values, in brackets even when there is one.
fn is_variadic(op: &str, parameter: &str) -> bool {
    matches!(
        (op, parameter),
        ("concat" | "stack", "values") | ("while_loop", "loop_vars")
    )
}

fn elements(array: &Array) -> Vec<String> {
    match array.dtype() {
        DType::Bool => array
            .bytes()
            .iter()
            .map(|b| (*b != 0).to_string())
            .collect(),
        DType::Uint64 => array
            .to_i64s()
            .iter()
            .map(|v| (*v as u64).to_string())
            .collect(),
        dtype if dtype.is_float() => array.to_f64s().into_iter().map(print_float).collect(),
        _ => array.to_i64s().iter().map(i64::to_string).collect(),
    }
}

fn quoted(text: &str) -> String {
    let mut out = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
