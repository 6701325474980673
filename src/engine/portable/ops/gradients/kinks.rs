//! Points that are not smooth: what flows there is what PyTorch (2.7) lets flow, read off its backward
//! pass for the loss Σ (i + 1) yᵢ.

use super::Function;
use crate::engine::portable::ops::sample;

/// A call and the gradient of each of its float literals, in the order of the parameters' names.
fn check(call: &str, expected: &[&[f64]]) {
    let call = call.to_owned().leak();
    let function = Function::new(&sample(call, &[]), false).unwrap();
    let gradients = function.gradients(&|i| (i + 1) as f64).unwrap();
    let near = |a: &f64, b: &f64| a == b || (a - b).abs() < 1e-6;
    let same = gradients.len() == expected.len()
        && gradients.iter().zip(expected).all(|(got, expected)| {
            got.len() == expected.len() && got.iter().zip(*expected).all(|(a, b)| near(a, b))
        });
    assert!(
        same,
        "{:?}\n{gradients:?}, expected {expected:?}",
        function.program
    );
}

/// A call of one tensor `x` of these elements.
fn of(op: &str, x: &str, expected: &[f64]) {
    let count = x.split(',').count();
    let (op, more) = op.split_once('(').unwrap_or((op, ")"));
    let more = more.strip_suffix(')').unwrap();
    let comma = if more.is_empty() { "" } else { ", " };
    check(
        &format!(
            "tensor<fp32, [{count}]> y = {op}(x = tensor<fp32, [{count}]>([{x}]){comma}{more});"
        ),
        &[expected],
    );
}

#[test]
fn activations() {
    of("relu", "-1.0, 0.0, 2.0", &[0.0, 0.0, 3.0]);
    of(
        "leaky_relu(alpha = fp32(0.25))",
        "-1.0, 0.0, 2.0",
        &[0.25, 0.5, 3.0],
    );
    of(
        "elu(alpha = fp32(0.5))",
        "-1.0, 0.0, 2.0",
        &[0.183_939_721, 1.0, 3.0],
    );
    of("relu6", "0.0, 6.0, 3.0", &[0.0, 0.0, 3.0]);
    of(
        "clip(alpha = fp32(-1.0), beta = fp32(2.0))",
        "-1.0, 0.5, 2.0, 3.0",
        &[1.0, 2.0, 3.0, 0.0],
    );
    of(
        "threshold(alpha = fp32(1.0))",
        "0.0, 1.0, 2.0",
        &[0.0, 2.0, 3.0],
    );
    of("abs", "-1.0, 0.0, 2.0", &[-1.0, 0.0, 3.0]);
    of("softsign", "-1.0, 0.0, 2.0", &[0.25, 2.0, 1.0 / 3.0]);
    of("softplus", "0.0, 50.0", &[0.5, 2.0]);
    of("sqrt", "0.0, 4.0", &[f64::INFINITY, 0.5]);
    let sigmoid = "sigmoid_hard(alpha = fp32(0.25), beta = fp32(0.5))";
    of(sigmoid, "-2.0, 0.0, 2.0", &[0.0, 0.5, 0.0]);
    check(
        "tensor<fp32, [1, 1, 3]> y = prelu(alpha = tensor<fp32, [1]>([0.25]), x = tensor<fp32, [1, 1, 3]>([[[-1.0, 0.0, 2.0]]]));",
        &[&[-1.0], &[0.25, 0.5, 3.0]],
    );
}

#[test]
fn ties() {
    check(
        "tensor<fp32, [3]> z = maximum(x = tensor<fp32, [3]>([1.0, 2.0, 3.0]), y = tensor<fp32, [3]>([1.0, 3.0, 2.0]));",
        &[&[0.5, 0.0, 3.0], &[0.5, 2.0, 0.0]],
    );
    check(
        "tensor<fp32, [3]> z = minimum(x = tensor<fp32, [3]>([1.0, 2.0, 3.0]), y = tensor<fp32, [3]>([1.0, 3.0, 2.0]));",
        &[&[0.5, 2.0, 0.0], &[0.5, 0.0, 3.0]],
    );
    let third = 2.0 / 3.0;
    check(
        "tensor<fp32, [2]> y = reduce_max(x = tensor<fp32, [2, 3]>([[1.0, 3.0, 3.0], [2.0, 2.0, 2.0]]), axes = tensor<int32, [1]>([1]));",
        &[&[0.0, 0.5, 0.5, third, third, third]],
    );
    check(
        "tensor<fp32, [2]> y = reduce_min(x = tensor<fp32, [2, 3]>([[1.0, 3.0, 1.0], [2.0, 2.0, 2.0]]), axes = tensor<int32, [1]>([1]));",
        &[&[0.5, 0.0, 0.5, third, third, third]],
    );
    check(
        "tensor<fp32, [1, 1, 3]> y = max_pool(x = tensor<fp32, [1, 1, 4]>([[[2.0, 2.0, 1.0, 2.0]]]), kernel_sizes = tensor<int32, [1]>([2]), strides = tensor<int32, [1]>([1]), pad_type = string(\"valid\"));",
        &[&[1.0, 2.0, 0.0, 3.0]],
    );
    check(
        "tensor<fp32, [2]> y, tensor<int32, [2]> i = topk(x = tensor<fp32, [4]>([1.0, 3.0, 3.0, 2.0]), k = int32(2));",
        &[&[0.0, 1.0, 2.0, 0.0]],
    );
    check(
        "tensor<fp32, [2]> y = scatter(data = tensor<fp32, [2]>([1.0, 2.0]), indices = tensor<int32, [2]>([0, 0]), updates = tensor<fp32, [2]>([1.0, 0.5]), axis = int32(0), mode = string(\"max\"));",
        &[&[0.5, 2.0], &[0.5, 0.0]],
    );
}

