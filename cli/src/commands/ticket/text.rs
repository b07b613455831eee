//! Tickets as people read them in a terminal. Every quantity stands with its unit.

use jiff::Timestamp;
use medreq::{
    api::{
        events::TicketEvent,
        tickets::{Line, Person, Ticket},
    },
    domain::reason::Status,
};

use super::particulars::KnownLines;
use crate::{
    output::{Output, clean, time_left},
    table::Table,
    zone::Zone,
};

/// One line after a command: `UTI-42-K is claimed by Davi (davi), version 2; stat, 12 min left`.
pub(super) fn outcome(ticket: &Ticket, output: &Output) -> String {
    let by = ticket.assignee.as_ref().map(|who| format!(", assigned to {}", person(who))).unwrap_or_default();
    let left = left(ticket, Timestamp::now());
    let left = if left.is_empty() { left } else { format!(", {left}") };
    let head = clean(&format!("{} is {}{by}, version {}; ", ticket.number, ticket.status, ticket.version));
    format!("{head}{}{left}\nid {}", output.priority(ticket.priority), clean(&ticket.id))
}

/// The queue.
pub(super) fn list(tickets: &[Ticket], output: &Output) -> String {
    let now = Timestamp::now();
    let mut table =
        Table::new(&["PRIORITY", "LEFT", "DESTINATION", "ITEMS", "STATUS", "ASSIGNEE", "PHARMACY", "NUMBER"]);
    for ticket in tickets {
        table.row([
            output.priority(ticket.priority),
            left(ticket, now),
            destination(ticket),
            items(ticket),
            ticket.status.to_string(),
            ticket.assignee.as_ref().map(|who| who.username.clone()).unwrap_or_default(),
            ticket.pharmacy.clone(),
            ticket.number.clone(),
        ]);
    }
    table.render()
}

/// One ticket, whole.
pub(super) fn whole(ticket: &Ticket, output: &Output, zone: &Zone) -> String {
    let now = Timestamp::now();
    let mut text = format!(
        "{}  {}  {}  {}  version {}",
        clean(&ticket.number),
        output.priority(ticket.priority),
        ticket.kind,
        ticket.status,
        ticket.version
    );
    for (name, value) in facts(ticket, now, zone) {
        text.push_str(&clean(&format!("\n  {name:<12}{}", value.replace('\n', "\n              "))));
    }
    if !ticket.lines.is_empty() {
        text.push_str("\n\n");
        text.push_str(&lines(&ticket.lines, zone));
    }
    text
}

fn facts(ticket: &Ticket, now: Timestamp, zone: &Zone) -> Vec<(&'static str, String)> {
    let due = ticket.due_at.map(|due| {
        let left = left(ticket, now);
        if left.is_empty() { zone.minute(due) } else { format!("{} ({left})", zone.minute(due)) }
    });
    let hold = ticket.hold.as_ref().map(|hold| {
        let note = hold.note.as_ref().map(|note| format!(": {note}")).unwrap_or_default();
        format!("{} until {}{note}", hold.reason, zone.minute(hold.resume_by))
    });
    let sent = ticket
        .dispatch
        .as_ref()
        .map(|sent| format!("{} by {}, {}", sent.method, person(&sent.by), zone.minute(sent.at)));
    let identifiers: Vec<String> = ticket.identifiers.iter().map(|id| format!("{}={}", id.system, id.value)).collect();
    let facts = [
        ("id", Some(ticket.id.clone())),
        ("for", Some(destination(ticket))),
        ("pharmacy", Some(ticket.pharmacy.clone())),
        ("requester", Some(person(&ticket.requester))),
        ("assignee", ticket.assignee.as_ref().map(person)),
        ("created", Some(zone.minute(ticket.created_at))),
        ("due", due),
        ("patient", ticket.patient_ref.clone()),
        ("dose at", ticket.dose_at.map(|at| zone.minute(at))),
        ("searched", ticket.searched.as_ref().map(|places| places.join("; "))),
        ("category", ticket.category.map(|category| category.to_string())),
        ("text", ticket.text.clone()),
        ("on hold", hold),
        ("checked by", ticket.checked_by.as_ref().map(person)),
        ("sent", sent),
        ("note", ticket.note.clone()),
        ("texts", ticket.erased_at.map(|at| format!("erased {}", zone.minute(at)))),
        ("identifiers", (!identifiers.is_empty()).then(|| identifiers.join(", "))),
    ];
    facts.into_iter().filter_map(|(name, value)| value.map(|value| (name, value))).collect()
}

