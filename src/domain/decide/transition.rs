//! Which commands fit which status: the life cycles as data, in this one place.

use crate::domain::{
    command::CommandName,
    reason::{Kind, Status},
};

/// The commands that a ticket of a kind takes in a status. Beside it the decision knows two refinements, both of what was
/// picked: a hold made from `picked` cannot be cancelled, and `ready` can be unpicked once a picked lot has expired.
#[must_use]
pub fn allowed_from(kind: Kind, status: Status) -> &'static [CommandName] {
    use CommandName::{
        Amend, Cancel, Claim, Comment, Dispatch, Erase, Hold, Pick, Ready, Reassign, Receive, Reject, Release, Resolve,
        Resume, Return, Transfer, Unpick,
    };
    match (status, kind.is_supply()) {
        (Status::Open, _) => &[Amend, Claim, Transfer, Hold, Reject, Cancel, Comment],
        (Status::Claimed, true) => &[Pick, Release, Reassign, Transfer, Hold, Reject, Cancel, Comment],
        (Status::Claimed, false) => &[Resolve, Release, Reassign, Transfer, Hold, Reject, Cancel, Comment],
        (Status::OnHold, _) => &[Resume, Cancel, Comment],
        (Status::Picked, true) => &[Ready, Unpick, Hold, Comment],
        (Status::Ready, true) => &[Dispatch, Comment],
        (Status::Dispatched, true) => &[Receive, Return, Comment],
        (end, _) if end.is_terminal() => &[Comment, Erase],
        // Statuses that a kind never has.
        _ => &[Comment],
    }
}
