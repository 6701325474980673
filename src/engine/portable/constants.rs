//! Values that no input reaches, made in program order: each once, and freed after its last use. Only what
//! is asked for stays in memory: the compressed form of a weight is dropped once it is dense.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use rayon::prelude::*;

use super::execute::{Ctx, Scope};
use super::kernels::Packed;
use super::passes::Pack;
use super::plan::{Plan, Step};
use super::state::States;
use super::value::Value;
use crate::diag::Result;
use crate::fail;
use crate::numeric::DType;

/// What becomes of a constant once it is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// It stays with the plan for later runs.
    Yes,
    /// It is needed once.
    No,
}

/// A step in one of two forms: its results as they are stored, for the decompression of a weight, or as
/// operations compute with them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Node {
    step: usize,
    stored: bool,
}

/// What is to be done about a node.
#[derive(Default)]
struct Need {
    /// Readers that still wait for its results.
    readers: usize,
    results: Option<Vec<Value>>,
}

/// The values of `slots`.
pub fn constants(plan: &Plan, slots: &[usize], scope: &Scope, keep: Keep) -> Result<Vec<Value>> {
    let making = Making::new(plan, slots, false)?;
    making.finish(slots, scope, |step, results| {
        if keep == Keep::Yes {
            let _ = step.folded.set(results.to_vec());
        }
    })
}

/// The values of `slots` as they are stored.
fn stored(plan: &Plan, slots: &[usize], scope: &Scope) -> Result<Vec<Value>> {
    let making = Making::new(plan, slots, true)?;
    making.finish(slots, scope, |_, _| ())
}

/// The packed forms of matrices, made on all cores, each once; their dense forms are not kept.
pub fn packed(plan: &Plan, packs: &[Pack], scope: &Scope) -> Result<Vec<Value>> {
    let kept = |pack: &Pack| -> Result<&OnceLock<Arc<Packed>>> {
        let (step, _) = producer(plan, pack.slot)?;
        Ok(&plan.block.steps[step].packed[usize::from(pack.turned)])
    };
    let scope = &scope.unwatched();
    let missing: Vec<&Pack> = packs
        .iter()
        .filter(|pack| kept(pack).is_ok_and(|kept| kept.get().is_none()))
        .collect();
    missing.par_iter().try_for_each(|pack| -> Result<()> {
        let value = stored(plan, &[pack.slot], scope)?.remove(0);
        let matrix = match &value {
            Value::Host(host) => Packed::new(&host.array, pack.turned),
            _ => {
                let dtype = value.dtype().unwrap_or(DType::Fp32);
                Packed::new(&value.to_array(dtype)?, pack.turned)
            }
        };
        match matrix {
            Some(matrix) => _ = kept(pack)?.set(Arc::new(matrix)),
            None => fail!("internal: slot {} can't be packed", pack.slot),
        }
        Ok(())
    })?;
    let ready = packs.iter().map(|pack| match kept(pack)?.get() {
        Some(matrix) => Ok(Value::Packed(matrix.clone())),
        None => fail!("internal: slot {} is not packed", pack.slot),
    });
    ready.collect()
}

/// Whether a value costs too little to be made again.
pub fn small(value: &Value) -> bool {
    match value {
        Value::Tensor { tensor, .. } => tensor.elem_count() <= 64,
        Value::Host(host) => host.array.len() <= 64,
        _ => true,
    }
}

/// The step that makes a slot, and which of its results it is.
fn producer(plan: &Plan, slot: usize) -> Result<(usize, usize)> {
    let Some(step) = plan.producers.get(&slot) else {
        fail!("internal: slot {slot} is not a constant");
    };
    let mut outputs = plan.block.steps[*step].outputs.iter();
    Ok((*step, outputs.position(|s| *s == slot).unwrap_or(0)))
}

struct Making<'a> {
    plan: &'a Plan,
    /// The form that is wanted in the end.
    stored: bool,
    needs: BTreeMap<Node, Need>,
}

impl<'a> Making<'a> {
    /// Finds what `slots` need, down to what is there already.
    fn new(plan: &'a Plan, slots: &[usize], stored: bool) -> Result<Self> {
        let mut needs: BTreeMap<Node, Need> = BTreeMap::new();
        let mut open = Vec::new();
        for slot in slots {
            let (step, _) = producer(plan, *slot)?;
            open.push(Node { step, stored });
        }
        while let Some(node) = open.pop() {
            let need = needs.entry(node).or_default();
            need.readers += 1;
            if need.readers > 1 {
                continue;
            }
            let step = &plan.block.steps[node.step];
            need.results = step.folded.get().cloned();
            if need.results.is_none() {
                open.extend(reads(plan, step).map(|(_, read, _)| read));
            }
        }
        Ok(Self {
            plan,
            stored,
            needs,
        })
    }

