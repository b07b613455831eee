//! A hospital's own lists as CSV: the header, the rows, the cells. One bad row never hides the next.
//!
//! The first line names the columns, in any order and case. Cells are separated by `,`, `;` or tabs, whichever the first
//! line uses; one with a separator in it stands in quotes, and a quote inside is doubled. The text is UTF-8, with or
//! without byte order mark, or windows-1252. Blank lines are passed over.

use std::{collections::BTreeMap, fs::File, io};

use super::{ImportError, Tally};
use crate::server::catalog::{
    Encoding,
    encoding::Decoder,
    lines::{self, LINE_MAX, Line, Lines},
};

/// Most rows of one list: they become visible together, in one transaction, and no ticket waits longer than about a second behind it.
/// A hospital's own lists are shorter; whole directories are for the catalogue, which has a database of its own.
pub(super) const ROWS_MAX: u64 = 20_000;

/// The columns of a list.
pub(super) struct Layout {
    /// Must be there, with something in each row.
    pub(super) required: &'static [&'static str],
    /// May be left out, or be empty.
    pub(super) optional: &'static [&'static str],
}

impl Layout {
    fn column(&self, name: &str) -> Option<&'static str> {
        let wanted = name.to_lowercase().replace([' ', '-'], "_");
        self.required.iter().chain(self.optional).copied().find(|known| *known == wanted)
    }

    /// The columns of a first line, or why it is none.
    fn columns(&self, names: &[String]) -> Result<Vec<&'static str>, String> {
        let mut columns = Vec::with_capacity(names.len());
        for name in names {
            let column = self.column(name).ok_or_else(|| format!("there is no column {name:?} in this list"))?;
            if columns.contains(&column) {
                return Err(format!("the column {column:?} stands there twice"));
            }
            columns.push(column);
        }
        match self.required.iter().find(|needed| !columns.contains(*needed)) {
            Some(missing) => Err(format!("the column {missing:?} is missing")),
            None => Ok(columns),
        }
    }

    fn explain(&self, why: &str) -> ImportError {
        let (required, optional) = (self.required.join(", "), self.optional.join(", "));
        let may = if optional.is_empty() { String::new() } else { format!(", and may name {optional}") };
        ImportError::Format(format!("{why}; the first line must name the columns {required}{may}"))
    }
}

/// The cells of a row, or why it is none.
type Cells = Result<Vec<String>, String>;

/// A list that is being read.
pub(super) struct Table {
    lines: Lines<File>,
    decoder: Decoder,
    layout: &'static Layout,
    separator: char,
    columns: Vec<&'static str>,
}

impl Table {
    /// Reads the first line.
    pub(super) fn open(file: File, layout: &'static Layout, encoding: Option<Encoding>) -> Result<Self, ImportError> {
        let mut lines = Lines::new(file);
        let mut decoder = Decoder::new(encoding);
        let first = loop {
            match lines.next().map_err(ImportError::Read)? {
                Some(Line::Bytes(line)) if line.iter().all(u8::is_ascii_whitespace) => {}
                Some(Line::Bytes(line)) => {
                    break decoder.decode(line).map_err(|why| layout.explain(why))?.into_owned();
                }
                Some(Line::TooLong) => return Err(layout.explain("the first line is too long")),
                None => return Err(layout.explain("the file is empty")),
            }
        };
        let (separator, names) = header(&first).map_err(|why| layout.explain(why))?;
        let columns = layout.columns(&names).map_err(|why| layout.explain(&why))?;
        Ok(Self { lines, decoder, layout, separator, columns })
    }

    /// What was given, or found so far.
    pub(super) fn encoding(&self) -> Encoding {
        self.decoder.encoding()
    }

