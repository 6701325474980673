//! Pictures in terminals that can show them: kitty's graphics protocol, iTerm2's inline images, sixel.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use icy_sixel::SixelImage;

use super::{Plot, Terminal};
use crate::diag::{Error, Result};

/// How the terminal takes pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Images {
    #[default]
    Off,
    /// <https://sw.kovidgoyal.net/kitty/graphics-protocol/>
    Kitty,
    /// <https://iterm2.com/documentation-images.html>
    Iterm,
    /// DEC's sixel, VT330/VT340 Programmer Reference Manual, chapter 14.
    Sixel,
}

/// The widest that a picture gets, in columns.
const COLUMNS: usize = 80;
/// Pixels of a column where the terminal scales pictures itself, and where it does not.
const PIXELS: u32 = 10;
/// The most of kitty's data in one piece.
const PIECE: usize = 4096;

impl Images {
    /// What `RLAIF_IMAGES` asks for (`kitty`, `iterm`, `sixel`, `off`), or with `auto` and without it what
    /// the terminal is known for. `variable` reads the environment. Terminals inside of tmux or screen get
    /// pictures only if asked: most of what those pass on is lost.
    ///
    /// # Errors
    /// Another word.
    pub fn detect(variable: &dyn Fn(&str) -> Option<String>) -> Result<Self> {
        let wanted = variable("RLAIF_IMAGES").unwrap_or_default();
        match wanted.as_str() {
            "" | "auto" => Ok(Self::known(variable)),
            "off" => Ok(Self::Off),
            "kitty" => Ok(Self::Kitty),
            "iterm" => Ok(Self::Iterm),
            "sixel" => Ok(Self::Sixel),
            other => {
                let known = ["auto", "off", "kitty", "iterm", "sixel"];
                Err(Error::unknown(
                    "way to show pictures (RLAIF_IMAGES)",
                    other,
                    known,
                ))
            }
        }
    }

    fn known(variable: &dyn Fn(&str) -> Option<String>) -> Self {
        let is = |name: &str, values: &[&str]| {
            variable(name).is_some_and(|value| values.contains(&value.as_str()))
        };
        let set = |name: &str| variable(name).is_some_and(|value| !value.is_empty());
        if set("NO_COLOR") || set("TMUX") || set("STY") || is("TERM", &["dumb"]) {
            Self::Off
        } else if set("KITTY_WINDOW_ID")
            || is("TERM", &["xterm-kitty", "xterm-ghostty"])
            || is("TERM_PROGRAM", &["ghostty"])
        {
            Self::Kitty
        } else if is("TERM_PROGRAM", &["iTerm.app", "WezTerm"]) {
            Self::Iterm
        } else if is(
            "TERM",
            &["foot", "foot-extra", "mlterm", "contour", "yaft-256color"],
        ) {
            Self::Sixel
        } else {
            Self::Off
        }
    }

    /// The plot as the bytes that show it, at most as wide as the terminal; nothing if it takes no pictures.
    pub(super) fn show(self, plot: &Plot, terminal: &Terminal) -> Result<Option<String>> {
        let columns = terminal.width.clamp(1, COLUMNS);
        let width = columns as u32 * PIXELS;
        // Sixels are six pixels high.
        let height = width * 5 / 8 / 6 * 6;
        Ok(match self {
            Self::Off => None,
            Self::Kitty => Some(kitty(&plot.to_png(width, height, 2.0)?, columns)),
            Self::Iterm => Some(iterm(&plot.to_png(width, height, 2.0)?, columns)),
            Self::Sixel => {
                let pixels = plot.pixels(width, height, 1.0)?;
                let (wide, high) = (pixels.width() as usize, pixels.height() as usize);
                let image = SixelImage::from_rgba(pixels.take_demultiplied(), wide, high);
                let sixel = image.encode();
                Some(sixel.map_err(|error| {
                    Error::new(format!("can't write the plot as sixel: {error}"))
                })?)
            }
        })
    }
}

/// A PNG, scaled to so many columns; the terminal is not to answer (`q=2`).
fn kitty(png: &[u8], columns: usize) -> String {
    let data = STANDARD.encode(png);
    let mut pieces = data.as_bytes().chunks(PIECE).peekable();
    let mut head = format!("a=T,f=100,q=2,c={columns},");
    let mut out = String::new();
    while let Some(piece) = pieces.next() {
        let more = u8::from(pieces.peek().is_some());
        let piece = String::from_utf8_lossy(piece);
        out.push_str(&format!("\x1b_G{head}m={more};{piece}\x1b\\"));
        head.clear();
    }
    out
}

