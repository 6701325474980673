//! Trainers: supervised fine-tuning and GRPO, a step or a run at a time.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rhai::{Dynamic, Map};

use super::cards;
use super::judges::{Judge, text_of};
use super::metrics::METRICS;
use super::models::tell;
use super::runs::RunHandle;
use super::sampling::{STOP, stop};
use super::students::Student;
use crate::diag::Result;
use crate::fail;
use crate::feedback::Item;
use crate::generate::Sampling;
use crate::host::{
    Call, Callback, FromScript, Host, Kept, Key, Kind, ScriptFn, ScriptValue, Topic, TypeEntry,
    function, method,
};
use crate::objectives::{Grpo, Kl, Level, Reduction, Scale};
use crate::optim::{Decay, Schedule};
use crate::report::Display;
use crate::tokenizer::Tokenizer;
use crate::train::{
    Example, GrpoOptions, GrpoPlace, GrpoTrainer, Metrics, Sample, SftOptions, SftPlace, SftTrainer,
};

pub(super) const TOPIC: Topic = Topic {
    name: "training",
    summary: "Supervised fine-tuning and GRPO.",
    functions,
    types: || vec![TypeEntry::of::<Trainer>()],
};

/// A training loop that waits for its next step.
#[derive(Clone)]
pub(super) struct Trainer(Arc<TrainerState>);

struct TrainerState {
    student: Student,
    method: Mutex<Method>,
}

enum Method {
    Sft(SftTrainer),
    Grpo(Box<GrpoTrainer>, Reward),
}

/// Where a method stands.
enum Place {
    Sft(SftPlace),
    Grpo(GrpoPlace),
}

impl Place {
    fn of(method: &Method) -> Self {
        match method {
            Method::Sft(trainer) => Self::Sft(trainer.place()),
            Method::Grpo(trainer, _) => Self::Grpo(trainer.place()),
        }
    }

    fn go_back(&self, method: &mut Method) {
        match (self, method) {
            (Self::Sft(place), Method::Sft(trainer)) => trainer.go_back(place),
            (Self::Grpo(place), Method::Grpo(trainer, _)) => trainer.go_back(place),
            // A trainer never changes its method.
            _ => {}
        }
    }
}

enum Reward {
    Judge(Judge),
    Function(Callback),
}

impl ScriptValue for Trainer {
    const NAME: &'static str = "Trainer";
    const SUMMARY: &'static str = "A training loop that waits for its next step.";
    const CHANGES: bool = true;

    fn keep(&self) -> Result<Option<Kept>> {
        let student = self.0.student.keep()?;
        let place = Place::of(&self.method());
        let trainer = self.clone();
        Ok(student.map(|student| Kept {
            bytes: student.bytes,
            put_back: Box::new(move || {
                place.go_back(&mut trainer.method());
                (student.put_back)()
            }),
        }))
    }

    fn digest(&self) -> Option<String> {
        self.0.student.digest()
    }

    fn line(&self) -> String {
        let (name, steps) = match &*self.method() {
            Method::Sft(trainer) => ("SFT", trainer.steps()),
            Method::Grpo(trainer, _) => ("GRPO", trainer.steps()),
        };
        format!("Trainer({name}, {steps} steps done)")
    }

    fn show(&self) -> Display {
        let student = self.0.student.lock();
        let card = match &*self.method() {
            Method::Sft(trainer) => cards::of_sft(trainer, &student),
            Method::Grpo(trainer, reward) => cards::of_grpo(trainer, &student, reward.name()),
        };
        card.or(self.line())
    }
}

impl Reward {
    fn name(&self) -> String {
        match self {
            Self::Judge(judge) => judge.line(),
            Self::Function(_) => "a function".into(),
        }
    }
}

const SCHEDULE: &[Key] = &[
    Key::int("steps", 100, "Steps of the whole run, for the schedule.").at_least(1.0),
    Key::choice(
        "schedule",
        &["constant", "linear", "cosine"],
        "constant",
        "How the learning rate falls.",
    ),
    Key::int(
        "warmup",
        0,
        "Steps in which the learning rate rises from 0.",
    )
    .at_least(0.0),
    Key::optional(
        "seed",
        Kind::Int,
        "Where sampling and shuffling start; the session's seed if left out.",
    ),
];

