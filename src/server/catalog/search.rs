//! Finding products: by words as one types them, or by any code that stands on a box. No text of a query ever reaches SQL or FTS syntax.

use jiff::civil::Date;
use rusqlite::{Connection, OptionalExtension, params};

use super::{
    packages::{self, PackageBody},
    product::{self, PackageLevel, Product, ProductPackage, ProductRecord},
    store::CatalogStore,
};
use crate::{
    domain::{
        gtin::{self, Ndc, Scan},
        text::fold,
    },
    server::ports::{Page, ProductRef, StoreError, StoreResult},
};

/// Most words of one query; what is beyond narrows nothing.
const QUERY_WORDS_MAX: usize = 12;

/// Longest beginning of a word that is compared.
const WORD_MAX: usize = 64;

/// Digits of an ANVISA registration; what follows on a box names the presentation.
const REGISTRATION_DIGITS: usize = 9;

/// Which products to list.
#[derive(Debug, Clone, Default)]
pub struct CatalogQuery {
    /// Words that all begin words of name, ingredients, labeler, form or code, case and accents ignored; or a code: an NDC
    /// of 10 or 11 digits, a GTIN or a whole scan, a registration. Blank lists everything.
    pub text: Option<String>,
    /// 1 to 200.
    pub limit: usize,
    /// Where the page before ended.
    pub after: Option<String>,
}

/// What a query asks for.
pub(super) enum Wanted {
    Everything,
    /// An FTS5 expression of quoted words.
    Words(String),
    /// Rows that a code leads to, in order.
    Rows(Vec<i64>),
}

impl CatalogStore {
    /// A page of products in the order of their import, with the exact total.
    ///
    /// # Errors
    /// [`StoreError::Missing`] with what `cursor` where `after` is malformed.
    pub fn search(&self, query: &CatalogQuery, today: Date) -> StoreResult<Page<Product>> {
        let after = query.after.as_deref().map_or(Ok(0), cursor)?;
        let limit = query.limit.clamp(1, 200);
        self.readers.read(|conn| {
            let wanted = wanted(conn, query.text.as_deref().unwrap_or_default())?;
            let (total, mut rows) = page(conn, &wanted, after, limit + 1)?;
            let more = rows.len() > limit;
            rows.truncate(limit);
            let next = rows.last().filter(|_| more).map(|last| format!("{last:x}"));
            let items = rows.into_iter().map(|id| load(conn, id, today)).collect::<StoreResult<_>>()?;
            Ok(Page { items, next, total: Some(total) })
        })
    }

    /// One product by its directory's key.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn product(&self, reference: &ProductRef, today: Date) -> StoreResult<Option<Product>> {
        self.readers.read(|conn| {
            let id = row_of(conn, reference)?;
            id.map(|id| load(conn, id, today)).transpose()
        })
    }

    /// The products that a scanned or typed code leads to.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn by_code(&self, code: &str) -> StoreResult<Vec<ProductRef>> {
        self.readers.read(|conn| {
            let mut statement = conn.prepare_cached("SELECT directory, key FROM product WHERE id = ?1")?;
            let rows = rows_by_code(conn, code)?;
            let reference = |row: &rusqlite::Row<'_>| Ok(ProductRef { directory: row.get(0)?, key: row.get(1)? });
            rows.into_iter().map(|id| Ok(statement.query_row([id], reference)?)).collect()
        })
    }

    /// Every code on the boxes of these products by which a scan finds them: GTIN-14s and NDC digits of packages, inner
    /// ones too, `PRODUCTNDC`s and registrations. Sorted, each once.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn scan_codes(&self, products: &[ProductRef]) -> StoreResult<Vec<String>> {
        self.readers.read(|conn| {
            let mut codes = Vec::new();
            for reference in products {
                let Some(id) = row_of(conn, reference)? else { continue };
                let code: String =
                    conn.prepare_cached("SELECT code FROM product WHERE id = ?1")?.query_row([id], |row| row.get(0))?;
                codes.push(code);
                for package in packages_of(conn, &reference.key)? {
                    codes.push(package.code.replace('-', ""));
                    codes.push(package.gtin.into());
                }
            }
            codes.sort();
            codes.dedup();
            Ok(codes)
        })
    }

    /// How many products there are.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn count(&self) -> StoreResult<u64> {
        self.readers.read(|conn| count(conn, "SELECT count(*) FROM product", []))
    }
}

