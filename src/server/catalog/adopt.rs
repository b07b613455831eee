//! Formulary items that could be made from products. It proposes only: the same products always give the same proposals.
//!
//! Products with the same ingredients, strengths, form and routes are one item (see
//! [`ProductRecord::group_key`](super::product::ProductRecord::group_key)). Only products that are valid on the day are
//! adopted; a group takes all its valid products even where a query names one of them, so that its class is the strictest
//! of all and a later run with another query finds the same item.

use std::collections::{BTreeMap, HashSet};

use jiff::civil::Date;
use rusqlite::{Connection, params_from_iter, types::Value};
use serde::{Deserialize, Serialize};

use super::{
    forms,
    packages::{self, PackageBody},
    product::{self, Directory, ProductRecord},
    search::{self, Wanted},
    store::CatalogStore,
};
use crate::{
    domain::{
        code::CODE_MAX,
        control_class::{ClassSource, Classification},
        text::fold,
    },
    server::ports::{Ingredient, ProductRef, StoreResult},
};

/// Longest proposed name, in characters.
const NAME_MAX: usize = 200;

/// A product that may be adopted on the day `?1`.
const VALID: &str = "cancelled = 0 AND (end_date IS NULL OR end_date >= ?1)";

/// Ingredients that a code or a name spells out.
const SPELT_OUT_MAX: usize = 3;

/// A formulary item that could be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdoptCandidate {
    /// The grouping's stable name: an item that has it was adopted before.
    pub group_key: String,
    /// Letters, digits and hyphens; unique within a run. Another item may have it already: see [`numbered`].
    pub suggested_code: String,
    /// Name with strengths, form and routes.
    pub name: String,
    /// Ingredients with strengths.
    pub ingredients: Vec<Ingredient>,
    /// Dosage form.
    pub dosage_form: Option<String>,
    /// Routes.
    pub routes: Vec<String>,
    /// Unit of issue.
    pub unit: String,
    /// The strictest of the products.
    #[serde(rename = "control_class")]
    pub classification: Classification,
    /// Who said so.
    pub class_source: ClassSource,
    /// The products, by key.
    pub products: Vec<ProductRef>,
}

impl CatalogStore {
    /// The items that products found by a query (or all) could become, the largest groups first; one at a time, so that a whole
    /// directory needs little memory.
    ///
    /// # Errors
    /// Where the store fails, or what `take` gives.
    pub fn each_candidate(
        &self,
        query: Option<&str>,
        today: Date,
        mut take: impl FnMut(AdoptCandidate) -> StoreResult<()>,
    ) -> StoreResult<()> {
        self.readers.read(|conn| {
            let mut codes = Codes::default();
            for key in groups(conn, query.unwrap_or_default(), today)? {
                let mut group = Group::new(key);
                for member in members(conn, &group.key, today)? {
                    group.add(member);
                }
                take(group.into_candidate(&mut codes))?;
            }
            Ok(())
        })
    }
}

/// One product of a group.
struct Member {
    record: ProductRecord,
    classification: Classification,
    container: Option<String>,
}

/// Groups with a valid product that the query finds. The largest come first, so that what most makers make gets the plain
/// code and the odd one out the numbered one.
fn groups(conn: &Connection, query: &str, today: Date) -> StoreResult<Vec<String>> {
    let mut parameters = vec![Value::Text(today.to_string())];
    let filter = match search::wanted(conn, query)? {
        Wanted::Everything => String::new(),
        Wanted::Words(words) => {
            parameters.push(Value::Text(words));
            "AND group_key IN (SELECT group_key FROM product WHERE id IN
               (SELECT rowid FROM product_text WHERE product_text MATCH ?2))"
                .to_owned()
        }
        Wanted::Rows(rows) => {
            let ids: Vec<String> = rows.iter().map(i64::to_string).collect();
            format!("AND group_key IN (SELECT group_key FROM product WHERE id IN ({}))", ids.join(", "))
        }
    };
    let sql = format!(
        "SELECT group_key FROM product WHERE {VALID} {filter} GROUP BY group_key ORDER BY count(*) DESC, group_key"
    );
    let mut statement = conn.prepare(&sql)?;
    let keys = statement.query_map(params_from_iter(parameters), |row| row.get(0))?;
    Ok(keys.collect::<rusqlite::Result<_>>()?)
}