fn lines(lines: &[Line], zone: &Zone) -> String {
    let mut table =
        Table::new(&["LINE", "MEDICATION", "NAME", "CLASS", "ASKED", "SUPPLIED", "OUTSTANDING", "RECEIVED", "DETAILS"]);
    for line in lines {
        let amount = |quantity: medreq::domain::quantity::Quantity| format!("{quantity} {}", line.unit);
        let asked = match (line.counted, line.expected) {
            (Some(counted), Some(expected)) => format!("counted {counted} of {}", amount(expected)),
            _ => amount(line.quantity),
        };
        table.row([
            line.line.to_string(),
            line.medication.clone(),
            line.name.clone(),
            line.control_class.as_wire().unwrap_or_default().to_owned(),
            asked,
            amount(line.supplied),
            amount(line.outstanding),
            amount(line.received),
            details(line, zone),
        ]);
    }
    table.render()
}

fn details(line: &Line, zone: &Zone) -> String {
    let lots = line.picks.iter().map(|pick| format!("{} of lot {}, expires {}", pick.quantity, pick.lot, pick.expiry));
    let part = |name: &str, quantity: medreq::domain::quantity::Quantity| {
        (!quantity.is_zero()).then(|| format!("{quantity} {} {name}", line.unit))
    };
    let short = line.reason.map(|reason| format!("short: {reason}"));
    let expected = line.expected_at.map(|at| format!("expected {}", zone.minute(at)));
    let receipt = line.receipt_reason.map(|reason| format!("receipt: {reason}"));
    lots.chain(short)
        .chain(expected)
        .chain(part("damaged", line.damaged))
        .chain(part("wrong", line.wrong))
        .chain(part("missing", line.missing))
        .chain(receipt)
        .chain(part("declined", line.declined))
        .collect::<Vec<_>>()
        .join("; ")
}

/// What happened, oldest first.
pub(super) fn history(events: &[TicketEvent], zone: &Zone) -> String {
    let mut table = Table::new(&["AT", "VERSION", "EVENT", "STATUS", "BY", "DETAILS"]);
    let mut lines = KnownLines::default();
    for event in events {
        table.row([
            zone.minute(event.at),
            event.version.to_string(),
            event.event.clone(),
            event.status.to_string(),
            actor(event),
            lines.particulars(event, zone),
        ]);
    }
    table.render()
}

/// One line of the live feed.
pub(super) fn event(event: &TicketEvent, zone: &Zone) -> String {
    let more = KnownLines::default().particulars(event, zone);
    let more = if more.is_empty() { more } else { format!("  {more}") };
    let line = format!(
        "{}  {}  {} by {}  -> {}  {}/{}{more}",
        zone.clock(event.at),
        event.number,
        event.event,
        actor(event),
        event.status,
        event.pharmacy,
        event.ward,
    );
    clean(&line).replace('\n', " ")
}

fn actor(event: &TicketEvent) -> String {
    let through = if event.actor.on_behalf { format!(" through {}", event.actor.client_id) } else { String::new() };
    format!("{} ({}){through}", event.actor.name, event.actor.username)
}

fn destination(ticket: &Ticket) -> String {
    ticket.cabinet.as_ref().map_or_else(|| ticket.ward.clone(), |cabinet| format!("{} {cabinet}", ticket.ward))
}

fn items(ticket: &Ticket) -> String {
    let line = |line: &Line| match line.counted {
        Some(counted) => format!("{counted} {} {}", line.unit, line.medication),
        None => format!("{} {} {}", line.quantity, line.unit, line.medication),
    };
    match (ticket.lines.as_slice(), ticket.category) {
        ([], Some(category)) => format!("{}: {category}", ticket.kind),
        ([], None) => ticket.kind.to_string(),
        ([only], _) => line(only),
        ([first, rest @ ..], _) => format!("{} +{}", line(first), rest.len()),
    }
}

fn left(ticket: &Ticket, now: Timestamp) -> String {
    match (ticket.status.is_terminal(), ticket.due_at) {
        (true, _) => String::new(),
        (false, Some(due)) => time_left(due, now),
        (false, None) if ticket.status == Status::OnHold => "stopped".to_owned(),
        (false, None) => String::new(),
    }
}

fn person(person: &Person) -> String {
    format!("{} ({})", person.name, person.username)
}
