//! Numbers in words: "centoventitré", "cento venti tré", "two hundred and five", and plain digits; and Italian ones the
//! other way around.

use super::words::Word;
use crate::language::Language;

/// The number these words begin with, and how many words it takes.
pub(super) fn number(words: &[Word], language: Language) -> Option<(u32, usize)> {
    let first = words.first()?;
    if first.is_digits() {
        return first.text.parse().ok().map(|value| (value, 1));
    }
    cardinal(words, language)
}

/// As [`number`], but only in words.
pub(super) fn cardinal(words: &[Word], language: Language) -> Option<(u32, usize)> {
    let mut value = single(&words.first()?.text, language)?;
    let mut used = 1;
    while let Some(next) = words.get(used) {
        // "Two hundred and five": the "and" belongs to the number only inside it.
        let and = usize::from(
            language == Language::English
                && next.text == "and"
                && value.is_multiple_of(100)
                && value > 0
                && !next.pause,
        );
        let Some(next) = words.get(used + and).filter(|word| !word.pause) else { break };
        let Some(joined) = single(&next.text, language).and_then(|next_value| join(value, next_value)) else { break };
        value = joined;
        used += and + 1;
    }
    Some((value, used))
}

/// Two numbers said one after the other as one: "cento" "ventitré", "venti" "tre", "two" "hundred".
fn join(value: u32, next: u32) -> Option<u32> {
    match (value, next) {
        (2..=9, 100) | (1, 100) => Some(value * 100),
        (2..=999, 1000) | (1, 1000) => Some(value * 1000),
        (_, 1..=999) if value >= 1000 && value.is_multiple_of(1000) => Some(value + next),
        (_, 1..=99) if value >= 100 && value.is_multiple_of(100) => Some(value + next),
        (_, 1..=9) if value % 100 >= 20 && value.is_multiple_of(10) => Some(value + next),
        _ => None,
    }
}

/// One word as a number.
pub(super) fn single(word: &str, language: Language) -> Option<u32> {
    match language {
        Language::Italian => italian(word),
        Language::English => english(word),
    }
}

const UNITS: [&str; 20] = [
    "zero",
    "uno",
    "due",
    "tre",
    "quattro",
    "cinque",
    "sei",
    "sette",
    "otto",
    "nove",
    "dieci",
    "undici",
    "dodici",
    "tredici",
    "quattordici",
    "quindici",
    "sedici",
    "diciassette",
    "diciotto",
    "diciannove",
];
const TENS: [(&str, u32); 8] = [
    ("venti", 20),
    ("trenta", 30),
    ("quaranta", 40),
    ("cinquanta", 50),
    ("sessanta", 60),
    ("settanta", 70),
    ("ottanta", 80),
    ("novanta", 90),
];

/// Italian writes a number as one word, whatever its length.
fn italian(word: &str) -> Option<u32> {
    if let Some((thousands, rest)) = word.split_once("mila") {
        return Some(italian_hundreds(thousands).filter(|n| *n >= 2)? * 1000 + italian_rest(rest)?);
    }
    if let Some(rest) = word.strip_prefix("mille") {
        return Some(1000 + italian_rest(rest)?);
    }
    if word == "mila" {
        return Some(1000);
    }
    italian_hundreds(word)
}

fn italian_rest(word: &str) -> Option<u32> {
    if word.is_empty() { Some(0) } else { italian_hundreds(word) }
}

fn italian_hundreds(word: &str) -> Option<u32> {
    let Some(at) = word.find("cent") else { return italian_tens(word) };
    let hundreds = match &word[..at] {
        "" => 1,
        unit => italian_tens(unit).filter(|n| (2..=9).contains(n))?,
    };
    let rest = &word[at + "cent".len()..];
    // "Centootto" and "centotto" are both said.
    let rest = rest.strip_prefix('o').filter(|rest| !rest.starts_with("tt")).unwrap_or(rest);
    Some(hundreds * 100 + if rest.is_empty() { 0 } else { italian_tens(rest)? })
}

