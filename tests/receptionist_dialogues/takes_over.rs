//! The receptionist takes over a conversation of another model, or one that was cut.

use serde_json::json;

use crate::desk::Conversation;

fn slots() -> serde_json::Value {
    json!({"ok": true, "service": "tagliando", "minutes": 60, "slots": [
        {"start": "2026-04-14T09:00", "say": "martedì 14 aprile alle 9"},
        {"start": "2026-04-14T10:00", "say": "martedì 14 aprile alle 10"},
    ]})
}

#[test]
fn in_the_middle_of_an_offer() {
    let mut call = Conversation::italian();
    call.heard("Salve, dovrei fare il tagliando alla mia Panda");
    call.agent("Certamente! Quando le farebbe comodo portarla?");
    call.heard("martedì mattina se possibile");
    call.asked("find_slots", json!({"service": "tagliando", "date": "2026-04-14", "part": "morning"}), Some(slots()));
    call.agent("Ho disponibilità martedì alle 9 oppure alle 10, cosa preferisce?");
    call.runs(&[
        ("alle dieci", "nome"),
        ("Mario Rossi", "targa"),
        ("AB123CD", "tagliando, martedì 14 aprile alle 10|confermo"),
        ("sì", "fissato"),
    ]);
    assert_eq!(call.count("find_slots"), 0, "the slots were known");
    assert_eq!(call.count("book_appointment"), 1);
}

#[test]
fn after_the_plate_was_asked() {
    let mut call = Conversation::italian();
    call.heard("Salve, sono Giulia Bianchi, tagliando martedì alle nove");
    call.asked("find_slots", json!({"service": "tagliando", "date": "2026-04-14", "time": "09:00"}), Some(slots()));
    call.agent("Perfetto signora Bianchi, alle 9 c'è posto. Mi può dire la targa della sua auto?");
    call.runs(&[("A B 1 2 3 C D", "a nome Giulia Bianchi|A B 1 2 3 C D|confermo"), ("certo", "fissato")]);
}

#[test]
fn after_a_yes_to_an_offer_of_the_model() {
    let mut call = Conversation::italian();
    call.heard("vorrei un tagliando");
    call.agent("Le va bene martedì 14 aprile alle 9?");
    call.runs(&[("sì perfetto", "nome"), ("Rossi", "targa"), ("AB123CD", "martedì 14 aprile alle 9|confermo")]);
}

#[test]
fn a_booking_already_made_is_not_made_again() {
    let mut call = Conversation::italian();
    call.heard("tagliando martedì alle nove, sono Mario Rossi, targa AB123CD");
    call.agent("Tagliando martedì 14 aprile alle 9, confermo?");
    call.heard("sì");
    call.asked(
        "book_appointment",
        json!({"service": "tagliando", "start": "2026-04-14T09:00", "name": "Mario Rossi", "plate": "AB123CD"}),
        Some(json!({"ok": true, "id": "A1", "start": "2026-04-14T09:00", "service": "tagliando", "say": "fatto"})),
    );
    // The model died before it could say so.
    let said = call.goes_on();
    assert!(said.contains("fissato: martedì 14 aprile alle 9"), "{said}");
    call.runs(&[("sì, martedì alle nove il tagliando", "altro"), ("no grazie", "arrivederci")]);
    assert_eq!(call.count("book_appointment"), 0);
}

#[test]
fn a_booking_told_by_the_model_is_not_told_twice() {
    let mut call = Conversation::italian();
    call.heard("tagliando martedì alle nove, sono Mario Rossi, targa AB123CD");
    call.asked(
        "book_appointment",
        json!({"service": "tagliando", "start": "2026-04-14T09:00", "name": "Mario Rossi", "plate": "AB123CD"}),
        Some(json!({"ok": true, "id": "A1", "start": "2026-04-14T09:00", "service": "tagliando", "say": "fatto"})),
    );
    call.agent("Perfetto, ho prenotato per martedì alle 9. Posso aiutarla con altro?");
    let said = call.says("no, grazie mille");
    assert!(!said.contains("fissato") && said.contains("rrivederci"), "{said}");
}

#[test]
fn a_booking_that_still_runs_is_waited_for() {
    let mut call = Conversation::italian();
    call.heard("tagliando martedì alle nove, sono Mario Rossi, targa AB123CD");
    call.agent("Tagliando martedì 14 aprile alle 9, confermo?");
    call.heard("sì");
    let arguments =
        json!({"service": "tagliando", "start": "2026-04-14T09:00", "name": "Mario Rossi", "plate": "AB123CD"});
    call.asked("book_appointment", arguments, None);
    call.agent("Un attimo, controllo.");
    call.runs(&[("pronto? ha confermato?", "sto controllando"), ("sì, confermo", "sto controllando")]);
    assert_eq!(call.count("book_appointment"), 0);
}

