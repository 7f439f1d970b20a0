//! Phone numbers as E.164, parsed once at the door.
//!
//! Italian first: the national number stays as it is behind `+39`, the zero of a landline included. There is no trunk
//! prefix to drop, ever. A withheld number is an error of its own, because it is asked for rather than corrected.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A number longer than this (with its separators, or as a SIP address) is refused unread.
const INPUT_BYTES_MAX: usize = 160;

/// A phone number that can be called: `+` and 7 to 15 digits.
///
/// ```
/// use pronto::booking::phone::Phone;
/// assert_eq!(Phone::parse("06 6982").map(|p| p.as_str().to_string()).as_deref(), Ok("+39066982"));
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Phone(String);

/// What kind of line a number is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PhoneClass {
    /// An Italian mobile: the only Italian numbers that take messages.
    Mobile,
    /// An Italian landline.
    Fixed,
    /// An Italian free number (800, 803).
    TollFree,
    /// An Italian shared-cost or premium number (84x, 89x, 199): accepted as a caller, never called.
    Premium,
    /// Any other country: passed on unchanged.
    Foreign,
}

/// Why something is no phone number. Says nothing of what was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum PhoneError {
    /// The caller hides their number: ask for one.
    #[error("phone: withheld, ask for a number")]
    Withheld,
    /// An emergency or service code: never a customer.
    #[error("phone: a short code, give the whole number")]
    Short,
    /// Holds something that is no digit or separator.
    #[error("phone: only digits, with + or 00 before a country code")]
    Characters,
    /// Too many digits, or too much around them.
    #[error("phone: too long, at most 15 digits")]
    TooLong,
    /// An Italian landline without its zero.
    #[error("phone: an Italian landline keeps its 0 after +39")]
    ZeroMissing,
    /// An Italian mobile with a zero before it.
    #[error("phone: an Italian mobile has no 0 before the 3")]
    ZeroBeforeMobile,
    /// The digits fit no number.
    #[error("phone: not a number that exists, ask again digit by digit")]
    Pattern,
}

impl Phone {
    /// Reads a number as it was written, dialled or sent by a carrier (`sip:` and `tel:` addresses included).
    pub fn parse(text: &str) -> Result<Self, PhoneError> {
        if text.len() > INPUT_BYTES_MAX {
            return Err(PhoneError::TooLong);
        }
        let user = user_part(text);
        if is_withheld(user) {
            return Err(PhoneError::Withheld);
        }
        let (mut plus, mut digits) = digits(user)?;
        if !plus && let Some(rest) = digits.strip_prefix("00") {
            (plus, digits) = (true, rest.to_string());
        }
        if digits == "266696687" {
            return Err(PhoneError::Withheld); // ANONYMOUS on a keypad: what Twilio sends for a withheld number
        }
        if digits.len() > 15 {
            return Err(PhoneError::TooLong);
        }
        if plus {
            return match digits.strip_prefix("39") {
                Some(national) => italian(national),
                None if digits.len() >= 7 && !digits.starts_with('0') => Ok(Self(format!("+{digits}"))),
                None => Err(PhoneError::Pattern),
            };
        }
        // Ten digits that begin with 39 are a mobile (390 to 393 exist); longer ones carry the country code.
        if let (11..=13, Some(national)) = (digits.len(), digits.strip_prefix("39"))
            && national_class(national).is_some()
        {
            return italian(national);
        }
        italian(&digits)
    }

    /// `+` and the digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The number as it is dialled and said in Italy: without `+39`, other countries whole.
    pub fn national(&self) -> &str {
        self.0.strip_prefix("+39").unwrap_or(&self.0)
    }

    /// What kind of line it is.
    pub fn class(&self) -> PhoneClass {
        self.0.strip_prefix("+39").and_then(national_class).unwrap_or(PhoneClass::Foreign)
    }

    /// Whether a text message could arrive: a mobile, or a foreign number we cannot judge.
    pub fn may_be_messaged(&self) -> bool {
        matches!(self.class(), PhoneClass::Mobile | PhoneClass::Foreign)
    }
}

/// The user part of `"Name" <sip:user@host;params>`, `tel:user;params` or a plain number.
fn user_part(text: &str) -> &str {
    let text = text.split_once('<').map_or(text, |(_, rest)| rest.split_once('>').map_or(rest, |(inner, _)| inner));
    let text = text.trim();
    let text = ["sip:", "sips:", "tel:"]
        .iter()
        .find_map(|scheme| {
            text.get(..scheme.len()).filter(|s| s.eq_ignore_ascii_case(scheme)).map(|s| &text[s.len()..])
        })
        .unwrap_or(text);
    let text = text.split_once('@').map_or(text, |(user, _)| user);
    text.split_once(';').map_or(text, |(user, _)| user).trim()
}

fn is_withheld(user: &str) -> bool {
    const WITHHELD: [&str; 7] = ["", "anonymous", "restricted", "unknown", "unavailable", "private", "withheld"];
    WITHHELD.iter().any(|word| user.eq_ignore_ascii_case(word))
}

