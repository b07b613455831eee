//! A ticket as a batch holds it: from what is stored to what the batch leaves. Its texts are readable here, and sealed before they leave.

use std::collections::{BTreeSet, HashMap};

use mongodb::bson::{Bson, Document, doc};
use serde::Serialize;

use super::{
    read::{Fields, bytes},
    site_keys::SiteKeys,
    tickets::{birth, state},
    transaction::Change as Write,
};
use crate::{
    domain::{
        event::{Change, Event},
        ticket::{Ticket, TicketId, Version},
    },
    server::{
        ports::{CommandId, StoreResult},
        stored::{TextKey, Texts, is_readable, open, open_needs, seal},
    },
};

/// A ticket with what a batch has to know of it.
pub(super) struct Held {
    pub(super) ticket: Ticket,
    /// The sequence number of its first event: of two requests for one need the older one is told.
    pub(super) born: u64,
    /// What it stands open for.
    pub(super) needs: BTreeSet<String>,
    /// Those of its needs that no other open request may have.
    sole: BTreeSet<String>,
    origin: Origin,
    key: Key,
}

/// Where it comes from.
enum Origin {
    /// Stored, at this version and with these sole needs.
    Stored(Version, BTreeSet<String>),
    /// Made by this command of the batch.
    Made(CommandId),
}

/// What seals its texts.
enum Key {
    /// It never had any.
    None,
    Stored(TextKey),
    Made(TextKey, [u8; 32]),
    Erased,
}

/// The ticket of a document; takes its key.
pub(super) fn held(document: &Document, keys: &mut HashMap<TicketId, TextKey>) -> StoreResult<Held> {
    let mut ticket: Ticket = document.record()?;
    let key = keys.remove(&ticket.id);
    open(key.as_ref(), &mut ticket)?;
    let sole = words(document, "sole");
    Ok(Held {
        born: document.number("born")?.cast_unsigned(),
        needs: words(document, "needs"),
        sole: sole.clone(),
        origin: Origin::Stored(ticket.version, sole),
        key: key.map_or(Key::None, Key::Stored),
        ticket,
    })
}

fn words(document: &Document, name: &str) -> BTreeSet<String> {
    let array = document.get_array(name).into_iter().flatten();
    array.filter_map(Bson::as_str).map(str::to_owned).collect()
}

impl Held {
    /// The ticket that a command of the batch makes.
    pub(super) fn made(id: CommandId, born: u64, ticket: Ticket) -> Self {
        let (needs, sole) = (BTreeSet::new(), BTreeSet::new());
        Self { ticket, born, needs, sole, origin: Origin::Made(id), key: Key::None }
    }

    /// Goes on to what an event made of it.
    pub(super) fn follow(&mut self, site: &SiteKeys, event: &Event, after: Ticket) {
        let needs: BTreeSet<String> = open_needs(&site.patient_salt, &after).iter().map(ToString::to_string).collect();
        let asked = match &event.change {
            Change::Created { override_reason, .. } => override_reason.is_none(),
            Change::Amended { lines, override_reason, .. } => lines.is_some() && override_reason.is_none(),
            _ => false,
        };
        self.sole.retain(|need| needs.contains(need));
        // What passed beside another on purpose is not the only one, and a count is no request.
        if asked && after.kind.is_supply() {
            self.sole.extend(needs.difference(&self.needs).cloned());
        }
        self.needs = needs;
        self.ticket = after;
    }

    /// A record of the ticket as it is stored, under a new key where the ticket has none yet.
    pub(super) fn sealed<T: Texts + Clone + Serialize>(&mut self, record: &T) -> StoreResult<String> {
        let mut record = record.clone();
        if is_readable(&mut record) {
            if let Key::None = self.key {
                let (key, bytes) = TextKey::make(self.ticket.id)?;
                self.key = Key::Made(key, bytes);
            }
            if let Key::Stored(key) | Key::Made(key, _) = &self.key {
                seal(key, &mut record)?;
            }
        }
        Ok(serde_json::to_string(&record)?)
    }

    /// Forgets its key.
    pub(super) fn erase(&mut self) {
        self.key = Key::Erased;
    }

    /// What its key becomes in the store.
    pub(super) fn key_change(&self) -> KeyChange {
        let id = self.ticket.id.to_string();
        match &self.key {
            Key::None | Key::Stored(_) => KeyChange::None,
            Key::Made(_, key) => KeyChange::Insert(doc! { "_id": id, "key": bytes(key) }),
            Key::Erased => KeyChange::Delete(id),
        }
    }

    /// Sole needs that the batch took from the ticket, and those that it gave it.
    pub(super) fn sole_changes(&self) -> (Vec<&String>, Vec<&String>) {
        match &self.origin {
            Origin::Stored(_, was) => (was.difference(&self.sole).collect(), self.sole.difference(was).collect()),
            Origin::Made(_) => (vec![], self.sole.iter().collect()),
        }
    }

    /// What its document becomes; nothing where it is as it was.
    pub(super) fn change(&mut self, site: &SiteKeys) -> StoreResult<TicketChange> {
        if matches!(&self.origin, Origin::Stored(version, _) if *version == self.ticket.version) {
            return Ok(TicketChange::None);
        }
        let ticket = self.ticket.clone();
        let mut document = state(site, &ticket, self.sealed(&ticket)?);
        let sole: Vec<&String> = self.sole.iter().collect();
        let is_sole = !sole.is_empty();
        if is_sole {
            document.insert("sole", sole);
        }
        Ok(match &self.origin {
            Origin::Made(id) => {
                let mut whole = birth(&ticket, &id.0.to_string(), self.born);
                whole.extend(document);
                TicketChange::Insert(whole)
            }
            Origin::Stored(version, _) => {
                let filter = doc! { "_id": ticket.id.to_string(), "version": version.0.cast_signed() };
                let mut change = doc! { "$set": document };
                if !is_sole {
                    change.insert("$unset", doc! { "sole": "" });
                }
                TicketChange::Update(Write { filter, change, upsert: false })
            }
        })
    }
}

/// What becomes of a ticket's document.
pub(super) enum TicketChange {
    None,
    Insert(Document),
    Update(Write),
}

/// What becomes of a key's document.
pub(super) enum KeyChange {
    None,
    Insert(Document),
    Delete(String),
}