#[test]
fn news_is_told_after_a_filler() {
    let mut call = Conversation::italian();
    call.runs(&[("tagliando lunedì alle 9, mi chiamo Mario Rossi, targa AB123CD", "confermo")]);
    call.heard("sì");
    call.asked(
        "book_appointment",
        json!({"service": "tagliando", "start": "2026-04-13T09:00", "name": "Mario Rossi", "plate": "AB123CD"}),
        Some(json!({"ok": true, "id": "A1", "start": "2026-04-13T09:00", "service": "tagliando", "say": "fatto"})),
    );
    call.agent("Un attimo, controllo.");
    let said = call.goes_on();
    assert!(said.contains("fissato: lunedì 13 aprile alle 9"), "{said}");
}

#[test]
fn a_cut_confirmation_is_no_confirmation() {
    let mut call = Conversation::italian();
    call.runs(&[("tagliando lunedì alle 9, mi chiamo Mario Rossi, targa AB123CD", "confermo")]);
    call.cut("Allora: tagliando, lunedì");
    call.runs(&[("sì", "tagliando, lunedì 13 aprile alle 9|confermo")]);
    assert_eq!(call.count("book_appointment"), 0);
}

#[test]
fn a_cut_offer_is_offered_again() {
    let mut call = Conversation::italian();
    call.runs(&[("tagliando lunedì", "preferisce")]);
    call.cut("C'è posto lunedì");
    call.runs(&[("come?", "lunedì 13 aprile alle 8|preferisce")]);
    assert_eq!(call.count("find_slots"), 1);
}

#[test]
fn cut_news_is_told_again() {
    let mut call = Conversation::italian();
    call.runs(&[("tagliando lunedì alle 9, mi chiamo Mario Rossi, targa AB123CD", "confermo"), ("sì", "fissato")]);
    call.cut("Perfetto, l'app");
    call.runs(&[("scusi?", "fissato: lunedì 13 aprile alle 9")]);
    assert_eq!(call.count("book_appointment"), 1);
}

#[test]
fn are_you_still_there_is_answered_by_a_yes_that_confirms_nothing() {
    let mut call = Conversation::italian();
    call.runs(&[("tagliando lunedì alle 9, mi chiamo Mario Rossi, targa AB123CD", "confermo")]);
    call.agent("È ancora in linea?");
    call.runs(&[("sì, ci sono", "confermo")]);
    assert_eq!(call.count("book_appointment"), 0);
    call.runs(&[("sì", "fissato")]);
}

#[test]
fn without_tools_it_takes_a_message() {
    let mut call = Conversation::italian();
    call.tools = Vec::new().into();
    call.runs(&[
        ("vorrei un tagliando", "agenda|messaggio"),
        ("sì", "messaggio"),
        ("tagliando lunedì se possibile", "nome"),
        ("Rossi", "preso nota|altro"),
        ("no", "arrivederci"),
    ]);
}

#[test]
fn without_names_in_the_schema_it_uses_common_ones() {
    let mut call = Conversation::italian();
    let mut tools = call.tools.to_vec();
    for tool in &mut tools {
        tool.parameters = json!({"type": "object"});
    }
    call.tools = tools.into();
    call.runs(&[
        ("il cambio olio lunedì alle 9", "nome"),
        ("Rossi", "targa"),
        ("AB123CD", "cambio olio, lunedì 13 aprile alle 9"),
        ("sì", "fissato"),
    ]);
    assert_eq!(call.desk.booked[0].1, "cambio olio");
}

#[test]
fn a_look_up_given_up_with_its_turn_is_made_again() {
    let mut call = Conversation::italian();
    call.heard("tagliando lunedì");
    call.asked("find_slots", json!({"service": "tagliando", "date": "2026-04-13"}), None);
    call.runs(&[("anzi martedì", "martedì 14 aprile")]);
}

#[test]
fn a_yes_after_half_a_second_confirmation_is_no_yes_to_the_first() {
    let mut call = Conversation::italian();
    call.runs(&[
        ("tagliando lunedì alle 9, mi chiamo Mario Rossi, targa AB123CD", "confermo"),
        ("anzi alle dieci", "alle 10|confermo"),
    ]);
    call.cut("Allora: tagliando, lunedì 13 aprile alle");
    call.runs(&[("sì", "lunedì 13 aprile alle 10|confermo")]);
    // Nothing at all was heard of it.
    call.runs(&[("anzi alle undici", "alle 11|confermo")]);
    call.cut("");
    call.runs(&[("sì", "lunedì 13 aprile alle 11|confermo")]);
    assert_eq!(call.count("book_appointment"), 0);
}
