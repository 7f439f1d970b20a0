//! Whole dialogues with the built-in receptionist, in Italian and English: from the first word to what is booked, noted
//! or put through.

use jiff::civil::date;
use serde_json::json;

use crate::desk::Conversation;

#[test]
fn a_booking() {
    let mut call = Conversation::italian();
    call.runs(&[
        ("Buongiorno, vorrei prenotare un tagliando", "quando"),
        ("Martedì mattina", "martedì 14 aprile alle 8|preferisce"),
        ("Alle nove", "nome"),
        ("Mario Rossi", "targa"),
        (
            "A B uno due tre C D",
            "tagliando, martedì 14 aprile alle 9, a nome Mario Rossi, targa A B 1 2 3 C D|confermo",
        ),
        ("Sì, va bene", "fissato|martedì 14 aprile alle 9|altro"),
        ("No grazie, arrivederci", "arrivederci"),
    ]);
    assert_eq!(call.count("book_appointment"), 1);
    let (_, arguments) = &call.desk.calls.iter().find(|(name, _)| name == "book_appointment").unwrap();
    assert_eq!(
        *arguments,
        json!({"service": "tagliando", "start": "2026-04-14T09:00", "name": "Mario Rossi", "plate": "AB123CD",
               "phone": "+393331234567"})
    );
    assert!(call.desk.ended);
}

#[test]
fn a_booking_in_english() {
    let mut call = Conversation::english();
    call.runs(&[
        ("Hello, I'd like to book a service", "when"),
        ("Tuesday morning", "Tuesday the 14th of April at 8 am|prefer"),
        ("At nine please", "name"),
        ("John Smith", "plate"),
        ("A B one two three C D", "service, Tuesday the 14th of April at 9 am, in the name of John Smith|confirm"),
        ("Yes please", "booked|anything else"),
        ("No thanks, goodbye", "goodbye"),
    ]);
    assert_eq!(call.count("book_appointment"), 1);
    assert!(call.desk.ended);
}

#[test]
fn everything_in_one_sentence() {
    let mut call = Conversation::italian();
    call.runs(&[
        (
            "Buongiorno, sono Mario Rossi, vorrei fare il cambio gomme martedì 14 aprile alle 10, la targa è AB123CD",
            "cambio gomme, martedì 14 aprile alle 10, a nome Mario Rossi|confermo",
        ),
        ("Confermo", "fissato"),
    ]);
    assert_eq!(call.desk.booked.len(), 1);
}

#[test]
fn the_hour_is_changed_in_mid_sentence() {
    let mut call = Conversation::italian();
    call.runs(&[
        ("un tagliando domani alle nove, anzi no, alle undici", "nome"),
        ("Rossi", "targa"),
        ("AB123CD", "venerdì 10 aprile alle 11"),
        ("no aspetti, facciamo alle 10", "venerdì 10 aprile alle 10|confermo"),
        ("anzi, facciamo lunedì", "lunedì 13 aprile alle 10|confermo"),
        ("sì", "fissato: lunedì 13 aprile alle 10"),
    ]);
    assert_eq!(call.desk.booked.len(), 1);
}

#[test]
fn an_hour_without_its_half_of_the_day_is_the_one_that_is_open() {
    let mut call = Conversation::italian();
    call.runs(&[("vorrei una revisione lunedì alle tre", "nome"), ("Bianchi", "targa"), ("AB123CD", "alle 15")]);
}

#[test]
fn a_plate_with_errors() {
    let mut call = Conversation::italian();
    call.runs(&[
        ("tagliando lunedì alle 9", "nome"),
        ("Rossi", "targa"),
        ("A B uno due tre C O", "non ho capito bene la targa|come Ancona"),
        ("A come Ancona B come Bari uno due tre", "colleg"),
        ("A come Ancona, B come Bari, uno due tre, C come Como, D come Domodossola", "A B 1 2 3 C D|confermo"),
        ("no, la targa è sbagliata", "targa"),
        ("A B uno due quattro C D", "A B 1 2 4 C D|confermo"),
        ("esatto", "fissato"),
    ]);
    assert_eq!(call.desk.booked[0].3, "AB124CD");
}

