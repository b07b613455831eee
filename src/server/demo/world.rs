//! The demo hospital as it stands in the store: who works where and what each cabinet holds. It only reads.

use std::collections::BTreeMap;

use crate::{
    domain::{
        actor::{Actor, Person, Reach, UserId},
        code::{CabinetCode, MedicationCode, PharmacyCode, WardCode},
        control_class::Classification,
        facts::Policy,
        quantity::Quantity,
        reason::Role,
    },
    server::{
        demo::{dice::Dice, hospital},
        ports::{IdentityStore, MedicationQuery, ReferenceStore, StoreResult},
    },
};

/// The client through which the demo's people act.
const CLIENT: &str = hospital::APP;

/// Items of each cabinet, not controlled, that the demo leaves without an open request: a newcomer asks for them first.
const LEFT_FREE: usize = 6;

/// A medication in a cabinet.
#[derive(Debug, Clone)]
pub(super) struct Stocked {
    pub(super) medication: MedicationCode,
    pub(super) max: Quantity,
    /// The demo has no open request for it here.
    pub(super) left_free: bool,
}

/// A cabinet with what it holds.
#[derive(Debug, Clone)]
pub(super) struct Station {
    pub(super) cabinet: CabinetCode,
    pub(super) ward: WardCode,
    pub(super) items: Vec<Stocked>,
}

/// Everything that the players need to know.
pub(super) struct World {
    people: Vec<Actor>,
    wards: BTreeMap<WardCode, PharmacyCode>,
    pharmacies: Vec<PharmacyCode>,
    pub(super) stations: Vec<Station>,
    pub(super) policy: Policy,
}

impl World {
    /// Reads it.
    pub(super) async fn load(reference: &dyn ReferenceStore, identity: &dyn IdentityStore) -> StoreResult<Self> {
        let wards = reference.wards().await?.into_iter().filter(|ward| ward.active);
        let wards = wards.map(|ward| (ward.code, ward.pharmacy)).collect::<BTreeMap<_, _>>();
        let pharmacies = reference.pharmacies().await?.into_iter().filter(|it| it.active).map(|it| it.code).collect();
        let classes = active_classes(reference).await?;
        let mut stations = Vec::new();
        for cabinet in reference.cabinets().await? {
            if cabinet.active && wards.contains_key(&cabinet.ward) {
                stations.extend(station(reference, &cabinet.code, &classes).await?);
            }
        }
        Ok(Self { people: people(identity).await?, wards, pharmacies, stations, policy: reference.policy().await? })
    }

    /// A seeded person by identity.
    pub(super) fn person(&self, id: UserId) -> Option<&Actor> {
        self.people.iter().find(|actor| actor.person.id == id)
    }

    /// A pharmacy beside this one.
    pub(super) fn other_pharmacy(&self, than: &PharmacyCode, dice: &mut Dice) -> Option<PharmacyCode> {
        let others: Vec<_> = self.pharmacies.iter().filter(|code| *code != than).collect();
        dice.pick(&others).map(|code| (*code).clone())
    }

    /// The pharmacy that serves a ward.
    pub(super) fn pharmacy_of(&self, ward: &WardCode) -> Option<&PharmacyCode> {
        self.wards.get(ward)
    }

    /// A nurse of a ward.
    pub(super) fn nurse(&self, ward: &WardCode, dice: &mut Dice) -> Option<&Actor> {
        self.any(dice, |actor| actor.has_any(&[Role::Nurse, Role::ChargeNurse]) && actor.wards.includes(ward))
    }

    /// A technician or pharmacist of a pharmacy, not one of these.
    pub(super) fn staff(&self, pharmacy: &PharmacyCode, but: &[UserId], dice: &mut Dice) -> Option<&Actor> {
        self.of_pharmacy(&[Role::Technician, Role::Pharmacist], pharmacy, but, dice)
    }

    /// A pharmacist of a pharmacy, not one of these.
    pub(super) fn pharmacist(&self, pharmacy: &PharmacyCode, but: &[UserId], dice: &mut Dice) -> Option<&Actor> {
        self.of_pharmacy(&[Role::Pharmacist], pharmacy, but, dice)
    }

    fn of_pharmacy(&self, roles: &[Role], place: &PharmacyCode, but: &[UserId], dice: &mut Dice) -> Option<&Actor> {
        self.any(dice, |actor| {
            actor.has_any(roles) && actor.pharmacies.includes(place) && !but.contains(&actor.person.id)
        })
    }

    fn any(&self, dice: &mut Dice, fits: impl Fn(&Actor) -> bool) -> Option<&Actor> {
        let fitting: Vec<&Actor> = self.people.iter().filter(|actor| fits(actor)).collect();
        dice.pick(&fitting).copied()
    }
}

async fn people(identity: &dyn IdentityStore) -> StoreResult<Vec<Actor>> {
    let mut people = Vec::with_capacity(hospital::STAFF.len());
    for colleague in &hospital::STAFF {
        let username = colleague.username.parse().expect("the demo's usernames are usernames");
        let Some(user) = identity.user(&username).await?.filter(|user| !user.disabled) else {
            continue;
        };
        people.push(Actor {
            person: Person { id: user.id, username: user.username, name: user.name },
            roles: user.roles,
            wards: Reach::Only(user.wards),
            pharmacies: Reach::Only(user.pharmacies),
            client_id: CLIENT.to_owned(),
            delegated: false,
        });
    }
    Ok(people)
}

async fn active_classes(reference: &dyn ReferenceStore) -> StoreResult<BTreeMap<MedicationCode, Classification>> {
    let mut classes = BTreeMap::new();
    let mut after = None;
    loop {
        let query = MedicationQuery { active: Some(true), limit: 200, after, ..MedicationQuery::default() };
        let page = reference.medications(query).await?;
        classes.extend(page.items.into_iter().map(|item| (item.code, item.classification)));
        after = page.next;
        if after.is_none() {
            return Ok(classes);
        }
    }
}

async fn station(
    reference: &dyn ReferenceStore,
    code: &CabinetCode,
    classes: &BTreeMap<MedicationCode, Classification>,
) -> StoreResult<Option<Station>> {
    let Some((cabinet, levels)) = reference.cabinet(code).await? else {
        return Ok(None);
    };
    let mut left = LEFT_FREE;
    let items = levels.into_iter().filter_map(|level| {
        let controlled = classes.get(&level.medication)?.needs_second_person();
        let left_free = !controlled && left > 0;
        left -= usize::from(left_free);
        Some(Stocked { medication: level.medication, max: level.max, left_free })
    });
    let items = items.collect();
    Ok(Some(Station { cabinet: cabinet.code, ward: cabinet.ward, items }))
}
