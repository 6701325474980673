//! Completion of magics: their names, the files and the cells that they take.

use super::MAGICS;
use crate::session::candidates::{Candidate, Thing, entries};
use crate::session::matching::Fit;
use crate::session::{Completions, Session};

impl Session {
    /// What could stand at the end of the text, if that is the name of a magic or a file for one.
    pub(in crate::session) fn complete_magic(&self, text: &str) -> Option<Completions> {
        let typed = text.strip_prefix('%')?;
        let start = if typed.starts_with('%') { 2 } else { 1 };
        let typed = &text[start..];
        let Some((name, rest)) = typed.split_once(char::is_whitespace) else {
            let fits = MAGICS
                .iter()
                .filter(|magic| magic.name.starts_with(typed) && (start == 1 || magic.code));
            let candidate = |magic: &super::Magic| {
                let label = format!("{} {}", magic.name, magic.args);
                Candidate::new(
                    Thing::Keyword,
                    format!("{} ", magic.name),
                    label.trim_end(),
                    magic.summary,
                )
            };
            return Some(Completions {
                start,
                candidates: fits.map(candidate).collect(),
            });
        };
        let magic = MAGICS.iter().find(|magic| magic.name == name)?;
        let takes_file = magic.args.starts_with("file") && !rest.trim().contains(' ');
        takes_file.then(|| {
            let path = rest.trim_start();
            let (folder, name) = path.split_at(path.rfind('/').map_or(0, |at| at + 1));
            let mut candidates = entries(
                &self.host().resolve(folder),
                Fit::Start(name),
                name.starts_with('.'),
                &[],
            );
            for candidate in &mut candidates {
                candidate.text = candidate.text.trim_end_matches('"').to_string();
            }
            Completions {
                start: text.len() - name.len(),
                candidates,
            }
        })
    }
}
