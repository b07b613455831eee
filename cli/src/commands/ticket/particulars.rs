//! What an event says beyond its name: medicines, lots, amounts, reasons, words. It must never leave out an amount that differs from what was asked.

use std::collections::BTreeMap;

use medreq::api::events::TicketEvent;
use serde_json::Value;

use crate::zone::Zone;

/// What the lines of a ticket ask for, by their numbers: the events after the first name only the numbers.
#[derive(Debug, Default)]
pub(super) struct KnownLines(BTreeMap<u64, Item>);

#[derive(Debug, Clone, Default)]
struct Item {
    medication: String,
    unit: String,
}

impl KnownLines {
    /// An event's particulars as one text, and what it says of the lines kept for the events after it.
    pub(super) fn particulars(&mut self, event: &TicketEvent, zone: &Zone) -> String {
        let data = &event.data;
        let created = data.get("ticket").filter(|_| event.event == "created");
        let lines = created.unwrap_or(data).get("lines").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let described = lines.iter().map(|line| match event.event.as_str() {
            "picked" => self.picked(line, zone),
            "received" => self.received(line),
            _ => self.asked(line),
        });
        let mut parts: Vec<String> = described.collect();
        if let Some(ticket) = created {
            parts.extend(words(ticket, &["priority", "category", "text", "note"]));
        }
        if event.event == "ready" && data.get("second_person") == Some(&Value::Bool(true)) {
            parts.push("checked by a second person".to_owned());
        }
        if event.event == "amended" && data.get("note") == Some(&Value::Null) {
            parts.push("note removed".to_owned());
        }
        parts
            .extend(words(data, &["priority", "reason", "method", "assignee", "pharmacy", "text", "note", "override"]));
        parts.join("; ")
    }

    fn asked(&mut self, line: &Value) -> String {
        let item = Item { medication: text(line, "medication"), unit: text(line, "unit") };
        let asked = match (line["counted"].as_str(), line["expected"].as_str()) {
            (Some(counted), Some(expected)) => format!("counted {counted} of {expected}"),
            _ => text(line, "quantity"),
        };
        let described = format!("{asked} {} {}", item.unit, item.medication);
        self.0.insert(number(line), item);
        described
    }

    fn picked(&self, line: &Value, zone: &Zone) -> String {
        let mut parts = vec![self.amount(line, "supplied")];
        for pick in line["picks"].as_array().into_iter().flatten() {
            let [quantity, lot, expiry] = ["quantity", "lot", "expiry"].map(|name| text(pick, name));
            parts.push(format!("{quantity} of lot {lot}, expires {expiry}"));
        }
        parts.extend(line["reason"].as_str().map(|reason| format!("short: {reason}")));
        if let Some(at) = line["expected_at"].as_str() {
            parts.push(format!("expected {}", at.parse().map_or_else(|_| at.to_owned(), |at| zone.minute(at))));
        }
        parts.join(", ")
    }

    fn received(&self, line: &Value) -> String {
        let mut parts = vec![format!("{} received", self.amount(line, "received"))];
        for name in ["damaged", "wrong", "missing"] {
            parts.extend(line[name].as_str().filter(|amount| *amount != "0").map(|amount| format!("{amount} {name}")));
        }
        parts.extend(line["reason"].as_str().map(|reason| format!("reason: {reason}")));
        parts.join(", ")
    }

    /// `8 ampoule MIDAZ-5`, or the line's number where only the event is known.
    fn amount(&self, line: &Value, name: &str) -> String {
        let (amount, number) = (text(line, name), number(line));
        match self.0.get(&number) {
            Some(item) => format!("{amount} {} {}", item.unit, item.medication),
            None => format!("line {number}: {amount}"),
        }
    }
}

fn number(line: &Value) -> u64 {
    line["line"].as_u64().unwrap_or_default()
}

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_default().to_owned()
}

/// The members that are words, or people.
fn words(data: &Value, names: &[&str]) -> Vec<String> {
    let word = |name: &&str| {
        let value = data.get(*name)?;
        let word = value.as_str().or_else(|| value["username"].as_str())?;
        Some(format!("{name}: {word}"))
    };
    names.iter().filter_map(word).collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use serde_json::json;

    use super::*;

    fn event(name: &str, data: &Value) -> TicketEvent {
        serde_json::from_value(json!({
            "id": "e-0-1", "seq": 1, "at": "2030-01-01T00:00:00Z", "event": name, "version": 1, "ticket": "t",
            "actor": { "username": "ana", "name": "Ana", "client_id": "cli", "on_behalf": false },
            "number": "UTI-42-K", "ward": "UTI", "pharmacy": "CENTRAL", "status": "open", "data": data,
        }))
        .unwrap()
    }

    #[test]
    fn history_tells_medicines_lots_amounts_and_reasons() {
        let mut known = KnownLines::default();
        let line = json!({ "line": 1, "medication": "MIDAZ-5", "unit": "ampoule", "quantity": "10" });
        let created =
            json!({ "ticket": { "lines": [line], "priority": "stat", "note": "now" }, "override": "more_needed" });
        let amended = json!({ "lines": [{ "line": 1, "medication": "MIDAZ-5", "unit": "ampoule", "quantity": "9" }], "note": null });
        let pick = json!({ "quantity": "8", "lot": "L42", "expiry": "2099-01-31" });
        let picked = json!({ "lines": [{ "line": 1, "supplied": "8", "picks": [pick], "reason": "out_of_stock" }] });
        let receipt =
            json!({ "line": 1, "received": "7", "damaged": "1", "wrong": "0", "missing": "0", "reason": "damaged" });
        for (name, data, told) in [
            ("created", created, "10 ampoule MIDAZ-5; priority: stat; note: now; override: more_needed"),
            ("amended", amended, "9 ampoule MIDAZ-5; note removed"),
            ("reassigned", json!({ "assignee": { "username": "davi", "name": "Davi" } }), "assignee: davi"),
            ("picked", picked, "8 ampoule MIDAZ-5, 8 of lot L42, expires 2099-01-31, short: out_of_stock"),
            ("received", json!({ "lines": [receipt] }), "7 ampoule MIDAZ-5 received, 1 damaged, reason: damaged"),
        ] {
            assert_eq!(known.particulars(&event(name, &data), &Zone::of_machine()), told);
        }
    }

    #[test]
    fn an_event_alone_names_the_line() {
        let data = json!({ "lines": [{ "line": 2, "supplied": "0", "picks": [], "reason": "recalled" }] });
        assert_eq!(
            KnownLines::default().particulars(&event("picked", &data), &Zone::of_machine()),
            "line 2: 0, short: recalled"
        );
    }
}
