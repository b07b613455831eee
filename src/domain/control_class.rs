//! How strictly a medicine is controlled: the lists of Portaria SVS/MS 344/98 and the schedules of the US DEA.
//! It never guesses: what nobody has stated is `unreviewed`, and is treated as if it were controlled.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A list of Portaria SVS/MS 344/98 (`A1` to `C5`, without `C4`, revoked in 2016) or a DEA schedule (`CI` to `CV`).
///
/// The order is strictness, laxest first, so that `max` is the strictest. Within one country it is the country's own;
/// across the two (one hospital seldom mixes them) classes stand beside the one that asks for the same care:
/// narcotics (`CII`, `A1`, `A2`), then stimulants and psychotropics, then special control.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ControlClass {
    /// DEA schedule V: small quantities of narcotics.
    CV,
    /// Portaria list C1: other substances under special control.
    C1,
    /// Portaria list C5: anabolic steroids.
    C5,
    /// Portaria list C2: retinoids.
    C2,
    /// Portaria list C3: immunosuppressants (thalidomide and its relatives).
    C3,
    /// DEA schedule IV: most benzodiazepines.
    CIV,
    /// Portaria list B2: anorectic psychotropics.
    B2,
    /// Portaria list B1: psychotropics.
    B1,
    /// DEA schedule III: ketamine, anabolic steroids, buprenorphine.
    CIII,
    /// Portaria list A3: stimulant psychotropics.
    A3,
    /// Portaria list A2: narcotics of use permitted in special concentrations only.
    A2,
    /// Portaria list A1: narcotics.
    A1,
    /// DEA schedule II: opioids and stimulants of high abuse potential.
    CII,
    /// DEA schedule I: no accepted medical use.
    CI,
}

impl ControlClass {
    /// Every class, laxest first.
    pub const ALL: [Self; 14] = [
        Self::CV,
        Self::C1,
        Self::C5,
        Self::C2,
        Self::C3,
        Self::CIV,
        Self::B2,
        Self::B1,
        Self::CIII,
        Self::A3,
        Self::A2,
        Self::A1,
        Self::CII,
        Self::CI,
    ];

    /// The code as printed on lists, labels and the wire.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::CV => "CV",
            Self::C1 => "C1",
            Self::C5 => "C5",
            Self::C2 => "C2",
            Self::C3 => "C3",
            Self::CIV => "CIV",
            Self::B2 => "B2",
            Self::B1 => "B1",
            Self::CIII => "CIII",
            Self::A3 => "A3",
            Self::A2 => "A2",
            Self::A1 => "A1",
            Self::CII => "CII",
            Self::CI => "CI",
        }
    }
}

impl fmt::Display for ControlClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.code())
    }
}

/// A text that names no control class.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClassError {
    /// The text is no class code.
    #[error("unknown control class {0:?}: use A1, A2, A3, B1, B2, C1, C2, C3, C5, CI, CII, CIII, CIV or CV")]
    UnknownClass(String),
    /// `unreviewed` is the absence of a decision, so nobody can decide it.
    #[error("a medicine cannot be set to unreviewed: say its class, or none if it is not controlled")]
    NotADecision,
}

impl FromStr for ControlClass {
    type Err = ClassError;

    /// Reads a code, ignoring case and surrounding blanks.
    fn from_str(text: &str) -> Result<Self, ClassError> {
        let code = text.trim();
        Self::ALL
            .into_iter()
            .find(|class| class.code().eq_ignore_ascii_case(code))
            .ok_or_else(|| ClassError::UnknownClass(text.to_owned()))
    }
}

impl Serialize for ControlClass {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

impl<'de> Deserialize<'de> for ControlClass {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let code = String::deserialize(deserializer)?;
        code.parse().map_err(serde::de::Error::custom)
    }
}

/// What is known of a medicine's control: nothing yet, that it is free, or its class.
///
/// On the wire: `null` is reviewed and not controlled, `"unreviewed"`, or the class code.
/// The order is care, least first: a class beats `unreviewed`, which beats "not controlled".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Classification {
    /// Reviewed (by a person, or by a directory whose silence is a statement): not controlled.
    NotControlled,
    /// Nobody has said. Such an item cannot become active.
    Unreviewed,
    /// Controlled, in this class.
    Controlled(ControlClass),
}

impl Classification {
    /// The wire's word for a medicine that nobody has classified.
    pub const UNREVIEWED: &'static str = "unreviewed";
    /// The word by which a person says that a medicine is not controlled.
    pub const NONE: &'static str = "none";

    /// Whether the check needs a second, different, qualified person. True for the unreviewed too: the safe side.
    #[must_use]
    pub const fn needs_second_person(&self) -> bool {
        matches!(self, Self::Controlled(_) | Self::Unreviewed)
    }

    /// The class, where there is one.
    #[must_use]
    pub const fn class(&self) -> Option<ControlClass> {
        match self {
            Self::Controlled(class) => Some(*class),
            Self::NotControlled | Self::Unreviewed => None,
        }
    }

    /// The one that asks for more care.
    #[must_use]
    pub fn strictest(a: Self, b: Self) -> Self {
        a.max(b)
    }

