//! Sessions and second factors as documents, and the port of sign-ins. Whatever may happen once only is judged and written in one transaction, which collides
//! with that of any other node on the document that both change; what was read before never decides.

use async_trait::async_trait;
use futures_util::FutureExt;
use jiff::Timestamp;
use mongodb::{
    Database,
    bson::{Bson, Document, doc},
};
use uuid::Uuid;

use super::{
    MongoStore,
    audit::append,
    grants,
    read::{Fields, bytes},
    refresh,
    transaction::{Attempt, Tx, taken},
};
use crate::{
    domain::actor::UserId,
    server::{
        ports::{
            AuditEntry, CodeGrant, DeviceDecision, DeviceGrant, Digest, NewRefresh, Poll, Redeemed, Redemption,
            RefreshToken, Rotation, RotationTimes, SecondFactor, Session, SessionStore, SignIn, StoreResult,
        },
        stored::{
            Opening, Succession, days_before, from_millis, granted_by_code, granted_by_device, to_millis, to_uuid, used,
        },
    },
};

#[async_trait]
impl SessionStore for MongoStore {
    async fn open_session(&self, session: Session, cookie: Digest, audit: AuditEntry) -> StoreResult<()> {
        self.write((session, cookie, audit), |tx, (session, cookie, audit)| {
            async move {
                insert(tx, session, Some(cookie)).await?;
                append(tx, std::slice::from_ref(audit)).await
            }
            .boxed()
        })
        .await
    }

    async fn session_by_cookie(
        &self,
        cookie: Digest,
        used_since: Timestamp,
        now: Timestamp,
    ) -> StoreResult<Option<Session>> {
        let wanted = doc! { "cookie": bytes(&cookie), "ended": false, "expires_at": { "$gt": to_millis(now) } };
        let Some(found) = self.find("sessions", wanted).await? else {
            return Ok(None);
        };
        let session = session(&found)?;
        if session.last_used_at < used_since || self.find("users", may_act(&session.sign_in)).await?.is_none() {
            return Ok(None);
        }
        let (sid, at) = (session.sid.to_string(), to_millis(now));
        let touch = self.write_alone(move |db: Database| async move {
            db.collection::<Document>("sessions").update_one(doc! { "_id": sid }, used_at(at)).await?;
            Ok(())
        });
        Ok(Some(used(session, now, &self.uses_unnoted, touch).await))
    }

    async fn sessions(&self, user: UserId, generation: u64, now: Timestamp) -> StoreResult<Vec<Session>> {
        let open = doc! {
            "user": user.0.to_string(),
            "generation": generation.cast_signed(),
            "ended": false,
            "expires_at": { "$gt": to_millis(now) },
        };
        let found = self.find_all("sessions", open, doc! { "last_used_at": -1, "_id": 1 }).await?;
        found.iter().map(session).collect()
    }

    async fn session(&self, sid: Uuid) -> StoreResult<Option<Session>> {
        let found = self.find("sessions", doc! { "_id": sid.to_string() }).await?;
        found.as_ref().map(session).transpose()
    }

    async fn end_session(&self, sid: Uuid, listed_until: Timestamp, audit: AuditEntry) -> StoreResult<bool> {
        self.write((sid.to_string(), listed_until, audit), |tx, (sid, listed_until, audit)| {
            async move {
                let ends = end(tx, sid, *listed_until).await?;
                audit_where(tx, ends, audit).await
            }
            .boxed()
        })
        .await
    }

    async fn ended_sessions(&self, now: Timestamp) -> StoreResult<Vec<Uuid>> {
        let listed = doc! { "listed_until": { "$gt": to_millis(now) } };
        let found = self.find_all("ended_sessions", listed, Document::new()).await?;
        found.iter().map(|ended| to_uuid(ended.text("_id")?)).collect()
    }

    async fn insert_code(&self, hash: Digest, grant: CodeGrant, audit: AuditEntry) -> StoreResult<()> {
        self.write((hash, grant, audit), |tx, (hash, grant, audit)| {
            async move {
                grants::insert_code(tx, hash, grant).await?;
                append(tx, std::slice::from_ref(audit)).await
            }
            .boxed()
        })
        .await
    }

    async fn code(&self, hash: Digest) -> StoreResult<Option<(CodeGrant, Option<Redeemed>)>> {
        let found = self.find("codes", doc! { "_id": bytes(&hash) }).await?;
        found.map(|code| Ok((code.record()?, grants::redeemed(&code)?))).transpose()
    }

    async fn redeem_code(
        &self,
        hash: Digest,
        session: Session,
        refresh: Option<NewRefresh>,
        now: Timestamp,
        audit: AuditEntry,
    ) -> StoreResult<Redemption> {
        self.write((hash, Opening { session, refresh, now, audit }), |tx, (hash, opening)| {
            grants::redeem(tx, "codes", hash, opening, granted_by_code).boxed()
        })
        .await
    }

