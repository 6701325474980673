//! Programs through protobuf and back, and messages that must not be read.

use coreml_proto::proto::mil_spec::{self, tensor_value::Value as Stored, value};
use prost::Message;

use super::*;
use crate::mil::{Data, text};

/// A program with a constant of every element type, nested blocks, literals of every kind.
const TEXT: &str = "program(1.3)[buildInfo = dict<string, string>({{\"a\", \"1\"}, {\"b\", \"2\"}})] {
    func main<ios18>(tensor<fp16, [1, ?, ...]> x, state<tensor<fp16, [2]>> s, bool p) {
        bool c0 = const()[val = bool(true)];
        tensor<string, [2]> c1 = const()[val = tensor<string, [2]>([\"a\", \"b\"])];
        tensor<fp16, [2]> c2 = const()[val = tensor<fp16, [2]>([0x1p-24, inf])];
        tensor<fp32, [2, 1]> c3 = const()[val = tensor<fp32, [2, 1]>([[0x1p-149], [nan]])];
        fp64 c4 = const()[val = fp64(0x1p-1074)];
        bf16 c5 = const()[val = bf16(0x1p+1)];
        tensor<int4, [3]> c6 = const()[val = tensor<int4, [3]>([-8, 7, -1])];
        tensor<int8, [2]> c7 = const()[val = tensor<int8, [2]>([-128, 127])];
        tensor<int16, [2]> c8 = const()[val = tensor<int16, [2]>([-32768, 32767])];
        tensor<int32, [2]> c9 = const()[val = tensor<int32, [2]>([-2147483648, 2147483647])];
        int64 c10 = const()[val = int64(-9223372036854775808)];
        tensor<uint1, [9]> c11 = const()[val = tensor<uint1, [9]>([1, 0, 1, 1, 0, 0, 0, 1, 1])];
        tensor<uint2, [3]> c12 = const()[val = tensor<uint2, [3]>([1, 2, 3])];
        tensor<uint3, [3]> c13 = const()[val = tensor<uint3, [3]>([1, 2, 7])];
        tensor<uint4, [3]> c14 = const()[val = tensor<uint4, [3]>([1, 2, 15])];
        tensor<uint6, [3]> c15 = const()[val = tensor<uint6, [3]>([1, 2, 63])];
        uint8 c16 = const()[val = uint8(255)];
        uint16 c17 = const()[val = uint16(65535)];
        uint32 c18 = const()[val = uint32(4294967295)];
        uint64 c19 = const()[val = uint64(18446744073709551615)];
        tensor<fp16, [0, 3]> c20 = const()[val = tensor<fp16, [0, 3]>([])];
        tensor<fp16, [9]> c21 = const()[val = tensor<fp16, [9]>(BLOBFILE(path = string(\"@model_path/w\"), offset = uint64(64)))];
        list<int32, ?> c22 = const()[val = list<int32, ?>([1, 2])];
        tuple<int32, string> c23 = const()[val = tuple<int32, string>((1, \"a\"))];
        tensor<int32, [?]> c24 = const()[val = tensor<int32, [?]>([1, 2, 3])];
        fp16 y = cond(pred = p)[name = string(\"if\")] () { fp16 a = relu(x = c5); } -> (a) () { fp16 b = add(x = c5, y = fp16(0x1p+0)); } -> (b);
        tensor<fp16, [?]> z = concat(axis = int32(0), values = (y, y, x));
        write_state(data = c2, input = s);
    } -> (z);
}";

fn program() -> Program {
    text::parse(TEXT, "test").unwrap().0
}

/// NaN is unequal to itself, so programs are compared as text.
fn show(program: &Program) -> String {
    text::print(program, text::Dialect::V1_3)
}

#[test]
fn every_kind_of_value_comes_back() {
    let program = program();
    let bytes = encode(&program);
    let decoded = mil_spec::Program::decode(&bytes[..]).unwrap();
    let read = read(&decoded).unwrap();
    assert_eq!(show(&read), show(&program));
    assert_eq!(
        read.functions["main"].inputs,
        program.functions["main"].inputs
    );
}

#[test]
fn bytes_are_the_same_each_time() {
    let first = encode(&program());
    for _ in 0..8 {
        assert!(encode(&program()) == first);
    }
}

/// The first constant with `dtype`'s name in its type, as it is stored.
fn stored(name: &str) -> Stored {
    let program = write(&program());
    let block = &program.functions["main"].block_specializations["CoreML8"];
    let operation = block
        .operations
        .iter()
        .find(|op| op.outputs[0].name == name);
    let value = operation.unwrap().attributes["val"].value.clone().unwrap();
    let value::Value::ImmediateValue(immediate) = value else {
        panic!("{name} is not immediate");
    };
    match immediate.value.unwrap() {
        value::immediate_value::Value::Tensor(tensor) => tensor.value.unwrap(),
        _ => panic!("{name} is not a tensor"),
    }
}

#[test]
fn element_types_lie_in_the_fields_that_core_ml_reads() {
    for name in ["c2", "c5", "c7", "c16", "c18"] {
        assert!(matches!(stored(name), Stored::Bytes(_)), "{name}");
    }
    for name in ["c8", "c9", "c17"] {
        assert!(matches!(stored(name), Stored::Ints(_)), "{name}");
    }
    for name in ["c10", "c19"] {
        assert!(matches!(stored(name), Stored::LongInts(_)), "{name}");
    }
    assert!(matches!(stored("c0"), Stored::Bools(_)));
    assert!(matches!(stored("c3"), Stored::Floats(_)));
    assert!(matches!(stored("c4"), Stored::Doubles(_)));
    for (name, bytes) in [
        ("c6", vec![0x78, 0x0f]),
        ("c11", vec![0b1000_1101, 1]),
        ("c13", vec![0b11_010_001, 0b1]),
    ] {
        let Stored::Bytes(stored) = stored(name) else {
            panic!("{name} is not in bytes");
        };
        assert_eq!(stored.values, bytes, "{name}");
    }
}

#[test]
fn damaged_messages_say_where() {
    let check = |damage: &dyn Fn(&mut mil_spec::Operation), message: &str| {
        let mut program = write(&program());
        let function = program.functions.get_mut("main").unwrap();
        let block = function.block_specializations.get_mut("CoreML8").unwrap();
        damage(&mut block.operations[2]);
        let error = read(&program).unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    };
    check(
        &|op| op.outputs[0].r#type = None,
        "operation const \"c2\": type of \"c2\": a type is missing",
    );
    check(
        &|op| op.attributes.get_mut("val").unwrap().value = None,
        "function \"main\": operation const \"c2\": attribute \"val\": a value has no content",
    );
    check(
        &|op| {
            let val = op.attributes.get_mut("val").unwrap();
            val.r#type = Some(types::write(&crate::mil::Type::tensor(
                crate::numeric::DType::Fp16,
                &[3],
            )));
        },
        "2 elements were given for a tensor",
    );
    let mut program = write(&program());
    program.functions.get_mut("main").unwrap().opset = "CoreML5".into();
    let error = read(&program).unwrap_err().to_string();
    assert!(
        error.contains("no block for its opset \"CoreML5\""),
        "{error}"
    );
}

#[test]
fn dictionaries_are_sorted_by_key() {
    let mut program = program();
    if let Data::Dict(pairs) = &mut program.attributes.get_mut("buildInfo").unwrap().data {
        pairs.reverse();
    }
    let read = read(&write(&program)).unwrap();
    let Data::Dict(pairs) = &read.attributes["buildInfo"].data else {
        panic!("no dictionary");
    };
    let keys: Vec<&str> = pairs.iter().filter_map(|(key, _)| key.as_text()).collect();
    assert_eq!(keys, ["a", "b"]);
}
