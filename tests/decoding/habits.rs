//! One tiny transformer, its past kept by every habit there is: in states that a mask or positions
//! address, in growing or fixed arrays, whole or new entries alone, and not at all.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

use rlaif_repl::mil::text::{self, Dialect};
use rlaif_repl::models::{CoreMLModelWrapper, LoadOptions};
use rlaif_repl::numeric::{DType, Rng};
use rlaif_repl::package::{Bundle, Description, Feature, FeatureKind, FunctionDescription};

use super::ports::{Port, fixed};

pub const VOCAB: usize = 16;
/// Slots of the caches.
pub const SLOTS: usize = 12;
/// Tokens that a prompt function takes.
pub const PIECE: usize = 4;
pub const LAYERS: usize = 2;
pub const WIDTH: usize = 8;
const HEADS: usize = 2;
const SIZE: usize = 4;

/// Who keeps keys and values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Habit {
    Stateless,
    /// States; the columns of `causalMask` tell where the tokens stand.
    States,
    /// States; `current_pos` tells it, a mask is over all slots, a prompt has a function of its own.
    Slots,
    /// Arrays that are joined with the new entries, `lead` of which belong to no token.
    Growing {
        lead: usize,
    },
    /// Arrays of a fixed size, which the program writes to at `cache_position`.
    Fixed,
    /// Arrays of a fixed size; outputs are the new entries alone.
    Fresh,
    /// Arrays of a fixed size; new entries push out the oldest.
    Shifting,
}

/// A function while it is written.
pub struct Writer {
    habit: Habit,
    /// Tokens of a call.
    tokens: (usize, usize),
    pub text: String,
    pub inputs: Vec<Port>,
    states: Vec<Port>,
    pub outputs: Vec<String>,
    count: usize,
}

impl Writer {
    pub fn new(habit: Habit, tokens: (usize, usize)) -> Self {
        Self {
            habit,
            tokens,
            text: String::new(),
            inputs: vec![Port::new("inputIds", "int32", &[(1, 1), tokens])],
            states: Vec::new(),
            outputs: Vec::new(),
            count: 0,
        }
    }

    pub fn op_of(&mut self, dtype: &str, shape: &str, call: &str) -> String {
        self.count += 1;
        let name = format!("v{}", self.count);
        let ty = match shape {
            "" => dtype.to_owned(),
            shape => format!("tensor<{dtype}, [{shape}]>"),
        };
        writeln!(self.text, "{ty} {name} = {call};").unwrap();
        name
    }

    pub fn op(&mut self, shape: &str, call: &str) -> String {
        self.op_of("fp32", shape, call)
    }

    /// The same numbers for the same name, whatever the function has besides.
    pub fn weight(&mut self, name: &str, rows: usize, columns: usize) -> String {
        let mut rng = Rng::named(5, name);
        let row = |rng: &mut Rng| {
            let values = (0..columns).map(|_| format!("{:?}", rng.normal() * 0.5));
            format!("[{}]", values.collect::<Vec<_>>().join(", "))
        };
        let rows_of: Vec<String> = (0..rows).map(|_| row(&mut rng)).collect();
        let shape = format!("{rows}, {columns}");
        let literal = rows_of.join(", ");
        self.op(
            &shape,
            &format!("const()[val = tensor<fp32, [{shape}]>([{literal}])]"),
        )
    }

    /// One extent of a value, as `[1]`.
    fn extent(&mut self, x: &str, rank: usize, axis: usize) -> String {
        let shape = self.op_of("int32", &rank.to_string(), &format!("shape(x = {x})"));
        let call = format!(
            "slice_by_index(x = {shape}, begin = tensor<int32, [1]>([{axis}]), end = tensor<int32, [1]>([{}]))",
            axis + 1
        );
        self.op_of("int32", "1", &call)
    }

    fn ints(&mut self, parts: &[&str]) -> String {
        let part = |part: &&str| match part.parse::<usize>() {
            Ok(n) => format!("tensor<int32, [1]>([{n}])"),
            Err(_) => (*part).to_owned(),
        };
        let parts: Vec<String> = parts.iter().map(part).collect();
        let call = format!(
            "concat(values = ({}), axis = int32(0), interleave = bool(false))",
            parts.join(", ")
        );
        self.op_of("int32", &parts.len().to_string(), &call)
    }

