//! Commands as the demo's people would send them. It makes wishes only; the decision is the pipeline's.

use jiff::{SignedDuration, Timestamp, civil::Date};

use super::{dice::Dice, words, world::Station};
use crate::domain::{
    code::PharmacyCode,
    command::{AssistanceRequest, Command, CountLine, Create, PickLine, ReceiveLine, RequestLine},
    quantity::Quantity,
    reason::{
        CancelReason, DispatchMethod, HoldReason, Kind, Priority, ReceiptReason, RejectReason, ReturnReason,
        ShortReason, TransferReason,
    },
    ticket::MissingDose,
};

/// A line that somebody works on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Need {
    pub(super) line: u16,
    pub(super) quantity: Quantity,
}

/// How a picking goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Picking {
    Full,
    /// The first line stays short, with a reason.
    Short,
    /// The first line comes from two lots.
    TwoLots,
}

/// How a receipt goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arrival {
    Whole,
    Damaged,
    Missing,
}

const ONE: u32 = 1;

pub(super) fn priority(dice: &mut Dice) -> Priority {
    match dice.between(1, 100) {
        1..=8 => Priority::Stat,
        9..=22 => Priority::Asap,
        23..=45 => Priority::Urgent,
        _ => Priority::Routine,
    }
}

/// A request for some of a cabinet's items, by their places in it; `at` is about when it is sent.
pub(super) fn create(
    kind: Kind,
    priority: Priority,
    station: &Station,
    items: &[usize],
    at: Timestamp,
    dice: &mut Dice,
) -> Create {
    let chosen: Vec<_> = items.iter().filter_map(|index| station.items.get(*index)).collect();
    let mut create = Create {
        kind,
        ward: station.ward.clone(),
        cabinet: (kind != Kind::MissingDose).then(|| station.cabinet.clone()),
        priority,
        lines: Vec::new(),
        counts: Vec::new(),
        note: words::request_note(dice),
        missing_dose: None,
        assistance: None,
        identifiers: Vec::new(),
        override_reason: None,
        confirm: Vec::new(),
    };
    match kind {
        Kind::Assistance => {
            let (text, category) = words::trouble(dice);
            create.assistance = Some(AssistanceRequest { text, category });
        }
        Kind::Discrepancy => {
            create.counts = chosen
                .iter()
                .map(|item| CountLine {
                    medication: item.medication.clone(),
                    counted: dice.between(0, 6).into(),
                    expected: dice.between(7, 10).into(),
                })
                .collect();
        }
        Kind::Refill | Kind::Supply | Kind::MissingDose => {
            let most = if kind == Kind::MissingDose { 2 } else { 10 };
            create.lines = chosen
                .iter()
                .map(|item| RequestLine {
                    medication: item.medication.clone(),
                    quantity: Quantity::from(dice.between(2, most)).min(item.max),
                    unit: None,
                })
                .collect();
        }
    }
    if kind == Kind::MissingDose {
        let dose_at = later(at, i64::from(dice.between(20, 120)));
        create.missing_dose =
            Some(MissingDose { patient_ref: words::patient(dice), dose_at, searched: words::searched(dice) });
    }
    create
}

/// Picks every line.
pub(super) fn pick(needs: &[Need], how: Picking, today: Date, at: Timestamp, dice: &mut Dice) -> Command {
    let mut lines = Vec::with_capacity(needs.len() + 1);
    for (index, need) in needs.iter().enumerate() {
        let less = need.quantity.checked_sub(Quantity::from(ONE)).filter(|less| !less.is_zero());
        match (how, less) {
            (Picking::Short, Some(less)) if index == 0 => lines.push(PickLine {
                reason: Some(dice.one(&[ShortReason::OutOfStock, ShortReason::Backordered, ShortReason::ShortExpiry])),
                expected_at: Some(later(at, i64::from(dice.between(6, 30)) * 60)),
                ..lot(need.line, less, today, dice)
            }),
            (Picking::TwoLots, Some(less)) if index == 0 => {
                lines.push(lot(need.line, less, today, dice));
                lines.push(lot(need.line, Quantity::from(ONE), today, dice));
            }
            _ => lines.push(lot(need.line, need.quantity, today, dice)),
        }
    }
    Command::Pick { lines }
}

