//! Codes and device grants as documents: what a person granted and an app fetches once. Redeeming one is judged and written in one transaction.

use jiff::Timestamp;
use mongodb::bson::{Document, doc};

use super::{
    audit::append,
    read::{Fields, bytes},
    refresh, sessions,
    transaction::{Attempt, Tx, taken},
};
use crate::server::{
    ports::{
        CodeGrant, DeviceDecision, DeviceGrant, Digest, Poll, Redeemed, Redemption, SignIn, StoreError, StoreResult,
    },
    stored::{Opening, from_millis, poll, to_millis, to_uuid},
};

/// Keeps a code.
pub(super) async fn insert_code(tx: &mut Tx, hash: &Digest, grant: &CodeGrant) -> Attempt<()> {
    let document = doc! {
        "_id": bytes(hash),
        "expires_at": to_millis(grant.expires_at),
        "body": serde_json::to_string(grant)?,
    };
    taken(tx.insert("codes", document).await, "code", "")
}

/// How a code or device grant was redeemed.
pub(super) fn redeemed(grant: &Document) -> StoreResult<Option<Redeemed>> {
    let (at, sid) = (grant.number_or_none("redeemed_at")?, grant.text_or_none("sid")?);
    at.zip(sid).map(|(at, sid)| Ok(Redeemed { at: from_millis(at)?, sid: to_uuid(sid)? })).transpose()
}

/// Redeems what lies in a collection under a hash. Of two nodes that do so at once one collides on the grant and then finds it redeemed.
pub(super) async fn redeem(
    tx: &mut Tx,
    name: &str,
    hash: &Digest,
    opening: &Opening,
    granted_by: fn(&str) -> StoreResult<Option<SignIn>>,
) -> Attempt<Redemption> {
    let Opening { session, refresh, now, audit } = opening;
    let id = doc! { "_id": bytes(hash) };
    let Some(grant) = tx.find(name, id.clone()).await? else {
        return Ok(Redemption::Dead);
    };
    if let Some(before) = redeemed(&grant)? {
        return Ok(Redemption::Before(before));
    }
    let Some(sign_in) = granted_by(grant.text("body")?)? else {
        return Ok(Redemption::Dead);
    };
    let is_over = grant.number("expires_at")? <= to_millis(*now);
    if is_over || tx.find("users", sessions::may_act(&sign_in)).await?.is_none() {
        return Ok(Redemption::Dead);
    }
    let sid = session.sid.to_string();
    sessions::insert(tx, session, None).await?;
    if let Some(token) = refresh {
        refresh::insert(tx, &sid, token, None).await?;
    }
    tx.update(name, id, doc! { "$set": { "redeemed_at": to_millis(*now), "sid": sid } }).await?;
    append(tx, std::slice::from_ref(audit)).await?;
    Ok(Redemption::Opened)
}

/// Keeps a device grant unless its user code waits already at `now`. Two nodes that draw the same code at once collide on the audit log.
pub(super) async fn insert_device(tx: &mut Tx, hash: &Digest, grant: &DeviceGrant, now: Timestamp) -> Attempt<()> {
    if tx.find("devices", waiting(&grant.user_code, now)).await?.is_some() {
        return Err(StoreError::Exists { what: "user code", key: grant.user_code.clone() }.into());
    }
    let document = doc! {
        "_id": bytes(hash),
        "user_code": &grant.user_code,
        "decided": false,
        "expires_at": to_millis(grant.expires_at),
        "body": serde_json::to_string(grant)?,
    };
    taken(tx.insert("devices", document).await, "device code", "")
}

/// The grant that waits for a decision under a user code.
pub(super) fn waiting(user_code: &str, now: Timestamp) -> Document {
    doc! { "user_code": user_code, "decided": false, "expires_at": { "$gt": to_millis(now) } }
}

/// Writes a person's word down; false where none waits.
pub(super) async fn decide_device(tx: &mut Tx, waiting: &Document, decision: &DeviceDecision) -> Attempt<bool> {
    let Some(found) = tx.find("devices", waiting.clone()).await? else {
        return Ok(false);
    };
    let grant: DeviceGrant = found.record()?;
    let decided = DeviceGrant { decision: Some(decision.clone()), ..grant };
    let change = doc! { "$set": { "decided": true, "body": serde_json::to_string(&decided)? } };
    tx.update("devices", doc! { "_id": bytes(found.blob("_id")?) }, change).await
}

/// Answers a poll and notes its time; one that comes too early lengthens the interval.
pub(super) async fn poll_device(tx: &mut Tx, hash: &Digest, client_id: &str, now: Timestamp) -> Attempt<Poll> {
    let (id, now) = (doc! { "_id": bytes(hash) }, to_millis(now));
    let Some(found) = tx.find("devices", id.clone()).await? else {
        return Ok(Poll::Dead);
    };
    let mut grant: DeviceGrant = found.record()?;
    let learnt = poll(&mut grant, found.number_or_none("polled_at")?, client_id, now);
    if !matches!(learnt, Poll::Dead | Poll::Expired) {
        let change = doc! { "$set": { "polled_at": now, "body": serde_json::to_string(&grant)? } };
        tx.update("devices", id, change).await?;
    }
    Ok(learnt)
}
