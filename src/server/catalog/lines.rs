//! Lines of a file of any size in bounded memory, and their fields. It must never let one bad line swallow the next.

use std::io::{self, BufRead, BufReader, Read};

/// Longest line that is read; the longest in the NDC Directory has some 7,500 bytes.
pub(in crate::server) const LINE_MAX: usize = 256 * 1024;

const UTF8_MARK: &[u8] = b"\xef\xbb\xbf";

/// One line, without its end.
pub(in crate::server) enum Line<'a> {
    /// As it stands in the file.
    Bytes(&'a [u8]),
    /// Longer than [`LINE_MAX`]; skipped to its end.
    TooLong,
}

/// Reads line by line.
pub(in crate::server) struct Lines<R> {
    input: BufReader<R>,
    line: Vec<u8>,
    /// Lines read so far: the number of the last one.
    pub(in crate::server) number: u64,
    /// Bytes read so far.
    pub(in crate::server) bytes: u64,
}

impl<R: Read> Lines<R> {
    pub(in crate::server) fn new(input: R) -> Self {
        Self { input: BufReader::with_capacity(64 * 1024, input), line: Vec::new(), number: 0, bytes: 0 }
    }

    /// The next line, `None` at the end of the file.
    pub(in crate::server) fn next(&mut self) -> io::Result<Option<Line<'_>>> {
        self.line.clear();
        let mut too_long = false;
        loop {
            let read = match self.input.fill_buf() {
                Ok(buffer) => buffer,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if read.is_empty() {
                if self.line.is_empty() && !too_long {
                    return Ok(None);
                }
                break;
            }
            let end = read.iter().position(|byte| *byte == b'\n');
            let piece = &read[..end.unwrap_or(read.len())];
            too_long |= self.line.len() + piece.len() > LINE_MAX;
            if !too_long {
                self.line.extend_from_slice(piece);
            }
            let used = end.map_or(read.len(), |end| end + 1);
            self.input.consume(used);
            self.bytes += used as u64;
            if end.is_some() {
                break;
            }
        }
        self.number += 1;
        if too_long {
            return Ok(Some(Line::TooLong));
        }
        let mut line = self.line.strip_suffix(b"\r").unwrap_or(&self.line);
        if self.number == 1 {
            line = line.strip_prefix(UTF8_MARK).unwrap_or(line);
        }
        Ok(Some(Line::Bytes(line)))
    }
}

/// The fields of a line, or why it has none.
///
/// Between tabs a quote is a character like any other, save around a whole field, as spreadsheets write it; between
/// semicolons or commas it may enclose a field and is doubled inside.
pub(in crate::server) fn fields(line: &str, delimiter: char) -> Result<Vec<String>, &'static str> {
    if delimiter == '\t' {
        return Ok(line.split('\t').map(|field| tidy(&unquoted(field))).collect());
    }
    let mut fields = Vec::with_capacity(24);
    let mut field = String::new();
    let mut chars = line.chars().peekable();
    let mut quoted = false;
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                field.push('"');
            }
            '"' if quoted => quoted = false,
            '"' if field.trim().is_empty() => {
                field.clear();
                quoted = true;
            }
            c if c == delimiter && !quoted => fields.push(tidy(&std::mem::take(&mut field))),
            c => field.push(c),
        }
    }
    if quoted {
        return Err("a quote is not closed");
    }
    fields.push(tidy(&field));
    Ok(fields)
}

fn unquoted(field: &str) -> String {
    match field.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(inner) => inner.replace("\"\"", "\""),
        None => field.to_owned(),
    }
}

/// Without blanks around, and with one blank where there are several.
fn tidy(field: &str) -> String {
    let mut words = field.split_whitespace();
    let mut tidy = words.next().unwrap_or_default().to_owned();
    for word in words {
        tidy.push(' ');
        tidy.push_str(word);
    }
    tidy
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn quotes_are_read_as_each_separator_has_them() {
        assert_eq!(fields("a;\"b;c\";\"d\"\"e\";", ';').unwrap(), ["a", "b;c", "d\"e", ""]);
        assert_eq!(fields("\" lead  ing \";x", ';').unwrap(), ["lead ing", "x"]);
        assert_eq!(fields("5\" tape\t\"a \"\"b\"\"\"\t", '\t').unwrap(), ["5\" tape", "a \"b\"", ""]);
        assert!(fields("\"open;x", ';').is_err());
    }

    #[test]
    fn an_over_long_line_is_skipped_and_the_next_one_read() {
        let text = [vec![b'x'; LINE_MAX + 1], b"\r\nafter\r\n\nlast".to_vec()].concat();
        let mut lines = Lines::new(text.as_slice());
        assert!(matches!(lines.next().unwrap(), Some(Line::TooLong)));
        for expected in ["after", "", "last"] {
            assert!(matches!(lines.next().unwrap(), Some(Line::Bytes(line)) if line == expected.as_bytes()));
        }
        assert!(lines.next().unwrap().is_none());
        assert_eq!((lines.number, lines.bytes), (4, text.len() as u64));
    }
}
