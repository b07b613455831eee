//! Tables for people: aligned by what a terminal shows, not by bytes. No borders, so that they can be cut and searched.

use unicode_width::UnicodeWidthStr;

use crate::output::clean;

/// A table under construction.
pub(crate) struct Table {
    head: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(head: &[&'static str]) -> Self {
        Self { head: head.to_vec(), rows: Vec::new() }
    }

    /// Adds a row of as many cells as the head has.
    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        debug_assert_eq!(N, self.head.len());
        self.rows.push(cells.into());
    }

    /// The text without a last line end; only the head where there are no rows.
    pub(crate) fn render(&self) -> String {
        let head: Vec<String> = self.head.iter().map(|cell| (*cell).to_owned()).collect();
        let rows: Vec<Vec<String>> =
            std::iter::once(head).chain(self.rows.iter().map(|row| row.iter().map(|c| flat(c)).collect())).collect();
        let width = |column: usize| rows.iter().map(|row| shown_width(&row[column])).max().unwrap_or_default();
        let widths: Vec<usize> = (0..self.head.len()).map(width).collect();
        let line = |row: &Vec<String>| {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(&widths) {
                line.push_str(cell);
                line.extend(std::iter::repeat_n(' ', width - shown_width(cell) + 2));
            }
            line.trim_end().to_owned()
        };
        rows.iter().map(line).collect::<Vec<_>>().join("\n")
    }
}

/// How a table says it.
pub(crate) fn yes_no(yes: bool) -> String {
    if yes { "yes" } else { "no" }.to_owned()
}

/// One line, without control characters but for our own colours.
fn flat(cell: &str) -> String {
    match colour(cell) {
        Some((before, text, after)) => format!("{before}{}{after}", clean(text)),
        None => clean(cell).replace('\n', " "),
    }
}

fn shown_width(cell: &str) -> usize {
    colour(cell).map_or(cell, |(_, text, _)| text).width()
}

/// Takes a cell apart that is coloured as a whole.
fn colour(cell: &str) -> Option<(&str, &str, &str)> {
    const END: &str = "\x1b[0m";
    let inner = cell.strip_prefix("\x1b[")?.strip_suffix(END)?;
    let (code, text) = inner.split_once('m')?;
    let plain = code.bytes().all(|b| b.is_ascii_digit() || b == b';');
    plain.then(|| (&cell[..code.len() + 3], text, END))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_by_what_is_shown() {
        let mut table = Table::new(&["WARD", "NAME"]);
        table.row(["UTI".into(), "Coração".into()]);
        table.row(["\x1b[1;31mstat\x1b[0m".into(), "薬".into()]);
        table.row(["evil\x1b[2J".into(), "two\nlines".into()]);
        let expected = "WARD      NAME\nUTI       Coração\n\x1b[1;31mstat\x1b[0m      薬\nevil\u{fffd}[2J  two lines";
        assert_eq!(table.render(), expected);
    }
}