    /// The wire form: `None` is not controlled.
    #[must_use]
    pub const fn as_wire(&self) -> Option<&'static str> {
        match self {
            Self::NotControlled => None,
            Self::Unreviewed => Some(Self::UNREVIEWED),
            Self::Controlled(class) => Some(class.code()),
        }
    }

    /// Reads the wire form, `unreviewed` included: for stores and events, never for what a person types.
    ///
    /// # Errors
    /// When the text is neither `unreviewed` nor a class code.
    pub fn from_wire(text: Option<&str>) -> Result<Self, ClassError> {
        match text {
            None => Ok(Self::NotControlled),
            Some(Self::UNREVIEWED) => Ok(Self::Unreviewed),
            Some(code) => code.parse().map(Self::Controlled),
        }
    }
}

/// The one that asks for more care.
#[must_use]
pub fn strictest(a: Classification, b: Classification) -> Classification {
    Classification::strictest(a, b)
}

impl From<ControlClass> for Classification {
    fn from(class: ControlClass) -> Self {
        Self::Controlled(class)
    }
}

impl fmt::Display for Classification {
    /// For people and tables: `none`, `unreviewed`, or the code.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_wire().unwrap_or(Self::NONE))
    }
}

impl FromStr for Classification {
    type Err = ClassError;

    /// Reads a person's decision: a class code or `none`. `unreviewed` is refused.
    fn from_str(text: &str) -> Result<Self, ClassError> {
        let word = text.trim();
        if word.eq_ignore_ascii_case(Self::NONE) {
            Ok(Self::NotControlled)
        } else if word.eq_ignore_ascii_case(Self::UNREVIEWED) {
            Err(ClassError::NotADecision)
        } else {
            word.parse().map(Self::Controlled)
        }
    }
}

impl Serialize for Classification {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.as_wire().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Classification {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = Option::<String>::deserialize(deserializer)?;
        Self::from_wire(word.as_deref()).map_err(serde::de::Error::custom)
    }
}

/// Who said a medicine's classification.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClassSource {
    /// The directory that it was imported from has a class column.
    Directory,
    /// The dated table of substances shipped with medreq (`domain::substances`), a match or the lack of one.
    SubstanceTable,
    /// A pharmacist, with a reason.
    Person,
}

impl ClassSource {
    /// The word on the wire and in the store.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Directory => "directory",
            Self::SubstanceTable => "substance_table",
            Self::Person => "person",
        }
    }
}

impl fmt::Display for ClassSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A text that names no source of a classification.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown source of a control class {0:?}: use directory, substance_table or person")]
pub struct UnknownClassSource(pub String);

impl FromStr for ClassSource {
    type Err = UnknownClassSource;

    fn from_str(text: &str) -> Result<Self, UnknownClassSource> {
        [Self::Directory, Self::SubstanceTable, Self::Person]
            .into_iter()
            .find(|source| source.as_str() == text)
            .ok_or_else(|| UnknownClassSource(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn every_class_is_read_back_from_its_code_in_any_case() {
        for class in ControlClass::ALL {
            assert_eq!(class.code().to_lowercase().parse(), Ok(class));
            let json = serde_json::to_string(&class).unwrap();
            assert_eq!(json, format!("\"{class}\""));
            assert_eq!(serde_json::from_str::<ControlClass>(&json).unwrap(), class);
        }
        assert!("C4".parse::<ControlClass>().is_err(), "C4 was revoked in 2016");
        assert!("".parse::<ControlClass>().is_err());
    }

    #[test]
    fn all_is_sorted_by_strictness_and_complete() {
        assert!(ControlClass::ALL.is_sorted());
        assert!(ControlClass::CI > ControlClass::CII && ControlClass::CII > ControlClass::CV);
        assert!(ControlClass::A1 > ControlClass::A3 && ControlClass::A3 > ControlClass::B1);
        assert!(ControlClass::B1 > ControlClass::C1);
    }

    #[test]
    fn the_wire_has_three_forms_of_a_classification() {
        let table = [
            (Classification::NotControlled, "null"),
            (Classification::Unreviewed, "\"unreviewed\""),
            (Classification::Controlled(ControlClass::CIV), "\"CIV\""),
        ];
        for (classification, json) in table {
            assert_eq!(serde_json::to_string(&classification).unwrap(), json);
            assert_eq!(serde_json::from_str::<Classification>(json).unwrap(), classification);
        }
        assert!(serde_json::from_str::<Classification>("\"none\"").is_err());
    }

    #[test]
    fn a_person_says_a_class_or_none_but_never_unreviewed() {
        assert_eq!("none".parse(), Ok(Classification::NotControlled));
        assert_eq!(" b1 ".parse(), Ok(Classification::Controlled(ControlClass::B1)));
        assert_eq!("unreviewed".parse::<Classification>(), Err(ClassError::NotADecision));
        assert!("aspirin".parse::<Classification>().is_err());
    }

    #[test]
    fn the_safe_side_wins() {
        use Classification::{Controlled, NotControlled, Unreviewed};
        assert_eq!(strictest(NotControlled, Unreviewed), Unreviewed);
        assert_eq!(strictest(Controlled(ControlClass::CV), Unreviewed), Controlled(ControlClass::CV));
        assert_eq!(
            strictest(Controlled(ControlClass::CII), Controlled(ControlClass::CIV)),
            Controlled(ControlClass::CII)
        );
        assert!(Unreviewed.needs_second_person());
        assert!(Controlled(ControlClass::C1).needs_second_person());
        assert!(!NotControlled.needs_second_person());
    }

    #[test]
    fn sources_are_snake_case() {
        for source in [ClassSource::Directory, ClassSource::SubstanceTable, ClassSource::Person] {
            assert_eq!(serde_json::to_string(&source).unwrap(), format!("\"{source}\""));
            assert_eq!(source.as_str().parse(), Ok(source));
        }
    }
}
