//! Writes the program of a transformer.

use super::cache::{Cache, STATE};
use super::description::{description, functions, state_shape};
use super::frame::Frame;
use super::tables::slice;
use super::weights::Weights;
use super::{Activation, FeedForward, Head, Layer, Layout, Linear, Norm, Transformer};
use crate::convert::Checkpoint;
use crate::convert::builder::{Builder, In, Var};
use crate::diag::Result;
use crate::fail;
use crate::mil::{Dim, Function, Program, Type};
use crate::numeric::DType;
use crate::package::Bundle;

/// The program of `model`, with the weights of `source`.
///
/// Fails if a weight is missing, has another shape, or does not fit the precision.
pub fn bundle(model: &Transformer, source: &Checkpoint, layout: Layout) -> Result<Bundle> {
    model.check()?;
    if layout.context > model.context || layout.context == 0 {
        fail!(
            "a context of {} tokens, expected 1 to the {} that the model was made for",
            layout.context,
            model.context
        );
    }
    if layout.batch == 0 {
        fail!("a program takes one row at least");
    }
    if layout.stateful && model.takes_mask() {
        fail!("only language models keep keys and values in states");
    }
    if layout.stateful && (layout.batch != 1 || layout.fixed) {
        fail!("a stateful program takes one row of any length");
    }
    let mut program = Program::default();
    let mut weights = Weights::of(source);
    for (name, tokens) in functions(&layout) {
        let function = match layout.stateful {
            true => Writer::stateful(model, &mut weights, layout, *tokens)?,
            false => Writer::stateless(model, &mut weights, layout)?,
        };
        program.functions.insert((*name).to_owned(), function);
    }
    weights.check_all_read(model)?;
    Ok(Bundle::new(program, description(model, &layout)))
}

/// The program while it is written.
pub(super) struct Writer<'a, 's> {
    pub model: &'a Transformer,
    pub weights: &'a mut Weights<'s>,
    pub layout: Layout,
    pub frame: Frame,
    pub b: Builder,
}

/// What a program takes.
struct Entering {
    ids: Var,
    /// 1 for tokens that count, 0 for padding.
    counts: Option<Var>,
    types: Option<Var>,
}

impl<'a, 's> Writer<'a, 's> {
    fn stateless(
        model: &'a Transformer,
        weights: &'a mut Weights<'s>,
        layout: Layout,
    ) -> Result<Function> {
        let mut b = Builder::default();
        let (batch, length) = match layout.fixed {
            true => (Dim::Fixed(layout.batch), Dim::Fixed(layout.context)),
            false if layout.batch == 1 => (Dim::Fixed(1), Dim::Unknown),
            false => (Dim::Unknown, Dim::Unknown),
        };
        let ty = Type::Tensor {
            dtype: DType::Int32,
            dims: vec![batch, length],
        };
        let mut input = |name: &str, is_there: bool| is_there.then(|| b.input(name, ty.clone()));
        let Some(ids) = input("input_ids", true) else {
            fail!("a program without tokens");
        };
        let counts = input("attention_mask", model.takes_mask());
        let types = input("token_type_ids", model.embedding.types.is_some());
        let frame = Frame::whole(&mut b, (model, &layout), (&ids, counts.as_ref()))?;
        let entering = Entering { ids, counts, types };
        Self::finish(b, (model, weights, layout), frame, &entering)
    }

    /// A function that takes `tokens` of a row, or any number of them, after those of earlier calls.
    fn stateful(
        model: &'a Transformer,
        weights: &'a mut Weights<'s>,
        layout: Layout,
        tokens: Option<usize>,
    ) -> Result<Function> {
        let mut b = Builder::default();
        let length = tokens.map_or(Dim::Unknown, Dim::Fixed);
        let one = Dim::Fixed(1);
        let ids = Type::Tensor {
            dtype: DType::Int32,
            dims: vec![one, length],
        };
        let mask = Type::Tensor {
            dtype: STATE,
            dims: vec![one, one, length, Dim::Unknown],
        };
        let ids = b.input("inputIds", ids);
        let mask = b.input("causalMask", mask);
        let cache = Cache::declare(&mut b, &state_shape(model, &layout));
        let frame = Frame::after(&mut b, (model, &layout), (&ids, &mask), cache)?;
        let entering = Entering {
            ids,
            counts: None,
            types: None,
        };
        Self::finish(b, (model, weights, layout), frame, &entering)
    }

