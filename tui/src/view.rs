//! Draws the model. Priority, time left and status are words, never colour alone; nothing here changes anything.

use jiff::Timestamp;
use medreq::{
    api::tickets::Ticket,
    domain::reason::{Priority, Status},
};
use ratatui::{
    Frame,
    layout::{Constraint, Layout},
    style::{Modifier, Style},
    text::Line,
    widgets::{Cell, Paragraph, Row, Table, TableState},
};

use crate::model::{Link, Model};

/// Below this the queue cannot be read safely, and a notice stands in its place.
const MIN_SIZE: (u16, u16) = (40, 10);

pub(crate) fn view(model: &Model, frame: &mut Frame<'_>) {
    let area = frame.area();
    if area.width < MIN_SIZE.0 || area.height < MIN_SIZE.1 {
        frame.render_widget(Paragraph::new("medreq: make the window at least 40×10"), area);
        return;
    }
    let [head, table, foot] =
        Layout::vertical([Constraint::Length(1), Constraint::Min(1), Constraint::Length(1)]).areas(area);
    let clock = clock(model);
    let width = u16::try_from(clock.len()).unwrap_or(head.width);
    let [left, right] = Layout::horizontal([Constraint::Fill(1), Constraint::Length(width)]).areas(head);
    let reversed = Style::new().add_modifier(Modifier::REVERSED);
    frame.render_widget(Paragraph::new(header(model)).style(reversed), left);
    frame.render_widget(Paragraph::new(clock).style(reversed), right);
    let mut state = TableState::new().with_selected(model.selected_row());
    frame.render_stateful_widget(queue(model), table, &mut state);
    frame.render_widget(Paragraph::new(" up/down select   r refresh   q quit"), foot);
}

/// The time at the hospital, with the zone's abbreviation or offset.
fn clock(model: &Model) -> String {
    model.now.to_zoned_datetime(model.zone.clone()).strftime(" %H:%M %Z ").to_string()
}

fn header(model: &Model) -> Line<'static> {
    let link = match &model.link {
        Link::Connecting => "Connecting".to_owned(),
        Link::Live(_) => "Live".to_owned(),
        Link::Stale { since: Some(since), reason } => {
            format!("Stale for {}: {reason}", span_words(model.now.as_second() - since.as_second()))
        }
        Link::Stale { since: None, reason } => format!("Offline: {reason}"),
    };
    let shown = model.total.unwrap_or(model.tickets.len() as u64);
    Line::from(format!(" medreq  {link}  {}  {shown} open  {} overdue", model.user, model.overdue()))
}

fn queue(model: &Model) -> Table<'_> {
    let widths = [
        Constraint::Length(8),
        Constraint::Length(10),
        Constraint::Length(16),
        Constraint::Fill(1),
        Constraint::Length(11),
        Constraint::Length(10),
        Constraint::Length(12),
    ];
    Table::new(model.tickets.iter().map(|ticket| row(ticket, model.now)), widths)
        .header(Row::new(["PRIORITY", "TIME LEFT", "WHERE", "ITEMS", "STATUS", "WHO", "NUMBER"]))
        .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED))
        .highlight_symbol(">")
        .highlight_spacing(ratatui::widgets::HighlightSpacing::Always)
}

fn row(ticket: &Ticket, now: Timestamp) -> Row<'_> {
    let place = match &ticket.cabinet {
        Some(cabinet) => format!("{}/{cabinet}", ticket.ward),
        None => ticket.ward.clone(),
    };
    let mut items = ticket.lines.first().map_or_else(|| ticket.kind.to_string(), |line| line.name.clone());
    if ticket.lines.len() > 1 {
        items.push_str(&format!(", +{}", ticket.lines.len() - 1));
    }
    let who = ticket.assignee.as_ref().map_or("-", |person| person.username.as_str());
    let style = match ticket.priority {
        Priority::Stat => Style::new().add_modifier(Modifier::BOLD),
        Priority::Asap | Priority::Urgent | Priority::Routine => Style::new(),
    };
    Row::new([
        Cell::from(ticket.priority.as_str().to_uppercase()),
        Cell::from(time_left(ticket, now)),
        Cell::from(place),
        Cell::from(items),
        Cell::from(ticket.status.as_str()),
        Cell::from(who.to_owned()),
        Cell::from(ticket.number.as_str()),
    ])
    .style(style)
}

