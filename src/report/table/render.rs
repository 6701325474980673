//! Tables in characters: as wide as the terminal at most, numbers under one another's decimal point.

use comfy_table::{
    CellAlignment, ColumnConstraint, ContentArrangement, ContentLineStyle, LineStyle, TableStyle,
    presets,
};
use unicode_width::UnicodeWidthStr;

use super::super::Terminal;
use super::super::text::harmless;
use super::{Align, Table};

const UTF8: TableStyle = TableStyle::new()
    .top_border(LineStyle::new('╭', '─', '┬', '╮'))
    .header_lines(ContentLineStyle::new('│', '│', '│'))
    .header_separator(LineStyle::new('├', '─', '┼', '┤'))
    .content_lines(ContentLineStyle::new('│', '│', '│'))
    .bottom_border(LineStyle::new('╰', '─', '┴', '╯'));

/// The narrowest that a column of text gets.
const NARROW: usize = 6;
/// Lines of the screen that are left to what stands around a table: prompts, title, borders.
const AROUND: usize = 10;
/// Rows that are shown on the smallest screen.
const LEAST: usize = 6;

impl Table {
    /// The title and the table, as wide as the terminal at most; long text wraps, numbers never do. Columns
    /// for which there is no room are left out from the middle, as rows are that a screen has no lines for;
    /// where that is so, each row takes one line.
    pub fn render(&self, terminal: &Terminal) -> String {
        let mut table = comfy_table::Table::new();
        table.load_style(if terminal.utf8 {
            UTF8
        } else {
            presets::ASCII_FULL_CONDENSED
        });
        table.force_no_tty();
        let more = if terminal.utf8 { "…" } else { "..." };
        table.set_truncation_indicator(more);
        table.set_content_arrangement(ContentArrangement::Dynamic);
        table.set_width(u16::try_from(terminal.width).unwrap_or(u16::MAX));
        let texts: Vec<Vec<String>> = (0..self.columns.len()).map(|c| self.aligned(c)).collect();
        let shown = self.fitting(&texts, terminal.width);
        let name = |column: &Option<usize>| match column {
            Some(column) => harmless(&self.columns[*column].name),
            None => more.to_owned(),
        };
        table.set_header(shown.iter().map(name));
        let rows = shown_rows(self.rows.len(), terminal.height);
        for row in &rows {
            let mut drawn =
                comfy_table::Row::from(shown.iter().map(|column| match (row, column) {
                    (Some(row), Some(column)) => texts[*column][*row].as_str(),
                    _ => more,
                }));
            if rows.contains(&None) {
                drawn.max_height(1);
            }
            table.add_row(drawn);
        }
        for (column, drawn) in shown.iter().zip(table.column_iter_mut()) {
            drawn.set_cell_alignment(column.map_or(CellAlignment::Center, |c| self.side(c)));
            if column.is_none_or(|column| self.is_numeric(column)) {
                drawn.set_constraint(ColumnConstraint::ContentWidth);
            }
        }
        let hidden = self.rows.len() - rows.iter().flatten().count();
        let left_out = self.columns.len() - shown.iter().flatten().count();
        let title = harmless(&self.title);
        let title = Some(title).filter(|title| !title.is_empty());
        let note = self.note(more, hidden, left_out, shown.contains(&None));
        let parts = title.into_iter().chain([table.to_string()]).chain(note);
        parts.collect::<Vec<_>>().join("\n")
    }

    /// What is left out, unless it is spare columns alone.
    fn note(&self, more: &str, rows: usize, columns: usize, cut: bool) -> Option<String> {
        let count =
            |n: usize, one: &str| format!("{n} more {one}{}", if n == 1 { "" } else { "s" });
        let rows = (rows > 0).then(|| count(rows, "row"));
        let columns = cut.then(|| count(columns, "column"));
        let parts: Vec<String> = rows.into_iter().chain(columns).collect();
        (!parts.is_empty()).then(|| format!("{more} {}", parts.join(", ")))
    }