    /// Where the call's tokens start, as `[1]`, and the mask, by what the habit is given.
    pub fn place(&mut self) -> (String, String) {
        let float = "fp32";
        let (habit, tokens) = (self.habit, self.tokens);
        let mask = |writer: &mut Self, name: &str, columns: (usize, usize)| {
            let port = Port::new(name, float, &[(1, 1), (1, 1), tokens, columns]);
            writer.inputs.push(port);
            name.to_owned()
        };
        let start = |writer: &mut Self, name: &str| {
            writer.inputs.push(Port::new(name, "int32", &[(1, 1)]));
            name.to_owned()
        };
        match habit {
            Habit::Stateless => {
                let mask = mask(self, "causalMask", tokens);
                let zero = self.op_of("int32", "1", "const()[val = tensor<int32, [1]>([0])]");
                (zero, mask)
            }
            Habit::States => {
                let mask = mask(self, "causalMask", (1, SLOTS));
                let end = self.extent(&mask, 4, 3);
                let new = self.extent(&mask, 4, 2);
                (
                    self.op_of("int32", "1", &format!("sub(x = {end}, y = {new})")),
                    mask,
                )
            }
            Habit::Growing { lead } => {
                let mask = mask(self, "attention_mask", (lead + 1, lead + SLOTS));
                (start(self, "past_length"), mask)
            }
            Habit::Slots => (
                start(self, "current_pos"),
                mask(self, "causal_mask", (SLOTS, SLOTS)),
            ),
            Habit::Fixed => (
                start(self, "cache_position"),
                mask(self, "mask", (SLOTS, SLOTS)),
            ),
            Habit::Fresh | Habit::Shifting => {
                let columns = SLOTS + tokens.0;
                (
                    start(self, "position_ids"),
                    mask(self, "causal_mask", (columns, columns)),
                )
            }
        }
    }

    /// All keys (or values) that a layer attends to, the call's own being `new`.
    fn kept(&mut self, part: &str, layer: usize, new: &str, place: &[String; 2]) -> String {
        let per_layer = format!("past_key_values_{layer}_{part}");
        let narrow = |extent: (usize, usize)| [(1, 1), (HEADS, HEADS), extent, (SIZE, SIZE)];
        let shape = format!("1, {HEADS}, ?, {SIZE}");
        let join = |past: &str| {
            format!("concat(values = ({past}, {new}), axis = int32(2), interleave = bool(false))")
        };
        match self.habit {
            Habit::Stateless => new.to_owned(),
            Habit::Growing { lead } => {
                let port = Port::new(&per_layer, "fp32", &narrow((lead, lead + SLOTS - 1)));
                self.inputs.push(port);
                let all = self.op(&shape, &join(&per_layer));
                self.outputs.push(format!("present_{layer}_{part}"));
                self.name(&all, &shape);
                all
            }
            Habit::Fresh | Habit::Shifting => {
                let port = Port::new(&per_layer, "fp32", &narrow((SLOTS, SLOTS)));
                self.inputs.push(port);
                let all = self.op(&shape, &join(&per_layer));
                let given = match self.habit {
                    Habit::Fresh => new.to_owned(),
                    _ => {
                        let tokens = self.tokens.0;
                        let call = format!(
                            "slice_by_index(x = {all}, begin = tensor<int32, [4]>([0, 0, {tokens}, 0]), \
                             end = tensor<int32, [4]>([1, {HEADS}, {}, {SIZE}]))",
                            SLOTS + tokens
                        );
                        self.op(&shape, &call)
                    }
                };
                self.outputs.push(format!("present_{layer}_{part}"));
                self.name(&given, &shape);
                all
            }
            Habit::States | Habit::Slots | Habit::Fixed => self.slotted(part, layer, new, place),
        }
    }

    /// Keys or values in one array of all layers, with a slot for each position.
    fn slotted(&mut self, part: &str, layer: usize, new: &str, place: &[String; 2]) -> String {
        let (name, shape) = (
            format!("{part}Cache"),
            format!("{LAYERS}, 1, {HEADS}, {SLOTS}, {SIZE}"),
        );
        let state = self.habit != Habit::Fixed;
        let ports = match state {
            true => &mut self.states,
            false => &mut self.inputs,
        };
        if ports.iter().all(|port| port.name != name) {
            let extents = fixed(&[LAYERS, 1, HEADS, SLOTS, SIZE]);
            ports.push(Port::new(&name, "fp32", &extents));
        }
        let whole = match (state, layer) {
            (true, _) => self.op(&shape, &format!("read_state(input = {name})")),
            (false, 0) => name.clone(),
            (false, _) => format!("{name}_{}", layer - 1),
        };
        let (from, to) = (layer.to_string(), (layer + 1).to_string());
        let begin = self.ints(&[&from, "0", "0", &place[0], "0"]);
        let end = self.ints(&[&to, "1", &HEADS.to_string(), &place[1], &SIZE.to_string()]);
        let update = format!("expand_dims(x = {new}, axes = tensor<int32, [1]>([0]))");
        let update = self.op(&format!("1, 1, {HEADS}, ?, {SIZE}"), &update);
        let call =
            format!("slice_update(x = {whole}, update = {update}, begin = {begin}, end = {end})");
        let written = match state {
            true => {
                let written = self.op(&shape, &call);
                writeln!(self.text, "write_state(data = {written}, input = {name});").unwrap();
                self.op(&shape, &format!("read_state(input = {name})"))
            }
            false => {
                let named = match layer + 1 == LAYERS {
                    true => format!("new_{name}"),
                    false => format!("{name}_{layer}"),
                };
                writeln!(self.text, "tensor<fp32, [{shape}]> {named} = {call};").unwrap();
                if layer + 1 == LAYERS {
                    self.outputs.push(named.clone());
                }
                named
            }
        };
        // Apple's reads as far as the mask is wide, the others all slots.
        let slots = SLOTS.to_string();
        let upto = if self.habit == Habit::States {
            &place[1]
        } else {
            &slots
        };
        let begin = self.ints(&[&from, "0", "0", "0", "0"]);
        let end = self.ints(&[&to, "1", &HEADS.to_string(), upto, &SIZE.to_string()]);
        let call = format!(
            "slice_by_index(x = {written}, begin = {begin}, end = {end}, \
             squeeze_mask = tensor<bool, [5]>([true, false, false, false, false]))"
        );
        self.op(&format!("1, {HEADS}, ?, {SIZE}"), &call)
    }

