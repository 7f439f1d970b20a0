//! Sentences in two languages: lists in words, which question a sentence asks, and pieces for the voice.

use jiff::civil::DateTime;

use crate::{
    booking::spoken::{
        lists::list,
        say_date, say_time,
        words::{Word, words},
    },
    language::Language,
};

/// What we, or a model before us, asked the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Question {
    /// A message or a colleague?
    Help,
    /// Is this right?
    Confirm,
    /// Anything else?
    More,
    /// Which of these appointments?
    Which,
    /// Which of these slots?
    Choice,
    /// What is to be corrected?
    Change,
    /// What is the message?
    Message,
    Plate,
    Phone,
    Name,
    Hour,
    Day,
    Service,
    /// How can I help?
    Open,
}

/// In this order: "il nome o la targa?" asks for a correction, not for a plate.
const QUESTIONS: [(Question, &str); 14] = [
    (Question::Help, "receptionist.asks_help"),
    (Question::Confirm, "receptionist.asks_confirm"),
    (Question::More, "receptionist.asks_more"),
    (Question::Which, "receptionist.asks_which"),
    (Question::Choice, "receptionist.asks_choice"),
    (Question::Change, "receptionist.asks_change"),
    (Question::Message, "receptionist.asks_message"),
    (Question::Plate, "receptionist.asks_plate"),
    (Question::Phone, "receptionist.asks_phone"),
    (Question::Name, "receptionist.asks_name"),
    (Question::Hour, "receptionist.asks_hour"),
    (Question::Day, "receptionist.asks_day"),
    (Question::Service, "receptionist.asks_service"),
    (Question::Open, "receptionist.asks_open"),
];

/// The question a text of ours asks: that of its last sentence with a question mark, else of the whole.
pub(super) fn question(text: &str, language: Language) -> Option<Question> {
    let asks = |text: &str, is_question: bool| {
        let words = words(text, language);
        QUESTIONS.into_iter().find_map(|(question, key)| {
            // "Le confermo che è prenotato" asks nothing.
            let possible = is_question || !matches!(question, Question::Confirm | Question::Choice | Question::More);
            (possible && mentions(&words, language, key)).then_some(question)
        })
    };
    let last = text.split_inclusive(['.', '?', '!', '…']).rfind(|sentence| sentence.trim_end().ends_with('?'));
    last.and_then(|sentence| asks(sentence, true)).or_else(|| asks(text, false))
}

/// How many words the longest item of a list takes at the start of the words.
pub(super) fn begins(words: &[Word], language: Language, key: &'static str) -> usize {
    list(language, key).longest(words).map_or(0, |(used, _)| used)
}

/// Where an item of a list is first mentioned, and how many words it takes.
pub(super) fn find(words: &[Word], language: Language, key: &'static str) -> Option<(usize, usize)> {
    let list = list(language, key);
    (0..words.len()).find_map(|at| list.longest(&words[at..]).map(|(used, _)| (at, used)))
}

/// Whether an item of a list is mentioned.
pub(super) fn mentions(words: &[Word], language: Language, key: &'static str) -> bool {
    find(words, language, key).is_some()
}

/// "martedì 14 aprile alle 9"
pub(super) fn say_start(start: DateTime, language: Language) -> String {
    format!("{} {}", say_date(start.date(), language), say_time(start.time(), language))
}

/// "martedì 14 aprile alle 9, alle 10 o alle 11": the day is said once.
pub(super) fn say_starts(starts: &[DateTime], language: Language) -> String {
    let mut said: Vec<String> = Vec::new();
    let mut day = None;
    for start in starts {
        said.push(if day == Some(start.date()) {
            say_time(start.time(), language)
        } else {
            say_start(*start, language)
        });
        day = Some(start.date());
    }
    join_or(&said, language)
}

/// "a, b o c"
pub(super) fn join_or(items: &[String], language: Language) -> String {
    match items {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} {} {last}", first.join(", "), language.phrases().text("receptionist.or")),
    }
}