    fn finish(
        b: Builder,
        (model, weights, layout): (&'a Transformer, &'a mut Weights<'s>, Layout),
        frame: Frame,
        entering: &Entering,
    ) -> Result<Function> {
        let mut writer = Writer {
            model,
            weights,
            layout,
            frame,
            b,
        };
        let outputs = writer.outputs(entering)?;
        let outputs: Vec<&Var> = outputs.iter().collect();
        Ok(writer.b.finish("ios18", &outputs))
    }

    fn outputs(&mut self, entering: &Entering) -> Result<Vec<Var>> {
        let (embedding, mut x) = self.embed(entering)?;
        for (i, layer) in self.model.layers.iter().enumerate() {
            x = self.layer(i, layer, &x)?;
        }
        let x = self.normed(self.model.norm.as_ref(), &x)?;
        match (&self.model.head, &entering.counts) {
            (Head::Tokens { linear, softcap }, _) => {
                let logits = self.logits(&x, &embedding, linear.as_ref(), *softcap)?;
                Ok(vec![logits])
            }
            (head, Some(counts)) => self.whole_text(head, &x, counts),
            (_, None) => fail!("what sums up a text has to know which tokens count"),
        }
    }

    fn logits(
        &mut self,
        x: &Var,
        embedding: &Var,
        linear: Option<&Linear>,
        softcap: Option<f64>,
    ) -> Result<Var> {
        let name = match softcap {
            Some(_) => "logits_plain",
            None => "logits",
        };
        let logits = match linear {
            None => self.b.linear(name, x, embedding, None)?,
            Some(linear) => self.linear_named(name, linear, x)?,
        };
        match softcap {
            None => Ok(logits),
            Some(cap) => self.capped("logits", &logits, cap),
        }
    }

    /// The embedding, and the residual stream that starts with it.
    fn embed(&mut self, entering: &Entering) -> Result<(Var, Var)> {
        let model = self.model;
        let shape = [model.vocab, model.hidden];
        let name = format!("{}.weight", model.embedding.name);
        let table = self.weights.stored(&name, &shape, self.dtype())?;
        let table = self.b.weight(&name, table);
        let (batch, length) = (self.frame.batch.dim(), self.frame.span.length.dim());
        let hidden = self.tensor(&[batch, length, Dim::Fixed(model.hidden)]);
        let mut x = self.looked_up("embed", &table, &entering.ids, hidden.clone())?;
        if let Some(scale) = model.embedding.scale {
            x = self.b.binary("mul", "embed_scaled", &x, In::Float(scale))?;
        }
        if let Some(name) = &model.embedding.positions {
            let present = self.positions(name)?;
            x = self
                .b
                .binary("add", "embed_placed", &x, In::Var(&present))?;
        }
        if let (Some((name, kinds)), Some(types)) = (&model.embedding.types, &entering.types) {
            let name = format!("{name}.weight");
            let shape = [*kinds, model.hidden];
            let kinds = self.weights.stored(&name, &shape, self.dtype())?;
            let kinds = self.b.weight(&name, kinds);
            let kinds = self.looked_up("embed_types", &kinds, types, hidden)?;
            x = self.b.binary("add", "embed_typed", &x, In::Var(&kinds))?;
        }
        if let Some(norm) = &model.embedding.norm {
            x = self.norm(norm, &x, self.stream())?;
        }
        let x = self.b.cast("embed_wide", &x, self.stream())?;
        Ok((table, x))
    }

    /// The rows of `table` that `indices` name.
    fn looked_up(&mut self, name: &str, table: &Var, indices: &Var, ty: Type) -> Result<Var> {
        let inputs = [
            ("x", In::Var(table)),
            ("indices", In::Var(indices)),
            ("axis", In::Int(0)),
            ("batch_dims", In::Int(0)),
            ("validate_indices", In::Bool(false)),
        ];
        self.b.op("gather", name, ty, &inputs)
    }

    /// The learned positions of the tokens, `[length, hidden]`.
    fn positions(&mut self, name: &str) -> Result<Var> {
        let name = format!("{name}.weight");
        let size = [self.layout.context, self.model.hidden];
        let table = self.weights.table(&name, size, self.dtype())?;
        let table = self.b.weight(&name, table);
        let span = &self.frame.span;
        let dims = [span.length.dim(), Dim::Fixed(self.model.hidden)];
        let bounds = span.rows(&mut self.b, "learned", self.model.hidden)?;
        slice(&mut self.b, "learned", &table, &bounds, &dims)
    }

    fn layer(&mut self, i: usize, layer: &Layer, x: &Var) -> Result<Var> {
        let [around, within] = [&layer.attention_norms, &layer.feed_forward_norms];
        let normed = self.normed(around.before.as_ref(), x)?;
        let attended = self.attention(i, &layer.attention, &normed)?;
        let attended = self.leaving(around.after.as_ref(), &attended)?;
        let sum = format!("layer_{i}_attended");
        let sum = self.b.binary("add", &sum, x, In::Var(&attended))?;
        let sum = self.summed(around.sum.as_ref(), &sum)?;
        let entering = if layer.parallel { x } else { &sum };
        let normed = self.normed(within.before.as_ref(), entering)?;
        let fed = self.feed_forward(&layer.feed_forward, &normed)?;
        let fed = self.leaving(within.after.as_ref(), &fed)?;
        let whole = format!("layer_{i}");
        let whole = self.b.binary("add", &whole, &sum, In::Var(&fed))?;
        self.summed(within.sum.as_ref(), &whole)
    }

    /// A sum of the residual stream.
    fn summed(&mut self, norm: Option<&Norm>, sum: &Var) -> Result<Var> {
        match norm {
            Some(norm) => self.norm(norm, sum, self.stream()),
            None => Ok(sum.clone()),
        }
    }

    /// What enters a part of a layer.
    fn normed(&mut self, norm: Option<&Norm>, x: &Var) -> Result<Var> {
        match norm {
            Some(norm) => self.norm(norm, x, self.dtype()),
            None => self.b.cast("entering", x, self.dtype()),
        }
    }

    /// What is added to the residual stream.
    fn leaving(&mut self, norm: Option<&Norm>, x: &Var) -> Result<Var> {
        match norm {
            Some(norm) => self.norm(norm, x, self.stream()),
            None => self.b.cast("leaving", x, self.stream()),
        }
    }

    fn feed_forward(&mut self, part: &FeedForward, x: &Var) -> Result<Var> {
        let label = match part.up.name.rsplit_once('.') {
            Some((parent, _)) => parent.replace('.', "_"),
            None => "feed_forward".to_owned(),
        };
        let Some(gate) = &part.gate else {
            let up = self.linear(&part.up, x)?;
            let bent = self.activation(part.activation, &label, &up)?;
            return self.linear(&part.down, &bent);
        };
        let gate_weight = self.matrix(gate)?;
        let up_weight = self.matrix(&part.up)?;
        let gate = self.product(&gate.label(), gate, x, &gate_weight)?;
        let gate = self.activation(part.activation, &label, &gate)?;
        let up = self.product(&part.up.label(), &part.up, x, &up_weight)?;
        let product = format!("{label}_gated");
        let product = self.b.binary("mul", &product, &gate, In::Var(&up))?;
        self.linear(&part.down, &product)
    }

    pub(super) fn activation(
        &mut self,
        activation: Activation,
        label: &str,
        x: &Var,
    ) -> Result<Var> {
        let (op, mode) = match activation {
            Activation::Silu => ("silu", None),
            Activation::Gelu => ("gelu", Some("EXACT")),
            Activation::GeluTanh => ("gelu", Some("TANH_APPROXIMATION")),
            Activation::Relu => ("relu", None),
            Activation::Tanh => ("tanh", None),
        };
        let mut inputs = vec![("x", In::Var(x))];
        inputs.extend(mode.map(|mode| ("mode", In::Text(mode))));
        self.b
            .op(op, &format!("{label}_{op}"), x.ty.clone(), &inputs)
    }

    pub(super) fn linear(&mut self, linear: &Linear, x: &Var) -> Result<Var> {
        self.linear_named(&linear.label(), linear, x)
    }

    pub(super) fn linear_named(&mut self, label: &str, linear: &Linear, x: &Var) -> Result<Var> {
        let weight = self.matrix(linear)?;
        self.product(label, linear, x, &weight)
    }

    fn product(&mut self, label: &str, linear: &Linear, x: &Var, weight: &Var) -> Result<Var> {
        let bias = match linear.bias {
            true => {
                let bias = self.weights.bias(linear, self.dtype())?;
                Some(self.b.weight(&format!("{}.bias", linear.label()), bias))
            }
            false => None,
        };
        self.b
            .linear(&label.replace('.', "_"), x, weight, bias.as_ref())
    }

    fn matrix(&mut self, linear: &Linear) -> Result<Var> {
        let array = self.weights.matrix(linear, self.dtype())?;
        Ok(self.b.weight(&format!("{}.weight", linear.label()), array))
    }

    /// What products are computed in.
    pub(super) fn dtype(&self) -> DType {
        self.layout.precision.dtype()
    }

    /// What the residual stream is kept in.
    fn stream(&self) -> DType {
        match self.model.wide {
            true => DType::Fp32,
            false => self.dtype(),
        }
    }

    pub(super) fn tensor(&self, dims: &[Dim]) -> Type {
        Type::Tensor {
            dtype: self.dtype(),
            dims: dims.to_vec(),
        }
    }
}
