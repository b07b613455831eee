//! The short forms of ticket lines on the command line: `MIDAZ-5=10:vial`, `1=8,lot=L42,expiry=2027-01-31`, `1=7,damaged=1`.

use std::{fmt::Display, str::FromStr};

use medreq::{
    api::tickets::{NewLine, PickLine, ReceiveLine},
    domain::quantity::Quantity,
};

use crate::values::{When, when};

/// A requested medicine, `MEDICATION=QUANTITY[:UNIT]`, or a counted one, `MEDICATION=COUNTED/EXPECTED`.
pub(crate) fn new_line(text: &str, separator: char) -> Result<NewLine, String> {
    let refuse = |why: &str| {
        format!(
            "--line {text:?}: {why}; write MEDICATION=QUANTITY[:UNIT], or MEDICATION=COUNTED/EXPECTED for a discrepancy"
        )
    };
    let quantity = |part: &str| Quantity::parse_typed(part, separator).map_err(|error| refuse(&error.to_string()));
    let (medication, amount) = text.rsplit_once('=').ok_or_else(|| refuse("no quantity"))?;
    let mut line = NewLine { medication: medication.trim().to_owned(), ..NewLine::default() };
    if line.medication.is_empty() {
        return Err(refuse("no medication"));
    }
    if let Some((counted, expected)) = amount.split_once('/') {
        line.counted = Some(quantity(counted)?);
        line.expected = Some(quantity(expected)?);
        return Ok(line);
    }
    let (amount, unit) = match amount.split_once(':') {
        Some((amount, unit)) if !unit.trim().is_empty() => (amount, Some(unit.trim().to_owned())),
        Some(_) => return Err(refuse("no unit after the colon")),
        None => (amount, None),
    };
    line.quantity = Some(quantity(amount)?);
    line.unit = unit;
    Ok(line)
}

/// A picked lot: `LINE=SUPPLIED[,lot=…][,expiry=…][,reason=…][,expected_at=…]`; when the rest is expected stands beside it, for
/// which instant that is depends on the zone.
pub(crate) fn pick_line(text: &str, separator: char) -> Result<(PickLine, Option<When>), String> {
    let parts = Parts::read(text, separator)?;
    let mut line =
        PickLine { line: parts.line, supplied: parts.amount, lot: None, expiry: None, reason: None, expected_at: None };
    let mut expected = None;
    for (name, value) in &parts.more {
        match name.as_str() {
            "lot" => line.lot = Some(value.clone()),
            "expiry" => line.expiry = Some(parts.value(name, value)?),
            "reason" => line.reason = Some(parts.value(name, value)?),
            "expected_at" => expected = Some(when(value).map_err(|why| parts.refuse(&why))?),
            _ => return Err(parts.unknown(name, "lot, expiry, reason, expected_at")),
        }
    }
    Ok((line, expected))
}

/// What arrived of a line: `LINE=RECEIVED[,damaged=…][,wrong=…][,missing=…][,reason=…]`.
pub(crate) fn receive_line(text: &str, separator: char) -> Result<ReceiveLine, String> {
    let parts = Parts::read(text, separator)?;
    let mut line = ReceiveLine {
        line: parts.line,
        received: parts.amount,
        damaged: Quantity::ZERO,
        wrong: Quantity::ZERO,
        missing: Quantity::ZERO,
        reason: None,
    };
    for (name, value) in &parts.more {
        match name.as_str() {
            "damaged" => line.damaged = parts.quantity(value)?,
            "wrong" => line.wrong = parts.quantity(value)?,
            "missing" => line.missing = parts.quantity(value)?,
            "reason" => line.reason = Some(parts.value(name, value)?),
            _ => return Err(parts.unknown(name, "damaged, wrong, missing, reason")),
        }
    }
    Ok(line)
}

/// `LINE=AMOUNT,name=value,…`.
struct Parts<'a> {
    text: &'a str,
    separator: char,
    line: u16,
    amount: Quantity,
    more: Vec<(String, String)>,
}

impl<'a> Parts<'a> {
    fn read(text: &'a str, separator: char) -> Result<Self, String> {
        let mut parts = Self { text, separator, line: 0, amount: Quantity::ZERO, more: Vec::new() };
        let mut fields = fields(text).into_iter();
        let (line, amount) = fields.next().ok_or_else(|| parts.refuse("write LINE=QUANTITY, such as 1=8"))?;
        parts.line = line.parse().map_err(|_| parts.refuse("begin with the line's number, such as 1=8"))?;
        parts.amount = parts.quantity(&amount)?;
        for (name, value) in fields {
            if value.is_empty() {
                return Err(parts.refuse(&format!("{name} says nothing")));
            }
            if parts.more.iter().any(|(earlier, _)| *earlier == name) {
                return Err(parts.refuse(&format!("{name} is given twice")));
            }
            parts.more.push((name, value));
        }
        Ok(parts)
    }