/// Adds a product's words to the index.
pub(super) fn index(conn: &Connection, id: i64, record: &ProductRecord) -> StoreResult<()> {
    let mut words = vec![record.name.as_str(), record.code.as_str()];
    words.extend(record.nonproprietary_name.as_deref());
    words.extend(record.ingredients.iter().map(|part| part.name.as_str()));
    words.extend(record.labeler.as_deref());
    words.extend(record.dosage_form.as_deref());
    let text = format!("{} {}", fold(&words.join(" ")), record.code.replace('-', ""));
    conn.prepare_cached("INSERT INTO product_text (rowid, words) VALUES (?1, ?2)")?.execute(params![id, text])?;
    Ok(())
}

/// Understands a query. A text of nothing but signs finds nothing; a blank one everything.
pub(super) fn wanted(conn: &Connection, text: &str) -> StoreResult<Wanted> {
    if text.trim().is_empty() {
        return Ok(Wanted::Everything);
    }
    let by_code = rows_by_code(conn, text)?;
    if !by_code.is_empty() {
        return Ok(Wanted::Rows(by_code));
    }
    let folded = fold(text);
    let words: Vec<String> = folded
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .take(QUERY_WORDS_MAX)
        .map(|word| format!("\"{}\"*", word.chars().take(WORD_MAX).collect::<String>()))
        .collect();
    Ok(if words.is_empty() { Wanted::Rows(Vec::new()) } else { Wanted::Words(words.join(" AND ")) })
}

/// The total and the next rows after one.
fn page(conn: &Connection, wanted: &Wanted, after: i64, limit: usize) -> StoreResult<(u64, Vec<i64>)> {
    let most = i64::try_from(limit).unwrap_or(i64::MAX);
    let ids = |sql: &str, parameters: &[&dyn rusqlite::ToSql]| -> StoreResult<Vec<i64>> {
        let mut statement = conn.prepare_cached(sql)?;
        let rows = statement.query_map(parameters, |row| row.get(0))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    };
    match wanted {
        Wanted::Everything => Ok((
            count(conn, "SELECT count(*) FROM product", [])?,
            ids("SELECT id FROM product WHERE id > ?1 ORDER BY id LIMIT ?2", &[&after, &most])?,
        )),
        Wanted::Words(words) => Ok((
            count(conn, "SELECT count(*) FROM product_text WHERE product_text MATCH ?1", [words])?,
            ids(
                "SELECT rowid FROM product_text WHERE product_text MATCH ?1 AND rowid > ?2 ORDER BY rowid LIMIT ?3",
                &[words, &after, &most],
            )?,
        )),
        Wanted::Rows(rows) => {
            let next = rows.iter().copied().filter(|id| *id > after).take(limit).collect();
            Ok((rows.len() as u64, next))
        }
    }
}

fn count(conn: &Connection, sql: &str, parameters: impl rusqlite::Params) -> StoreResult<u64> {
    let count: i64 = conn.prepare_cached(sql)?.query_row(parameters, |row| row.get(0))?;
    Ok(u64::try_from(count).unwrap_or(0))
}

fn cursor(text: &str) -> StoreResult<i64> {
    let malformed = || StoreError::Missing { what: "cursor", key: text.chars().take(40).collect() };
    i64::from_str_radix(text, 16).ok().filter(|id| *id >= 0).ok_or_else(malformed)
}

