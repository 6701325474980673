//! Pictures in terminals that can show them: kitty's graphics protocol, iTerm2's inline images, sixel.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use icy_sixel::SixelImage;
use resvg::tiny_skia::Pixmap;

use super::plot::png;
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
const COLUMNS: u32 = 80;
/// Lines of the screen that are left to what stands around a picture.
const AROUND: u32 = 5;
/// A letter where the terminal does not tell its size, in pixels: as of a screen with many.
const CELL: (u32, u32) = (16, 32);
/// The same where the terminal does not scale pictures.
const SMALL_CELL: (u32, u32) = (10, 20);
/// What is a column wide on the terminal, in the plot's own pixels.
const COLUMN: f32 = 8.0;
/// The most of kitty's data in one piece.
const PIECE: usize = 4096;

impl Images {
    /// What `RLAIF_IMAGES` asks for (`kitty`, `iterm`, `sixel`, `off`), or with `auto` and without it what
    /// the terminal is known for; nothing if it has to be asked. `variable` reads the environment. Terminals
    /// inside of tmux or screen get pictures only by `RLAIF_IMAGES`: most of what those pass on is lost.
    ///
    /// # Errors
    /// Another word.
    pub fn detect(variable: &dyn Fn(&str) -> Option<String>) -> Result<Option<Self>> {
        let wanted = variable("RLAIF_IMAGES").unwrap_or_default();
        match wanted.as_str() {
            "" | "auto" => Ok(Self::known(variable)),
            "off" => Ok(Some(Self::Off)),
            "kitty" => Ok(Some(Self::Kitty)),
            "iterm" => Ok(Some(Self::Iterm)),
            "sixel" => Ok(Some(Self::Sixel)),
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

    fn known(variable: &dyn Fn(&str) -> Option<String>) -> Option<Self> {
        let is = |name: &str, values: &[&str]| {
            variable(name).is_some_and(|value| values.contains(&value.as_str()))
        };
        let set = |name: &str| variable(name).is_some_and(|value| !value.is_empty());
        let nested = set("TMUX")
            || set("STY")
            || variable("TERM").is_some_and(|t| t.starts_with("screen") || t.starts_with("tmux"));
        if set("NO_COLOR")
            || nested
            || is("TERM", &["dumb", "linux"])
            || is("TERM_PROGRAM", &["Apple_Terminal"])
        {
            Some(Self::Off)
        } else if is("TERM", &["xterm-kitty", "xterm-ghostty"]) {
            Some(Self::Kitty)
        } else if is("TERM_PROGRAM", &["iTerm.app", "WezTerm"]) {
            Some(Self::Iterm)
        } else {
            let sixel = ["foot", "foot-extra", "mlterm", "contour", "yaft-256color"];
            is("TERM", &sixel).then_some(Self::Sixel)
        }
    }

    /// What a terminal can do that answers so: its name (XTVERSION), and the numbers of its device
    /// attributes (DA1), where 4 is sixel.
    pub fn of(name: &str, attributes: &[u32]) -> Self {
        let is = |known: &str| name.to_ascii_lowercase().starts_with(known);
        if is("kitty") || is("ghostty") {
            Self::Kitty
        } else if is("iterm2") || is("wezterm") {
            Self::Iterm
        } else if !attributes.contains(&4) {
            Self::Off
        } else if is("xterm.js") {
            // It knows both, and this one has all colours.
            Self::Iterm
        } else {
            Self::Sixel
        }
    }

    /// The plot as the bytes that show it, at most as large as the screen; nothing if it takes no pictures.
    pub(super) fn show(self, plot: &Plot, terminal: &Terminal) -> Result<Option<String>> {
        let cell = match self {
            Self::Sixel => SMALL_CELL,
            _ => CELL,
        };
        let cell = terminal.screen.cell.unwrap_or(cell);
        let (columns, rows) = room(terminal, cell);
        let scale = cell.0 as f32 / COLUMN;
        let draw = |wide: u32, high: u32| {
            let own = |pixels: u32| (pixels as f32 / scale).ceil() as u32;
            plot.filling((own(wide), own(high)), (wide, high), scale)
        };
        let (wide, high) = (columns * cell.0, rows * cell.1);
        Ok(match self {
            Self::Off => None,
            Self::Kitty => Some(kitty(&png(&draw(wide, high)?)?, columns, rows)),
            Self::Iterm => Some(iterm(&png(&draw(wide, high)?)?, columns, rows)),
            // Sixels are six pixels high.
            Self::Sixel => Some(sixel(draw(wide, (high / 6 * 6).max(6))?)?),
        })
    }
}

/// Columns and lines of a picture whose width is to its height as 8 to 5.
fn room(terminal: &Terminal, cell: (u32, u32)) -> (u32, u32) {
    let most = (terminal.width as u32).clamp(1, COLUMNS);
    let rows = |columns: u32| (columns * cell.0 * 5).div_ceil(8 * cell.1).max(1);
    let lines = terminal
        .screen
        .rows
        .map_or(u32::MAX, |rows| rows.saturating_sub(AROUND).max(5));
    let narrow = (lines.min(rows(most)) * cell.1 * 8).div_ceil(5 * cell.0);
    (most.min(narrow), rows(most).min(lines))
}

fn sixel(pixels: Pixmap) -> Result<String> {
    let (wide, high) = (pixels.width() as usize, pixels.height() as usize);
    let sixel = SixelImage::from_rgba(pixels.take_demultiplied(), wide, high).encode();
    sixel.map_err(|error| Error::new(format!("can't write the plot as sixel: {error}")))
}

/// A PNG, scaled to so many columns and lines; the terminal is not to answer (`q=2`).
fn kitty(png: &[u8], columns: u32, rows: u32) -> String {
    let data = STANDARD.encode(png);
    let mut pieces = data.as_bytes().chunks(PIECE).peekable();
    let mut head = format!("a=T,f=100,q=2,c={columns},r={rows},");
    let mut out = String::new();
    while let Some(piece) = pieces.next() {
        let more = u8::from(pieces.peek().is_some());
        let piece = String::from_utf8_lossy(piece);
        out.push_str(&format!("\x1b_G{head}m={more};{piece}\x1b\\"));
        head.clear();
    }
    out
}

fn iterm(png: &[u8], columns: u32, rows: u32) -> String {
    format!(
        "\x1b]1337;File=inline=1;size={};width={columns};height={rows};preserveAspectRatio=1:{}\x07",
        png.len(),
        STANDARD.encode(png)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Screen;

    fn plot() -> Plot {
        Plot::new("t").values("", &[0.0, 1.0, 0.5])
    }

    fn shown(images: Images) -> String {
        let screen = Screen {
            rows: Some(40),
            cell: Some((8, 18)),
        };
        plot().render(&Terminal {
            width: 30,
            images,
            screen,
            ..Terminal::default()
        })
    }

    fn expected(high: u32) -> Pixmap {
        plot().filling((240, high), (240, high), 1.0).unwrap()
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
            assert_eq!(head.starts_with("a=T,f=100,q=2,c=30,r=9,"), at == 0);
            assert!(head.ends_with(if last { "m=0" } else { "m=1" }), "{head}");
            assert!(part.len() <= PIECE && (last || part.len() % 4 == 0));
            data.push_str(part);
        }
        assert!(pieces.len() > 1, "{}", data.len());
        let png = STANDARD.decode(data).unwrap();
        assert_eq!(Pixmap::decode_png(&png).unwrap(), expected(162));
    }

    #[test]
    fn iterm_gets_a_png_with_its_size() {
        let bytes = shown(Images::Iterm);
        let body = bytes.strip_prefix("\x1b]1337;File=").unwrap();
        let (head, data) = body.strip_suffix('\x07').unwrap().split_once(':').unwrap();
        let png = STANDARD.decode(data).unwrap();
        let size = format!("inline=1;size={};width=30;height=9", png.len());
        assert_eq!(head, size + ";preserveAspectRatio=1");
        assert_eq!(Pixmap::decode_png(&png).unwrap(), expected(162));
    }

    #[test]
    fn sixel_gets_the_pixels() {
        let image = SixelImage::decode(shown(Images::Sixel).as_bytes()).unwrap();
        assert_eq!((image.width, image.height), (240, 162));
        let expected = expected(162).take_demultiplied();
        let apart = |(a, b): (&u8, &u8)| u64::from(a.abs_diff(*b));
        let total: u64 = image.pixels.iter().zip(&expected).map(apart).sum();
        let mean = total as f64 / expected.len() as f64;
        assert!(
            mean < 3.0,
            "{mean} of 255 apart: colours are reduced to 256"
        );
    }

    #[test]
    fn pictures_fit_the_screen() {
        let check = |width, rows, cell, expected| {
            let screen = Screen { rows, cell: None };
            let terminal = Terminal {
                width,
                screen,
                ..Terminal::default()
            };
            assert_eq!(room(&terminal, cell), expected, "{width} {rows:?} {cell:?}");
        };
        check(200, None, (10, 20), (80, 25));
        check(200, Some(40), (6, 13), (80, 24));
        check(200, Some(24), (10, 20), (61, 19));
        check(30, Some(24), (10, 20), (30, 10));
        check(1, Some(1), (10, 20), (1, 1));
    }

    #[test]
    fn terminals_are_known_by_their_answer() {
        let check = |name, attributes: &[u32], expected| {
            assert_eq!(Images::of(name, attributes), expected, "{name}");
        };
        check("kitty(0.26.5)", &[62], Images::Kitty);
        check("ghostty 1.1", &[62, 22], Images::Kitty);
        check("iTerm2 3.5.0", &[64, 1, 4], Images::Iterm);
        check("WezTerm 20240203", &[65, 4, 6], Images::Iterm);
        check("xterm.js(5.5.0)", &[62, 4, 9, 22], Images::Iterm);
        check("xterm.js(5.5.0)", &[1, 2], Images::Off);
        check("XTerm(379)", &[63, 1, 2, 4, 6], Images::Sixel);
        check("XTerm(379)", &[64, 1, 2, 6], Images::Off);
        check("", &[62, 4], Images::Sixel);
        check("", &[], Images::Off);
    }

    #[test]
    fn only_terminals_known_for_it_get_pictures_unasked() {
        let check = |set: &[(&str, &str)], expected: Option<Option<Images>>| {
            let variable = |name: &str| {
                let found = set.iter().find(|(known, _)| *known == name);
                found.map(|(_, value)| (*value).to_owned())
            };
            assert_eq!(Images::detect(&variable).ok(), expected, "{set:?}");
        };
        use Images::{Iterm, Kitty, Off, Sixel};
        check(&[], Some(None));
        check(&[("TERM", "xterm-256color")], Some(None));
        check(&[("TERM_PROGRAM", "vscode")], Some(None));
        for (term, images) in [
            ("xterm-kitty", Kitty),
            ("xterm-ghostty", Kitty),
            ("foot", Sixel),
            ("linux", Off),
            ("dumb", Off),
            ("screen-256color", Off),
            ("tmux-256color", Off),
        ] {
            check(&[("TERM", term)], Some(Some(images)));
        }
        let kitty = ("TERM", "xterm-kitty");
        check(&[kitty, ("TMUX", "x")], Some(Some(Off)));
        check(&[kitty, ("NO_COLOR", "1")], Some(Some(Off)));
        check(&[("TERM_PROGRAM", "iTerm.app")], Some(Some(Iterm)));
        check(&[("TERM_PROGRAM", "WezTerm")], Some(Some(Iterm)));
        check(&[("TERM_PROGRAM", "Apple_Terminal")], Some(Some(Off)));
        check(&[("RLAIF_IMAGES", "off"), kitty], Some(Some(Off)));
        let asked = ("RLAIF_IMAGES", "sixel");
        check(&[asked, ("TMUX", "x")], Some(Some(Sixel)));
        check(&[("RLAIF_IMAGES", "auto"), kitty], Some(Some(Kitty)));
        check(&[("RLAIF_IMAGES", "sixels")], None);
    }
}
