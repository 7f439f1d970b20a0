//! The booking floor alone: what is free, an appointment, the same one asked for again, and the car that is already
//! somewhere. No call, no model, no runtime.
//!
//! `cargo run --no-default-features --example garage`
#![expect(clippy::print_stdout, reason = "a program for a terminal")]

use std::error::Error;

use pronto::{
    booking::{
        BookingError, Confirmation, Door, Key, Ledger, Order, Request, Shop, TenantId, answer, capacity::Candidates,
        parse, request::Book, rules, say, slots, tools,
    },
    language::Language,
    privacy::Pii,
};
use uuid::Uuid;

fn main() -> Result<(), Box<dyn Error>> {
    let shop = Shop::example();
    // The time is an argument everywhere. In your program: jiff::Zoned::now().
    let now: jiff::Zoned = "2026-04-13T10:10[Europe/Rome]".parse()?;
    let door = Door { shop: &shop, now: &now, caller: None };
    let mut books = Ledger::new();
    println!("{}, {}\n", shop.name, say::moment(now.datetime(), Language::Italian));

    // What a model asks for is JSON, and is read once, at the door.
    let asked = r#"{"service": "cambio olio", "date": "2026-04-14", "part": "morning"}"#;
    let Request::FindSlots(wish) = parse(door, tools::FIND_SLOTS, asked)? else { return Err("not a search".into()) };
    let taken = books.taken(rules::earliest(&shop, &now), rules::latest(&shop, &now));
    let found = answer::search(&shop, &taken, &wish, &now, Language::Italian);
    println!("Libero per {}:", wish.service.name(Language::Italian));
    found.slots.iter().for_each(|slot| println!("  {}", say::moment(slot.local, Language::Italian)));

    for (who, asked) in [
        (
            "Mario Rossi",
            r#"{"service": "tagliando", "start": "2026-04-14T09:00", "name": "Mario Rossi", "plate": "AB 123 CD"}"#,
        ),
        (
            "lo stesso, due volte",
            r#"{"service": "tagliando", "start": "2026-04-14T09:00", "name": "Mario Rossi", "plate": "ab123cd"}"#,
        ),
        (
            "la stessa auto altrove",
            r#"{"service": "diagnosi", "start": "2026-04-14T09:30", "name": "Mario Rossi", "plate": "AB123CD"}"#,
        ),
        (
            "Anna Bianchi",
            r#"{"service": "tagliando", "start": "2026-04-14T09:00", "name": "Anna Bianchi", "plate": "EF456GH"}"#,
        ),
        (
            "uno di troppo",
            r#"{"service": "freni", "start": "2026-04-14T09:30", "name": "Luca Verdi", "plate": "GH789JK"}"#,
        ),
        (
            "di domenica",
            r#"{"service": "freni", "start": "2026-04-19T09:30", "name": "Luca Verdi", "plate": "GH789JK"}"#,
        ),
    ] {
        println!("\n{who}:");
        match book(&shop, &mut books, door, asked) {
            Ok(told) => println!("  {told}"),
            Err(error) => {
                println!("  {}", error.say(&shop, Language::Italian));
                if let Ok(Request::Book(wish)) = parse(door, tools::BOOK, asked) {
                    let around = shop.zone.rules().to_timestamp(wish.local)?;
                    let taken = books.taken(rules::earliest(&shop, &now), rules::latest(&shop, &now));
                    for slot in slots::nearest(&shop, &taken, wish.service, around, &now, 3) {
                        println!("  piuttosto {}", say::moment(slot.local, Language::Italian));
                    }
                }
            }
        }
    }
    Ok(())
}

/// One transaction: the key makes a repeat harmless, the ledger makes an overlap impossible.
fn book(shop: &Shop, books: &mut Ledger, door: Door<'_>, asked: &str) -> Result<String, BookingError> {
    let Request::Book(wish) = parse(door, tools::BOOK, asked)? else { return Err(BookingError::NotFound) };
    let slot = wish.slot(shop, door.now)?;
    let moment = say::moment(slot.local, Language::Italian);
    let order = order(shop, wish, slot, door, &moment);
    match books.book(&order) {
        Ok(kept) if kept.again => Ok(format!("già in agenda: {moment}, non cambia nulla")),
        Ok(kept) => Ok(format!("{moment}, {} con {}", kept.appointment.service, kept.appointment.technician)),
        Err(pronto::booking::Refusal::CarTaken(at)) => Err(BookingError::CarTaken { at }),
        Err(_) => Err(BookingError::SlotTaken { at: slot.local }),
    }
}

fn order(shop: &Shop, wish: Book<'_>, slot: slots::Slot, door: Door<'_>, moment: &str) -> Order {
    let start = answer::start(slot.local);
    let key =
        Key::new(&TenantId::new("officina-rossi"), None, tools::BOOK, &[&wish.service.id, &start, wish.plate.reveal()]);
    Order {
        // In your program: Uuid::now_v7().
        id: Uuid::from_u128(u128::from_str_radix(&key.as_str()[..32], 16).unwrap_or_default()),
        key,
        asked: door.now.timestamp(),
        service: wish.service.id.clone(),
        local: slot.local,
        start: slot.start,
        end: slot.end,
        candidates: Candidates::of(shop, wish.service),
        name: wish.name,
        plate: wish.plate,
        phone: wish.phone,
        notes: wish.notes,
        confirmation: Confirmation { to: None, text: Pii::new(format!("Confermato: {moment}.")) },
    }
}
