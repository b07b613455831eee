//! Imports of directory files: streamed, one transaction, all good rows or nothing. It must never delete what a file lacks.

use std::io::{self, Read};

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};
use serde::{Deserialize, Serialize};

use super::{
    anvisa,
    encoding::{Decoder, Encoding},
    fda,
    format::{Format, Header},
    lines::{LINE_MAX, Line, Lines},
    packages::{PackageBody, PackageRecord},
    product::{self, ProductRecord},
    search,
    store::CatalogStore,
};
use crate::server::ports::{StoreError, StoreResult};

/// Most bad rows that a report names; the rest is counted.
pub const BAD_ROWS_MAX: usize = 1_000;

/// Descriptions that one file may have for one package code of a product; the NDC Directory has up to three.
const SAME_PACKAGE_MAX: u32 = 8;

/// Rows between two calls of the progress function.
const PROGRESS_EVERY: u64 = 1_000;

/// How to read a file.
#[derive(Debug, Clone, Copy, Default)]
pub struct ImportOptions {
    /// The format, where it is not to be recognised.
    pub format: Option<Format>,
    /// The encoding, where it is not to be recognised.
    pub encoding: Option<Encoding>,
    /// Do everything but keep nothing.
    pub dry_run: bool,
}

/// How far an import is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Bytes read.
    pub bytes: u64,
    /// Rows read.
    pub rows: u64,
}

/// A row that was left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BadRow {
    /// Line of the file, the first is 1.
    pub line: u64,
    /// What is wrong with it.
    pub reason: String,
}

/// What an import did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportReport {
    /// `catalog`.
    pub what: String,
    /// The format, given or recognised.
    pub format: Format,
    /// The encoding, given or recognised.
    pub encoding: Encoding,
    /// Rows read, bad ones included, without the first line and blank lines.
    pub rows: u64,
    /// Rows that are new.
    pub created: u64,
    /// Rows that say something else than before.
    pub updated: u64,
    /// Rows that are stored already.
    pub unchanged: u64,
    /// Rows that were left out.
    pub bad: u64,
    /// The first of them, at most [`BAD_ROWS_MAX`].
    pub bad_rows: Vec<BadRow>,
    /// Bad rows beyond those that are named.
    pub bad_rows_omitted: u64,
    /// Packages in the store, after this import, whose product is not: import the product file of the same edition.
    pub packages_without_product: u64,
    /// True where nothing was kept.
    pub dry_run: bool,
}

/// Why nothing was imported; nothing has changed then.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The first line is none of a format that is known (or of the given one).
    #[error(
        "the first line must name the columns of the FDA's product or package file or of ANVISA's open data, in UTF-8 or windows-1252"
    )]
    UnknownFormat,
    /// There are rows but none is good, or there are none.
    #[error("no row of the file is good; nothing was imported")]
    NoGoodRow(Box<ImportReport>),
    /// One at a time: another one has not finished.
    #[error("another catalogue import is running; try again when it has finished")]
    Running,
    /// The file could not be read to its end.
    #[error("the file could not be read: {0}")]
    Read(#[source] io::Error),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<rusqlite::Error> for ImportError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Store(error.into())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Created,
    Updated,
    Unchanged,
}

/// Why a row was not written: the row's fault, or the store's.
enum Failure {
    Row(String),
    Store(StoreError),
}

impl From<String> for Failure {
    fn from(reason: String) -> Self {
        Self::Row(reason)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Store(error.into())
    }
}