    /// Makes all that is needed; what comes of the steps that make `slots` is told.
    fn finish(
        mut self,
        slots: &[usize],
        scope: &Scope,
        told: impl Fn(&Step, &[Value]),
    ) -> Result<Vec<Value>> {
        let mut states = States::default();
        let unwatched = scope.unwatched();
        let mut ctx = Ctx::new(self.plan, &unwatched, &mut states);
        ctx.held = self.needs.values().map(|n| bytes(&n.results)).sum();
        let nodes: Vec<Node> = self.needs.keys().copied().collect();
        for node in nodes {
            self.make(node, &mut ctx)?;
        }
        let stored = self.stored;
        let results = slots.iter().map(|slot| {
            let (step, index) = producer(self.plan, *slot)?;
            let node = Node { step, stored };
            let Some(results) = self.needs.get(&node).and_then(|n| n.results.as_ref()) else {
                fail!("internal: constant {slot} was not made");
            };
            told(&self.plan.block.steps[step], results);
            Ok(results[index].clone())
        });
        results.collect()
    }

    /// Makes the results of `node`, and frees what only it waited for.
    fn make<'c>(&mut self, node: Node, ctx: &mut Ctx<'c>) -> Result<()>
    where
        'a: 'c,
    {
        if self.needs.get(&node).is_some_and(|n| n.results.is_some()) {
            return Ok(());
        }
        let step = &self.plan.block.steps[node.step];
        let mut freed = 0;
        for (slot, read, index) in reads(self.plan, step) {
            let Some(need) = self.needs.get_mut(&read) else {
                fail!("internal: value {slot} was not asked for");
            };
            let results = need.results.as_ref();
            let value = results.and_then(|results| results.get(index));
            ctx.slots[slot] = value.cloned();
            need.readers -= 1;
            if need.readers == 0 {
                freed += bytes(&need.results);
                need.results = None;
            }
        }
        let results = ctx.evaluated(step, node.stored)?;
        reads(self.plan, step).for_each(|(slot, ..)| ctx.slots[slot] = None);
        if !node.stored && results.iter().all(small) {
            let _ = step.folded.set(results.clone());
        }
        let need = self.needs.entry(node).or_default();
        need.results = Some(results);
        ctx.held = (ctx.held + bytes(&need.results)).saturating_sub(freed);
        ctx.scope.limits.hold(ctx.held)
    }
}

fn bytes(results: &Option<Vec<Value>>) -> usize {
    results.iter().flatten().map(Value::bytes).sum()
}

/// The slots that a step reads, each with the node that makes it and the place among its results.
fn reads<'a>(plan: &'a Plan, step: &'a Step) -> impl Iterator<Item = (usize, Node, usize)> + 'a {
    let stored = step.decompresses();
    step.reads().into_iter().filter_map(move |slot| {
        // What a nested block makes itself has no producer here.
        let (step, index) = producer(plan, slot).ok()?;
        Some((slot, Node { step, stored }, index))
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fmt::Write;
    use std::sync::Arc;

    use crate::engine::portable::{Limits, Options, Portable};
    use crate::mil::text;
    use crate::package::{Bundle, Description};

    /// Runs a function whose result is the last of `count` constants, each made of the two before it.
    fn chain(count: usize, limits: Limits) -> crate::diag::Result<Vec<f64>> {
        let mut body =
            String::from("tensor<int32, [1]> s = const()[val = tensor<int32, [1]>([100])];");
        for i in 0..2 {
            let fill = format!("tensor<fp32, [100]> v{i} = fill(shape = s, value = fp32(2));");
            body.push_str(&fill);
        }
        for i in 2..count {
            let (a, b) = (i - 1, i - 2);
            write!(
                body,
                "tensor<fp32, [100]> v{i} = maximum(x = v{a}, y = v{b});"
            )
            .unwrap();
        }
        let last = count - 1;
        let text = format!("program(1.3) {{ func main<ios18>() {{ {body} }} -> (v{last}); }}");
        let program = text::parse(&text, "chain")?.0;
        let bundle = Arc::new(Bundle::new(program, Description::default()));
        let options = Options {
            limits,
            ..Options::default()
        };
        let bound = Portable::new(bundle, options)?.bind("main", &Default::default())?;
        let results = bound.run(&BTreeMap::new(), &BTreeMap::new(), &mut bound.states()?)?;
        results[&format!("v{last}")].floats()
    }

    #[test]
    fn long_chains_of_constants_are_made_step_by_step() {
        // Two values and the one that is made of them, of 400 bytes each.
        let limits = Limits {
            bytes: 1250,
            ..Limits::default()
        };
        assert_eq!(chain(5000, limits).unwrap(), vec![2.0; 100]);
    }

    #[test]
    fn constants_count_as_memory() {
        let limits = Limits {
            bytes: 1000,
            ..Limits::default()
        };
        let error = chain(9, limits).unwrap_err().to_string();
        assert!(error.contains("more than the 1000 allowed"), "{error}");
    }
}
