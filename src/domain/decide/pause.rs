//! Pauses. Whoever makes one says until when.

use jiff::Timestamp;

use super::{Changes, Scene};
use crate::domain::{
    event::Change,
    reason::HoldReason,
    refusal::{Refusal, RefusalCode},
    text::FreeText,
};

pub(super) fn hold(scene: Scene<'_>, reason: HoldReason, note: Option<FreeText>, resume_by: Timestamp) -> Changes {
    if resume_by <= scene.at {
        let detail = "the time to resume by lies in the past; give one in the future";
        return Err(Refusal::new(RefusalCode::TimeInPast, detail).at("resume_by"));
    }
    Ok(vec![Change::Held { reason, note, resume_by }])
}
