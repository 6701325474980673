//! The fonts of pictures. They are part of the program, so that a picture is the same on every machine; what
//! they lack, such as Chinese and Japanese, is looked for among the fonts of this one.

use std::sync::{Arc, LazyLock};

use resvg::usvg::FontResolver;
use resvg::usvg::fontdb::{Database, ID, Source, Style};

/// The family of text that names none.
pub(super) const FAMILY: &str = "Ubuntu";

pub(super) static OWN: LazyLock<Arc<Database>> = LazyLock::new(|| {
    let mut fonts = Database::new();
    for font in [
        epaint_default_fonts::UBUNTU_LIGHT,
        epaint_default_fonts::HACK_REGULAR,
        epaint_default_fonts::NOTO_EMOJI_REGULAR,
    ] {
        fonts.load_font_source(Source::Binary(Arc::new(font)));
    }
    fonts.set_sans_serif_family(FAMILY);
    Arc::new(fonts)
});

/// Those, and what this machine has: upright, neither thin nor bold.
static ALL: LazyLock<Arc<Database>> = LazyLock::new(|| {
    let mut fonts = Database::clone(&OWN);
    fonts.load_system_fonts();
    let own: Vec<ID> = OWN.faces().map(|face| face.id).collect();
    let odd = fonts.faces().filter(|face| {
        let plain = face.style == Style::Normal && (300..=500).contains(&face.weight.0);
        !plain && !own.contains(&face.id)
    });
    for id in odd.map(|face| face.id).collect::<Vec<_>>() {
        fonts.remove_face(id);
    }
    Arc::new(fonts)
});

/// Looks for a letter in the program's fonts, and only then in the machine's.
pub(super) fn resolver() -> FontResolver<'static> {
    let find = FontResolver::default_fallback_selector();
    FontResolver {
        select_fallback: Box::new(move |letter, tried, fonts| {
            find(letter, tried, fonts).or_else(|| {
                *fonts = ALL.clone();
                find(letter, tried, fonts)
            })
        }),
        ..FontResolver::default()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Plot;

    /// A letter without a font is a box, whichever it is.
    #[test]
    fn letters_of_all_scripts_are_told_apart_where_there_are_fonts() {
        let drawn = |title| {
            let plot = Plot::new(title).values("", &[0.0, 1.0]);
            plot.pixels(200, 100, 1.0).unwrap()
        };
        assert!(drawn("é") != drawn("è") && drawn("😀") != drawn("🚀"));
        assert!(drawn("a") == drawn("a"));
        let box_or_space = drawn("\u{e000}");
        if drawn("中") == box_or_space {
            eprintln!("skipped: no font here has Chinese letters");
            return;
        }
        assert!(drawn("中") != drawn("国"));
    }
}
