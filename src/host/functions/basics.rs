//! Help, printing, script parameters, time, leaving.

use std::time::Duration;

use rhai::Dynamic;

use crate::diag::{Error, Result};
use crate::fail;
use crate::host::engine::SHOWN;
use crate::host::help::{self, Depth};
use crate::host::{Call, Callback, Kind, ScriptFn, Topic, function, show};

pub(super) const TOPIC: Topic = Topic {
    name: "basics",
    summary: "Help, printing, script parameters, time.",
    functions,
    types: Vec::new,
};

fn functions() -> Vec<ScriptFn> {
    vec![
        function("help", "Shows what a function, method, type or topic is for, or where a word stands; without a name, what there is.")
            .optional("name", Kind::Any, "A name as a string, or the function itself.")
            .example("help(\"elapsed\")", "elapsed() -> float\n  Seconds since the program started.\n\nExample:\n  > elapsed() >= 0.0\n  true")
            .run(show_help),
        function("apropos", "Shows which functions, methods and options speak of a word.")
            .param("word", Kind::Text, "The word, in any letter case.")
            .example("apropos(\"seconds since\")", "  elapsed() -> float  Seconds since the program started.")
            .run(|call| {
                let text = help::apropos(call.host.registry(), &call.builtins(), &call.get::<String>("word")?)?;
                call.host.print(text);
                Ok(())
            }),
        print(),
        function("args", "The script's arguments.")
            .returns("array")
            .example("args()", "[]")
            .run(|call| Ok(call.host.args().into_iter().map(Dynamic::from).collect::<Vec<_>>())),
        function("param", "A parameter of the script: `--name value` of the command line, or the default.")
            .param("name", Kind::Text, "Its name.")
            .param("default", Kind::Any, "What it is when not given; its type is the parameter's type.")
            .optional("summary", Kind::Text, "What it is for, shown by `script.rhai --help`.")
            .returns("any")
            .example("param(\"steps\", 100, \"Training steps.\")", "100")
            .run(param),
        function("assert", "Stops with an error unless the condition holds.")
            .param("condition", Kind::Bool, "What must be true.")
            .optional("message", Kind::Any, "What to say otherwise.")
            .example("assert(1 < 2, \"numbers are broken\")", "")
            .run(assert),
        function("breakpoint", "Opens the prompt at this place of the script: its variables, its callers, step by step.")
            .details("A script that runs without a prompt fails here. At the prompt `h` lists the commands.")
            .example("fn careful(x) { if x < 0 { breakpoint(); } x } careful(1)", "1")
            .run(|_| Ok(())),
        function("exit", "Leaves the program.")
            .optional("code", Kind::Int, "The exit code, 0 to 255; 0 if left out.")
            .run(|call| match call.get_or::<i64>("code", 0)? {
                code @ 0..=255 => Err::<(), _>(call.host.exit(code as i32)),
                code => fail!("parameter \"code\" must be between 0 and 255, not {code}"),
            }),
        function("elapsed", "Seconds since the program started.")
            .returns("float")
            .example("elapsed() >= 0.0", "true")
            .run(|call| Ok(call.host.clock().elapsed().as_secs_f64())),
        function("measure", "The mean seconds that a call of a function takes.")
            .param("function", Kind::Function, "A function without parameters.")
            .optional("times", Kind::Int, "How often to call it; once if left out.")
            .returns("float")
            .example("measure(|| 1 + 1, 10) >= 0.0", "true")
            .run(measure),
        function("sleep", "Waits; Ctrl-C ends it.")
            .param("seconds", Kind::Float, "How long.")
            .example("sleep(0.0)", "")
            .run(|call| {
                let seconds: f64 = call.get("seconds")?;
                let time = Duration::try_from_secs_f64(seconds)
                    .map_err(|_| Error::new(format!("can't wait {seconds} seconds")))?;
                call.host.sleep(time)
            }),
    ]
}