    fn quantity(&self, text: &str) -> Result<Quantity, String> {
        Quantity::parse_typed(text, self.separator).map_err(|error| self.refuse(&error.to_string()))
    }

    fn value<T: FromStr<Err: Display>>(&self, name: &str, text: &str) -> Result<T, String> {
        text.parse().map_err(|error| self.refuse(&format!("{name}: {error}")))
    }

    fn unknown(&self, name: &str, known: &str) -> String {
        self.refuse(&format!("{name:?} is unknown; use {known}"))
    }

    fn refuse(&self, why: &str) -> String {
        format!("--line {:?}: {why}", self.text)
    }
}

/// Cuts at commas; a piece without `=` belongs to the value before it, which has a decimal or a plain comma.
fn fields(text: &str) -> Vec<(String, String)> {
    let mut fields: Vec<(String, String)> = Vec::new();
    for piece in text.split(',') {
        match (piece.split_once('='), fields.last_mut()) {
            (Some((name, value)), _) => fields.push((name.trim().to_owned(), value.trim().to_owned())),
            (None, Some((_, value))) => {
                value.push(',');
                value.push_str(piece.trim());
            }
            (None, None) => fields.push((piece.trim().to_owned(), String::new())),
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use medreq::domain::reason::{ReceiptReason, ShortReason};

    use super::*;

    fn q(text: &str) -> Quantity {
        text.parse().unwrap()
    }

    #[test]
    fn a_new_line_names_medication_quantity_and_unit() {
        let line = new_line("MIDAZ-5=10", '.').unwrap();
        assert_eq!((line.medication.as_str(), line.quantity, line.unit), ("MIDAZ-5", Some(q("10")), None));
        let line = new_line("MIDAZ-5=2:box", '.').unwrap();
        assert_eq!((line.quantity, line.unit.as_deref()), (Some(q("2")), Some("box")));
        let line = new_line("MIDAZ-5=0,5", ',').unwrap();
        assert_eq!(line.quantity, Some(q("0.5")));
        let line = new_line("MORF-10=8/10", '.').unwrap();
        assert_eq!((line.counted, line.expected, line.quantity), (Some(q("8")), Some(q("10")), None));
        for bad in
            ["MIDAZ-5", "=10", "MIDAZ-5=", "MIDAZ-5=-1", "MIDAZ-5=1.000", "MIDAZ-5=1:", "MIDAZ-5=8/", "MIDAZ-5=ten"]
        {
            assert!(new_line(bad, '.').unwrap_err().contains(bad), "{bad}");
        }
    }

    #[test]
    fn a_pick_names_lot_expiry_and_reason() {
        let (line, expected) = pick_line("1=8,lot=L42,expiry=2027-01-31,reason=out_of_stock", '.').unwrap();
        assert_eq!(expected, None);
        assert_eq!((line.line, line.supplied, line.lot.as_deref()), (1, q("8"), Some("L42")));
        assert_eq!(
            (line.expiry.unwrap().to_string(), line.reason),
            ("2027-01-31".into(), Some(ShortReason::OutOfStock))
        );
        let (line, _) = pick_line("2=0,5,lot=A,B", ',').unwrap();
        assert_eq!((line.supplied, line.lot.as_deref()), (q("0.5"), Some("A,B")));
        let (_, expected) = pick_line("1=0,reason=backordered,expected_at=14:30", '.').unwrap();
        assert!(expected.is_some_and(When::is_local));
        for (bad, why) in [
            ("", "begin with"),
            ("x=8", "begin with"),
            ("1", "quantity"),
            ("1=8,lto=L", "use lot, expiry"),
            ("1=8,reason=because", "use one of"),
            ("1=8,expiry=31/01/2027", "expiry"),
            ("1=8,lot=", "says nothing"),
            ("1=8,lot=A,lot=B", "twice"),
        ] {
            let error = pick_line(bad, '.').unwrap_err();
            assert!(error.contains(why), "{bad}: {error}");
        }
    }

    #[test]
    fn a_receipt_names_what_did_not_arrive_well() {
        let line = receive_line("1=7,damaged=1,reason=damaged", '.').unwrap();
        assert_eq!((line.received, line.damaged, line.missing), (q("7"), q("1"), q("0")));
        assert_eq!(line.reason, Some(ReceiptReason::Damaged));
        assert!(receive_line("1=7,lot=L", '.').unwrap_err().contains("use damaged"));
    }
}
