//! Compressed weights written: every scheme in both forms of bundle, and what others wrote, again.

use std::collections::BTreeMap;

use rlaif_repl::diag::Interrupt;
use rlaif_repl::mil::{Program, text};
use rlaif_repl::numeric::{Array, DType, Rng};
use rlaif_repl::package::{Bundle, Description, Storage};
use rlaif_repl::weights::encode::{Fidelity, Keep, Offset, Scheme};

use super::{find, has_extension, models};

const SHAPE: [usize; 2] = [16, 32];

/// `x · wᵀ` for two equal weights of normally distributed numbers.
fn bundle(opset: &str) -> Bundle {
    let mut rng = Rng::new(11);
    let rows = (0..SHAPE[0]).map(|_| {
        let row: Vec<String> = (0..SHAPE[1]).map(|_| format!("{}", rng.normal())).collect();
        format!("[{}]", row.join(", "))
    });
    let rows = rows.collect::<Vec<_>>().join(", ");
    let weight = |name: &str| {
        format!(
            "tensor<fp16, [16, 32]> {name} = const()[name = string(\"{name}\"), val = tensor<fp16, [16, 32]>([{rows}])];"
        )
    };
    let program = format!(
        "program(1.3) {{
            func main<{opset}>(tensor<fp16, [1, 32]> x) {{
                {} {}
                tensor<fp16, [1, 16]> a = linear(weight = w, x = x);
                tensor<fp16, [1, 16]> b = linear(weight = v, x = x);
                tensor<fp16, [1, 16]> y = add(x = a, y = b);
            }} -> (y);
        }}",
        weight("w"),
        weight("v")
    );
    let program = text::parse(&program, "test").unwrap().0;
    let description = Description::from_program(&program).unwrap();
    Bundle::new(program, description)
}

fn linear(data: DType, grid: &[usize], offset: Offset) -> Scheme {
    Scheme::Linear {
        data,
        grid: grid.to_vec(),
        offset,
    }
}

fn palette(
    bits: usize,
    groups: &[usize],
    vectors: Option<(usize, usize)>,
    table: Scheme,
) -> Scheme {
    Scheme::Palette {
        bits,
        groups: groups.to_vec(),
        vectors,
        table: Box::new(table),
    }
}

fn sparse(values: Scheme) -> Scheme {
    Scheme::Sparse {
        keep: Keep::Largest(0.25),
        values: Box::new(values),
    }
}

const LINEAR: &str = "constexpr_blockwise_shift_scale";
const PALETTE: &str = "constexpr_lut_to_dense";
const SPARSE: &str = "constexpr_sparse_to_dense";
const AFFINE: &str = "constexpr_affine_dequantize";