    /// The last output's name for a value.
    fn name(&mut self, value: &str, shape: &str) {
        let name = self.outputs.last().unwrap().clone();
        let text = format!("tensor<fp32, [{shape}]> {name} = identity(x = {value});");
        writeln!(self.text, "{text}").unwrap();
    }

    fn heads(&mut self, name: &str, x: &str) -> String {
        let weight = self.weight(name, WIDTH, WIDTH);
        let flat = self.op(
            &format!("1, ?, {WIDTH}"),
            &format!("linear(x = {x}, weight = {weight})"),
        );
        let call =
            format!("reshape(x = {flat}, shape = tensor<int32, [4]>([1, -1, {HEADS}, {SIZE}]))");
        let split = self.op(&format!("1, ?, {HEADS}, {SIZE}"), &call);
        let call = format!("transpose(x = {split}, perm = tensor<int32, [4]>([0, 2, 1, 3]))");
        self.op(&format!("1, {HEADS}, ?, {SIZE}"), &call)
    }

    /// Rows of a table.
    pub fn gather(&mut self, table: &str, indices: &str, shape: &str) -> String {
        let call = format!(
            "gather(x = {table}, indices = {indices}, axis = int32(0), batch_dims = int32(0), \
             validate_indices = bool(false))"
        );
        self.op(shape, &call)
    }

    /// Adds the embeddings of positions from `start` on; and where they end.
    pub fn placed(&mut self, x: &str, start: &str) -> (String, String) {
        let wide = format!("1, ?, {WIDTH}");
        let positions = self.weight("positions", SLOTS, WIDTH);
        let new = self.extent(x, 3, 1);
        let end = self.op_of("int32", "1", &format!("add(x = {start}, y = {new})"));
        let [from, to] = [start, &end].map(|x| {
            let call = format!("squeeze(x = {x}, axes = tensor<int32, [1]>([0]))");
            self.op_of("int32", "", &call)
        });
        let call = format!("range_1d(start = {from}, end = {to}, step = int32(1))");
        let places = self.op_of("int32", "?", &call);
        let places = self.gather(&positions, &places, &format!("?, {WIDTH}"));
        (self.op(&wide, &format!("add(x = {x}, y = {places})")), end)
    }

    pub fn layer(&mut self, layer: usize, x: &str, mask: &str, place: &[String; 2]) -> String {
        let wide = format!("1, ?, {WIDTH}");
        let [q, k, v] = ["q", "k", "v"].map(|part| self.heads(&format!("{part}{layer}"), x));
        let (k, v) = (
            self.kept("key", layer, &k, place),
            self.kept("value", layer, &v, place),
        );
        let square = format!("1, {HEADS}, ?, ?");
        let scores = self.op(
            &square,
            &format!("matmul(x = {q}, y = {k}, transpose_y = bool(true))"),
        );
        let masked = self.op(&square, &format!("add(x = {scores}, y = {mask})"));
        let weights = self.op(&square, &format!("softmax(x = {masked}, axis = int32(-1))"));
        let mixed = self.op(
            &format!("1, {HEADS}, ?, {SIZE}"),
            &format!("matmul(x = {weights}, y = {v})"),
        );
        let call = format!("transpose(x = {mixed}, perm = tensor<int32, [4]>([0, 2, 1, 3]))");
        let back = self.op(&format!("1, ?, {HEADS}, {SIZE}"), &call);
        let call = format!("reshape(x = {back}, shape = tensor<int32, [3]>([1, -1, {WIDTH}]))");
        let merged = self.op(&wide, &call);
        let weight = self.weight(&format!("o{layer}"), WIDTH, WIDTH);
        let out = self.op(&wide, &format!("linear(x = {merged}, weight = {weight})"));
        let x = self.op(&wide, &format!("add(x = {x}, y = {out})"));
        let weight = self.weight(&format!("up{layer}"), WIDTH, WIDTH);
        let up = self.op(&wide, &format!("linear(x = {x}, weight = {weight})"));
        let up = self.op(&wide, &format!("tanh(x = {up})"));
        self.op(&wide, &format!("add(x = {x}, y = {up})"))
    }

