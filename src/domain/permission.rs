//! Who may do what: the static table of roles and the places in which they count. It must never look at a ticket's status.

use std::collections::BTreeSet;

use super::{
    actor::Actor,
    code::{PharmacyCode, WardCode},
    command::CommandName,
    reason::Role,
    refusal::{Refusal, RefusalCode},
};

const NURSES: &[Role] = &[Role::Nurse, Role::ChargeNurse];
const STAFF: &[Role] = &[Role::Technician, Role::Pharmacist];
const STAFF_AND_MANAGER: &[Role] = &[Role::Technician, Role::Pharmacist, Role::Manager];

/// Roles that a command needs: one of `ward` in the ticket's ward, one of `pharmacy` in its pharmacy, or one of `anywhere`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grant {
    /// Count where the actor's wards include the ticket's.
    pub ward: &'static [Role],
    /// Count where the actor's pharmacies include the ticket's.
    pub pharmacy: &'static [Role],
    /// Count in every place.
    pub anywhere: &'static [Role],
}

impl Grant {
    /// Every role that the command is open to, somewhere.
    pub fn roles(self) -> impl Iterator<Item = Role> {
        let ward = self.ward;
        let pharmacy = self.pharmacy.iter().filter(move |role| !ward.contains(role));
        ward.iter().chain(pharmacy).chain(self.anywhere).copied()
    }
}

/// The table: which roles may give a command, and in which of their places.
#[must_use]
pub fn grant(command: CommandName) -> Grant {
    use CommandName as C;
    let (ward, pharmacy): (&'static [Role], &'static [Role]) = match command {
        C::Create | C::Amend | C::Cancel | C::Return => (NURSES, STAFF),
        C::Claim | C::Release | C::Hold | C::Resume | C::Dispatch => (&[], STAFF),
        // Narrowed by the decision: pick and resolve to the assignee, unpick to the assignee or a checker, ready to checkers.
        C::Pick | C::Resolve | C::Unpick | C::Ready => (&[], STAFF),
        C::Reassign | C::Transfer => (&[], STAFF_AND_MANAGER),
        // The technician only for what she stocked herself; the decision looks.
        C::Receive => (NURSES, &[Role::Technician]),
        C::Reject => (&[], &[Role::Pharmacist]),
        C::Comment => (&[Role::Nurse, Role::ChargeNurse, Role::Manager], STAFF_AND_MANAGER),
        // No act of care: whoever answers for personal data does it, without reading the ticket.
        C::Erase => return Grant { ward: &[], pharmacy: &[], anywhere: &[Role::Admin] },
    };
    Grant { ward, pharmacy, anywhere: &[] }
}

/// True where one of the roles could ever give the command, on some ticket in some place.
#[must_use]
pub fn may_ever(command: CommandName, roles: &BTreeSet<Role>) -> bool {
    grant(command).roles().any(|role| roles.contains(&role))
}

/// Refuses roles that could never give the command.
///
/// # Errors
/// `on_behalf_of_required` for a program that acts for nobody, else `role_not_allowed`.
pub fn check_role(command: CommandName, roles: &BTreeSet<Role>) -> Result<(), Refusal> {
    if may_ever(command, roles) {
        return Ok(());
    }
    if roles.iter().eq([&Role::Service]) {
        return Err(Refusal::new(
            RefusalCode::OnBehalfOfRequired,
            format!("a service account cannot {command} for itself; say for which user it acts with X-On-Behalf-Of"),
        ));
    }
    let needed = grant(command).roles().map(Role::as_str).collect::<Vec<_>>().join(", ");
    Err(Refusal::new(RefusalCode::RoleNotAllowed, format!("{command} needs one of the roles {needed}")))
}

/// True where the actor is a nurse of the ward.
#[must_use]
pub fn is_nurse_of(actor: &Actor, ward: &WardCode) -> bool {
    actor.has_any(NURSES) && actor.wards.includes(ward)
}

/// Refuses an actor whose fitting roles do not reach the ward nor any of the pharmacies.
///
/// # Errors
/// `not_your_place`.
pub fn check_place<'a>(
    command: CommandName,
    actor: &Actor,
    ward: &WardCode,
    pharmacies: impl IntoIterator<Item = &'a PharmacyCode>,
) -> Result<(), Refusal> {
    let grant = grant(command);
    let by_ward = actor.has_any(grant.ward) && actor.wards.includes(ward);
    let mut pharmacies = pharmacies.into_iter().peekable();
    let pharmacy = pharmacies.peek().copied();
    let by_pharmacy = actor.has_any(grant.pharmacy) && pharmacies.any(|code| actor.pharmacies.includes(code));
    if by_ward || by_pharmacy || actor.has_any(grant.anywhere) {
        return Ok(());
    }
    let place = match (grant.ward, pharmacy) {
        ([], Some(pharmacy)) => format!("pharmacy {pharmacy}"),
        (_, Some(pharmacy)) => format!("ward {ward} or pharmacy {pharmacy}"),
        (_, None) => format!("ward {ward}"),
    };
    Err(Refusal::new(
        RefusalCode::NotYourPlace,
        format!("{command} is for those who work in {place}; ask somebody there or an administrator"),
    ))
}
