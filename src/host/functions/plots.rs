//! Plots: lines, points, histograms, bars, heat maps.

use std::path::PathBuf;

use rhai::{Array, Dynamic, Map};

use super::likelihood::map;
use super::logits::Logits;
use super::tensors::Tensor;
use crate::diag::{Context as _, Result};
use crate::fail;
use crate::files;
use crate::host::nested::array;
use crate::host::{
    Call, Key, Kind, ScriptFn, ScriptValue, Topic, TypeEntry, function, method, show,
};
use crate::report::{Display, Drawing, Heat, Histogram, Plot};

pub(super) const TOPIC: Topic = Topic {
    name: "plots",
    summary: "Lines, points, histograms, bars and heat maps, on the screen and in files.",
    functions,
    types: || vec![TypeEntry::of::<Plot>()],
};

impl ScriptValue for Plot {
    const NAME: &'static str = "Plot";
    const SUMMARY: &'static str = "A drawing: lines, points, a histogram, bars or a heat map.";

    fn line(&self) -> String {
        let count = |n: usize, one: &str| format!("{n} {one}{}", if n == 1 { "" } else { "s" });
        let what = match &self.drawing {
            Drawing::Series(all) => count(all.len(), "series").replace("seriess", "series"),
            Drawing::Histogram(histogram) => count(histogram.counts.len(), "bin"),
            Drawing::Bars(bars) => count(bars.len(), "bar"),
            Drawing::Heat(heat) => format!("{} × {}", heat.values().len(), heat.width()),
        };
        format!("Plot({:?}, {what})", self.title)
    }

    fn show(&self) -> Display {
        Display::Plot(self.clone())
    }
}

/// What stands around every drawing.
const LABELS: &[Key] = &[
    Key::text("title", "", "Stands above the plot."),
    Key::text("x", "", "Label of the horizontal axis."),
    Key::text("y", "", "Label of the vertical axis."),
];

const FILE: &[Key] = &[
    Key::int("width", 800, "Pixels from left to right.").between(50.0, 8000.0),
    Key::int("height", 450, "Pixels from top to bottom.").between(50.0, 8000.0),
    Key::float(
        "scale",
        2.0,
        "Of a PNG, how many times as many pixels it has.",
    )
    .between(0.1, 8.0),
];

const BINS: &[Key] = &[
    Key::optional(
        "bins",
        Kind::Int,
        "How many intervals; as many as suit the values if left out.",
    )
    .between(1.0, 10_000.0),
    Key::optional(
        "low",
        Kind::Float,
        "Where they start; at the least value if left out.",
    ),
    Key::optional(
        "high",
        Kind::Float,
        "Where they end; at the largest value if left out.",
    ),
];

const HEAT: &[Key] = &[
    Key::optional("rows", Kind::Array, "Names of the rows."),
    Key::optional("columns", Kind::Array, "Names of the columns."),
    Key::optional(
        "low",
        Kind::Float,
        "The number of the first colour; the least if left out.",
    ),
    Key::optional(
        "high",
        Kind::Float,
        "The number of the last colour; the largest if left out.",
    ),
];

const MATRIX: Kind = Kind::Either(&[
    Kind::Array,
    Kind::object::<Tensor>(),
    Kind::object::<Logits>(),
]);
const NUMBERS: Kind = Kind::Either(&[Kind::Array, Kind::object::<Tensor>()]);
const NUMBERS_BY_NAME: Kind = Kind::Either(&[Kind::Array, Kind::Map]);

