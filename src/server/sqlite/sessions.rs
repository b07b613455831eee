//! Sessions and second factors as rows, and the port of sign-ins. Whatever may happen once only is judged and written in one transaction of the
//! writer; what a reader saw before never decides.

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row};
use uuid::Uuid;

use super::{
    SqliteStore,
    audit::append,
    error::taken,
    grants,
    identity::one_body,
    refresh,
    stored::{Opening, Succession, days_before, from_millis, to_millis, to_uuid, used},
};
use crate::{
    domain::actor::UserId,
    server::ports::{
        AuditEntry, CodeGrant, DeviceDecision, DeviceGrant, Digest, NewRefresh, Poll, Redeemed, Redemption,
        RefreshToken, Rotation, RotationTimes, SecondFactor, Session, SessionStore, SignIn, StoreResult,
    },
};

#[async_trait]
impl SessionStore for SqliteStore {
    async fn open_session(&self, session: Session, cookie: Digest, audit: AuditEntry) -> StoreResult<()> {
        self.writer
            .write(move |conn| {
                insert(conn, &session, Some(&cookie))?;
                append(conn, &audit)
            })
            .await
    }

    async fn session_by_cookie(
        &self,
        cookie: Digest,
        used_since: Timestamp,
        now: Timestamp,
    ) -> StoreResult<Option<Session>> {
        let found = self.readers.read(move |conn| by_cookie(conn, &cookie, now)).await?;
        let Some(session) = found.filter(|session| session.last_used_at >= used_since) else {
            return Ok(None);
        };
        let sid = session.sid.to_string();
        let touch = self.writer.write(move |conn| touch(conn, &sid, now));
        Ok(Some(used(session, now, &self.uses_unnoted, touch).await))
    }

    async fn sessions(&self, user: UserId, generation: u64, now: Timestamp) -> StoreResult<Vec<Session>> {
        self.readers.read(move |conn| open_ones(conn, user, generation, now)).await
    }

    async fn session(&self, sid: Uuid) -> StoreResult<Option<Session>> {
        self.readers.read(move |conn| load(conn, &sid.to_string())).await
    }

    async fn end_session(&self, sid: Uuid, listed_until: Timestamp, audit: AuditEntry) -> StoreResult<bool> {
        self.writer
            .write(move |conn| {
                let ends = end(conn, sid, listed_until)?;
                audit_where(conn, ends, &audit)
            })
            .await
    }

    async fn ended_sessions(&self, now: Timestamp) -> StoreResult<Vec<Uuid>> {
        self.readers.read(move |conn| listed(conn, now)).await
    }

    async fn insert_code(&self, hash: Digest, grant: CodeGrant, audit: AuditEntry) -> StoreResult<()> {
        self.writer
            .write(move |conn| {
                grants::insert_code(conn, &hash, &grant)?;
                append(conn, &audit)
            })
            .await
    }

    async fn code(&self, hash: Digest) -> StoreResult<Option<(CodeGrant, Option<Redeemed>)>> {
        self.readers.read(move |conn| grants::code(conn, &hash)).await
    }

    async fn redeem_code(
        &self,
        hash: Digest,
        session: Session,
        refresh: Option<NewRefresh>,
        now: Timestamp,
        audit: AuditEntry,
    ) -> StoreResult<Redemption> {
        let opening = Opening { session, refresh, now, audit };
        self.writer.write(move |conn| grants::redeem_code(conn, &hash, &opening)).await
    }

    async fn refresh_token(&self, hash: Digest) -> StoreResult<Option<RefreshToken>> {
        self.readers.read(move |conn| refresh::token(conn, &hash)).await
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
        let succession = Succession { next, sealed, times, audit, reused };
        self.writer.write(move |conn| refresh::rotate(conn, &hash, &succession)).await
    }

    async fn insert_device(&self, hash: Digest, grant: DeviceGrant, audit: AuditEntry) -> StoreResult<()> {
        self.writer
            .write(move |conn| {
                grants::insert_device(conn, &hash, &grant, audit.at)?;
                append(conn, &audit)
            })
            .await
    }

    async fn device_by_user_code(&self, user_code: &str, now: Timestamp) -> StoreResult<Option<DeviceGrant>> {
        let user_code = user_code.to_owned();
        self.readers.read(move |conn| Ok(grants::waiting(conn, &user_code, now)?.map(|(_, grant)| grant))).await
    }

    async fn decide_device(
        &self,
        user_code: &str,
        decision: DeviceDecision,
        now: Timestamp,
        audit: AuditEntry,
    ) -> StoreResult<bool> {
        let user_code = user_code.to_owned();
        self.writer
            .write(move |conn| {
                let decides = grants::decide_device(conn, &user_code, decision, now)?;
                audit_where(conn, decides, &audit)
            })
            .await
    }

    async fn poll_device(&self, hash: Digest, client_id: &str, now: Timestamp) -> StoreResult<Poll> {
        let client_id = client_id.to_owned();
        self.writer.write(move |conn| grants::poll_device(conn, &hash, &client_id, now)).await
    }

