//! How long code takes, and where the time goes.

use std::time::Duration;

use super::{Args, Magic, code};
use crate::diag::{Error, Result};
use crate::host::{Host, Spent, finish_tally, start_tally};
use crate::report::{Cell, Column, Display, Table};
use crate::session::profile::{Line, Profile, Profiler};
use crate::session::repeat::{Fallible, Once};
use crate::session::{Reply, Session};

pub(super) const TIME: Magic = code(
    "time",
    "code",
    "Evaluates the code and tells how long it took.",
    "",
    time,
);

pub(super) const TIMEIT: Magic = code(
    "timeit",
    "[-n loops] [-r runs] code",
    "Evaluates the code many times and tells how long it takes.",
    "One run warms up. As many loops make a run as fill a fifth of a second; 7 runs, or 3 of slow code. Variables\n\
     are as before it afterwards; what handles did stays.",
    timeit,
);

pub(super) const PROF: Magic = code(
    "prof",
    "code",
    "Evaluates the code and tells where the time went: lines, and operations of models.",
    "Every step of the script is told to the profiler, which slows loops of plain script down by some; its own\n\
     work is not counted. Of a line of a function all calls are added up. Operations are those of the portable\n\
     engine, without what runs inside of them.",
    prof,
);

/// How long a run of `%timeit` is to take.
const RUN: Duration = Duration::from_millis(200);
const RUNS: usize = 7;
/// Lines and operations that a profile shows.
const ROWS: usize = 20;

fn time(session: &mut Session, args: &Args) -> Result<Reply> {
    let reply = session.cell(args.code("time")?);
    session
        .host
        .print(format!("took {:.3?}", reply.outcome.elapsed));
    Ok(reply)
}

fn timeit(session: &mut Session, args: &Args) -> Result<Reply> {
    let (loops, rest) = option(args.line, "-n")?;
    let (runs, rest) = option(rest, "-r")?;
    let code = args.body.unwrap_or(rest);
    let code = Args {
        line: code,
        body: None,
    };
    let code = code.code("timeit")?;
    let host = session.host.clone();
    let told = session.repeated("%timeit", code, |once| measured(&host, once, loops, runs));
    match told {
        Ok((loops, times)) => {
            session.host.print(summary(loops, &times));
            Ok(Reply::nothing())
        }
        Err(problem) => Ok(Reply::failed(*problem)),
    }
}

/// The loops of a run, and the seconds that each took on average.
fn measured(
    host: &Host,
    once: &mut Once,
    loops: Option<usize>,
    runs: Option<usize>,
) -> Fallible<(usize, Vec<f64>)> {
    let mut run = |loops: usize| -> Fallible<Duration> {
        let start = host.clock().elapsed();
        for _ in 0..loops {
            once()?;
        }
        Ok(host.clock().elapsed().saturating_sub(start))
    };
    let first = run(1)?;
    let loops = match loops {
        Some(loops) => loops,
        None => enough(first, &mut run)?,
    };
    let runs = runs.unwrap_or(if first > RUN * 5 { 3 } else { RUNS });
    let mut times = Vec::new();
    for _ in 0..runs {
        times.push(run(loops)?.as_secs_f64() / loops as f64);
    }
    Ok((loops, times))
}

/// How many loops fill a run.
fn enough<E>(
    first: Duration,
    run: &mut impl FnMut(usize) -> Result<Duration, E>,
) -> Result<usize, E> {
    let (mut loops, mut time) = (1, first);
    while time < RUN && loops < 10_000_000 {
        // 1, 2, 5, 10, 20 …
        loops = match loops.to_string().starts_with('2') {
            true => loops / 2 * 5,
            false => loops * 2,
        };
        time = run(loops)?;
        // A clock that stands still would never fill a run.
        if time.is_zero() && loops >= 1000 {
            break;
        }
    }
    Ok(loops)
}

/// The number after an option, and the rest.
fn option<'a>(line: &'a str, name: &str) -> Result<(Option<usize>, &'a str)> {
    let Some(rest) = line.strip_prefix(name) else {
        return Ok((None, line));
    };
    let (number, rest) = rest
        .trim_start()
        .split_once(' ')
        .unwrap_or((rest.trim(), ""));
    match number.parse() {
        Ok(number @ 1..) => Ok((Some(number), rest.trim_start())),
        _ => Err(Error::new(format!(
            "{name} needs a count from 1 up, not \"{number}\""
        ))),
    }
}

