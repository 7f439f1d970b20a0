//! The books of one shop in memory, as a value: the rules that every store obeys.
//!
//! One unit of time of one resource (a bay, a technician, a car) belongs to one appointment: that is how an overlap is
//! impossible rather than checked for. A key that was kept answers with its appointment as long as that stands; once it
//! was cancelled, the same request is a new wish. Nothing survives the process, and the oldest is forgotten when there is
//! too much of it ([`LEDGER_MAX`]).

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;
use uuid::Uuid;

use super::{
    appointment::{Appointment, Status, Taken},
    capacity::{Assigned, Candidates, Resource, units},
    key::Key,
    limits::LEDGER_MAX,
    order::{Cancel, Confirmation, Kept, Message, Move, Note, Order, OutboxEntry, OutboxKind, Query, Refusal},
    words::fold,
};
use crate::privacy::Pii;

/// The books of one shop.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ledger {
    /// Every appointment, cancelled ones too.
    appointments: BTreeMap<Uuid, Appointment>,
    /// Which appointment has a unit of time of a resource.
    occupied: BTreeMap<(Resource, i64), Uuid>,
    /// The appointment that a key made or changed.
    keys: BTreeMap<Key, Uuid>,
    /// What was left for the staff, with its key, so that none is kept twice.
    messages: VecDeque<(Key, Message)>,
    /// The number of the last message.
    messages_numbered: i64,
    /// What is to be sent.
    outbox: VecDeque<OutboxEntry>,
    /// The number of the last entry of the outbox.
    outbox_numbered: i64,
}

impl Ledger {
    /// Empty books.
    pub fn new() -> Self {
        Self::default()
    }

    /// Keeps a new appointment, or answers with the one that the key, or the car at that very time, already has.
    pub fn book(&mut self, order: &Order) -> Result<Kept, Refusal> {
        if let Some(standing) = self.settled(&order.key).filter(|one| one.status == Status::Booked) {
            return Ok(Kept { appointment: standing.clone(), again: true });
        }
        if let Some(other) = self.of_the_car(&order.plate, order.start, order.end, None) {
            if other.start == order.start && other.service == order.service {
                let appointment = other.clone();
                self.keys.insert(order.key.clone(), appointment.id);
                return Ok(Kept { appointment, again: true });
            }
            return Err(Refusal::CarTaken(other.local));
        }
        if self.appointments.contains_key(&order.id) {
            return Err(Refusal::IdTaken);
        }
        let assigned = self.assign(&order.candidates, order.start, order.end, None).ok_or(Refusal::SlotTaken)?;
        let appointment = order.appointment(assigned);
        self.occupy(&appointment);
        self.appointments.insert(appointment.id, appointment.clone());
        self.settle(&order.key, appointment.id, OutboxKind::Booked, &order.confirmation, order.asked);
        Ok(Kept { appointment, again: false })
    }

    /// Keeps an appointment at another time. When that is taken, nothing changes.
    pub fn move_to(&mut self, wish: &Move) -> Result<Kept, Refusal> {
        let standing = self.standing(wish.id, wish.asked)?.clone();
        if standing.start == wish.start {
            return Ok(Kept { appointment: standing, again: true });
        }
        if let Some(other) = self.of_the_car(&standing.plate, wish.start, wish.end, Some(wish.id)) {
            return Err(Refusal::CarTaken(other.local));
        }
        let assigned = self.assign(&wish.candidates, wish.start, wish.end, Some(wish.id)).ok_or(Refusal::SlotTaken)?;
        self.vacate(wish.id);
        let appointment = wish.appointment(standing, assigned);
        self.occupy(&appointment);
        self.appointments.insert(appointment.id, appointment.clone());
        self.settle(&wish.key, appointment.id, OutboxKind::Moved, &wish.confirmation, wish.asked);
        Ok(Kept { appointment, again: false })
    }

