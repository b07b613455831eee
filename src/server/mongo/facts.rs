//! What a batch's commands look at beside their tickets: read at once inside the deciding transaction, by what the batch names, and kept up with what
//! the batch does. It lives as long as the batch's attempt: the next one reads anew.

use std::{
    collections::{BTreeSet, HashMap},
    hash::Hash,
    sync::Arc,
};

use mongodb::bson::{Bson, Document, doc};
use serde::de::DeserializeOwned;

use super::{
    held::{Held, held},
    read::{Fields, records},
    site_keys::SiteKeys,
    tickets::text_keys,
    transaction::{Attempt, Tx},
};
use crate::{
    domain::{
        code::{CabinetCode, MedicationCode, PharmacyCode, Username, WardCode},
        command::Command,
        facts::{OpenRequest, Policy},
        quantity::Quantity,
        refusal::PastChange,
        routing::RoutingRule,
        ticket::{Identifier, Ticket, TicketId, Version},
    },
    server::{
        ports::{Cabinet, Medication, ParLevel, Pharmacy, StoreResult, Submission, User, Ward},
        stored::{
            self, Need, Needs, ROUTING, Sources, TIME_ZONE, held_by, named_by_amend, named_by_create, past_change,
            to_uuid,
        },
    },
};

/// Another ticket that stands open for a need, as stored.
struct Holder {
    ticket: TicketId,
    number: String,
    born: u64,
}

/// All that a batch knows.
pub(super) struct Known {
    pub(super) site: Arc<SiteKeys>,
    policy: Policy,
    rules: Vec<RoutingRule>,
    wards: HashMap<WardCode, Ward>,
    pharmacies: HashMap<PharmacyCode, Pharmacy>,
    cabinets: HashMap<CabinetCode, Cabinet>,
    medications: HashMap<MedicationCode, Medication>,
    par_levels: HashMap<String, Quantity>,
    users: HashMap<Username, User>,
    holders: HashMap<String, Vec<Holder>>,
    /// Identifiers that tickets have.
    pub(super) taken: BTreeSet<Identifier>,
    /// The newest number of each ward.
    pub(super) numbers: HashMap<WardCode, u64>,
    /// What changed tickets, as far as somebody has missed it.
    pub(super) past: HashMap<TicketId, Vec<PastChange>>,
    /// The tickets themselves.
    pub(super) tickets: HashMap<TicketId, Held>,
}

impl Known {
    /// Reads all that these commands name.
    pub(super) async fn read(tx: &mut Tx, site: Arc<SiteKeys>, commands: &[&Submission]) -> Attempt<Self> {
        let tickets = tickets(tx, commands).await?;
        let named = Named::of(&site, commands, &tickets);
        let settings = by_ids(tx, "settings", [TIME_ZONE, ROUTING]).await?;
        let setting = |name: &str| {
            settings.iter().find(|it| it.text("_id").is_ok_and(|id| id == name)).map(|it| it.text("value")).transpose()
        };
        let policy = Policy::default_in(stored::time_zone(setting(TIME_ZONE)?)?);
        let rules = stored::routing_rules(setting(ROUTING)?)?;
        // A hospital has a handful; which of them are meant stands in wards and rules.
        let pharmacies =
            if named.any_pharmacy { tx.find_all("pharmacies", Document::new()).await? } else { Vec::new() };
        Ok(Self {
            policy,
            rules,
            pharmacies: keyed(&pharmacies, |it: &Pharmacy| it.code.clone())?,
            wards: keyed(&by_ids(tx, "wards", &named.wards).await?, |it: &Ward| it.code.clone())?,
            cabinets: keyed(&by_ids(tx, "cabinets", &named.cabinets).await?, |it: &Cabinet| it.code.clone())?,
            medications: keyed(&by_ids(tx, "medications", &named.medications).await?, |it: &Medication| {
                it.code.clone()
            })?,
            par_levels: par_levels(&by_ids(tx, "par_levels", &named.par_levels).await?)?,
            users: keyed(&find_in(tx, "users", "username", &named.users).await?, |it: &User| it.username.clone())?,
            holders: holders(tx, &named.needs, tickets.len()).await?,
            taken: taken(tx, named.identifiers).await?,
            numbers: numbers(&by_ids(tx, "ward_sequences", &named.wards).await?)?,
            past: past(tx, &named.missed).await?,
            tickets,
            site,
        })
    }

