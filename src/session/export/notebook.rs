//! A Jupyter notebook, format 4.5 (<https://nbformat.readthedocs.io>).

use serde_json::{Value, json};

use super::{Cell, WIDTH};
use crate::report::Display;
use crate::session::transcript::Output;

/// The cells as a notebook.
pub(in crate::session) fn notebook(cells: &[Cell]) -> Value {
    let cells: Vec<Value> = cells.iter().map(cell).collect();
    json!({
        "cells": cells,
        "metadata": {
            "kernelspec": {
                "display_name": "RLAIF (Rhai)",
                "language": "rhai",
                "name": "rlaif-repl",
            },
            // As the kernel tells it.
            "language_info": {
                "codemirror_mode": "javascript",
                "file_extension": ".rhai",
                "mimetype": "text/x-rhai",
                "name": "rhai",
                "pygments_lexer": "rust",
            },
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    })
}

fn cell(cell: &Cell) -> Value {
    let number = cell.number;
    let outputs: Vec<Value> = cell
        .outputs
        .iter()
        .map(|output| self::output(number, output))
        .collect();
    json!({
        "cell_type": "code",
        "id": format!("cell-{number}"),
        "metadata": {},
        "execution_count": number,
        "source": lines(&cell.code),
        "outputs": outputs,
    })
}

fn output(number: usize, output: &Output) -> Value {
    match output {
        Output::Text(text) => json!({
            "output_type": "stream",
            "name": "stdout",
            "text": lines(text),
        }),
        Output::Display(display) => json!({
            "output_type": "display_data",
            "metadata": display.metadata(),
            "data": data(display),
        }),
        Output::Result(display) => json!({
            "output_type": "execute_result",
            "metadata": display.metadata(),
            "execution_count": number,
            "data": data(display),
        }),
        Output::Problem(message, text) => json!({
            "output_type": "error",
            "ename": "error",
            "evalue": message,
            "traceback": text.lines().collect::<Vec<_>>(),
        }),
    }
}

/// A display in the forms that a notebook chooses from.
fn data(display: &Display) -> Value {
    let mut data = json!({ "text/plain": lines(&display.plain(WIDTH)) });
    let forms = [
        ("text/html", display.notebook()),
        ("image/svg+xml", display.svg()),
    ];
    for (kind, text) in forms {
        if let Some(text) = text {
            data[kind] = lines(&text);
        }
    }
    data
}

/// A text as notebooks keep it: an array of lines with their ends.
fn lines(text: &str) -> Value {
    text.split_inclusive('\n').collect::<Vec<_>>().into()
}