#[test]
fn a_plate_dictated_in_pieces() {
    let mut call = Conversation::italian();
    call.runs(&[("tagliando lunedì alle 9", "nome"), ("Rossi", "targa")]);
    call.says("A B uno due tre");
    call.runs(&[("C D", "A B 1 2 3 C D|confermo")]);
}

#[test]
fn a_plate_with_an_h_and_a_zero_is_no_midnight() {
    let mut call = Conversation::italian();
    call.runs(&[
        ("tagliando lunedì alle 9", "nome"),
        ("Rossi", "targa"),
        ("R H. Zero due nove. C L.", "alle 9|R H 0 2 9 C L|confermo"),
    ]);
}

#[test]
fn an_hour_misheard_in_a_plate_changes_no_appointment() {
    let mut call = Conversation::italian();
    call.runs(&[("tagliando lunedì alle 9", "nome"), ("Rossi", "targa")]);
    call.says("K J. Zero alle dodici. N N.");
    call.runs(&[("K J. Zero due cinque. S N.", "alle 9|K J 0 2 5 S N|confermo")]);
}

#[test]
fn the_slot_is_taken_in_the_meantime() {
    let mut call = Conversation::italian();
    call.runs(&[("tagliando lunedì alle 9", "nome"), ("Rossi", "targa"), ("AB123CD", "confermo")]);
    call.desk.busy.push(date(2026, 4, 13).at(9, 0, 0, 0));
    call.runs(&[
        ("sì", "appena stato preso|lunedì 13 aprile alle 8 o alle 10"),
        ("alle dieci", "lunedì 13 aprile alle 10|confermo"),
        ("sì", "fissato"),
    ]);
    assert_eq!(call.desk.booked.len(), 1);
}

#[test]
fn the_hour_wanted_is_not_free() {
    let mut call = Conversation::italian();
    call.desk.busy.push(date(2026, 4, 13).at(9, 0, 0, 0));
    call.runs(&[
        ("tagliando lunedì alle 9", "a quell'ora|alle 8"),
        ("la prima", "nome"),
        ("Rossi", "targa"),
        ("AB123CD", "lunedì 13 aprile alle 8|confermo"),
    ]);
}

#[test]
fn the_day_wanted_is_closed() {
    let mut call = Conversation::italian();
    call.runs(&[
        ("tagliando domenica", "quel giorno|lunedì 13 aprile alle 8"),
        ("no", "quale altro giorno"),
        ("mercoledì pomeriggio", "mercoledì 15 aprile alle 14"),
        ("l'ultima", "nome"),
    ]);
    call.runs(&[("Verdi", "targa"), ("AB123CD", "mercoledì 15 aprile alle 17|confermo")]);
}

#[test]
fn as_soon_as_possible() {
    let mut call = Conversation::italian();
    call.runs(&[
        ("ho bisogno di una revisione il prima possibile", "venerdì 10 aprile alle 8"),
        ("va bene la seconda", "nome"),
        ("Verdi", "targa"),
        ("AB123CD", "venerdì 10 aprile alle 9|confermo"),
    ]);
}

#[test]
fn weekday_and_date_disagree() {
    let mut call = Conversation::italian();
    call.runs(&[
        ("tagliando martedì 15 aprile alle 9", "martedì 14 aprile o mercoledì 15 aprile"),
        ("mercoledì", "nome"),
        ("Rossi", "targa"),
        ("AB123CD", "mercoledì 15 aprile alle 9"),
    ]);
    let mut call = Conversation::english();
    call.runs(&[
        ("a service on Tuesday the 15th of April at nine", "Tuesday the 14th of April or Wednesday the 15th of April"),
        ("the 15th", "name"),
    ]);
}

#[test]
fn a_day_in_the_past() {
    let mut call = Conversation::italian();
    call.runs(&[("tagliando il 3 marzo", "già passato"), ("il 13 aprile alle 9", "nome")]);
}

#[test]
fn a_withheld_number_is_asked_for() {
    let mut call = Conversation::italian().withheld();
    call.runs(&[
        ("tagliando lunedì alle 9", "nome"),
        ("Rossi", "targa"),
        ("AB123CD", "telefono"),
        ("tre tre tre", "telefono|cifra per cifra"),
        ("tre tre tre dodici trentaquattro cinquecentosessantasette", "confermo"),
        ("sì", "fissato"),
    ]);
    assert_eq!(call.desk.calls.last().unwrap().1["phone"], "+393331234567");
}