/// A version, a scheme, the largest relative error (RMS) that it may have here, the operations it takes.
type Case = (&'static str, Scheme, f64, &'static [&'static str]);

#[rustfmt::skip]
fn cases() -> Vec<Case> {
    let (int8, int4, uint4, uint8) = (DType::Int8, DType::Int4, DType::Uint4, DType::Uint8);
    let one = |bits, table| palette(bits, &[1, 1], None, table);
    let int8_table = || linear(int8, &[1, 1, 1, 1], Offset::None);
    let row_tables = linear(DType::Fp16, &[16, 1, 1, 1], Offset::None);
    let sparse_int8 = sparse(linear(int8, &[16, 1], Offset::None));
    vec![
        ("ios16", linear(int8, &[16, 1], Offset::Middle(int8)), 0.01, &[AFFINE]),
        ("ios16", linear(int8, &[1, 1], Offset::Middle(int8)), 0.01, &[AFFINE]),
        ("ios17", linear(uint8, &[1, 32], Offset::Fitted(uint8)), 0.01, &[AFFINE]),
        ("ios16", one(6, Scheme::Dense), 0.05, &[PALETTE]),
        ("ios16", one(1, Scheme::Dense), 0.7, &[PALETTE]),
        ("ios16", sparse(Scheme::Dense), 0.7, &[SPARSE]),
        ("ios18", linear(int4, &[16, 2], Offset::None), 0.1, &[LINEAR]),
        ("ios18", linear(uint4, &[16, 4], Offset::Fitted(uint4)), 0.1, &[LINEAR]),
        ("ios18", palette(3, &[2, 1], None, Scheme::Dense), 0.2, &[PALETTE]),
        ("ios18", palette(4, &[1, 1], Some((0, 2)), Scheme::Dense), 0.4, &[PALETTE]),
        ("ios18", one(4, int8_table()), 0.12, &[LINEAR, PALETTE]),
        ("ios18", palette(4, &[16, 1], None, row_tables), 0.1, &[LINEAR, PALETTE]),
        ("ios18", sparse(Scheme::Dense), 0.7, &[SPARSE]),
        ("ios18", sparse_int8, 0.7, &["constexpr_sparse_blockwise_shift_scale", SPARSE]),
        ("ios18", sparse(one(2, int8_table())), 0.7, &[LINEAR, "constexpr_lut_to_sparse", SPARSE]),
    ]
}

fn values(bundle: &Bundle, name: &str) -> Vec<f32> {
    bundle.weight("main", name).unwrap().to_f32s()
}

#[test]
fn every_scheme_is_written_read_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    for (opset, scheme, error_max, operations) in cases() {
        let dense = bundle(opset);
        let chosen = BTreeMap::from([("w".to_owned(), scheme.clone())]);
        let (compressed, stored) = dense
            .compressed("main", &chosen, &Interrupt::default())
            .unwrap();
        let words = &stored[0].form;
        assert!(stored[0].fidelity.relative_rms < error_max, "{stored:?}");
        let weight = compressed.weight("main", "w").unwrap();
        let fidelity = Fidelity::of(&values(&dense, "w"), &weight);
        assert_eq!(stored[0].fidelity, fidelity, "{words}");
        let histogram = compressed.program.op_histogram();
        let names = histogram.keys().copied();
        let constexprs = names.filter(|op| op.starts_with("constexpr"));
        assert_eq!(constexprs.collect::<Vec<_>>(), operations, "{words}");
        for form in ["m.mlpackage", "m.mlmodelc"] {
            let path = folder.path().join(form);
            compressed.save(&path).unwrap();
            let read = Bundle::open(&path).unwrap();
            assert_eq!(read.weight("main", "w").unwrap(), weight, "{words}");
            assert_eq!(
                read.weight("main", "v").unwrap().to_f32s(),
                values(&dense, "v")
            );
            kept(&read, words);
        }
    }
}

/// New values are stored in the scheme of the old; old ones stay as they are.
fn kept(bundle: &Bundle, words: &str) {
    let edit = |by: f32| {
        let moved = |name: &str| values(bundle, name).iter().map(|v| v * by).collect();
        let array = |values: Vec<f32>| Array::from_f32(SHAPE.to_vec(), &values).unwrap();
        let new = ["w", "v"].map(|name| (name.to_owned(), array(moved(name))));
        bundle
            .with_weights("main", &new.into(), Storage::Same)
            .unwrap()
    };
    let (same, stored) = edit(1.0);
    assert!(
        stored.is_empty() && same.program == bundle.program,
        "{words}"
    );
    let (doubled, stored) = edit(2.0);
    // Values that lie on a grid, or are as few as a table's entries; vectors are found by search.
    let lost = stored[0].fidelity.relative_rms;
    assert!(
        lost < 0.03 || words.contains("vectors"),
        "{words}: {stored:?}"
    );
    let forms: Vec<&str> = stored.iter().map(|w| w.form.as_str()).collect();
    assert!(
        forms.contains(&words) && forms.contains(&"fp16"),
        "{forms:?}"
    );
    let (before, after) = (&bundle.program, &doubled.program);
    assert_eq!(after.op_histogram(), before.op_histogram(), "{words}");
    let names = |program: &Program| {
        let operations = program.functions["main"].operations();
        let outputs = operations.flat_map(|op| op.outputs.clone());
        outputs.collect::<Vec<_>>()
    };
    assert_eq!(names(after), names(before), "{words}");
}

#[test]
fn what_ios16_cannot_hold_is_refused_in_words() {
    let error = |scheme: Scheme| {
        let chosen = BTreeMap::from([("w".to_owned(), scheme)]);
        let error = bundle("ios17")
            .compressed("main", &chosen, &Interrupt::default())
            .err()
            .unwrap();
        error.to_string()
    };
    for scheme in [
        linear(DType::Int4, &[16, 1], Offset::None),
        linear(DType::Int8, &[16, 2], Offset::None),
        palette(3, &[1, 1], None, Scheme::Dense),
        palette(4, &[2, 1], None, Scheme::Dense),
        sparse(linear(DType::Int8, &[1, 1], Offset::None)),
    ] {
        let error = error(scheme);
        assert!(error.contains("for iOS 18 and later only"), "{error}");
    }
}

/// A part that two weights share is not taken from the one by the other's change.
#[test]
fn shared_parts_stay_with_those_who_read_them() {
    let source = "program(1.3) {
        func main<ios18>(tensor<fp16, [1, 4]> x) {
            tensor<fp16, [1, 1, 2, 1]> t = constexpr_blockwise_shift_scale(data = tensor<int8, [1, 1, 2, 1]>([[[[-100], [100]]]]), scale = tensor<fp16, [1, 1, 1, 1]>([[[[0.01]]]]));
            tensor<fp16, [2, 4]> w = constexpr_lut_to_dense(indices = tensor<uint1, [2, 4]>([[0, 1, 1, 0], [1, 1, 0, 0]]), lut = t);
            tensor<fp16, [2, 4]> v = constexpr_lut_to_dense(indices = tensor<uint1, [2, 4]>([[1, 1, 1, 0], [1, 1, 0, 0]]), lut = t);
            tensor<fp16, [1, 2]> a = linear(weight = w, x = x);
            tensor<fp16, [1, 2]> b = linear(weight = v, x = x);
            tensor<fp16, [1, 2]> y = add(x = a, y = b);
        } -> (y);
    }";
    let program = text::parse(source, "test").unwrap().0;
    let description = Description::from_program(&program).unwrap();
    let bundle = Bundle::new(program, description);
    let new = Array::from_f32(vec![2, 4], &[3.0, 3.0, 3.0, 3.0, -2.0, -2.0, -2.0, 3.0]).unwrap();
    let new = BTreeMap::from([("w".to_owned(), new)]);
    let (edited, stored) = bundle.with_weights("main", &new, Storage::Same).unwrap();
    assert_eq!(values(&edited, "v"), values(&bundle, "v"));
    assert!(stored[0].fidelity.relative_rms < 0.01, "{stored:?}");
    assert_eq!(
        edited.program.op_histogram()["constexpr_blockwise_shift_scale"],
        2
    );
    edited.program.check().unwrap();
}

