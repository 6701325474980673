//! Recurrent layers.

use candle_core::Tensor;

use super::activation::{Relu, Sigmoid, SigmoidHard, Softplus, Softsign};
use super::elementwise_unary::{Clip, Tanh};
use super::{Op, sample, shapes, smooth};
use crate::diag::Result;
use crate::engine::portable::batch::Batch;
use crate::engine::portable::call::Call;
use crate::engine::portable::execute::Ctx;
use crate::engine::portable::kernels::{self, map};
use crate::engine::portable::value::Value;
use crate::fail;

/// Sequences of a batch stand on axis 1 of the input and of the output, and on axis 0 of the states.
const BY_ROW: Batch = Batch::Fold(&[("x", 1), ("initial_h", 0), ("initial_c", 0)], &[1, 0, 0]);

pub(super) const OPS: &[Op] = &[
    smooth(
        "gru",
        gru,
        &[sample(
            "tensor<fp32, [2, 1, 1]> y, tensor<fp32, [1, 1]> h = gru(x = tensor<fp32, [2, 1, 1]>([[[1.0]], [[-0.5]]]), initial_h = tensor<fp32, [1, 1]>([[0.25]]), weight_ih = tensor<fp32, [3, 1]>([[0.5], [1.0], [-1.0]]), weight_hh = tensor<fp32, [3, 1]>([[2.0], [-0.5], [0.75]]), bias = tensor<fp32, [3]>([0.1, 0.2, 0.3]), output_sequence = bool(true));",
            &[&[0.5956676, 0.3560016], &[0.3560016]],
        )],
    ).batch(BY_ROW),
    smooth(
        "lstm",
        lstm,
        &[sample(
            "tensor<fp32, [2, 1, 1]> y, tensor<fp32, [1, 1]> h, tensor<fp32, [1, 1]> c = lstm(x = tensor<fp32, [2, 1, 1]>([[[1.0]], [[-0.5]]]), initial_h = tensor<fp32, [1, 1]>([[0.25]]), initial_c = tensor<fp32, [1, 1]>([[0.5]]), weight_ih = tensor<fp32, [4, 1]>([[0.5], [1.0], [-1.0], [2.0]]), weight_hh = tensor<fp32, [4, 1]>([[2.0], [-0.5], [0.75], [1.5]]), bias = tensor<fp32, [4]>([0.1, 0.2, 0.3, -0.4]), output_sequence = bool(true));",
            &[&[0.2991551, -0.0187262], &[-0.0187262], &[-0.0254549]],
        )],
    ).batch(BY_ROW),
    smooth(
        "rnn",
        rnn,
        &[sample(
            "tensor<fp32, [1, 1, 1]> y, tensor<fp32, [1, 1]> h = rnn(x = tensor<fp32, [2, 1, 1]>([[[1.0]], [[-0.5]]]), initial_h = tensor<fp32, [1, 1]>([[0.25]]), weight_ih = tensor<fp32, [1, 1]>([[0.5]]), weight_hh = tensor<fp32, [1, 1]>([[2.0]]), bias = tensor<fp32, [1]>([0.1]));",
            &[&[0.8958900], &[0.8958900]],
        )],
    ).batch(BY_ROW),
];

/// One of the activations that a recurrent layer may name.
fn activate(name: &str, x: &Tensor) -> Result<Tensor> {
    Ok(match name {
        // Its scales can't be given here and are 1.
        "tanh" | "scaled_tanh" => map(x, Tanh {})?,
        "sigmoid" => map(x, Sigmoid {})?,
        "relu" => map(x, Relu {})?,
        "linear" => x.clone(),
        "sigmoid_hard" | "hard_sigmoid" => {
            let (alpha, beta) = (0.2, 0.5);
            map(x, SigmoidHard { alpha, beta })?
        }
        "softplus" => map(x, Softplus {})?,
        "softsign" => map(x, Softsign {})?,
        other => fail!("activation \"{other}\" is not known to recurrent layers"),
    })
}

/// What every recurrent layer takes: the input multiplied by its weights for all steps at once.
struct Layer<'c> {
    /// W_ih x + b of each step, `[steps, batch, gates · hidden]`.
    input: Tensor,
    hidden_weight: &'c Tensor,
    hidden: usize,
    backward: bool,
}

