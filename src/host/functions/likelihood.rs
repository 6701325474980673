//! Tables of what was likely: of one model, and of one beside another.

use super::logits::Logits;
use crate::diag::Result;
use crate::fail;
use crate::generate::Distribution;
use crate::numeric::stats::mean;
use crate::report::{Align, Cell, Column, Heat, Shades, Table, Tokens, bar};
use crate::verify::Position;

/// The `k` likeliest next tokens after position `at`.
pub(super) fn top(logits: &Logits, k: usize, at: i64) -> Result<Table> {
    let (after, row) = logits.at(at)?;
    let distribution = Distribution::new(&row, 1.0);
    let likeliest = distribution.likeliest(k);
    let shown: f64 = likeliest.iter().map(|(_, logprob)| logprob.exp()).sum();
    let entropy = distribution.entropy();
    let title = format!(
        "after {}: entropy {entropy:.3} nats (as {:.1} equal choices), {:.1} % of the probability here",
        logits.token(after),
        entropy.exp(),
        100.0 * shown
    );
    let mut table = Table::new(
        title,
        [
            "rank".into(),
            "token".into(),
            Column::new("id").spare(),
            Column::new("logit").spare(),
            "logprob".into(),
            "prob".into(),
            bars(),
        ],
    );
    for (rank, (id, logprob)) in likeliest.into_iter().enumerate() {
        table.push([
            Cell::from(rank + 1),
            logits.token(id).into(),
            i64::from(id).into(),
            f64::from(row[id as usize]).into(),
            logprob.into(),
            logprob.exp().into(),
            bar(logprob.exp(), 20).into(),
        ])?;
    }
    Ok(table)
}

/// The most tokens that a heat map of probabilities has.
const COLUMNS: usize = 24;

/// The probability after each position of the tokens that are likeliest over all of them.
pub(super) fn map(logits: &Logits) -> Result<Heat> {
    let rows: Vec<Vec<f64>> = logits.rows().map(|row| probabilities(&row)).collect();
    let mut total = vec![0.0; rows.first().map_or(0, Vec::len)];
    for row in &rows {
        total.iter_mut().zip(row).for_each(|(total, p)| *total += p);
    }
    let mut ids: Vec<usize> = (0..total.len()).collect();
    ids.sort_by(|a, b| total[*b].total_cmp(&total[*a]));
    ids.truncate(COLUMNS);
    let values = rows
        .iter()
        .map(|row| ids.iter().map(|id| row[*id]).collect());
    let tokens = logits.ids().iter().map(|id| logits.token(*id));
    let tokens = tokens.skip(logits.ids().len() - rows.len());
    let columns = ids.iter().map(|id| logits.token(*id as u32));
    let heat = Heat::new(values.collect())?.names(tokens.collect(), columns.collect())?;
    heat.between(Some(0.0), Some(1.0))
}

fn probabilities(row: &[f32]) -> Vec<f64> {
    let distribution = Distribution::new(row, 1.0);
    (0..row.len() as u32)
        .map(|id| distribution.logprob(id).exp())
        .collect()
}

/// Each token but the first: how likely it was, given those before it.
pub(super) fn surprisal(logits: &Logits) -> Result<Table> {
    let columns = ["token", "id", "rank", "logprob", "prob"].map(Column::new);
    let rest = [
        bars(),
        Column::new("entropy").decimals(3),
        "likeliest".into(),
    ];
    let columns = columns.into_iter().chain(rest);
    let mut table = Table::new(sum(&logits.logprobs()?), columns);
    let rows = logits.all()?.rows();
    for (id, row) in logits.ids().iter().skip(1).zip(rows) {
        let row = row.to_vec();
        let distribution = Distribution::new(&row, 1.0);
        let probability = distribution.logprob(*id).exp();
        let (best, _) = distribution.likeliest(1)[0];
        table.push([
            Cell::from(logits.token(*id)),
            i64::from(*id).into(),
            distribution.rank(*id).into(),
            distribution.logprob(*id).into(),
            probability.into(),
            bar(probability, 8).into(),
            distribution.entropy().into(),
            logits.token(best).into(),
        ])?;
    }
    Ok(table)
}

/// A column of bars, which says nothing that another does not.
fn bars() -> Column {
    Column::new("").spare()
}

/// The surprisal that is hottest, in nats: one in 3000.
const HOT: f64 = 8.0;

/// The text with its surprisal as heat.
pub(super) fn heat(logits: &Logits) -> Result<Tokens> {
    let logprobs = logits.logprobs()?;
    let weights = logprobs
        .iter()
        .map(|logprob| (-logprob / HOT).clamp(0.0, 1.0));
    // Nothing was expected of the first.
    let weights = std::iter::once(0.0).chain(weights);
    let tokens = logits.ids().iter().map(|id| logits.token(*id));
    Ok(Tokens {
        title: format!("{}; hottest from {HOT} nats", sum(&logprobs)),
        items: tokens.zip(weights).collect(),
        shades: Shades::Red,
    })
}

