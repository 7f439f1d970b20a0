//! Dialogues about an appointment that is there already: it is cancelled, moved, or asked for.

use jiff::civil::date;

use crate::desk::Conversation;

#[test]
fn an_appointment_is_cancelled() {
    let mut call = Conversation::italian();
    call.desk.booked.push(("A1".into(), "tagliando".into(), date(2026, 4, 14).at(9, 0, 0, 0), "AB123CD".into()));
    call.runs(&[
        ("vorrei disdire l'appuntamento di martedì", "annullo|martedì 14 aprile alle 9|confermo"),
        ("sì", "annullato|altro"),
        ("no, grazie", "arrivederci"),
    ]);
    assert!(call.desk.booked.is_empty());
    assert!(call.desk.ended);
}

#[test]
fn a_cancellation_is_thought_over() {
    let mut call = Conversation::italian();
    call.desk.booked.push(("A1".into(), "tagliando".into(), date(2026, 4, 14).at(9, 0, 0, 0), "AB123CD".into()));
    call.runs(&[("vorrei annullare l'appuntamento", "confermo"), ("lasci stare", "nessun problema|altro")]);
    assert_eq!(call.desk.booked.len(), 1);
}

#[test]
fn an_appointment_is_moved() {
    let mut call = Conversation::italian().withheld();
    call.desk.booked.push(("A1".into(), "tagliando".into(), date(2026, 4, 14).at(9, 0, 0, 0), "AB123CD".into()));
    call.runs(&[
        ("devo spostare l'appuntamento di martedì", "targa"),
        ("AB123CD", "martedì 14 aprile alle 9|a quando"),
        ("giovedì alle dieci", "sposto|di martedì 14 aprile alle 9 a giovedì 16 aprile alle 10|confermo"),
        ("sì grazie", "spostato: giovedì 16 aprile alle 10"),
    ]);
    assert_eq!(call.desk.booked[0].2, date(2026, 4, 16).at(10, 0, 0, 0));
    assert_eq!(call.count("book_appointment"), 0);
}

#[test]
fn an_appointment_is_moved_in_one_sentence() {
    let mut call = Conversation::italian();
    call.desk.booked.push(("A1".into(), "tagliando".into(), date(2026, 4, 14).at(9, 0, 0, 0), "AB123CD".into()));
    call.runs(&[
        (
            "vorrei spostare l'appuntamento di martedì alle nove a giovedì alle undici",
            "giovedì 16 aprile alle 11|confermo",
        ),
        ("va bene", "spostato"),
    ]);
}

#[test]
fn an_appointment_is_moved_in_english() {
    let mut call = Conversation::english();
    call.desk.booked.push(("A1".into(), "tagliando".into(), date(2026, 4, 14).at(9, 0, 0, 0), "AB123CD".into()));
    call.runs(&[
        ("I need to move my appointment", "Tuesday the 14th of April at 9 am|move it"),
        ("to Thursday at ten", "Thursday the 16th of April at 10 am|confirm"),
        ("yes", "moved"),
        ("that's all, thanks", "goodbye"),
    ]);
    assert_eq!(call.desk.booked[0].2, date(2026, 4, 16).at(10, 0, 0, 0));
}

#[test]
fn one_of_two_appointments() {
    let mut call = Conversation::italian();
    call.desk.booked.push(("A1".into(), "tagliando".into(), date(2026, 4, 14).at(9, 0, 0, 0), "AB123CD".into()));
    call.desk.booked.push(("A2".into(), "gomme".into(), date(2026, 4, 16).at(9, 0, 0, 0), "AB123CD".into()));
    call.runs(&[
        ("vorrei annullare il mio appuntamento", "quale di questi"),
        ("quello di giovedì", "giovedì 16 aprile alle 9|confermo"),
        ("sì", "annullato"),
    ]);
    assert_eq!(call.desk.booked.len(), 1);
    assert_eq!(call.desk.booked[0].0, "A1");
}

#[test]
fn when_is_my_appointment() {
    let mut call = Conversation::italian();
    call.desk.booked.push(("A1".into(), "tagliando".into(), date(2026, 4, 14).at(9, 0, 0, 0), "AB123CD".into()));
    call.runs(&[("mi dice quando ho l'appuntamento?", "martedì 14 aprile alle 9|altro"), ("no grazie", "arrivederci")]);
}

#[test]
fn somebody_who_cannot_come() {
    let mut call = Conversation::italian();
    call.desk.booked.push(("A1".into(), "tagliando".into(), date(2026, 4, 14).at(9, 0, 0, 0), "AB123CD".into()));
    call.runs(&[
        ("buongiorno ho un appuntamento martedì ma non riesco a venire, possiamo fare un altro giorno?", "a quando"),
        ("mercoledì alla stessa ora", "mercoledì 15 aprile alle 9|confermo"),
        ("sì", "spostato"),
    ]);
}

#[test]
fn what_was_just_booked_is_moved() {
    let mut call = Conversation::italian();
    call.runs(&[
        ("tagliando lunedì alle 9, mi chiamo Mario Rossi, targa AB123CD", "confermo"),
        ("sì", "fissato"),
        ("anzi, lo sposterei a martedì alle 10", "sposto|martedì 14 aprile alle 10|confermo"),
        ("sì", "spostato"),
    ]);
    assert_eq!(call.desk.booked.len(), 1);
    assert_eq!(call.desk.booked[0].2, date(2026, 4, 14).at(10, 0, 0, 0));
}