fn row_of(conn: &Connection, reference: &ProductRef) -> StoreResult<Option<i64>> {
    Ok(conn
        .prepare_cached("SELECT id FROM product WHERE directory = ?1 AND key = ?2")?
        .query_row([&reference.directory, &reference.key], |row| row.get(0))
        .optional()?)
}

/// Rows that a text leads to as a code of a package, a product or a registration; empty where it is no code or unknown.
fn rows_by_code(conn: &Connection, text: &str) -> StoreResult<Vec<i64>> {
    let text = text.trim_matches(' ');
    let mut digits = gtin::ndc_forms(text);
    let mut codes = vec![text.to_owned()];
    if let Ok(scan) = text.parse::<Scan>() {
        digits.extend(scan.gtin.ndc_digits().map(str::to_owned));
        codes.extend(scan.registration);
    }
    let plain: String = text.chars().filter(|c| !matches!(c, '.' | '-' | '/')).collect();
    if plain.bytes().all(|byte| byte.is_ascii_digit()) && (REGISTRATION_DIGITS..=13).contains(&plain.len()) {
        codes.push(plain[..REGISTRATION_DIGITS].to_owned());
    }
    let mut rows = Vec::new();
    let mut collect = |sql: &str, code: &str| -> StoreResult<()> {
        let mut statement = conn.prepare_cached(sql)?;
        for id in statement.query_map([code], |row| row.get(0))? {
            rows.push(id?);
        }
        Ok(())
    };
    for code in &digits {
        for table in ["package", "inner_package"] {
            let sql = format!(
                "SELECT id FROM product WHERE directory = 'fda_ndc'
                   AND key IN (SELECT product_key FROM {table} WHERE digits = ?1)"
            );
            collect(&sql, code)?;
        }
    }
    for code in &codes {
        collect("SELECT id FROM product WHERE directory IN ('fda_ndc', 'anvisa') AND code = ?1", code)?;
        collect("SELECT id FROM product WHERE directory IN ('fda_ndc', 'anvisa') AND key = ?1", code)?;
    }
    rows.sort_unstable();
    rows.dedup();
    Ok(rows)
}

/// Reads one product with its packages and the strictest class among the products of its code.
fn load(conn: &Connection, id: i64, today: Date) -> StoreResult<Product> {
    let (body, care): (String, i64) = conn
        .prepare_cached(
            "SELECT body, (SELECT max(same.care) FROM product same WHERE same.directory = product.directory AND same.code = product.code)
             FROM product WHERE id = ?1",
        )?
        .query_row([id], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let record: ProductRecord = serde_json::from_str(&body)?;
    let packages = packages_of(conn, &record.key)?;
    Ok(Product::of(record, product::of_care(care), packages, today))
}

/// Outer packages, then the inner ones that are none of them.
fn packages_of(conn: &Connection, product_key: &str) -> StoreResult<Vec<ProductPackage>> {
    let mut found: Vec<ProductPackage> = Vec::new();
    let mut statement =
        conn.prepare_cached("SELECT code, body FROM package WHERE product_key = ?1 ORDER BY code, nth")?;
    for row in statement.query_map([product_key], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))? {
        let (code, body) = row?;
        if found.last().is_some_and(|last| last.code == code) {
            continue;
        }
        let body: PackageBody<'_> = serde_json::from_str(&body)?;
        found.push(packages::shown(&ndc(&code)?, body.description.into_owned(), PackageLevel::Outer));
    }
    let mut statement = conn.prepare_cached(
        "SELECT code, min(description) FROM inner_package WHERE product_key = ?1 GROUP BY code ORDER BY code",
    )?;
    for row in statement.query_map([product_key], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))? {
        let (code, description) = row?;
        if found.iter().all(|known| known.code != code) {
            found.push(packages::shown(&ndc(&code)?, description, PackageLevel::Inner));
        }
    }
    Ok(found)
}

fn ndc(code: &str) -> StoreResult<Ndc> {
    code.parse().map_err(|_| StoreError::Broken("a stored package code cannot be read".to_owned()))
}
