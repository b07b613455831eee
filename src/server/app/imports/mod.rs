//! Files in: the catalogue, the formulary, places, par levels, users. All good rows of a file become visible together, or nothing changes.
//!
//! Each list is documented where it is read: [`places`], [`medications`], [`users`]; directories in [`crate::server::catalog`].

mod catalog;
pub mod medications;
pub mod places;
pub mod spool;
mod table;
pub mod users;

use std::{
    collections::BTreeMap,
    fs::File,
    io,
    path::{Path, PathBuf},
    str::FromStr,
    sync::Arc,
};

use serde_json::{Value, json};

pub use self::spool::{Spool, Upload};
use self::table::{Layout, Table};
use super::{
    catalog::Catalog,
    checks::Invalid,
    reference::{ITEM_EDITORS, PLACE_EDITORS, Reference, ReferenceError, audit, require},
};
use crate::{
    api::imports::{BadRow, ImportReport},
    domain::{
        code::{CabinetCode, MedicationCode, PharmacyCode, WardCode},
        reason::Role,
    },
    server::{
        auth::{
            Auth, Principal, Scope,
            accounts::{AccountError, Editor},
            imports::KnownPlaces,
        },
        catalog::Encoding,
        ports::{
            AuditEntry, Cabinet, Medication, ParLevel, Pharmacy, ReferenceChanges, ReferenceStore, StoreError,
            StoreResult, Ward,
        },
    },
};

/// Largest upload, unless configured otherwise.
pub const UPLOAD_MAX: u64 = 1 << 30;

/// Bad rows that a report names; the rest is counted.
const BAD_ROWS_MAX: usize = 1_000;

/// Rows between two calls of the progress function.
const PROGRESS_EVERY: u64 = 1_000;

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// A directory of products.
    Catalog,
    /// The hospital's medications.
    Medications,
    /// Pharmacies.
    Pharmacies,
    /// Wards.
    Wards,
    /// Cabinets.
    Cabinets,
    /// What cabinets should hold.
    ParLevels,
    /// People.
    Users,
}

impl What {
    /// Everything that can be imported.
    pub const ALL: [Self; 7] =
        [Self::Catalog, Self::Medications, Self::Pharmacies, Self::Wards, Self::Cabinets, Self::ParLevels, Self::Users];

    /// The word in the address and in reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Catalog => "catalog",
            Self::Medications => "medications",
            Self::Pharmacies => "pharmacies",
            Self::Wards => "wards",
            Self::Cabinets => "cabinets",
            Self::ParLevels => "par-levels",
            Self::Users => "users",
        }
    }

    /// The scope that a token needs.
    #[must_use]
    pub const fn scope(self) -> Scope {
        match self {
            Self::Users => Scope::UsersWrite,
            _ => Scope::ReferenceWrite,
        }
    }

    /// Who may import it.
    #[must_use]
    pub const fn roles(self) -> &'static [Role] {
        match self {
            Self::Catalog | Self::Medications | Self::ParLevels => ITEM_EDITORS,
            Self::Pharmacies | Self::Wards | Self::Cabinets | Self::Users => PLACE_EDITORS,
        }
    }

    /// The columns of a hospital's list; `None` for a directory.
    const fn layout(self) -> Option<&'static Layout> {
        match self {
            Self::Catalog => None,
            Self::Medications => Some(&medications::MEDICATIONS),
            Self::Pharmacies => Some(&places::PHARMACIES),
            Self::Wards => Some(&places::WARDS),
            Self::Cabinets => Some(&places::CABINETS),
            Self::ParLevels => Some(&places::PAR_LEVELS),
            Self::Users => Some(&users::USERS),
        }
    }
}

impl FromStr for What {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|what| what.as_str() == text).ok_or(())
    }
}

/// How to read a file.
#[derive(Debug, Clone, Default)]
pub struct ImportOptions {
    /// `csv` for lists; a directory's format; `None` is recognised.
    pub format: Option<String>,
    /// `utf-8`, `windows-1252`, `iso-8859-1`; `None` is recognised.
    pub encoding: Option<String>,
    /// Do everything but keep nothing.
    pub dry_run: bool,
}

