//! Codes on boxes: NDC, GTIN and the GS1 element strings that scanners send. It never accepts a GTIN whose check digit is wrong.

use std::{fmt, str::FromStr};

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

/// Longest text that is taken for a scan: GS1 allows 48 characters in a barcode, 2D codes hold a few elements more.
const SCAN_MAX: usize = 256;

/// FNC1 as scanners transmit it between elements.
const GROUP_SEPARATOR: char = '\u{1d}';

/// Why a text is no code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidGtin {
    /// Neither 8, 12, 13 nor 14 digits.
    #[error("a GTIN has 8, 12, 13 or 14 digits")]
    Length,
    /// The last digit does not follow from the others.
    #[error("the check digit is {found}, it should be {expected}; scan it again")]
    CheckDigit {
        /// As read.
        found: char,
        /// As computed.
        expected: char,
    },
    /// Not an NDC of 10 digits in 4-4-2, 5-3-2 or 5-4-1.
    #[error("a package NDC has 10 digits in segments of 4-4-2, 5-3-2 or 5-4-1, such as 0409-2308-01")]
    Ndc,
    /// An element string that cannot be taken apart.
    #[error("this is no GS1 code with a GTIN: {0}")]
    Element(&'static str),
}

/// The GS1 check digit of the digits before it.
fn check_digit(digits: &[u8]) -> u8 {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(at, digit)| u32::from(digit - b'0') * if at % 2 == 0 { 3 } else { 1 })
        .sum();
    b'0' + u8::try_from((10 - sum % 10) % 10).expect("a remainder of ten is one digit")
}

fn all_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// A GTIN, always kept as its 14 digits with a right check digit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Gtin(String);

impl Gtin {
    /// The 14 digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The ten digits of the NDC inside, where there is one. A case's GTIN (indicator 1 to 8) leads to the package in it.
    #[must_use]
    pub fn ndc_digits(&self) -> Option<&str> {
        (&self.0[1..3] == "03").then(|| &self.0[3..13])
    }
}

impl FromStr for Gtin {
    type Err = InvalidGtin;

    /// Reads a GTIN-8, -12, -13 or -14.
    fn from_str(text: &str) -> Result<Self, InvalidGtin> {
        if !all_digits(text) || !matches!(text.len(), 8 | 12 | 13 | 14) {
            return Err(InvalidGtin::Length);
        }
        let (body, found) = text.as_bytes().split_at(text.len() - 1);
        let expected = check_digit(body);
        if found == [expected] {
            Ok(Self(format!("{text:0>14}")))
        } else {
            Err(InvalidGtin::CheckDigit { found: char::from(found[0]), expected: char::from(expected) })
        }
    }
}

impl fmt::Display for Gtin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl TryFrom<String> for Gtin {
    type Error = InvalidGtin;

    fn try_from(text: String) -> Result<Self, InvalidGtin> {
        text.parse()
    }
}

impl From<Gtin> for String {
    fn from(gtin: Gtin) -> Self {
        gtin.0
    }
}

/// A package NDC: ten digits whose segments are known.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ndc {
    labeler: String,
    product: String,
    package: String,
}

impl Ndc {
    /// The ten digits without hyphens.
    #[must_use]
    pub fn digits(&self) -> String {
        format!("{}{}{}", self.labeler, self.product, self.package)
    }

    /// The GTIN-14 on the box: `003`, the ten digits, the check digit.
    #[must_use]
    pub fn gtin(&self) -> Gtin {
        let body = format!("003{}", self.digits());
        let check = char::from(check_digit(body.as_bytes()));
        Gtin(format!("{body}{check}"))
    }
}

impl FromStr for Ndc {
    type Err = InvalidGtin;

    fn from_str(text: &str) -> Result<Self, InvalidGtin> {
        let segments: Vec<&str> = text.split('-').collect();
        let [labeler, product, package] = segments[..] else { return Err(InvalidGtin::Ndc) };
        let lengths = (labeler.len(), product.len(), package.len());
        let known = matches!(lengths, (4, 4, 2) | (5, 3, 2) | (5, 4, 1));
        if !known || !segments.iter().all(|segment| all_digits(segment)) {
            return Err(InvalidGtin::Ndc);
        }
        Ok(Self { labeler: labeler.to_owned(), product: product.to_owned(), package: package.to_owned() })
    }
}

