//! Plates, phone numbers and names as they are dictated.

use pronto::{
    booking::{
        phone::Phone,
        plate::Plate,
        spoken::{self, Asked, say_phone, say_plate},
    },
    language::Language::{self, English, Italian},
};
use proptest::prelude::*;

fn check(kind: &str, read: impl Fn(&str) -> Option<String>, cases: &[(&str, Option<&str>)]) {
    let wrong: Vec<String> = cases
        .iter()
        .filter_map(|(text, expected)| {
            let got = read(text);
            (got.as_deref() != *expected).then(|| format!("{kind} {text:?}: expected {expected:?}, got {got:?}"))
        })
        .collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

fn plate(language: Language) -> impl Fn(&str) -> Option<String> {
    move |text| spoken::plate(text, language).map(|plate| plate.as_str().to_string())
}

fn phone(language: Language) -> impl Fn(&str) -> Option<String> {
    move |text| spoken::phone(text, language).map(|phone| phone.as_str().to_string())
}

fn name(language: Language) -> impl Fn(&str) -> Option<String> {
    move |text| spoken::name(text, language)
}

#[test]
fn italian_plates() {
    check(
        "plate",
        plate(Italian),
        &[
            ("AB123CD", Some("AB123CD")),
            ("ab 123 cd", Some("AB123CD")),
            ("AB 123 CD.", Some("AB123CD")),
            ("la targa è AB123CD", Some("AB123CD")),
            ("La targa è A B 1 2 3 C D", Some("AB123CD")),
            ("A B uno due tre C D", Some("AB123CD")),
            ("A, B, uno, due, tre, C, D", Some("AB123CD")),
            ("a bi uno due tre ci di", Some("AB123CD")),
            ("a bi cento ventitré ci di", Some("AB123CD")),
            ("A B centoventitré C D", Some("AB123CD")),
            ("ancona bologna centoventitré como domodossola", Some("AB123CD")),
            ("Ancona, Bologna, 123, Como, Domodossola.", Some("AB123CD")),
            ("A come Ancona, B come Bologna, 1 2 3, C come Como, D come Domodossola", Some("AB123CD")),
            ("A come Anna B come Barbara 123 C come Carlo D come Davide", Some("AB123CD")),
            ("a di Ancona bi di Bologna 123 ci di Como di di Domodossola", Some("AB123CD")),
            ("effe doppia vi uno due tre ics ipsilon", Some("FW123XY")),
            ("F W 123 X Y", Some("FW123XY")),
            ("effe vu doppia centoventitré ics ipsilon", Some("FW123XY")),
            ("FW-123-XY", Some("FW123XY")),
            ("vu doppia vu zero zero zero erre pi", Some("VW000RP")),
            ("vu doppia erre zero zero zero erre pi", Some("WR000RP")),
            ("gi acca zero zero sette kappa elle", Some("GH007KL")),
            ("G H doppio zero sette K L", Some("GH007KL")),
            ("emme enne novecentonovantanove erre esse", Some("MN999RS")),
            ("emme enne nove novantanove erre esse", Some("MN999RS")),
            ("doppia A 123 BB", Some("AA123BB")),
            ("FX 4 5 6 zeta zeta", Some("FX456ZZ")),
            ("E A 1 2 3 B C", Some("EA123BC")),
            ("è E A 123 B C", Some("EA123BC")),
            ("e a bi uno due tre ci di e poi basta", Some("AB123CD")),
            ("AB 12345", Some("AB12345")),
            ("AB trattino 123 trattino CD", Some("AB123CD")),
            ("AB1O3CD", Some("AB103CD")),
            ("AB123CD, anzi no, AB124CD", Some("AB124CD")),
            ("AB123CD, ripeto, AB123CD", Some("AB123CD")),
            ("ho una Panda, targa DV456GH", Some("DV456GH")),
            ("VW targata DV456GH", Some("DV456GH")),
            // Recognisers write the letter as it sounds.
            ("J ah. Zero zero sei. R C.", Some("JA006RC")),
            ("Y D. Zero uno sei. P ah.", Some("YD016PA")),
            ("ah AB123CD", Some("AB123CD")),
            ("B come Torino O", None),
            ("di come Torino, B, 123, C, D", Some("TB123CD")),
            ("Roma Savona uno uno uno Torino Venezia", Some("RS111TV")),
        ],
    );
}

#[test]
fn italian_texts_without_a_plate() {
    check(
        "plate",
        plate(Italian),
        &[
            ("", None),
            ("AB123CO", None),
            ("AB 12 CD", None),
            ("A B 1 2 3 C", None),
            ("A B C 1 2 3 D E", None),
            ("A B 1 2 3 4 C D", None),
            ("non la ricordo", None),
            ("vorrei un tagliando domani alle nove", None),
            ("333 1234567", None),
            ("ci vediamo domani", None),
            ("ho due macchine", None),
        ],
    );
}

#[test]
fn english_plates() {
    check(
        "plate",
        plate(English),
        &[
            ("AB123CD", Some("AB123CD")),
            ("A B one two three C D", Some("AB123CD")),
            ("the plate is A B one twenty three C D", Some("AB123CD")),
            ("alpha bravo one two three charlie delta", Some("AB123CD")),
            ("A as in Ancona, B as in Bologna, 123, C as in Como, D as in Domodossola", Some("AB123CD")),
            ("A for alpha, B for bravo, one two three, C for Charlie, D for delta", Some("AB123CD")),
            ("F double u one two three X Y", Some("FW123XY")),
            ("eff double you one two three ex why", Some("FW123XY")),
            ("G H double zero seven K L", Some("GH007KL")),
            ("A B one hundred and twenty three C D", Some("AB123CD")),
            ("I see you", None),
            ("I would like a service", None),
        ],
    );
}

#[test]
fn italian_phones() {
    check(
        "phone",
        phone(Italian),
        &[
            ("333 1234567", Some("+393331234567")),
            ("3331234567", Some("+393331234567")),
            ("333.1234567", Some("+393331234567")),
            ("il mio numero è 333 12 34 567", Some("+393331234567")),
            ("tre tre tre dodici trentaquattro cinquecentosessantasette", Some("+393331234567")),
            ("tre tre tre, uno due tre, quarantacinque, sessantasette", Some("+393331234567")),
            ("trecentotrentatré uno due tre quattro cinque sei sette", Some("+393331234567")),
            ("tre quattro sette doppio zero dodici tre quattro cinque", Some("+393470012345")),
            ("più trentanove tre quattro sette uno due tre quattro cinque sei sette", Some("+393471234567")),
            ("+39 347 1234567", Some("+393471234567")),
            ("doppio zero trentanove 347 1234567", Some("+393471234567")),
            ("zero sei sei nove otto due", Some("+39066982")),
            ("zero due, dodici, trentaquattro, cinquantasei, settantotto", Some("+390212345678")),
            ("011/1234567", Some("+390111234567")),
            ("tripla tre 1234567", Some("+393331234567")),
            ("tre tre tre, anzi no, tre tre quattro 1234567", Some("+393341234567")),
            ("sono Mario, 333 1234567, grazie", Some("+393331234567")),
            ("333 trattino 1234567", Some("+393331234567")),
            ("trenta tre tre uno due tre quattro cinque sei", Some("+39333123456")),
        ],
    );
}

#[test]
fn texts_without_a_phone() {
    check(
        "phone",
        phone(Italian),
        &[
            ("", None),
            ("tre tre tre dodici", None),
            ("domani alle 9 e 30", None),
            ("03/05/2026", None),
            ("14/4", None),
            ("AB123CD", None),
            ("non ce l'ho", None),
            ("112", None),
            ("899 123456", None),
        ],
    );
}

#[test]
fn english_phones() {
    check(
        "phone",
        phone(English),
        &[
            ("three three three one two three four five six seven", Some("+393331234567")),
            ("triple three one two three four five six seven", Some("+393331234567")),
            ("three three three twelve thirty four five six seven", Some("+393331234567")),
            ("oh six six nine eight two", Some("+39066982")),
            ("plus thirty nine three four seven one two three four five six seven", Some("+393471234567")),
            ("plus 44 20 7946 0018", Some("+442079460018")),
            ("nine thirty on Monday", None),
        ],
    );
}

#[test]
fn italian_names() {
    check(
        "name",
        name(Italian),
        &[
            ("mi chiamo Mario Rossi", Some("Mario Rossi")),
            ("Mi chiamo Mario Rossi e vorrei un appuntamento", Some("Mario Rossi")),
            ("sono Bianchi", Some("Bianchi")),
            ("Sono Giulia Bianchi, buongiorno", Some("Giulia Bianchi")),
            ("Rossi", Some("Rossi")),
            ("Rossi.", Some("Rossi")),
            ("Mario Rossi", Some("Mario Rossi")),
            ("rossi", Some("Rossi")),
            ("mario rossi", Some("Mario Rossi")),
            ("il nome è Rossi", Some("Rossi")),
            ("a nome Rossi", Some("Rossi")),
            ("a nome di Giulia Verdi", Some("Giulia Verdi")),
            ("sono il signor Verdi", Some("Verdi")),
            ("Sig. Rossi", Some("Rossi")),
            ("sì, Rossi", Some("Rossi")),
            ("allora, Anna De Luca", Some("Anna De Luca")),
            ("Mi chiamo D'Angelo", Some("D'Angelo")),
            ("Buongiorno, sono Lo Bianco", Some("Lo Bianco")),
            ("mi chiamo Nicolò", Some("Nicolò")),
            ("ROSSI", Some("Rossi")),
            ("Rossi, anzi Russo", Some("Russo")),
            ("sono interessato a un tagliando", None),
            ("Sono interessato a un tagliando", None),
            ("Sono in ritardo", None),
            ("sono qui fuori", None),
            ("sì", None),
            ("tagliando", None),
            ("domani alle nove", None),
            ("lunedì", None),
            ("333 1234567", None),
            ("non lo so", None),
            ("Vorrei spostare l'appuntamento", None),
            ("", None),
        ],
    );
    assert_eq!(spoken::introduced_name("Rossi", Italian), None);
    assert_eq!(spoken::introduced_name("sono Rossi", Italian).as_deref(), Some("Rossi"));
}

#[test]
fn english_names() {
    check(
        "name",
        name(English),
        &[
            ("my name is John Smith", Some("John Smith")),
            ("My name's Mary", Some("Mary")),
            ("I'm John", Some("John")),
            ("it's Smith", Some("Smith")),
            ("John Smith", Some("John Smith")),
            ("in the name of Rossi", Some("Rossi")),
            ("Mr. Smith", Some("Smith")),
            ("I'm calling about my car", None),
            ("I'm stuck", None),
            ("yes please", None),
            ("tomorrow", None),
        ],
    );
}

#[test]
fn an_answer_is_complete_when_nothing_more_can_come() {
    let check = |asked, text: &str, expected| {
        assert_eq!(spoken::complete(asked, text, Italian), expected, "{asked:?} {text:?}");
    };
    check(Asked::Plate, "A B 1 2 3 C", false);
    check(Asked::Plate, "A B 1 2 3 C D", true);
    check(Asked::Plate, "A B 1 2 3 D E", true);
    check(Asked::Plate, "AB 123 CD anzi", false);
    check(Asked::Phone, "tre tre tre dodici trentaquattro", false);
    check(Asked::Phone, "tre tre tre dodici trentaquattro cinquantasei", false);
    check(Asked::Phone, "tre tre tre dodici trentaquattro cinquecentosessantasette", true);
    check(Asked::Phone, "zero sei sei nove otto due", false);
    check(Asked::Name, "mi chiamo", false);
    check(Asked::Name, "mi chiamo Mario", false);
    check(Asked::Name, "mi chiamo Mario Rossi", true);
    check(Asked::Date, "il", false);
    check(Asked::Date, "martedì 15 aprile", true);
    check(Asked::Date, "martedì alle", false);
    check(Asked::Time, "alle nove", true);
    check(Asked::Time, "alle nove e", false);
    check(Asked::Time, "nel pomeriggio", false);
    check(Asked::Time, "", false);
}

/// A plate as people dictate it, from choices of a seed.
fn dictated(plate: &str, choices: &[u8]) -> String {
    let names =
        ["a", "bi", "ci", "di", "e", "effe", "gi", "acca", "i", "i lunga", "kappa", "elle", "emme", "enne", "o"];
    let more = ["pi", "cu", "erre", "esse", "ti", "u", "vu", "doppia vu", "ics", "ipsilon", "zeta"];
    let digits = ["zero", "uno", "due", "tre", "quattro", "cinque", "sei", "sette", "otto", "nove"];
    let said = plate.chars().zip(choices).map(|(c, choice)| match (c.to_digit(10), choice % 3) {
        (Some(digit), 0) => digits[digit as usize].to_string(),
        (None, 0) => {
            names.iter().chain(&more).nth(c as usize - 'A' as usize).map_or_else(String::new, ToString::to_string)
        }
        (None, 1) => format!("{c} come {c}ania"),
        (Some(_), _) | (None, _) => c.to_string(),
    });
    said.collect::<Vec<_>>().join(if choices.first().is_some_and(|c| c % 2 == 0) { ", " } else { " " })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_dictated_plate_is_the_same_plate(
        plate in "[A-HJ-NPR-TV-Z]{2}[0-9]{3}[A-HJ-NPR-TV-Z]{2}",
        choices in proptest::collection::vec(any::<u8>(), 7),
    ) {
        let parsed = Plate::parse(&plate).unwrap();
        let said = dictated(&plate, &choices);
        prop_assert_eq!(spoken::plate(&said, Italian), Some(parsed.clone()), "{}", said);
        for language in [Italian, English] {
            let read_back = say_plate(&parsed, language);
            prop_assert_eq!(spoken::plate(&read_back, language), Some(parsed.clone()), "{}", read_back);
        }
    }

    #[test]
    fn a_dictated_phone_is_the_same_phone(digits in "3[0-9]{9}") {
        let phone = Phone::parse(&digits).unwrap();
        let read_back = say_phone(&phone);
        prop_assert_eq!(spoken::phone(&read_back, Italian), Some(phone), "{}", read_back);
    }

    #[test]
    fn no_text_breaks_it(text in "\\PC{0,80}") {
        for language in [Italian, English] {
            let _ = (spoken::plate(&text, language), spoken::phone(&text, language), spoken::name(&text, language));
            for asked in [Asked::Date, Asked::Time, Asked::Plate, Asked::Phone, Asked::Name] {
                let _ = spoken::complete(asked, &text, language);
            }
        }
    }
}