    async fn redeem_device(
        &self,
        hash: Digest,
        session: Session,
        refresh: Option<NewRefresh>,
        now: Timestamp,
        audit: AuditEntry,
    ) -> StoreResult<Redemption> {
        let opening = Opening { session, refresh, now, audit };
        self.writer.write(move |conn| grants::redeem_device(conn, &hash, &opening)).await
    }

    async fn second_factor(&self, user: UserId) -> StoreResult<Option<SecondFactor>> {
        self.readers.read(move |conn| factor(conn, user)).await
    }

    async fn put_second_factor(
        &self,
        user: UserId,
        factor: Option<SecondFactor>,
        audit: AuditEntry,
    ) -> StoreResult<()> {
        self.writer
            .write(move |conn| {
                match factor {
                    Some(factor) => put_factor(conn, user, &factor)?,
                    None => drop_factor(conn, user)?,
                }
                append(conn, &audit)
            })
            .await
    }

    async fn spend_step(&self, user: UserId, step: u64) -> StoreResult<bool> {
        self.writer
            .write(move |conn| match factor(conn, user)? {
                Some(factor) if factor.last_step < step => {
                    put_factor(conn, user, &SecondFactor { last_step: step, ..factor })?;
                    Ok(true)
                }
                _ => Ok(false),
            })
            .await
    }

    async fn spend_recovery(&self, user: UserId, code: Digest, audit: AuditEntry) -> StoreResult<bool> {
        self.writer
            .write(move |conn| {
                let Some(mut factor) = factor(conn, user)? else {
                    return Ok(false);
                };
                let spends = factor.recovery.remove(&code);
                if spends {
                    put_factor(conn, user, &factor)?;
                }
                audit_where(conn, spends, &audit)
            })
            .await
    }

    async fn forget_ended(&self, now: Timestamp) -> StoreResult<()> {
        self.writer.write(move |conn| forget(conn, now)).await
    }
}

/// Appends the entry of a write that took place, and passes on whether it did.
fn audit_where(conn: &Connection, happened: bool, audit: &AuditEntry) -> StoreResult<bool> {
    if happened {
        append(conn, audit)?;
    }
    Ok(happened)
}

/// Puts a new session.
pub(super) fn insert(conn: &Connection, session: &Session, cookie: Option<&Digest>) -> StoreResult<()> {
    let sid = session.sid.to_string();
    let inserted = conn
        .prepare_cached(
            "INSERT INTO sessions (sid, user, generation, cookie, last_used_at, expires_at, body)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute((
            &sid,
            session.sign_in.user.0.to_string(),
            session.sign_in.generation.cast_signed(),
            cookie,
            to_millis(session.last_used_at),
            to_millis(session.expires_at),
            serde_json::to_string(session)?,
        ));
    taken(inserted, "session", &sid)?;
    Ok(())
}

/// The session of a row that begins with `body, last_used_at`.
fn of_row(row: &Row<'_>) -> StoreResult<Session> {
    let session: Session = serde_json::from_str(row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?)?;
    Ok(Session { last_used_at: from_millis(row.get(1)?)?, ..session })
}

/// One session, ended or not.
pub(super) fn load(conn: &Connection, sid: &str) -> StoreResult<Option<Session>> {
    let mut statement = conn.prepare_cached("SELECT body, last_used_at FROM sessions WHERE sid = ?1")?;
    let mut rows = statement.query([sid])?;
    rows.next()?.map(of_row).transpose()
}

fn by_cookie(conn: &Connection, cookie: &Digest, now: Timestamp) -> StoreResult<Option<Session>> {
    let sid: Option<String> = conn
        .prepare_cached("SELECT sid FROM sessions WHERE cookie = ?1")?
        .query_row([cookie], |row| row.get(0))
        .optional()?;
    match sid {
        Some(sid) if is_in_force(conn, &sid, now)? => load(conn, &sid),
        _ => Ok(None),
    }
}

fn open_ones(conn: &Connection, user: UserId, generation: u64, now: Timestamp) -> StoreResult<Vec<Session>> {
    let mut statement = conn.prepare_cached(
        "SELECT body, last_used_at FROM sessions
         WHERE user = ?1 AND generation = ?2 AND NOT ended AND expires_at > ?3 ORDER BY last_used_at DESC, sid",
    )?;
    let mut rows = statement.query((user.0.to_string(), generation.cast_signed(), to_millis(now)))?;
    let mut sessions = Vec::new();
    while let Some(row) = rows.next()? {
        sessions.push(of_row(row)?);
    }
    Ok(sessions)
}

/// True where a sign-in's person may act and has had no new generation since.
pub(super) fn is_valid(conn: &Connection, sign_in: &SignIn) -> StoreResult<bool> {
    let sql = "SELECT 1 FROM users WHERE id = ?1 AND generation = ?2 AND NOT json_extract(body, '$.disabled')";
    Ok(conn.prepare_cached(sql)?.exists((sign_in.user.0.to_string(), sign_in.generation.cast_signed()))?)
}

