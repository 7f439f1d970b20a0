//! The ledger in memory and the SQLite file are given the same seeded wishes and must answer the same, step by step.
#![cfg(feature = "sqlite")]

use std::collections::BTreeMap;

use jiff::Timestamp;
use pronto::{
    booking::{
        Cancel, Confirmation, Key, Ledger, Move, Note, Order, Query, Shop, Status, Taken, TenantId,
        capacity::Candidates,
    },
    privacy::Pii,
    store::{SqliteStore, Store},
};
use uuid::Uuid;

/// A small generator: the seed is all there is to a failing run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("in range")
}

const MONDAY: i64 = 1_776_150_000;

struct World {
    random: Random,
    shop: Shop,
    tenant: TenantId,
    /// Ids that were given to appointments, and some that were not.
    ids: Vec<Uuid>,
    next: u128,
}

impl World {
    /// A start on the grid of five minutes, within two days, so that wishes collide.
    fn start(&mut self) -> Timestamp {
        at(MONDAY + i64::try_from(self.random.below(100)).expect("small") * 900)
    }

    fn order(&mut self) -> Order {
        let service = self.shop.services
            [usize::try_from(self.random.below(self.shop.services.len() as u64)).expect("small")]
        .clone();
        let start = self.start();
        self.next += 1;
        let id = Uuid::from_u128(self.next);
        self.ids.push(id);
        let plate = format!("AA{:03}AA", self.random.below(12));
        let caller = self.random.below(3).to_string();
        Order {
            key: Key::new(&self.tenant, Some(&caller), "book", &[&service.id, &start.to_string(), &plate]),
            id,
            asked: at(MONDAY - 1000),
            candidates: Candidates::of(&self.shop, &service),
            local: start.to_zoned(self.shop.zone.rules().clone()).datetime(),
            start,
            end: at(start.as_second() + i64::from(service.minutes) * 60),
            service: service.id,
            name: Pii::new(
                ["Mario Rossi", "MARIO  ROSSI", "Lucìa Bianchi"][usize::try_from(self.random.below(3)).expect("small")]
                    .into(),
            ),
            plate: Pii::new(plate),
            phone: (self.random.below(2) == 0).then(|| Pii::new(format!("+3934700000{caller}"))),
            notes: None,
            confirmation: Confirmation { to: None, text: Pii::new(format!("order {}", self.next)) },
        }
    }

    fn id(&mut self) -> Uuid {
        if self.ids.is_empty() || self.random.below(20) == 0 {
            return Uuid::from_u128(u128::MAX);
        }
        self.ids[usize::try_from(self.random.below(self.ids.len() as u64)).expect("small")]
    }

    /// Before, amid and after the appointments.
    fn now(&mut self) -> Timestamp {
        at(MONDAY - 1000 + if self.random.below(10) == 0 { 90_000 } else { 0 })
    }
}

/// No bay and no technician has two appointments at once, and no car either.
fn assert_nothing_overlaps(taken: &[Taken]) {
    let mut last: BTreeMap<String, Timestamp> = BTreeMap::new();
    for one in taken {
        for resource in one.bay.iter().map(|bay| format!("bay {bay}")).chain([format!("technician {}", one.technician)])
        {
            let busy_until = last.insert(resource.clone(), one.end);
            assert!(busy_until.is_none_or(|until| until <= one.start), "{resource} is booked twice");
        }
    }
}