impl fmt::Display for Ndc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.labeler, self.product, self.package)
    }
}

/// The ten-digit forms that an NDC as typed may stand for: itself, or what an eleven-digit one (5-4-2) was padded from.
/// Empty where the text is no package NDC.
#[must_use]
pub fn ndc_forms(text: &str) -> Vec<String> {
    let segments: Vec<&str> = text.split('-').collect();
    let padded = match segments[..] {
        [digits] if all_digits(digits) && digits.len() == 10 => return vec![digits.to_owned()],
        [digits] if all_digits(digits) && digits.len() == 11 => (&digits[..5], &digits[5..9], &digits[9..]),
        [labeler, product, package]
            if (labeler.len(), product.len(), package.len()) == (5, 4, 2)
                && segments.iter().all(|segment| all_digits(segment)) =>
        {
            (labeler, product, package)
        }
        _ => return text.parse::<Ndc>().map(|ndc| vec![ndc.digits()]).unwrap_or_default(),
    };
    let (labeler, product, package) = padded;
    let cuts = [
        labeler.strip_prefix('0').map(|short| format!("{short}{product}{package}")),
        product.strip_prefix('0').map(|short| format!("{labeler}{short}{package}")),
        package.strip_prefix('0').map(|short| format!("{labeler}{product}{short}")),
    ];
    let mut forms: Vec<String> = cuts.into_iter().flatten().collect();
    forms.sort();
    forms.dedup();
    forms
}

/// What a scanner read: the trade item, and what else its code says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scan {
    /// The trade item.
    pub gtin: Gtin,
    /// AI 17: usable through this day.
    pub expiry: Option<Date>,
    /// AI 10.
    pub lot: Option<String>,
    /// AI 21.
    pub serial: Option<String>,
    /// AI 713: the ANVISA registration, where the code carries it.
    pub registration: Option<String>,
}

impl Scan {
    fn of(gtin: Gtin) -> Self {
        Self { gtin, expiry: None, lot: None, serial: None, registration: None }
    }
}

impl FromStr for Scan {
    type Err = InvalidGtin;

    /// Reads a bare GTIN (8, 12, 13 or 14 digits), a GS1 element string as scanners send it (with or without symbology
    /// identifier `]C1`, `]d2`, …; FNC1 as U+001D), or one in human-readable form, `(01)…(17)…(10)…`.
    fn from_str(text: &str) -> Result<Self, InvalidGtin> {
        let text = text.trim_matches(' ').trim_end_matches(['\r', '\n']);
        if text.len() > SCAN_MAX || !text.is_ascii() {
            return Err(InvalidGtin::Element("it is too long or has characters that no GS1 code has"));
        }
        let text = without_symbology(text).trim_start_matches(GROUP_SEPARATOR);
        if all_digits(text) && text.len() <= 14 {
            return text.parse().map(Self::of);
        }
        let elements = if text.starts_with('(') { readable_elements(text)? } else { raw_elements(text)? };
        assemble(&elements)
    }
}

fn without_symbology(text: &str) -> &str {
    match text.as_bytes() {
        [b']', _, _, ..] => &text[3..],
        _ => text,
    }
}

type Element<'a> = (&'a str, &'a str);

fn readable_elements(text: &str) -> Result<Vec<Element<'_>>, InvalidGtin> {
    let malformed = InvalidGtin::Element("a parenthesis is missing");
    let mut elements = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let inner = rest.strip_prefix('(').ok_or_else(|| malformed.clone())?;
        let (ai, after) = inner.split_once(')').ok_or_else(|| malformed.clone())?;
        if !all_digits(ai) || !(2..=4).contains(&ai.len()) {
            return Err(malformed);
        }
        // A lot may hold parentheses: the next element starts only at one around digits.
        let end = next_readable(after).unwrap_or(after.len());
        elements.push((ai, after[..end].trim_matches(' ')));
        rest = &after[end..];
    }
    Ok(elements)
}

fn next_readable(text: &str) -> Option<usize> {
    text.match_indices('(')
        .map(|(at, _)| at)
        .find(|at| text[at + 1..].split_once(')').is_some_and(|(ai, _)| (2..=4).contains(&ai.len()) && all_digits(ai)))
}

