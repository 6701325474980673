//! A page that stands alone: cells and outputs in HTML.

use super::Cell;
use crate::report::{Display, escape};
use crate::session::lexer::{Kind, lex};
use crate::session::transcript::Output;

const STYLE: &str = "\
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; font: 15px/1.5 system-ui, sans-serif; color: #1f2328; }
pre { margin: 0; font: 13px/1.5 ui-monospace, Menlo, Consolas, monospace; white-space: pre-wrap; overflow-wrap: anywhere; }
.cell { display: grid; grid-template-columns: 5rem 1fr; gap: .3rem .8rem; margin-bottom: 1.2rem; }
.mark { font: 12px/1.7 ui-monospace, monospace; color: #818b98; text-align: right; }
.code { background: #f6f8fa; border: 1px solid #d1d9e0; border-radius: 6px; padding: .5rem .8rem; }
.out { padding: 0 .8rem; overflow-x: auto; font-size: 13px; } .error { color: #a40e26; }
.k { color: #cf222e; } .s { color: #0a3069; } .n { color: #0550ae; } .c { color: #6e7781; font-style: italic; } .f { color: #8250df; }
table { border-collapse: collapse; font-size: 13px; } td, th { padding: .2rem .7rem; border-bottom: 1px solid #d1d9e0; } figcaption { font-size: 13px; }
@media (max-width: 40rem) { .cell { grid-template-columns: 1fr; } .mark { text-align: left; } .mark:empty { display: none; } .out { padding: 0; } }
@media (prefers-color-scheme: dark) {
  body { background: #0d1117; color: #d1d7e0; } .code { background: #151b23; border-color: #3d444d; }
  .k { color: #ff7b72; } .s { color: #a5d6ff; } .n { color: #79c0ff; } .c { color: #9198a1; } .f { color: #d2a8ff; } .error { color: #ff7b72; }
  td, th { border-color: #3d444d; }
}";

/// The cells as a page with that title.
pub(in crate::session) fn page(cells: &[Cell], title: &str) -> String {
    let title = escape(title);
    let body: String = cells.iter().map(cell).collect();
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}</title>\n<style>\n{STYLE}\n</style>\n</head>\n<body>\n<h1>{title}</h1>\n{body}</body>\n</html>\n"
    )
}

fn cell(cell: &Cell) -> String {
    let number = cell.number;
    let code = coloured(&cell.code);
    let mut text = format!(
        "<div class=\"cell\">\n<div class=\"mark\">In&nbsp;[{number}]</div><div class=\"code\"><pre>{code}</pre></div>\n"
    );
    for output in &cell.outputs {
        let (mark, shown) = match output {
            Output::Text(words) => (String::new(), pre(words, "")),
            Output::Display(display) => (String::new(), display.html()),
            Output::Result(Display::Text(words)) => (format!("Out[{number}]"), pre(words, "")),
            Output::Result(display) => (format!("Out[{number}]"), display.html()),
            Output::Problem(_, words) => (String::new(), pre(words, " class=\"error\"")),
        };
        text += &format!("<div class=\"mark\">{mark}</div><div class=\"out\">{shown}</div>\n");
    }
    format!("{text}</div>\n")
}

fn pre(text: &str, class: &str) -> String {
    format!("<pre{class}>{}</pre>", escape(text.trim_end_matches('\n')))
}

/// Code with its words in colours.
fn coloured(code: &str) -> String {
    let mut text = String::new();
    let mut end = 0;
    for token in lex(code) {
        text += &escape(&code[end..token.start]);
        let word = escape(&code[token.start..token.end]);
        end = token.end;
        let class = match token.kind {
            Kind::Keyword => "k",
            Kind::Text => "s",
            Kind::Number => "n",
            Kind::Comment => "c",
            Kind::Call => "f",
            _ => {
                text += &word;
                continue;
            }
        };
        text += &format!("<span class=\"{class}\">{word}</span>");
    }
    format!("{text}{}", escape(&code[end..]))
}
