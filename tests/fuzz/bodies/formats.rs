//! The readers: what they accept must print, encode and read back as the same.

use coreml_proto::proto::{Model, ModelDescription, mil_spec, model};
use prost::Message;
use rlaif_repl::engine::Engine;
use rlaif_repl::mil::text::{self as mil_text, Dialect};
use rlaif_repl::mil::{Program, proto as mil_proto};
use rlaif_repl::numeric::{Array, DType};
use rlaif_repl::package::{Bundle, is_constant, weight_forms};
use rlaif_repl::tokenizer::Tokenizer;
use rlaif_repl::weights::{Blob, codec};

use super::dice::Dice;
use super::programs::{PRECISIONS, portable};

/// MIL text.
pub fn text(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let Ok((program, _)) = mil_text::parse(text, "fuzzed") else {
        return;
    };
    for dialect in [Dialect::V1_0, Dialect::V1_3] {
        let printed = mil_text::print(&program, dialect);
        let again = mil_text::parse(&printed, "printed");
        let (again, said) = again.unwrap_or_else(|error| panic!("{error}\n{printed}"));
        assert_eq!(said, dialect);
        assert_eq!(sorted(again), sorted(program.clone()), "{printed}");
    }
    let again = mil_proto::read(&mil_proto::write(&program));
    let again = again.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(again, program);
    let _ = program.check();
}

/// The program with each function's inputs sorted by name, as text has them.
fn sorted(mut program: Program) -> Program {
    for function in program.functions.values_mut() {
        function.inputs.sort_by(|a, b| a.name.cmp(&b.name));
    }
    program
}

/// The protobuf form of a model.
pub fn proto(bytes: &[u8]) {
    if let Ok(model) = Model::decode(bytes)
        && let Some(model::Type::MlProgram(program)) = &model.r#type
        && let Ok(program) = mil_proto::read(program)
    {
        let encoded = mil_proto::encode(&program);
        let decoded = mil_spec::Program::decode(&*encoded).map(|proto| mil_proto::read(&proto));
        let again = decoded.expect("what is encoded can be decoded");
        assert_eq!(again.expect("and read"), program);
        let _ = mil_text::print(&program, Dialect::V1_3);
    }
    open(&[("Manifest.json", MANIFEST), ("Data/m", bytes)]);
}

/// A manifest of a package whose model is `Data/m`.
pub const MANIFEST: &[u8] =
    br#"{"rootModelIdentifier": "r", "itemInfoEntries": {"r": {"path": "m"}}}"#;

/// Opens a bundle and uses all that was read but its operations.
fn open(files: &[(&str, &[u8])]) {
    let files = files.iter().map(|(name, bytes)| (*name, bytes.to_vec()));
    let Ok(bundle) = Bundle::from_files("fuzzed", files) else {
        return;
    };
    for function in bundle.description.functions.values() {
        for feature in function
            .inputs
            .iter()
            .chain(&function.outputs)
            .chain(&function.states)
        {
            let _ = (feature.shapes(), feature.accepts(&[1, 2]));
        }
    }
    let _ = weight_forms(&bundle.program);
    for (name, function) in &bundle.program.functions {
        for operation in function.operations().filter(|op| is_constant(op)) {
            for output in &operation.outputs {
                let _ = bundle.weight(name, &output.name);
            }
        }
    }
    let default = bundle.description.default_function.clone();
    if let Ok(portable) = portable(bundle, PRECISIONS[0]) {
        let _ = portable.predict(&default, &Default::default(), None);
    }
}

/// A program with inputs of all sorts, for descriptions to describe.
const PROGRAM: &str = "program(1.3) {
    func main<ios18>(tensor<fp16, [1, ?]> x, state<tensor<fp16, [2]>> s, tensor<int32, [2]> i) {
        tensor<fp16, [1, ?]> y = relu(x = x);
        tensor<fp16, [2]> r = read_state(input = s);
    } -> (y, r);
    func other<ios18>(tensor<fp32, [1, 3, 4, 4]> x) { tensor<fp32, [1, 3, 4, 4]> y = relu(x = x); } -> (y);
}";

