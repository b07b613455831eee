//! Erasable texts: sealed under a key per ticket before they are stored, opened when read. No readable text passes into a store.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use sha2::{Digest, Sha256};

use super::{random, unreadable};
use crate::{
    domain::{
        event::Event,
        text::FreeText,
        ticket::{Ticket, TicketId},
    },
    server::ports::{Outcome, StoreError, StoreResult},
};

/// Tells which key sealed a text.
const TAG_LEN: usize = 4;

/// A record that holds erasable texts.
pub(crate) trait Texts {
    /// Visits each.
    fn each_text(&mut self, visit: &mut dyn FnMut(&mut FreeText));
}

impl Texts for Ticket {
    fn each_text(&mut self, visit: &mut dyn FnMut(&mut FreeText)) {
        self.for_each_text(visit);
    }
}

impl Texts for Event {
    fn each_text(&mut self, visit: &mut dyn FnMut(&mut FreeText)) {
        self.for_each_text(visit);
    }
}

impl Texts for Outcome {
    fn each_text(&mut self, visit: &mut dyn FnMut(&mut FreeText)) {
        match self {
            Self::Applied(ticket) => ticket.for_each_text(visit),
            Self::Refused(_) => {}
        }
    }
}

/// The key of one ticket's texts.
pub(crate) struct TextKey {
    key: LessSafeKey,
    tag: [u8; TAG_LEN],
    ticket: TicketId,
}

impl TextKey {
    /// From the bytes that are kept of it, if there are any; zeros are a key that was erased.
    pub(crate) fn of(ticket: TicketId, stored: Option<&[u8]>) -> StoreResult<Option<Self>> {
        let living = stored.filter(|bytes| bytes.iter().any(|byte| *byte != 0));
        living.map(|bytes| Self::new(ticket, bytes)).transpose()
    }

    /// A new one, and the bytes to keep of it.
    pub(crate) fn make(ticket: TicketId) -> StoreResult<(Self, [u8; 32])> {
        let bytes = random()?;
        Ok((Self::new(ticket, &bytes)?, bytes))
    }

    fn new(ticket: TicketId, bytes: &[u8]) -> StoreResult<Self> {
        let key = UnboundKey::new(&AES_256_GCM, bytes).map_err(|_| unreadable("ticket key"))?;
        let mut tag = [0; TAG_LEN];
        tag.copy_from_slice(&Sha256::digest(bytes)[..TAG_LEN]);
        Ok(Self { key: LessSafeKey::new(key), tag, ticket })
    }

    fn seal(&self, plain: &str) -> StoreResult<String> {
        let nonce = random::<NONCE_LEN>()?;
        let mut cipher = plain.as_bytes().to_vec();
        self.key
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(self.ticket.0), &mut cipher)
            .map_err(|_| StoreError::Broken("a text cannot be sealed".to_owned()))?;
        Ok(STANDARD_NO_PAD.encode([&self.tag[..], &nonce, &cipher].concat()))
    }

    /// `None` where an earlier, deleted key sealed it.
    fn open(&self, sealed: &str) -> StoreResult<Option<String>> {
        let broken = || unreadable("sealed text");
        let bytes = STANDARD_NO_PAD.decode(sealed).map_err(|_| broken())?;
        let (tag, rest) = bytes.split_at_checked(TAG_LEN).ok_or_else(broken)?;
        if tag != self.tag {
            return Ok(None);
        }
        let (nonce, cipher) = rest.split_at_checked(NONCE_LEN).ok_or_else(broken)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| broken())?;
        let mut cipher = cipher.to_vec();
        let plain = self.key.open_in_place(nonce, Aad::from(self.ticket.0), &mut cipher).map_err(|_| broken())?;
        String::from_utf8(plain.to_vec()).map(Some).map_err(|_| broken())
    }
}

/// True where a text is readable, and so must be sealed.
pub(crate) fn is_readable(record: &mut dyn Texts) -> bool {
    let mut any = false;
    record.each_text(&mut |text| any |= text.plain().is_some());
    any
}

/// Seals every readable text.
pub(crate) fn seal(key: &TextKey, record: &mut dyn Texts) -> StoreResult<()> {
    let mut failed = Ok(());
    record.each_text(&mut |text| {
        if let Some(plain) = text.plain() {
            match key.seal(plain) {
                Ok(sealed) => *text = FreeText::Sealed(sealed),
                Err(error) => failed = Err(error),
            }
        }
    });
    failed
}

/// Opens every sealed text; one whose key is gone becomes [`FreeText::Erased`].
pub(crate) fn open(key: Option<&TextKey>, record: &mut dyn Texts) -> StoreResult<()> {
    let mut failed = Ok(());
    record.each_text(&mut |text| {
        let FreeText::Sealed(sealed) = &*text else {
            return;
        };
        match key.map_or(Ok(None), |key| key.open(sealed)) {
            Ok(plain) => *text = plain.map_or(FreeText::Erased, FreeText::Plain),
            Err(error) => failed = Err(error),
        }
    });
    failed
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_text_opens_under_its_own_key_only() {
        let ticket = TicketId(Uuid::from_u128(1));
        let key = TextKey::new(ticket, &[7; 32]).unwrap();
        let sealed = key.seal("Mr Silva").unwrap();
        assert_eq!(key.open(&sealed).unwrap().as_deref(), Some("Mr Silva"));
        assert_eq!(TextKey::new(ticket, &[8; 32]).unwrap().open(&sealed).unwrap(), None);
        let other_ticket = TextKey::new(TicketId(Uuid::from_u128(2)), &[7; 32]).unwrap();
        assert!(other_ticket.open(&sealed).is_err(), "a text moved to another ticket is a damage");
    }
}
