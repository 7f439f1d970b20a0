//! Italian number plates, parsed once at the door.
//!
//! A [`Plate`] is written the way the registry writes it: capitals and digits, nothing between them. What the pattern
//! settles beyond doubt is repaired (an `O` where only a digit can be is a zero); everything else is an error, and the
//! caller is asked again.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A plate longer than this (with its separators) is refused unread.
const INPUT_CHARS_MAX: usize = 40;

/// The provinces of the plates before 1994.
const PROVINCES: &str = "AG AL AN AO AP AQ AR AT AV BA BG BI BL BN BO BR BS BZ CA CB CE CH CL CN CO CR CS CT CZ EN FE \
                         FG FI FO FR GE GO GR IM IS KR LC LE LI LO LT LU MC ME MI MN MO MS MT NA NO NU OR PA PC PD PE \
                         PG PI PN PO PR PS PT PV PZ RA RC RE RG RI RN RO RSM RM SA SI SO SP SR SS SV TA TE TN TO TP TR \
                         TS TV UD VA VB VC VE VI VR VT VV";

/// An Italian number plate.
///
/// ```
/// use pronto::booking::plate::Plate;
/// assert_eq!(Plate::parse("ab 123-cd").map(|p| p.as_str().to_string()).as_deref(), Ok("AB123CD"));
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Plate(String);

/// What a plate is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PlateClass {
    /// A car, van or lorry.
    Car,
    /// The same in two lines (first letter Z).
    CarSquare,
    /// A trailer (first letter X, since 2013).
    Trailer,
    /// A car of the local police (first letter Y).
    LocalPolice,
    /// A motorcycle: two letters and five digits.
    Motorcycle,
    /// Province and number, before 1994: rare enough to have it confirmed.
    Pre1994,
}

/// Why something is no Italian plate. Says nothing of what was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum PlateError {
    /// Nothing was written.
    #[error("plate: empty, give two letters, three digits, two letters")]
    Empty,
    /// Too long to be one.
    #[error("plate: too long, give two letters, three digits, two letters")]
    TooLong,
    /// Holds something that is neither letter, digit nor separator.
    #[error("plate: only letters and digits, please")]
    Characters,
    /// Holds I, O, Q or U, which are never used: one letter was misheard.
    #[error("plate: the letters I, O, Q and U are never used, ask for that letter again")]
    UnusedLetter,
    /// Letters and digits do not stand where they must.
    #[error("plate: not two letters, three digits, two letters (motorcycles: two letters, five digits)")]
    Pattern,
}

impl Plate {
    /// Reads a plate as it was written: any case, with spaces, dashes or dots.
    pub fn parse(text: &str) -> Result<Self, PlateError> {
        let mut plate = String::with_capacity(10);
        for (count, c) in text.chars().enumerate() {
            if count == INPUT_CHARS_MAX {
                return Err(PlateError::TooLong);
            }
            match c {
                'a'..='z' | 'A'..='Z' | '0'..='9' => plate.push(c.to_ascii_uppercase()),
                ' ' | '\u{a0}' | '-' | '.' | '·' | '/' | ',' | '_' | '\t' | '–' => {}
                _ => return Err(PlateError::Characters),
            }
        }
        if plate.is_empty() {
            return Err(PlateError::Empty);
        }
        if plate.len() > 10 {
            return Err(PlateError::TooLong);
        }
        if is_pre_1994(&plate) {
            return Ok(Self(plate));
        }
        if plate.len() != 7 {
            return Err(PlateError::Pattern);
        }
        // The five first places are the same on every plate; the last two tell a car from a motorcycle.
        let car = !plate.ends_with(|c: char| c.is_ascii_digit());
        let places = if car { "LLDDDLL" } else { "LLDDDDD" };
        let repaired: String = plate.chars().zip(places.chars()).map(|(c, place)| repair(c, place)).collect();
        let fits = repaired.chars().zip(places.chars()).all(|(c, place)| match place {
            'D' => c.is_ascii_digit(),
            _ => c.is_ascii_uppercase(),
        });
        if !fits {
            return Err(PlateError::Pattern);
        }
        if repaired.contains(['I', 'O', 'Q', 'U']) {
            return Err(PlateError::UnusedLetter);
        }
        Ok(Self(repaired))
    }

