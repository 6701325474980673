//! Gradients of the main families for random shapes and axes.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::check_all;

/// Runs `call` on random numbers below 12, eight of them.
fn check(cases: u32, call: fn(&[usize; 8]) -> String) {
    let config = Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    };
    let mut runner = TestRunner::new(config);
    let draws = prop::array::uniform8(0usize..12);
    let result = runner.run(&draws, |draws| {
        check_all([call(&draws).as_str()]);
        Ok(())
    });
    result.unwrap();
}

/// `{…}` of extents between 1 and 3.
fn shape(extents: &[usize]) -> String {
    let extents = extents.iter().map(|n| (1 + n % 3).to_string());
    format!("{{{}}}", extents.collect::<Vec<_>>().join(","))
}

/// An axis of `rank`, from either end.
fn axis(draw: usize, rank: usize) -> i64 {
    (draw % (2 * rank)) as i64 - rank as i64
}

fn pick<'a>(draw: usize, of: &[&'a str]) -> &'a str {
    of[draw % of.len()]
}

#[test]
fn broadcast_pairs() {
    check(12, |d| {
        let rank = 1 + d[0] % 4;
        // Any extent may be 1 on one side, and the second has fewer axes.
        let side = |bits: usize, from: usize| {
            let extents = (from..rank).map(|i| match (bits >> i) & 1 {
                1 => "1".to_owned(),
                _ => (1 + d[1 + i] % 3).to_string(),
            });
            extents.collect::<Vec<_>>().join(",")
        };
        let op = pick(d[5], &["add", "sub", "mul", "maximum", "minimum"]);
        let (x, y) = (side(d[6], 0), side(d[7] & !d[6], d[7] % rank));
        format!("z = {op}(x = {{{x}}}, y = {{{y}}})")
    });
}

#[test]
fn reductions_over_any_axes() {
    check(12, |d| {
        let rank = 1 + d[0] % 4;
        let axes: Vec<String> = (0..rank)
            .filter(|i| (d[1] >> i) & 1 == 1 || *i == d[2] % rank)
            .map(|i| i.to_string())
            .collect();
        let ops = [
            "reduce_sum",
            "reduce_mean",
            "reduce_max",
            "reduce_prod",
            "reduce_log_sum_exp",
            "reduce_l2_norm",
        ];
        let op = pick(d[3], &ops);
        let keep = d[3] > 6;
        format!(
            "y = {op}(x = {}, axes = [{}], keep_dims = {keep})",
            shape(&d[4..4 + rank]),
            axes.join(", ")
        )
    });
}

#[test]
fn along_any_axis() {
    check(12, |d| {
        let rank = 1 + d[0] % 3;
        let (x, axis) = (shape(&d[1..=rank]), axis(d[5], rank));
        match d[6] % 6 {
            0 => format!("y = softmax(x = {x}, axis = {axis})"),
            1 => format!("y = cumsum(x = {x}, axis = {axis}, reverse = {})", d[7] > 5),
            2 => format!("y = layer_norm(x = {x}, axes = [{axis}], epsilon = 0.1)"),
            3 => format!("y, i:int32 = topk(x = {x}, k = 1, axis = {axis})"),
            4 => format!("y = gather(x = {x}, indices = [0, 0], axis = {axis})"),
            _ => format!("y = concat(values = ({x}, {x}), axis = {axis})"),
        }
    });
}

#[test]
fn batched_products() {
    check(10, |d| {
        let [m, k, n] = [d[0], d[1], d[2]].map(|v| 1 + v % 3);
        let (tx, ty) = (d[3] > 5, d[4] > 5);
        let x = if tx { [k, m] } else { [m, k] };
        let y = if ty { [n, k] } else { [k, n] };
        let lead = |draw: usize| ["", "2,", "1,2,", "3,1,"][draw % 4];
        // Leading axes broadcast: 1 or equal.
        let (a, b) = match d[5] % 3 {
            0 => (lead(d[6]), lead(d[6])),
            1 => ("", lead(d[6])),
            _ => ("3,1,", "1,2,"),
        };
        format!(
            "z = matmul(x = {{{a}{},{}}}, y = {{{b}{},{}}}, transpose_x = {tx}, transpose_y = {ty})",
            x[0], x[1], y[0], y[1]
        )
    });
}

#[test]
fn convolutions() {
    check(10, |d| {
        let groups = 1 + d[0] % 2;
        let (inputs, outputs) = (groups * (1 + d[1] % 2), groups * (1 + d[2] % 2));
        let (length, kernel) = (4 + d[3] % 3, 1 + d[4] % 3);
        let (stride, pad) = (1 + d[5] % 2, d[6] % 3);
        let same = "strides = [S], groups = G, pad_type = 'custom', pad = [P, 0]";
        let same = same.replace('S', &stride.to_string());
        let same = same
            .replace('G', &groups.to_string())
            .replace('P', &pad.to_string());
        match d[7] % 2 {
            0 => format!(
                "y = conv(x = {{1,{inputs},{length}}}, weight = {{{outputs},{},{kernel}}}, {same})",
                inputs / groups
            ),
            _ => format!(
                "y = conv_transpose(x = {{1,{inputs},{length}}}, weight = {{{inputs},{},{kernel}}}, {same})",
                outputs / groups
            ),
        }
    });
}
