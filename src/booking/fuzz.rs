//! What strangers send to the trade, for fuzz targets: no panic, and no double booking whatever is asked.

use arbitrary::{Arbitrary, Unstructured};
use jiff::{Timestamp, Zoned};
use uuid::Uuid;

use super::{
    answer,
    appointment::Appointment,
    capacity::{Candidates, Resource, units},
    key::{Key, TenantId},
    ledger::Ledger,
    order::{Cancel, Confirmation, Move, Order, Query, Refusal},
    phone::Phone,
    request::{Door, Request, parse},
    rules,
    shop::Shop,
    slots, tools,
};
use crate::{language::Language, privacy::Pii};

/// Any tool with any arguments: parsed or refused, and a refusal has words in both languages. One byte says which tool,
/// four the time it is, and the rest is what the model wrote, so that a corpus of JSON can be read and grown.
pub fn fuzz_tools(data: &[u8]) {
    let Some((&[which, time @ ..], arguments)) = data.split_first_chunk::<5>() else { return };
    let arguments = String::from_utf8_lossy(arguments);
    let shop = Shop::example();
    let now = zoned(&shop, i64::from(u32::from_le_bytes(time)));
    let caller = Phone::parse(&arguments).ok();
    let door = Door { shop: &shop, now: &now, caller: caller.as_ref() };
    let names = [
        tools::FIND_SLOTS,
        tools::BOOK,
        tools::MOVE,
        tools::CANCEL,
        tools::FIND,
        tools::MESSAGE,
        tools::TRANSFER,
        tools::END,
    ];
    let name = names.get(usize::from(which)).copied().unwrap_or(&arguments);
    for language in [Language::Italian, Language::English] {
        match parse(door, name, &arguments) {
            Ok(Request::FindSlots(wish)) => {
                let found = answer::search(&shop, &[], &wish, &now, language);
                assert_eq!(found.slots.is_empty(), found.say.is_some(), "nothing found says why");
                for slot in found.slots.iter().chain(&found.alternatives) {
                    let admitted = rules::admit(&shop, wish.service, slot.local, &now);
                    assert_eq!(admitted.as_ref(), Ok(slot), "what is offered can be booked");
                }
            }
            Ok(Request::Book(wish)) => {
                assert!(!wish.name.reveal().is_empty() && !wish.plate.reveal().is_empty());
                if let Ok(slot) = wish.slot(&shop, &now) {
                    assert!(slot.start >= now.timestamp() && slot.start < slot.end);
                }
            }
            Ok(
                Request::Move { .. }
                | Request::Cancel { .. }
                | Request::Find { .. }
                | Request::Message { .. }
                | Request::Transfer { .. }
                | Request::EndCall,
            ) => {}
            Err(error) => {
                let said = error.say(&shop, language);
                assert!(!said.is_empty() && !said.contains("booking."), "{said}");
            }
        }
    }
}

/// Any sequence of wishes on the books: whatever stands never overlaps, and a repeat changes nothing.
pub fn fuzz_ledger(data: &[u8]) {
    let mut input = Unstructured::new(data);
    let (shop, tenant) = (Shop::example(), TenantId::new("shop"));
    let mut books = Ledger::new();
    let mut next: u128 = 0;
    while let Ok((kind, service, start, plate, id, late)) = <(u8, u8, u8, u8, u8, bool)>::arbitrary(&mut input) {
        if input.is_empty() || next > 200 {
            break;
        }
        next += 1;
        let service = &shop.services[usize::from(service) % shop.services.len()];
        let start = Timestamp::from_second(1_776_150_000 + i64::from(start) * 300).expect("a time of April 2026");
        let end = Timestamp::from_second(start.as_second() + i64::from(service.minutes) * 60).expect("soon after");
        let local = start.to_zoned(shop.zone.rules().clone()).datetime();
        let asked = if late { start } else { Timestamp::UNIX_EPOCH };
        let confirmation = Confirmation { to: None, text: Pii::new(String::new()) };
        let plate = format!("AA{:03}AA", plate % 8);
        let id = Uuid::from_u128(u128::from(id));
        let key =
            |tool: &str| Key::new(&tenant, None, tool, &[&service.id, &local.to_string(), &plate, &id.to_string()]);
        let candidates = Candidates::of(&shop, service);
        let outcome = match kind % 4 {
            0 | 1 => {
                let order = Order {
                    key: key("book"),
                    id: Uuid::from_u128(next),
                    asked,
                    service: service.id.clone(),
                    local,
                    start,
                    end,
                    candidates,
                    name: Pii::new("A".into()),
                    plate: Pii::new(plate.clone()),
                    phone: None,
                    notes: None,
                    confirmation,
                };
                repeated(&mut books, |books| books.book(&order))
            }
            2 => {
                let wish = Move { key: key("move"), id, asked, local, start, end, candidates, confirmation };
                repeated(&mut books, |books| books.move_to(&wish))
            }
            _ => {
                let wish = Cancel { key: key("cancel"), id, asked, confirmation };
                repeated(&mut books, |books| books.cancel(&wish))
            }
        };
        if matches!(outcome, Err(Refusal::SlotTaken)) {
            let around = zoned(&shop, 1_776_000_000);
            let taken = books.taken(Timestamp::MIN, Timestamp::MAX);
            for slot in slots::nearest(&shop, &taken, service, start, &around, 3) {
                let free = Candidates::of(&shop, service).assign(&taken, slot.start, slot.end);
                assert!(free.is_some(), "an alternative is free");
            }
        }
        assert_nothing_overlaps(&books.find(&Query { limit: usize::MAX, ..Query::default() }));
    }
}

