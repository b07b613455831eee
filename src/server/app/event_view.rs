//! Events as readers get them: history, the live feed, webhooks. Names people, never their internal ids.

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::{
    api::{
        events::{EventActor, TicketEvent},
        millis,
        tickets::{Line, Person, Pick, Ticket},
    },
    domain::{
        event::{Change, PickedLine},
        text::FreeText,
    },
    server::ports::RecordedEvent,
};

/// The event on the wire.
pub(crate) fn view(recorded: &RecordedEvent) -> TicketEvent {
    let event = &recorded.event;
    TicketEvent {
        id: recorded.id.to_string(),
        seq: recorded.id.seq,
        at: event.at,
        event: event.name().to_owned(),
        version: event.version.0,
        actor: EventActor {
            username: event.actor.person.username.to_string(),
            name: event.actor.person.name.clone(),
            client_id: event.actor.client_id.clone(),
            on_behalf: event.actor.delegated,
        },
        ticket: recorded.ticket.to_string(),
        number: recorded.number.clone(),
        ward: recorded.ward.to_string(),
        pharmacy: recorded.pharmacies.first().map(ToString::to_string).unwrap_or_default(),
        status: recorded.status,
        data: Value::Object(data(&event.change)),
    }
}

/// Particulars; what an event does not say is left out.
fn data(change: &Change) -> Map<String, Value> {
    let value = match change {
        Change::Created { ticket, override_reason, .. } => {
            json!({ "ticket": Ticket::from(ticket.as_ref()), "override": override_reason })
        }
        Change::Amended { priority, note, lines, override_reason, .. } => {
            let lines: Option<Vec<Line>> = lines.as_ref().map(|lines| lines.iter().map(Line::from).collect());
            let mut data = object(json!({ "priority": priority, "lines": lines, "override": override_reason }));
            // An erased note is left out: null says that it was removed.
            if let Some(note) = note.as_ref().filter(|note| note.as_ref().is_none_or(|text| text.plain().is_some())) {
                data.insert("note".to_owned(), json!(shown(note)));
            }
            return data;
        }
        Change::Reassigned { assignee } => json!({ "assignee": Person::from(assignee) }),
        Change::Transferred { pharmacy, reason, note } => {
            json!({ "pharmacy": pharmacy, "reason": reason, "note": shown(note) })
        }
        Change::Picked { lines, complete } => {
            json!({ "lines": lines.iter().map(picked).collect::<Vec<_>>(), "complete": complete })
        }
        Change::Ready { second_person, .. } => json!({ "second_person": second_person }),
        Change::Dispatched { method } => json!({ "method": method }),
        Change::Received { lines } => json!({ "lines": lines }),
        Change::Returned { reason, note } => reasoned(reason, note),
        Change::Rejected { reason, note } => reasoned(reason, note),
        Change::Cancelled { reason, note } => reasoned(reason, note),
        Change::Resolved { note } => json!({ "note": shown(note) }),
        Change::Held { reason, note, resume_by } => {
            json!({ "reason": reason, "note": shown(note), "resume_by": millis::text(*resume_by) })
        }
        Change::Commented { text } => json!({ "text": text.plain() }),
        Change::Erased { reason } => json!({ "reason": reason }),
        Change::Claimed | Change::PicksDiscarded | Change::Released | Change::Unpicked | Change::Resumed => json!({}),
    };
    object(value)
}

fn picked(line: &PickedLine) -> Value {
    let supplied: crate::domain::quantity::Quantity = line.picks.iter().map(|pick| pick.quantity).sum();
    let picks: Vec<Pick> = line.picks.iter().map(Pick::from).collect();
    Value::Object(object(json!({
        "line": line.line,
        "supplied": supplied,
        "picks": picks,
        "reason": line.reason,
        "expected_at": line.expected_at.map(millis::text),
    })))
}

fn reasoned(reason: &impl Serialize, note: &Option<FreeText>) -> Value {
    json!({ "reason": reason, "note": shown(note) })
}

fn shown(note: &Option<FreeText>) -> Option<&str> {
    note.as_ref().and_then(FreeText::plain)
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members.into_iter().filter(|(_, value)| !value.is_null()).collect(),
        _ => Map::new(),
    }
}
