//! Places, medications and the site. A change becomes visible whole or not at all.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use futures_util::FutureExt;
use mongodb::{
    Database,
    bson::{Document, doc},
};
use serde::Serialize;

use super::{
    MongoStore,
    audit::append,
    medications,
    read::{Fields, bytes, records},
    transaction::{Attempt, Tx, is_taken, one_taken},
};
use crate::{
    domain::{
        code::{CabinetCode, MedicationCode, WardCode},
        facts::Policy,
        routing::RoutingRule,
        ticket::Identifier,
    },
    server::{
        ports::{
            Cabinet, IdentityStore, Medication, MedicationQuery, Page, ParLevel, Pharmacy, ReferenceChanges,
            ReferenceStore, Site, StoreError, StoreResult, StoredReply, Ward,
        },
        stored::{self, PROFILE, REPLIES_KEPT_FOR, ROUTING, TIME_ZONE, from_millis, to_millis, unreadable},
    },
};

#[async_trait]
impl ReferenceStore for MongoStore {
    async fn pharmacies(&self) -> StoreResult<Vec<Pharmacy>> {
        records(&self.find_all("pharmacies", Document::new(), doc! { "_id": 1 }).await?)
    }

    async fn wards(&self) -> StoreResult<Vec<Ward>> {
        records(&self.find_all("wards", Document::new(), doc! { "_id": 1 }).await?)
    }

    async fn cabinets(&self) -> StoreResult<Vec<Cabinet>> {
        records(&self.find_all("cabinets", Document::new(), doc! { "_id": 1 }).await?)
    }

    async fn cabinet(&self, code: &CabinetCode) -> StoreResult<Option<(Cabinet, Vec<ParLevel>)>> {
        let Some(found) = self.find("cabinets", doc! { "_id": code.as_str() }).await? else {
            return Ok(None);
        };
        let of_it = doc! { "cabinet": code.as_str() };
        let levels = records(&self.find_all("par_levels", of_it, doc! { "medication": 1 }).await?)?;
        Ok(Some((found.record()?, levels)))
    }

    async fn medication(&self, code: &MedicationCode) -> StoreResult<Option<Medication>> {
        let found = self.find("medications", doc! { "_id": code.as_str() }).await?;
        found.as_ref().map(Fields::record).transpose()
    }

    async fn by_scan_codes(&self, codes: &[String]) -> StoreResult<Vec<Medication>> {
        let codes: Vec<String> = codes.iter().map(|code| stored::scanned(code)).collect();
        records(&self.find_all("medications", doc! { "scan_codes": { "$in": codes } }, doc! { "_id": 1 }).await?)
    }

    async fn medications(&self, query: MedicationQuery) -> StoreResult<Page<Medication>> {
        self.medication_page(query).await
    }

    async fn all_medications(&self) -> StoreResult<Vec<Medication>> {
        records(&self.find_all("medications", Document::new(), doc! { "group_key": 1, "_id": 1 }).await?)
    }

    async fn change_reference(&self, changes: ReferenceChanges) -> StoreResult<()> {
        self.write(changes, |tx, changes| change(tx, changes).boxed()).await
    }

    async fn site(&self) -> StoreResult<Site> {
        let (profile, zone) = (self.setting(PROFILE).await?, self.setting(TIME_ZONE).await?);
        stored::site(profile.as_deref(), zone.as_deref())
    }

    async fn routing_rules(&self) -> StoreResult<Vec<RoutingRule>> {
        stored::routing_rules(self.setting(ROUTING).await?.as_deref())
    }

    async fn policy(&self) -> StoreResult<Policy> {
        Ok(Policy::default_in(stored::time_zone(self.setting(TIME_ZONE).await?.as_deref())?))
    }

    async fn reply(&self, id: [u8; 32]) -> StoreResult<Option<StoredReply>> {
        let found = self.find("replies", doc! { "_id": bytes(&id) }).await?;
        found.as_ref().map(stored_reply).transpose()
    }

    async fn keep_reply(&self, id: [u8; 32], reply: StoredReply) -> StoreResult<()> {
        let now = to_millis(reply.at);
        let oldest = now.saturating_sub(i64::try_from(REPLIES_KEPT_FOR.as_millis()).expect("30 days fit 64 bits"));
        let kept = doc! {
            "_id": bytes(&id),
            "request_hash": bytes(&reply.request_hash),
            "status": i64::from(reply.status),
            "content_type": reply.content_type,
            "location": reply.location,
            "body": bytes(&reply.body),
            "at": now,
        };
        let keeping = move |db: Database| async move {
            let replies = db.collection::<Document>("replies");
            replies.delete_many(doc! { "at": { "$lt": oldest } }).await?;
            match replies.insert_one(kept).await {
                Err(error) if !is_taken(&error) => Err(error.into()),
                _ => Ok(()),
            }
        };
        self.write_alone(keeping).await
    }
}

fn stored_reply(document: &Document) -> StoreResult<StoredReply> {
    Ok(StoredReply {
        request_hash: document.blob("request_hash")?.try_into().map_err(|_| unreadable("hash"))?,
        status: document.number("status")?.try_into().map_err(|_| unreadable("status"))?,
        content_type: document.text_or_none("content_type")?.map(str::to_owned),
        location: document.text_or_none("location")?.map(str::to_owned),
        body: document.blob("body")?.to_vec(),
        at: from_millis(document.number("at")?)?,
    })
}

