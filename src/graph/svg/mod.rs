//! A graph as an SVG document: open it in a browser, and a click opens or closes a group. Without scripts
//! (in a paper, in an image viewer) it shows the groups as they stand at first.

mod arrange;
mod boxes;
mod draw;

use std::fmt::Write;

use super::{Graph, View};
use crate::diag::Result;
use crate::report::escape;
use arrange::Scene;

/// Room for the title.
const TITLE: f64 = 46.0;

impl Graph {
    /// The drawing, with the groups that `view` opens.
    pub fn to_svg(&self, view: &View) -> Result<String> {
        let open = self.open(view)?;
        let scene = Scene::of(&self.root, self, &open);
        let (width, height) = (scene.size.width.max(320.0), scene.size.height + TITLE);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" \
             viewBox=\"0 0 {width:.0} {height:.0}\" data-title=\"{TITLE}\">\n<style>{}</style>\n\
             <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n",
            include_str!("style.css")
        );
        let title = format!("{} · {}", self.name, self.root.summary());
        let hint = match self.root.groups().next() {
            Some(_) => "click a group to open or close it, with Shift all inside it",
            None => "",
        };
        let _ = writeln!(
            svg,
            "<text class=\"title\" x=\"18\" y=\"22\">{}</text>\
             <text class=\"hint\" x=\"18\" y=\"38\">{hint}</text>",
            escape(&title)
        );
        let _ = write!(svg, "<g transform=\"translate(0 {TITLE})\">");
        draw::inside(&mut svg, &scene, self);
        let script = include_str!("toggle.js");
        let _ = write!(
            svg,
            "</g>\n<script><![CDATA[\n{script}]]></script>\n</svg>\n"
        );
        Ok(svg)
    }
}
