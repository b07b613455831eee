//! Lots for lines, back to the shelf, and the check by a second person. Expired stock is never picked.

use std::collections::BTreeSet;

use super::{Changes, Scene};
use crate::domain::{
    command::PickLine,
    event::{Change, PickedLine},
    quantity::Quantity,
    refusal::{Refusal, RefusalCode},
    text,
    ticket::{LOT_MAX, Line, Pick},
};

pub(super) fn pick(scene: Scene<'_>, entries: &[PickLine]) -> Changes {
    if entries.is_empty() {
        let detail = "name at least one line with what was picked for it";
        return Err(Refusal::new(RefusalCode::LinesRequired, detail).at("lines"));
    }
    let numbers: BTreeSet<u16> = entries.iter().map(|entry| entry.line).collect();
    let lines = numbers.iter().map(|number| pick_line(scene, entries, *number)).collect::<Result<Vec<_>, _>>()?;
    let complete = scene.ticket.lines.iter().all(|line| line.settled || numbers.contains(&line.line));
    Ok(vec![Change::Picked { lines, complete }])
}

/// Settles one line from all entries that name it.
fn pick_line(scene: Scene<'_>, entries: &[PickLine], number: u16) -> Result<PickedLine, Refusal> {
    let mine: Vec<(usize, &PickLine)> = entries.iter().enumerate().filter(|(_, entry)| entry.line == number).collect();
    let first = mine[0].0;
    let line = scene.ticket.lines.iter().find(|line| line.line == number).ok_or_else(|| {
        let detail = format!("the ticket has no line {number}; its lines are 1 to {}", scene.ticket.lines.len());
        Refusal::new(RefusalCode::UnknownLine, detail).at(format!("lines[{first}].line"))
    })?;
    let mut picks = Vec::with_capacity(mine.len());
    for (index, entry) in &mine {
        if !entry.supplied.is_zero() {
            picks.push(lot(scene, entry, *index)?);
        } else if mine.len() > 1 {
            let detail =
                format!("line {number} is supplied nothing and stands twice; name it once, or leave the zero out");
            return Err(Refusal::new(RefusalCode::DuplicateLine, detail).at(format!("lines[{index}].supplied")));
        }
    }
    let short = is_short(line, &picks, first)?;
    let reason = mine.iter().find_map(|(_, entry)| entry.reason);
    if short && reason.is_none() {
        let supplied: Quantity = picks.iter().map(|pick| pick.quantity).sum();
        let detail = format!(
            "line {number} stays short, {supplied} of {} (unit: {}); give the reason",
            line.quantity, line.unit
        );
        return Err(Refusal::new(RefusalCode::ReasonRequired, detail).at(format!("lines[{first}].reason")));
    }
    let expected_at = mine.iter().find_map(|(_, entry)| entry.expected_at);
    Ok(PickedLine { line: number, picks, reason: reason.filter(|_| short), expected_at: expected_at.filter(|_| short) })
}

/// One lot, usable today.
fn lot(scene: Scene<'_>, entry: &PickLine, index: usize) -> Result<Pick, Refusal> {
    let lot = text::clean(entry.lot.as_deref().unwrap_or_default(), LOT_MAX)
        .ok()
        .filter(|lot| !lot.contains(char::is_control))
        .ok_or_else(|| {
            let detail = format!("line {} needs its lot: 1 to {LOT_MAX} printable characters", entry.line);
            Refusal::new(RefusalCode::LotRequired, detail).at(format!("lines[{index}].lot"))
        })?;
    let field = format!("lines[{index}].expiry");
    let expiry = entry.expiry.ok_or_else(|| {
        let detail = format!("line {} needs the expiry date of lot {lot}", entry.line);
        Refusal::new(RefusalCode::ExpiryRequired, detail).at(&field)
    })?;
    let today = scene.today();
    if expiry < today {
        let detail = format!("lot {lot} expired on {expiry} and today is {today}; take another lot");
        return Err(Refusal::new(RefusalCode::ExpiredStock, detail).at(field));
    }
    Ok(Pick { quantity: entry.supplied, lot, expiry, by: scene.actor.person.clone(), at: scene.at })
}

/// True where the picks are less than was asked for; refuses where they are more.
fn is_short(line: &Line, picks: &[Pick], first: usize) -> Result<bool, Refusal> {
    let sum = picks.iter().try_fold(Quantity::ZERO, |sum, pick| sum.checked_add(pick.quantity));
    match sum {
        Some(sum) if sum <= line.quantity => Ok(sum < line.quantity),
        _ => {
            let shown = sum.map_or_else(|| "more".to_owned(), |sum| sum.to_string());
            let detail = format!(
                "line {} asks for {} {} and {shown} is picked; supply at most what was asked for",
                line.line, line.quantity, line.unit
            );
            Err(Refusal::new(RefusalCode::Oversupply, detail).at(format!("lines[{first}].supplied")))
        }
    }
}

pub(super) fn unpick(scene: Scene<'_>) -> Changes {
    Ok(scene.discarding(Change::Unpicked))
}

pub(super) fn ready(scene: Scene<'_>) -> Changes {
    if scene.ticket.lines.iter().all(|line| line.supplied().is_zero()) {
        let detail = "nothing was supplied on any line, so there is nothing to send; unpick the ticket and pick again, or \
                      let a pharmacist reject it";
        return Err(Refusal::new(RefusalCode::NothingSupplied, detail));
    }
    scene.check_expiry()?;
    let policy = &scene.facts.policy;
    let controlled = scene.has_controlled_line();
    let second_person = controlled || policy.second_person_priorities.contains(&scene.ticket.priority);
    if second_person && scene.ticket.picked_by(&scene.actor.person) {
        let why = if controlled {
            "a line is controlled".to_owned()
        } else {
            format!("policy asks for it at priority {}", scene.ticket.priority)
        };
        let detail = format!("you picked this ticket and {why}; a second qualified person must check it");
        return Err(Refusal::new(RefusalCode::SecondPersonRequired, detail));
    }
    Ok(vec![Change::Ready { policy_version: policy.version, second_person }])
}