fn raw_elements(text: &str) -> Result<Vec<Element<'_>>, InvalidGtin> {
    let mut elements = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let width = identifier_width(rest).ok_or(InvalidGtin::Element("an application identifier is unknown"))?;
        let (ai, after) = rest.split_at_checked(width).ok_or(InvalidGtin::Element("it ends too early"))?;
        let separator = after.find(GROUP_SEPARATOR);
        let end = match fixed_length(ai) {
            Some(length) if after.len() < length => return Err(InvalidGtin::Element("it ends too early")),
            Some(length) => length,
            None => separator.unwrap_or(after.len()),
        };
        elements.push((ai, &after[..end]));
        rest = after[end..].trim_start_matches(GROUP_SEPARATOR);
    }
    Ok(elements)
}

/// Digits of the application identifier at the start of the text, by GS1's table.
fn identifier_width(text: &str) -> Option<usize> {
    match text.get(..2)? {
        "00" | "01" | "02" | "03" | "10" | "11" | "12" | "13" | "15" | "16" | "17" | "20" | "21" | "22" | "30"
        | "37" | "90" | "91" | "92" | "93" | "94" | "95" | "96" | "97" | "98" | "99" => Some(2),
        "23" | "24" | "25" | "40" | "41" | "42" | "71" => Some(3),
        "31" | "32" | "33" | "34" | "35" | "36" | "39" | "43" | "70" | "72" | "80" | "81" | "82" => Some(4),
        _ => None,
    }
}

/// Length of the data of elements that need no separator.
fn fixed_length(ai: &str) -> Option<usize> {
    match &ai[..2] {
        "00" => Some(18),
        "01" | "02" | "03" => Some(14),
        "11" | "12" | "13" | "15" | "16" | "17" => Some(6),
        "20" => Some(2),
        "31" | "32" | "33" | "34" | "35" | "36" => Some(6),
        "41" => Some(13),
        _ => None,
    }
}