    /// The ticket as the batch has left it.
    pub(super) fn ticket(&self, id: TicketId) -> Option<&Ticket> {
        self.tickets.get(&id).map(|held| &held.ticket)
    }
}

impl Sources for Known {
    fn policy(&self) -> StoreResult<Policy> {
        Ok(self.policy.clone())
    }

    fn routing_rules(&self) -> StoreResult<Vec<RoutingRule>> {
        Ok(self.rules.clone())
    }

    fn ward(&self, code: &WardCode) -> StoreResult<Option<Ward>> {
        Ok(self.wards.get(code).cloned())
    }

    fn pharmacy(&self, code: &PharmacyCode) -> StoreResult<Option<Pharmacy>> {
        Ok(self.pharmacies.get(code).cloned())
    }

    fn cabinet(&self, code: &CabinetCode) -> StoreResult<Option<Cabinet>> {
        Ok(self.cabinets.get(code).cloned())
    }

    fn medication(&self, code: &MedicationCode) -> StoreResult<Option<Medication>> {
        Ok(self.medications.get(code).cloned())
    }

    fn par_max(&self, cabinet: &CabinetCode, medication: &MedicationCode) -> StoreResult<Option<Quantity>> {
        Ok(self.par_levels.get(&par_level_id(cabinet, medication)).copied())
    }

    fn user(&self, username: &Username) -> StoreResult<Option<User>> {
        Ok(self.users.get(username).cloned())
    }

    fn patient_salt(&self) -> StoreResult<[u8; 32]> {
        Ok(self.site.patient_salt)
    }

    fn open_request(&self, need: Need, own: TicketId) -> StoreResult<Option<OpenRequest>> {
        let key = need.to_string();
        let stored = self.holders.get(&key).into_iter().flatten();
        // Of a ticket that the batch knows its own word counts.
        let stored = stored.filter(|holder| !self.tickets.contains_key(&holder.ticket));
        let stored = stored.map(|holder| (holder.born, holder.ticket, &holder.number));
        let held = self.tickets.values().filter(|held| held.needs.contains(&key));
        let held = held.map(|held| (held.born, held.ticket.id, &held.ticket.number));
        let oldest = stored.chain(held).filter(|(_, ticket, _)| *ticket != own).min();
        Ok(oldest.map(|(_, ticket, number)| OpenRequest {
            ticket,
            number: number.clone(),
            medication: need.medication,
        }))
    }

    fn is_taken(&self, identifier: &Identifier) -> StoreResult<bool> {
        Ok(self.taken.contains(identifier))
    }

    fn last_number(&self, ward: &WardCode) -> StoreResult<u64> {
        Ok(self.numbers.get(ward).copied().unwrap_or(0))
    }

    fn changes_since(&self, ticket: TicketId, version: Version) -> StoreResult<Vec<PastChange>> {
        let past = self.past.get(&ticket).into_iter().flatten();
        Ok(past.filter(|change| change.version > version).cloned().collect())
    }
}

/// What the commands of a batch name.
#[derive(Default)]
struct Named {
    wards: BTreeSet<String>,
    any_pharmacy: bool,
    cabinets: BTreeSet<String>,
    medications: BTreeSet<String>,
    par_levels: BTreeSet<String>,
    users: BTreeSet<String>,
    needs: BTreeSet<String>,
    identifiers: Vec<Document>,
    missed: Vec<Document>,
}