/// Does it twice: the second time nothing may change.
fn repeated(
    books: &mut Ledger,
    act: impl Fn(&mut Ledger) -> Result<super::order::Kept, Refusal>,
) -> Result<super::order::Kept, Refusal> {
    let first = act(books);
    let before = books.clone();
    let second = act(books);
    assert_eq!(*books, before, "a repeat changes nothing");
    match (&first, &second) {
        (Ok(first), Ok(second)) => assert!(second.again && first.appointment == second.appointment),
        (first, second) => assert_eq!(first, second),
    }
    first
}

fn assert_nothing_overlaps(standing: &[Appointment]) {
    let mut rows = std::collections::BTreeSet::new();
    for one in standing {
        for resource in Resource::of(one) {
            for unit in units(one.start, one.end) {
                assert!(rows.insert((resource.clone(), unit)), "a unit has one owner");
            }
        }
    }
}

fn zoned(shop: &Shop, second: i64) -> Zoned {
    Timestamp::from_second(second).expect("a time of this century").to_zoned(shop.zone.rules().clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The targets run on noise in every test run, so that they are known to work before anybody fuzzes.
    #[test]
    fn noise_is_survived() {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut byte = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[3]
        };
        for _ in 0..20 {
            let data: Vec<u8> = (0..300).map(|_| byte()).collect();
            fuzz_ledger(&data);
            fuzz_tools(&data);
        }
        // What a model writes, with bytes of it changed, at times around it.
        let seeds = [
            r#"{"service":"tagliando","date":"2026-04-14","time":"09:00","part":"morning"}"#,
            r#"{"service":"freni","start":"2026-04-14T09:00","name":"Mario Rossi","plate":"AB123CD","weekday":"mar"}"#,
            r#"{"id":"0196303d-0000-7000-8000-000000000000","plate":"AB123CD","start":"2026-10-25T02:30"}"#,
            r#"{"name":"Mario","phone":"347 123 4567","text":"Richiamatemi"}"#,
        ];
        for round in 0..400_usize {
            let mut data = vec![u8::try_from(round % 9).expect("small")];
            data.extend((1_776_000_000_u32 + u32::from(byte()) * 100_000).to_le_bytes());
            data.extend(seeds[round / 9 % 4].as_bytes());
            for _ in 0..byte() % 4 {
                let at = 5 + usize::from(byte()) % (data.len() - 5);
                data[at] = byte() % 128;
            }
            fuzz_tools(&data);
        }
    }

    #[test]
    fn every_tool_is_reached_with_arguments_that_parse() {
        let shop = Shop::example();
        let now = zoned(&shop, 1_776_070_000);
        for (service, date) in [("tagliando", "2026-04-14"), ("freni", "2026-05-01"), ("revisione", "2026-07-01")] {
            let arguments = format!(r#"{{"service":"{service}","date":"{date}"}}"#);
            let door = Door { shop: &shop, now: &now, caller: None };
            assert!(parse(door, tools::FIND_SLOTS, &arguments).is_ok());
        }
    }
}