fn italian_tens(word: &str) -> Option<u32> {
    if word == "un" || word == "una" {
        return None; // an article far more often than a number
    }
    if let Some(unit) = UNITS.iter().position(|unit| *unit == word) {
        return u32::try_from(unit).ok();
    }
    TENS.iter().find_map(|(name, value)| {
        let rest = match word.strip_prefix(name) {
            Some(rest) => rest,
            // The vowel is dropped before another: ventuno, ventotto.
            None => word.strip_prefix(&name[..name.len() - 1]).filter(|rest| matches!(*rest, "uno" | "un" | "otto"))?,
        };
        let unit = match rest {
            "" => 0,
            "un" => 1,
            _ => UNITS[..10].iter().position(|unit| *unit == rest).filter(|unit| *unit > 0)?,
        };
        Some(value + u32::try_from(unit).ok()?)
    })
}

/// An Italian number in words, as one writes it: "ventuno", "ventotto", "ventitré".
///
/// ```
/// use pronto::booking::spoken::italian_number;
/// assert_eq!([23, 28, 108, 2_026].map(italian_number), ["ventitré", "ventotto", "centotto", "duemilaventisei"]);
/// ```
pub fn italian_number(value: u16) -> String {
    let mut said = unaccented(value);
    // A three that ends a longer word has the stress.
    if value > 3 && said.ends_with("tre") {
        said.pop();
        said.push('é');
    }
    said
}

fn unaccented(value: u16) -> String {
    let ten = |value: u16| TENS[usize::from(value / 10 - 2)].0;
    let (mut head, rest) = match value {
        0..=19 => return UNITS[usize::from(value)].to_owned(),
        20..=99 => match value % 10 {
            // The vowel is dropped before another.
            unit @ (1 | 8) => (ten(value)[..ten(value).len() - 1].to_owned(), unit),
            unit => (ten(value).to_owned(), unit),
        },
        100..=199 => ("cento".to_owned(), value % 100),
        200..=999 => (format!("{}cento", unaccented(value / 100)), value % 100),
        1_000..=1_999 => ("mille".to_owned(), value % 1_000),
        2_000.. => (format!("{}mila", unaccented(value / 1_000)), value % 1_000),
    };
    if rest == 0 {
        return head;
    }
    let rest = unaccented(rest);
    if head.ends_with("cento") && rest.starts_with("ott") {
        head.pop();
    }
    head + &rest
}

fn english(word: &str) -> Option<u32> {
    const UNITS: [&str; 20] = [
        "zero",
        "one",
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
        "nine",
        "ten",
        "eleven",
        "twelve",
        "thirteen",
        "fourteen",
        "fifteen",
        "sixteen",
        "seventeen",
        "eighteen",
        "nineteen",
    ];
    const TENS: [&str; 8] = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];
    if let Some(unit) = UNITS.iter().position(|unit| *unit == word) {
        return u32::try_from(unit).ok();
    }
    match word {
        "hundred" => Some(100),
        "thousand" => Some(1000),
        "fourty" => Some(40),
        _ => TENS.iter().position(|ten| *ten == word).and_then(|ten| u32::try_from(ten).ok()).map(|ten| 20 + ten * 10),
    }
}

/// The ordinal these words begin with ("primo", "14th", "twenty first"), and how many words it takes.
pub(super) fn ordinal(words: &[Word], language: Language) -> Option<(u32, usize)> {
    let first = &words.first()?.text;
    match language {
        Language::Italian => (first == "primo").then_some((1, 1)),
        Language::English => {
            let digits = ["st", "nd", "rd", "th"].iter().find_map(|end| first.strip_suffix(end));
            if let Some(value) = digits.and_then(|digits| digits.parse().ok()) {
                return Some((value, 1));
            }
            if let Some(value) = english_ordinal(first) {
                return Some((value, 1));
            }
            let tens = english(first).filter(|tens| *tens >= 20 && tens.is_multiple_of(10) && *tens < 100)?;
            let unit = english_ordinal(&words.get(1)?.text).filter(|unit| *unit < 10)?;
            Some((tens + unit, 2))
        }
    }
}

