//! Server-sent events as bytes arrive: cuts a stream into frames (WHATWG HTML §9.2). Holds at most one unfinished frame, of bounded size.

use std::time::Duration;

/// Largest line and largest frame.
const FRAME_MAX: usize = 1024 * 1024;

/// One event of the stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Frame {
    /// Its name; `message` where the stream names none.
    pub(super) event: String,
    /// Its lines, joined.
    pub(super) data: String,
    /// Where to resume.
    pub(super) id: Option<String>,
}

/// What the parser learned from some bytes.
#[derive(Debug, Default)]
pub(super) struct Parsed {
    /// Whole frames.
    pub(super) frames: Vec<Frame>,
    /// How long the server asks to wait before connecting again.
    pub(super) retry: Option<Duration>,
    /// Where to resume after all of it, also where no frame told.
    pub(super) position: Option<String>,
}

/// The stream sends more than a frame may hold.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooLong;

#[derive(Debug, Default)]
pub(super) struct Parser {
    line: Vec<u8>,
    after_cr: bool,
    begun: bool,
    event: String,
    data: String,
    has_data: bool,
    id: Option<String>,
}

impl Parser {
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Result<Parsed, TooLong> {
        let mut parsed = Parsed::default();
        for &byte in bytes {
            let after_cr = std::mem::replace(&mut self.after_cr, byte == b'\r');
            match byte {
                b'\n' if after_cr => {}
                b'\n' | b'\r' => self.end_line(&mut parsed),
                _ => self.line.push(byte),
            }
            if self.line.len() + self.data.len() > FRAME_MAX {
                return Err(TooLong);
            }
        }
        Ok(parsed)
    }

    fn end_line(&mut self, parsed: &mut Parsed) {
        let line = std::mem::take(&mut self.line);
        let text = String::from_utf8_lossy(&line);
        let first = !std::mem::replace(&mut self.begun, true);
        let text = if first { text.strip_prefix('\u{feff}').unwrap_or(&text) } else { &text };
        if text.is_empty() {
            self.dispatch(parsed);
            return;
        }
        let (field, value) = text.split_once(':').unwrap_or((text, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.event),
            "data" => {
                if std::mem::replace(&mut self.has_data, true) {
                    self.data.push('\n');
                }
                self.data.push_str(value);
            }
            "id" if !value.contains('\0') => self.id = Some(value.to_owned()),
            "retry" => parsed.retry = value.parse().ok().map(Duration::from_millis).or(parsed.retry),
            _ => {}
        }
    }

    /// An empty line: the frame is whole. One without data is none, though its id counts for the next.
    fn dispatch(&mut self, parsed: &mut Parsed) {
        parsed.position.clone_from(&self.id);
        let event = std::mem::take(&mut self.event);
        let data = std::mem::take(&mut self.data);
        if std::mem::take(&mut self.has_data) {
            let event = if event.is_empty() { "message".to_owned() } else { event };
            parsed.frames.push(Frame { event, data, id: self.id.clone() });
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn frames_are_the_same_however_the_bytes_are_cut() {
        let stream = "\u{feff}: hello\r\nretry: 250\n\nid: 7\r\nevent: ticket\r\ndata: {\"a\":\ndata: \"ção\"}\r\n\r\ndata:x\r\rdata: lost";
        for size in 1..stream.len() {
            let mut parser = Parser::default();
            let (mut frames, mut retry) = (Vec::new(), None);
            for piece in stream.as_bytes().chunks(size) {
                let parsed = parser.feed(piece).unwrap();
                frames.extend(parsed.frames);
                retry = parsed.retry.or(retry);
            }
            assert_eq!(retry, Some(Duration::from_millis(250)), "{size}");
            assert_eq!(
                frames,
                [
                    Frame { event: "ticket".into(), data: "{\"a\":\n\"ção\"}".into(), id: Some("7".into()) },
                    Frame { event: "message".into(), data: "x".into(), id: Some("7".into()) },
                ],
                "{size}"
            );
        }
    }

    #[test]
    fn a_frame_without_end_is_refused() {
        let mut parser = Parser::default();
        let flood = vec![b'x'; FRAME_MAX + 1];
        assert_eq!(parser.feed(&flood).unwrap_err(), TooLong);
    }
}
