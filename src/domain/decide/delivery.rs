//! From the pharmacy's door to the ward's shelf. Expired stock never leaves, and every unit that left is accounted for.

use super::{Changes, Scene};
use crate::domain::{
    command::ReceiveLine,
    event::{Change, ReceivedLine},
    permission,
    quantity::Quantity,
    reason::DispatchMethod,
    refusal::{Refusal, RefusalCode},
    ticket::{Line, Receipt},
};

pub(super) fn dispatch(scene: Scene<'_>, method: DispatchMethod) -> Changes {
    scene.check_expiry()?;
    Ok(vec![Change::Dispatched { method }])
}

pub(super) fn receive(scene: Scene<'_>, lines: &[ReceiveLine]) -> Changes {
    check_receiver(scene)?;
    check_named(scene, lines)?;
    let mut received = Vec::with_capacity(lines.len());
    for (index, entry) in lines.iter().enumerate() {
        let line = named_line(scene, lines, index)?;
        check_sum(line, entry, index)?;
        if !line.supplied().is_zero() {
            let ReceiveLine { line, received: usable, damaged, wrong, missing, reason } = *entry;
            received
                .push(ReceivedLine { line, receipt: Receipt { received: usable, damaged, wrong, missing, reason } });
        }
    }
    Ok(vec![Change::Received { lines: received }])
}

/// A nurse of the ward, or the technician who brought it herself where nothing is controlled.
fn check_receiver(scene: Scene<'_>) -> Result<(), Refusal> {
    let ward = &scene.ticket.ward;
    let stocked = scene.ticket.dispatch.as_ref().is_some_and(|sent| sent.by.id == scene.actor.person.id);
    if permission::is_nurse_of(scene.actor, ward) || (stocked && !scene.has_controlled_line()) {
        return Ok(());
    }
    Err(Refusal::new(
        RefusalCode::RoleNotAllowed,
        format!(
            "a nurse of ward {ward} confirms the receipt; a technician may only where she dispatched it herself and no \
             line is controlled"
        ),
    ))
}

fn check_named(scene: Scene<'_>, lines: &[ReceiveLine]) -> Result<(), Refusal> {
    let named = |line: &Line| lines.iter().any(|entry| entry.line == line.line);
    match scene.ticket.lines.iter().find(|line| !line.supplied().is_zero() && !named(line)) {
        None => Ok(()),
        Some(line) => Err(Refusal::new(
            RefusalCode::ReceiptMismatch,
            format!(
                "line {} was supplied {} {} and is not named; say what became of it",
                line.line,
                line.supplied(),
                line.unit
            ),
        )
        .at("lines")),
    }
}

fn named_line<'a>(scene: Scene<'a>, lines: &[ReceiveLine], index: usize) -> Result<&'a Line, Refusal> {
    let number = lines[index].line;
    let field = format!("lines[{index}].line");
    let line = scene.ticket.lines.iter().find(|line| line.line == number).ok_or_else(|| {
        let detail = format!("the ticket has no line {number}; its lines are 1 to {}", scene.ticket.lines.len());
        Refusal::new(RefusalCode::UnknownLine, detail).at(&field)
    })?;
    if lines[..index].iter().any(|earlier| earlier.line == number) {
        let detail = format!("line {number} stands twice; give its receipt once");
        return Err(Refusal::new(RefusalCode::DuplicateLine, detail).at(field));
    }
    Ok(line)
}

fn check_sum(line: &Line, entry: &ReceiveLine, index: usize) -> Result<(), Refusal> {
    let supplied = line.supplied();
    let parts = [entry.received, entry.damaged, entry.wrong, entry.missing];
    let sum = parts.into_iter().try_fold(Quantity::ZERO, Quantity::checked_add);
    if sum == Some(supplied) {
        return Ok(());
    }
    let shown = sum.map_or_else(|| "more than any line can hold".to_owned(), |sum| sum.to_string());
    Err(Refusal::new(
        RefusalCode::ReceiptMismatch,
        format!(
            "line {} was supplied {supplied} {}, but received, damaged, wrong and missing add up to {shown}; they must be \
             equal",
            line.line, line.unit
        ),
    )
    .at(format!("lines[{index}]")))
}
