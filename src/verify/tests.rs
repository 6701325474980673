//! Measures against NumPy, and what cannot be measured.

use ndarray::array;

use super::*;

/// Logits that depend on the token alone.
struct Fixed(&'static str, Array2<f32>);

impl RowLogits for Fixed {
    fn name(&self) -> &str {
        self.0
    }

    fn row_logits(&self, ids: &[u32]) -> Result<Array2<f32>> {
        let rows: Vec<usize> = ids.iter().map(|id| *id as usize).collect();
        Ok(self.1.select(ndarray::Axis(0), &rows))
    }
}

fn pair() -> [Fixed; 2] {
    let a = array![[1.0, 0.0, 0.5], [0.0, 2.0, -1.0], [0.0, 0.0, 0.0]];
    let b = array![[1.0, 0.0, 0.0], [3.0, 2.0, -1.0], [0.0, 0.0, 0.0]];
    [Fixed("a", a), Fixed("b", b)]
}

fn near(got: f64, expected: f64) {
    assert!((got - expected).abs() < 1e-6, "{got}, expected {expected}");
}

/// Expected numbers by NumPy in f64, from the definitions.
#[test]
fn measures_are_as_defined() {
    let [a, b] = pair();
    let mut heard = Vec::new();
    let rows = [vec![0, 1, 2], vec![1]];
    let got = compare(&a, &b, &rows, &mut |done| {
        heard.push(done);
        Ok(())
    })
    .unwrap();
    assert_eq!(heard, [0, 1]);
    assert_eq!((got.rows, got.positions), (2, 4));
    near(got.delta_max, 3.0);
    near(got.delta_mean, (0.5 + 3.0 + 0.0 + 3.0) / 12.0);
    near(got.scale, 2.0);
    near(got.kl_mean, KL_MEAN);
    near(got.kl_max, KL_MAX);
    assert_eq!(
        got.worst,
        Worst {
            row: 0,
            position: 1
        }
    );
    near(got.agreement, 0.5);
    near(got.perplexity_a, PERPLEXITY_A);
    near(got.perplexity_b, PERPLEXITY_B);
    near(
        perplexity(&b, &rows, &mut |_| Ok(())).unwrap(),
        PERPLEXITY_B,
    );
    assert_eq!(got.table().unwrap().rows().len(), 7);
}

#[test]
fn a_model_is_itself() {
    let [a, _] = pair();
    let got = compare(&a, &a, &[vec![0, 1, 2]], &mut |_| Ok(())).unwrap();
    assert_eq!((got.delta_max, got.kl_max, got.agreement), (0.0, 0.0, 1.0));
    assert_eq!(got.perplexity_change(), 0.0);
}

#[test]
fn what_cannot_be_compared_is_an_error() {
    let check = |other: Array2<f32>, row: Vec<u32>, words: &str| {
        let [a, _] = pair();
        let error = compare(&a, &Fixed("other", other), &[row], &mut |_| Ok(())).unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
    };
    check(
        Array2::zeros((3, 4)),
        vec![0, 1],
        "a has 3 logits at each position, other has 4",
    );
    check(
        Array2::zeros((3, 2)),
        vec![0, 2],
        "other: token 2 has no logit, there are 2",
    );
    check(
        Array2::from_elem((3, 3), f32::NAN),
        vec![0, 1],
        "other: the logit of token 0 after position 0 is NaN",
    );
    check(Array2::zeros((3, 3)), vec![], "a row has no tokens");
    check(Array2::zeros((3, 3)), vec![1], "two tokens at least");
}

#[test]
fn rows_have_their_head() {
    let check = |bos, length, expected: &[&[u32]]| {
        assert_eq!(windows(&[5, 6, 7, 8, 9], bos, length).unwrap(), expected);
    };
    check(None, 2, &[&[5, 6], &[7, 8]]);
    check(None, 9, &[&[5, 6, 7, 8, 9]]);
    check(Some(1), 3, &[&[1, 5, 6], &[1, 7, 8], &[1, 9]]);
    check(Some(5), 4, &[&[5, 6, 7, 8], &[5, 9]]);
    assert!(windows(&[1, 2], None, 1).is_err());
    assert!(windows(&[1], None, 8).is_err());
    assert!(windows(&[1], Some(1), 8).is_err());
}

const KL_MEAN: f64 = 0.41325875831609193;
const KL_MAX: f64 = 0.8141310235574012;
const PERPLEXITY_A: f64 = 11.302883216768683;
const PERPLEXITY_B: f64 = 18.897009416223607;
