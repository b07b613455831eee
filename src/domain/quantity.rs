//! Exact decimal quantities in a unit of issue. Never a float, never negative, never printed with a naked or trailing decimal.

use std::{fmt, iter::Sum, str::FromStr};

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// Most decimal places that a quantity may have.
pub const MAX_SCALE: u32 = 6;

/// Largest quantity, inclusive.
pub const MAX: i64 = 999_999_999;

/// An exact amount from 0 to [`MAX`] with at most [`MAX_SCALE`] decimals; on the wire a decimal string such as `"0.5"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Quantity(Decimal);

/// Why a text or a calculation gives no quantity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidQuantity {
    /// Not digits with at most one `.`.
    #[error("a quantity is digits with at most one decimal point, such as 10 or 0.5; got {0:?}")]
    Syntax(String),
    /// More decimals than [`MAX_SCALE`] or larger than [`MAX`].
    #[error("a quantity is at most {MAX} with at most {MAX_SCALE} decimals; got {0:?}")]
    Range(String),
    /// `1.000` is one to some readers and a thousand to others.
    #[error("{0:?} can be read in two ways; write it without grouping, such as 1000 or 1")]
    Ambiguous(String),
}

impl Quantity {
    /// Nothing.
    pub const ZERO: Self = Self(Decimal::ZERO);

    /// True for exactly zero.
    #[must_use]
    pub fn is_zero(self) -> bool {
        self.0.is_zero()
    }

    fn checked(value: Decimal) -> Option<Self> {
        let value = value.normalize();
        let fits = !value.is_sign_negative() || value.is_zero();
        (fits && value.scale() <= MAX_SCALE && value <= Decimal::from(MAX)).then_some(Self(value))
    }

    /// The sum, or `None` above [`MAX`].
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).and_then(Self::checked)
    }

    /// The difference, or `None` where it would be negative.
    #[must_use]
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).and_then(Self::checked)
    }

    /// The exact product, or `None` out of range: converts packs into units of issue.
    #[must_use]
    pub fn checked_mul(self, factor: Self) -> Option<Self> {
        self.0.checked_mul(factor.0).and_then(Self::checked)
    }

    /// The difference, or zero where it would be negative.
    #[must_use]
    pub fn saturating_sub(self, other: Self) -> Self {
        self.checked_sub(other).unwrap_or_default()
    }

    /// Reads what a person typed, with the site's decimal separator; grouping that could be read in two ways is refused.
    ///
    /// # Errors
    /// [`InvalidQuantity`] where the text is no quantity or an ambiguous one such as `1.000`.
    pub fn parse_typed(text: &str, separator: char) -> Result<Self, InvalidQuantity> {
        let text = text.trim();
        let grouped = |sep: char| {
            text.split_once(sep).is_some_and(|(whole, rest)| {
                rest.len() == 3 && (1..=3).contains(&whole.len()) && !whole.starts_with('0')
            })
        };
        if grouped('.') || grouped(',') {
            return Err(InvalidQuantity::Ambiguous(text.to_owned()));
        }
        match separator {
            ',' if text.contains('.') => Err(InvalidQuantity::Ambiguous(text.to_owned())),
            ',' => text.replacen(',', ".", 1).parse(),
            _ => text.parse(),
        }
    }

    /// Reads a cell of a list that people keep: either decimal separator, but no grouping that could be read in two ways.
    ///
    /// # Errors
    /// As [`Self::parse_typed`].
    pub fn parse_listed(text: &str) -> Result<Self, InvalidQuantity> {
        Self::parse_typed(text, if text.contains(',') { ',' } else { '.' })
    }
}

impl FromStr for Quantity {
    type Err = InvalidQuantity;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let shown = || text.chars().take(40).collect::<String>();
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if text.len() > 40 || !digits(whole) || !digits(fraction) {
            return Err(InvalidQuantity::Syntax(shown()));
        }
        Decimal::from_str_exact(text).ok().and_then(Self::checked).ok_or_else(|| InvalidQuantity::Range(shown()))
    }
}

impl TryFrom<String> for Quantity {
    type Error = InvalidQuantity;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Quantity> for String {
    fn from(quantity: Quantity) -> Self {
        quantity.to_string()
    }
}

impl From<u32> for Quantity {
    fn from(value: u32) -> Self {
        Self(Decimal::from(value.min(999_999_999)))
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.normalize())
    }
}

impl Sum for Quantity {
    /// Saturates at [`MAX`]; callers bound each term first.
    fn sum<I: Iterator<Item = Self>>(iter: I) -> Self {
        iter.fold(Self::ZERO, |sum, term| sum.checked_add(term).unwrap_or(Self(Decimal::from(MAX))))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn quantities_are_shown_without_naked_or_trailing_decimals() {
        for (typed, shown) in [("10", "10"), ("0.50", "0.5"), ("5.0", "5"), ("007", "7"), ("0.000001", "0.000001")] {
            assert_eq!(typed.parse::<Quantity>().unwrap().to_string(), shown);
        }
    }

    #[test]
    fn what_is_no_exact_amount_is_refused() {
        for bad in [
            "",
            ".5",
            "5.",
            "-1",
            "+1",
            "1e3",
            "1,5",
            "NaN",
            "1.2.3",
            "0.0000001",
            "1000000000",
            "٣",
            " 1",
            &"9".repeat(60),
        ] {
            assert!(bad.parse::<Quantity>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn typed_grouping_is_refused_in_either_locale() {
        for ambiguous in ["1.000", "1,000", "12.500"] {
            assert!(Quantity::parse_typed(ambiguous, '.').is_err());
            assert!(Quantity::parse_typed(ambiguous, ',').is_err());
        }
        assert_eq!(Quantity::parse_typed("0,150", ',').unwrap().to_string(), "0.15");
        assert_eq!(Quantity::parse_typed("0.150", '.').unwrap().to_string(), "0.15");
        assert!(Quantity::parse_typed("1.5", ',').is_err());
        for (cell, read) in
            [("1,5", Some("1.5")), ("0.150", Some("0.15")), ("1000", Some("1000")), ("1.000", None), ("1.000,5", None)]
        {
            assert_eq!(Quantity::parse_listed(cell).ok().map(|q| q.to_string()).as_deref(), read, "{cell}");
        }
    }

    #[test]
    fn packs_convert_exactly() {
        let packs: Quantity = "0.15".parse().unwrap();
        assert_eq!(packs.checked_mul(Quantity::from(1000)).unwrap().to_string(), "150");
        assert_eq!(Quantity::from(1).checked_sub(Quantity::from(2)), None);
    }
}