/// Why nothing was imported; nothing has changed then.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// Not a file of that sort.
    #[error("the format is not recognised: {0}")]
    Format(String),
    /// There are rows but none is good, or there are none.
    #[error("{}; nothing was imported", if .0.rows == 0 { "the file has no rows below its header" } else { "no row of the file is good" })]
    NoGoodRow(Box<ImportReport>),
    /// More rows than a list may have.
    #[error("the list has more than {0} rows; cut it into several")]
    TooManyRows(u64),
    /// More bytes than an upload may have.
    #[error("the file is larger than {0} bytes; cut it into several")]
    TooLarge(u64),
    /// One at a time.
    #[error("another catalogue import is running; try again when it has finished")]
    Running,
    /// The caller may not, or asks for what there is not.
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    /// The accounts refused.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// The upload could not be read back.
    #[error("the upload could not be read: {0}")]
    Read(#[source] io::Error),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Told how many rows were read so far.
pub type Progress = Box<dyn FnMut(u64) + Send>;

/// Imports of one node.
#[derive(Clone)]
pub struct Imports {
    reference: Arc<Reference>,
    catalog: Catalog,
    auth: Arc<Auth>,
    spool: PathBuf,
    upload_max: u64,
}

impl Imports {
    /// Over the services that keep what is imported; uploads wait in a directory of the server's own.
    #[must_use]
    pub fn new(reference: Arc<Reference>, catalog: Catalog, auth: Arc<Auth>, spool: &Path, upload_max: u64) -> Self {
        Self { reference, catalog, auth, spool: spool.to_owned(), upload_max }
    }

    /// Places, medications and par levels.
    #[must_use]
    pub fn reference(&self) -> &Arc<Reference> {
        &self.reference
    }

    /// The catalogue.
    #[must_use]
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// Makes room for an upload.
    ///
    /// # Errors
    /// Where the directory cannot be written.
    pub fn spool(&self) -> Result<Spool, ImportError> {
        Spool::open(&self.spool, self.upload_max)
    }

    /// Passes where the caller may import this.
    ///
    /// # Errors
    /// [`ReferenceError::RoleRequired`].
    pub fn permit(&self, by: &Principal, what: What) -> Result<(), ReferenceError> {
        require(&by.actor, what.roles())
    }

    /// Imports an upload.
    ///
    /// # Errors
    /// [`ImportError`]; nothing has changed then.
    pub async fn run(
        &self,
        by: &Principal,
        what: What,
        upload: Upload,
        options: ImportOptions,
        progress: Progress,
    ) -> Result<ImportReport, ImportError> {
        self.permit(by, what)?;
        let Upload { file, sha256, bytes } = upload;
        let job = Job { by, what, source: json!({ "sha256": sha256, "bytes": bytes }), dry_run: options.dry_run };
        let Some(layout) = what.layout() else {
            return self.directory(job, file, &options, progress).await;
        };
        let list = List { file, layout, encoding: list_encoding(&options)?, tally: Tally::new(&job, progress) };
        match what {
            What::Users => self.people(job, list).await,
            _ => self.records(job, list).await,
        }
    }

    /// Imports a list of reference data.
    async fn records(&self, job: Job<'_>, list: List) -> Result<ImportReport, ImportError> {
        let _alone = self.reference.exclusive().await;
        let known = Known::load(job.what, self.reference.store()).await?;
        let (what, catalog) = (job.what, Arc::clone(self.catalog.store()));
        let plan = move || {
            let List { file, layout, encoding, mut tally } = list;
            let mut table = Table::open(file, layout, encoding)?;
            let changes = match what {
                What::Pharmacies => places::pharmacies(&mut table, &known, &mut tally)?,
                What::Wards => places::wards(&mut table, &known, &mut tally)?,
                What::Cabinets => places::cabinets(&mut table, &known, &mut tally)?,
                What::ParLevels => places::par_levels(&mut table, &known, &mut tally)?,
                What::Medications => medications::medications(&mut table, &known, &catalog, &mut tally)?,
                What::Catalog | What::Users => unreachable!("they are imported elsewhere"),
            };
            Ok((tally.report()?, changes))
        };
        let (report, mut changes) = blocking(plan).await?;
        if !report.dry_run {
            changes.audit.push(job.audit(&report));
            self.reference.store().change_reference(changes).await?;
        }
        Ok(report)
    }

    /// Imports a list of people.
    async fn people(&self, job: Job<'_>, list: List) -> Result<ImportReport, ImportError> {
        let read = move || {
            let List { file, layout, encoding, mut tally } = list;
            let rows = users::users(&mut Table::open(file, layout, encoding)?, &mut tally)?;
            Ok((tally, rows))
        };
        let (mut tally, rows) = blocking(read).await?;
        let store = self.reference.store();
        let places = KnownPlaces {
            wards: store.wards().await?.into_iter().map(|ward| ward.code).collect(),
            pharmacies: store.pharmacies().await?.into_iter().map(|pharmacy| pharmacy.code).collect(),
        };
        let done = self.auth.import_users(rows, &places, &Editor::from(job.by), job.dry_run).await?;
        users::settle(done, &mut tally);
        let report = tally.report()?;
        self.note(&job, &report).await?;
        Ok(report)
    }

    /// Writes what an import did into the audit, where that is no part of its own transaction.
    async fn note(&self, job: &Job<'_>, report: &ImportReport) -> Result<(), ImportError> {
        if !report.dry_run {
            let changes = ReferenceChanges { audit: vec![job.audit(report)], ..ReferenceChanges::default() };
            self.reference.store().change_reference(changes).await?;
        }
        Ok(())
    }
}

/// Who imports what.
struct Job<'a> {
    by: &'a Principal,
    what: What,
    source: Value,
    dry_run: bool,
}