    async fn refresh_token(&self, hash: Digest) -> StoreResult<Option<RefreshToken>> {
        let Some(token) = self.find("refresh_tokens", doc! { "_id": bytes(&hash) }).await? else {
            return Ok(None);
        };
        let sid = token.text("sid")?;
        let Some(of_it) = self.find("sessions", doc! { "_id": sid }).await? else {
            return Ok(None);
        };
        let ended = of_it.flag("ended")? || self.find("ended_sessions", doc! { "_id": sid }).await?.is_some();
        let idle_until = from_millis(token.number("idle_until")?)?;
        let used_at = token.number_or_none("used_at")?.map(from_millis).transpose()?;
        Ok(Some(RefreshToken { session: session(&of_it)?, idle_until, used_at, ended }))
    }

    async fn rotate_refresh(
        &self,
        hash: Digest,
        next: NewRefresh,
        sealed: Vec<u8>,
        times: RotationTimes,
        audit: AuditEntry,
        reused: AuditEntry,
    ) -> StoreResult<Rotation> {
        self.write((hash, Succession { next, sealed, times, audit, reused }), |tx, (hash, succession)| {
            refresh::rotate(tx, hash, succession).boxed()
        })
        .await
    }

    async fn insert_device(&self, hash: Digest, grant: DeviceGrant, audit: AuditEntry) -> StoreResult<()> {
        self.write((hash, grant, audit), |tx, (hash, grant, audit)| {
            async move {
                grants::insert_device(tx, hash, grant, audit.at).await?;
                append(tx, std::slice::from_ref(audit)).await
            }
            .boxed()
        })
        .await
    }

    async fn device_by_user_code(&self, user_code: &str, now: Timestamp) -> StoreResult<Option<DeviceGrant>> {
        let found = self.find("devices", grants::waiting(user_code, now)).await?;
        found.as_ref().map(Fields::record).transpose()
    }

    async fn decide_device(
        &self,
        user_code: &str,
        decision: DeviceDecision,
        now: Timestamp,
        audit: AuditEntry,
    ) -> StoreResult<bool> {
        let waiting = grants::waiting(user_code, now);
        self.write((waiting, decision, audit), |tx, (waiting, decision, audit)| {
            async move {
                let decides = grants::decide_device(tx, waiting, decision).await?;
                audit_where(tx, decides, audit).await
            }
            .boxed()
        })
        .await
    }

    async fn poll_device(&self, hash: Digest, client_id: &str, now: Timestamp) -> StoreResult<Poll> {
        self.write((hash, client_id.to_owned(), now), |tx, (hash, client_id, now)| {
            grants::poll_device(tx, hash, client_id, *now).boxed()
        })
        .await
    }

    async fn redeem_device(
        &self,
        hash: Digest,
        session: Session,
        refresh: Option<NewRefresh>,
        now: Timestamp,
        audit: AuditEntry,
    ) -> StoreResult<Redemption> {
        self.write((hash, Opening { session, refresh, now, audit }), |tx, (hash, opening)| {
            grants::redeem(tx, "devices", hash, opening, granted_by_device).boxed()
        })
        .await
    }

    async fn second_factor(&self, user: UserId) -> StoreResult<Option<SecondFactor>> {
        let found = self.find("second_factors", doc! { "_id": user.0.to_string() }).await?;
        found.as_ref().map(Fields::record).transpose()
    }

    async fn put_second_factor(
        &self,
        user: UserId,
        factor: Option<SecondFactor>,
        audit: AuditEntry,
    ) -> StoreResult<()> {
        self.write((user, factor, audit), |tx, (user, factor, audit)| {
            async move {
                match factor {
                    Some(factor) => put_factor(tx, *user, factor).await?,
                    None => tx.delete_all("second_factors", doc! { "_id": user.0.to_string() }).await?,
                }
                append(tx, std::slice::from_ref(audit)).await
            }
            .boxed()
        })
        .await
    }

    async fn spend_step(&self, user: UserId, step: u64) -> StoreResult<bool> {
        self.write((user, step), |tx, (user, step)| {
            async move {
                match factor(tx, *user).await? {
                    Some(factor) if factor.last_step < *step => {
                        put_factor(tx, *user, &SecondFactor { last_step: *step, ..factor }).await?;
                        Ok(true)
                    }
                    _ => Ok(false),
                }
            }
            .boxed()
        })
        .await
    }

    async fn spend_recovery(&self, user: UserId, code: Digest, audit: AuditEntry) -> StoreResult<bool> {
        self.write((user, code, audit), |tx, (user, code, audit)| {
            async move {
                let Some(mut factor) = factor(tx, *user).await? else {
                    return Ok(false);
                };
                let spends = factor.recovery.remove(code);
                if spends {
                    put_factor(tx, *user, &factor).await?;
                }
                audit_where(tx, spends, audit).await
            }
            .boxed()
        })
        .await
    }

    async fn forget_ended(&self, now: Timestamp) -> StoreResult<()> {
        self.write_alone(move |db: Database| async move { forget(&db, now).await }).await
    }
}

