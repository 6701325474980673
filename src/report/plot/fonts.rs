//! The fonts of pictures. They are part of the program, so that a picture is the same on every machine; what
//! they lack, such as Chinese and Japanese, is looked for among the fonts of this one.

use std::sync::{Arc, LazyLock};

use resvg::usvg::FontResolver;
use resvg::usvg::fontdb::{Database, FaceInfo, Source, Style};

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

/// Those, and what this machine has: upright, neither thin nor bold, without serifs first.
static ALL: LazyLock<Arc<Database>> = LazyLock::new(|| {
    let mut system = Database::new();
    system.load_system_fonts();
    let plain =
        |face: &&FaceInfo| face.style == Style::Normal && (300..=500).contains(&face.weight.0);
    let mut faces: Vec<FaceInfo> = system.faces().filter(plain).cloned().collect();
    faces.sort_by_cached_key(|face| {
        let name = face.post_script_name.clone();
        (name.contains("Serif"), face.monospaced, name, face.index)
    });
    // Not the system's names for the families: text that has letters of ours keeps them.
    let mut fonts = Database::clone(&OWN);
    for face in faces {
        fonts.push_face_info(face);
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
        // The other text is as ever.
        let below = |title| drawn(title).data()[30 * 200 * 4..].to_vec();
        assert!(below("中") == below("a"));
    }
}