impl<'c> Layer<'c> {
    /// A layer of `gates` blocks of weights; `suffix` is "" or "_back".
    fn new(call: &'c Call, gates: usize, suffix: &str, backward: bool) -> Result<Self> {
        let x = call.floats("x")?;
        let weight = call.floats(&format!("weight_ih{suffix}"))?;
        let hidden_weight = call.floats(&format!("weight_hh{suffix}"))?;
        let ([steps, batch, width], [rows, columns]) = (x.dims(), hidden_weight.dims()) else {
            fail!(
                "a recurrent layer of {:?} by {:?}",
                x.dims(),
                hidden_weight.dims()
            );
        };
        if *rows != gates * columns || weight.dims() != [*rows, *width] || *steps == 0 {
            fail!(
                "a recurrent layer of {:?} by {:?} and {:?}",
                x.dims(),
                weight.dims(),
                hidden_weight.dims()
            );
        }
        call.check_size(&[*steps, *batch, *rows])?;
        let flat = x.reshape((steps * batch, *width))?;
        let mut input = kernels::matmul(&flat, weight, true)?;
        for name in [format!("bias{suffix}"), format!("input_bias{suffix}")] {
            if let Some(bias) = call.opt_floats(&name)?
                && !(name.starts_with("bias") && resets_after(call)?)
            {
                input = input.broadcast_add(bias)?;
            }
        }
        Ok(Self {
            input: input.reshape((*steps, *batch, *rows))?,
            hidden_weight,
            hidden: *columns,
            backward,
        })
    }

    fn steps(&self) -> Vec<usize> {
        let steps = self.input.dims()[0];
        match self.backward {
            true => (0..steps).rev().collect(),
            false => (0..steps).collect(),
        }
    }

    /// W_ih x + b of one step plus W_hh h.
    fn gates(&self, step: usize, h: &Tensor) -> Result<Tensor> {
        Ok((self.input.get(step)? + kernels::matmul(h, self.hidden_weight, true)?)?)
    }

    /// The `i`-th block of `gates`.
    fn gate(&self, gates: &Tensor, i: usize) -> Result<Tensor> {
        shapes::part(gates, 1, i * self.hidden, self.hidden)
    }

    /// The part of an initial state that belongs to this direction.
    fn initial(&self, call: &Call, name: &str, direction: usize) -> Result<Tensor> {
        let state = call.floats(name)?;
        let batch = self.input.dims()[1];
        match state.dims() {
            [b, width] if *b == batch && *width >= (direction + 1) * self.hidden => {
                let own = shapes::part(state, 1, direction * self.hidden, self.hidden)?;
                Ok(own.contiguous()?)
            }
            dims => fail!(
                "\"{name}\" has shape {dims:?}, expected {batch} rows of {}",
                self.hidden
            ),
        }
    }
}

fn resets_after(call: &Call) -> Result<bool> {
    call.bool_or("reset_after", false)
}

/// The states of all steps, or the last alone.
fn output(call: &Call, states: &[Tensor]) -> Result<Tensor> {
    match (call.bool_or("output_sequence", false)?, states.last()) {
        (false, Some(last)) => Ok(last.unsqueeze(0)?),
        _ => Ok(Tensor::stack(states, 0)?),
    }
}

fn one_direction(call: &Call) -> Result<bool> {
    Ok(call.choice("direction", "forward", &["forward", "reverse"])? == "reverse")
}

fn lstm(call: &Call, _: &mut Ctx) -> Result<Vec<Value>> {
    let directions = ["forward", "reverse", "bidirectional"];
    let direction = call.choice("direction", "forward", &directions)?;
    let first = Lstm::new(call, "", direction == "reverse")?.run(call, 0)?;
    if direction != "bidirectional" {
        let y = output(call, &first.0)?;
        return Ok(vec![y.into(), first.1.into(), first.2.into()]);
    }
    let mut second = Lstm::new(call, "_back", true)?.run(call, 1)?;
    // The backward layer read the sequence from its end; its outputs stand beside the forward ones of
    // the same step.
    if call.bool_or("output_sequence", false)? {
        second.0.reverse();
    }
    let both = |a: &Tensor, b: &Tensor| Tensor::cat(&[a, b], candle_core::D::Minus1);
    let y = both(&output(call, &first.0)?, &output(call, &second.0)?)?;
    let (h, c) = (both(&first.1, &second.1)?, both(&first.2, &second.2)?);
    Ok(vec![y.into(), h.into(), c.into()])
}