impl Named {
    fn of(site: &SiteKeys, commands: &[&Submission], tickets: &HashMap<TicketId, Held>) -> Self {
        let mut named = Self::default();
        for submission in commands {
            let ticket = tickets.get(&submission.ticket).map(|held| &held.ticket);
            match &submission.command {
                Command::Create(create) => {
                    named.wards.insert(create.ward.to_string());
                    named.any_pharmacy = true;
                    named.cabinets.extend(create.cabinet.iter().map(ToString::to_string));
                    named.items(create.cabinet.as_ref(), named_by_create(create));
                    let needs = Needs::of_create(&site.patient_salt, submission.ticket, create);
                    named.needs.extend(needs.each(named_by_create(create)).iter().map(ToString::to_string));
                    let key =
                        |identifier: &Identifier| doc! { "system": &identifier.system, "value": &identifier.value };
                    named.identifiers.extend(create.identifiers.iter().map(key));
                }
                Command::Transfer { .. } => named.any_pharmacy = true,
                Command::Reassign { assignee } => drop(named.users.insert(assignee.to_string())),
                _ => {}
            }
            if let Some(ticket) = ticket {
                named.of_ticket(site, submission, ticket);
            }
        }
        named.amended_at_once(site, commands);
        named
    }

    /// What amends name of tickets that the batch itself makes.
    fn amended_at_once(&mut self, site: &SiteKeys, commands: &[&Submission]) {
        let made = commands.iter().filter_map(|submission| match &submission.command {
            Command::Create(create) => Some((submission.ticket, create)),
            _ => None,
        });
        let made: HashMap<_, _> = made.collect();
        for submission in commands {
            if let (Command::Amend(amend), Some(create)) = (&submission.command, made.get(&submission.ticket)) {
                self.items(create.cabinet.as_ref(), named_by_amend(amend));
                let needs = Needs::of_create(&site.patient_salt, submission.ticket, create);
                self.needs.extend(needs.each(named_by_amend(amend)).iter().map(ToString::to_string));
            }
        }
    }

    fn of_ticket(&mut self, site: &SiteKeys, submission: &Submission, ticket: &Ticket) {
        let cabinet = ticket.cabinet.as_ref();
        self.items(cabinet, held_by(ticket));
        if let Command::Amend(amend) = &submission.command {
            self.items(cabinet, named_by_amend(amend));
            let needs = Needs::of_ticket(&site.patient_salt, ticket).each(named_by_amend(amend));
            self.needs.extend(needs.iter().map(ToString::to_string));
        }
        if let Some(expected) = submission.expected.filter(|expected| *expected < ticket.version) {
            let later = doc! { "$gt": i64::try_from(expected.0).unwrap_or(i64::MAX) };
            self.missed.push(doc! { "ticket": ticket.id.to_string(), "version": later });
        }
    }

    fn items<'a>(&mut self, cabinet: Option<&CabinetCode>, codes: impl Iterator<Item = &'a MedicationCode>) {
        for code in codes {
            self.medications.insert(code.to_string());
            self.par_levels.extend(cabinet.map(|cabinet| par_level_id(cabinet, code)));
        }
    }
}

/// The id of a par level's document.
pub(super) fn par_level_id(cabinet: &CabinetCode, medication: &MedicationCode) -> String {
    format!("{cabinet} {medication}")
}

async fn tickets(tx: &mut Tx, commands: &[&Submission]) -> Attempt<HashMap<TicketId, Held>> {
    let ids: BTreeSet<String> = commands.iter().map(|submission| submission.ticket.to_string()).collect();
    let documents = by_ids(tx, "tickets", &ids).await?;
    let keys = by_ids(tx, "ticket_keys", documents.iter().filter_map(|it| it.text("_id").ok())).await?;
    let mut keys = text_keys(&keys)?;
    let mut tickets = HashMap::new();
    for document in &documents {
        let found = held(document, &mut keys)?;
        tickets.insert(found.ticket.id, found);
    }
    Ok(tickets)
}