/// Appends the entry of a write that took place, and passes on whether it did.
async fn audit_where(tx: &mut Tx, happened: bool, audit: &AuditEntry) -> Attempt<bool> {
    if happened {
        append(tx, std::slice::from_ref(audit)).await?;
    }
    Ok(happened)
}

/// Puts a new session.
pub(super) async fn insert(tx: &mut Tx, session: &Session, cookie: Option<&Digest>) -> Attempt<()> {
    let sid = session.sid.to_string();
    let mut document = doc! {
        "_id": &sid,
        "user": session.sign_in.user.0.to_string(),
        "generation": session.sign_in.generation.cast_signed(),
        "last_used_at": to_millis(session.last_used_at),
        "expires_at": to_millis(session.expires_at),
        "ended": false,
        "body": serde_json::to_string(session)?,
    };
    if let Some(cookie) = cookie {
        document.insert("cookie", bytes(cookie));
    }
    taken(tx.insert("sessions", document).await, "session", &sid)
}

fn session(document: &Document) -> StoreResult<Session> {
    let session: Session = document.record()?;
    Ok(Session { last_used_at: from_millis(document.number("last_used_at")?)?, ..session })
}

/// The person of a sign-in, if they may act and had no new generation since.
pub(super) fn may_act(sign_in: &SignIn) -> Document {
    doc! { "_id": sign_in.user.0.to_string(), "generation": sign_in.generation.cast_signed(), "disabled": false }
}

/// True where a session has not ended, is not over at `now`, and its person may act on it still.
pub(super) async fn is_in_force(tx: &mut Tx, sid: &str, now: Timestamp) -> Attempt<bool> {
    let open = doc! { "_id": sid, "ended": false, "expires_at": { "$gt": to_millis(now) } };
    match tx.find("sessions", open).await? {
        Some(found) => Ok(tx.find("users", may_act(&session(&found)?.sign_in)).await?.is_some()),
        None => Ok(false),
    }
}

/// The change that notes a use.
fn used_at(now: i64) -> Document {
    doc! { "$max": { "last_used_at": now } }
}

/// Notes that a session was used.
pub(super) async fn touch(tx: &mut Tx, sid: &str, now: Timestamp) -> Attempt<()> {
    tx.update("sessions", doc! { "_id": sid }, used_at(to_millis(now))).await.map(drop)
}

/// Ends a session and lists it; false where it had ended before.
pub(super) async fn end(tx: &mut Tx, sid: &str, listed_until: Timestamp) -> Attempt<bool> {
    let listed = tx.find("ended_sessions", doc! { "_id": sid }).await?.is_some();
    let ended = listed || tx.find("sessions", doc! { "_id": sid, "ended": true }).await?.is_some();
    tx.update("sessions", doc! { "_id": sid }, doc! { "$set": { "ended": true } }).await?;
    tx.update_all("refresh_tokens", doc! { "sid": sid, "sealed": { "$exists": true } }, refresh::unsealed()).await?;
    tx.raise("ended_sessions", sid, "listed_until", to_millis(listed_until)).await?;
    Ok(!ended)
}

async fn factor(tx: &mut Tx, user: UserId) -> Attempt<Option<SecondFactor>> {
    let found = tx.find("second_factors", doc! { "_id": user.0.to_string() }).await?;
    Ok(found.as_ref().map(Fields::record).transpose()?)
}

async fn put_factor(tx: &mut Tx, user: UserId, factor: &SecondFactor) -> Attempt<()> {
    let document = doc! { "_id": user.0.to_string(), "body": serde_json::to_string(factor)? };
    tx.put("second_factors", document).await
}

/// Each deletion stands for itself: what is over stays over, whoever forgets it.
async fn forget(db: &Database, now: Timestamp) -> Attempt<()> {
    let of = |name: &str| db.collection::<Document>(name);
    let by = |days: i64| doc! { "$lte": days_before(now, days) };
    of("ended_sessions").delete_many(doc! { "listed_until": by(0) }).await?;
    of("refresh_tokens").update_many(doc! { "sealed_until": by(0) }, refresh::unsealed()).await?;
    of("codes").delete_many(doc! { "expires_at": by(1) }).await?;
    of("devices").delete_many(doc! { "expires_at": by(1) }).await?;
    // A used token is remembered as long as its session lives: else its theft would go unnoticed.
    let alive = doc! { "ended": false, "expires_at": { "$gt": days_before(now, 1) } };
    let alive: Vec<Bson> = of("sessions").distinct("_id", alive).await?;
    of("refresh_tokens").delete_many(doc! { "idle_until": by(1), "sid": { "$nin": alive } }).await?;
    let gone: Vec<Bson> = of("sessions").distinct("_id", doc! { "expires_at": by(30) }).await?;
    of("refresh_tokens").delete_many(doc! { "sid": { "$in": &gone } }).await?;
    of("sessions").delete_many(doc! { "_id": { "$in": gone } }).await?;
    Ok(())
}
