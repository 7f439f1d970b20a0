//! The desk of a shop: runs the tools a model asks for, against the shop's calendar and the tenant's books.
//!
//! A run has exactly one outcome, whatever happens: what cannot be done says so in the caller's language and offers what
//! can. A write belongs to the tenant, not to the call: it is safe to run twice (see [`Key`]), and a run that is not
//! dropped ends. When the books cannot be reached the caller hears that they will be called back, and the request waits
//! in here as a message for the staff until the books can be reached again.

mod backlog;

use std::{fmt, sync::Arc};

use jiff::{Timestamp, Zoned, civil::DateTime};
use serde_json::Value;
use uuid::Uuid;

use self::backlog::Backlog;
use crate::{
    booking::{
        Appointment, BookingError, Cancel, Confirmation, Door, Key, Kind, Move, Names, Note, Order, Query, Refusal,
        Request, Service, Shop, Slot, Status, TenantId, answer,
        capacity::Candidates,
        limits::{ALTERNATIVES, APPOINTMENTS_MAX, TEXT_CHARS_MAX},
        phone::Phone,
        request::{self, Book, By, FindSlots, Whose},
        resources::BayNeed,
        rules, say, slots, tools,
        words::{bounded, fold},
    },
    call::{Outcome, Then, ToolKind, ToolSpec},
    language::Language,
    privacy::Pii,
    store::{Store, StoreError},
};

/// One tool call to be run. Its arguments are the caller's: they are not printed.
#[derive(Clone)]
pub struct ToolRun {
    /// The model's id for the ask: the same when it is asked again.
    pub id: String,
    /// The tool's name, as the model wrote it.
    pub name: String,
    /// The arguments, as the model wrote them.
    pub arguments: String,
    /// The number the caller calls from, where the line told it.
    pub caller: Option<Pii<String>>,
    /// The id of the call, for the log.
    pub call: String,
    /// The time it is.
    pub now: Zoned,
}

impl fmt::Debug for ToolRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ToolRun").field("name", &self.name).field("call", &self.call).finish_non_exhaustive()
    }
}

/// Runs tools for one tenant. Shared by its calls.
#[derive(Debug)]
pub struct Desk {
    /// The calendar and the services.
    shop: Arc<Shop>,
    /// The books.
    store: Arc<dyn Store>,
    /// Whose books.
    tenant: TenantId,
    /// In which callers are answered.
    language: Language,
    /// The tools as the model sees them, made once.
    tools: Arc<[ToolSpec]>,
    /// Requests that the books could not take.
    backlog: Backlog,
}

/// Why a run did not do what was asked.
enum Stop {
    /// The trade forbids it; with what is free instead.
    Refused(BookingError, Vec<Slot>),
    /// Several appointments match.
    Several(Vec<Appointment>),
    /// The books cannot be reached.
    Store(StoreError),
}