    fn side(&self, column: usize) -> CellAlignment {
        match self.alignment(column) {
            Align::Left => CellAlignment::Left,
            Align::Right => CellAlignment::Right,
            Align::Centre => CellAlignment::Center,
        }
    }

    /// The cells of a column; numbers with blanks behind them, so that their points stand in a line.
    fn aligned(&self, column: usize) -> Vec<String> {
        let texts = self.texts(column);
        if !self.is_numeric(column) {
            return texts;
        }
        let digits =
            |text: &str| text.starts_with(['-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9']);
        let behind = |text: &String| match text.find(['.', 'e']) {
            Some(at) if digits(text) => text.len() - at,
            _ => 0,
        };
        let most = texts.iter().map(behind).max().unwrap_or(0);
        let pad = |text: &String| match digits(text) {
            true => format!("{text}{}", " ".repeat(most - behind(text))),
            false => text.clone(),
        };
        texts.iter().map(pad).collect()
    }

    /// The columns that are shown on a screen of that width; `None` for those left out of the middle.
    fn fitting(&self, texts: &[Vec<String>], screen: usize) -> Vec<Option<usize>> {
        let wide = |text: &str| text.lines().map(UnicodeWidthStr::width).max().unwrap_or(0);
        let width = |column: usize| {
            let cells = texts[column].iter().map(|text| wide(text)).max();
            cells.unwrap_or(0).max(wide(&self.columns[column].name)) + 3
        };
        let mut shown: Vec<usize> = (0..self.columns.len()).collect();
        while shown.iter().map(|column| width(*column)).sum::<usize>() + 1 > screen {
            match shown.iter().rposition(|column| self.columns[*column].spare) {
                Some(last) => shown.remove(last),
                None => break,
            };
        }
        let least = |column: &usize| match self.is_numeric(*column) {
            true => width(*column),
            false => width(*column).min(NARROW + 3),
        };
        let need = |shown: &[usize]| shown.iter().map(least).sum::<usize>() + 1;
        if need(&shown) <= screen || shown.len() < 3 {
            return shown.into_iter().map(Some).collect();
        }
        // A column of its own tells that there are more.
        while need(&shown) + 4 > screen && shown.len() > 2 {
            shown.remove(shown.len() / 2);
        }
        let mut shown: Vec<Option<usize>> = shown.into_iter().map(Some).collect();
        shown.insert(shown.len().div_ceil(2), None);
        shown
    }
}

