//! What makes a retry the same command: its identity and its fingerprint. Neither may depend on anything that is looked up.

use serde::Serialize;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::{
    domain::{command::CommandName, ticket::TicketId},
    server::{auth::Principal, ports::CommandId},
};

/// The identity of the command that this caller sends under this key.
pub(crate) fn command_id(issuer: &str, by: &Principal, key: &str) -> CommandId {
    let subject = by.subject.0.to_string();
    let mut hash = Sha256::new_with_prefix(b"medreq command id\0");
    for part in [issuer, &by.client_id, &subject, key] {
        hash = with(hash, part.as_bytes());
    }
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash.finalize()[..16]);
    CommandId(Uuid::new_v8(bytes))
}

/// Tells a retry from another request under the same key; the expected version is no part of it.
///
/// It is of the request as it was read, before places and scans are looked up, so that reference data may change between a
/// request and its retry. The key is its salt and is kept nowhere: without it nobody can try out which patient an erased
/// request named.
pub(crate) fn fingerprint(
    key: &str,
    ticket: Option<TicketId>,
    command: CommandName,
    body: &(impl Serialize + ?Sized),
) -> [u8; 32] {
    let request = serde_json::to_vec(&(ticket, command, body)).expect("requests have string keys only");
    let salted = with(Sha256::new_with_prefix(b"medreq request\0"), key.as_bytes());
    with(salted, &request).finalize().into()
}

/// With its length, so that no two lists of parts run together into the same bytes.
fn with(hash: Sha256, part: &[u8]) -> Sha256 {
    hash.chain_update((part.len() as u64).to_be_bytes()).chain_update(part)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::api::tickets::NewTicket;

    #[test]
    fn a_fingerprint_is_of_what_was_said_and_of_the_key() {
        let read = |text: &str| serde_json::from_str::<NewTicket>(text).unwrap();
        let of = |key: &str, body: &NewTicket| fingerprint(key, None, CommandName::Create, body);
        let body =
            read(r#"{ "ward": "UTI", "patient_ref": "4711", "lines": [{ "medication": "A", "quantity": "1" }] }"#);
        let again = read(r#"{"lines":[{"quantity":"1.0","medication":"A"}],"patient_ref":"4711","ward":"UTI"}"#);
        let other = NewTicket { patient_ref: Some("4712".to_owned()), ..body.clone() };
        assert_eq!(of("k", &body), of("k", &again));
        assert_ne!(of("k", &body), of("k", &other));
        assert_ne!(of("k", &body), of("l", &body));
        let ticket = Some(TicketId(Uuid::nil()));
        assert_ne!(of("k", &body), fingerprint("k", ticket, CommandName::Create, &body));
        assert_ne!(of("k", &body), fingerprint("k", None, CommandName::Amend, &body));
    }
}