/// The text in pieces of a few words, as a model would stream it; together they are the text.
pub(super) fn pieces(text: &str) -> Vec<String> {
    let mut pieces: Vec<String> = Vec::new();
    for (index, word) in text.split_inclusive(' ').enumerate() {
        match pieces.last_mut().filter(|_| index % 4 != 0) {
            Some(piece) => piece.push_str(word),
            None => pieces.push(word.to_string()),
        }
    }
    pieces
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn every_question_of_ours_is_recognised() {
        use Question::*;
        let ours: [(&'static str, Question); 38] = [
            ("receptionist.open", Open),
            ("receptionist.open_again", Open),
            ("receptionist.more", More),
            ("receptionist.more_again", More),
            ("receptionist.service", Service),
            ("receptionist.service_again", Service),
            ("receptionist.when", Day),
            ("receptionist.when_again", Day),
            ("receptionist.when_else", Day),
            ("receptionist.hour", Hour),
            ("receptionist.hour_again", Hour),
            ("receptionist.offer_one", Choice),
            ("receptionist.offer", Choice),
            ("receptionist.offer_again", Choice),
            ("receptionist.no_slots", Day),
            ("receptionist.name", Name),
            ("receptionist.name_again", Name),
            ("receptionist.plate", Plate),
            ("receptionist.plate_again", Plate),
            ("receptionist.plate_needed", Help),
            ("receptionist.phone", Phone),
            ("receptionist.phone_again", Phone),
            ("receptionist.confirm_book", Confirm),
            ("receptionist.confirm_move", Confirm),
            ("receptionist.confirm_cancel", Confirm),
            ("receptionist.change", Change),
            ("receptionist.change_again", Change),
            ("receptionist.which", Which),
            ("receptionist.which_again", Which),
            ("receptionist.move_to", Day),
            ("receptionist.find_plate", Plate),
            ("receptionist.message", Message),
            ("receptionist.message_again", Message),
            ("receptionist.help", Help),
            ("receptionist.help_message", Help),
            ("receptionist.no_human", Help),
            ("receptionist.callback", Help),
            ("receptionist.past", Day),
        ];
        for language in [Language::Italian, Language::English] {
            for (key, expected) in ours {
                let text = language.phrases().text(key);
                assert_eq!(question(text, language), Some(expected), "{language:?} {key}: {text}");
            }
            for key in ["receptionist.booked", "receptionist.pending", "receptionist.goodbye", "call.filler"] {
                assert_eq!(question(language.phrases().text(key), language), None, "{language:?} {key}");
            }
        }
    }

    #[test]
    fn questions_of_other_models() {
        let check = |text, expected| assert_eq!(question(text, Language::Italian), expected, "{text}");
        check("Perfetto! Mi può dire la targa della sua auto?", Some(Question::Plate));
        check("Ho disponibilità martedì 14 aprile alle 9. Le va bene?", Some(Question::Choice));
        check("A che nome devo registrare l'appuntamento?", Some(Question::Name));
        check("Le confermo che l'appuntamento è fissato per martedì.", None);
        check("Riepilogo: tagliando martedì alle 9, targa AB123CD. È corretto?", Some(Question::Confirm));
        check("Posso aiutarla con altro?", Some(Question::More));
    }

    #[test]
    fn slots_are_said_with_each_day_once() {
        let at = |day, hour, minute| date(2026, 4, day).at(hour, minute, 0, 0);
        let said = say_starts(&[at(14, 9, 0), at(14, 10, 30), at(15, 9, 0)], Language::Italian);
        assert_eq!(said, "martedì 14 aprile alle 9, alle 10 e 30 o mercoledì 15 aprile alle 9");
    }

    #[test]
    fn pieces_are_the_text() {
        let text = "Allora: tagliando, martedì 14 aprile alle 9. Confermo?";
        assert!(pieces(text).len() > 1);
        assert_eq!(pieces(text).concat(), text);
        assert!(pieces("").is_empty());
    }
}