impl Job<'_> {
    fn audit(&self, report: &ImportReport) -> AuditEntry {
        let detail = json!({
            "file": self.source, "format": report.format, "rows": report.rows, "created": report.created,
            "updated": report.updated, "unchanged": report.unchanged, "bad": report.bad,
        });
        audit(&self.by.actor, "imported", self.what.as_str(), detail)
    }
}

/// A hospital's list, about to be read.
struct List {
    file: File,
    layout: &'static Layout,
    encoding: Option<Encoding>,
    tally: Tally,
}

fn list_encoding(options: &ImportOptions) -> Result<Option<Encoding>, ReferenceError> {
    if let Some(format) = options.format.as_deref().filter(|format| *format != "csv") {
        return Err(malformed("format", format_args!("{format:?} is no format of a list: use csv")));
    }
    encoding(options)
}

fn encoding(options: &ImportOptions) -> Result<Option<Encoding>, ReferenceError> {
    options.encoding.as_deref().map(|name| name.parse().map_err(|why| malformed("encoding", why))).transpose()
}

fn malformed(field: &str, why: impl std::fmt::Display) -> ReferenceError {
    ReferenceError::Malformed(Invalid::new(field, why))
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ImportError> + Send + 'static,
) -> Result<T, ImportError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(StoreError::Broken(format!("an import failed: {error}")).into()))
}

/// What is stored of the things that a list is about or refers to.
#[derive(Default)]
struct Known {
    pharmacies: BTreeMap<PharmacyCode, Pharmacy>,
    wards: BTreeMap<WardCode, Ward>,
    cabinets: BTreeMap<CabinetCode, Cabinet>,
    medications: BTreeMap<MedicationCode, Medication>,
    levels: BTreeMap<(CabinetCode, MedicationCode), (CabinetCode, ParLevel)>,
}

impl Known {
    async fn load(what: What, store: &dyn ReferenceStore) -> StoreResult<Self> {
        let mut known = Self::default();
        if matches!(what, What::Pharmacies | What::Wards) {
            known.pharmacies = store.pharmacies().await?.into_iter().map(|it| (it.code.clone(), it)).collect();
        }
        if matches!(what, What::Wards | What::Cabinets) {
            known.wards = store.wards().await?.into_iter().map(|it| (it.code.clone(), it)).collect();
        }
        if matches!(what, What::Cabinets | What::ParLevels) {
            known.cabinets = store.cabinets().await?.into_iter().map(|it| (it.code.clone(), it)).collect();
        }
        if matches!(what, What::Medications | What::ParLevels) {
            known.medications = store.all_medications().await?.into_iter().map(|it| (it.code.clone(), it)).collect();
        }
        if what == What::ParLevels {
            for code in known.cabinets.keys() {
                let levels = store.cabinet(code).await?.map(|(_, levels)| levels).unwrap_or_default();
                let entry = |it: ParLevel| ((code.clone(), it.medication.clone()), (code.clone(), it));
                known.levels.extend(levels.into_iter().map(entry));
            }
        }
        Ok(known)
    }
}

/// What an import has come to so far.
struct Tally {
    report: ImportReport,
    progress: Progress,
}

impl Tally {
    fn new(job: &Job<'_>, progress: Progress) -> Self {
        let report = ImportReport {
            what: job.what.as_str().to_owned(),
            format: "csv".to_owned(),
            dry_run: job.dry_run,
            ..ImportReport::default()
        };
        Self { report, progress }
    }

    /// Counts a row that was read, and says which one it is.
    fn row(&mut self) -> u64 {
        self.report.rows += 1;
        if self.report.rows.is_multiple_of(PROGRESS_EVERY) {
            (self.progress)(self.report.rows);
        }
        self.report.rows
    }

    fn bad(&mut self, line: u64, reason: String) {
        self.report.bad += 1;
        self.report.bad_rows.push(BadRow { line, reason });
    }

    fn add(&mut self, created: u64, updated: u64, unchanged: u64) {
        self.report.created += created;
        self.report.updated += updated;
        self.report.unchanged += unchanged;
    }

    fn encoding(&mut self, encoding: Encoding) {
        self.report.encoding = encoding.to_string();
    }

    /// The report, unless no row was good.
    fn report(mut self) -> Result<ImportReport, ImportError> {
        self.report.bad_rows.sort_by_key(|row| row.line);
        self.report.bad_rows.truncate(BAD_ROWS_MAX);
        match self.report.created + self.report.updated + self.report.unchanged {
            0 => Err(ImportError::NoGoodRow(Box::new(self.report))),
            _ => Ok(self.report),
        }
    }
}
