//! Refresh tokens as documents. A successor's secret is kept sealed and only while it may come again; it never outlives its session.

use mongodb::bson::{Document, doc};

use super::{
    audit::append,
    read::{Fields, bytes},
    sessions,
    transaction::{Attempt, Tx, taken},
};
use crate::server::{
    ports::{Digest, NewRefresh, Rotation, StoreResult},
    stored::{StoredToken, Succession, Verdict, to_millis},
};

fn stored(token: &Document) -> StoreResult<StoredToken> {
    Ok(StoredToken {
        sid: token.text("sid")?.to_owned(),
        predecessor: token.blob_or_none("predecessor")?.map(<[u8]>::to_vec),
        idle_until: token.number("idle_until")?,
        used_at: token.number_or_none("used_at")?,
        sealed: token.blob_or_none("sealed")?.map(<[u8]>::to_vec),
    })
}

/// The change that forgets a sealed successor.
pub(super) fn unsealed() -> Document {
    doc! { "$unset": { "sealed": "", "sealed_until": "" } }
}

/// Puts a session's first token, or the one after `predecessor`.
pub(super) async fn insert(tx: &mut Tx, sid: &str, token: &NewRefresh, predecessor: Option<&Digest>) -> Attempt<()> {
    let document = doc! {
        "_id": bytes(&token.hash),
        "sid": sid,
        "predecessor": predecessor.map(|hash| bytes(hash)),
        "idle_until": to_millis(token.idle_until),
    };
    taken(tx.insert("refresh_tokens", document).await, "refresh token", "")
}

/// Replaces a token, gives its successor again, or ends the session of one that was stolen. Of two nodes that replace it at once one collides on the token,
/// and then finds it used.
pub(super) async fn rotate(tx: &mut Tx, hash: &Digest, succession: &Succession) -> Attempt<Rotation> {
    let times = &succession.times;
    let Some(found) = tx.find("refresh_tokens", doc! { "_id": bytes(hash) }).await? else {
        return Ok(Rotation::Dead);
    };
    let token = stored(&found)?;
    if !sessions::is_in_force(tx, &token.sid, times.now).await? {
        return Ok(Rotation::Dead);
    }
    match succession.judge(&token) {
        Verdict::Dead => Ok(Rotation::Dead),
        Verdict::Replace => {
            replace(tx, hash, &token, succession).await?;
            append(tx, std::slice::from_ref(&succession.audit)).await?;
            Ok(Rotation::Rotated)
        }
        Verdict::Repeat(sealed) => Ok(Rotation::Repeated(sealed)),
        Verdict::Reuse => {
            sessions::end(tx, &token.sid, times.listed_until).await?;
            append(tx, std::slice::from_ref(&succession.reused)).await?;
            Ok(Rotation::Reused)
        }
    }
}

async fn replace(tx: &mut Tx, hash: &Digest, token: &StoredToken, succession: &Succession) -> Attempt<()> {
    let Succession { next, sealed, times, .. } = succession;
    insert(tx, &token.sid, next, Some(hash)).await?;
    let used = doc! {
        "used_at": to_millis(times.now),
        "sealed": bytes(sealed),
        "sealed_until": succession.sealed_until(),
    };
    tx.update("refresh_tokens", doc! { "_id": bytes(hash) }, doc! { "$set": used }).await?;
    if let Some(predecessor) = &token.predecessor {
        // This token is the predecessor's successor, and used from now on: it comes no more.
        tx.update("refresh_tokens", doc! { "_id": bytes(predecessor) }, unsealed()).await?;
    }
    sessions::touch(tx, &token.sid, times.now).await
}
