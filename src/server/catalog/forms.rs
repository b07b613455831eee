//! What dosage forms and containers are called at the cabinet: the unit of issue, and the form's short code.
//! It names only what is handed out; it must never decide how much is in it.

/// The unit that is handed out, from the dosage form and, where the form leaves it open, the innermost container.
pub(super) fn unit_of_issue(form: Option<&str>, container: Option<&str>) -> &'static str {
    let form = form.unwrap_or_default();
    match head(form) {
        "TABLET" => "tablet",
        "CAPSULE" => "capsule",
        "PATCH" | "PLASTER" => "patch",
        "SUPPOSITORY" | "INSERT" => "suppository",
        "LOZENGE" | "PASTILLE" | "TROCHE" => "lozenge",
        "FILM" | "STRIP" => "film",
        "PILL" => "pill",
        "KIT" => "kit",
        "GAS" => "cylinder",
        "SWAB" | "CLOTH" | "SPONGE" => "swab",
        "RING" => "ring",
        "IMPLANT" => "implant",
        "INTRAUTERINE DEVICE" => "device",
        "GUM" => "piece",
        other => container.and_then(container_unit).unwrap_or_else(|| usual_container(other)),
    }
}

/// What a form comes in where no package says it.
fn usual_container(form: &str) -> &'static str {
    match form {
        "INJECTION" | "INJECTABLE" | "INJECTABLE FOAM" => "vial",
        "CREAM" | "OINTMENT" | "GEL" | "JELLY" | "PASTE" | "SALVE" => "tube",
        "AEROSOL" | "INHALANT" => "inhaler",
        "SPRAY" | "SOLUTION" | "SOLUTION/ DROPS" | "SUSPENSION" | "SUSPENSION/ DROPS" | "LIQUID" | "SYRUP"
        | "ELIXIR" | "EMULSION" | "LOTION" | "SHAMPOO" | "TINCTURE" | "OIL" | "MOUTHWASH" | "RINSE" | "CONCENTRATE"
        | "ENEMA" | "IRRIGANT" | "LINIMENT" => "bottle",
        "POWDER" | "GRANULE" => "packet",
        _ => "unit",
    }
}

fn container_unit(container: &str) -> Option<&'static str> {
    Some(match head(container) {
        "VIAL" => "vial",
        "AMPULE" => "ampoule",
        "SYRINGE" => "syringe",
        "BAG" => "bag",
        "CARTRIDGE" => "cartridge",
        "BOTTLE" | "JAR" | "JUG" | "CONTAINER" => "bottle",
        "TUBE" => "tube",
        "PACKET" | "POUCH" | "SACHET" => "packet",
        "INHALER" => "inhaler",
        "CANISTER" | "CAN" => "canister",
        "CYLINDER" | "TANK" => "cylinder",
        "CUP" => "cup",
        "APPLICATOR" => "applicator",
        _ => return None,
    })
}

/// The form's part of a suggested code.
pub(super) fn form_code(form: &str) -> &'static str {
    match head(form) {
        "TABLET" => "TAB",
        "CAPSULE" => "CAP",
        "INJECTION" | "INJECTABLE" => "INJ",
        "SOLUTION" | "SOLUTION/ DROPS" => "SOL",
        "SUSPENSION" | "SUSPENSION/ DROPS" => "SUSP",
        "LIQUID" => "LIQ",
        "SYRUP" => "SYR",
        "ELIXIR" => "ELIX",
        "CREAM" => "CREAM",
        "OINTMENT" => "OINT",
        "GEL" => "GEL",
        "LOTION" => "LOT",
        "PATCH" => "PATCH",
        "SUPPOSITORY" => "SUPP",
        "LOZENGE" => "LOZ",
        "SPRAY" => "SPRAY",
        "AEROSOL" => "AERO",
        "INHALANT" => "INH",
        "POWDER" => "POW",
        "GRANULE" => "GRAN",
        "FILM" => "FILM",
        "GAS" => "GAS",
        "KIT" => "KIT",
        "ENEMA" => "ENEMA",
        "" => "",
        _ => "FORM",
    }
}

/// A form's or container's main word: what stands before the first comma.
fn head(text: &str) -> &str {
    text.split(',').next().unwrap_or(text).trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_follows_the_form_and_then_the_container() {
        let table = [
            (Some("TABLET, FILM COATED"), Some("BOTTLE"), "tablet"),
            (Some("INJECTION, SOLUTION"), Some("VIAL, SINGLE-DOSE"), "vial"),
            (Some("INJECTION, SOLUTION"), Some("AMPULE"), "ampoule"),
            (Some("INJECTION"), None, "vial"),
            (Some("LIQUID"), Some("BOTTLE, PLASTIC"), "bottle"),
            (Some("GAS"), Some("CYLINDER"), "cylinder"),
            (Some("CREAM"), Some("BOX"), "tube"),
            (None, None, "unit"),
        ];
        for (form, container, unit) in table {
            assert_eq!(unit_of_issue(form, container), unit, "{form:?} {container:?}");
        }
    }
}