#[test]
fn zeros_and_infinities() {
    check(
        "tensor<fp32, [2]> y = reduce_l2_norm(x = tensor<fp32, [2, 2]>([[0.0, 0.0], [3.0, 4.0]]), axes = tensor<int32, [1]>([1]));",
        &[&[0.0, 0.0, 1.2, 1.6]],
    );
    check(
        "tensor<fp32, [1]> y = reduce_l1_norm(x = tensor<fp32, [1, 2]>([[0.0, -2.0]]), axes = tensor<int32, [1]>([1]));",
        &[&[0.0, -1.0]],
    );
    check(
        "tensor<fp32, [2]> y = reduce_prod(x = tensor<fp32, [2, 3]>([[0.0, 2.0, 3.0], [0.0, 0.0, 3.0]]), axes = tensor<int32, [1]>([1]));",
        &[&[6.0, 0.0, 0.0, 0.0, 0.0, 0.0]],
    );
    check(
        "tensor<fp32, [3]> z = pow(x = tensor<fp32, [3]>([0.0, 0.0, 0.0]), y = tensor<fp32, [3]>([2.0, 1.0, 0.0]));",
        &[&[0.0, 2.0, 0.0], &[0.0, 0.0, 0.0]],
    );
    check(
        "tensor<fp32, [2]> y = reduce_log_sum_exp(x = tensor<fp32, [2, 2]>([[1.0, 1.0], [-inf, 0.0]]), axes = tensor<int32, [1]>([1]));",
        &[&[0.5, 0.5, 0.0, 2.0]],
    );
    check(
        "tensor<fp32, [2]> z = mod(x = tensor<fp32, [2]>([5.5, -5.5]), y = tensor<fp32, [2]>([2.0, 2.0]));",
        &[&[1.0, 2.0], &[-2.0, 6.0]],
    );
    check(
        "tensor<fp32, [1, 2, 2]> y = scaled_dot_product_attention(attn_mask = tensor<fp32, [2, 2]>([[0.0, -inf], [0.0, 0.0]]), key = tensor<fp32, [1, 2, 2]>([[[1.0, 0.0], [0.0, 1.0]]]), query = tensor<fp32, [1, 2, 2]>([[[1.0, 0.0], [0.0, 1.0]]]), value = tensor<fp32, [1, 2, 2]>([[[1.0, 0.0], [0.0, 1.0]]]));",
        &[
            &[0.0, 0.0, -0.221_181_016, 0.221_181_016],
            &[0.0, -0.156_398_596, 0.0, 0.156_398_596],
            &[0.0, 0.0, -0.156_398_596, 0.156_398_596],
            &[1.990_715_352, 3.320_953_803, 2.009_284_648, 2.679_046_197],
        ],
    );
}

/// Rounding is piecewise constant: nothing flows through `quantize`, as through PyTorch's (a straight
/// line in its place would be another function); through `dequantize`, the scale's gradient does.
#[test]
fn rounding() {
    check(
        "tensor<int8, [3]> q = quantize(input = tensor<fp32, [3]>([0.3, -1.2, 4.0]), scale = fp32(0.5), output_dtype = string(\"int8\"));\n\
        tensor<fp32, [3]> y = dequantize(input = q, scale = fp32(0.5));",
        // 1 · 1 + 2 · (−2) + 3 · 8: the scale of the second alone.
        &[&[0.0, 0.0, 0.0], &[0.0], &[21.0]],
    );
    for op in ["round", "floor", "ceil", "sign"] {
        of(op, "0.3, 0.0, -1.7", &[0.0, 0.0, 0.0]);
    }
}
