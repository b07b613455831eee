//! The catalogue as readers see it, and formulary items made from it. Adoption never changes what a person has said.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use jiff::{Timestamp, civil::Date};
use serde_json::json;

use super::{
    checks::{self, Invalid},
    reference::{ITEM_EDITORS, Reference, ReferenceError, audit, not_found, require},
};
use crate::{
    api::medications as wire,
    domain::{
        actor::Actor,
        code::MedicationCode,
        control_class::{ClassSource, Classification},
    },
    server::{
        catalog::{AdoptCandidate, CatalogQuery, CatalogStore, adopt::numbered},
        ports::{Medication, Page, ProductRef, ReferenceChanges, StoreError, StoreResult},
    },
};

/// Items of one transaction: a whole directory must not hold up the tickets behind it.
const BATCH: usize = 500;

/// New items that a report shows.
const SHOWN_MAX: usize = 200;

/// The catalogue beside the reference data.
#[derive(Clone)]
pub struct Catalog {
    store: Arc<CatalogStore>,
    reference: Arc<Reference>,
}

impl Catalog {
    /// Over a catalogue and the formulary that adopts from it.
    #[must_use]
    pub fn new(store: Arc<CatalogStore>, reference: Arc<Reference>) -> Self {
        Self { store, reference }
    }

    /// A page of products in the order of their import.
    ///
    /// # Errors
    /// The store's.
    pub async fn products(&self, query: CatalogQuery) -> Result<Page<wire::Product>, ReferenceError> {
        let today = self.today().await?;
        let page = self.blocking(move |store| store.search(&query, today)).await?;
        let items = page.items.into_iter().map(Into::into).collect();
        Ok(Page { items, next: page.next, total: page.total })
    }

    /// One product by its directory's key.
    ///
    /// # Errors
    /// [`ReferenceError::NotFound`], or the store's.
    pub async fn product(&self, directory: &str, key: &str) -> Result<wire::Product, ReferenceError> {
        let reference = ProductRef { directory: directory.to_owned(), key: key.to_owned() };
        let today = self.today().await?;
        let found = self.blocking(move |store| store.product(&reference, today)).await?;
        found.map(Into::into).ok_or_else(|| not_found("product", key))
    }

    /// Makes medications from the products that a query finds, or from all: one for each group that nothing stands for yet.
    ///
    /// Items of a group that is known get its new products; their names, activity and a class that a person said stay.
    /// The items become visible batch by batch; a run that was cut short is finished by the next one.
    ///
    /// # Errors
    /// [`ReferenceError`] says why not.
    pub async fn adopt(&self, by: &Actor, request: wire::AdoptRequest) -> Result<wire::AdoptReport, ReferenceError> {
        require(by, ITEM_EDITORS)?;
        let query = wanted(&request)?;
        let _alone = self.reference.exclusive().await;
        let today = self.today().await?;
        let known = self.reference.store().all_medications().await?;
        let (searched, dry_run) = (query.clone(), request.dry_run);
        let (report, changed) =
            self.blocking(move |store| plan(store, searched.as_deref(), today, known, dry_run)).await?;
        self.write(by, query.as_deref(), changed).await?;
        Ok(report)
    }

    async fn write(&self, by: &Actor, query: Option<&str>, changed: Vec<Medication>) -> Result<(), ReferenceError> {
        for batch in changed.chunks(BATCH) {
            let detail = json!({ "query": query, "medications": batch.len() });
            let audit = vec![audit(by, "medications_adopted", "catalog", detail)];
            let medications = batch.to_vec();
            let changes = ReferenceChanges { medications, audit, ..ReferenceChanges::default() };
            self.reference.store().change_reference(changes).await?;
        }
        Ok(())
    }

    pub(super) fn store(&self) -> &Arc<CatalogStore> {
        &self.store
    }

    async fn today(&self) -> Result<Date, ReferenceError> {
        Ok(self.reference.store().policy().await?.today(Timestamp::now()))
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&CatalogStore) -> StoreResult<T> + Send + 'static,
    ) -> StoreResult<T> {
        let store = Arc::clone(&self.store);
        let done = tokio::task::spawn_blocking(move || work(&store)).await;
        done.unwrap_or_else(|error| Err(StoreError::Broken(format!("a read of the catalogue failed: {error}"))))
    }
}

/// The query of a request; `None` is the whole catalogue.
fn wanted(request: &wire::AdoptRequest) -> Result<Option<String>, ReferenceError> {
    match (&request.query, request.all) {
        (None, true) => Ok(None),
        (Some(query), false) if !query.trim().is_empty() => Ok(Some(query.clone())),
        _ => Err(ReferenceError::Malformed(Invalid::new("query", "say either a query that is not blank, or `all`"))),
    }
}