fn sum(logprobs: &[f64]) -> String {
    let Some(mean) = mean(logprobs) else {
        return "no token after the first".to_owned();
    };
    format!(
        "{} tokens after the first: {:.3} nats each, perplexity {:.2}",
        logprobs.len(),
        -mean,
        (-mean).exp()
    )
}

/// Fails for logits of other texts or vocabularies.
fn check(a: &Logits, b: &Logits) -> Result<()> {
    if a.ids() != b.ids() {
        fail!("the logits are of different tokens, only those of the same text can be compared");
    }
    let [x, y] = [a.at(-1)?.1.len(), b.at(-1)?.1.len()];
    if x != y {
        fail!("the vocabularies differ: {x} and {y} tokens");
    }
    Ok(())
}

fn names(a: &Logits, b: &Logits) -> String {
    match a.model() == b.model() {
        true => format!("both of {}", a.model()),
        false => format!("a is {}, b is {}", a.model(), b.model()),
    }
}

/// Position by position: how likely the next token was to each, and what was likeliest.
pub(super) fn compare(a: &Logits, b: &Logits) -> Result<Table> {
    check(a, b)?;
    let columns = ["next", "logprob a", "logprob b"].map(Column::new);
    let ranks = Column::new("ranks").align(Align::Right).spare();
    let rest = ["KL", "likeliest a", "likeliest b"].map(Column::new);
    let columns = columns.into_iter().chain([ranks]).chain(rest);
    let (mut rows, mut kl, mut agree) = (Vec::new(), Vec::new(), 0);
    let [x, y] = [a.all()?, b.all()?];
    for (at, (x, y)) in x.rows().into_iter().zip(y.rows()).enumerate() {
        let next = a.ids().get(at + 1).copied();
        let position = Position::of(x, y, next);
        kl.push(position.kl);
        agree += usize::from(position.agrees);
        let both = [x.to_vec(), y.to_vec()];
        let [x, y] = [0, 1].map(|side| Distribution::new(&both[side], 1.0));
        let best = |d: &Distribution| a.token(d.likeliest(1)[0].0);
        rows.push([
            Cell::from(next.map(|id| a.token(id))),
            next.map(|id| x.logprob(id)).into(),
            next.map(|id| y.logprob(id)).into(),
            next.map(|id| format!("{}, {}", x.rank(id), y.rank(id)))
                .into(),
            position.kl.into(),
            best(&x).into(),
            best(&y).into(),
        ]);
    }
    let perplexity = |logits: &Logits| -> Result<String> {
        let mean = mean(&logits.logprobs()?);
        Ok(mean.map_or_else(|| "–".to_owned(), |mean| format!("{:.2}", (-mean).exp())))
    };
    let title = format!(
        "{}\nlikeliest agrees at {agree} of {}, KL(a ‖ b) {:.4} nats each, perplexity {} and {}",
        names(a, b),
        rows.len(),
        mean(&kl).unwrap_or(0.0),
        perplexity(a)?,
        perplexity(b)?,
    );
    let mut table = Table::new(title, columns);
    rows.into_iter().try_for_each(|row| table.push(row))?;
    Ok(table)
}

/// The `k` likeliest next tokens of each after position `at`.
pub(super) fn beside(a: &Logits, b: &Logits, k: usize, at: i64) -> Result<Table> {
    check(a, b)?;
    let ((after, x), (_, y)) = (a.at(at)?, b.at(at)?);
    let [x, y] = [&x, &y].map(|row| Distribution::new(row, 1.0));
    let title = format!(
        "{}\nafter {}: entropy {:.3} and {:.3} nats",
        names(a, b),
        a.token(after),
        x.entropy(),
        y.entropy()
    );
    let of_a = ["rank", "a", "prob a"].map(Column::new).into_iter();
    let of_b = ["b", "prob b"].map(Column::new);
    let columns = of_a.chain([bars()]).chain(of_b).chain([bars()]);
    let mut table = Table::new(title, columns);
    let pairs = x.likeliest(k).into_iter().zip(y.likeliest(k));
    for (rank, ((id_a, logprob_a), (id_b, logprob_b))) in pairs.enumerate() {
        table.push([
            Cell::from(rank + 1),
            a.token(id_a).into(),
            logprob_a.exp().into(),
            bar(logprob_a.exp(), 12).into(),
            a.token(id_b).into(),
            logprob_b.exp().into(),
            bar(logprob_b.exp(), 12).into(),
        ])?;
    }
    Ok(table)
}