fn functions() -> Vec<ScriptFn> {
    vec![
        function("plot", "A line plot of numbers, or of several arrays of them by name.")
            .param("data", NUMBERS_BY_NAME, "Numbers or [x, y] pairs, or a map from names to arrays of such.")
            .options(LABELS)
            .returns("Plot")
            .example("[plot([1, 4, 9], #{title: \"squares\"})]", "[Plot(\"squares\", 1 series)]")
            .run(|call| series(call, |plot, name, points| plot.series(name, points))),
        function("scatter", "Points, or several groups of them by name.")
            .param("data", NUMBERS_BY_NAME, "[x, y] pairs, or a map from names to arrays of them; x values if `y` is given.")
            .optional("y", Kind::Array, "As many y values.")
            .options(LABELS)
            .returns("Plot")
            .example("[scatter([1, 2, 3], [1, 4, 9])]", "[Plot(\"\", 1 series)]")
            .run(scatter),
        function("histogram", "How often values fall into each of a row of equal intervals.")
            .param("values", NUMBERS, "Numbers, or a tensor of them; those that are not finite are counted apart.")
            .options(BINS)
            .options(LABELS)
            .returns("Plot")
            .example("[histogram([1, 2, 2, 3, 3, 3], #{bins: 3})]", "[Plot(\"\", 3 bins)]")
            .run(histogram),
        function("bars", "A bar for each name, from 0.")
            .param("data", NUMBERS_BY_NAME, "A map from names to numbers (in the order of the alphabet), or an array of [name, number].")
            .options(LABELS)
            .returns("Plot")
            .example("[bars([[\"chosen\", 1.5], [\"rejected\", -0.5]])]", "[Plot(\"\", 2 bars)]")
            .run(bars),
        function("heatmap", "A matrix as colours: of attention, of logits, of weights.")
            .param("matrix", MATRIX, "Arrays of numbers, one a row, or a tensor of two sides; or logits, of which the probabilities of the likeliest tokens after each position are shown.")
            .options(HEAT)
            .options(LABELS)
            .returns("Plot")
            .details("From blue over white at 0 to red where numbers of both signs are, else from dark to bright. On a screen that is too small, means of blocks are shown.")
            .example("[heatmap([[0.9, 0.1], [0.2, 0.8]], #{rows: [\"a\", \"b\"]})]", "[Plot(\"\", 2 × 2)]")
            .run(heatmap),
        method::<Plot>("save", "Writes the plot as an SVG or PNG file.")
            .param("path", Kind::Output(&["svg", "png"]), "The file; its ending tells the format.")
            .options(FILE)
            .example("plot([1, 4, 9]).save(\"p.svg\"); read_text(\"p.svg\").contains(\"<svg\")", "true")
            .run(save),
    ]
}

fn save(call: &mut Call) -> Result<()> {
    let plot = call.receiver::<Plot>()?;
    let path: PathBuf = call.get("path")?;
    let (width, height) = (call.options.get("width")?, call.options.get("height")?);
    let ending = path
        .extension()
        .map(|ending| ending.to_string_lossy().to_lowercase());
    let bytes = match ending.as_deref() {
        Some("svg") => plot.to_svg(width, height).into_bytes(),
        Some("png") => plot.to_png(width, height, call.options.get("scale")?)?,
        Some(other) => fail!("a plot is saved as .svg or .png, not as .{other}"),
        None => fail!("a plot is saved as .svg or .png: give the file one of these endings"),
    };
    files::write_atomic(&path, &bytes)
}

/// A plot with title and labels and nothing drawn.
fn labelled(call: &Call) -> Result<Plot> {
    let text = |key: &str| call.options.get::<String>(key);
    Ok(Plot::new(text("title")?).labels(text("x")?, text("y")?))
}

type Points = Vec<(f64, f64)>;

/// Numbers or pairs, or several of them by name.
fn series(call: &Call, add: fn(Plot, String, Points) -> Plot) -> Result<Plot> {
    let plot = labelled(call)?;
    let data: Dynamic = call.get("data")?;
    let Some(named) = data.read_lock::<Map>() else {
        return Ok(add(plot, String::new(), points(&data)?));
    };
    named.iter().try_fold(plot, |plot, (name, values)| {
        let points = points(values).with_context(|| format!("series \"{name}\""))?;
        Ok(add(plot, name.to_string(), points))
    })
}

fn scatter(call: &mut Call) -> Result<Plot> {
    let Some(y) = call.get::<Option<Vec<f64>>>("y")? else {
        return series(call, |plot, name, points| plot.dots(name, points));
    };
    let x: Vec<f64> = call.get("data")?;
    if x.len() != y.len() {
        fail!("there are {} x values and {} y values", x.len(), y.len());
    }
    Ok(labelled(call)?.dots("", x.into_iter().zip(y).collect()))
}

