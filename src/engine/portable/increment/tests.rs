//! Small programs: what is followed, and the sentences with which the analysis ends.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Increment, Want};
use crate::diag::Result;
use crate::engine::portable::{Options, Portable, Value};
use crate::mil::text;
use crate::numeric::{Array, DType};
use crate::package::{Bundle, Description};

/// A block of `statements` between a table of embeddings `x` `[1, 8, 4]` and the logits of `y`.
fn program(statements: &str) -> String {
    let embeddings: Vec<String> = (0..24)
        .map(|i| format!("{:?}", f64::from((i * 7) % 11) / 5.0 - 1.0))
        .collect();
    let rows: Vec<String> = embeddings
        .chunks(4)
        .map(|row| format!("[{}]", row.join(", ")))
        .collect();
    let mask: Vec<String> = (0..8)
        .map(|row| {
            let hidden = |key| if key > row { "-1e4" } else { "0.0" };
            format!("[{}]", (0..8).map(hidden).collect::<Vec<_>>().join(", "))
        })
        .collect();
    format!(
        "program(1.3){{func main<ios18>(tensor<int32, [1, 8]> ids){{
            tensor<fp32, [6, 4]> table = const()[val = tensor<fp32, [6, 4]>([{}])];
            tensor<fp32, [8, 8]> mask = const()[val = tensor<fp32, [8, 8]>([{}])];
            tensor<fp32, [1, 8, 4]> x = gather(x = table, indices = ids, axis = int32(0), batch_dims = int32(0), validate_indices = bool(false));
            {statements}
            tensor<fp32, [1, 8, 6]> logits = linear(x = y, weight = table);
        }} -> (logits);}}",
        rows.join(", "),
        mask.join(", ")
    )
}

/// The largest difference between decoding (in pieces, two sequences of different lengths) and the plain
/// run, or the sentence with which the analysis ends.
fn difference(statements: &str) -> Result<f32> {
    let (program, _) = text::parse(&program(statements), "test")?;
    let description = Description::from_program(&program)?;
    let engine = Portable::new(
        Arc::new(Bundle::new(program, description)),
        Options::default(),
    )?;
    let bound = Arc::new(engine.bind("main", &BTreeSet::new())?);
    let increment = Arc::new(Increment::new(bound.clone(), "ids", "logits")?);
    let inputs = |ids: &[u32]| -> Result<BTreeMap<String, Value>> {
        let padded = ids
            .iter()
            .map(|id| i64::from(*id))
            .chain(std::iter::repeat(0));
        let ids = Array::from_i64s(
            DType::Int32,
            vec![1, 8],
            &padded.take(8).collect::<Vec<_>>(),
        )?;
        Ok(BTreeMap::from([("ids".to_owned(), Value::host(ids))]))
    };
    let given = BTreeMap::new();
    let mut session = increment.session(&inputs(&[])?, &given)?;
    let plain = |ids: &[u32]| -> Result<Vec<Vec<f32>>> {
        let outputs = bound.run(&inputs(ids)?, &given, &mut bound.states()?)?;
        Ok(outputs["logits"].tensor()?.get(0)?.to_vec2()?)
    };
    let (a, b) = ([3, 0, 5, 1, 2, 4, 0, 3], [1, 1, 4, 2, 0, 5, 3, 2]);
    let (whole_a, whole_b) = (plain(&a)?, plain(&b)?);
    let mut worst = 0f32;
    let mut hold = |expected: &[Vec<f32>], got: &[Vec<f32>]| {
        assert_eq!(expected.len(), got.len());
        for (e, g) in expected.iter().flatten().zip(got.iter().flatten()) {
            worst = worst.max((e - g).abs());
        }
    };
    let got = session.extend(&[(0, &a[..5])], Want::All)?.to_vec2()?;
    hold(&whole_a[..5], &got);
    let got = session
        .extend(&[(7, &b[..2]), (0, &a[5..7])], Want::All)?
        .to_vec2()?;
    hold(&[&whole_b[..2], &whole_a[5..7]].concat(), &got);
    let got = session
        .extend(&[(0, &a[7..]), (7, &b[2..6])], Want::Last)?
        .to_vec2()?;
    hold(&[whole_a[7].clone(), whole_b[5].clone()], &got);
    // Taken back and continued differently, as a copy beside the original.
    session.fork(7, 8, 3)?;
    session.rewind(7, 4);
    let got = session
        .extend(&[(8, &b[3..5]), (7, &b[4..8])], Want::Last)?
        .to_vec2()?;
    hold(&[whole_b[4].clone(), whole_b[7].clone()], &got);
    Ok(worst)
}