fn iterm(png: &[u8], columns: usize) -> String {
    format!(
        "\x1b]1337;File=inline=1;size={};width={columns};preserveAspectRatio=1:{}\x07",
        png.len(),
        STANDARD.encode(png)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use resvg::tiny_skia::Pixmap;

    fn shown(images: Images) -> String {
        let plot = Plot::new("t").values("", &[0.0, 1.0, 0.5]);
        let terminal = Terminal {
            width: 30,
            images,
            ..Terminal::default()
        };
        plot.render(&terminal)
    }

    fn expected(scale: f32) -> Pixmap {
        let plot = Plot::new("t").values("", &[0.0, 1.0, 0.5]);
        plot.pixels(300, 186, scale).unwrap()
    }

    #[test]
    fn kitty_gets_a_png_in_pieces() {
        let bytes = shown(Images::Kitty);
        let mut data = String::new();
        let pieces: Vec<&str> = bytes.split("\x1b\\").filter(|p| !p.is_empty()).collect();
        for (at, piece) in pieces.iter().enumerate() {
            let (head, part) = piece
                .strip_prefix("\x1b_G")
                .unwrap()
                .split_once(';')
                .unwrap();
            let last = at + 1 == pieces.len();
            assert_eq!(head.starts_with("a=T,f=100,q=2,c=30,"), at == 0);
            assert!(head.ends_with(if last { "m=0" } else { "m=1" }), "{head}");
            assert!(part.len() <= PIECE && (last || part.len() % 4 == 0));
            data.push_str(part);
        }
        assert!(pieces.len() > 1);
        let png = STANDARD.decode(data).unwrap();
        assert_eq!(Pixmap::decode_png(&png).unwrap(), expected(2.0));
    }

    #[test]
    fn iterm_gets_a_png_with_its_size() {
        let bytes = shown(Images::Iterm);
        let body = bytes.strip_prefix("\x1b]1337;File=").unwrap();
        let (head, data) = body.strip_suffix('\x07').unwrap().split_once(':').unwrap();
        let png = STANDARD.decode(data).unwrap();
        let size = format!("inline=1;size={};width=30;preserveAspectRatio=1", png.len());
        assert_eq!(head, size);
        assert_eq!(Pixmap::decode_png(&png).unwrap(), expected(2.0));
    }

    #[test]
    fn sixel_gets_the_pixels() {
        let image = SixelImage::decode(shown(Images::Sixel).as_bytes()).unwrap();
        assert_eq!((image.width, image.height), (300, 186));
        let expected = expected(1.0).take_demultiplied();
        let apart = |(a, b): (&u8, &u8)| u64::from(a.abs_diff(*b));
        let total: u64 = image.pixels.iter().zip(&expected).map(apart).sum();
        let mean = total as f64 / expected.len() as f64;
        assert!(
            mean < 3.0,
            "{mean} of 255 apart: colours are reduced to 256"
        );
    }

    #[test]
    fn only_terminals_known_for_it_get_pictures() {
        let check = |set: &[(&str, &str)], expected: Option<Images>| {
            let variable = |name: &str| {
                let found = set.iter().find(|(known, _)| *known == name);
                found.map(|(_, value)| (*value).to_owned())
            };
            assert_eq!(Images::detect(&variable).ok(), expected, "{set:?}");
        };
        use Images::{Iterm, Kitty, Off, Sixel};
        check(&[], Some(Off));
        check(&[("TERM", "xterm-256color")], Some(Off));
        check(&[("TERM", "xterm-kitty")], Some(Kitty));
        check(&[("KITTY_WINDOW_ID", "1")], Some(Kitty));
        check(&[("KITTY_WINDOW_ID", "1"), ("TMUX", "x")], Some(Off));
        check(&[("KITTY_WINDOW_ID", "1"), ("NO_COLOR", "1")], Some(Off));
        check(&[("KITTY_WINDOW_ID", "1"), ("TERM", "dumb")], Some(Off));
        check(&[("TERM_PROGRAM", "iTerm.app")], Some(Iterm));
        check(&[("TERM_PROGRAM", "WezTerm")], Some(Iterm));
        check(&[("TERM", "foot")], Some(Sixel));
        check(&[("RLAIF_IMAGES", "off"), ("TERM", "foot")], Some(Off));
        check(&[("RLAIF_IMAGES", "sixel"), ("TMUX", "x")], Some(Sixel));
        check(&[("RLAIF_IMAGES", "auto"), ("TERM", "foot")], Some(Sixel));
        check(&[("RLAIF_IMAGES", "sixels")], None);
    }
}