async fn same_answers(seed: u64, steps: usize) {
    let path = std::env::temp_dir().join(format!("pronto-same-{seed}-{}.db", std::process::id()));
    let remove = || {
        for end in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(format!("{}{end}", path.display()));
        }
    };
    remove();
    let store = SqliteStore::open(&path).await.expect("a new file");
    let mut ledger = Ledger::new();
    let mut world =
        World { random: Random(seed), shop: Shop::example(), tenant: TenantId::new("rossi"), ids: Vec::new(), next: 0 };
    let tenant = world.tenant.clone();
    let mut orders: Vec<Order> = Vec::new();
    for step in 0..steps {
        let told = format!("seed {seed}, step {step}");
        match world.random.below(10) {
            0..4 => {
                let order = world.order();
                assert_eq!(store.book(&tenant, &order).await.expect("writable"), ledger.book(&order), "{told}: book");
                orders.push(order);
            }
            4 if !orders.is_empty() => {
                let at = usize::try_from(world.random.below(orders.len() as u64)).expect("small");
                let order = orders[at].clone();
                assert_eq!(store.book(&tenant, &order).await.expect("writable"), ledger.book(&order), "{told}: repeat");
                assert_eq!(
                    store.settled(&tenant, &order.key).await.expect("readable").as_ref(),
                    ledger.settled(&order.key),
                    "{told}: settled"
                );
            }
            4..7 => {
                let (like, id, asked) = (world.order(), world.id(), world.now());
                let wish = Move {
                    key: Key::new(&tenant, None, "move", &[&id.to_string(), &like.start.to_string()]),
                    id,
                    asked,
                    local: like.local,
                    start: like.start,
                    end: like.end,
                    candidates: like.candidates,
                    confirmation: like.confirmation,
                };
                assert_eq!(
                    store.move_to(&tenant, &wish).await.expect("writable"),
                    ledger.move_to(&wish),
                    "{told}: move"
                );
            }
            7 => {
                let (id, asked) = (world.id(), world.now());
                let wish = Cancel {
                    key: Key::new(&tenant, None, "cancel", &[&id.to_string()]),
                    id,
                    asked,
                    confirmation: Confirmation { to: None, text: Pii::new("disdetto".into()) },
                };
                assert_eq!(
                    store.cancel(&tenant, &wish).await.expect("writable"),
                    ledger.cancel(&wish),
                    "{told}: cancel"
                );
            }
            8 => {
                let text = world.random.below(20).to_string();
                let note = Note {
                    key: Key::new(&tenant, None, "message", &[&text]),
                    at: at(MONDAY),
                    name: None,
                    phone: None,
                    text: Pii::new(text),
                };
                assert_eq!(
                    store.take_message(&tenant, &note).await.expect("writable"),
                    ledger.take_message(&note),
                    "{told}"
                );
                let number = i64::try_from(world.random.below(30)).expect("small");
                assert_eq!(
                    store.sent(&tenant, number, at(MONDAY)).await.expect("writable"),
                    ledger.sent(number, at(MONDAY)),
                    "{told}"
                );
            }
            _ => {
                let query = Query {
                    plate: (world.random.below(2) == 0).then(|| Pii::new(format!("AA{:03}AA", world.random.below(12)))),
                    name: (world.random.below(3) == 0).then(|| Pii::new("lucia bianchi".into())),
                    phone: (world.random.below(3) == 0).then(|| Pii::new("+39347000001".into())),
                    id: (world.random.below(8) == 0).then(|| world.id()),
                    from: (world.random.below(2) == 0).then(|| world.start()),
                    until: (world.random.below(2) == 0).then(|| world.start()),
                    cancelled: world.random.below(2) == 0,
                    limit: usize::try_from(world.random.below(20)).expect("small"),
                };
                assert_eq!(store.find(&tenant, &query).await.expect("readable"), ledger.find(&query), "{told}: find");
            }
        }
        if step % 50 == 49 {
            let (from, until) = (world.start(), at(MONDAY + 200_000));
            let taken = store.taken(&tenant, from, until).await.expect("readable");
            assert_eq!(taken, ledger.taken(from, until), "{told}: taken");
            assert_nothing_overlaps(&store.taken(&tenant, Timestamp::MIN, Timestamp::MAX).await.expect("readable"));
            assert_eq!(store.outbox(&tenant, 1000).await.expect("readable"), ledger.outbox(1000), "{told}: outbox");
            assert_eq!(
                store.messages(&tenant, 1000).await.expect("readable"),
                ledger.messages(1000),
                "{told}: messages"
            );
        }
    }
    let booked = ledger.find(&Query { limit: 10_000, cancelled: true, ..Query::default() });
    assert!(
        booked.iter().any(|one| one.status == Status::Booked)
            && booked.iter().any(|one| one.status == Status::Cancelled),
        "seed {seed} did something"
    );
    store.close().await;
    remove();
}

#[tokio::test]
async fn the_file_answers_like_the_ledger() {
    for seed in [1, 20_260_413, 0xdead_beef, 7_777_777, 42] {
        same_answers(seed, 400).await;
    }
}