/// The valid products of a group, by key.
fn members(conn: &Connection, group_key: &str, today: Date) -> StoreResult<Vec<Member>> {
    let sql = format!(
        "SELECT body,
           (SELECT max(same.care) FROM product same WHERE same.directory = product.directory AND same.code = product.code),
           (SELECT package.body FROM package WHERE package.product_key = product.key ORDER BY package.code, package.nth LIMIT 1)
         FROM product WHERE group_key = ?2 AND {VALID} ORDER BY key"
    );
    let mut statement = conn.prepare_cached(&sql)?;
    let mut rows = statement.query([today.to_string().as_str(), group_key])?;
    let mut members = Vec::new();
    while let Some(row) = rows.next()? {
        let package: Option<String> = row.get(2)?;
        let package = package.as_deref().map(serde_json::from_str::<PackageBody<'_>>).transpose()?;
        let container = package.and_then(|one| packages::innermost_container(&one.description).map(str::to_owned));
        let body: String = row.get(0)?;
        let record = serde_json::from_str(&body)?;
        members.push(Member { record, classification: product::of_care(row.get(1)?), container });
    }
    Ok(members)
}

/// Products of one item.
struct Group {
    key: String,
    first: Option<ProductRecord>,
    classification: Classification,
    class_source: ClassSource,
    units: BTreeMap<&'static str, usize>,
    products: Vec<ProductRef>,
}

impl Group {
    fn new(key: String) -> Self {
        Self {
            key,
            first: None,
            classification: Classification::NotControlled,
            class_source: ClassSource::Directory,
            units: BTreeMap::new(),
            products: Vec::new(),
        }
    }

    fn add(&mut self, member: Member) {
        let Member { record, classification, container } = member;
        if self.first.is_none() || classification > self.classification {
            self.classification = classification;
            self.class_source = record.class_source;
        }
        let unit = forms::unit_of_issue(record.dosage_form.as_deref(), container.as_deref());
        *self.units.entry(unit).or_default() += 1;
        self.products.push(ProductRef { directory: record.directory.as_str().to_owned(), key: record.key.clone() });
        self.first.get_or_insert(record);
    }

    fn into_candidate(self, codes: &mut Codes) -> AdoptCandidate {
        let record = self.first.expect("a group is made for its first product");
        // The most frequent unit; of equally frequent ones the first by name.
        let unit = self.units.iter().max_by(|a, b| a.1.cmp(b.1).then(b.0.cmp(a.0))).map_or("unit", |(unit, _)| unit);
        let grouped = self.key.starts_with("group:");
        let (code, name) = if grouped {
            (group_code(&record), group_name(&record))
        } else {
            (product_code(&record), product_name(&record))
        };
        let mut ingredients = record.ingredients;
        if grouped {
            ingredients.sort_by(|a, b| (&a.name, &a.strength).cmp(&(&b.name, &b.strength)));
        }
        AdoptCandidate {
            group_key: self.key,
            suggested_code: codes.unique(&code),
            name: name.chars().take(NAME_MAX).collect(),
            ingredients,
            dosage_form: record.dosage_form,
            routes: record.routes,
            unit: unit.to_owned(),
            classification: self.classification,
            class_source: self.class_source,
            products: self.products,
        }
    }
}

/// Codes of one run.
#[derive(Default)]
struct Codes(HashSet<String>);

impl Codes {
    fn unique(&mut self, code: &str) -> String {
        let free = (1..).map(|number| numbered(code, number)).find(|code| !self.0.contains(code));
        let code = free.expect("numbers do not run out");
        self.0.insert(code.clone());
        code
    }
}

/// A code with a number behind it (`-2`, `-3`, …; 1 leaves it as it is), within the longest code's length.
#[must_use]
pub fn numbered(code: &str, number: u32) -> String {
    let suffix = if number > 1 { format!("-{number}") } else { String::new() };
    let base: String = code.chars().take(CODE_MAX - suffix.len()).collect();
    format!("{}{suffix}", base.trim_end_matches('-'))
}

/// `MIDAZOLAM-5MG-ML-INJ`.
fn group_code(record: &ProductRecord) -> String {
    let mut parts: Vec<&Ingredient> = record.ingredients.iter().collect();
    parts.sort_by_key(|part| (&part.name, &part.strength));
    let form = forms::form_code(record.dosage_form.as_deref().unwrap_or_default());
    let (names, strengths) = if parts.len() > SPELT_OUT_MAX {
        (format!("{}-PLUS-{}", slug(active_part(&parts[0].name)), parts.len() - 1), String::new())
    } else {
        let names: Vec<String> = parts.iter().map(|part| slug(active_part(&part.name))).collect();
        let strengths: Vec<String> = parts.iter().filter_map(|part| part.strength.as_deref().map(slug)).collect();
        (names.join("-"), strengths.join("-"))
    };
    let tail = [strengths.as_str(), form].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("-");
    joined(&names, &tail)
}

/// `ACEBROFILINA-154230123`.
fn product_code(record: &ProductRecord) -> String {
    joined(&slug(&record.name), &slug(&record.code.replace('-', "")))
}

/// Two parts within a code's length: the first gives way, down to a few letters.
fn joined(head: &str, tail: &str) -> String {
    const HEAD_MIN: usize = 12;
    let tail: String = tail.chars().take(CODE_MAX - HEAD_MIN - 1).collect();
    let room = CODE_MAX - tail.len() - usize::from(!tail.is_empty());
    let head: String = head.chars().take(room).collect();
    let code = format!("{}-{}", head.trim_matches('-'), tail.trim_matches('-'));
    Some(code.trim_matches('-').to_owned()).filter(|code| !code.is_empty()).unwrap_or_else(|| "ITEM".to_owned())
}

/// Capital letters and digits, hyphens for all between; a decimal point is a `P`, for `0-5MG` would read as a range.
fn slug(text: &str) -> String {
    let folded: Vec<char> = fold(text).chars().collect();
    let mut slug = String::new();
    for (at, c) in folded.iter().enumerate() {
        let digit = |at: Option<usize>| at.and_then(|at| folded.get(at)).is_some_and(char::is_ascii_digit);
        match c {
            c if c.is_ascii_alphanumeric() => slug.push(c.to_ascii_uppercase()),
            '.' if digit(at.checked_sub(1)) && digit(Some(at + 1)) => slug.push('P'),
            // `5 mg` is `5MG`.
            ' ' if digit(at.checked_sub(1)) => {}
            _ if !slug.is_empty() && !slug.ends_with('-') => slug.push('-'),
            _ => {}
        }
    }
    slug.trim_end_matches('-').to_owned()
}

/// A substance's name without the salt behind it, where more than a metal remains.
fn active_part(name: &str) -> &str {
    const SALTS: [&str; 20] = [
        "HYDROCHLORIDE",
        "DIHYDROCHLORIDE",
        "HYDROBROMIDE",
        "SULFATE",
        "PHOSPHATE",
        "CITRATE",
        "TARTRATE",
        "BITARTRATE",
        "MALEATE",
        "FUMARATE",
        "SUCCINATE",
        "ACETATE",
        "MESYLATE",
        "BESYLATE",
        "SODIUM",
        "POTASSIUM",
        "CALCIUM",
        "ANHYDROUS",
        "MONOHYDRATE",
        "DIHYDRATE",
    ];
    const METALS: [&str; 12] = [
        "SODIUM",
        "POTASSIUM",
        "CALCIUM",
        "MAGNESIUM",
        "ZINC",
        "FERROUS",
        "FERRIC",
        "ALUMINUM",
        "COPPER",
        "BARIUM",
        "LITHIUM",
        "AMMONIUM",
    ];
    let mut rest = name.trim();
    while let Some((head, salt)) = rest.rsplit_once(' ') {
        let upper = |text: &str| text.trim().trim_end_matches(',').to_ascii_uppercase();
        if !SALTS.contains(&upper(salt).as_str()) || METALS.contains(&upper(head).as_str()) {
            break;
        }
        rest = head.trim_end_matches([' ', ',']);
    }
    rest
}

/// `Midazolam hydrochloride 5 mg/mL, injection, solution (intramuscular, intravenous)`.
fn group_name(record: &ProductRecord) -> String {
    let mut parts: Vec<String> = record
        .ingredients
        .iter()
        .map(|part| {
            [Some(part.name.to_lowercase()), part.strength.clone()].into_iter().flatten().collect::<Vec<_>>().join(" ")
        })
        .collect();
    parts.sort();
    let more = parts.len().saturating_sub(SPELT_OUT_MAX + 1);
    if more > 0 {
        parts.truncate(SPELT_OUT_MAX);
        parts.push(format!("{} more", more + 1));
    }
    let mut name = capitalised(&parts.join(" + "));
    if let Some(form) = &record.dosage_form {
        name = format!("{name}, {}", form.to_lowercase());
    }
    if !record.routes.is_empty() {
        name = format!("{name} ({})", record.routes.join(", ").to_lowercase());
    }
    name
}

/// `AAS PROTECT (ÁCIDO ACETILSALICÍLICO), SANOFI MEDLEY FARMACÊUTICA LTDA.`, as the directory prints them.
fn product_name(record: &ProductRecord) -> String {
    let ingredients: Vec<&str> = record.ingredients.iter().map(|part| part.name.as_str()).take(SPELT_OUT_MAX).collect();
    let ingredients = ingredients.join(" + ");
    let mut name = record.name.clone();
    if record.directory == Directory::Anvisa && !ingredients.is_empty() && fold(&ingredients) != fold(&name) {
        name = format!("{name} ({ingredients})");
    }
    match &record.labeler {
        Some(labeler) => format!("{name}, {labeler}"),
        None => name,
    }
}

fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_are_codes() {
        let table = [
            ("5 mg/mL", "5MG-ML"),
            ("0.5 mg/mL", "0P5MG-ML"),
            ("Ácido acetilsalicílico", "ACIDO-ACETILSALICILICO"),
            ("  --x++", "X"),
            ("***", ""),
        ];
        for (text, code) in table {
            assert_eq!(slug(text), code, "{text}");
        }
        assert_eq!(joined("", ""), "ITEM");
        assert_eq!(joined(&"A".repeat(60), &"B".repeat(60)).len(), CODE_MAX);
    }

    #[test]
    fn salts_are_left_out_of_codes_unless_nothing_else_is_there() {
        assert_eq!(active_part("MIDAZOLAM HYDROCHLORIDE"), "MIDAZOLAM");
        assert_eq!(active_part("SODIUM CHLORIDE"), "SODIUM CHLORIDE");
        assert_eq!(active_part("MAGNESIUM SULFATE"), "MAGNESIUM SULFATE");
        assert_eq!(active_part("DOCUSATE SODIUM"), "DOCUSATE");
    }

    #[test]
    fn numbered_codes_keep_to_the_longest_length() {
        let long = "A".repeat(CODE_MAX);
        assert_eq!(numbered(&long, 1), long);
        assert_eq!(numbered(&long, 12).len(), CODE_MAX);
        let mut codes = Codes::default();
        assert_eq!([codes.unique("X"), codes.unique("X"), codes.unique("X-2")], ["X", "X-2", "X-2-2"]);
    }
}
