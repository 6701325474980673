//! Single operations, and short chains of them, with hostile arguments: run forward and backward.

use rlaif_repl::engine::portable::ops::{self, Sample};
use rlaif_repl::mil::{
    Argument, Binding, Block, Data, NamedType, Operation, Program, Type, Value, text,
};
use rlaif_repl::numeric::Array;
use rlaif_repl::package::{Bundle, Description};

use super::arguments::change;
use super::dice::Dice;
use super::programs::{PRECISIONS, learn, portable};

/// A sample of the table of operations, changed in up to four places.
pub fn operations(bytes: &[u8]) {
    let mut dice = Dice::new(bytes);
    let all: Vec<_> = ops::all().collect();
    let op = dice.pick(&all);
    let mut program = sample_program(dice.pick(op.samples));
    let Some(function) = program.functions.get_mut("main") else {
        return;
    };
    let ways = dice.byte();
    for _ in 0..=ways % 4 {
        change(&mut function.block, &mut dice);
    }
    return_last(&mut function.block);
    let lifted = match ways & 16 {
        0 => Vec::new(),
        _ => lift(&mut function.block),
    };
    let precision = PRECISIONS[usize::from(ways >> 2) % 3];
    let Ok(portable) = portable(Bundle::new(program, Description::default()), precision) else {
        return;
    };
    let _ = learn(&portable, "main", &lifted);
}

/// The sample as a function that returns the results of its last statement; `cache` is a state.
pub fn sample_program(sample: &Sample) -> Program {
    let text = format!(
        "program(1.3) {{ func main<ios{}>(state<tensor<fp32, [2]>> cache) {{ {} }} -> (cache); }}",
        sample.opset, sample.call
    );
    let (mut program, _) = text::parse(&text, "sample").expect("samples are right");
    for function in program.functions.values_mut() {
        return_last(&mut function.block);
    }
    program
}

fn return_last(block: &mut Block) {
    let last = block.operations.last();
    let outputs = last.into_iter().flat_map(|operation| &operation.outputs);
    block.outputs = outputs.map(|output| output.name.clone()).collect();
}

/// Makes the float literals of rank 1 and more named constants, which can be trained.
fn lift(block: &mut Block) -> Vec<(String, Array)> {
    let mut lifted: Vec<(String, Array)> = Vec::new();
    let mut constants = Vec::new();
    for operation in &mut block.operations {
        for argument in operation.inputs.values_mut() {
            let Argument::One(binding) = argument else {
                continue;
            };
            let Binding::Value(Value {
                data: Data::Array(array),
                ..
            }) = &*binding
            else {
                continue;
            };
            if array.dtype().is_float() && !array.shape().is_empty() && !array.is_empty() {
                let name = format!("lifted{}", lifted.len());
                constants.push(constant(&name, array));
                lifted.push((name.clone(), array.clone()));
                *binding = Binding::Name(name);
            }
        }
    }
    block.operations.splice(0..0, constants);
    lifted
}

fn constant(name: &str, array: &Array) -> Operation {
    let name = name.to_owned();
    let ty = Type::tensor(array.dtype(), array.shape());
    Operation {
        op: "const".into(),
        outputs: vec![NamedType { name, ty }],
        attributes: [("val".to_string(), Value::array(array.clone()))].into(),
        ..Operation::default()
    }
}