fn english_ordinal(word: &str) -> Option<u32> {
    const FIRST: [(&str, u32); 7] =
        [("first", 1), ("second", 2), ("third", 3), ("fifth", 5), ("eighth", 8), ("ninth", 9), ("twelfth", 12)];
    if let Some((_, value)) = FIRST.iter().find(|(name, _)| *name == word) {
        return Some(*value);
    }
    if word == "twentieth" || word == "thirtieth" {
        return Some(if word == "twentieth" { 20 } else { 30 });
    }
    english(word.strip_suffix("th")?).filter(|value| *value < 20)
}

#[cfg(test)]
mod tests {
    use super::{super::words::words, *};

    fn check(text: &str, language: Language, expected: Option<(u32, usize)>) {
        assert_eq!(number(&words(text, language), language), expected, "{text:?}");
    }

    #[test]
    fn italian_numbers() {
        let cases = [
            ("zero", 0),
            ("otto", 8),
            ("ventuno", 21),
            ("ventotto", 28),
            ("ventitré", 23),
            ("trentun", 31),
            ("cento", 100),
            ("centootto", 108),
            ("centotto", 108),
            ("centottanta", 180),
            ("centootto", 108),
            ("centoventitré", 123),
            ("duecentocinque", 205),
            ("cinquecentosessantasette", 567),
            ("mille", 1000),
            ("milleduecento", 1200),
            ("duemilaventisei", 2026),
            ("millenovecentonovantaquattro", 1994),
            ("quarantacinquemila", 45_000),
        ];
        for (text, value) in cases {
            check(text, Language::Italian, Some((value, 1)));
        }
        check("cento ventitré", Language::Italian, Some((123, 2)));
        check("cento venti tre", Language::Italian, Some((123, 3)));
        check("due cento cinque", Language::Italian, Some((205, 3)));
        check("venti, tre", Language::Italian, Some((20, 1)));
        check("tre tre", Language::Italian, Some((3, 1)));
        check("15 30", Language::Italian, Some((15, 1)));
        check("centesimi", Language::Italian, None);
        check("una", Language::Italian, None);
        check("milano", Language::Italian, None);
        check("cent", Language::Italian, Some((100, 1)));
    }

    #[test]
    fn english_numbers() {
        check("twenty three", Language::English, Some((23, 2)));
        check("twenty-three", Language::English, Some((23, 2)));
        check("two hundred and five", Language::English, Some((205, 4)));
        check("one hundred and", Language::English, Some((100, 2)));
        check("two thousand twenty six", Language::English, Some((2026, 4)));
        check("one twenty three", Language::English, Some((1, 1)));
    }

    #[test]
    fn ordinals() {
        let check = |text: &str, language, expected| {
            assert_eq!(ordinal(&words(text, language), language), expected, "{text:?}");
        };
        check("14th", Language::English, Some((14, 1)));
        check("twenty first", Language::English, Some((21, 2)));
        check("thirtieth", Language::English, Some((30, 1)));
        check("sixth", Language::English, Some((6, 1)));
        check("primo", Language::Italian, Some((1, 1)));
        check("month", Language::English, None);
    }

    #[test]
    fn every_number_is_read_back() {
        for value in 0..=u16::MAX {
            check(&italian_number(value), Language::Italian, Some((value.into(), 1)));
        }
    }

    #[test]
    fn numbers_are_written_as_italians_do() {
        for (value, text) in [
            (0, "zero"),
            (3, "tre"),
            (13, "tredici"),
            (21, "ventuno"),
            (23, "ventitré"),
            (28, "ventotto"),
            (30, "trenta"),
            (103, "centotré"),
            (181, "centottantuno"),
            (1_994, "millenovecentonovantaquattro"),
            (3_000, "tremila"),
            (21_003, "ventunomilatré"),
        ] {
            assert_eq!(italian_number(value), text);
        }
    }
}
