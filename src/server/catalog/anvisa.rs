//! Rows of ANVISA's open data. The file has no class column, so a product is never "not controlled" here: only listed or `unreviewed`.

use jiff::civil::Date;

use super::{
    format::Row,
    product::{Directory, ProductRecord},
};
use crate::{
    domain::{
        control_class::{ClassSource, Classification},
        substances, text,
    },
    server::ports::Ingredient,
};

/// A product with the further keys that tell it from another one of the same registration, weakest first.
pub(super) struct Registered {
    pub(super) record: ProductRecord,
    pub(super) other_keys: [String; 2],
}

/// Reads a row. Its key is the registration number, which the file has once for each product; a row without one goes
/// by its process. Should a file repeat a number for another product, `other_keys` tell them apart (see the import).
pub(super) fn product(row: &Row<'_>) -> Result<Registered, String> {
    let name = row.needed("NOME_PRODUTO")?;
    let (registration, process) = (row.get("NUMERO_REGISTRO_PRODUTO"), row.get("NUMERO_PROCESSO"));
    for (column, number) in [("NUMERO_REGISTRO_PRODUTO", registration), ("NUMERO_PROCESSO", process)] {
        if !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(format!("{column} {number:?} is no number"));
        }
    }
    let key = match (registration, process) {
        ("", "") => return Err("NUMERO_REGISTRO_PRODUTO and NUMERO_PROCESSO are empty".to_owned()),
        ("", process) => format!("process-{process}"),
        (registration, _) => registration.to_owned(),
    };
    let substances = row.get("PRINCIPIO_ATIVO");
    let other_keys = [format!("{key}-{process}"), format!("{key}-{process}-{}", text::fold(&name))];
    let record = ProductRecord {
        directory: Directory::Anvisa,
        code: if registration.is_empty() { process.to_owned() } else { registration.to_owned() },
        key,
        name,
        nonproprietary_name: None,
        ingredients: ingredients(substances),
        dosage_form: None,
        routes: Vec::new(),
        labeler: labeler(row.get("EMPRESA_DETENTORA_REGISTRO")),
        category: row.text("CATEGORIA_REGULATORIA"),
        therapeutic_class: row.text("CLASSE_TERAPEUTICA"),
        classification: substances::classify(substances).map_or(Classification::Unreviewed, Classification::Controlled),
        class_source: ClassSource::SubstanceTable,
        cancelled: is_cancelled(row.get("SITUACAO_REGISTRO"))?,
        start_date: date(row, "DATA_FINALIZACAO_PROCESSO")?,
        // The registration's own expiry says little: a renewal in time keeps it valid, and the situation says so.
        end_date: None,
    };
    Ok(Registered { record, other_keys })
}

fn is_cancelled(situation: &str) -> Result<bool, String> {
    match text::fold(situation).as_str() {
        "valido" | "ativo" => Ok(false),
        "" => Err("SITUACAO_REGISTRO is empty".to_owned()),
        _ => Ok(true),
    }
}

/// The company's name behind its CNPJ.
fn labeler(text: &str) -> Option<String> {
    let name = match text.split_once(" - ") {
        Some((cnpj, name)) if cnpj.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => text,
    };
    Some(name.trim()).filter(|name| !name.is_empty()).map(str::to_owned)
}

fn date(row: &Row<'_>, name: &'static str) -> Result<Option<Date>, String> {
    let text = row.get(name);
    if text.is_empty() {
        return Ok(None);
    }
    let date = (text.len() == 10).then(|| Date::strptime("%d/%m/%Y", text).ok()).flatten();
    date.map(Some).ok_or_else(|| format!("{name} {text:?} is no date such as 31/01/2019"))
}

/// Substances between `+`, `;` and `,`; a comma between digits belongs to a name.
fn ingredients(text: &str) -> Vec<Ingredient> {
    let bytes = text.as_bytes();
    let digit = |at: Option<usize>| at.and_then(|at| bytes.get(at)).is_some_and(u8::is_ascii_digit);
    let mut parts = vec![String::new()];
    for (at, c) in text.char_indices() {
        let in_name = c == ',' && digit(at.checked_sub(1)) && digit(Some(at + 1));
        if matches!(c, '+' | ';' | ',') && !in_name {
            parts.push(String::new());
        } else if let Some(part) = parts.last_mut() {
            part.push(c);
        }
    }
    let names = parts.iter().map(|part| part.trim()).filter(|name| !name.is_empty());
    names.map(|name| Ingredient { name: name.to_owned(), strength: None }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ingredients_are_cut_at_separators_but_not_within_names() {
        let names = |text| ingredients(text).into_iter().map(|part| part.name).collect::<Vec<_>>();
        assert_eq!(names("INDAPAMIDA +  PERINDOPRIL ARGININA"), ["INDAPAMIDA", "PERINDOPRIL ARGININA"]);
        assert_eq!(names("A, B;C"), ["A", "B", "C"]);
        assert_eq!(names("1,2-PROPANODIOL"), ["1,2-PROPANODIOL"]);
        assert!(names("").is_empty());
    }
}
