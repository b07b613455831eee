//! What a ward asks for, line by line: known medications, exact quantities in the unit of issue, nothing asked for twice.

use super::Refusal;
use crate::domain::{
    code::MedicationCode,
    command::{CountLine, RequestLine},
    facts::{Facts, ItemFact},
    quantity::Quantity,
    reason::{Confirmation, Kind, OverrideReason},
    refusal::{More, RefusalCode},
    ticket::{Count, LINES_MAX, Line},
};

/// The lines of a create or amend, with what their author confirms.
pub(super) struct Request<'a> {
    pub(super) kind: Kind,
    pub(super) lines: &'a [RequestLine],
    pub(super) override_reason: Option<OverrideReason>,
    pub(super) confirm: &'a [Confirmation],
}

/// Takes requested lines, and the override where it was needed.
pub(super) fn requested(facts: &Facts, request: &Request<'_>) -> Result<(Vec<Line>, Option<OverrideReason>), Refusal> {
    check_count(request.lines.len())?;
    let mut lines = Vec::with_capacity(request.lines.len());
    for (index, asked) in request.lines.iter().enumerate() {
        let item = usable_item(facts, &asked.medication, index)?;
        check_once(&lines, item, index)?;
        let quantity = in_unit_of_issue(item, asked, index)?;
        if request.kind == Kind::Refill && item.par_max.is_none() {
            let detail = format!("{} has no par level in this cabinet; ask for it with the kind supply", item.code);
            return Err(Refusal::new(RefusalCode::NoParLevel, detail).at(format!("lines[{index}].medication")));
        }
        lines.push(line(item, index, quantity, None));
    }
    if !request.confirm.contains(&Confirmation::UnusualQuantity) {
        check_usual(facts, &lines)?;
    }
    let met = check_open_requests(facts, &lines, request.override_reason)?;
    Ok((lines, request.override_reason.filter(|_| met)))
}

/// Takes the counted lines of a discrepancy.
pub(super) fn counted(facts: &Facts, counts: &[CountLine]) -> Result<Vec<Line>, Refusal> {
    check_count(counts.len())?;
    let mut lines = Vec::with_capacity(counts.len());
    for (index, count) in counts.iter().enumerate() {
        let item = usable_item(facts, &count.medication, index)?;
        check_once(&lines, item, index)?;
        let count = Count { counted: count.counted, expected: count.expected };
        lines.push(line(item, index, Quantity::ZERO, Some(count)));
    }
    Ok(lines)
}

fn check_count(count: usize) -> Result<(), Refusal> {
    match count {
        0 => Err(Refusal::new(RefusalCode::LinesRequired, "name at least one medication").at("lines")),
        1..=LINES_MAX => Ok(()),
        _ => {
            let detail = format!("a ticket has at most {LINES_MAX} lines, not {count}; make several tickets");
            Err(Refusal::new(RefusalCode::TooManyLines, detail).at("lines"))
        }
    }
}

fn usable_item<'a>(facts: &'a Facts, code: &MedicationCode, index: usize) -> Result<&'a ItemFact, Refusal> {
    let field = format!("lines[{index}].medication");
    let item = facts.items.iter().find(|item| item.code == *code).ok_or_else(|| {
        let detail = format!("there is no medication {code}; check its code");
        Refusal::new(RefusalCode::UnknownMedication, detail).at(&field)
    })?;
    if item.active {
        return Ok(item);
    }
    let detail = format!("medication {code} is not active; choose another or ask the pharmacy");
    Err(Refusal::new(RefusalCode::InactiveMedication, detail).at(field))
}

fn check_once(lines: &[Line], item: &ItemFact, index: usize) -> Result<(), Refusal> {
    match lines.iter().find(|line| line.medication == item.code) {
        None => Ok(()),
        Some(earlier) => {
            let detail = format!("{} stands on line {} already; put both together", item.code, earlier.line);
            Err(Refusal::new(RefusalCode::DuplicateLine, detail).at(format!("lines[{index}].medication")))
        }
    }
}

/// Converts packs once, exactly.
fn in_unit_of_issue(item: &ItemFact, asked: &RequestLine, index: usize) -> Result<Quantity, Refusal> {
    let same = |a: &str, b: &str| a.trim().to_lowercase() == b.trim().to_lowercase();
    let factor = match asked.unit.as_deref() {
        None => Some(Quantity::from(1)),
        Some(unit) if same(unit, &item.unit) => Some(Quantity::from(1)),
        Some(unit) => item.packs.iter().find(|pack| same(unit, &pack.unit)).map(|pack| pack.factor),
    };
    let Some(factor) = factor else {
        let packs = item.packs.iter().map(|pack| pack.unit.as_str());
        let known = std::iter::once(item.unit.as_str()).chain(packs).collect::<Vec<_>>().join(", ");
        let detail = format!("the unit is not one of {}; use one of: {known}", item.code);
        return Err(Refusal::new(RefusalCode::UnknownUnit, detail).at(format!("lines[{index}].unit")));
    };
    asked.quantity.checked_mul(factor).filter(|quantity| !quantity.is_zero()).ok_or_else(|| {
        let detail = if asked.quantity.is_zero() {
            "the quantity is zero; ask for more than nothing or leave the line out".to_owned()
        } else {
            format!("{} of that unit are no exact quantity in {}; ask in {}", asked.quantity, item.unit, item.unit)
        };
        Refusal::new(RefusalCode::InvalidQuantity, detail).at(format!("lines[{index}].quantity"))
    })
}

/// Refuses more than the destination cabinet holds.
fn check_usual(facts: &Facts, lines: &[Line]) -> Result<(), Refusal> {
    for (index, line) in lines.iter().enumerate() {
        let max = super::item(facts, line).and_then(|item| item.par_max);
        if let Some(max) = max.filter(|max| line.quantity > *max) {
            let detail = format!(
                "{} {} of {} is more than the {max} that the cabinet holds; correct it, or confirm with \
                 \"confirm\":[\"unusual_quantity\"]",
                line.quantity, line.unit, line.medication
            );
            return Err(Refusal::new(RefusalCode::UnusualQuantity, detail).at(format!("lines[{index}].quantity")));
        }
    }
    Ok(())
}

/// True where an open request was met and overridden.
fn check_open_requests(
    facts: &Facts,
    lines: &[Line],
    override_reason: Option<OverrideReason>,
) -> Result<bool, Refusal> {
    let met = lines.iter().enumerate().find_map(|(index, line)| {
        let other = facts.open_requests.iter().find(|other| other.medication == line.medication)?;
        Some((index, other))
    });
    match (met, override_reason) {
        (None, _) => Ok(false),
        (Some(_), Some(_)) => Ok(true),
        (Some((index, other)), None) => {
            let detail = format!(
                "{} is asked for here already, by ticket {}; add to it, or say with \"override\" why another is right",
                other.medication, other.number
            );
            Err(Refusal::new(RefusalCode::DuplicateOpenRequest, detail)
                .at(format!("lines[{index}].medication"))
                .with(More::Duplicate { ticket: other.ticket, number: other.number.clone() }))
        }
    }
}

fn line(item: &ItemFact, index: usize, quantity: Quantity, count: Option<Count>) -> Line {
    Line {
        line: u16::try_from(index + 1).expect("a ticket has at most 100 lines"),
        medication: item.code.clone(),
        name: item.name.clone(),
        unit: item.unit.clone(),
        classification: item.classification,
        quantity,
        declined: Quantity::ZERO,
        reason: None,
        expected_at: None,
        settled: false,
        picks: Vec::new(),
        receipt: None,
        count,
    }
}