    /// Cancels an appointment. One that is cancelled already stays so.
    pub fn cancel(&mut self, wish: &Cancel) -> Result<Kept, Refusal> {
        if let Some(gone) = self.appointments.get(&wish.id).filter(|one| one.status == Status::Cancelled) {
            return Ok(Kept { appointment: gone.clone(), again: true });
        }
        let appointment = Appointment { status: Status::Cancelled, ..self.standing(wish.id, wish.asked)?.clone() };
        self.vacate(wish.id);
        self.appointments.insert(wish.id, appointment.clone());
        self.settle(&wish.key, wish.id, OutboxKind::Cancelled, &wish.confirmation, wish.asked);
        Ok(Kept { appointment, again: false })
    }

    /// Keeps a message; the same one is kept once. Says whether it was new.
    pub fn take_message(&mut self, note: &Note) -> bool {
        if self.messages.iter().any(|(key, _)| *key == note.key) {
            return false;
        }
        self.messages_numbered += 1;
        let message = Message {
            number: self.messages_numbered,
            at: note.at,
            name: note.name.clone(),
            phone: note.phone.clone(),
            text: note.text.clone(),
        };
        self.messages.push_back((note.key.clone(), message));
        if self.messages.len() > LEDGER_MAX {
            self.messages.pop_front();
        }
        true
    }

    /// Notes that an entry of the outbox was sent. Says whether it was waiting.
    pub fn sent(&mut self, number: i64, at: Timestamp) -> bool {
        let waiting = self.outbox.iter_mut().find(|entry| entry.number == number && entry.sent.is_none());
        waiting.map(|entry| entry.sent = Some(at)).is_some()
    }

    /// The appointment that a key made or changed, as it now stands.
    pub fn settled(&self, key: &Key) -> Option<&Appointment> {
        self.appointments.get(self.keys.get(key)?)
    }

    /// The appointments that are meant, by their start.
    pub fn find(&self, query: &Query) -> Vec<Appointment> {
        let same = |wanted: &Option<Pii<String>>, value: Option<&Pii<String>>| match wanted {
            Some(wanted) => value == Some(wanted),
            None => true,
        };
        let name = query.name.as_ref().map(|name| fold(name.reveal()));
        let mut found: Vec<Appointment> = self
            .appointments
            .values()
            .filter(|one| query.id.is_none_or(|id| one.id == id))
            .filter(|one| same(&query.plate, Some(&one.plate)) && same(&query.phone, one.phone.as_ref()))
            .filter(|one| name.as_ref().is_none_or(|name| fold(one.name.reveal()) == *name))
            .filter(|one| query.from.is_none_or(|from| one.end > from))
            .filter(|one| query.until.is_none_or(|until| one.start < until))
            .filter(|one| query.cancelled || one.status == Status::Booked)
            .cloned()
            .collect();
        found.sort_by_key(|one| (one.start, one.id));
        found.truncate(query.limit);
        found
    }

    /// What is taken in an interval, by its start.
    pub fn taken(&self, from: Timestamp, until: Timestamp) -> Vec<Taken> {
        let mut standing: Vec<&Appointment> = self
            .appointments
            .values()
            .filter(|one| one.status == Status::Booked && one.start < until && from < one.end)
            .collect();
        standing.sort_by_key(|one| (one.start, one.id));
        standing.into_iter().map(Appointment::taken).collect()
    }

    /// The newest messages first, at most `limit`.
    pub fn messages(&self, limit: usize) -> Vec<Message> {
        self.messages.iter().rev().take(limit).map(|(_, message)| message.clone()).collect()
    }

    /// What waits to be sent, the oldest first, at most `limit`.
    pub fn outbox(&self, limit: usize) -> Vec<OutboxEntry> {
        self.outbox.iter().filter(|entry| entry.sent.is_none()).take(limit).cloned().collect()
    }

    /// The appointment, if it stands and is not over.
    fn standing(&self, id: Uuid, now: Timestamp) -> Result<&Appointment, Refusal> {
        self.appointments.get(&id).filter(|one| one.status == Status::Booked && one.end > now).ok_or(Refusal::NotFound)
    }

