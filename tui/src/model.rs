//! What the console shows and how it changes: pure, without terminal, clock or network.

use jiff::{Timestamp, tz::TimeZone};
use medreq::api::tickets::Ticket;

/// How fresh the picture is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Link {
    /// Nothing was loaded yet.
    Connecting,
    /// As of this time.
    Live(Timestamp),
    /// The last load failed; what is shown is from this time on out of date.
    Stale {
        /// When the picture was last right.
        since: Option<Timestamp>,
        /// Why.
        reason: String,
    },
}

/// Everything on the screen.
#[derive(Debug, Clone)]
pub(crate) struct Model {
    pub(crate) user: String,
    /// The hospital's, or this machine's where the server does not tell it.
    pub(crate) zone: TimeZone,
    pub(crate) link: Link,
    pub(crate) now: Timestamp,
    pub(crate) tickets: Vec<Ticket>,
    pub(crate) total: Option<u64>,
    selected: Option<String>,
}

/// What happened.
#[derive(Debug, Clone)]
pub(crate) enum Message {
    Tick(Timestamp),
    Loaded { tickets: Vec<Ticket>, total: Option<u64>, at: Timestamp },
    Failed(String),
    Move(isize),
    Refresh,
    Quit,
}

/// What the loop must do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    None,
    Load,
    Quit,
}

impl Model {
    pub(crate) fn new(user: String, zone: TimeZone, now: Timestamp) -> Self {
        Self { user, zone, link: Link::Connecting, now, tickets: Vec::new(), total: None, selected: None }
    }

    /// The row under the cursor: found by id, so that it stays on its ticket when rows move.
    pub(crate) fn selected_row(&self) -> Option<usize> {
        let id = self.selected.as_ref()?;
        self.tickets.iter().position(|ticket| ticket.id == *id)
    }

    pub(crate) fn overdue(&self) -> usize {
        self.tickets.iter().filter(|ticket| ticket.due_at.is_some_and(|due| due < self.now)).count()
    }

    pub(crate) fn update(&mut self, message: Message) -> Effect {
        match message {
            Message::Tick(now) => self.now = now,
            Message::Loaded { tickets, total, at } => {
                (self.tickets, self.total, self.link, self.now) = (tickets, total, Link::Live(at), at);
                if self.selected_row().is_none() {
                    self.selected = self.tickets.first().map(|ticket| ticket.id.clone());
                }
            }
            Message::Failed(reason) => {
                let since = match &self.link {
                    Link::Live(at) => Some(*at),
                    Link::Stale { since, .. } => *since,
                    Link::Connecting => None,
                };
                self.link = Link::Stale { since, reason };
            }
            Message::Move(by) => self.move_cursor(by),
            Message::Refresh => return Effect::Load,
            Message::Quit => return Effect::Quit,
        }
        Effect::None
    }

    fn move_cursor(&mut self, by: isize) {
        let last = self.tickets.len().saturating_sub(1);
        let row = self.selected_row().unwrap_or_default().saturating_add_signed(by).min(last);
        self.selected = self.tickets.get(row).map(|ticket| ticket.id.clone());
    }
}
