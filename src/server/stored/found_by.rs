//! What things are found by, alike in every store: words, folded and cut at everything that is no letter or digit, and the codes on boxes.

use std::collections::BTreeSet;

use sha2::{Digest, Sha256};

use crate::{
    domain::{
        code::CabinetCode,
        text::{FreeText, fold},
        ticket::Ticket,
    },
    server::{hex::hex, ports::Medication},
};

/// Longer words are cut, in the index as in a query.
const WORD_MAX: usize = 32;

/// Most words of one query; what is beyond narrows nothing.
pub(crate) const QUERY_WORDS_MAX: usize = 12;

/// The words of a text.
pub(crate) fn words(text: &str) -> BTreeSet<String> {
    fold(text)
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(|word| word.chars().take(WORD_MAX).collect())
        .collect()
}

/// Turns words of erasable text into hashes: no store ever shows them, and a query still finds them.
pub(crate) struct WordKey(pub(crate) [u8; 32]);

impl WordKey {
    /// Hashes of every beginning of every word of the text.
    fn hashed_prefixes(&self, text: &str) -> impl Iterator<Item = String> {
        words(text).into_iter().flat_map(move |word| {
            let ends: Vec<usize> = word.char_indices().map(|(at, c)| at + c.len_utf8()).collect();
            ends.into_iter().map(move |end| self.hashed(&word[..end])).collect::<Vec<_>>()
        })
    }

    /// Stands for one beginning of a word. The `#` keeps it apart from words in the clear.
    pub(crate) fn hashed(&self, prefix: &str) -> String {
        let hash = Sha256::new_with_prefix(self.0).chain_update(prefix).finalize();
        format!("#{}", hex(&hash[..9]))
    }

    /// The words that a ticket is found by; those of its erasable texts as hashes only.
    pub(crate) fn found_by(&self, ticket: &Ticket) -> BTreeSet<String> {
        let people = std::iter::once(&ticket.requester).chain(&ticket.assignee);
        let clear = [ticket.number.as_str(), ticket.ward.as_str(), ticket.pharmacy.as_str()]
            .into_iter()
            .chain(ticket.cabinet.as_ref().map(CabinetCode::as_str))
            .chain(people.flat_map(|person| [person.username.as_str(), person.name.as_str()]))
            .chain(ticket.lines.iter().flat_map(|line| [line.medication.as_str(), line.name.as_str()]))
            .chain(ticket.identifiers.iter().map(|identifier| identifier.value.as_str()));
        let erasable = ticket.note.iter().chain(ticket.assistance.iter().map(|assistance| &assistance.text));
        clear
            .flat_map(words)
            // A number is also typed without its separators.
            .chain(words(&ticket.number.replace(|c: char| !c.is_alphanumeric(), "")))
            .chain(erasable.filter_map(FreeText::plain).flat_map(|text| self.hashed_prefixes(text)))
            .collect()
    }
}

/// The words that a medication is found by.
pub(crate) fn found_by(medication: &Medication) -> BTreeSet<String> {
    let identifiers = medication.identifiers.iter().map(|identifier| identifier.value.as_str());
    let ingredients = medication.ingredients.iter().map(|ingredient| ingredient.name.as_str());
    [medication.code.as_str(), medication.name.as_str()]
        .into_iter()
        .chain(medication.tall_man.as_deref())
        .chain(ingredients)
        .chain(identifiers)
        .flat_map(words)
        .collect()
}

/// A code as scanners and people give it: without blanks and hyphens, upper case.
pub(crate) fn scanned(code: &str) -> String {
    code.chars().filter(|c| !c.is_whitespace() && *c != '-').flat_map(char::to_uppercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_ignore_case_accents_and_punctuation() {
        let expected: BTreeSet<String> = ["dipirona", "500", "mg", "uti", "01"].map(str::to_owned).into();
        assert_eq!(words("Dipiróna 500 MG, (UTI-01)"), expected);
        assert!(words("\" * ' -- %_ \0").is_empty());
    }

    #[test]
    fn hashes_show_no_word_and_differ_by_site() {
        let (one, other) = (WordKey([1; 32]), WordKey([2; 32]));
        let hashes: Vec<String> = one.hashed_prefixes("Silva").collect();
        assert_eq!(hashes.len(), 5);
        assert!(hashes.iter().all(|hash| !hash.contains("silva")));
        assert_ne!(one.hashed("silva"), other.hashed("silva"));
    }
}
