//! What things are found by, alike in every store: words, folded and cut at everything that is no letter or digit, and the codes on boxes.

use std::collections::BTreeSet;

use crate::{domain::text::fold, server::ports::Medication};

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
}