    /// Reads every row; a bad one is told to the tally.
    pub(super) fn read_all<T>(
        &mut self,
        tally: &mut Tally,
        mut read: impl FnMut(&Row<'_>) -> Result<T, String>,
    ) -> Result<Vec<(u64, T)>, ImportError> {
        let mut good = Vec::new();
        while let Some((line, row)) = self.next().map_err(ImportError::Read)? {
            if tally.row() > ROWS_MAX {
                return Err(ImportError::TooManyRows(ROWS_MAX));
            }
            match row.and_then(|cells| read(&Row { line, columns: &self.columns, cells })) {
                Ok(record) => good.push((line, record)),
                Err(why) => tally.bad(line, why),
            }
        }
        tally.encoding(self.encoding());
        Ok(good)
    }

    fn next(&mut self) -> io::Result<Option<(u64, Cells)>> {
        loop {
            let number = self.lines.number + 1;
            let cells = match self.lines.next()? {
                None => return Ok(None),
                Some(Line::Bytes(line)) if line.iter().all(u8::is_ascii_whitespace) => continue,
                Some(Line::TooLong) => Err(format!("it is longer than {LINE_MAX} bytes")),
                Some(Line::Bytes(line)) => match self.decoder.decode(line) {
                    Ok(text) => cells(&text, self.separator, &self.columns, self.layout),
                    Err(why) => Err(why.to_owned()),
                },
            };
            return Ok(Some((number, cells)));
        }
    }
}

/// The separator of a first line and the names between; empty names at its end are a spreadsheet's and do not count.
fn header(line: &str) -> Result<(char, Vec<String>), &'static str> {
    let by = |separator| lines::fields(line, separator).map(|names| (separator, names));
    let (separator, mut names) = [',', ';', '\t']
        .into_iter()
        .filter_map(|separator| by(separator).ok())
        .max_by_key(|(_, names)| names.len())
        .ok_or("a quote is not closed")?;
    while names.last().is_some_and(String::is_empty) {
        names.pop();
    }
    Ok((separator, names))
}

fn cells(text: &str, separator: char, columns: &[&str], layout: &Layout) -> Cells {
    let mut cells = lines::fields(text, separator)?;
    while cells.len() > columns.len() && cells.last().is_some_and(String::is_empty) {
        cells.pop();
    }
    if cells.len() != columns.len() {
        return Err(format!("it has {} fields, the first line names {}", cells.len(), columns.len()));
    }
    let empty = |(column, cell): &(&&str, &String)| layout.required.contains(*column) && cell.is_empty();
    match columns.iter().zip(&cells).find(empty) {
        Some((column, _)) => Err(format!("{column}: it is empty")),
        None => Ok(cells),
    }
}

/// A row whose required cells are filled.
pub(super) struct Row<'a> {
    /// Line in the file.
    pub(super) line: u64,
    columns: &'a [&'static str],
    cells: Vec<String>,
}

impl Row<'_> {
    /// A cell; `None` where the file has no such column.
    pub(super) fn cell(&self, column: &str) -> Option<&str> {
        self.columns.iter().position(|known| *known == column).map(|at| self.cells[at].as_str())
    }

    /// A required cell.
    pub(super) fn needed(&self, column: &str) -> &str {
        self.cell(column).unwrap_or_default()
    }

    /// An optional text. An empty cell clears it; without the column it stays as it was.
    pub(super) fn text(&self, column: &str, was: Option<String>) -> Option<String> {
        self.cell(column).map_or(was, |cell| Some(cell.to_owned()).filter(|text| !text.is_empty()))
    }

    /// A yes or no. An empty cell is the default; without the column it stays as it was.
    pub(super) fn flag(&self, column: &str, was: Option<bool>, default: bool) -> Result<bool, String> {
        match self.cell(column) {
            None => Ok(was.unwrap_or(default)),
            Some(cell) => match cell.to_lowercase().as_str() {
                "" => Ok(default),
                "true" | "yes" | "y" | "1" | "sim" | "s" => Ok(true),
                "false" | "no" | "n" | "0" | "não" | "nao" => Ok(false),
                _ => Err(format!("{column}: {cell:?} is neither true nor false")),
            },
        }
    }

    /// A list whose entries are separated by any of these characters; `None` where the file has no such column.
    pub(super) fn list(&self, column: &str, separators: &[char]) -> Option<Vec<String>> {
        let entries = self.cell(column)?.split(separators).map(str::trim).filter(|entry| !entry.is_empty());
        Some(entries.map(str::to_owned).collect())
    }
}

/// Compares rows with what is stored, and returns those to write. A key that an earlier row has makes a row bad.
pub(super) fn compare<K: Ord + Clone, T: PartialEq>(
    rows: Vec<(u64, T)>,
    stored: &BTreeMap<K, T>,
    key: impl Fn(&T) -> K,
    tally: &mut Tally,
) -> Vec<T> {
    let mut lines = BTreeMap::new();
    let mut changed = Vec::new();
    for (line, record) in rows {
        let key = key(&record);
        if let Some(earlier) = lines.get(&key) {
            tally.bad(line, format!("it stands in line {earlier} already; keep one"));
            continue;
        }
        match stored.get(&key) {
            Some(was) if *was == record => tally.add(0, 0, 1),
            Some(_) => tally.add(0, 1, 0),
            None => tally.add(1, 0, 0),
        }
        if stored.get(&key) != Some(&record) {
            changed.push(record);
        }
        lines.insert(key, line);
    }
    changed
}