/// Everything beside program and weights; the first byte says which file.
pub fn metadata(bytes: &[u8]) {
    let Some((which, bytes)) = bytes.split_first() else {
        return;
    };
    let text = PROGRAM.as_bytes();
    match which % 5 {
        0 => open(&[("model.mil", text), ("coremldata.bin", bytes)]),
        1 => open(&[("model.mil", text), ("metadata.json", bytes)]),
        2 => open(&[("Manifest.json", bytes), ("Data/m", &model(&[]))]),
        3 => open(&[("Manifest.json", MANIFEST), ("Data/m", &model(bytes))]),
        _ => {
            if let Ok(tokenizer) = Tokenizer::from_bytes(bytes) {
                let _ = tokenizer.encode("One text, zwei Texte: три\n", true);
                let _ = tokenizer.decode(&[0, 1, 2], false);
            }
        }
    }
}

/// A model of the program above with the description that `bytes` encode.
fn model(bytes: &[u8]) -> Vec<u8> {
    let (program, _) = mil_text::parse(PROGRAM, "fixed").expect("the program is right");
    model_of(&program, ModelDescription::decode(bytes).ok()).encode_to_vec()
}

/// The protobuf form of a program with its description.
pub fn model_of(program: &Program, description: Option<ModelDescription>) -> Model {
    Model {
        specification_version: 9,
        description,
        r#type: Some(model::Type::MlProgram(mil_proto::write(program))),
        ..Model::default()
    }
}

/// A weight file, read at every place, behind choices that say how and what is made of it.
pub fn blob(bytes: &[u8]) {
    const CHOICES: usize = 32;
    let mut dice = Dice::new(bytes);
    let file = bytes.get(CHOICES..).unwrap_or_default();
    if let Ok(blob) = Blob::from_bytes(file.to_vec()) {
        let odd = (dice.below(1 << 16) as u64) << (8 * dice.below(7));
        for offset in (0..file.len() as u64).step_by(64).chain([odd]) {
            let Ok(entry) = blob.entry(offset) else {
                continue;
            };
            let elements = entry.size * 8 / entry.dtype.bits();
            for shape in [vec![elements], vec![1, elements], shape(&mut dice), vec![]] {
                let _ = blob.read(offset, entry.dtype, &shape);
            }
        }
    }
    decode(&mut dice);
}

/// Every codec on arrays of chosen types and shapes.
fn decode(dice: &mut Dice) {
    let axis = [None, Some(0), Some(-1), Some(1), Some(i64::MIN), Some(7)];
    let axis = *dice.pick(&axis);
    let packed = shape(dice);
    let arrays: Vec<Array> = (0..4).map(|_| array(dice)).collect();
    let [a, b, c, d] = &arrays[..] else {
        return;
    };
    let results = [
        codec::lut_to_dense_packed(a, b, &packed),
        codec::lut_to_dense(a, b, axis),
        codec::affine_dequantize(a, b, c, axis.unwrap_or(2)),
        codec::blockwise_shift_scale(a, b, Some(c)),
        codec::blockwise_shift_scale(a, b, None),
        codec::sparse_to_dense_packed(a, b, &packed),
        codec::sparse_to_dense(a, b),
        codec::lut_to_sparse(a, b, c, axis).map(|(_, values)| values),
        codec::sparse_blockwise_shift_scale(a, b, c, Some(d)).map(|(_, values)| values),
        codec::cast(a, b.dtype()),
        a.cast(c.dtype()),
    ];
    for array in results.into_iter().flatten() {
        assert!(array.len() < 1 << 20, "{:?}", array.shape());
    }
}

const EXTENTS: [usize; 8] = [1, 2, 4, 0, 3, 16, 1 << 20, usize::MAX];

fn shape(dice: &mut Dice) -> Vec<usize> {
    let rank = dice.below(6);
    (0..rank).map(|_| *dice.pick(&EXTENTS)).collect()
}

/// An array of a small shape whose bytes are what is left of the input, repeated.
fn array(dice: &mut Dice) -> Array {
    let dtype = *dice.pick(&DType::ALL);
    let mut shape = shape(dice);
    let small = |shape: &[usize]| {
        let size = shape
            .iter()
            .try_fold(1usize, |n, extent| n.checked_mul(*extent));
        size.is_some_and(|size| size <= 1 << 10)
    };
    while !small(&shape) {
        shape.pop();
    }
    let count = shape.iter().product::<usize>() * dtype.bytes();
    let bytes = dice.rest().iter().copied().chain([0]).cycle().take(count);
    let array = Array::new(dtype, shape, bytes.collect());
    array.unwrap_or_else(|_| Array::from_i32(vec![0], &[]).expect("an empty array"))
}