/// What an adoption would come to, and the medications to write: none in a dry run. One candidate after another, since a whole
/// directory has tens of thousands.
fn plan(
    store: &CatalogStore,
    query: Option<&str>,
    today: Date,
    known: Vec<Medication>,
    dry_run: bool,
) -> StoreResult<(wire::AdoptReport, Vec<Medication>)> {
    let mut formulary = Formulary::of(known);
    let mut report = wire::AdoptReport { dry_run, ..wire::AdoptReport::default() };
    let mut changed = Vec::new();
    store.each_candidate(query, today, |candidate| {
        let codes = store.scan_codes(&candidate.products)?;
        let placed = formulary.place(Proposal { candidate, codes }, &mut report);
        changed.extend(placed.filter(|_| !dry_run));
        Ok(())
    })?;
    Ok((report, changed))
}

/// An item that could be made, with the codes on its boxes.
struct Proposal {
    candidate: AdoptCandidate,
    codes: Vec<String>,
}

/// What the hospital has, and what this run adds to it.
struct Formulary {
    items: HashMap<MedicationCode, Medication>,
    groups: HashMap<String, MedicationCode>,
    products: BTreeMap<ProductRef, MedicationCode>,
    taken: HashSet<MedicationCode>,
}

impl Formulary {
    fn of(medications: Vec<Medication>) -> Self {
        let groups = medications.iter().filter_map(|it| Some((it.group_key.clone()?, it.code.clone()))).collect();
        let links =
            |it: &Medication| it.products.iter().map(|link| (link.clone(), it.code.clone())).collect::<Vec<_>>();
        Self {
            groups,
            products: medications.iter().flat_map(links).collect(),
            taken: medications.iter().map(|it| it.code.clone()).collect(),
            items: medications.into_iter().map(|it| (it.code.clone(), it)).collect(),
        }
    }

    /// The medication to write for a proposal, if any; counts what became of it.
    fn place(&mut self, proposal: Proposal, report: &mut wire::AdoptReport) -> Option<Medication> {
        report.products += proposal.candidate.products.len() as u64;
        let Some(known) = self.known(&proposal.candidate) else {
            let item = self.new_item(proposal);
            report.created += 1;
            report.unreviewed += u64::from(item.classification == Classification::Unreviewed);
            if report.medications.len() < SHOWN_MAX {
                report.medications.push(item.clone().into());
            }
            return Some(item);
        };
        let linked = linked(known, proposal);
        if linked == *known {
            report.unchanged += 1;
            return None;
        }
        report.updated += 1;
        self.items.insert(linked.code.clone(), linked.clone());
        Some(linked)
    }

    /// The item of the same group, else the one that somebody linked to one of its products.
    fn known(&self, candidate: &AdoptCandidate) -> Option<&Medication> {
        let by_link = || candidate.products.iter().find_map(|link| self.products.get(link));
        self.groups.get(&candidate.group_key).or_else(by_link).and_then(|code| self.items.get(code))
    }

    fn new_item(&mut self, Proposal { candidate, codes }: Proposal) -> Medication {
        let code = (1..)
            .filter_map(|number| numbered(&candidate.suggested_code, number).parse::<MedicationCode>().ok())
            .find(|code| !self.taken.contains(code))
            .expect("numbers do not run out, and a numbered slug is a code");
        self.taken.insert(code.clone());
        Medication {
            code,
            name: candidate.name,
            ingredients: candidate.ingredients,
            dosage_form: candidate.dosage_form,
            routes: candidate.routes,
            unit: candidate.unit,
            packs: Vec::new(),
            classification: candidate.classification,
            class_source: (candidate.classification != Classification::Unreviewed).then_some(candidate.class_source),
            flags: BTreeSet::new(),
            tall_man: None,
            shelf: None,
            active: candidate.classification != Classification::Unreviewed,
            products: candidate.products,
            scan_codes: kept(codes),
            group_key: Some(candidate.group_key),
            identifiers: Vec::new(),
        }
    }
}

/// The item with the products of a proposal. A stricter class among them counts, unless a person has said the class;
/// that a directory says nothing is no reason to doubt what the hospital said.
fn linked(known: &Medication, Proposal { candidate, codes }: Proposal) -> Medication {
    let mut item = known.clone();
    item.products.extend(candidate.products.into_iter().filter(|link| !known.products.contains(link)));
    item.scan_codes = kept(known.scan_codes.iter().cloned().chain(codes).collect());
    item.group_key.get_or_insert(candidate.group_key);
    let stricter = matches!(candidate.classification, Classification::Controlled(_))
        && candidate.classification > known.classification;
    if stricter && known.class_source != Some(ClassSource::Person) {
        item.classification = candidate.classification;
        item.class_source = Some(candidate.class_source);
    }
    item.active &= item.classification != Classification::Unreviewed;
    item
}

/// Codes as they are kept: each once, in order.
pub(super) fn kept(codes: Vec<String>) -> Vec<String> {
    let mut codes: Vec<String> = codes.iter().map(|code| checks::scan_code(code)).collect();
    codes.sort();
    codes.dedup();
    codes
}
