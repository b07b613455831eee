//! Which pharmacy a new ticket goes to: the first of the site's rules that fits, else the ward's own. Pure: rules and time are given.

use std::{collections::BTreeSet, fmt, str::FromStr};

use jiff::{Timestamp, civil::Time};
use serde::{Deserialize, Serialize};

use super::{
    code::{PharmacyCode, WardCode},
    control_class::{ClassError, Classification, ControlClass},
    facts::{Facts, PharmacyFact, WardFact},
    reason::Kind,
};

/// A rule: where all that it names fits, the ticket goes to its pharmacy. What it does not name it does not ask for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoutingRule {
    /// Any of these wards.
    pub wards: BTreeSet<WardCode>,
    /// Any of these kinds.
    pub kinds: BTreeSet<Kind>,
    /// At least one medication of the ticket is in any of these.
    pub control_classes: BTreeSet<ClassMatch>,
    /// The time of day at the site at which the ticket is created.
    pub hours: Option<Hours>,
    /// Where it goes.
    pub pharmacy: PharmacyCode,
}

/// What a rule says of a control class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum ClassMatch {
    /// Whatever needs the care of a controlled medicine, the unreviewed too.
    AnyControlled,
    /// This class.
    Class(ControlClass),
}

impl ClassMatch {
    /// The word for any class.
    pub const CONTROLLED: &'static str = "controlled";

    fn includes(self, classification: Classification) -> bool {
        match self {
            Self::AnyControlled => classification.needs_second_person(),
            Self::Class(class) => classification.class() == Some(class),
        }
    }
}

impl fmt::Display for ClassMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AnyControlled => f.pad(Self::CONTROLLED),
            Self::Class(class) => class.fmt(f),
        }
    }
}

impl FromStr for ClassMatch {
    type Err = ClassError;

    /// Reads `controlled` or the code of a class.
    fn from_str(text: &str) -> Result<Self, ClassError> {
        let any = text.trim().eq_ignore_ascii_case(Self::CONTROLLED);
        if any { Ok(Self::AnyControlled) } else { text.parse().map(Self::Class) }
    }
}

impl TryFrom<String> for ClassMatch {
    type Error = ClassError;
    fn try_from(text: String) -> Result<Self, ClassError> {
        text.parse()
    }
}

impl From<ClassMatch> for String {
    fn from(class: ClassMatch) -> Self {
        class.to_string()
    }
}

/// A part of every day, over midnight where it ends before it begins. It is never empty and never the whole day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hours {
    from: Time,
    until: Time,
}

impl Hours {
    /// From one time of day until just before another; `None` where they are the same, for that could mean all or nothing.
    #[must_use]
    pub fn new(from: Time, until: Time) -> Option<Self> {
        (from != until).then_some(Self { from, until })
    }

    /// The first time that is in it.
    #[must_use]
    pub fn from(self) -> Time {
        self.from
    }

    /// The first time after it.
    #[must_use]
    pub fn until(self) -> Time {
        self.until
    }

    /// True where the time of day is in it.
    #[must_use]
    pub fn include(self, time: Time) -> bool {
        let (begun, over) = (time >= self.from, time >= self.until);
        if self.from < self.until { begun && !over } else { begun || !over }
    }
}

/// The pharmacy of a new ticket about the items of the facts: that of the first rule that fits and whose pharmacy takes tickets,
/// else the ward's own, which alone may be inactive.
#[must_use]
pub fn route(facts: &Facts, ward: &WardFact, kind: Kind, at: Timestamp) -> PharmacyFact {
    let time = facts.policy.time_of_day(at);
    let fits = |rule: &RoutingRule| {
        let of_class = |class: &ClassMatch| facts.items.iter().any(|item| class.includes(item.classification));
        (rule.wards.is_empty() || rule.wards.contains(&ward.code))
            && (rule.kinds.is_empty() || rule.kinds.contains(&kind))
            && (rule.control_classes.is_empty() || rule.control_classes.iter().any(of_class))
            && rule.hours.is_none_or(|hours| hours.include(time))
    };
    match facts.routes.iter().find(|route| route.pharmacy_active && fits(&route.rule)) {
        Some(route) => PharmacyFact { code: route.rule.pharmacy.clone(), active: true },
        None => PharmacyFact { code: ward.pharmacy.clone(), active: ward.pharmacy_active },
    }
}
