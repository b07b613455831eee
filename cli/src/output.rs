//! Printing: the API's JSON, or text for people. Data goes to stdout; hints and progress go to stderr, and only where a person looks.

use std::io::{self, IsTerminal, Write};

use jiff::{SignedDuration, Timestamp};
use medreq::domain::reason::Priority;
use serde::Serialize;

use crate::failure::Failure;

/// How to print.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    /// The API's JSON in place of text.
    pub(crate) json: bool,
    color: bool,
    /// No colours: `NO_COLOR`.
    plain: bool,
    /// A person reads stderr.
    pub(crate) interactive: bool,
}

impl Output {
    pub(crate) fn new(json: bool) -> Self {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let color = !json && !plain && io::stdout().is_terminal();
        Self { json, color, plain, interactive: io::stderr().is_terminal() }
    }

    /// Prints a value as JSON, or as what `text` makes of it.
    pub(crate) fn show<T: Serialize>(&self, value: &T, text: impl FnOnce(&T) -> String) -> Result<(), Failure> {
        if self.json {
            let json = serde_json::to_string_pretty(value).expect("wire types always serialise");
            return self.line(&json);
        }
        self.line(&text(value))
    }

    /// Prints a value as one line of JSON.
    pub(crate) fn json_line<T: Serialize>(&self, value: &T) -> Result<(), Failure> {
        self.line(&serde_json::to_string(value).expect("wire types always serialise"))
    }

    /// Prints text and a line end; every line is out at once, so that a pipe sees what happens when it happens.
    pub(crate) fn line(&self, text: &str) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())
            .and_then(|()| out.write_all(b"\n"))
            .and_then(|()| out.flush())
            .map_err(Failure::Output)
    }

    /// Prints bytes as they are.
    pub(crate) fn raw(&self, bytes: &[u8]) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        out.write_all(bytes).and_then(|()| out.flush()).map_err(Failure::Output)
    }

    /// Tells something beside the data, on stderr.
    pub(crate) fn note(&self, text: &str) {
        // What is only a hint must not end the command.
        let _ = writeln!(io::stderr(), "{}", clean(text));
    }

    /// The same, unless a program reads along.
    pub(crate) fn hint(&self, text: &str) {
        if !self.json {
            self.note(text);
        }
    }

    /// Shows a picture of white blocks on stderr; on black, whatever the terminal's own colours are, unless colours are unwanted.
    pub(crate) fn picture(&self, lines: &str) {
        let (on, off) = if self.plain { ("", "") } else { ("\x1b[97;40m", "\x1b[0m") };
        let text: String = lines.lines().map(|line| format!("{on}{line}{off}\n")).collect();
        // A picture is only a help.
        let _ = writeln!(io::stderr(), "{text}");
    }

    /// A priority's word, the urgent ones coloured.
    pub(crate) fn priority(&self, priority: Priority) -> String {
        let code = match priority {
            Priority::Stat => "1;31",
            Priority::Asap => "33",
            Priority::Urgent | Priority::Routine => return priority.to_string(),
        };
        if self.color { format!("\x1b[{code}m{priority}\x1b[0m") } else { priority.to_string() }
    }
}

/// Without control and invisible characters: what somebody wrote into a note must not drive the terminal, nor read otherwise than it is.
pub(crate) fn clean(text: &str) -> String {
    text.chars().map(|c| if (c.is_control() && c != '\n') || is_format(c) { '\u{fffd}' } else { c }).collect()
}

/// Characters of Unicode's category Cf (bidirectional controls, zero-width ones, the BOM, tags), and the separators of lines and paragraphs.
fn is_format(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{890}'..='\u{891}' | '\u{8e2}'
        | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}' | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1343f}' | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0001}'..='\u{e007f}')
}

/// How long it is until a due time: `12 min`, `1 h 05 min`, `late 3 min`.
pub(crate) fn time_left(due: Timestamp, now: Timestamp) -> String {
    let left = due.duration_since(now);
    if left.is_negative() { format!("late {}", span(-left)) } else { span(left) }
}

fn span(duration: SignedDuration) -> String {
    let minutes = duration.as_mins();
    match (minutes / (24 * 60), minutes / 60) {
        (0, 0) => format!("{minutes} min"),
        (0, hours) => format!("{hours} h {:02} min", minutes % 60),
        (days, hours) => format!("{days} d {:02} h", hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_left_reads_as_people_say_it() {
        let now = Timestamp::UNIX_EPOCH;
        for (seconds, text) in
            [(59, "0 min"), (720, "12 min"), (3_900, "1 h 05 min"), (-180, "late 3 min"), (90_000, "1 d 01 h")]
        {
            assert_eq!(time_left(now + SignedDuration::from_secs(seconds), now), text);
        }
    }

    #[test]
    fn what_people_wrote_cannot_drive_the_terminal() {
        assert_eq!(clean("a\u{1b}[2Jb\nc"), "a\u{fffd}[2Jb\nc");
        for invisible in ['\u{202e}', '\u{2066}', '\u{200b}', '\u{feff}', '\u{61c}', '\u{2028}', '\u{e0041}'] {
            assert_eq!(clean(&format!("1{invisible}0 São 薬")), "1\u{fffd}0 São 薬", "{invisible:?}");
        }
    }
}
