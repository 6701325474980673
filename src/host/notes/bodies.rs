//! Functions with bodies of our making. The crate lets nobody make a body, so they are parsed: from a text that has a
//! word for each of them at its place, for debuggers ask for the places of bodies.

use std::sync::{Mutex, PoisonError};

use rhai::{Dynamic, Engine, Position, ScriptFuncDef, Shared, Token};

use super::block::{KEY, Part};

type Function = Shared<ScriptFuncDef>;

/// The functions with these parts for bodies.
pub(super) fn with_bodies(mut bodies: Vec<(Function, Part)>) -> Vec<Function> {
    let begin = |function: &Function| place(function.body.start_position());
    bodies.sort_by_key(|(function, _)| begin(function));
    let mut sheets: Vec<Sheet> = Vec::new();
    for (function, part) in bodies {
        // A closure stands inside of another function: on another sheet.
        let fits = |sheet: &Sheet| sheet.end <= begin(&function);
        let at = sheets.iter().position(fits).unwrap_or(sheets.len());
        if at == sheets.len() {
            sheets.push(Sheet::default());
        }
        sheets[at].add(function, part);
    }
    sheets.into_iter().flat_map(Sheet::parsed).collect()
}

/// Line and column, from 1.
type Place = (usize, usize);

fn place(position: Position) -> Place {
    (
        position.line().unwrap_or(1),
        position.position().unwrap_or(1),
    )
}

/// A text of functions that do not overlap.
struct Sheet {
    text: String,
    end: Place,
    functions: Vec<Function>,
    parts: Vec<Part>,
}

impl Default for Sheet {
    fn default() -> Self {
        Self {
            text: String::new(),
            end: (1, 1),
            functions: Vec::new(),
            parts: Vec::new(),
        }
    }
}

impl Sheet {
    /// The word for a body.
    const BODY: &str = "body";

    fn add(&mut self, function: Function, part: Part) {
        let open = format!("fn f{}(){{", self.functions.len());
        let (line, column) = place(function.body.start_position());
        self.pad((line, column.saturating_sub(open.len() - 1)));
        self.push(&open);
        self.push(Self::BODY);
        let end = function.body.end_position();
        if !end.is_none() {
            self.pad(place(end));
        }
        self.push("}");
        self.functions.push(function);
        self.parts.push(part);
    }

    fn push(&mut self, text: &str) {
        self.text += text;
        self.end.1 += text.len();
    }

    /// Goes on to a place, if it is not behind it.
    fn pad(&mut self, (line, column): Place) {
        if line > self.end.0 {
            let lines = line - self.end.0;
            self.text.extend(std::iter::repeat_n('\n', lines));
            self.end = (line, 1);
        }
        let columns = column.saturating_sub(self.end.1);
        self.push(&" ".repeat(columns));
    }

    fn parsed(self) -> Vec<Function> {
        let mut parser = Engine::new_raw();
        #[allow(deprecated, reason = "the crate marks it so because it may change")]
        parser.on_parse_token(|token, _, _| match token {
            Token::Identifier(name) if *name == Self::BODY => Token::Custom(Box::new(KEY.into())),
            token => token,
        });
        let parts = Mutex::new(self.parts.into_iter());
        parser.register_custom_syntax_with_state_raw(
            KEY,
            move |_, _, state| {
                let mut parts = parts.lock().unwrap_or_else(PoisonError::into_inner);
                *state = parts.next().map_or(Dynamic::UNIT, Dynamic::from);
                Ok(None)
            },
            false,
            |_, _, _| Ok(Dynamic::UNIT),
        );
        let mut functions = self.functions;
        let Ok(ast) = parser.compile(self.text) else {
            return functions;
        };
        for template in ast.iter_fn_def() {
            let at = template.name[1..].parse::<usize>().ok();
            if let Some(function) = at.and_then(|at| functions.get_mut(at)) {
                let mut changed = (**function).clone();
                changed.body = template.body.clone();
                *function = changed.into();
            }
        }
        functions
    }
}