impl CatalogStore {
    /// Imports a file in one transaction: readers see all its good rows at once, or, after an error, none.
    ///
    /// A row whose key is stored with the same content is `unchanged`; what the file lacks stays. A product row that
    /// repeats a key of the same file with other content is bad, save in ANVISA's: there it is another product, kept under
    /// its registration and process (and name, should that be taken too). A package code that is repeated with another
    /// description, as the NDC Directory does nine times, keeps both.
    ///
    /// # Errors
    /// [`ImportError`]; nothing has changed then.
    pub fn import(
        &self,
        input: impl Read,
        options: ImportOptions,
        mut progress: impl FnMut(Progress),
    ) -> Result<ImportReport, ImportError> {
        let mut conn = self.writer().ok_or(ImportError::Running)?;
        let mut lines = Lines::new(input);
        let mut decoder = Decoder::new(options.encoding);
        let header = read_header(&mut lines, &mut decoder, options.format)?;
        let transaction = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(
            "CREATE TEMP TABLE IF NOT EXISTS seen (key TEXT PRIMARY KEY) WITHOUT ROWID; DELETE FROM temp.seen;",
        )?;
        let mut report = ImportReport {
            what: "catalog".to_owned(),
            format: header.format,
            encoding: Encoding::Utf8,
            rows: 0,
            created: 0,
            updated: 0,
            unchanged: 0,
            bad: 0,
            bad_rows: Vec::new(),
            bad_rows_omitted: 0,
            packages_without_product: 0,
            dry_run: options.dry_run,
        };
        loop {
            let number = lines.number + 1;
            let outcome = match lines.next().map_err(ImportError::Read)? {
                None => break,
                Some(Line::Bytes(line)) if line.iter().all(u8::is_ascii_whitespace) => continue,
                Some(Line::TooLong) => Err(Failure::Row(format!("it is longer than {LINE_MAX} bytes"))),
                Some(Line::Bytes(line)) => write_line(&transaction, &header, &mut decoder, line),
            };
            report.count(number, outcome)?;
            if report.rows.is_multiple_of(PROGRESS_EVERY) {
                progress(Progress { bytes: lines.bytes, rows: report.rows });
            }
        }
        progress(Progress { bytes: lines.bytes, rows: report.rows });
        report.encoding = decoder.encoding();
        report.packages_without_product = packages_without_product(&transaction)?;
        if report.created + report.updated + report.unchanged == 0 {
            return Err(ImportError::NoGoodRow(Box::new(report)));
        }
        if options.dry_run {
            transaction.rollback()?;
            return Ok(report);
        }
        transaction.commit()?;
        // A WAL as large as the whole import would slow readers down; one that a reader still needs stays for later.
        if let Err(error) = conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())) {
            tracing::debug!(%error, "the catalogue's WAL could not be truncated yet");
        }
        Ok(report)
    }
}

impl ImportReport {
    fn count(&mut self, line: u64, outcome: Result<Outcome, Failure>) -> Result<(), ImportError> {
        self.rows += 1;
        match outcome {
            Ok(Outcome::Created) => self.created += 1,
            Ok(Outcome::Updated) => self.updated += 1,
            Ok(Outcome::Unchanged) => self.unchanged += 1,
            Err(Failure::Store(error)) => return Err(error.into()),
            Err(Failure::Row(reason)) => {
                self.bad += 1;
                if self.bad_rows.len() < BAD_ROWS_MAX {
                    self.bad_rows.push(BadRow { line, reason });
                } else {
                    self.bad_rows_omitted += 1;
                }
            }
        }
        Ok(())
    }
}

fn read_header<R: Read>(
    lines: &mut Lines<R>,
    decoder: &mut Decoder,
    given: Option<Format>,
) -> Result<Header, ImportError> {
    loop {
        let line = match lines.next().map_err(ImportError::Read)? {
            Some(Line::Bytes(line)) if line.iter().all(u8::is_ascii_whitespace) => continue,
            Some(Line::Bytes(line)) => line,
            Some(Line::TooLong) | None => return Err(ImportError::UnknownFormat),
        };
        let text = decoder.decode(line).map_err(|_| ImportError::UnknownFormat)?;
        return Header::recognise(&text, given).ok_or(ImportError::UnknownFormat);
    }
}

fn write_line(conn: &Connection, header: &Header, decoder: &mut Decoder, line: &[u8]) -> Result<Outcome, Failure> {
    let text = decoder.decode(line).map_err(str::to_owned)?;
    let row = header.row(&text)?;
    match header.format {
        Format::FdaProduct => write_product(conn, fda::product(&row)?, &[]),
        Format::FdaPackage => write_package(conn, &fda::package(&row)?),
        Format::Anvisa => {
            let product = anvisa::product(&row)?;
            write_product(conn, product.record, &product.other_keys)
        }
    }
}

/// True for the first row of this file with that key.
fn first_seen(conn: &Connection, key: &str) -> StoreResult<bool> {
    Ok(conn.prepare_cached("INSERT OR IGNORE INTO temp.seen (key) VALUES (?1)")?.execute([key])? == 1)
}