fn print() -> ScriptFn {
    function("print", "Prints values, separated by spaces.")
        .repeated("values", "What to print.")
        .example("print(\"loss\", 0.5)", "loss 0.5")
        .run(|call| {
            let registry = call.host.registry();
            if let [one] = call.rest(0).collect::<Vec<_>>()[..]
                && let Some(display) = registry.show(one)
            {
                call.host.show(display);
                return Ok(SHOWN.to_string());
            }
            let texts: Vec<String> = call.rest(0).map(|v| show::text(registry, v)).collect();
            Ok(texts.join(" "))
        })
}

fn show_help(call: &mut Call) -> Result<()> {
    let registry = call.host.registry();
    let name: Option<Dynamic> = call.get("name")?;
    let text = match name {
        None => help::overview(registry),
        Some(value) => match registry.type_of(&value) {
            Some(entry) => help::about(registry, &[], entry.name, Depth::Full)?,
            None => help::about(registry, &call.builtins(), &name_of(&value)?, Depth::Full)?,
        },
    };
    call.host.print(text);
    Ok(())
}

fn measure(call: &mut Call) -> Result<f64> {
    let function: Callback = call.get("function")?;
    let times: u32 = call.get_or("times", 1)?;
    let start = call.host.clock().elapsed();
    for _ in 0..times {
        let _: Dynamic = call.call(&function, [])?;
    }
    let time = call.host.clock().elapsed().saturating_sub(start);
    Ok(time.as_secs_f64() / f64::from(times.max(1)))
}

fn name_of(value: &Dynamic) -> Result<String> {
    if let Ok(text) = value.as_immutable_string_ref() {
        return Ok(text.to_string());
    }
    match value.read_lock::<rhai::FnPtr>() {
        Some(function) => Ok(function.fn_name().to_string()),
        None => fail!(
            "there is no help for {}; give a name as a string",
            crate::host::show::describe(value)
        ),
    }
}

fn assert(call: &mut Call) -> Result<()> {
    if call.get("condition")? {
        return Ok(());
    }
    match call.get::<Option<Dynamic>>("message")? {
        Some(message) => fail!(
            "assertion failed: {}",
            show::text(call.host.registry(), &message)
        ),
        None => fail!("assertion failed"),
    }
}

/// `--name value` or `--name=value`; a bare `--name` sets a bool.
fn param(call: &mut Call) -> Result<Dynamic> {
    let name: String = call.get("name")?;
    let default: Dynamic = call.get("default")?;
    let Some(text) = given(&call.host.args(), &name, default.is_bool()) else {
        return Ok(default);
    };
    let wrong = |kind: &str| Error::new(format!("--{name} must be {kind}, not \"{text}\""));
    if default.is_int() {
        return text
            .parse::<i64>()
            .map(Dynamic::from)
            .map_err(|_| wrong("a whole number"));
    }
    if default.is_float() {
        return text
            .parse::<f64>()
            .map(Dynamic::from)
            .map_err(|_| wrong("a number"));
    }
    if default.is_bool() {
        return text
            .parse::<bool>()
            .map(Dynamic::from)
            .map_err(|_| wrong("true or false"));
    }
    match default.is_string() || default.is_unit() {
        true => Ok(text.into()),
        false => fail!(
            "--{name} can't be given on the command line: its default is {}",
            crate::host::show::describe(&default)
        ),
    }
}

fn given(args: &[String], name: &str, switch: bool) -> Option<String> {
    let flag = format!("--{name}");
    let at = args.iter().rposition(|arg| {
        arg == &flag
            || arg
                .strip_prefix(&flag)
                .is_some_and(|rest| rest.starts_with('='))
    })?;
    if let Some((_, value)) = args.get(at)?.split_once('=') {
        return Some(value.to_string());
    }
    match args.get(at + 1) {
        Some(next) if !switch || next == "true" || next == "false" => Some(next.clone()),
        _ if switch => Some("true".into()),
        _ => Some(String::new()),
    }
}