fn number(value: &Dynamic) -> Result<f64> {
    let whole = || value.as_int().map(|n| n as f64);
    match value.as_float().or_else(|_| whole()) {
        Ok(number) => Ok(number),
        Err(_) => fail!("expected a number, not {}", show::describe(value)),
    }
}

fn items(value: &Dynamic) -> Result<rhai::DynamicReadLock<'_, Array>> {
    match value.read_lock::<Array>() {
        Some(items) => Ok(items),
        None => fail!("expected an array, not {}", show::describe(value)),
    }
}

/// Numbers over 0, 1, 2, …, or pairs.
fn points(value: &Dynamic) -> Result<Points> {
    let point = |(at, item): (usize, &Dynamic)| {
        let Some(pair) = item.read_lock::<Array>() else {
            return Ok((at as f64, number(item)?));
        };
        match pair.as_slice() {
            [x, y] => Ok((number(x)?, number(y)?)),
            other => fail!("a point is [x, y], not an array of {}", other.len()),
        }
    };
    items(value)?.iter().enumerate().map(point).collect()
}

fn histogram(call: &mut Call) -> Result<Plot> {
    let values = match call.get::<Tensor>("values") {
        Ok(tensor) => tensor.array().to_f64s(),
        Err(_) => call.get("values")?,
    };
    let end = |key: &str| call.options.get::<Option<f64>>(key);
    let finite = || values.iter().copied().filter(|v| v.is_finite());
    let range = match (end("low")?, end("high")?) {
        (None, None) => None,
        (low, high) => Some((
            low.unwrap_or_else(|| finite().fold(f64::INFINITY, f64::min)),
            high.unwrap_or_else(|| finite().fold(f64::NEG_INFINITY, f64::max)),
        )),
    };
    let histogram = Histogram::new(&values, call.options.get("bins")?, range)?;
    Ok(labelled(call)?.drawing(Drawing::Histogram(histogram)))
}

fn bars(call: &mut Call) -> Result<Plot> {
    let data: Dynamic = call.get("data")?;
    let bars: Result<Vec<(String, f64)>> = match data.read_lock::<Map>() {
        Some(named) => {
            let bar = |(name, value): (&rhai::Identifier, &Dynamic)| {
                let value = number(value).with_context(|| format!("bar \"{name}\""))?;
                Ok((name.to_string(), value))
            };
            named.iter().map(bar).collect()
        }
        None => {
            let registry = call.host.registry();
            let bar = |item: &Dynamic| match items(item)?.as_slice() {
                [name, value] => Ok((show::text(registry, name), number(value)?)),
                other => fail!("a bar is [name, number], not an array of {}", other.len()),
            };
            items(&data)?.iter().map(bar).collect()
        }
    };
    Ok(labelled(call)?.drawing(Drawing::Bars(bars?)))
}

fn heatmap(call: &mut Call) -> Result<Plot> {
    let names = |key: &str| -> Result<Option<Vec<String>>> {
        let given: Option<Vec<Dynamic>> = call.options.get(key)?;
        let text = |value: &Dynamic| show::text(call.host.registry(), value);
        Ok(given.map(|given| given.iter().map(text).collect()))
    };
    let (rows, columns) = (names("rows")?, names("columns")?);
    let mut heat = match (call.get::<Logits>("matrix"), call.get::<Tensor>("matrix")) {
        (Ok(logits), _) => map(&logits)?,
        (_, Ok(tensor)) => Heat::new(tensor.rows()?)?,
        _ => Heat::new(Tensor::new(array(&call.get("matrix")?)?).rows()?)?,
    };
    let kept = |names: &[String]| names.to_vec();
    let rows = rows.unwrap_or_else(|| kept(heat.row_names()));
    let columns = columns.unwrap_or_else(|| kept(heat.column_names()));
    heat = heat.names(rows, columns)?;
    heat = heat.between(call.options.get("low")?, call.options.get("high")?)?;
    Ok(labelled(call)?.drawing(Drawing::Heat(heat)))
}