const SFT: &[Key] = &[
    Key::float("learning_rate", 1e-3, "Peak learning rate.").at_least(0.0),
    Key::int("batch", 32, "Examples per step.").at_least(1.0),
    Key::int(
        "micro_batch",
        32,
        "Examples run at once; smaller needs less memory.",
    )
    .at_least(1.0),
];

const GRPO: &[Key] = &[
    Key::float("learning_rate", 1e-3, "Peak learning rate.").at_least(0.0),
    Key::int("prompts_per_step", 8, "Prompts per step.").at_least(1.0),
    Key::int("group", 8, "Completions per prompt.").at_least(2.0),
    Key::int(
        "iterations",
        1,
        "Optimiser steps on each batch of completions.",
    )
    .at_least(1.0),
    Key::int("micro_batch", 64, "Completions run at once in training.").at_least(1.0),
    Key::float(
        "beta",
        0.04,
        "Weight of the KL term to the starting weights.",
    )
    .at_least(0.0),
    Key::choice("kl", &["k1", "k2", "k3"], "k3", "Estimator of the KL term."),
    Key::choice(
        "reduction",
        &["grpo", "bnpo", "dapo", "dr_grpo"],
        "dapo",
        "How token losses are averaged.",
    ),
    Key::choice(
        "level",
        &["token", "sequence"],
        "token",
        "Importance ratio of tokens, or of sequences (GSPO).",
    ),
    Key::choice(
        "scale",
        &["group", "batch", "none"],
        "group",
        "What centred rewards are divided by.",
    ),
    Key::float("epsilon", 0.2, "Clip range of the ratio below 1.").between(0.0, 1.0),
    Key::optional(
        "epsilon_high",
        Kind::Float,
        "Clip range above 1; epsilon if left out.",
    ),
    Key::float("entropy", 0.0, "Weight of an entropy bonus."),
];

const RUN: &[Key] = &[
    Key::optional(
        "on_step",
        Kind::Function,
        "Called with each step's metrics.",
    )
    .called_with(METRICS),
    Key::text("label", "", "What the progress bar says."),
    Key::optional(
        "run",
        Kind::object::<RunHandle>(),
        "The record that notes each step.",
    ),
];

fn functions() -> Vec<ScriptFn> {
    vec![
        function("sft", "Supervised fine-tuning: the student learns to say the examples.")
            .param("student", Kind::object::<Student>(), "Who learns.")
            .param("examples", Kind::Array, "Texts, or maps with prompt and completion, of which the completion is learnt.")
            .options(SFT)
            .options(SCHEDULE)
            .returns("Trainer")
            .example("let s = student(load(\"embedded:student\"), #{rank: 1}); sft(s, [\"the soup was good .\"], #{batch: 1}).step().loss > 0.0", "true")
            .run(sft),
        function("grpo", "Group relative policy optimisation: the student learns what is rewarded.")
            .param("student", Kind::object::<Student>(), "Who learns.")
            .param("prompts", Kind::Array, "Texts to continue.")
            .param("reward", REWARD, "A judge, or a function from an array of samples to an array of rewards.")
            .options(GRPO)
            .options(SAMPLING_OF_TRAINING)
            .options(SCHEDULE)
            .returns("Trainer")
            .details("A reward of () is no verdict: the sample counts in no mean and trains nothing.")
            .example("let s = student(load(\"embedded:student\"), #{rank: 1}); grpo(s, [\"the soup\"], |all| all.map(|a| 1.0 * a.completion.len()), #{group: 2, prompts_per_step: 1, max_new_tokens: 2}).step().reward > 0.0", "true")
            .run(grpo),
        method::<Trainer>("step", "One step: its metrics, by TRL's names.")
            .returns("map")
            .fields(METRICS)
            .example("let s = student(load(\"embedded:student\"), #{rank: 1}); sft(s, [\"the soup was good .\"], #{batch: 1}).step().num_tokens", "5.0")
            .run(|call| {
                let trainer = call.receiver::<Trainer>()?;
                Ok(to_map(&step(&trainer.0, call)?))
            }),
        method::<Trainer>("run", "Many steps with a progress bar: the metrics of each.")
            .param("steps", Kind::Int, "How many.")
            .options(RUN)
            .returns("array")
            .fields(METRICS)
            .example("let s = student(load(\"embedded:student\"), #{rank: 1}); sft(s, [\"the soup was good .\"], #{batch: 1}).run(2).len()", "2")
            .run(run),
    ]
}