fn summary(loops: usize, times: &[f64]) -> String {
    let mean = times.iter().sum::<f64>() / times.len() as f64;
    let square = |time: &f64| (time - mean).powi(2);
    let std = (times.iter().map(square).sum::<f64>() / times.len() as f64).sqrt();
    let best = times.iter().copied().fold(f64::INFINITY, f64::min);
    let shown = |seconds: f64| format!("{:.3?}", Duration::from_secs_f64(seconds));
    format!(
        "{} ± {} (mean ± std of {} runs of {loops} loops), best {}",
        shown(mean),
        shown(std),
        times.len(),
        shown(best)
    )
}

fn prof(session: &mut Session, args: &Args) -> Result<Reply> {
    let code = args.code("prof")?;
    let profile = Profile::default();
    let profiler = Profiler::new(session.host.clone(), profile.clone());
    session.watcher = Some(Box::new(|_| Box::new(profiler)));
    let clock = session.host.clone();
    start_tally(move || clock.clock().elapsed());
    let reply = session.cell(code);
    let ops = finish_tally();
    session.watcher = None;
    let whole = reply.outcome.elapsed;
    let lines = lines(session, &profile.lines(), whole)?;
    session.host.show(Display::Table(lines));
    if !ops.is_empty() {
        session.host.show(Display::Table(operations(ops, whole)?));
    }
    Ok(reply)
}

fn share(time: Duration, whole: Duration) -> Cell {
    Cell::from(format!(
        "{:.1} %",
        100.0 * time.as_secs_f64() / whole.as_secs_f64().max(1e-12)
    ))
}

fn lines(session: &Session, lines: &[(Line, u64, Duration)], whole: Duration) -> Result<Table> {
    let columns = ["ms", "share", "times", "line", "code"].map(Column::new);
    let mut table = Table::new(format!("Lines, {whole:.3?} in all"), columns);
    for ((source, line), count, time) in lines.iter().take(ROWS) {
        table.push([
            Cell::from(time.as_secs_f64() * 1e3),
            share(*time, whole),
            Cell::from(usize::try_from(*count).unwrap_or(usize::MAX)),
            Cell::from(format!("{source}:{line}")),
            Cell::from(session.sources.line(source, *line).trim()),
        ])?;
    }
    Ok(table)
}

fn operations(mut ops: Vec<(&'static str, Spent)>, whole: Duration) -> Result<Table> {
    ops.sort_by_key(|(_, spent)| std::cmp::Reverse(spent.time));
    let columns = ["ms", "share", "times", "operation"].map(Column::new);
    let mut table = Table::new("Operations of models", columns);
    for (op, spent) in ops.iter().take(ROWS) {
        table.push([
            Cell::from(spent.time.as_secs_f64() * 1e3),
            share(spent.time, whole),
            Cell::from(usize::try_from(spent.count).unwrap_or(usize::MAX)),
            Cell::from(*op),
        ])?;
    }
    Ok(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics_of_runs() {
        assert_eq!(
            summary(10, &[1e-3, 3e-3]),
            "2.000ms ± 1.000ms (mean ± std of 2 runs of 10 loops), best 1.000ms"
        );
    }

    #[test]
    fn loops_fill_a_run() {
        let check = |a_loop: Duration, expected: usize| {
            let mut run = |loops: usize| Ok::<_, ()>(a_loop * u32::try_from(loops).unwrap());
            assert_eq!(enough(a_loop, &mut run), Ok(expected));
        };
        check(Duration::from_secs(1), 1);
        check(Duration::from_millis(30), 10);
        check(Duration::from_micros(100), 2000);
        check(Duration::ZERO, 1000);
    }

    #[test]
    fn options_before_the_code() {
        let (count, rest) = option("-n 10 f()", "-n").unwrap();
        assert_eq!((count, rest), (Some(10), "f()"));
        assert_eq!(option("f()", "-n").unwrap(), (None, "f()"));
        assert!(option("-n x f()", "-n").is_err());
    }
}