impl From<BookingError> for Stop {
    fn from(error: BookingError) -> Self {
        Self::Refused(error, Vec::new())
    }
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Desk {
    /// A desk for a shop whose settings were [checked](Shop::check).
    pub fn new(shop: Arc<Shop>, store: Arc<dyn Store>, tenant: TenantId, language: Language) -> Self {
        let tools = tools::tools(&shop, language)
            .into_iter()
            .map(|tool| ToolSpec {
                name: tool.name.to_string(),
                description: tool.description,
                parameters: tool.parameters,
                kind: match tool.kind {
                    Kind::Read => ToolKind::Read,
                    Kind::Write => ToolKind::Write,
                    Kind::Call => ToolKind::Call,
                },
            })
            .collect();
        Self { shop, store, tenant, language, tools, backlog: Backlog::default() }
    }

    /// The tools as the model sees them.
    pub fn tools(&self) -> Arc<[ToolSpec]> {
        Arc::clone(&self.tools)
    }

    /// The shop whose desk it is.
    pub fn shop(&self) -> &Arc<Shop> {
        &self.shop
    }

    /// The books behind it, for the staff's pages.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// Whose books they are.
    pub fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    /// Requests that wait in here for the books to be reachable again; lost if the process ends.
    pub fn waiting(&self) -> usize {
        self.backlog.len()
    }

    /// Runs a tool. Never fails: what goes wrong is an outcome too.
    pub async fn run(&self, run: ToolRun) -> Outcome {
        let caller = run.caller.as_ref().and_then(|caller| Phone::parse(caller.reveal()).ok());
        let door = Door { shop: &self.shop, now: &run.now, caller: caller.as_ref() };
        let done = match request::parse(door, &run.name, &run.arguments) {
            Ok(request) => self.answer(request, &run.now, caller.as_ref()).await,
            Err(error) => Err(error.into()),
        };
        let (content, then) = match done {
            Ok((content, then)) => {
                tracing::debug!(call = %run.call, tool = %run.name, "a tool was run");
                self.backlog.bring_home(&*self.store, &self.tenant).await;
                (content, then)
            }
            Err(Stop::Refused(error, alternatives)) => {
                tracing::debug!(call = %run.call, tool = %run.name, %error, "a tool was refused");
                (answer::refused(&self.shop, &error, &alternatives, self.language), Then::GoOn)
            }
            Err(Stop::Several(found)) => (answer::several(&self.shop, &found, self.language), Then::GoOn),
            Err(Stop::Store(error)) => {
                tracing::error!(call = %run.call, tool = %run.name, %error, "the books cannot be reached");
                self.keep_for_staff(&run, caller.as_ref(), &error).await;
                (answer::refused(&self.shop, &BookingError::Unavailable, &[], self.language), Then::GoOn)
            }
        };
        Outcome { content: content.to_string(), then }
    }

    async fn answer(&self, request: Request<'_>, now: &Zoned, caller: Option<&Phone>) -> Result<(Value, Then), Stop> {
        let content = match request {
            Request::FindSlots(wish) => self.find_slots(&wish, now).await?,
            Request::Book(wish) => self.book(wish, now, caller).await?,
            Request::Move { whose, local } => self.move_to(&whose, local, now, caller).await?,
            Request::Cancel { whose } => self.cancel(&whose, now, caller).await?,
            Request::Find { by } => self.find(by, now).await?,
            Request::Message { name, phone, text } => {
                let key = self.key(
                    caller,
                    tools::MESSAGE,
                    &[
                        &rules::today(&self.shop, now).to_string(),
                        phone.as_ref().map_or("", |phone| phone.reveal()),
                        &fold(text.reveal()),
                    ],
                );
                let note = Note { key, at: now.timestamp(), name, phone, text };
                self.store.take_message(&self.tenant, &note).await?;
                answer::done()
            }
            Request::Transfer { reason: _ } => {
                let to = self.shop.transfer_to.clone().ok_or(BookingError::NobodyToTransferTo)?;
                return Ok((answer::transfer(&to), Then::Transfer(to)));
            }
            Request::EndCall => return Ok((answer::done(), Then::EndCall)),
        };
        Ok((content, Then::GoOn))
    }

    async fn find_slots(&self, wish: &FindSlots<'_>, now: &Zoned) -> Result<Value, Stop> {
        let taken =
            self.store.taken(&self.tenant, rules::earliest(&self.shop, now), rules::latest(&self.shop, now)).await?;
        let found = answer::search(&self.shop, &taken, wish, now, self.language);
        Ok(answer::slots(wish, &found, self.language))
    }

    async fn book(&self, wish: Book<'_>, now: &Zoned, caller: Option<&Phone>) -> Result<Value, Stop> {
        let key = self.key(caller, tools::BOOK, &[&wish.service.id, &answer::start(wish.local), wish.plate.reveal()]);
        let slot = match wish.slot(&self.shop, now) {
            Ok(slot) => slot,
            Err(error) => {
                // The notice may have run out between a booking and its repeat: the first result still holds.
                let standing = self.store.settled(&self.tenant, &key).await?;
                return match standing.filter(|one| one.status == Status::Booked) {
                    Some(one) => Ok(answer::kept(&one, self.language)),
                    None => Err(self.instead(error, wish.service, wish.local, now).await?),
                };
            }
        };
        let confirmation = self.confirmation(
            "booking.confirm_booked",
            wish.service.name(self.language),
            slot.local,
            &wish.plate,
            wish.phone.clone(),
        );
        let order = Order {
            key,
            id: new_id(now),
            asked: now.timestamp(),
            service: wish.service.id.clone(),
            local: slot.local,
            start: slot.start,
            end: slot.end,
            candidates: Candidates::of(&self.shop, wish.service),
            name: wish.name,
            plate: wish.plate,
            phone: wish.phone,
            notes: wish.notes,
            confirmation,
        };
        match self.store.book(&self.tenant, &order).await? {
            Ok(kept) => Ok(answer::kept(&kept.appointment, self.language)),
            Err(refusal) => Err(self.instead(refused(&refusal, slot.local), wish.service, slot.local, now).await?),
        }
    }

    async fn move_to(
        &self,
        whose: &Whose,
        local: DateTime,
        now: &Zoned,
        caller: Option<&Phone>,
    ) -> Result<Value, Stop> {
        let Some(found) = self.the_one(whose, now).await? else { return Err(BookingError::NotFound.into()) };
        if found.local == local {
            return Ok(answer::kept(&found, self.language));
        }
        let service = self.service_of(&found);
        let slot = match rules::admit(&self.shop, &service, local, now) {
            Ok(slot) => slot,
            Err(error) => return Err(self.instead(error, &service, local, now).await?),
        };
        let wish = Move {
            key: self.key(caller, tools::MOVE, &[&found.id.to_string(), &answer::start(local)]),
            id: found.id,
            asked: now.timestamp(),
            local: slot.local,
            start: slot.start,
            end: slot.end,
            candidates: Candidates::of(&self.shop, &service),
            confirmation: self.confirmation(
                "booking.confirm_moved",
                service.name(self.language),
                slot.local,
                &found.plate,
                found.phone.clone(),
            ),
        };
        match self.store.move_to(&self.tenant, &wish).await? {
            Ok(kept) => Ok(answer::kept(&kept.appointment, self.language)),
            Err(refusal) => Err(self.instead(refused(&refusal, local), &service, local, now).await?),
        }
    }

    async fn cancel(&self, whose: &Whose, now: &Zoned, caller: Option<&Phone>) -> Result<Value, Stop> {
        let key = self.key(
            caller,
            tools::CANCEL,
            &[
                &whose.id.map(|id| id.to_string()).unwrap_or_default(),
                whose.plate.as_ref().map_or("", |plate| plate.reveal()),
            ],
        );
        let Some(found) = self.the_one(whose, now).await? else {
            // A repeat finds nothing that stands, but the key knows what it cancelled.
            let gone = self.store.settled(&self.tenant, &key).await?;
            return match gone.filter(|one| one.status == Status::Cancelled) {
                Some(one) => Ok(answer::kept(&one, self.language)),
                None => Err(BookingError::NotFound.into()),
            };
        };
        let wish = Cancel {
            key,
            id: found.id,
            asked: now.timestamp(),
            confirmation: self.confirmation(
                "booking.confirm_cancelled",
                self.service_of(&found).name(self.language),
                found.local,
                &found.plate,
                found.phone.clone(),
            ),
        };
        match self.store.cancel(&self.tenant, &wish).await? {
            Ok(kept) => Ok(answer::kept(&kept.appointment, self.language)),
            Err(refusal) => Err(refused(&refusal, found.local).into()),
        }
    }

    async fn find(&self, by: By, now: &Zoned) -> Result<Value, Stop> {
        let query = Query {
            plate: by.plate,
            phone: by.phone,
            name: by.name,
            from: Some(now.timestamp()),
            limit: APPOINTMENTS_MAX,
            ..Query::default()
        };
        let found = self.store.find(&self.tenant, &query).await?;
        Ok(answer::appointments(&found, self.language))
    }

    /// The one appointment that is meant, if there is any; several are a question back to the caller.
    async fn the_one(&self, whose: &Whose, now: &Zoned) -> Result<Option<Appointment>, Stop> {
        let query = Query {
            id: whose.id,
            plate: whose.plate.clone(),
            phone: whose.caller.clone(),
            from: Some(now.timestamp()),
            limit: APPOINTMENTS_MAX,
            ..Query::default()
        };
        let mut found = self.store.find(&self.tenant, &query).await?;
        if found.len() > 1 { Err(Stop::Several(found)) } else { Ok(found.pop()) }
    }

    /// The refusal, with what is free near the time that was asked for, where another time would help.
    async fn instead(
        &self,
        error: BookingError,
        service: &Service,
        local: DateTime,
        now: &Zoned,
    ) -> Result<Stop, StoreError> {
        let another_time_helps = match &error {
            BookingError::TooSoon { .. }
            | BookingError::Closed { .. }
            | BookingError::OutsideHours { .. }
            | BookingError::TimeComesTwice
            | BookingError::SlotTaken { .. }
            | BookingError::CarTaken { .. } => true,
            BookingError::BadArguments { .. }
            | BookingError::UnknownService
            | BookingError::BadPlate
            | BookingError::BadPhone
            | BookingError::WeekdayMismatch { .. }
            | BookingError::Past { .. }
            | BookingError::TooFar { .. }
            | BookingError::NotFound
            | BookingError::Several(_)
            | BookingError::NobodyToTransferTo
            | BookingError::Unavailable => false,
        };
        if !another_time_helps {
            return Ok(error.into());
        }
        let (from, until) = (rules::earliest(&self.shop, now), rules::latest(&self.shop, now));
        let taken = self.store.taken(&self.tenant, from, until).await?;
        let around = self.shop.zone.rules().to_ambiguous_timestamp(local).compatible().unwrap_or(from);
        let alternatives = slots::nearest(&self.shop, &taken, service, around, now, ALTERNATIVES);
        Ok(Stop::Refused(error, alternatives))
    }

    /// The service of an appointment; one that is no longer in the settings keeps its duration and its kind of place.
    fn service_of(&self, one: &Appointment) -> Service {
        self.shop.service_by_id(&one.service).cloned().unwrap_or_else(|| Service {
            id: one.service.clone(),
            names: Names { it: vec![one.service.clone()], en: Vec::new() },
            minutes: u32::try_from((one.end.as_second() - one.start.as_second()) / 60).unwrap_or(0),
            bay: if one.bay.is_some() { BayNeed::Any } else { BayNeed::None },
            price_cents: None,
        })
    }

    fn confirmation(
        &self,
        phrase: &'static str,
        service: &str,
        local: DateTime,
        plate: &Pii<String>,
        to: Option<Pii<String>>,
    ) -> Confirmation {
        let text = self.language.phrases().fill(
            phrase,
            &[
                ("shop", &self.shop.name),
                ("service", service),
                ("when", &say::moment(local, self.language)),
                ("plate", plate.reveal()),
            ],
        );
        Confirmation { to, text: Pii::new(text) }
    }

    fn key(&self, caller: Option<&Phone>, tool: &str, arguments: &[&str]) -> Key {
        Key::new(&self.tenant, caller.map(Phone::as_str), tool, arguments)
    }

    /// Keeps a request that the books could not take: as a message if they take that, or else in here. Books that are
    /// locked are not asked again: the caller has waited long enough.
    async fn keep_for_staff(&self, run: &ToolRun, caller: Option<&Phone>, error: &StoreError) {
        let text =
            self.language.phrases().fill("booking.lost_request", &[("tool", &run.name), ("arguments", &run.arguments)]);
        let note = Note {
            key: self.key(caller, &run.name, &[&run.arguments, &rules::today(&self.shop, &run.now).to_string()]),
            at: run.now.timestamp(),
            name: None,
            phone: caller.map(|caller| Pii::new(caller.as_str().to_string())),
            text: Pii::new(bounded(&text, TEXT_CHARS_MAX)),
        };
        let locked = matches!(error, StoreError::Locked { .. });
        if !locked && self.store.take_message(&self.tenant, &note).await.is_ok() {
            return;
        }
        if self.backlog.keep(note) {
            tracing::error!(call = %run.call, "a request that waited for the books is lost: too many wait");
        }
    }
}

/// What the books cannot do, in the words of the trade.
fn refused(refusal: &Refusal, at: DateTime) -> BookingError {
    match refusal {
        Refusal::SlotTaken => BookingError::SlotTaken { at },
        Refusal::CarTaken(other) => BookingError::CarTaken { at: *other },
        Refusal::NotFound => BookingError::NotFound,
        // Ids are random: one that is taken is as good as a failure of the books.
        Refusal::IdTaken => BookingError::Unavailable,
    }
}

/// An id that sorts by time.
fn new_id(now: &Zoned) -> Uuid {
    let at: Timestamp = now.timestamp();
    let seconds = u64::try_from(at.as_second()).unwrap_or(0);
    let nanoseconds = u32::try_from(at.subsec_nanosecond()).unwrap_or(0);
    Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, seconds, nanoseconds))
}