fn time_left(ticket: &Ticket, now: Timestamp) -> String {
    match ticket.due_at {
        Some(due) => span_words(due.as_second() - now.as_second()),
        None if ticket.status == Status::OnHold => "held".to_owned(),
        None => "-".to_owned(),
    }
}

/// A span as people say it: `9 min`, `-3 min`, `3 h 10`.
fn span_words(seconds: i64) -> String {
    let minutes = seconds.div_euclid(60);
    let sign = if minutes < 0 { "-" } else { "" };
    match minutes.unsigned_abs() {
        minutes @ 0..60 => format!("{sign}{minutes} min"),
        minutes @ 60..1440 => format!("{sign}{} h {:02}", minutes / 60, minutes % 60),
        minutes => format!("{sign}{} d", minutes / 1440),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use jiff::tz::TimeZone;
    use medreq::api::tickets::Ticket;
    use ratatui::{Terminal, backend::TestBackend};
    use serde_json::{Value, json};

    use super::*;
    use crate::model::{Effect, Message};

    fn ticket(id: &str, priority: &str, due: &str) -> Ticket {
        let value: Value = json!({
            "id": id, "number": format!("UTI-{id}-K"), "kind": "refill", "status": "open", "version": 1, "priority": priority,
            "created_at": "2030-01-15T10:00:00Z", "updated_at": "2030-01-15T10:00:00Z", "due_at": due, "pharmacy": "CENTRAL",
            "ward": "UTI", "cabinet": "UTI-01", "requester": {"username": "ana", "name": "Ana"}, "assignee": null, "note": null,
            "identifiers": [], "lines": []
        });
        serde_json::from_value(value).unwrap()
    }

    fn model() -> Model {
        let at: Timestamp = "2030-01-15T10:06:00Z".parse().unwrap();
        let zone = TimeZone::get("America/Sao_Paulo").unwrap();
        let mut model = Model::new("davi".to_owned(), zone, at);
        let tickets = vec![ticket("1", "stat", "2030-01-15T10:15:00Z"), ticket("2", "urgent", "2030-01-15T10:03:00Z")];
        model.update(Message::Loaded { tickets, total: Some(2), at });
        model
    }

    fn drawn(model: &Model, width: u16, height: u16) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| view(model, frame)).unwrap();
        terminal.backend().to_string()
    }

    #[test]
    fn the_queue_says_priority_time_and_place_in_words() {
        let screen = drawn(&model(), 100, 24);
        for word in ["Live", "1 overdue", ">STAT", "9 min", "UTI/UTI-01", "URGENT", "-3 min", "q quit", "07:06 -03"] {
            assert!(screen.contains(word), "{word} is missing:\n{screen}");
        }
    }

    #[test]
    fn no_size_of_window_panics() {
        for (width, height) in [(1, 1), (39, 9), (40, 10), (60, 15), (80, 24), (200, 3)] {
            drawn(&model(), width, height);
        }
    }

    #[test]
    fn the_cursor_stays_on_its_ticket_when_the_order_changes() {
        let mut model = model();
        model.update(Message::Move(1));
        let at = model.now;
        let tickets = vec![ticket("2", "stat", "2030-01-15T10:03:00Z"), ticket("1", "stat", "2030-01-15T10:15:00Z")];
        model.update(Message::Loaded { tickets, total: Some(2), at });
        assert_eq!(model.tickets[model.selected_row().unwrap()].id, "2");
        assert_eq!(model.update(Message::Quit), Effect::Quit);
    }

    #[test]
    fn a_lost_connection_keeps_the_picture_and_says_its_age() {
        let mut model = model();
        model.update(Message::Failed("connection refused".to_owned()));
        model.update(Message::Tick("2030-01-15T10:08:00Z".parse().unwrap()));
        let screen = drawn(&model, 100, 24);
        assert!(screen.contains("Stale for 2 min") && screen.contains("UTI/UTI-01"), "{screen}");
    }
}
