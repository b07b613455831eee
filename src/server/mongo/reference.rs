//! Places, medications and the site. A change becomes visible whole or not at all.

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
    transaction::{Attempt, Tx, is_taken, taken},
};
use crate::{
    domain::{
        code::{CabinetCode, MedicationCode},
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
        self.run(keeping).await
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

/// Refuses a code that names nothing.
pub(super) async fn require(tx: &mut Tx, what: &'static str, code: &str) -> Attempt<()> {
    let name = match what {
        "pharmacy" => "pharmacies",
        "ward" => "wards",
        "cabinet" => "cabinets",
        _ => "medications",
    };
    match tx.find(name, doc! { "_id": code }).await? {
        Some(_) => Ok(()),
        None => Err(StoreError::Missing { what, key: code.to_owned() }.into()),
    }
}

async fn change(tx: &mut Tx, changes: &ReferenceChanges) -> Attempt<()> {
    for pharmacy in &changes.pharmacies {
        put(tx, "pharmacies", pharmacy.code.as_str(), pharmacy).await?;
    }
    for ward in &changes.wards {
        require(tx, "pharmacy", ward.pharmacy.as_str()).await?;
        put(tx, "wards", ward.code.as_str(), ward).await?;
    }
    for cabinet in &changes.cabinets {
        require(tx, "ward", cabinet.ward.as_str()).await?;
        put(tx, "cabinets", cabinet.code.as_str(), cabinet).await?;
    }
    for medication in &changes.medications {
        tx.put("medications", medications::document(medication)?).await?;
    }
    for (cabinet, medication, level) in &changes.par_levels {
        put_par_level(tx, cabinet, medication, level.as_ref()).await?;
    }
    if let Some(site) = &changes.site {
        for (name, value) in stored::site_settings(site)? {
            tx.put("settings", doc! { "_id": name, "value": value }).await?;
        }
    }
    if let Some(rules) = &changes.routing {
        put_routing_rules(tx, rules).await?;
    }
    // Last, so that an identifier may move from one record of the change to another.
    put_identifiers(tx, changes).await?;
    append(tx, &changes.audit).await
}

async fn put(tx: &mut Tx, name: &str, code: &str, record: &(impl Serialize + Sync)) -> Attempt<()> {
    tx.put(name, doc! { "_id": code, "body": serde_json::to_string(record)? }).await
}

async fn put_par_level(
    tx: &mut Tx,
    cabinet: &CabinetCode,
    medication: &MedicationCode,
    level: Option<&ParLevel>,
) -> Attempt<()> {
    require(tx, "cabinet", cabinet.as_str()).await?;
    require(tx, "medication", medication.as_str()).await?;
    let id = format!("{cabinet} {medication}");
    let Some(level) = level else {
        return tx.delete_all("par_levels", doc! { "_id": id }).await;
    };
    let document = doc! {
        "_id": id,
        "cabinet": cabinet.as_str(),
        "medication": medication.as_str(),
        "body": serde_json::to_string(level)?,
    };
    tx.put("par_levels", document).await
}

async fn put_routing_rules(tx: &mut Tx, rules: &[RoutingRule]) -> Attempt<()> {
    for rule in rules {
        require(tx, "pharmacy", rule.pharmacy.as_str()).await?;
        for ward in &rule.wards {
            require(tx, "ward", ward.as_str()).await?;
        }
    }
    tx.put("settings", doc! { "_id": ROUTING, "value": serde_json::to_string(rules)? }).await
}

/// Adds the identifiers of all that was changed; one that another thing of its sort has is [`StoreError::Exists`].
async fn put_identifiers(tx: &mut Tx, changes: &ReferenceChanges) -> Attempt<()> {
    let owners: Vec<(&str, &str, &[Identifier])> = changes.identified().collect();
    for (thing, owner, _) in &owners {
        tx.delete_all("identifiers", doc! { "thing": *thing, "owner": *owner }).await?;
    }
    for (thing, owner, identifiers) in owners {
        for Identifier { system, value } in identifiers {
            let document = doc! { "thing": thing, "system": system, "value": value, "owner": owner };
            let inserted = tx.insert("identifiers", document).await;
            taken(inserted, "identifier", &format!("{system}|{value}"))?;
        }
    }
    Ok(())
}
