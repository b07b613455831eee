//! Words by which things are found: folded, cut at everything that is no letter or digit, matched by their beginning.
//! Words of free text must leave this file only as keyed hashes.

use rusqlite::{Connection, types::Value};
use sha2::{Digest, Sha256};

use super::{
    schema,
    stored::{QUERY_WORDS_MAX, words},
};
use crate::server::{hex::hex, ports::StoreResult};

/// Turns words of erasable text into hashes: the file never shows them, and a query still finds them.
pub(super) struct WordKey([u8; 32]);

impl WordKey {
    /// The site's key.
    pub(super) fn load(conn: &Connection) -> StoreResult<Self> {
        schema::meta(conn, "word_key").map(Self)
    }

    /// Hashes of every beginning of every word of the text.
    pub(super) fn hashed_prefixes(&self, text: &str) -> impl Iterator<Item = String> {
        words(text).into_iter().flat_map(move |word| {
            let ends: Vec<usize> = word.char_indices().map(|(at, c)| at + c.len_utf8()).collect();
            ends.into_iter().map(move |end| self.hashed(&word[..end])).collect::<Vec<_>>()
        })
    }

    /// Stands for one beginning of a word. The `#` keeps it apart from words in the clear.
    fn hashed(&self, prefix: &str) -> String {
        let hash = Sha256::new_with_prefix(self.0).chain_update(prefix).finalize();
        format!("#{}", hex(&hash[..9]))
    }
}

/// A condition that `column` has every word of a query, each at least by its beginning, in an index table. Pushes its
/// parameters; empty where the query has no word.
pub(super) fn every_word(
    query: &str,
    (table, column): (&str, &str),
    key: Option<&WordKey>,
    parameters: &mut Vec<Value>,
) -> Vec<String> {
    let mut push = |text: String| {
        parameters.push(Value::Text(text));
        parameters.len()
    };
    let mut clause = |word: String| {
        let hashed = key.map(|key| key.hashed(&word));
        let end = format!("{word}{}", char::MAX);
        let (from, to) = (push(word), push(end));
        let clear = format!("SELECT {column} FROM {table} WHERE word >= ?{from} AND word < ?{to}");
        match hashed {
            Some(hashed) => {
                let at = push(hashed);
                format!("({clear} UNION ALL SELECT {column} FROM {table} WHERE word = ?{at})")
            }
            None => format!("({clear})"),
        }
    };
    words(query).into_iter().take(QUERY_WORDS_MAX).map(&mut clause).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_show_no_word_and_differ_by_site() {
        let (one, other) = (WordKey([1; 32]), WordKey([2; 32]));
        let hashes: Vec<String> = one.hashed_prefixes("Silva").collect();
        assert_eq!(hashes.len(), 5);
        assert!(hashes.iter().all(|hash| !hash.contains("silva")));
        assert_ne!(one.hashed("silva"), other.hashed("silva"));
    }
}