    /// Who has a unit of a resource, besides `but`.
    fn owner(&self, resource: &Resource, start: Timestamp, end: Timestamp, but: Option<Uuid>) -> Option<Uuid> {
        let units = units(start, end);
        let rows = (resource.clone(), units.start)..(resource.clone(), units.end.max(units.start));
        self.occupied.range(rows).map(|(_, owner)| *owner).find(|owner| Some(*owner) != but)
    }

    fn of_the_car(
        &self,
        plate: &Pii<String>,
        start: Timestamp,
        end: Timestamp,
        but: Option<Uuid>,
    ) -> Option<&Appointment> {
        self.appointments.get(&self.owner(&Resource::Car(plate.clone()), start, end, but)?)
    }

    fn assign(&self, candidates: &Candidates, start: Timestamp, end: Timestamp, but: Option<Uuid>) -> Option<Assigned> {
        candidates.pick(
            |bay| self.owner(&Resource::Bay(bay.to_string()), start, end, but).is_none(),
            |technician| self.owner(&Resource::Technician(technician.to_string()), start, end, but).is_none(),
        )
    }

    fn occupy(&mut self, one: &Appointment) {
        for resource in Resource::of(one) {
            for unit in units(one.start, one.end) {
                let other = self.occupied.insert((resource.clone(), unit), one.id);
                assert!(other.is_none(), "a unit of a resource is given away once");
            }
        }
    }

    fn vacate(&mut self, id: Uuid) {
        let Some(one) = self.appointments.get(&id) else { return };
        for resource in Resource::of(one) {
            for unit in units(one.start, one.end) {
                self.occupied.remove(&(resource.clone(), unit));
            }
        }
    }

    fn settle(&mut self, key: &Key, id: Uuid, kind: OutboxKind, confirmation: &Confirmation, now: Timestamp) {
        self.keys.insert(key.clone(), id);
        self.outbox_numbered += 1;
        self.outbox.push_back(OutboxEntry {
            number: self.outbox_numbered,
            kind,
            appointment: id,
            confirmation: confirmation.clone(),
            written: now,
            sent: None,
        });
        if self.outbox.len() > LEDGER_MAX {
            self.outbox.pop_front();
        }
        if self.appointments.len() > LEDGER_MAX {
            self.forget_one(now);
        }
    }