/// What coremltools and Apple's compiler wrote: each compressed weight, read into its pieces and stored
/// again, is the same to the bit.
#[test]
fn real_compressed_weights_are_stored_again_exactly() {
    let Some(models) = models() else { return };
    let mut checked = 0;
    let is_bundle =
        |p: &std::path::Path| has_extension(p, "mlmodelc") || has_extension(p, "mlpackage");
    let folders = ["generated", "small", "mobius-silero-vad"];
    let paths = folders
        .iter()
        .flat_map(|folder| find(&models.join(folder), &is_bundle));
    for path in paths {
        let Ok(bundle) = Bundle::open(&path) else {
            continue;
        };
        for (name, function) in &bundle.program.functions {
            let outputs = function
                .operations()
                .filter(|op| op.op.starts_with("constexpr_") && op.outputs.len() == 1);
            for operation in outputs {
                let weight = &operation.outputs[0].name;
                let dense = bundle.weight(name, weight).unwrap();
                let encoded = bundle.encoded(name, weight).unwrap();
                let place = format!("{} {weight} {}", path.display(), encoded.describe());
                assert!(encoded.decode().unwrap() == dense, "{place}");
                let again = encoded.again(&dense.to_f32s()).unwrap();
                assert!(again.decode().unwrap() == dense, "{place}");
                assert_eq!(again.bytes(), encoded.bytes(), "{place}");
                checked += 1;
            }
        }
    }
    assert!(checked > 500, "{checked}");
}
