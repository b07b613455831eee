//! Words by which things are found, as conditions of SQL. Words of free text are in no table but as keyed hashes.

use rusqlite::{Connection, types::Value};

use super::{
    schema,
    stored::{QUERY_WORDS_MAX, WordKey, words},
};
use crate::server::ports::StoreResult;

/// The site's key for words of erasable texts.
pub(super) fn word_key(conn: &Connection) -> StoreResult<WordKey> {
    schema::meta(conn, "word_key").map(WordKey)
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