#[test]
fn a_message() {
    let mut call = Conversation::italian();
    call.runs(&[
        ("vorrei lasciare un messaggio", "messaggio"),
        ("la macchina fa un rumore strano davanti, domani passo a farla vedere", "nome"),
        ("Giulia Verdi", "preso nota|altro"),
        ("no, arrivederci", "arrivederci"),
    ]);
    assert_eq!(
        call.desk.messages,
        [json!({"name": "Giulia Verdi", "phone": "+393331234567",
                "text": "la macchina fa un rumore strano davanti, domani passo a farla vedere"})]
    );
    assert_eq!(call.count("find_slots"), 0);
}

#[test]
fn a_colleague() {
    let mut call = Conversation::italian();
    call.runs(&[("vorrei parlare con una persona", "la passo a un collega")]);
    assert!(call.desk.transferred);
}

#[test]
fn no_colleague_can_answer() {
    let mut call = Conversation::italian();
    call.desk.forced.push(("transfer_to_human", json!({"ok": false, "error": "unavailable"})));
    call.runs(&[
        ("un operatore per favore", "non possono rispondere|messaggio"),
        ("sì", "messaggio"),
        ("devo sapere se la macchina è pronta", "nome"),
        ("Rossi", "preso nota"),
    ]);
    assert_eq!(call.desk.messages.len(), 1);
}

#[test]
fn prices_are_for_the_staff() {
    let mut call = Conversation::italian();
    call.runs(&[("quanto costa un cambio gomme?", "prezzi|quando"), ("lunedì alle 9", "nome")]);
    let mut call = Conversation::italian();
    call.runs(&[("quanto costa un tagliando?", "da 79 euro|quando"), ("lunedì alle 9", "nome")]);
    let mut call = Conversation::italian();
    call.runs(&[("a che ora siete aperti?", "orari|messaggio")]);
}

#[test]
fn silence_and_garbage() {
    let mut call = Conversation::italian();
    call.runs(&[
        ("mmh", "non ho capito"),
        ("bla bla", "messaggio o parlare con un collega"),
        ("blu", "messaggio o parlare con un collega"),
        ("zzz", "arrivederci"),
    ]);
    assert!(call.desk.ended);
    assert_eq!(call.desk.messages.len(), 1);
    assert!(call.desk.messages[0]["text"].as_str().unwrap().contains("blu"));
}

#[test]
fn garbage_in_the_middle_is_asked_again_in_other_words() {
    let mut call = Conversation::italian();
    call.runs(&[
        ("tagliando", "quando"),
        ("la la la", "che giorno preferisce"),
        ("la la la", "messaggio o parlare con un collega"),
        ("lunedì alle 9", "nome"),
        ("come scusi?", "a che nome"),
        ("Rossi", "targa"),
        ("un attimo che vado a vedere", "con calma"),
        ("AB123CD", "confermo"),
        ("forse", "solo sì o no"),
        ("sì", "fissato"),
    ]);
}

#[test]
fn the_caller_does_not_know_the_plate() {
    let mut call = Conversation::italian();
    call.runs(&[
        ("tagliando lunedì alle 9", "nome"),
        ("Rossi", "targa"),
        ("non me la ricordo", "senza targa|messaggio"),
        ("aspetti, eccola, AB123CD", "confermo"),
    ]);
}

#[test]
fn goodbye_at_any_time() {
    let mut call = Conversation::italian();
    call.runs(&[("tagliando lunedì alle 9", "nome"), ("non importa, richiamo io, arrivederci", "")]);
    let mut call = Conversation::italian();
    call.runs(&[("tagliando", "quando"), ("arrivederci", "arrivederci")]);
    assert!(call.desk.ended);
    assert_eq!(call.desk.booked.len(), 0);
}

#[test]
fn thanks_are_no_second_booking() {
    let mut call = Conversation::italian();
    call.runs(&[
        ("Mario Rossi, tagliando lunedì alle 9, targa AB123CD, mi chiamo Mario Rossi", "confermo"),
        ("sì", "fissato"),
        ("allora il tagliando lunedì alle nove, perfetto, grazie", "altro"),
        ("sì sì, va bene, ci vediamo lunedì", ""),
        ("no, arrivederci", "arrivederci"),
    ]);
    assert_eq!(call.count("book_appointment"), 1);
}

