//! Text that prints back identically, and text that must not be read.

use super::*;

/// Wraps statements into a program in Apple's layout, with newer scalars.
fn program(statements: &[&str], output: &str) -> String {
    let lines: String = statements
        .iter()
        .map(|s| format!("            {s}\n"))
        .collect();
    format!(
        "program(1.3)\n[buildInfo = dict<string, string>({{{{\"k\", \"v\"}}}})]\n{{\n    \
         func main<ios18>(tensor<fp32, [1, ?]> x) {{\n{lines}        }} -> ({output});\n}}"
    )
}

#[test]
fn statements_print_as_they_were_read() {
    for statement in [
        "fp16 c = const()[name = string(\"c\"), val = fp16(0x1p-1)];",
        "tensor<fp16, [2, 2]> c = const()[val = tensor<fp16, [2, 2]>([[0x1p+0, -inf], [nan, 0x1p-24]])];",
        "tensor<string, [2]> c = const()[val = tensor<string, [2]>([\"a\\\"\\n\", \"\\\\\"])];",
        "tensor<fp16, [9, 3]> c = const()[val = tensor<fp16, [9, 3]>(BLOBFILE(path = string(\"@model_path/w.bin\"), offset = uint64(18446744073709551615)))];",
        "tensor<int4, [2]> c = const()[val = tensor<int4, [2]>([-8, 7])];",
        "tensor<fp32, [0, 3]> c = const()[val = tensor<fp32, [0, 3]>([])];",
        "tensor<fp32, [1, ?]> c = concat(axis = int32(0), values = (x));",
        "tensor<fp32, [1]> c = mul(x = x, y = tensor<fp32, [1]>([-0x1p+0]));",
        "write_state(data = x, input = x)[name = string(\"w\")];",
        "tensor<fp16, [2]> v, tensor<uint16, [2]> c = topk(x = x);",
        "list<tensor<fp32, [4]>, ?> c = make_list();",
        "state<tensor<fp32, [...]>> c = f(x = bool(true), y = uint64(18446744073709551615));",
    ] {
        let text = program(&[statement], "c");
        let (parsed, dialect) = parse(&text, "t").unwrap();
        assert_eq!(print(&parsed, dialect), text);
    }
}

#[test]
fn the_older_dialect_is_the_same_program() {
    let newer = program(&["int32 c = const()[val = int32(3)];"], "c");
    let (parsed, _) = parse(&newer, "t").unwrap();
    let older = print(&parsed, Dialect::V1_0);
    assert!(older.starts_with("program(1.0)\n"), "{older}");
    assert!(older.contains("tensor<int32, []> c = const()[val = tensor<int32, []>(3)];"));
    assert_eq!(parse(&older, "t").unwrap(), (parsed, Dialect::V1_0));
}

#[test]
fn layout_and_spelling_are_free() {
    let text = "program(1.3){func main<CoreML8>(){fp16 e=const()[val=fp16(0.00001)];}->(e);}";
    let (parsed, dialect) = parse(text, "t").unwrap();
    assert_eq!(parsed.functions["main"].opset, "ios18");
    assert_eq!(parse(&print(&parsed, dialect), "t").unwrap().0, parsed);
}

#[test]
fn errors_say_where_and_what() {
    let at = |statement: &str| {
        parse(&program(&[statement], "c"), "m.mil")
            .unwrap_err()
            .to_string()
    };
    for (statement, message) in [
        (
            "fp16 c = const()[val = fp15(1)];",
            "m.mil:5:36: unknown element type \"fp15\"",
        ),
        (
            "fp16 c = const()[val = fp16(x)];",
            "m.mil:5:41: \"x\" is not a number",
        ),
        (
            "fp16 c = const()[val = fp16(1e9)];",
            "1e9 is out of the range of fp16",
        ),
        (
            "int8 c = const()[val = int8(128)];",
            "128 is out of the range of int8",
        ),
        (
            "int8 c = const()[val = int8(1.5)];",
            "1.5 is not an integer of type int8",
        ),
        (
            "bool c = const()[val = bool(1)];",
            "expected a bool literal, got \"1\"",
        ),
        (
            "tensor<int8, [3]> c = const()[val = tensor<int8, [3]>([1, 2])];",
            "dimension 0 has 2 entries where 3 were declared",
        ),
        ("fp16 c = const(", "expected a parameter's name, got \"}\""),
        ("fp16 c = f(x = x, x = x);", "argument \"x\" is given twice"),
        ("fp16 c = f(x = \"a);", "a string that is never closed"),
        ("fp16 c, f(x = x);", "unknown element type \"f\""),
        ("fp16 c = f(x = #);", "unexpected character '#'"),
        ("tensr<fp16, []> c = f();", "did you mean \"tensor\"?"),
    ] {
        let error = at(statement);
        assert!(error.contains(message), "{error}\nexpected {message}");
    }
}

#[test]
fn hostile_nesting_is_an_error() {
    let types = format!("program(1.0){{func f<ios15>({}", "list<".repeat(100_000));
    assert!(parse(&types, "t").is_err());
    let ranks = format!(
        "program(1.0){{func f<ios15>(tensor<fp16, [{}",
        "1, ".repeat(100_000)
    );
    assert!(parse(&ranks, "t").is_err());
    let blocks = format!(
        "program(1.0){{func f<ios15>(){}",
        "{cond()(){".repeat(100_000)
    );
    assert!(parse(&blocks, "t").is_err());
    let items = "[],".repeat(100_000);
    let wide = "string,".repeat(60);
    let repeated =
        format!("program(1.0)[a = list<list<tuple<{wide}string>, ?>, ?>([{items}])]{{}}");
    let error = parse(&repeated, "t").unwrap_err().to_string();
    assert!(error.contains("repeats too large a type"), "{error}");
}