const REWARD: Kind = Kind::Either(&[Kind::object::<Judge>(), Kind::Function]);

/// Of [`SAMPLING`], what makes sense in training: what truncates would bias the gradient.
const SAMPLING_OF_TRAINING: &[Key] = &[
    Key::int("max_new_tokens", 64, "Tokens of a completion at most.").at_least(1.0),
    Key::float("temperature", 1.0, "Of sampling and scoring.").at_least(1e-9),
    STOP,
];

fn schedule(call: &Call) -> Result<Schedule> {
    let options = &call.options;
    Ok(Schedule {
        decay: Decay::from_name(&options.get::<String>("schedule")?)?,
        peak: options.get("learning_rate")?,
        warmup: options.get("warmup")?,
        total: options.get("steps")?,
    })
}

fn seed(call: &Call) -> Result<u64> {
    Ok(call
        .options
        .get::<Option<u64>>("seed")?
        .unwrap_or_else(|| call.host.seed()))
}

fn trainer(student: Student, method: Method) -> Trainer {
    Trainer(Arc::new(TrainerState {
        student,
        method: Mutex::new(method),
    }))
}

fn sft(call: &mut Call) -> Result<Trainer> {
    let student: Student = call.get("student")?;
    let tokenizer = student.tokenizer()?;
    let given: Vec<Dynamic> = call.get("examples")?;
    let mut examples = Vec::with_capacity(given.len());
    for value in &given {
        examples.push(example(value, &tokenizer, call.host)?);
    }
    let options = SftOptions {
        batch: call.options.get("batch")?,
        micro_batch: call.options.get("micro_batch")?,
        schedule: schedule(call)?,
        seed: seed(call)?,
    };
    Ok(trainer(
        student,
        Method::Sft(SftTrainer::new(examples, options)?),
    ))
}

/// A text, or a prompt with its completion; both end with the end-of-sequence token, which is learnt too.
fn example(value: &Dynamic, tokenizer: &Tokenizer, host: &Host) -> Result<Example> {
    let (mut ids, start) = match (
        String::from_script(value, host),
        Map::from_script(value, host),
    ) {
        (Some(text), _) => (tokenizer.encode(&text, true)?, 0),
        (None, Some(map)) => {
            let prompt = tokenizer.encode(&text_of(&map, "prompt")?, true)?;
            let completion = tokenizer.encode(&text_of(&map, "completion")?, false)?;
            let start = prompt.len();
            ([prompt, completion].concat(), start)
        }
        (None, None) => fail!("an example must be a string or a map with prompt and completion"),
    };
    match tokenizer.specials().eos {
        Some(eos) if ids.last() != Some(&eos) => ids.push(eos),
        _ => {}
    }
    Ok(Example { ids, start })
}

fn grpo(call: &mut Call) -> Result<Trainer> {
    let student: Student = call.get("student")?;
    let tokenizer = student.tokenizer()?;
    let options = &call.options;
    let name = |key: &str| options.get::<String>(key);
    let epsilon: f64 = options.get("epsilon")?;
    let loss = Grpo {
        reduction: Reduction::from_name(&name("reduction")?)?,
        level: Level::from_name(&name("level")?)?,
        clip_low: epsilon,
        clip_high: options
            .get::<Option<f64>>("epsilon_high")?
            .unwrap_or(epsilon),
        beta: options.get("beta")?,
        kl: Kl::from_name(&name("kl")?)?,
        entropy_weight: options.get("entropy")?,
        max_completion_length: Some(options.get("max_new_tokens")?),
        ..Grpo::default()
    };
    let options = GrpoOptions {
        prompts: options.get("prompts_per_step")?,
        group: options.get("group")?,
        iterations: options.get("iterations")?,
        micro_batch: options.get("micro_batch")?,
        sampling: Sampling {
            temperature: options.get("temperature")?,
            max_new_tokens: options.get("max_new_tokens")?,
            eos: tokenizer.ends(),
            stop: stop(call)?,
            vocabulary: Some(tokenizer.vocabulary().clone()),
            ..Default::default()
        },
        loss,
        scale: Scale::from_name(&name("scale")?)?,
        schedule: schedule(call)?,
        seed: seed(call)?,
    };
    let prompts: Vec<String> = call.get("prompts")?;
    let reward = match call.get::<Judge>("reward") {
        Ok(judge) => Reward::Judge(judge),
        Err(_) => Reward::Function(call.get("reward")?),
    };
    let grpo = GrpoTrainer::new(&student.lock(), &prompts, options)?;
    Ok(trainer(student, Method::Grpo(Box::new(grpo), reward)))
}