#[test]
fn a_second_booking_on_purpose() {
    let mut call = Conversation::italian();
    call.runs(&[
        ("tagliando lunedì alle 9, mi chiamo Mario Rossi, targa AB123CD", "confermo"),
        ("sì", "fissato"),
        ("vorrei prenotare anche il cambio gomme", "quando"),
        ("martedì alle 10", "cambio gomme, martedì 14 aprile alle 10|confermo"),
        ("sì", "fissato"),
    ]);
    assert_eq!(call.desk.booked.len(), 2);
}

#[test]
fn the_calendar_is_broken() {
    let mut call = Conversation::italian();
    call.desk.forced.push(("find_slots", json!({"ok": false, "error": "unavailable"})));
    call.runs(&[
        ("tagliando lunedì alle 9", "non riesco a usare l'agenda|messaggio"),
        ("sì, un messaggio", "messaggio"),
        ("vorrei un tagliando lunedì alle 9", "nome"),
        ("Rossi", "preso nota"),
    ]);
    assert_eq!(call.desk.messages.len(), 1);
}

#[test]
fn a_booking_that_is_refused() {
    let mut call = Conversation::italian();
    call.desk
        .forced
        .push(("book_appointment", json!({"ok": false, "error": "bad_plate", "field": "plate", "say": "?"})));
    call.desk.forced.push(("book_appointment", json!({"ok": false, "error": "closed", "say": "Alle 9 siamo chiusi."})));
    call.runs(&[
        ("tagliando lunedì alle 9, mi chiamo Mario Rossi, targa AB123CD", "confermo"),
        ("sì", "targa"),
        ("AB124CD", "confermo"),
        ("sì", "siamo chiusi|quale altro giorno"),
        ("martedì alle 10", "confermo"),
        ("sì", "fissato"),
    ]);
    assert_eq!(call.desk.booked.len(), 1);
}

#[test]
fn a_change_that_names_what_is_given_up() {
    let mut call = Conversation::italian();
    call.runs(&[
        ("un cambio gomme domani alle 9, mi chiamo Verdi, targa AB123CD", "confermo"),
        ("sì ma facciamo alle dieci invece delle nove", "venerdì 10 aprile alle 10|confermo"),
    ]);
    assert_eq!(call.count("book_appointment"), 0);
}

#[test]
fn anything_else() {
    let booked = || {
        let mut call = Conversation::italian();
        call.runs(&[("tagliando lunedì alle 9, mi chiamo Mario Rossi, targa AB123CD", "confermo"), ("sì", "altro")]);
        call
    };
    booked().runs(&[("sì", "mi dica")]);
    booked().runs(&[("perfetto grazie mille", "arrivederci")]);
    booked().runs(&[("no basta così", "arrivederci")]);
}

#[test]
fn another_day_while_booking_moves_nothing() {
    let mut call = Conversation::italian();
    call.runs(&[
        ("tagliando lunedì", "preferisce"),
        ("facciamo un altro giorno", "quale altro giorno"),
        ("spostiamo a mercoledì alle 10", "nome"),
    ]);
    assert_eq!(call.count("find_appointments"), 0);
}

#[test]
fn a_car_that_may_be_ready() {
    let mut call = Conversation::italian();
    call.runs(&[("vorrei sapere se la mia macchina è pronta", "officina|messaggio"), ("un collega", "la passo")]);
    assert!(call.desk.transferred);
}

#[test]
fn call_me_back() {
    let mut call = Conversation::english();
    call.runs(&[
        ("can someone call me back?", "message"),
        ("my brakes are squeaking", "name"),
        ("Smith", "made a note"),
        ("no thanks", "goodbye"),
    ]);
    assert_eq!(call.desk.messages[0]["name"], "Smith");
}

#[test]
fn a_closed_day_is_explained_each_time() {
    let mut call = Conversation::italian();
    call.runs(&[("revisione domenica", "quel giorno"), ("allora sabato", "quel giorno"), ("lunedì alle 8", "nome")]);
}
