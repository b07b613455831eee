//! Reference data as it goes over the wire. Nothing is decided here.

use crate::{
    api::{medications as wire, places},
    server::ports::{Cabinet, Ingredient, Medication, Pack, ParLevel, Pharmacy, ProductRef, Ward},
};

impl From<Pharmacy> for places::Pharmacy {
    fn from(it: Pharmacy) -> Self {
        Self {
            code: it.code.into(),
            name: it.name,
            satellite: it.satellite,
            hours: it.hours,
            active: it.active,
            identifiers: it.identifiers,
        }
    }
}

impl From<Ward> for places::Ward {
    fn from(it: Ward) -> Self {
        Self {
            code: it.code.into(),
            name: it.name,
            pharmacy: it.pharmacy.into(),
            active: it.active,
            identifiers: it.identifiers,
        }
    }
}

impl From<Cabinet> for places::Cabinet {
    fn from(it: Cabinet) -> Self {
        Self {
            code: it.code.into(),
            name: it.name,
            ward: it.ward.into(),
            active: it.active,
            identifiers: it.identifiers,
            par_levels: None,
        }
    }
}

impl From<(Cabinet, Vec<ParLevel>)> for places::Cabinet {
    fn from((cabinet, levels): (Cabinet, Vec<ParLevel>)) -> Self {
        let par_levels = Some(levels.into_iter().map(Into::into).collect());
        Self { par_levels, ..cabinet.into() }
    }
}

impl From<ParLevel> for places::ParLevel {
    fn from(it: ParLevel) -> Self {
        Self { medication: it.medication.into(), min: it.min, max: it.max }
    }
}

impl From<Ingredient> for wire::Ingredient {
    fn from(it: Ingredient) -> Self {
        Self { name: it.name, strength: it.strength }
    }
}

impl From<Pack> for wire::Pack {
    fn from(it: Pack) -> Self {
        Self { unit: it.unit, factor: it.factor }
    }
}

impl From<ProductRef> for wire::ProductRef {
    fn from(it: ProductRef) -> Self {
        Self { directory: it.directory, key: it.key }
    }
}

fn all<T, U: From<T>>(items: Vec<T>) -> Vec<U> {
    items.into_iter().map(Into::into).collect()
}

impl From<Medication> for wire::Medication {
    fn from(it: Medication) -> Self {
        Self {
            code: it.code.into(),
            name: it.name,
            unit: it.unit,
            control_class: it.classification,
            class_source: it.class_source,
            active: it.active,
            ingredients: all(it.ingredients),
            dosage_form: it.dosage_form,
            routes: it.routes,
            packs: all(it.packs),
            flags: it.flags,
            tall_man: it.tall_man,
            shelf: it.shelf,
            products: all(it.products),
            scan_codes: it.scan_codes,
            identifiers: it.identifiers,
        }
    }
}

/// A stored medication as somebody would write it: what a list that leaves columns out starts from.
impl From<Medication> for wire::PutMedication {
    fn from(it: Medication) -> Self {
        Self {
            name: it.name,
            unit: it.unit,
            ingredients: all(it.ingredients),
            dosage_form: it.dosage_form,
            routes: it.routes,
            packs: all(it.packs),
            flags: it.flags,
            tall_man: it.tall_man,
            shelf: it.shelf,
            products: all(it.products),
            scan_codes: it.scan_codes,
            identifiers: it.identifiers,
        }
    }
}
