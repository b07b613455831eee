//! Ticket numbers that people say on the phone: ward, sequence, check letter, such as `UTI-42-K`. Never an identity: that is the id.

use super::code::WardCode;

/// Check letters: no I, O or S, which are misread for 1, 0 and 5. Their count is prime, so that no weight hides an error.
const LETTERS: &[u8; 23] = b"ABCDEFGHJKLMNPQRTUVWXYZ";

/// The number of a ward's ticket.
///
/// The check letter catches every digit taken for another, every letter taken for another (but I for M, O for K, S for H:
/// 26 letters cannot all differ by 23), 0/O, 1/I, 2/Z, 5/S, 6/G, 8/B, and every swap of neighbours between which it can tell.
#[must_use]
pub fn ticket_number(ward: &WardCode, sequence: u64) -> String {
    let stem = format!("{ward}-{sequence}");
    let letter = check_letter(&stem);
    format!("{stem}-{letter}")
}

/// True where the text is a well-formed number whose check letter fits; case and blanks around it do not matter.
#[must_use]
pub fn check(text: &str) -> bool {
    let text = text.trim().to_ascii_uppercase();
    let Some((stem, letter)) = text.rsplit_once('-') else { return false };
    let Some((ward, sequence)) = stem.rsplit_once('-') else { return false };
    let canonical = sequence.parse::<u64>().is_ok_and(|number| number.to_string() == sequence);
    canonical
        && ward.parse::<WardCode>().is_ok_and(|code| code.as_str() == ward)
        && letter.chars().eq([check_letter(stem)])
}

/// The sum of the characters' values, weighted by powers of two from the right, modulo 23.
fn check_letter(stem: &str) -> char {
    let sum = stem.bytes().fold(0, |sum, byte| (sum * 2 + value(byte)) % LETTERS.len());
    char::from(LETTERS[sum])
}

/// Values below 23; characters that share one neither look nor sound alike.
fn value(byte: u8) -> usize {
    match byte {
        b'0'..=b'9' => usize::from(byte - b'0') + 13,
        b'I' => 11,
        b'O' => 9,
        b'S' => 7,
        b'.' => 1,
        b'_' => 2,
        _ => LETTERS.iter().position(|&letter| letter == byte).unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    const DIGITS: &str = "0123456789";
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";

    fn samples() -> impl Iterator<Item = String> {
        ["UTI", "A", "CC-2", "UTI_NEO.1", "PS10", "ZZZZZZZZZZZZ"].into_iter().flat_map(|ward| {
            let ward: WardCode = ward.parse().unwrap();
            (1..300).chain([9_999, 10_000, 123_456, u64::MAX]).map(move |n| ticket_number(&ward, n))
        })
    }

    fn with(number: &str, at: usize, c: char) -> String {
        number.chars().enumerate().map(|(i, old)| if i == at { c } else { old }).collect()
    }

    #[test]
    fn numbers_read_as_ward_sequence_letter() {
        let number = ticket_number(&"UTI".parse().unwrap(), 42);
        assert!(number.starts_with("UTI-42-") && number.len() == 8, "{number}");
        assert!(samples().all(|number| check(&number) && check(&format!(" {} ", number.to_lowercase()))));
        for bad in ["", "-", "UTI", "UTI-42", "UTI-042-K", "UTI-+42-K", "UTI--K", "U I-42-K", "UTI-42-KK", "ção-1-K"]
        {
            assert!(!check(bad), "{bad}");
        }
    }

    #[test]
    fn every_wrong_character_of_its_sort_is_caught() {
        let twins = [['I', 'M'], ['O', 'K'], ['S', 'H']];
        for number in samples() {
            let letter_at = number.len() - 1;
            for (at, right) in number.chars().enumerate() {
                let sort = if right.is_ascii_digit() { DIGITS } else { ALPHABET };
                for wrong in sort.chars().filter(|&c| c != right && right.is_ascii_alphanumeric()) {
                    let twin = twins.iter().any(|pair| pair.contains(&right) && pair.contains(&wrong));
                    if at == letter_at || !twin {
                        assert!(!check(&with(&number, at, wrong)), "{number}: {wrong} at {at}");
                    }
                }
            }
        }
    }

    #[test]
    fn look_alikes_never_share_a_value() {
        for pair in ["0O", "1I", "1L", "2Z", "5S", "6G", "8B", "0D", "0Q", "7T", "-_", "._", "-."] {
            let bytes = pair.as_bytes();
            assert_ne!(value(bytes[0]), value(bytes[1]), "{pair}");
        }
    }

    #[test]
    fn every_swap_of_neighbours_is_caught() {
        for number in samples() {
            let bytes = number.as_bytes();
            for at in 0..number.len() - 1 {
                let (a, b) = (bytes[at], bytes[at + 1]);
                if value(a) == value(b) {
                    continue;
                }
                let swapped = with(&with(&number, at, char::from(b)), at + 1, char::from(a));
                assert!(!check(&swapped), "{number}: {swapped}");
            }
        }
    }
}