    /// Capitals and digits, nothing between them.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What it is on.
    pub fn class(&self) -> PlateClass {
        let bytes = self.0.as_bytes();
        if is_pre_1994(&self.0) {
            PlateClass::Pre1994
        } else if bytes.last().is_some_and(u8::is_ascii_digit) {
            PlateClass::Motorcycle
        } else {
            match bytes.first() {
                Some(b'X') => PlateClass::Trailer,
                Some(b'Y') => PlateClass::LocalPolice,
                Some(b'Z') => PlateClass::CarSquare,
                _ => PlateClass::Car,
            }
        }
    }
}

/// In a digit's place these letters can only be the digit; a letter's place is never guessed.
const fn repair(c: char, place: char) -> char {
    match (c, place) {
        ('O', 'D') => '0',
        ('I', 'D') => '1',
        _ => c,
    }
}

/// `ROMA123456`, `MI1A2345`: the province and six places, of which the first two may hold one letter.
fn is_pre_1994(plate: &str) -> bool {
    let number = if let Some(number) = plate.strip_prefix("ROMA") {
        number
    } else {
        let Some((province, number)) = plate.split_at_checked(2) else { return false };
        if !PROVINCES.split(' ').any(|known| known == province) {
            return false;
        }
        number
    };
    let letters = number.bytes().filter(u8::is_ascii_uppercase).count();
    let last = number.bytes().rposition(|b| b.is_ascii_uppercase());
    number.len() == 6 && letters <= 1 && last.is_none_or(|at| at <= 1)
}

impl fmt::Debug for Plate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Plate(***)")
    }
}

impl TryFrom<String> for Plate {
    type Error = PlateError;

    fn try_from(text: String) -> Result<Self, PlateError> {
        Self::parse(&text)
    }
}

impl From<Plate> for String {
    fn from(plate: Plate) -> Self {
        plate.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(input: &str, expected: Result<&str, PlateError>) {
        assert_eq!(Plate::parse(input).as_ref().map(Plate::as_str), expected.as_ref().copied(), "{input:?}");
    }

    #[test]
    fn fixtures_of_italy() {
        let lines = include_str!("../../tests/fixtures/italy/plates.jsonl");
        let mut seen = 0;
        for line in lines.lines() {
            let case: serde_json::Value = serde_json::from_str(line).unwrap();
            let plate = Plate::parse(case["in"].as_str().unwrap());
            assert_eq!(plate.as_ref().ok().map(Plate::as_str), case["plate"].as_str(), "{line}");
            let class = plate.map_or("invalid", |plate| match plate.class() {
                PlateClass::Car => "car",
                PlateClass::CarSquare => "car_square",
                PlateClass::Trailer => "trailer",
                PlateClass::LocalPolice => "local_police",
                PlateClass::Motorcycle => "motorcycle",
                PlateClass::Pre1994 => "pre1994",
            });
            assert_eq!(class, case["class"].as_str().unwrap(), "{line}");
            seen += 1;
        }
        assert_eq!(seen, 15);
    }

    #[test]
    fn a_letter_in_a_digits_place_is_the_digit_it_looks_like() {
        check("AB1O3CD", Ok("AB103CD"));
        check("ABI23CD", Ok("AB123CD"));
        check("AB12O45", Ok("AB12045"));
        check("A8123CD", Err(PlateError::Pattern));
    }

    #[test]
    fn errors() {
        check("", Err(PlateError::Empty));
        check(" - ", Err(PlateError::Empty));
        check("AB123CO", Err(PlateError::UnusedLetter));
        check("AB123CDE", Err(PlateError::Pattern));
        check("AB123CDEFGH", Err(PlateError::TooLong));
        check(&" ".repeat(100), Err(PlateError::TooLong));
        check("AB123CÈ", Err(PlateError::Characters));
        check("MI1A2345", Ok("MI1A2345"));
        check("MI12345A", Err(PlateError::Pattern));
    }

    #[test]
    fn a_plate_is_not_printed() {
        let plate = Plate::parse("AB123CD").unwrap();
        assert_eq!(format!("{plate:?}"), "Plate(***)");
        assert!(!PlateError::UnusedLetter.to_string().contains("AB"));
    }

    #[test]
    fn travels_as_a_string() {
        let plate: Plate = serde_json::from_str("\"ab123cd\"").unwrap();
        assert_eq!(serde_json::to_string(&plate).unwrap(), "\"AB123CD\"");
        assert!(serde_json::from_str::<Plate>("\"hello\"").is_err());
    }
}