/// True where a session has not ended, is not over at `now`, and its sign-in is valid still.
pub(super) fn is_in_force(conn: &Connection, sid: &str, now: Timestamp) -> StoreResult<bool> {
    let sql = "SELECT 1 FROM sessions s JOIN users u ON u.id = s.user AND u.generation = s.generation
               WHERE s.sid = ?1 AND NOT s.ended AND s.expires_at > ?2 AND NOT json_extract(u.body, '$.disabled')";
    Ok(conn.prepare_cached(sql)?.exists((sid, to_millis(now)))?)
}

/// True where a session was ended, known or not.
pub(super) fn has_ended(conn: &Connection, sid: Uuid) -> StoreResult<bool> {
    let sql = "SELECT 1 FROM sessions WHERE sid = ?1 AND ended UNION ALL SELECT 1 FROM ended_sessions WHERE sid = ?1";
    Ok(conn.prepare_cached(sql)?.exists([sid.to_string()])?)
}

/// Notes that a session was used.
pub(super) fn touch(conn: &Connection, sid: &str, now: Timestamp) -> StoreResult<()> {
    let sql = "UPDATE sessions SET last_used_at = max(last_used_at, ?2) WHERE sid = ?1";
    conn.prepare_cached(sql)?.execute((sid, to_millis(now)))?;
    Ok(())
}

/// Ends a session and lists it; false where it had ended before.
pub(super) fn end(conn: &Connection, sid: Uuid, listed_until: Timestamp) -> StoreResult<bool> {
    let ends = !has_ended(conn, sid)?;
    let sid = sid.to_string();
    conn.prepare_cached("UPDATE sessions SET ended = 1 WHERE sid = ?1")?.execute([&sid])?;
    let unseal = "UPDATE refresh_tokens SET sealed = NULL, sealed_until = NULL WHERE sid = ?1 AND sealed IS NOT NULL";
    conn.prepare_cached(unseal)?.execute([&sid])?;
    conn.prepare_cached(
        "INSERT INTO ended_sessions (sid, listed_until) VALUES (?1, ?2)
         ON CONFLICT (sid) DO UPDATE SET listed_until = max(listed_until, excluded.listed_until)",
    )?
    .execute((&sid, to_millis(listed_until)))?;
    Ok(ends)
}

fn listed(conn: &Connection, now: Timestamp) -> StoreResult<Vec<Uuid>> {
    let mut statement = conn.prepare_cached("SELECT sid FROM ended_sessions WHERE listed_until > ?1")?;
    let mut rows = statement.query([to_millis(now)])?;
    let mut sids = Vec::new();
    while let Some(row) = rows.next()? {
        sids.push(to_uuid(row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?)?);
    }
    Ok(sids)
}

fn factor(conn: &Connection, user: UserId) -> StoreResult<Option<SecondFactor>> {
    one_body(conn, "SELECT body FROM second_factors WHERE user = ?1", &user.0.to_string())
}

fn put_factor(conn: &Connection, user: UserId, factor: &SecondFactor) -> StoreResult<()> {
    conn.prepare_cached(
        "INSERT INTO second_factors (user, body) VALUES (?1, ?2) ON CONFLICT (user) DO UPDATE SET body = excluded.body",
    )?
    .execute((user.0.to_string(), serde_json::to_string(factor)?))?;
    Ok(())
}

fn drop_factor(conn: &Connection, user: UserId) -> StoreResult<()> {
    conn.prepare_cached("DELETE FROM second_factors WHERE user = ?1")?.execute([user.0.to_string()])?;
    Ok(())
}

fn forget(conn: &Connection, now: Timestamp) -> StoreResult<()> {
    let ago = |days: i64| days_before(now, days);
    let forget = |sql: &str, until: i64| conn.prepare_cached(sql)?.execute([until]);
    forget("DELETE FROM ended_sessions WHERE listed_until <= ?1", ago(0))?;
    forget(
        "UPDATE refresh_tokens SET sealed = NULL, sealed_until = NULL WHERE sealed IS NOT NULL AND sealed_until <= ?1",
        ago(0),
    )?;
    forget("DELETE FROM codes WHERE expires_at <= ?1", ago(1))?;
    forget("DELETE FROM devices WHERE expires_at <= ?1", ago(1))?;
    // A used token is remembered as long as its session lives: else its theft would go unnoticed.
    forget(
        "DELETE FROM refresh_tokens WHERE idle_until <= ?1 AND NOT EXISTS
             (SELECT 1 FROM sessions s WHERE s.sid = refresh_tokens.sid AND NOT s.ended AND s.expires_at > ?1)",
        ago(1),
    )?;
    forget("DELETE FROM sessions WHERE expires_at <= ?1", ago(30))?;
    Ok(())
}
