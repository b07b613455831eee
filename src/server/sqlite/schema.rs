//! The schema's history: one step per version, each in a transaction. A step that was released is never edited.

use rusqlite::{Connection, TransactionBehavior};
use uuid::Uuid;

use super::{audit, open::OpenError, stored};
use crate::server::ports::{StoreError, StoreResult};

/// Says "medreq" in the file's header (`mdrq`).
pub(super) const APPLICATION_ID: i32 = 0x6d64_7271;

/// From one version to the next: a script, then what SQL cannot do.
struct Step {
    script: &'static str,
    then: fn(&Connection) -> StoreResult<()>,
}

const STEPS: &[Step] = &[
    Step { script: include_str!("schema.sql"), then: identify },
    Step { script: include_str!("schema_2.sql"), then: audit::chain_existing },
    Step { script: include_str!("schema_3.sql"), then: |_| Ok(()) },
    Step { script: include_str!("schema_4.sql"), then: |_| Ok(()) },
    Step { script: include_str!("schema_5.sql"), then: |_| Ok(()) },
];

/// The newest schema that this build knows.
pub(super) const NEWEST: usize = STEPS.len();

/// Checks whose file it is and brings it to the newest schema.
pub(super) fn migrate(conn: &mut Connection) -> Result<(), OpenError> {
    // Read again inside the write transaction: another process may be migrating the same file.
    while version_of_ours(conn)? < NEWEST {
        let transaction = conn.transaction_with_behavior(TransactionBehavior::Immediate).map_err(StoreError::from)?;
        let version = version_of_ours(&transaction)?;
        if let Some(step) = STEPS.get(version) {
            run_step(&transaction, version, step)?;
        }
        transaction.commit().map_err(StoreError::from)?;
    }
    Ok(())
}

fn run_step(conn: &Connection, version: usize, step: &Step) -> StoreResult<()> {
    conn.execute_batch(step.script)?;
    (step.then)(conn)?;
    let next = i32::try_from(version + 1).expect("there are few schema versions");
    conn.pragma_update(None, "user_version", next)?;
    Ok(())
}

/// What a new database is known by.
fn identify(conn: &Connection) -> StoreResult<()> {
    conn.pragma_update(None, "application_id", APPLICATION_ID)?;
    set_meta(conn, "epoch", Uuid::new_v4().as_bytes())?;
    // A restore begins a new epoch; the chain goes on from where it began.
    set_meta(conn, "genesis", &stored::random::<32>()?)?;
    set_meta(conn, "patient_salt", &stored::random::<32>()?)?;
    set_meta(conn, "word_key", &stored::random::<32>()?)
}

/// The file's schema version; an error where it is not ours or from a newer medreq.
pub(super) fn version_of_ours(conn: &Connection) -> Result<usize, OpenError> {
    let pragma = |name: &str| -> StoreResult<i32> { Ok(conn.pragma_query_value(None, name, |row| row.get(0))?) };
    let application = pragma("application_id")?;
    let version = pragma("user_version")?;
    let tables: i64 =
        conn.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(StoreError::from)?;
    if application == 0 && version == 0 && tables == 0 {
        return Ok(0);
    }
    let found = usize::try_from(version).unwrap_or(0);
    match (application == APPLICATION_ID, found) {
        (false, _) | (true, 0) => Err(OpenError::NotMedreq),
        (true, found) if found > NEWEST => Err(OpenError::NewerSchema { found, known: NEWEST }),
        (true, found) => Ok(found),
    }
}

fn set_meta(conn: &Connection, name: &str, value: &[u8]) -> StoreResult<()> {
    conn.execute("INSERT INTO meta (name, value) VALUES (?1, ?2)", (name, value))?;
    Ok(())
}

/// A value that the first opening fixed for ever.
pub(super) fn meta<const N: usize>(conn: &Connection, name: &str) -> StoreResult<[u8; N]> {
    let value: Vec<u8> =
        conn.prepare_cached("SELECT value FROM meta WHERE name = ?1")?.query_row([name], |row| row.get(0))?;
    value.try_into().map_err(|_| super::stored::unreadable("meta value"))
}

/// Begins a new epoch: cursors of the old one are told to start afresh.
pub(super) fn renew_epoch(conn: &Connection) -> StoreResult<Uuid> {
    let epoch = Uuid::new_v4();
    conn.execute("UPDATE meta SET value = ?1 WHERE name = 'epoch'", [epoch.as_bytes()])?;
    Ok(epoch)
}

/// The log's identity.
pub(super) fn epoch(conn: &Connection) -> StoreResult<Uuid> {
    meta::<16>(conn, "epoch").map(Uuid::from_bytes)
}