    /// The text of the function and how it looks from outside.
    fn function(mut self, name: &str) -> (String, FunctionDescription) {
        let table = self.weight("table", VOCAB, WIDTH);
        let (start, mask) = self.place();
        let tokens = self.gather(&table, "inputIds", &format!("1, ?, {WIDTH}"));
        let (mut x, end) = self.placed(&tokens, &start);
        for layer in 0..LAYERS {
            x = self.layer(layer, &x, &mask, &[start.clone(), end.clone()]);
        }
        let call = format!("linear(x = {x}, weight = {table})");
        writeln!(self.text, "tensor<fp32, [1, ?, {VOCAB}]> logits = {call};").unwrap();
        self.outputs.push("logits".to_owned());
        self.finish(name)
    }

    /// The text of what was written, and how it looks from outside.
    pub fn finish(self, name: &str) -> (String, FunctionDescription) {
        let ports = self
            .inputs
            .iter()
            .map(|port| format!("{} {}", port.ty(), port.name));
        let states = self.states.iter();
        let states = states.map(|port| format!("state<{}> {}", port.ty(), port.name));
        let ports: Vec<String> = ports.chain(states).collect();
        let outputs = self.outputs.join(", ");
        let text = format!(
            "func {name}<ios18>({}) {{\n{}}} -> ({outputs});",
            ports.join(", "),
            self.text
        );
        let outputs = self.outputs.iter();
        let description = FunctionDescription {
            inputs: self.inputs.iter().map(Port::feature).collect(),
            states: self.states.iter().map(Port::feature).collect(),
            outputs: outputs
                .map(|name| Feature::array(name, DType::Fp32, &[]))
                .collect(),
            ..Default::default()
        };
        (text, description)
    }
}

/// The transformer as a bundle of that habit.
pub fn bundle(habit: Habit) -> Bundle {
    let functions: &[(&str, (usize, usize))] = match habit {
        Habit::Stateless | Habit::States | Habit::Growing { .. } => &[("main", (1, SLOTS))],
        Habit::Slots => &[("infer", (1, 1)), ("prefill", (PIECE, PIECE))],
        Habit::Fixed | Habit::Fresh | Habit::Shifting => &[("main", (1, 1))],
    };
    let written = functions.iter().map(|(name, tokens)| {
        let written = Writer::new(habit, *tokens).function(name);
        ((*name).to_owned(), written)
    });
    bundle_of(written.collect())
}

/// Functions by name, each its text and what it looks like from outside.
pub fn bundle_of(functions: BTreeMap<String, (String, FunctionDescription)>) -> Bundle {
    let texts: Vec<&str> = functions.values().map(|(text, _)| text.as_str()).collect();
    let source = format!("program(1.3)\n{{ {} }}", texts.join("\n"));
    let (program, _) = text::parse(&source, "habit").unwrap();
    let description = Description {
        default_function: functions.keys().next().unwrap().clone(),
        functions: functions
            .into_iter()
            .map(|(name, (_, function))| (name, function))
            .collect(),
        ..Description::from_program(&program).unwrap()
    };
    Bundle::new(program, description)
}

pub fn model(habit: Habit, options: &LoadOptions) -> CoreMLModelWrapper {
    let name = format!("{habit:?}");
    CoreMLModelWrapper::new(&name, Arc::new(bundle(habit)), None, options).unwrap()
}

/// The same with all floats of fp16, caches too.
pub fn half(habit: Habit, options: &LoadOptions) -> CoreMLModelWrapper {
    let whole = bundle(habit);
    let text = text::print(&whole.program, Dialect::of_specification(9));
    let (program, _) = text::parse(&text.replace("fp32", "fp16"), "half").unwrap();
    let mut description = whole.description.clone();
    for function in description.functions.values_mut() {
        let (inputs, outputs) = (function.inputs.iter_mut(), function.outputs.iter_mut());
        for feature in inputs.chain(outputs).chain(&mut function.states) {
            if let FeatureKind::Array { dtype, .. } = &mut feature.kind
                && *dtype == DType::Fp32
            {
                *dtype = DType::Fp16;
            }
        }
    }
    let bundle = Arc::new(Bundle::new(program, description));
    CoreMLModelWrapper::new("half", bundle, None, options).unwrap()
}
