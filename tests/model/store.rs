//! What MongoDB holds, and the transaction that decides a batch of the log. All that a transaction reads is of one snapshot, and it is written whole
//! or not at all; nothing else ever writes outcomes, tickets or events.

use std::collections::BTreeMap;

use crate::{
    rules::Rules,
    ward::{CommandId, Event, Outcome, StoredOutcome, Submission, Ticket, TicketId, Tickets, decide},
};

/// A partition's document.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Stand {
    /// The first record that is not decided.
    pub(crate) next_offset: usize,
    /// Number of the newest event.
    pub(crate) seq: usize,
}

/// An event's identity; the epoch is left out, since the log is never another one here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct EventId {
    pub(crate) partition: usize,
    pub(crate) seq: usize,
}

/// Committed state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Store {
    pub(crate) partitions: Vec<Stand>,
    pub(crate) outcomes: BTreeMap<CommandId, StoredOutcome>,
    pub(crate) tickets: Tickets,
    pub(crate) events: BTreeMap<EventId, Event>,
    /// Up to where the relay has marked the events of partition 0 as sent.
    pub(crate) sent: usize,
}

/// A batch that is decided and not yet committed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Transaction {
    pub(crate) partition: usize,
    /// The partition's document as it was read, and as it shall be.
    pub(crate) read: Stand,
    pub(crate) after: Stand,
    outcomes: BTreeMap<CommandId, StoredOutcome>,
    /// The tickets that change, each with the version that was loaded.
    tickets: BTreeMap<TicketId, (Option<u8>, Ticket)>,
    events: BTreeMap<EventId, Event>,
}

/// Why nothing of a transaction was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Abort {
    /// The partition stands elsewhere than where it was read. A write conflict of the two transactions comes to the same.
    Fenced,
    /// An outcome or event has its key already (E11000).
    Collision,
    /// A ticket has another version than the one that was loaded.
    TwoWriters,
}

impl Store {
    /// Opens a transaction and decides the records from `next_offset` on, in log order; `loaded` are the tickets where they were not read in it.
    pub(crate) fn open(
        &self,
        rules: Rules,
        partition: usize,
        records: &[Submission],
        loaded: Option<&Tickets>,
    ) -> Transaction {
        let read = self.partitions[partition];
        let after = Stand { next_offset: read.next_offset + records.len(), ..read };
        let snapshot = loaded.unwrap_or(&self.tickets);
        let mut tickets = snapshot.clone();
        let mut batch = Transaction {
            partition,
            read,
            after,
            outcomes: BTreeMap::new(),
            tickets: BTreeMap::new(),
            events: BTreeMap::new(),
        };
        for submission in records {
            let id = submission.command_id;
            if rules.outcome_check && (self.outcomes.contains_key(&id) || batch.outcomes.contains_key(&id)) {
                continue;
            }
            let outcome = match decide(&tickets, submission) {
                Ok(event) => {
                    let version = snapshot.get(&event.ticket).map(|ticket| ticket.version);
                    tickets.insert(event.ticket, event.after);
                    batch.tickets.insert(event.ticket, (version, event.after));
                    batch.after.seq += 1;
                    batch.events.insert(EventId { partition, seq: batch.after.seq }, event);
                    Outcome::Applied(event.after)
                }
                Err(refusal) => Outcome::Refused(refusal),
            };
            batch.outcomes.insert(id, StoredOutcome { submission: *submission, outcome });
        }
        batch
    }

    /// Commits, if every condition holds.
    pub(crate) fn commit(&mut self, rules: Rules, batch: &Transaction) -> Result<(), Abort> {
        if rules.fence && self.partitions[batch.partition].next_offset != batch.read.next_offset {
            return Err(Abort::Fenced);
        }
        let taken = batch.outcomes.keys().any(|id| self.outcomes.contains_key(id))
            || batch.events.keys().any(|id| self.events.contains_key(id));
        if rules.insert_only && taken {
            return Err(Abort::Collision);
        }
        let as_loaded =
            |(id, (version, _)): (&TicketId, &(_, _))| self.tickets.get(id).map(|ticket| ticket.version) == *version;
        if rules.ticket_versions && !batch.tickets.iter().all(as_loaded) {
            return Err(Abort::TwoWriters);
        }
        self.partitions[batch.partition] = batch.after;
        self.outcomes.extend(&batch.outcomes);
        self.tickets.extend(batch.tickets.iter().map(|(id, (_, ticket))| (*id, *ticket)));
        self.events.extend(&batch.events);
        Ok(())
    }
}
