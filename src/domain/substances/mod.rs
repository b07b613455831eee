//! Which list of Portaria SVS/MS 344/98 a medicine's ingredients stand on, for directories that do not say.
//! It errs on the controlled side, and it never says that a medicine is free: no match is `None`, which a person must review.
//!
//! The table was compiled by hand from the lists A1 to C5 (C4 was revoked in 2016) as amended up to [`EDITION`]; the
//! lists of precursors (D), plants (E) and proscribed substances (F) are no control class of a medicine and are left out.
//! It is an aid to review and no replacement for the official text: a pharmacist corrects it item by item, with a reason.

mod lists;

use std::{collections::HashMap, sync::LazyLock};

pub use self::lists::EDITION;
use super::{control_class::ControlClass, text::fold};

/// Longest name in the table, in words.
const NAME_WORDS_MAX: usize = 4;

/// Names as stems of their words, joined by blanks.
static TABLE: LazyLock<HashMap<String, ControlClass>> = LazyLock::new(|| {
    let entries = lists::LISTS.iter().flat_map(|(class, names)| names.iter().map(move |name| (stems(name), *class)));
    entries.map(|(stems, class)| (stems.join(" "), class)).collect()
});

/// The strictest list on which any of the ingredients stands; `None` where the table knows none of them.
///
/// Case, accents, salts, esters and hydrates are ignored (`SULFATO DE MORFINA PENTAIDRATADO` is morfina), for a name is
/// found as a run of whole words wherever it stands. Ingredients may be separated by `+`, `,`, `;` or ` E `. A text that
/// names its list itself, as ANVISA's file does here and there (`(PORT. 344/98 LISTA C 1)`), is believed.
#[must_use]
pub fn classify(ingredients: &str) -> Option<ControlClass> {
    let stated = stated_list(ingredients);
    let found = ingredients.split(['+', ',', ';']).flat_map(listed);
    found.chain(stated).max()
}

/// Every list on which a name inside one ingredient's text stands.
fn listed(text: &str) -> Vec<ControlClass> {
    let stems = stems(text);
    let runs =
        (0..stems.len()).flat_map(|from| (from + 1..=stems.len().min(from + NAME_WORDS_MAX)).map(move |to| from..to));
    runs.filter_map(|run| TABLE.get(&stems[run].join(" ")).copied()).collect()
}

/// Words without case, accents and the final vowel, in which spellings differ (`FENTANIL`, `FENTANILA`).
fn stems(text: &str) -> Vec<String> {
    let folded = fold(text);
    let words = folded.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.map(|word| if word.len() > 6 { word.trim_end_matches(['a', 'e', 'o']) } else { word }.to_owned()).collect()
}

/// The list that the text itself names beside the Portaria's number.
fn stated_list(text: &str) -> Option<ControlClass> {
    let (_, after) = text.split_once("344/98")?;
    let folded = fold(after);
    let (_, list) = folded.split_once("lista")?;
    let code: String = list.chars().filter(|c| c.is_alphanumeric()).take(2).collect();
    code.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_in_the_table_is_found_and_stands_on_one_list() {
        let mut names = 0;
        for (class, list) in lists::LISTS {
            for name in list {
                names += 1;
                assert_eq!(TABLE.get(&stems(name).join(" ")), Some(&class), "{name} stands on two lists");
                assert!(stems(name).len() <= NAME_WORDS_MAX, "{name}");
                assert!(classify(&format!("CLORIDRATO DE {name} MONOIDRATADO")) >= Some(class), "{name}");
            }
        }
        assert_eq!(names, TABLE.len());
        assert!(names > 400, "{names}");
    }

    #[test]
    fn rows_of_the_anvisa_file_find_their_list() {
        use ControlClass::{A1, A2, A3, B1, B2, C1, C2, C3, C5};
        let table = [
            ("SULFATO DE MORFINA PENTAIDRATADO", A1),
            ("CITRATO DE FENTANILA", A1),
            ("CLORIDRATO DE REMIFENTANILA", A1),
            ("CLORIDRATO DE PETIDINA", A1),
            ("CLORIDRATO DE TAPENTADOL", A1),
            ("PARACETAMOL + FOSFATO DE CODEÍNA", A2),
            ("CLORIDRATO DE TRAMADOL,PARACETAMOL", A2),
            ("NALBUFINA", A2),
            ("DIMESILATO DE LISDEXANFETAMINA", A3),
            ("CLORIDRATO DE METILFENIDATO", A3),
            ("CLORIDRATO DE MIDAZOLAM", B1),
            ("midazolam", B1),
            ("FENOBARBITAL SÓDICO", B1),
            ("HEMITARTARATO DE ZOLPIDEM", B1),
            ("CLORIDRATO DE AMITRIPTILINA + CLORDIAZEPÓXIDO", B1),
            ("CLORIDRATO DE SIBUTRAMINA MONOIDRATADO", B2),
            ("CARBONATO DE LÍTIO", C1),
            ("ÁCIDO VALPRÓICO; VALPROATO DE SÓDIO", C1),
            ("CLORIDRATO DE PAROXETINA HEMI-HIDRATADO", C1),
            ("CLORIDRATO DE ESCETAMINA", C1),
            ("SUCCINATO DE DESVENLAFAXINA MONOIDRATADO", C1),
            ("OLANZAPINA E FLUOXETINA", C1),
            ("CARBIDOPA (PORT. 344/98 LISTA C 1)", C1),
            ("ISOTRETINOÍNA", C2),
            ("TALIDOMIDA", C3),
            ("CIPIONATO DE TESTOSTERONA", C5),
            ("SOMATROPINA", C5),
        ];
        for (ingredients, class) in table {
            assert_eq!(classify(ingredients), Some(class), "{ingredients}");
        }
    }

    #[test]
    fn other_ingredients_are_left_to_a_person() {
        for ingredients in [
            "",
            "DIPIRONA MONOIDRATADA",
            "PARACETAMOL",
            "AMOXICILINA TRI-HIDRATADA + CLAVULANATO DE POTÁSSIO",
            "CLORETO DE SÓDIO",
            "PROMETAZINA",
            "DANAZOL",
            "CLORIDRATO DE LIDOCAÍNA",
            "ÉSTERES ETÍLICOS DOS ÁCIDOS GRAXOS DO ÓLEO DE PAPOULA IODADOS",
        ] {
            assert_eq!(classify(ingredients), None, "{ingredients}");
        }
    }

    #[test]
    fn the_strictest_of_several_wins() {
        assert_eq!(classify("FLUOXETINA + DIAZEPAM"), Some(ControlClass::B1));
        assert_eq!(classify("DIAZEPAM, MORFINA"), Some(ControlClass::A1));
    }
}
