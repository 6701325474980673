//! A scene as SVG elements, with what `toggle.js` needs to arrange it anew.

use std::fmt::Write;

use serde_json::json;

use super::arrange::{BAR, Box, Scene};
use super::boxes::{Face, LINE, NAME, SHADOW, SMALL, text_width};
use crate::graph::{Edge, Graph, Kind};
use crate::report::escape;

/// What is inside a group: edges first, so that boxes lie over them.
pub(super) fn inside(svg: &mut String, scene: &Scene, graph: &Graph) {
    let _ = write!(svg, "<g class=\"in\" data-l=\"{}\">", escape(&data(scene)));
    for (i, (_, _, edge)) in scene.links.iter().enumerate() {
        let title = escape(&values(edge, graph));
        let path = scene.path(i);
        let _ = write!(
            svg,
            "<path class=\"edge\" d=\"{path}\"><title>{title}</title></path>"
        );
    }
    for drawn in &scene.boxes {
        let (x, y) = (drawn.x, drawn.y);
        let _ = write!(
            svg,
            "<g class=\"box\" transform=\"translate({x:.1} {y:.1})\">"
        );
        match &drawn.inner {
            Some(inner) => group(svg, drawn, inner, graph),
            None => plain(svg, &drawn.face, drawn.face.class),
        }
        if !drawn.face.note.is_empty() {
            let (y, note) = (drawn.size.height + 12.0, escape(&drawn.face.note));
            let _ = write!(
                svg,
                "<text class=\"note\" x=\"5\" y=\"{y:.1}\">{note}</text>"
            );
        }
        svg.push_str("</g>\n");
    }
    svg.push_str("</g>");
}

/// The places with all groups closed: height, rows (top, height), boxes (row, middle, width, height, how
/// far to the right), edges (from, to, where at the box, places passed).
fn data(scene: &Scene) -> String {
    let round = |x: f64| (x * 10.0).round() / 10.0;
    let layout = &scene.layout;
    let rows = layout
        .rows
        .iter()
        .map(|(top, height)| [round(*top), round(*height)]);
    let boxes = scene.boxes.iter().zip(&layout.boxes).map(|(b, (row, x))| {
        json!([
            row,
            round(*x),
            round(b.face.width),
            round(b.face.height),
            round(b.face.size().right())
        ])
    });
    let edges = scene.links.iter().enumerate().map(|(i, (from, to, _))| {
        let path: Vec<f64> = layout.paths[i].iter().map(|x| round(*x)).collect();
        json!([from, to, round(scene.ports[i]), path])
    });
    json!({
        "h": round(layout.height),
        "r": rows.collect::<Vec<_>>(),
        "b": boxes.collect::<Vec<_>>(),
        "e": edges.collect::<Vec<_>>(),
    })
    .to_string()
}

fn plain(svg: &mut String, face: &Face, class: &str) {
    let _ = write!(
        svg,
        "<g class=\"{class}\"><title>{}</title>",
        escape(&face.details)
    );
    rect(svg, "", face.width, face.height);
    texts(svg, face);
    svg.push_str("</g>");
}

fn texts(svg: &mut String, face: &Face) {
    let baseline = NAME + 4.0;
    let name = escape(&face.name);
    let _ = write!(
        svg,
        "<text class=\"name mid\" y=\"{baseline}\">{name}</text>"
    );
    for (i, line) in face.lines.iter().enumerate() {
        let (y, line) = (baseline + LINE * (i + 1) as f64, escape(line));
        let _ = write!(svg, "<text class=\"label mid\" y=\"{y}\">{line}</text>");
    }
}

fn rect(svg: &mut String, attributes: &str, width: f64, height: f64) {
    let x = -width / 2.0;
    let _ = write!(
        svg,
        "<rect {attributes} x=\"{x:.1}\" width=\"{width:.1}\" height=\"{height:.1}\"/>"
    );
}

/// Both forms of a group; the one that is not shown has `display="none"`.
fn group(svg: &mut String, drawn: &Box, inner: &Scene, graph: &Graph) {
    let face = &drawn.face;
    let hidden = |yes: bool| if yes { " display=\"none\"" } else { "" };
    let title = escape(&face.details);
    let _ = write!(
        svg,
        "<g class=\"shut\"{}><title>{title}</title>",
        hidden(inner.open)
    );
    let mut height = face.height;
    if let Kind::Stack { .. } = inner.group.kind {
        height -= SHADOW;
        for step in [SHADOW, SHADOW / 2.0] {
            let moved = format!("transform=\"translate({step} {step})\"");
            rect(svg, &moved, face.width, height);
        }
    }
    rect(svg, "", face.width, height);
    texts(svg, face);
    let width = inner.size.width.max(face.width);
    let height = inner.size.height + BAR;
    let _ = write!(svg, "</g><g class=\"wide\"{}>", hidden(!inner.open));
    rect(svg, "class=\"frame\"", width, height);
    let _ = write!(svg, "<g class=\"bar\"><title>{title}</title>");
    rect(svg, "", width, BAR);
    let full = format!("{} · {}", face.name, inner.group.summary());
    let fits = text_width(&full, SMALL) < inner.layout.width.max(face.width);
    let text = escape(if fits { &full } else { &face.name });
    let _ = write!(svg, "<text class=\"mid\" y=\"16\">{text}</text></g>");
    let left = -inner.size.width / 2.0;
    let _ = write!(svg, "<g transform=\"translate({left:.1} {BAR})\">");
    inside(svg, inner, graph);
    svg.push_str("</g></g>");
}

/// Names and types of the values that pass along an edge.
fn values(edge: &Edge, graph: &Graph) -> String {
    let values = edge.values.iter().map(|id| &graph.values[*id]);
    let texts: Vec<String> = values.map(|v| format!("{}: {}", v.name, v.ty)).collect();
    texts.join("\n")
}
