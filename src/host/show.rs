//! Script values as text: one line for a cell or message, wrapped and cut to size for the prompt.

use rhai::{Array, Dynamic, FnPtr, Map};

use super::nested::array;
use super::records::records;
use super::registry::Registry;
use crate::numeric::Stats;
use crate::report::{Display, corners, stats_line};

/// Elements of an array or map that are shown before "… n more".
const MOST: usize = 1000;
/// Lines of an array inside of something else before "… n more".
const INNER_LINES: usize = 2;

/// One line, as a script would write it: strings quoted, our types in their own words.
pub fn line(registry: &Registry, value: &Dynamic) -> String {
    if let Some(line) = registry.line(value) {
        return line;
    }
    if let Some(items) = value.read_lock::<Array>() {
        let items = parts(items.len(), items.iter().map(|item| line(registry, item)));
        return format!("[{}]", items.join(", "));
    }
    if let Some(map) = value.read_lock::<Map>() {
        let entries = map
            .iter()
            .map(|(key, item)| format!("{}: {}", map_key(key), line(registry, item)));
        return format!("#{{{}}}", parts(map.len(), entries).join(", "));
    }
    if let Some(function) = value.read_lock::<FnPtr>() {
        return match function.is_anonymous() {
            true => "closure".into(),
            false => format!("Fn(\"{}\")", function.fn_name()),
        };
    }
    if let Ok(text) = value.as_immutable_string_ref() {
        return format!("{:?}", text.as_str());
    }
    match value.is_unit() {
        true => "()".into(),
        false => plain(value),
    }
}

/// The text that `print` gives: strings without quotes.
pub fn text(registry: &Registry, value: &Dynamic) -> String {
    match value.as_immutable_string_ref() {
        Ok(text) => text.to_string(),
        Err(_) => line(registry, value),
    }
}

/// So many numbers are shown one by one.
const NUMBERS: usize = 200;

/// Type, shape and statistics of numbers in one line: of a tensor, or of an array of more than a few.
pub fn stats(registry: &Registry, value: &Dynamic) -> Option<String> {
    const FEW: usize = 8;
    registry.stats(value).or_else(|| {
        let array = array(value).ok().filter(|array| array.len() > FEW)?;
        Some(stats_of(&array))
    })
}

fn stats_of(array: &crate::numeric::Array) -> String {
    let stats = Stats::of_values(array.to_f64s().into_iter());
    stats_line("array", array.shape(), &stats)
}

/// What the prompt shows for a value, in at most `width` columns where that can be.
pub fn rich(registry: &Registry, value: &Dynamic, width: usize) -> Display {
    if let Some(display) = registry.show(value) {
        return display;
    }
    if value.is_array()
        && let Ok(array) = array(value)
        && array.len() > NUMBERS
    {
        let numbers = corners(array.shape(), &array.to_f64s(), width);
        return Display::Text(format!("{}\n{numbers}", stats_of(&array)));
    }
    let text = full(registry, value, width);
    match records(registry, value).filter(|_| text.contains('\n')) {
        Some(table) => Display::Table(table),
        None => Display::Text(text),
    }
}

/// Text of several lines stands in back-ticks, as a script would write it.
fn full(registry: &Registry, value: &Dynamic, width: usize) -> String {
    match value.as_immutable_string_ref() {
        Ok(text) if text.contains('\n') && !text.contains('`') && !text.contains("${") => {
            format!("`{}`", text.as_str())
        }
        _ => wrapped(registry, value, 0, width),
    }
}

fn wrapped(registry: &Registry, value: &Dynamic, indent: usize, width: usize) -> String {
    let flat = line(registry, value);
    if indent + flat.chars().count() <= width {
        return flat;
    }
    let inner = indent + 2;
    let margin = " ".repeat(inner);
    let close = " ".repeat(indent);
    if let Some(items) = value.read_lock::<Array>() {
        let nested = items.iter().any(|item| item.is_array() || item.is_map());
        let items = parts(
            items.len(),
            items
                .iter()
                .map(|item| wrapped(registry, item, inner, width)),
        );
        let body = match nested {
            true => items.join(&format!(",\n{margin}")),
            false => filled(
                &items,
                inner,
                width,
                if indent > 0 { INNER_LINES } else { MOST },
            ),
        };
        return format!("[\n{margin}{body}\n{close}]");
    }
    if let Some(map) = value.read_lock::<Map>() {
        let entries = map.iter().map(|(key, item)| {
            format!(
                "{}: {}",
                map_key(key),
                wrapped(registry, item, inner, width)
            )
        });
        let body = parts(map.len(), entries).join(&format!(",\n{margin}"));
        return format!("#{{\n{margin}{body}\n{close}}}");
    }
    flat
}

/// As many items on a line as fit, on so many lines.
fn filled(items: &[String], indent: usize, width: usize, lines: usize) -> String {
    let margin = " ".repeat(indent);
    let mut text = String::new();
    let mut column = indent;
    let mut line = 1;
    for (at, item) in items.iter().enumerate() {
        let size = item.chars().count() + 2;
        if at > 0 && column + size > width {
            line += 1;
            if line > lines {
                text.push_str(&format!(",\n{margin}… {} more", items.len() - at));
                break;
            }
            text.push_str(",\n");
            text.push_str(&margin);
            column = indent;
        } else if at > 0 {
            text.push_str(", ");
        }
        text.push_str(item);
        column += size;
    }
    text
}

fn parts(count: usize, items: impl Iterator<Item = String>) -> Vec<String> {
    let mut parts: Vec<String> = items.take(MOST).collect();
    if count > MOST {
        parts.push(format!("… {} more", count - MOST));
    }
    parts
}

fn map_key(key: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    match key.chars().all(plain) && key.starts_with(|c: char| c.is_ascii_alphabetic()) {
        true => key.to_string(),
        false => format!("{key:?}"),
    }
}

/// Numbers and the like as the engine writes them; other Rust values by their type.
fn plain(value: &Dynamic) -> String {
    // The engine writes small ones with all their zeros.
    if let Ok(float) = value.as_float()
        && float != 0.0
        && float.abs() < 1e-4
    {
        return format!("{float:e}");
    }
    let known = value.is_int() || value.is_float() || value.is_bool() || value.is_char();
    if known || value.type_name() == "range" {
        return value.to_string();
    }
    let text = value.to_string();
    match text.contains("::") {
        true => type_name(value),
        false => text,
    }
}

/// A value in an error message: its type, and the value if it is short.
pub fn describe(value: &Dynamic) -> String {
    if value.is_unit() {
        return "()".into();
    }
    let name = type_name(value);
    match value.is_int() || value.is_float() || value.is_bool() {
        true => format!("{name} {value}"),
        false => article(&name),
    }
}

fn article(name: &str) -> String {
    let vowel = name.starts_with(['a', 'e', 'i', 'o', 'u', 'A', 'E', 'I', 'O', 'U']);
    format!("{} {name}", if vowel { "an" } else { "a" })
}

/// The type's name as signatures write it.
pub fn type_name(value: &Dynamic) -> String {
    rename(value.type_name()).to_string()
}

/// The engine's name of a type as signatures write it.
pub fn rename(name: &str) -> &str {
    match name.trim() {
        "i64" => "int",
        "f64" => "float",
        "Fn" => "function",
        "&str | ImmutableString | String" | "ImmutableString" | "&str" | "String" => "string",
        "()" => "()",
        other => other.rsplit("::").next().unwrap_or(other),
    }
}