/// Refuses the first code that names nothing.
pub(super) async fn require(
    tx: &mut Tx,
    what: &'static str,
    codes: impl Iterator<Item = &str> + Clone + Send,
) -> Attempt<()> {
    let name = match what {
        "pharmacy" => "pharmacies",
        "ward" => "wards",
        "cabinet" => "cabinets",
        _ => "medications",
    };
    let wanted: BTreeSet<&str> = codes.clone().collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let wanted: Vec<&str> = wanted.into_iter().collect();
    let known = tx.ids(name, doc! { "_id": { "$in": wanted } }).await?;
    for code in codes {
        if !known.contains(code) {
            return Err(StoreError::Missing { what, key: code.to_owned() }.into());
        }
    }
    Ok(())
}

/// As many round trips for a thousand records as for one: what is referred to is looked up and written sort by sort.
async fn change(tx: &mut Tx, changes: &ReferenceChanges) -> Attempt<()> {
    let ReferenceChanges { pharmacies, wards, cabinets, medications, par_levels, site, routing, audit } = changes;
    put_all(tx, "pharmacies", pharmacies, |pharmacy| pharmacy.code.as_str()).await?;
    require(tx, "pharmacy", wards.iter().map(|ward| ward.pharmacy.as_str())).await?;
    put_all(tx, "wards", wards, |ward| ward.code.as_str()).await?;
    require(tx, "ward", cabinets.iter().map(|cabinet| cabinet.ward.as_str())).await?;
    put_all(tx, "cabinets", cabinets, |cabinet| cabinet.code.as_str()).await?;
    tx.put_all("medications", medications.iter().map(medications::document).collect::<StoreResult<_>>()?).await?;
    put_par_levels(tx, par_levels).await?;
    if let Some(site) = site {
        for (name, value) in stored::site_settings(site)? {
            tx.put("settings", doc! { "_id": name, "value": value }).await?;
        }
    }
    if let Some(rules) = routing {
        put_routing_rules(tx, rules).await?;
    }
    // Last, so that an identifier may move from one record of the change to another.
    put_identifiers(tx, changes).await?;
    append(tx, audit).await
}

async fn put_all<T: Serialize + Sync>(
    tx: &mut Tx,
    name: &str,
    records: &[T],
    code: impl Fn(&T) -> &str + Send,
) -> Attempt<()> {
    let documents =
        records.iter().map(|record| Ok(doc! { "_id": code(record), "body": serde_json::to_string(record)? }));
    tx.put_all(name, documents.collect::<StoreResult<_>>()?).await
}

async fn put_par_levels(tx: &mut Tx, levels: &[(CabinetCode, MedicationCode, Option<ParLevel>)]) -> Attempt<()> {
    require(tx, "cabinet", levels.iter().map(|(cabinet, _, _)| cabinet.as_str())).await?;
    require(tx, "medication", levels.iter().map(|(_, medication, _)| medication.as_str())).await?;
    // Of two for one medication of a cabinet the later counts.
    let by_id: BTreeMap<String, _> = levels.iter().map(|level| (format!("{} {}", level.0, level.1), level)).collect();
    let mut documents = Vec::with_capacity(by_id.len());
    for (id, (cabinet, medication, level)) in &by_id {
        let Some(level) = level else { continue };
        documents.push(doc! {
            "_id": id,
            "cabinet": cabinet.as_str(),
            "medication": medication.as_str(),
            "body": serde_json::to_string(level)?,
        });
    }
    let ids: Vec<String> = by_id.into_keys().collect();
    tx.delete_all("par_levels", doc! { "_id": { "$in": ids } }).await?;
    tx.insert_all("par_levels", &documents).await
}

async fn put_routing_rules(tx: &mut Tx, rules: &[RoutingRule]) -> Attempt<()> {
    require(tx, "pharmacy", rules.iter().map(|rule| rule.pharmacy.as_str())).await?;
    require(tx, "ward", rules.iter().flat_map(|rule| &rule.wards).map(WardCode::as_str)).await?;
    tx.put("settings", doc! { "_id": ROUTING, "value": serde_json::to_string(rules)? }).await
}

/// Adds the identifiers of all that was changed; one that another thing of its sort has is [`StoreError::Exists`].
async fn put_identifiers(tx: &mut Tx, changes: &ReferenceChanges) -> Attempt<()> {
    let mut owners: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut documents = vec![];
    for (thing, owner, identifiers) in changes.identified() {
        owners.entry(thing).or_default().push(owner);
        for Identifier { system, value } in identifiers {
            documents.push(doc! { "thing": thing, "system": system, "value": value, "owner": owner });
        }
    }
    for (thing, owners) in owners {
        tx.delete_all("identifiers", doc! { "thing": thing, "owner": { "$in": owners } }).await?;
    }
    let inserted = tx.insert_all("identifiers", &documents).await;
    let key = |field: &Document| {
        let text = |name| field.text(name).unwrap_or_default();
        format!("{}|{}", text("system"), text("value"))
    };
    one_taken(inserted, "identifier", &documents, key)
}