fn assemble(elements: &[Element<'_>]) -> Result<Scan, InvalidGtin> {
    let of = |wanted: &str| elements.iter().find(|(ai, _)| *ai == wanted).map(|(_, data)| *data);
    let text = |wanted: &str| of(wanted).filter(|data| !data.is_empty()).map(str::to_owned);
    let item = of("01").or_else(|| of("02")).ok_or(InvalidGtin::Element("it has no (01)"))?;
    let mut scan = Scan::of(item.parse()?);
    scan.expiry = of("17").map(expiry_date).transpose()?;
    scan.lot = text("10");
    scan.serial = text("21");
    scan.registration = text("713");
    Ok(scan)
}

/// `YYMMDD`; day `00` is the month's last. The century is this one: no medicine on a shelf expired in the last.
fn expiry_date(text: &str) -> Result<Date, InvalidGtin> {
    let malformed = || InvalidGtin::Element("its expiry date (17) is no date");
    if text.len() != 6 || !all_digits(text) {
        return Err(malformed());
    }
    let part = |at: usize| text[at..at + 2].parse::<i8>().expect("two digits are a small number");
    let (year, month, day) = (2000 + i16::from(part(0)), part(2), part(4));
    let date = Date::new(year, month, day.max(1)).map_err(|_| malformed())?;
    Ok(if day == 0 { date.last_of_month() } else { date })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use jiff::civil::date;

    use super::*;

    #[test]
    fn the_box_shows_003_the_ten_digits_and_the_check_digit() {
        let table = [
            ("0409-2308-01", "00304092308014"),
            ("0002-0800-01", "00300020800018"),
            ("11704-650-01", "00311704650010"),
            ("50090-0683-0", "00350090068306"),
        ];
        for (text, gtin) in table {
            let ndc: Ndc = text.parse().unwrap();
            assert_eq!(ndc.to_string(), text);
            assert_eq!(ndc.gtin().as_str(), gtin, "{text}");
            assert_eq!(gtin.parse::<Gtin>().unwrap().ndc_digits(), Some(ndc.digits().as_str()));
        }
        for bad in ["", "0409-2308", "040-2308-011", "0409-2308-1", "0409-23O8-01", "00409-2308-01", "0409-2308-01-1"] {
            assert!(bad.parse::<Ndc>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_gtin_is_read_in_each_length_and_only_with_its_check_digit() {
        let table = [
            ("96385074", "00000096385074"),
            ("304092308014", "00304092308014"),
            ("0304092308014", "00304092308014"),
            ("00304092308014", "00304092308014"),
            ("7891058001155", "07891058001155"),
        ];
        for (text, gtin) in table {
            assert_eq!(text.parse::<Gtin>().unwrap().as_str(), gtin);
            let last = text.as_bytes()[text.len() - 1];
            let wrong = format!("{}{}", &text[..text.len() - 1], char::from(b'0' + (last - b'0' + 1) % 10));
            assert!(matches!(wrong.parse::<Gtin>(), Err(InvalidGtin::CheckDigit { .. })), "{wrong}");
        }
        assert_eq!("123".parse::<Gtin>(), Err(InvalidGtin::Length));
        assert_eq!("0030409230801٤".parse::<Gtin>(), Err(InvalidGtin::Length));
    }

    #[test]
    fn a_case_leads_to_the_package_in_it() {
        let case: Gtin = "50304092308019".parse().unwrap();
        assert_eq!(case.ndc_digits(), Some("0409230801"));
        assert_eq!("7891058001155".parse::<Gtin>().unwrap().ndc_digits(), None);
    }

    #[test]
    fn an_eleven_digit_ndc_stands_for_what_it_may_have_been_padded_from() {
        assert_eq!(ndc_forms("00409-2308-01"), ["0040923081", "0409230801"]);
        assert_eq!(ndc_forms("11704065001"), ["1170406501", "1170465001"]);
        assert_eq!(ndc_forms("50090-0683-00"), ["5009006830", "5009068300"]);
        assert_eq!(ndc_forms("0409-2308-01"), ["0409230801"]);
        assert_eq!(ndc_forms("0409230801"), ["0409230801"]);
        assert!(ndc_forms("dipirona").is_empty());
        assert!(ndc_forms("").is_empty());
    }

    #[test]
    fn scans_are_read_in_every_form_that_scanners_send() {
        let full = [
            "]d201003040923080141727013110L42\u{1d}21S-9",
            "]C101003040923080141727013110L42\u{1d}21S-9",
            "\u{1d}01003040923080141727013110L42\u{1d}21S-9\r\n",
            "01003040923080141727013110L42\u{1d}21S-9",
            "0100304092308014\u{1d}17270131\u{1d}10L42\u{1d}21S-9",
            "(01)00304092308014(17)270131(10)L42(21)S-9",
            "(01) 00304092308014 (17) 270131 (10) L42 (21) S-9",
        ];
        for text in full {
            let scan: Scan = text.parse().unwrap_or_else(|error| panic!("{text:?}: {error}"));
            assert_eq!(scan.gtin.as_str(), "00304092308014");
            assert_eq!(scan.expiry, Some(date(2027, 1, 31)), "{text:?}");
            assert_eq!(scan.lot.as_deref(), Some("L42"), "{text:?}");
            assert_eq!(scan.serial.as_deref(), Some("S-9"), "{text:?}");
        }
        for bare in ["00304092308014", "304092308014", "]E00304092308014", "0304092308014"] {
            assert_eq!(bare.parse::<Scan>().unwrap().gtin.as_str(), "00304092308014", "{bare}");
        }
    }

    #[test]
    fn an_expiry_without_day_is_the_months_last() {
        let scan: Scan = "(01)00304092308014(17)280200(713)1004300010".parse().unwrap();
        assert_eq!(scan.expiry, Some(date(2028, 2, 29)));
        assert_eq!(scan.registration.as_deref(), Some("1004300010"));
    }

    #[test]
    fn what_is_no_code_is_refused() {
        let table = [
            "",
            "MIDAZ-5",
            "(01)00304092308015",
            "(17)270131(10)L42",
            "(01",
            "01003040923080",
            "(01)00304092308014(17)271331",
            "(01)00304092308014(17)2701",
            "]d2",
            "código",
        ];
        for text in table {
            assert!(text.parse::<Scan>().is_err(), "{text:?}");
        }
        assert!("9".repeat(10_000).parse::<Scan>().is_err());
    }
}