impl Trainer {
    fn method(&self) -> MutexGuard<'_, Method> {
        self.0.method.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn step(state: &TrainerState, call: &Call) -> Result<Metrics> {
    let mut method = state.method.lock().unwrap_or_else(PoisonError::into_inner);
    let mut student = state.student.lock();
    let place = Place::of(&method);
    let metrics = match &mut *method {
        Method::Sft(trainer) => trainer.step(&mut student),
        Method::Grpo(trainer, reward) => trainer
            .step(&mut student, &mut |samples| rewards(reward, samples, call))
            .map(|step| step.metrics),
    };
    if metrics.is_err() {
        // What was to be learnt is the next step's.
        place.go_back(&mut method);
    }
    tell(call, student.model().news());
    tell(call, student.remark());
    metrics
}

fn rewards(reward: &Reward, samples: &[Sample], call: &Call) -> Result<Vec<Option<f64>>> {
    match reward {
        Reward::Judge(judge) => {
            let item = |s: &Sample| Item {
                prompt: s.prompt.clone(),
                answer: s.completion.clone(),
            };
            judge.score(&samples.iter().map(item).collect::<Vec<_>>(), call)
        }
        Reward::Function(function) => {
            let maps: rhai::Array = samples.iter().map(|s| sample_map(s).into()).collect();
            call.call(function, [maps.into()])
        }
    }
}

fn sample_map(sample: &Sample) -> Map {
    Map::from([
        ("prompt".into(), sample.prompt.clone().into()),
        ("completion".into(), sample.completion.clone().into()),
        ("ended".into(), sample.ended.into()),
    ])
}

fn run(call: &mut Call) -> Result<Vec<Map>> {
    let trainer = call.receiver::<Trainer>()?;
    let steps: usize = call.get("steps")?;
    let on_step: Option<Callback> = call.options.get("on_step")?;
    let record: Option<RunHandle> = call.options.get("run")?;
    let label: String = call.options.get("label")?;
    let label = if label.is_empty() {
        "train".to_owned()
    } else {
        label
    };
    let mut progress = call.host.progress(label, steps as u64);
    let mut history = Vec::with_capacity(steps);
    let mut tokens = 0.0;
    for done in 0..steps {
        call.host.check()?;
        let metrics = step(&trainer.0, call)?;
        tokens += metrics.get("num_tokens").copied().unwrap_or_default();
        progress.measure(done as u64 + 1, &watched(&metrics), &[("tokens", tokens)]);
        if let Some(run) = &record {
            let named: Vec<(String, f64)> = metrics.clone().into_iter().collect();
            run.lock().log(done, &named)?;
        }
        let map = to_map(&metrics);
        if let Some(on_step) = &on_step {
            let _: Dynamic = call.call(on_step, [map.clone().into()])?;
        }
        history.push(map);
    }
    Ok(history)
}

/// The figures that people watch, as far as the method has them.
fn watched(metrics: &Metrics) -> Vec<(&'static str, f64)> {
    const WATCHED: [(&str, &str); 6] = [
        ("loss", "loss"),
        ("reward", "reward"),
        ("kl", "kl"),
        ("entropy", "entropy"),
        ("completions/mean_length", "length"),
        ("grad_norm", "grad"),
    ];
    let figure = |(key, short): &(&str, &'static str)| Some((*short, *metrics.get(*key)?));
    WATCHED.iter().filter_map(figure).collect()
}

fn to_map(metrics: &BTreeMap<String, f64>) -> Map {
    metrics
        .iter()
        .map(|(name, value)| (name.as_str().into(), Dynamic::from_float(*value)))
        .collect()
}