    /// Forgets the oldest appointment that no longer matters, with its keys.
    fn forget_one(&mut self, now: Timestamp) {
        let old = self
            .appointments
            .values()
            .filter(|one| one.status == Status::Cancelled || one.end <= now)
            .min_by_key(|one| (one.end, one.id))
            .map(|one| (one.id, one.status));
        let Some((id, status)) = old else { return };
        if status == Status::Booked {
            self.vacate(id);
        }
        self.appointments.remove(&id);
        self.keys.retain(|_, kept| *kept != id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::booking::{key::TenantId, shop::Shop};

    fn order(key: &str, service: &str, minute: i64, plate: &str) -> Order {
        let shop = Shop::example();
        let service = shop.service_by_id(service).expect("a service");
        let start = Timestamp::from_second(1_776_150_000 + minute * 60).expect("in range");
        Order {
            key: Key::new(&TenantId::new("rossi"), None, "book_appointment", &[key]),
            id: Uuid::from_u128(
                u128::from_str_radix(&Key::new(&TenantId::new("id"), None, key, &[plate]).as_str()[..32], 16)
                    .expect("hex"),
            ),
            asked: Timestamp::UNIX_EPOCH,
            service: service.id.clone(),
            local: start.to_zoned(shop.zone.rules().clone()).datetime(),
            start,
            end: Timestamp::from_second(start.as_second() + i64::from(service.minutes) * 60).expect("in range"),
            candidates: Candidates::of(&shop, service),
            name: Pii::new("Mario Rossi".into()),
            plate: Pii::new(plate.into()),
            phone: Some(Pii::new("+393471234567".into())),
            notes: None,
            confirmation: Confirmation { to: None, text: Pii::new("Confermato.".into()) },
        }
    }

    fn cancel(id: Uuid) -> Cancel {
        Cancel {
            key: Key::new(&TenantId::new("rossi"), None, "cancel_appointment", &[&id.to_string()]),
            id,
            asked: Timestamp::UNIX_EPOCH,
            confirmation: Confirmation { to: None, text: Pii::new("Disdetto.".into()) },
        }
    }

    fn move_to(id: Uuid, like: &Order) -> Move {
        Move {
            key: Key::new(
                &TenantId::new("rossi"),
                None,
                "move_appointment",
                &[&id.to_string(), &like.start.to_string()],
            ),
            id,
            asked: Timestamp::UNIX_EPOCH,
            local: like.local,
            start: like.start,
            end: like.end,
            candidates: like.candidates.clone(),
            confirmation: Confirmation { to: None, text: Pii::new("Spostato.".into()) },
        }
    }

    #[test]
    fn the_same_key_books_once() {
        let mut books = Ledger::new();
        let first = books.book(&order("a", "tagliando", 0, "AB123CD")).expect("free");
        let again =
            books.book(&Order { id: Uuid::from_u128(7), ..order("a", "tagliando", 0, "AB123CD") }).expect("kept");
        assert!(!first.again && again.again);
        assert_eq!(first.appointment, again.appointment);
        assert_eq!(books.outbox(10).len(), 1);
    }

    #[test]
    fn the_last_slot_is_given_once() {
        let mut books = Ledger::new();
        for (key, plate) in [("a", "AA111AA"), ("b", "BB222BB")] {
            assert!(books.book(&order(key, "tagliando", 0, plate)).is_ok());
        }
        assert_eq!(books.book(&order("c", "tagliando", 30, "CC333CC")), Err(Refusal::SlotTaken));
        assert!(books.book(&order("d", "tagliando", 90, "CC333CC")).is_ok(), "after them it is free");
    }

    #[test]
    fn a_car_is_in_one_place() {
        let mut books = Ledger::new();
        let first = books.book(&order("a", "tagliando", 0, "AB123CD")).expect("free").appointment;
        // The same wish without the caller's number has another key, and is still the same wish.
        assert!(books.book(&order("b", "tagliando", 0, "AB123CD")).expect("kept").again);
        assert_eq!(books.book(&order("c", "diagnosi", 30, "AB123CD")), Err(Refusal::CarTaken(first.local)));
        assert!(books.book(&order("d", "diagnosi", 90, "AB123CD")).is_ok());
    }

    #[test]
    fn a_cancelled_time_is_free_again_and_may_be_wished_again() {
        let mut books = Ledger::new();
        let first = books.book(&order("a", "tagliando", 0, "AB123CD")).expect("free").appointment;
        assert!(!books.cancel(&cancel(first.id)).expect("it stands").again);
        assert!(books.cancel(&cancel(first.id)).expect("kept").again);
        assert!(books.taken(Timestamp::MIN, Timestamp::MAX).is_empty());
        let anew = Order { id: Uuid::from_u128(8), ..order("a", "tagliando", 0, "AB123CD") };
        assert!(!books.book(&anew).expect("free again").again);
        let other = Order { id: anew.id, ..order("z", "tagliando", 600, "ZZ999ZZ") };
        assert_eq!(books.book(&other), Err(Refusal::IdTaken));
    }

    #[test]
    fn a_move_to_a_taken_time_changes_nothing() {
        let mut books = Ledger::new();
        let first = books.book(&order("a", "revisione", 0, "AA111AA")).expect("free").appointment;
        books.book(&order("b", "revisione", 60, "BB222BB")).expect("free");
        let before = books.clone();
        assert_eq!(books.move_to(&move_to(first.id, &order("x", "revisione", 60, ""))), Err(Refusal::SlotTaken));
        assert_eq!(books, before);
        // Half an hour later overlaps with itself, which is no obstacle, and with the other one, which is.
        assert_eq!(books.move_to(&move_to(first.id, &order("x", "revisione", 30, ""))), Err(Refusal::SlotTaken));
        let moved = books.move_to(&move_to(first.id, &order("x", "revisione", -30, ""))).expect("free").appointment;
        assert_eq!(moved.start, order("x", "revisione", -30, "").start);
        assert!(books.move_to(&move_to(first.id, &order("x", "revisione", -30, ""))).expect("there").again);
        assert_eq!(books.taken(Timestamp::MIN, Timestamp::MAX).len(), 2);
    }

    #[test]
    fn a_late_repeat_of_a_booking_that_was_moved_makes_no_second_one() {
        let mut books = Ledger::new();
        let first = books.book(&order("a", "tagliando", 0, "AB123CD")).expect("free").appointment;
        books.move_to(&move_to(first.id, &order("x", "tagliando", 300, ""))).expect("free");
        let again = books.book(&order("a", "tagliando", 0, "AB123CD")).expect("kept");
        assert!(again.again);
        assert_eq!(again.appointment.start, order("x", "tagliando", 300, "").start);
        assert_eq!(books.taken(Timestamp::MIN, Timestamp::MAX).len(), 1);
    }

    #[test]
    fn what_is_over_can_neither_be_moved_nor_cancelled() {
        let mut books = Ledger::new();
        let first = books.book(&order("a", "tagliando", 0, "AB123CD")).expect("free").appointment;
        let late = Cancel { asked: first.end, ..cancel(first.id) };
        assert_eq!(books.cancel(&late), Err(Refusal::NotFound));
        assert_eq!(books.cancel(&cancel(Uuid::from_u128(99))), Err(Refusal::NotFound));
    }

    #[test]
    fn appointments_are_found_by_what_the_caller_knows() {
        let mut books = Ledger::new();
        let one = books.book(&order("a", "tagliando", 0, "AB123CD")).expect("free").appointment;
        let found = |query: Query| books.find(&Query { limit: 10, ..query }).len();
        assert_eq!(found(Query { plate: Some(Pii::new("AB123CD".into())), ..Query::default() }), 1);
        assert_eq!(found(Query { name: Some(Pii::new("MARIO  rossi".into())), ..Query::default() }), 1);
        assert_eq!(found(Query { name: Some(Pii::new("rossi".into())), ..Query::default() }), 0, "the whole name");
        assert_eq!(found(Query { phone: Some(Pii::new("+393471234567".into())), ..Query::default() }), 1);
        assert_eq!(found(Query { id: Some(one.id), plate: Some(Pii::new("ZZ000ZZ".into())), ..Query::default() }), 0);
        assert_eq!(found(Query { from: Some(one.end), ..Query::default() }), 0);
        assert_eq!(found(Query { until: Some(one.start), ..Query::default() }), 0);
        assert_eq!(books.find(&Query::default()).len(), 0, "no limit given is none at all");
    }

    #[test]
    fn memory_is_bounded_and_what_stands_is_never_forgotten() {
        let mut books = Ledger::new();
        let standing = books.book(&order("stands", "tagliando", 0, "ZZ999ZZ")).expect("free").appointment;
        for number in 0..LEDGER_MAX + 10 {
            let wish = order(&number.to_string(), "diagnosi", 300, "AB123CD");
            let id = books.book(&wish).expect("free").appointment.id;
            books.cancel(&cancel(id)).expect("it stands");
        }
        assert!(books.appointments.len() <= LEDGER_MAX + 1 && books.keys.len() <= 2 * LEDGER_MAX + 2);
        assert_eq!(books.outbox.len(), LEDGER_MAX);
        assert_eq!(books.find(&Query { id: Some(standing.id), limit: 1, ..Query::default() }), [standing]);
    }

    #[test]
    fn messages_are_kept_once_and_the_outbox_is_emptied_once() {
        let mut books = Ledger::new();
        let note = Note {
            key: Key::new(&TenantId::new("rossi"), None, "take_message", &["richiamatemi"]),
            at: Timestamp::UNIX_EPOCH,
            name: None,
            phone: None,
            text: Pii::new("richiamatemi".into()),
        };
        assert!(books.take_message(&note) && !books.take_message(&note));
        assert_eq!(books.messages(10).len(), 1);
        books.book(&order("a", "tagliando", 0, "AB123CD")).expect("free");
        assert!(books.sent(1, Timestamp::UNIX_EPOCH) && !books.sent(1, Timestamp::UNIX_EPOCH));
        assert!(books.outbox(10).is_empty());
    }
}
