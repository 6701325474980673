//! What students and trainers are, at a glance.

use super::models::grouped;
use crate::diag::Result;
use crate::models::StudentModel;
use crate::optim::{Decay, Schedule};
use crate::report::{Display, Table, format_number};
use crate::train::{GrpoTrainer, SftTrainer};

/// A card of two columns.
pub(super) struct Card(Result<Table>);

impl Card {
    fn new(what: &str, name: &str) -> Self {
        Self(Ok(Table::new("", [what, name])))
    }

    fn row(self, name: &str, text: impl Into<String>) -> Self {
        Self(self.0.and_then(|mut table| {
            table.push([name.to_owned(), text.into()])?;
            Ok(table)
        }))
    }

    /// The card, or else the line that says the same in short.
    pub fn or(self, line: String) -> Display {
        self.0.map_or(Display::Text(line), Display::Table)
    }
}

pub(super) fn of_student(student: &StudentModel) -> Card {
    let (adapters, optimizer) = (student.adapters(), student.optimizer());
    let (parameters, options) = (adapters.parameters(), optimizer.options());
    let learns = format!(
        "{} numbers in {} tensors",
        grouped(parameters.elements()),
        parameters.len()
    );
    let norm = options.max_grad_norm.map_or(String::new(), |norm| {
        format!(", gradients up to norm {}", format_number(norm, 4))
    });
    let decay = format_number(options.weight_decay, 4);
    Card::new("student", student.model().name())
        .row("changes", adapters.describe())
        .row("learns", learns)
        .row("optimiser", format!("AdamW, weight decay {decay}{norm}"))
        .row("steps", optimizer.steps().to_string())
}

pub(super) fn of_sft(trainer: &SftTrainer, student: &StudentModel) -> Card {
    let options = trainer.options();
    Card::new("trainer", "supervised fine-tuning")
        .row("student", student.model().name())
        .row("examples", grouped(trainer.examples()))
        .row("each step", format!("{} examples", options.batch))
        .row("learning rate", rate(&options.schedule, trainer.steps()))
        .row("steps", trainer.steps().to_string())
}

/// `reward` is what rewards.
pub(super) fn of_grpo(trainer: &GrpoTrainer, student: &StudentModel, reward: String) -> Card {
    let options = trainer.options();
    let step = format!(
        "{} prompts × {} completions of at most {} tokens",
        options.prompts, options.group, options.sampling.max_new_tokens
    );
    Card::new("trainer", "GRPO")
        .row("student", student.model().name())
        .row("reward", reward)
        .row("prompts", grouped(trainer.prompts()))
        .row("each step", step)
        .row("KL weight", format_number(options.loss.beta, 4))
        .row("learning rate", rate(&options.schedule, trainer.steps()))
        .row("steps", trainer.steps().to_string())
}

/// The rate of the next step, and what becomes of it.
fn rate(schedule: &Schedule, step: usize) -> String {
    let now = format_number(schedule.at(step), 4);
    match (schedule.decay, schedule.total) {
        (Decay::Constant, _) | (_, 0) => now,
        (_, total) => format!("{now} now, {} over {total} steps", schedule.decay),
    }
}
