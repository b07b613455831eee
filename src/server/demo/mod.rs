//! A believable hospital for newcomers: places, people, real medicines and five days of tickets. It must never touch a directory that holds data.
//!
//! Everything goes the way that a hospital's own data goes: medicines through the importer and `adopt`, tickets through the
//! pipeline and its decision. Passwords are drawn for each directory.

mod dice;
mod draft;
mod history;
mod hospital;
mod live;
mod manifest;
mod medicines;
mod moves;
mod people;
mod wishes;
mod words;
mod world;

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use self::{hospital::PHARMACIES, world::World};
pub use self::{
    live::{LivePorts, PACE, play},
    manifest::{CURL_HEADER_FILE, DemoClient, DemoManifest, DemoServiceAccount, DemoUser, MANIFEST_FILE, greeting},
};
use crate::{
    domain::{command::CommandName, reason::Role, refusal::RefusalCode},
    server::{
        app::reference::ReferenceError,
        auth::{Auth, accounts::AccountError, grants::UserTokenError},
        catalog::{CatalogStore, ImportError},
        ports::{
            AuditEntry, Cabinet, IdentityStore, Pharmacy, ReferenceChanges, ReferenceStore, StoreError, SubmitError,
            Ward,
        },
        sqlite::SqliteStore,
    },
};

/// What a demo is written to: the parts of one embedded server.
#[derive(Clone)]
pub struct DemoStores {
    /// Tickets, places, medications, users.
    pub store: Arc<SqliteStore>,
    /// Products.
    pub catalog: Arc<CatalogStore>,
    /// Accounts.
    pub auth: Arc<Auth>,
}

/// Why a demo could not be made.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// There is something in the directory already.
    #[error("the data directory holds data already; a demo is made in an empty one")]
    NotEmpty,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An account was refused.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// The catalogue's extracts were refused.
    #[error(transparent)]
    Import(#[from] ImportError),
    /// Medications were refused.
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    /// A command got no answer.
    #[error(transparent)]
    Submit(#[from] SubmitError),
    /// A planned command was refused: a defect of the demo.
    #[error("the demo's {command} was refused with {code}")]
    Refused {
        /// Which command.
        command: CommandName,
        /// With which code.
        code: RefusalCode,
    },
    /// The plan needs somebody or something that is not there: a defect of the demo.
    #[error("the demo's plan does not fit its hospital")]
    Incomplete,
}

/// Fills an empty data directory; `url` is where the demo listens.
///
/// # Errors
/// [`DemoError`]. A directory that was filled in part is not a demo: remove it.
pub async fn seed(stores: &DemoStores, url: &str) -> Result<DemoManifest, DemoError> {
    let store = stores.store.as_ref();
    if !store.pharmacies().await?.is_empty() || !store.users(1, None).await?.items.is_empty() {
        return Err(DemoError::NotEmpty);
    }
    let cabinets = cabinets();
    store.change_reference(places(&cabinets)).await?;
    let manifest = people::enrol(stores, url).await?;
    let pharmacist = people::first_pharmacist(store).await?.ok_or(DemoError::Incomplete)?;
    let medications = medicines::adopt(stores, &pharmacist).await?;
    let codes: Vec<_> = cabinets.into_iter().map(|cabinet| cabinet.code).collect();
    medicines::stock(store, &medications, &codes, &pharmacist).await?;
    let world = World::load(store, store).await?;
    history::write(store, &world, Timestamp::now()).await?;
    Ok(manifest)
}

/// The content of [`CURL_HEADER_FILE`]: a token of the first nurse, for 24 hours. Written 0600, so that no token stands on a command line.
///
/// # Errors
/// [`UserTokenError`], as where somebody has disabled her.
pub async fn curl_header(auth: &Auth, manifest: &DemoManifest) -> Result<String, UserTokenError> {
    let nurse = manifest.first(Role::Nurse).map_or("", |nurse| nurse.username.as_str());
    let token = auth.user_token(nurse, SignedDuration::from_hours(24)).await?.access_token;
    Ok(format!("Authorization: Bearer {token}\n"))
}

/// Reads a code that stands in this module.
fn code<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().expect("the demo's codes are codes")
}

fn cabinets() -> Vec<Cabinet> {
    let of_ward = |(ward, _, _, count): (&str, &str, &str, u8)| {
        let ward = ward.to_owned();
        (1..=count).zip(hospital::CABINET_PLACES).map(move |(number, place)| Cabinet {
            code: code(&format!("{ward}-{number:02}")),
            name: place.to_owned(),
            ward: code(&ward),
            active: true,
            identifiers: Vec::new(),
        })
    };
    hospital::WARDS.into_iter().flat_map(of_ward).collect()
}

fn places(cabinets: &[Cabinet]) -> ReferenceChanges {
    let pharmacies = PHARMACIES.iter().map(|(pharmacy, name, satellite, hours)| Pharmacy {
        code: code(pharmacy),
        name: (*name).to_owned(),
        satellite: *satellite,
        hours: Some((*hours).to_owned()),
        active: true,
        identifiers: Vec::new(),
    });
    let wards = hospital::WARDS.iter().map(|(ward, name, pharmacy, _)| Ward {
        code: code(ward),
        name: (*name).to_owned(),
        pharmacy: code(pharmacy),
        active: true,
        identifiers: Vec::new(),
    });
    let audit = AuditEntry {
        at: Timestamp::now(),
        kind: "reference".to_owned(),
        action: "demo_seeded".to_owned(),
        actor: None,
        subject: Some(hospital::SITE_NAME.to_owned()),
        detail: json!({ "cabinets": cabinets.len() }),
    };
    ReferenceChanges {
        site: Some(hospital::site()),
        pharmacies: pharmacies.collect(),
        wards: wards.collect(),
        cabinets: cabinets.to_vec(),
        audit: vec![audit],
        ..ReferenceChanges::default()
    }
}

#[cfg(test)]
mod tests;