#[test]
fn what_keeps_positions_apart_decodes() {
    let attend = |softmax: &str| {
        format!(
            "tensor<fp32, [1, 8, 8]> s = matmul(x = x, y = x, transpose_y = bool(true));
             {softmax}
             tensor<fp32, [1, 8, 4]> y = matmul(x = w, y = x);"
        )
    };
    let masked = "tensor<fp32, [1, 8, 8]> m = add(x = s, y = mask);";
    let softmax = "tensor<fp32, [1, 8, 8]> w = softmax(x = m, axis = int32(-1));";
    let cases = [
        attend(&format!("{masked} {softmax}")),
        // Capped, then hidden by a choice.
        attend(&format!(
            "tensor<fp32, [1, 8, 8]> t = tanh(x = s);
             tensor<bool, [8, 8]> seen = greater_equal(x = mask, y = fp32(0.0));
             tensor<fp32, [1, 8, 8]> m = select(cond = seen, a = t, b = fp32(-3e38)); {softmax}"
        )),
        // Keys by queries, and the softmax over the first axis.
        "tensor<fp32, [1, 8, 8]> s = einsum(values = (x, x), equation = string(\"bkc,bqc->bkq\"));
         tensor<fp32, [8, 8]> hidden = transpose(x = mask, perm = tensor<int32, [2]>([1, 0]));
         tensor<fp32, [1, 8, 8]> m = add(x = s, y = hidden);
         tensor<fp32, [1, 8, 8]> w = softmax(x = m, axis = int32(1));
         tensor<fp32, [1, 8, 4]> y = einsum(values = (w, x), equation = string(\"bkq,bkc->bqc\"));"
            .to_owned(),
        // Heads, with the masked attention of iOS 18.
        "tensor<fp32, [1, 8, 2, 2]> h = reshape(x = x, shape = tensor<int32, [4]>([1, -1, 2, 2]));
         tensor<fp32, [1, 2, 8, 2]> q = transpose(x = h, perm = tensor<int32, [4]>([0, 2, 1, 3]));
         tensor<fp32, [1, 2, 8, 2]> a = scaled_dot_product_attention(query = q, key = q, value = q, attn_mask = mask);
         tensor<fp32, [1, 8, 2, 2]> back = transpose(x = a, perm = tensor<int32, [4]>([0, 2, 1, 3]));
         tensor<fp32, [1, 8, 4]> y = reshape(x = back, shape = tensor<int32, [3]>([1, 8, 4]));"
            .to_owned(),
        // A channel-first layer, written as a convolution.
        "tensor<fp32, [1, 4, 8]> c = transpose(x = x, perm = tensor<int32, [3]>([0, 2, 1]));
         tensor<fp32, [1, 4, 1, 8]> e = expand_dims(x = c, axes = tensor<int32, [1]>([2]));
         tensor<fp32, [4, 4, 1, 1]> k = const()[val = tensor<fp32, [4, 4, 1, 1]>([[[[1.0]], [[2.0]], [[0.5]], [[-1.0]]], [[[0.0]], [[1.0]], [[1.0]], [[3.0]]], [[[1.5]], [[0.0]], [[2.0]], [[1.0]]], [[[1.0]], [[1.0]], [[-2.0]], [[0.0]]]])];
         tensor<fp32, [1, 4, 1, 8]> d = conv(x = e, weight = k);
         tensor<fp32, [4, 8]> s = squeeze(x = d);
         tensor<fp32, [8, 4]> t = transpose(x = s, perm = tensor<int32, [2]>([1, 0]));
         tensor<fp32, [1, 8, 4]> y = expand_dims(x = t, axes = tensor<int32, [1]>([0]));"
            .to_owned(),
    ];
    for statements in cases {
        let worst = difference(&statements).unwrap_or_else(|e| panic!("{e}: {statements}"));
        assert!(worst < 1e-5, "{worst} {statements}");
    }
}

#[test]
fn what_mixes_positions_is_named() {
    let scores = "tensor<fp32, [1, 8, 8]> s = matmul(x = x, y = x, transpose_y = bool(true));";
    let values = "tensor<fp32, [1, 8, 4]> y = matmul(x = w, y = x);";
    let cases = [
        (
            format!("{scores} tensor<fp32, [1, 8, 8]> w = softmax(x = s, axis = int32(-1)); {values}"),
            "softmax at \"w\" has no mask that hides later positions",
        ),
        (
            // A mask of -1000 hides nothing from scores as large as that.
            format!(
                "{scores} tensor<fp32, [8, 8]> weak = mul(x = mask, y = fp32(0.1));
                 tensor<fp32, [1, 8, 8]> m = add(x = s, y = weak);
                 tensor<fp32, [1, 8, 8]> w = softmax(x = m, axis = int32(-1)); {values}"
            ),
            "softmax at \"w\" has no mask that hides later positions",
        ),
        (
            format!("{scores} tensor<fp32, [1, 8, 8]> w = add(x = s, y = mask); {values}"),
            "matmul at \"y\" uses weights of attention that let positions see later ones",
        ),
        (
            "tensor<fp32, [1, 8, 4]> y = scaled_dot_product_attention(query = x, key = x, value = x);".to_owned(),
            "scaled_dot_product_attention at \"y\" attends without a mask",
        ),
        (
            "tensor<fp32, [1, 8, 4]> y = cumsum(x = x, axis = int32(1));".to_owned(),
            "cumsum at \"y\" mixes the positions of a sequence",
        ),
        (
            "tensor<fp32, [1, 1, 4]> m = reduce_mean(x = x, axes = tensor<int32, [1]>([1]), keep_dims = bool(true));
             tensor<fp32, [1, 8, 4]> y = sub(x = x, y = m);"
                .to_owned(),
            "reduce_mean at \"m\" mixes the positions of a sequence",
        ),
        (
            "tensor<fp32, [1, 4, 8]> m = reshape(x = x, shape = tensor<int32, [3]>([1, 4, 8]));
             tensor<fp32, [1, 8, 4]> y = transpose(x = m, perm = tensor<int32, [3]>([0, 2, 1]));"
                .to_owned(),
            "reshape at \"m\" mixes the positions of a sequence with other axes",
        ),
        (
            "tensor<fp32, [1, 1, 4]> f = slice_by_index(x = x, begin = tensor<int32, [3]>([0, 0, 0]), end = tensor<int32, [3]>([1, 1, 4]));
             tensor<fp32, [1, 8, 4]> y = add(x = x, y = f);"
                .to_owned(),
            "slice_by_index at \"f\" takes some positions of a sequence and leaves others",
        ),
        (
            "tensor<fp32, [1, 8, 4]> y = reverse(x = x, axes = tensor<int32, [1]>([1]));".to_owned(),
            "reverse at \"y\" takes the positions of a sequence apart",
        ),
    ];
    for (statements, sentence) in cases {
        let error = difference(&statements).unwrap_err().to_string();
        assert!(error.contains(sentence), "{error}: {statements}");
    }
}
