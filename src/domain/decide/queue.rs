//! Work changes hands: to a colleague, to another pharmacy. It never looks at what was picked but to put it back.

use super::{Changes, Scene};
use crate::domain::{
    code::PharmacyCode,
    event::Change,
    facts::StaffFact,
    reason::{Role, TransferReason},
    refusal::{Refusal, RefusalCode},
    text::FreeText,
};

pub(super) fn reassign(scene: Scene<'_>) -> Changes {
    let pharmacy = &scene.ticket.pharmacy;
    let able = |staff: &&StaffFact| {
        let qualified = [Role::Technician, Role::Pharmacist].iter().any(|role| staff.roles.contains(role));
        staff.active && qualified && staff.pharmacies.contains(pharmacy)
    };
    let colleague = scene.facts.assignee.as_ref().filter(able).ok_or_else(|| {
        let detail = format!("the assignee must be an active technician or pharmacist of pharmacy {pharmacy}");
        Refusal::new(RefusalCode::UnknownAssignee, detail).at("assignee")
    })?;
    if scene.ticket.assignee.as_ref().is_some_and(|present| present.id == colleague.person.id) {
        let detail = format!("{} has the ticket already; name somebody else", colleague.person.username);
        return Err(Refusal::new(RefusalCode::NothingToChange, detail).at("assignee"));
    }
    Ok(vec![Change::Reassigned { assignee: colleague.person.clone() }])
}

pub(super) fn transfer(
    scene: Scene<'_>,
    pharmacy: &PharmacyCode,
    reason: TransferReason,
    note: Option<FreeText>,
) -> Changes {
    let refused = |detail: String| Err(Refusal::new(RefusalCode::UnknownPharmacy, detail).at("pharmacy"));
    if *pharmacy == scene.ticket.pharmacy {
        return refused(format!("the ticket is at pharmacy {pharmacy} already; name another one"));
    }
    match scene.facts.pharmacy.as_ref().filter(|fact| fact.code == *pharmacy) {
        None => refused(format!("there is no pharmacy {pharmacy}; check its code")),
        Some(fact) if !fact.active => refused(format!("pharmacy {pharmacy} takes no tickets; name an active one")),
        Some(_) => Ok(scene.discarding(Change::Transferred { pharmacy: pharmacy.clone(), reason, note })),
    }
}