/// Picks the first line from a lot that is past its date.
pub(super) fn pick_expired(need: Need, today: Date, dice: &mut Dice) -> Command {
    let expiry = today.checked_sub(SignedDuration::from_hours(24 * 20)).ok();
    Command::Pick { lines: vec![PickLine { expiry, ..lot(need.line, need.quantity, today, dice) }] }
}

fn lot(line: u16, supplied: Quantity, today: Date, dice: &mut Dice) -> PickLine {
    let days = i64::from(dice.between(90, 700));
    PickLine {
        line,
        supplied,
        lot: Some(format!("{}{:05}", dice.one(&["L", "BR", "A", "F"]), dice.between(1_000, 99_999))),
        expiry: today.checked_add(SignedDuration::from_hours(24 * days)).ok(),
        reason: None,
        expected_at: None,
    }
}

/// Confirms what arrived of each supplied line.
pub(super) fn receive(supplied: &[Need], how: Arrival) -> Command {
    let line = |(index, need): (usize, &Need)| {
        let all = ReceiveLine {
            line: need.line,
            received: need.quantity,
            damaged: Quantity::ZERO,
            wrong: Quantity::ZERO,
            missing: Quantity::ZERO,
            reason: None,
        };
        let lost = Quantity::from(ONE);
        match (need.quantity.checked_sub(lost), how) {
            (Some(received), Arrival::Damaged) if index == 0 => {
                ReceiveLine { received, damaged: lost, reason: Some(ReceiptReason::Damaged), ..all }
            }
            (Some(received), Arrival::Missing) if index == 0 => {
                ReceiveLine { received, missing: lost, reason: Some(ReceiptReason::ShortCount), ..all }
            }
            _ => all,
        }
    };
    Command::Receive { lines: supplied.iter().enumerate().map(line).collect() }
}

/// What a picking supplies, line by line.
pub(super) fn supplied_by(pick: &Command) -> Vec<Need> {
    let Command::Pick { lines } = pick else {
        return Vec::new();
    };
    let mut needs: Vec<Need> = Vec::new();
    for entry in lines {
        match needs.iter_mut().find(|need| need.line == entry.line) {
            Some(need) => need.quantity = [need.quantity, entry.supplied].into_iter().sum(),
            None => needs.push(Need { line: entry.line, quantity: entry.supplied }),
        }
    }
    needs
}

pub(super) fn hold(reason: HoldReason, at: Timestamp, dice: &mut Dice) -> Command {
    let resume_by = later(at, i64::from(dice.between(60, 300)));
    Command::Hold { reason, note: words::hold_note(dice), resume_by }
}

pub(super) fn hold_reason(dice: &mut Dice) -> HoldReason {
    dice.one(&[
        HoldReason::AwaitingWard,
        HoldReason::OutOfStock,
        HoldReason::AwaitingPrescriber,
        HoldReason::AwaitingSupplier,
        HoldReason::EquipmentFailure,
    ])
}

pub(super) fn dispatch(dice: &mut Dice) -> Command {
    let method =
        dice.one(&[DispatchMethod::Runner, DispatchMethod::Tube, DispatchMethod::Round, DispatchMethod::PickUp]);
    Command::Dispatch { method }
}

pub(super) fn give_back(dice: &mut Dice) -> Command {
    let reason = dice.one(&[ReturnReason::Undeliverable, ReturnReason::WrongItem, ReturnReason::Refused]);
    Command::Return { reason, note: words::end_note(dice) }
}

pub(super) fn cancel(dice: &mut Dice) -> Command {
    let reason = dice.one(&[
        CancelReason::NoLongerNeeded,
        CancelReason::Found,
        CancelReason::PatientLeft,
        CancelReason::EnteredInError,
    ]);
    Command::Cancel { reason, note: words::end_note(dice) }
}

pub(super) fn reject(dice: &mut Dice) -> Command {
    let reason = dice.one(&[RejectReason::NotStocked, RejectReason::Duplicate, RejectReason::NotAuthorized]);
    Command::Reject { reason, note: words::end_note(dice) }
}

pub(super) fn transfer(pharmacy: PharmacyCode, dice: &mut Dice) -> Command {
    let reason = dice.one(&[TransferReason::OutOfStock, TransferReason::Workload]);
    Command::Transfer { pharmacy, reason, note: words::end_note(dice) }
}

/// So many minutes later.
pub(super) fn later(at: Timestamp, minutes: i64) -> Timestamp {
    at.checked_add(SignedDuration::from_mins(minutes)).unwrap_or(at)
}