fn write_product(conn: &Connection, mut record: ProductRecord, other_keys: &[String]) -> Result<Outcome, Failure> {
    let own_key = record.key.clone();
    for key in std::iter::once(&own_key).chain(other_keys) {
        record.key.clone_from(key);
        let body = serde_json::to_string(&record).map_err(StoreError::from)?;
        let stored: Option<(i64, String)> = conn
            .prepare_cached("SELECT id, body FROM product WHERE directory = ?1 AND key = ?2")?
            .query_row([record.directory.as_str(), key], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let first = first_seen(conn, key)?;
        match stored {
            Some((_, stored)) if stored == body => return Ok(Outcome::Unchanged),
            Some((id, _)) if first => {
                update_product(conn, id, &record, &body)?;
                return Ok(Outcome::Updated);
            }
            None if first => {
                insert_product(conn, &record, &body)?;
                return Ok(Outcome::Created);
            }
            _ => {}
        }
    }
    Err(Failure::Row(format!("the key {own_key:?} stands in an earlier row with other content")))
}

fn insert_product(conn: &Connection, record: &ProductRecord, body: &str) -> StoreResult<()> {
    conn.prepare_cached(
        "INSERT INTO product (directory, key, code, care, cancelled, end_date, group_key, body)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?
    .execute(params![
        record.directory.as_str(),
        record.key,
        record.code,
        product::care(record.classification),
        record.cancelled,
        record.end_date.map(|date| date.to_string()),
        record.group_key(),
        body
    ])?;
    search::index(conn, conn.last_insert_rowid(), record)
}

fn update_product(conn: &Connection, id: i64, record: &ProductRecord, body: &str) -> StoreResult<()> {
    conn.prepare_cached(
        "UPDATE product SET code = ?2, care = ?3, cancelled = ?4, end_date = ?5, group_key = ?6, body = ?7 WHERE id = ?1",
    )?
    .execute(params![
        id,
        record.code,
        product::care(record.classification),
        record.cancelled,
        record.end_date.map(|date| date.to_string()),
        record.group_key(),
        body
    ])?;
    conn.prepare_cached("DELETE FROM product_text WHERE rowid = ?1")?.execute([id])?;
    search::index(conn, id, record)
}

fn write_package(conn: &Connection, package: &PackageRecord) -> Result<Outcome, Failure> {
    let code = package.code.to_string();
    let body = serde_json::to_string(&PackageBody {
        description: (&package.description).into(),
        start_date: package.start_date,
        end_date: package.end_date,
        sample: package.sample,
    })
    .map_err(StoreError::from)?;
    for nth in 1..=SAME_PACKAGE_MAX {
        let stored: Option<String> = conn
            .prepare_cached("SELECT body FROM package WHERE product_key = ?1 AND code = ?2 AND nth = ?3")?
            .query_row(params![package.product_key, code, nth], |row| row.get(0))
            .optional()?;
        let first = first_seen(conn, &format!("{} {code} {nth}", package.product_key))?;
        if stored.as_ref() == Some(&body) {
            return Ok(Outcome::Unchanged);
        }
        if first {
            replace_package(conn, package, nth, &body)?;
            return Ok(if stored.is_some() { Outcome::Updated } else { Outcome::Created });
        }
    }
    Err(Failure::Row(format!("the package {code} stands in {SAME_PACKAGE_MAX} earlier rows with other content")))
}

fn replace_package(conn: &Connection, package: &PackageRecord, nth: u32, body: &str) -> StoreResult<()> {
    let code = package.code.to_string();
    conn.prepare_cached(
        "INSERT OR REPLACE INTO package (product_key, code, nth, digits, body) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?
    .execute(params![package.product_key, code, nth, package.code.digits(), body])?;
    conn.prepare_cached("DELETE FROM inner_package WHERE product_key = ?1 AND outer_code = ?2 AND nth = ?3")?
        .execute(params![package.product_key, code, nth])?;
    let mut insert = conn.prepare_cached(
        "INSERT INTO inner_package (product_key, outer_code, nth, code, digits, description)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    for (inner, description) in package.inner() {
        insert.execute(params![package.product_key, code, nth, inner.to_string(), inner.digits(), description])?;
    }
    Ok(())
}

fn packages_without_product(conn: &Connection) -> StoreResult<u64> {
    let count: i64 = conn.query_row(
        "SELECT count(*) FROM package WHERE NOT EXISTS
           (SELECT 1 FROM product WHERE product.directory = 'fda_ndc' AND product.key = package.product_key)",
        [],
        |row| row.get(0),
    )?;
    Ok(u64::try_from(count).unwrap_or(0))
}