/// The rows that are shown on a screen of that many lines: all, or the first and the last with `None`
/// between.
fn shown_rows(count: usize, height: Option<usize>) -> Vec<Option<usize>> {
    let room = height.map_or(usize::MAX, |height| {
        height.saturating_sub(AROUND).max(LEAST)
    });
    if count <= room {
        return (0..count).map(Some).collect();
    }
    let (head, tail) = (room.div_ceil(2), room / 2);
    let (head, tail) = ((0..head).map(Some), (count - tail..count).map(Some));
    head.chain([None]).chain(tail).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::sample;
    use super::super::{Cell, Column};
    use super::*;

    #[test]
    fn boxes_and_ascii() {
        let utf8 = "\
top tokens
╭────────┬──────┬─────────╮
│ token  │   id │ logprob │
├────────┼──────┼─────────┤
│ ␣Paris │ 7042 │  -0.012 │
│ ␣the   │  260 │  -4.500 │
│ ⏎      │  198 │         │
╰────────┴──────┴─────────╯";
        assert_eq!(sample().render(&Terminal::default()), utf8);
        let plain = sample().render(&Terminal {
            utf8: false,
            ..Terminal::default()
        });
        assert!(plain.contains("| token  |   id | logprob |"), "{plain}");
    }

    #[test]
    fn text_wraps_to_the_width_and_numbers_do_not() {
        let mut table = Table::new("", ["n", "text"]);
        table
            .push([Cell::from(1234567usize), "word ".repeat(40).into()])
            .unwrap();
        let text = table.render(&Terminal {
            width: 40,
            ..Terminal::default()
        });
        assert!(text.lines().all(|l| l.chars().count() <= 40), "{text}");
        assert!(text.contains("1234567"), "{text}");
    }

    #[test]
    fn spare_columns_go_where_the_screen_is_narrow() {
        let columns = [
            "a".into(),
            Column::new("b").spare(),
            Column::new("c").spare(),
        ];
        let mut table = Table::new("", columns);
        table.push(["aaaa", "你你", "cccc"]).unwrap();
        let check = |width, expected: &[&str]| {
            let screen = Terminal {
                width,
                ..Terminal::default()
            };
            let text = table.render(&screen);
            let header = text.lines().nth(1).unwrap();
            let names: Vec<&str> = header.split(['│', ' ']).filter(|s| !s.is_empty()).collect();
            assert_eq!(names, expected, "{text}");
        };
        check(22, &["a", "b", "c"]);
        check(21, &["a", "b"]);
        check(14, &["a"]);
        check(4, &["a"]);
    }

    #[test]
    fn cells_cannot_steer_the_terminal() {
        let mut table = Table::new("t", ["x"]);
        table.push(["\x1b[2Jboo"]).unwrap();
        assert!(!table.render(&Terminal::default()).contains('\x1b'));
    }

    #[test]
    fn numbers_stand_with_their_points_in_a_line() {
        let mut table = Table::new("", ["x"]);
        for cell in [
            Cell::from(3usize),
            12.5.into(),
            2e-7.into(),
            f64::NAN.into(),
        ] {
            table.push([cell]).unwrap();
        }
        let text = table.render(&Terminal::default());
        let cells: Vec<&str> = text.lines().skip(3).take(4).collect();
        let expected = ["│  3    │", "│ 12.50 │", "│  2e-7 │", "│   nan │"];
        assert_eq!(cells, expected, "{text}");
    }

    #[test]
    fn columns_without_room_are_left_out_of_the_middle() {
        let names: Vec<String> = (0..30).map(|i| format!("c{i}")).collect();
        let mut table = Table::new("", names.iter().map(String::as_str));
        table.push((0..30).map(|i| Cell::from(i as f64))).unwrap();
        let check = |width, header: &str, left_out| {
            let screen = Terminal {
                width,
                ..Terminal::default()
            };
            let text = table.render(&screen);
            assert_eq!(text.lines().nth(1).unwrap(), header, "{text}");
            let note = format!("… {left_out} more columns");
            assert!(text.ends_with(&note), "{text}");
            let box_lines = text.lines().all(|line| line.width() <= width);
            assert!(box_lines, "{text}");
        };
        check(30, "│ c0 │ c1 │ … │ c28 │ c29 │", 26);
        check(20, "│ c0 │ … │ c29 │", 28);
    }

    #[test]
    fn rows_beyond_the_screen_are_left_out() {
        let mut table = Table::new("", ["n"]);
        for n in 0..1000usize {
            table.push([n]).unwrap();
        }
        let lines = |height| {
            let screen = Terminal {
                height,
                ..Terminal::default()
            };
            table.render(&screen).lines().count()
        };
        assert_eq!(lines(None), 1004);
        assert_eq!(lines(Some(22)), 3 + 13 + 1 + 1);
        let screen = Terminal {
            height: Some(5),
            ..Terminal::default()
        };
        let text = table.render(&screen);
        let cells: Vec<&str> = text.split(['│', '\n']).map(str::trim).collect();
        let cells: Vec<&str> = cells
            .into_iter()
            .filter(|c| !c.contains('─') && !c.is_empty())
            .collect();
        let expected = [
            "n",
            "0",
            "1",
            "2",
            "…",
            "997",
            "998",
            "999",
            "… 994 more rows",
        ];
        assert_eq!(cells, expected, "{text}");
    }
}