/// Who stands open for the needs, the oldest first: as many as the batch may end, and one more.
async fn holders(tx: &mut Tx, needs: &BTreeSet<String>, tickets: usize) -> Attempt<HashMap<String, Vec<Holder>>> {
    if needs.is_empty() {
        return Ok(HashMap::new());
    }
    let most = i64::try_from(tickets).unwrap_or(i64::MAX).saturating_add(1);
    let needs: Vec<&String> = needs.iter().collect();
    let oldest =
        vec![doc! { "$sort": { "born": 1 } }, doc! { "$limit": most }, doc! { "$project": { "number": 1, "born": 1 } }];
    // One question for all: the log's one document stands for the list of needs.
    let pipeline = vec![
        doc! { "$project": { "_id": 0, "need": { "$literal": needs } } },
        doc! { "$unwind": "$need" },
        doc! { "$lookup": {
            "from": "tickets", "localField": "need", "foreignField": "needs", "pipeline": oldest, "as": "holders",
        } },
    ];
    let mut found = HashMap::new();
    for document in tx.aggregate("log", pipeline).await? {
        let holders = document.get_array("holders").map_err(|_| stored::unreadable("need"))?;
        let holders = holders.iter().filter_map(Bson::as_document).map(|holder| {
            let ticket = TicketId(to_uuid(holder.text("_id")?)?);
            let (number, born) = (holder.text("number")?.to_owned(), holder.number("born")?.cast_unsigned());
            Ok(Holder { ticket, number, born })
        });
        found.insert(document.text("need")?.to_owned(), holders.collect::<StoreResult<Vec<Holder>>>()?);
    }
    Ok(found)
}

async fn taken(tx: &mut Tx, identifiers: Vec<Document>) -> Attempt<BTreeSet<Identifier>> {
    if identifiers.is_empty() {
        return Ok(BTreeSet::new());
    }
    let found = tx.find_all("identifiers", doc! { "thing": "ticket", "$or": identifiers }).await?;
    let read =
        |it: &Document| Ok(Identifier { system: it.text("system")?.to_owned(), value: it.text("value")?.to_owned() });
    Ok(found.iter().map(read).collect::<StoreResult<_>>()?)
}

async fn past(tx: &mut Tx, missed: &[Document]) -> Attempt<HashMap<TicketId, Vec<PastChange>>> {
    let mut past: HashMap<TicketId, Vec<PastChange>> = HashMap::new();
    if missed.is_empty() {
        return Ok(past);
    }
    let mut found = tx.find_all("events", doc! { "$or": missed }).await?;
    found.sort_by_key(|event| event.number("seq").unwrap_or_default());
    for event in found {
        let ticket = TicketId(to_uuid(event.text("ticket")?)?);
        past.entry(ticket).or_default().extend(past_change(event.record()?));
    }
    Ok(past)
}

fn par_levels(documents: &[Document]) -> StoreResult<HashMap<String, Quantity>> {
    let read = |it: &Document| Ok((it.text("_id")?.to_owned(), it.record::<ParLevel>()?.max));
    documents.iter().map(read).collect()
}

fn numbers(documents: &[Document]) -> StoreResult<HashMap<WardCode, u64>> {
    let read = |it: &Document| {
        let ward = it.text("_id")?.parse().map_err(|_| stored::unreadable("ward"))?;
        Ok((ward, it.number("last")?.cast_unsigned()))
    };
    documents.iter().map(read).collect()
}

fn keyed<K: Eq + Hash, T: DeserializeOwned>(
    documents: &[Document],
    key: impl Fn(&T) -> K,
) -> StoreResult<HashMap<K, T>> {
    Ok(records(documents)?.into_iter().map(|record| (key(&record), record)).collect())
}

/// The documents of these ids.
pub(super) async fn by_ids(
    tx: &mut Tx,
    name: &str,
    ids: impl IntoIterator<Item = impl Into<Bson>>,
) -> Attempt<Vec<Document>> {
    find_in(tx, name, "_id", ids).await
}

/// The documents that have one of these values; without any there is nothing to ask.
async fn find_in(
    tx: &mut Tx,
    name: &str,
    field: &str,
    values: impl IntoIterator<Item = impl Into<Bson>>,
) -> Attempt<Vec<Document>> {
    let values: Vec<Bson> = values.into_iter().map(Into::into).collect();
    if values.is_empty() { Ok(Vec::new()) } else { tx.find_all(name, doc! { field: { "$in": values } }).await }
}