/// One direction of an LSTM; gates stand in the order input, forget, output, cell.
struct Lstm<'c> {
    layer: Layer<'c>,
    /// Weights from the cell to the input, forget and output gates.
    peephole: Option<&'c Tensor>,
}

impl<'c> Lstm<'c> {
    fn new(call: &'c Call, suffix: &str, backward: bool) -> Result<Self> {
        Ok(Self {
            layer: Layer::new(call, 4, suffix, backward)?,
            peephole: call.opt_floats(&format!("peephole{suffix}"))?,
        })
    }

    /// Hidden states of all steps, then the last hidden and cell state.
    fn run(&self, call: &Call, part: usize) -> Result<(Vec<Tensor>, Tensor, Tensor)> {
        let gate = call.text_or("recurrent_activation", "sigmoid")?;
        let inner = call.text_or("cell_activation", "tanh")?;
        let outer = call.text_or("activation", "tanh")?;
        let clip = call.opt("clip")?.map(|_| call.float("clip")).transpose()?;
        let mut h = self.layer.initial(call, "initial_h", part)?;
        let mut c = self.layer.initial(call, "initial_c", part)?;
        let mut states = Vec::new();
        for step in self.layer.steps() {
            let gates = self.layer.gates(step, &h)?;
            let input = activate(gate, &self.gate(&gates, 0, &c)?)?;
            let forget = activate(gate, &self.gate(&gates, 1, &c)?)?;
            let cell = activate(inner, &self.layer.gate(&gates, 3)?)?;
            c = ((forget * &c)? + (input * cell)?)?;
            if let Some(limit) = clip {
                c = map(
                    &c,
                    Clip {
                        low: -limit,
                        high: limit,
                    },
                )?;
            }
            let output = activate(gate, &self.gate(&gates, 2, &c)?)?;
            h = (output * activate(outer, &c)?)?;
            states.push(h.clone());
        }
        Ok((states, h, c))
    }

    fn gate(&self, gates: &Tensor, i: usize, cell: &Tensor) -> Result<Tensor> {
        let gate = self.layer.gate(gates, i)?;
        match self.peephole {
            None => Ok(gate),
            Some(weights) => {
                let hidden = self.layer.hidden;
                let weights = shapes::part(weights, 0, i * hidden, hidden)?;
                Ok((gate + cell.broadcast_mul(&weights)?)?)
            }
        }
    }
}

/// Gates stand in the order reset, new, update.
fn gru(call: &Call, _: &mut Ctx) -> Result<Vec<Value>> {
    let layer = Layer::new(call, 3, "", one_direction(call)?)?;
    let gate = call.text_or("recurrent_activation", "sigmoid")?;
    let outer = call.text_or("activation", "tanh")?;
    let after = resets_after(call)?;
    let hidden_bias = if after {
        call.opt_floats("bias")?
    } else {
        None
    };
    let n = layer.hidden;
    let mut h = layer.initial(call, "initial_h", 0)?;
    let mut states = Vec::new();
    for step in layer.steps() {
        let input = layer.input.get(step)?;
        let mut hidden = kernels::matmul(&h, layer.hidden_weight, true)?;
        if let Some(bias) = hidden_bias {
            hidden = hidden.broadcast_add(bias)?;
        }
        let sum = (&input + &hidden)?;
        let reset = activate(gate, &layer.gate(&sum, 0)?)?;
        let update = activate(gate, &layer.gate(&sum, 2)?)?;
        let recurrent = match after {
            true => (reset * layer.gate(&hidden, 1)?)?,
            false => {
                let weight = shapes::part(layer.hidden_weight, 0, n, n)?;
                kernels::matmul(&(reset * &h)?, &weight, true)?
            }
        };
        let new = activate(outer, &(layer.gate(&input, 1)? + recurrent)?)?;
        h = (&new + (update * (&h - &new)?)?)?;
        states.push(h.clone());
    }
    Ok(vec![output(call, &states)?.into(), h.into()])
}

fn rnn(call: &Call, _: &mut Ctx) -> Result<Vec<Value>> {
    let layer = Layer::new(call, 1, "", one_direction(call)?)?;
    let outer = call.text_or("activation", "tanh")?;
    let mut h = layer.initial(call, "initial_h", 0)?;
    let mut states = Vec::new();
    for step in layer.steps() {
        h = activate(outer, &layer.gates(step, &h)?)?;
        states.push(h.clone());
    }
    Ok(vec![output(call, &states)?.into(), h.into()])
}