/// The digits, and whether a plus stood before them.
fn digits(user: &str) -> Result<(bool, String), PhoneError> {
    let (mut plus, mut digits) = (false, String::with_capacity(16));
    for c in user.chars() {
        match c {
            '0'..='9' => digits.push(c),
            '+' if digits.is_empty() && !plus => plus = true,
            ' ' | '\u{a0}' | '.' | '-' | '–' | '/' | '(' | ')' | ',' | '\t' => {}
            _ => return Err(PhoneError::Characters),
        }
    }
    Ok((plus, digits))
}

/// An Italian national number, or what is wrong with it.
fn italian(national: &str) -> Result<Phone, PhoneError> {
    if national_class(national).is_some() {
        return Ok(Phone(format!("+39{national}")));
    }
    Err(match national.as_bytes() {
        [b'1' | b'4', _, _] | [b'1' | b'4', _, _, _] | [b'1' | b'4', _, _, _, _] => PhoneError::Short,
        [b'0', b'3', ..] if national_class(&national[1..]) == Some(PhoneClass::Mobile) => PhoneError::ZeroBeforeMobile,
        [b'2' | b'4'..=b'9', ..] if (6..=10).contains(&national.len()) => PhoneError::ZeroMissing,
        bytes if bytes.len() > 11 => PhoneError::TooLong,
        _ => PhoneError::Pattern,
    })
}

/// The class of an Italian national number; `None` when it is none. A landline whose digits after the zero would be
/// a whole mobile of ten digits is the mobile with a zero too many.
fn national_class(national: &str) -> Option<PhoneClass> {
    let bytes = national.as_bytes();
    match (bytes, bytes.len()) {
        ([b'3', ..], 9..=10) => Some(PhoneClass::Mobile),
        ([b'0', b'3', ..], 11) => None,
        ([b'0', ..], 6..=11) => Some(PhoneClass::Fixed),
        ([b'8', b'0', b'0', ..], 9) | ([b'8', b'0', b'3', ..], 6) => Some(PhoneClass::TollFree),
        ([b'8', b'4' | b'9', ..] | [b'1', b'9', b'9', ..], 6..=10) => Some(PhoneClass::Premium),
        _ => None,
    }
}

impl fmt::Debug for Phone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Phone(***)")
    }
}

impl TryFrom<String> for Phone {
    type Error = PhoneError;

    fn try_from(text: String) -> Result<Self, PhoneError> {
        Self::parse(&text)
    }
}

impl From<Phone> for String {
    fn from(phone: Phone) -> Self {
        phone.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(input: &str, expected: Result<&str, PhoneError>) {
        assert_eq!(Phone::parse(input).as_ref().map(Phone::as_str), expected.as_ref().copied(), "{input:?}");
    }

    #[test]
    fn fixtures_of_italy() {
        let lines = include_str!("../../tests/fixtures/italy/phone_numbers.jsonl");
        let mut seen = 0;
        for line in lines.lines() {
            let case: serde_json::Value = serde_json::from_str(line).unwrap();
            let phone = Phone::parse(case["in"].as_str().unwrap());
            assert_eq!(phone.as_ref().ok().map(Phone::as_str), case["e164"].as_str(), "{line}");
            let class = match phone.map(|phone| phone.class()) {
                Ok(PhoneClass::Mobile) => "mobile",
                Ok(PhoneClass::Fixed) => "fixed",
                Ok(PhoneClass::TollFree) => "toll_free",
                Ok(PhoneClass::Premium) => "premium",
                Ok(PhoneClass::Foreign) => "foreign",
                Err(PhoneError::Withheld) => "withheld",
                Err(PhoneError::Short) => "short",
                Err(_) => "invalid",
            };
            assert_eq!(class, case["class"].as_str().unwrap(), "{line}");
            seen += 1;
        }
        assert_eq!(seen, 23);
    }

    #[test]
    fn errors() {
        check("", Err(PhoneError::Withheld));
        check("sip:anonymous@anonymous.invalid", Err(PhoneError::Withheld));
        check("112", Err(PhoneError::Short));
        check("+39 2 12345678", Err(PhoneError::ZeroMissing));
        check("+39 0347 1234567", Err(PhoneError::ZeroBeforeMobile));
        check("3331234567890123456", Err(PhoneError::TooLong));
        check("333 12 34", Err(PhoneError::Pattern));
        check("333a1234567", Err(PhoneError::Characters));
        check("+0123456789", Err(PhoneError::Pattern));
        check(&"3".repeat(1000), Err(PhoneError::TooLong));
    }

    #[test]
    fn carriers_forms() {
        check("\"Mario\" <sip:+393471234567@host>", Ok("+393471234567"));
        check("SIP:393471234567@host:5060", Ok("+393471234567"));
        check("+14155550100", Ok("+14155550100"));
        check("0044 20 7946 0018", Ok("+442079460018"));
        check("(+39) 347 1234567", Ok("+393471234567"));
        check("893 123456", Ok("+39893123456"));
    }

    #[test]
    fn only_mobiles_take_messages() {
        assert!(Phone::parse("347 1234567").unwrap().may_be_messaged());
        assert!(!Phone::parse("06 12345678").unwrap().may_be_messaged());
        assert_eq!(Phone::parse("347 1234567").unwrap().national(), "3471234567");
        assert_eq!(Phone::parse("+41911234567").unwrap().national(), "+41911234567");
    }

    #[test]
    fn a_phone_is_not_printed() {
        assert_eq!(format!("{:?}", Phone::parse("347 1234567").unwrap()), "Phone(***)");
    }
}
