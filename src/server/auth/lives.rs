//! How long what is issued lives, by the sort of client. Asks no store and no clock.

use jiff::SignedDuration;

use super::{clients, tokens::ACCESS_TTL};
use crate::server::ports::Client;

/// Longest life of an access token that belongs to a session; those made by `medreq user token` belong to none.
pub(super) const ACCESS_MAX: SignedDuration = SignedDuration::from_mins(30);

/// An authorization code, an ID token, a device's user code.
pub(super) const CODE: SignedDuration = SignedDuration::from_secs(60);
pub(super) const ID_TOKEN: SignedDuration = SignedDuration::from_mins(10);
pub(super) const DEVICE: SignedDuration = SignedDuration::from_secs(300);

/// The sign-in of the pages themselves: so long unused, and so long altogether.
pub(super) const PAGES_IDLE: SignedDuration = SignedDuration::from_mins(30);
pub(super) const PAGES: SignedDuration = SignedDuration::from_hours(12);

/// A code or refresh token that comes again within this time is a double tap or a lost answer, and no theft.
pub(super) const AGAIN: SignedDuration = SignedDuration::from_secs(10);

/// How long an ended session stays listed: its last access token, and what clocks and slow answers add.
pub(super) const LISTED: SignedDuration = SignedDuration::from_mins(35);

/// The lives of one client's tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lives {
    /// Of an access token.
    pub(super) access: SignedDuration,
    /// Of a refresh token that is not used.
    pub(super) idle: SignedDuration,
    /// Of a session, however much it is used.
    pub(super) session: SignedDuration,
}

impl Lives {
    /// A pharmacy's workstation is shared and its programs are ours; any other app is a person's own for a shift.
    pub(super) fn of(client: &Client) -> Self {
        if clients::is_builtin(&client.client_id) {
            Self { access: ACCESS_TTL, idle: SignedDuration::from_hours(1), session: SignedDuration::from_hours(12) }
        } else {
            Self { access: ACCESS_MAX, idle: SignedDuration::from_hours(12), session: SignedDuration::from_hours(16) }
        }
    }
}
