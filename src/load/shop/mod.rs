//! The shop simulator: Italian callers against a full shop, over real sockets, in real time.
//!
//! Each caller is made from a seed ([`plan`]): who it is ([`persona`]), what it wants and when ([`diary`]), what it says,
//! in which noise ([`noise`]), what else is heard on its line ([`room`]). It understands what the agent says from what
//! the gateway tells of it ([`witness`]), as people do; what is [measured] is measured from the sound of both sides and
//! from the books.
//!
//! | gate | from |
//! |---|---|
//! | callers get what they called for; bookings that were possible are made | the books: service, day, hour, plate |
//! | no double booking | the books: no bay, technician or car twice at one time |
//! | nods do not cut, interruptions do | the sound, and whether the gateway gave the rest of its reply up |
//! | speech for others neither cuts nor is answered | the same; the agent's first voice behind an aside |
//! | nobody is spoken into a plate or a number | the sound: a voice of the agent's begins within the dictation |
//!
//! What the lab's ears cannot understand is not asked of the gateway ([`control`]).
//!
//! What it does not do: open a shop. Who runs it hands in the gateway's address and the books ([`House`]).

pub mod control;
pub mod diary;
pub mod measured;
pub mod noise;
pub mod outcome;
pub mod persona;
pub mod plan;
pub mod play;
pub mod room;
pub mod witness;

use std::{collections::BTreeSet, path::PathBuf, sync::Arc, time::Duration};

use jiff::Zoned;
use serde_json::json;
use tokio::sync::{Mutex, Semaphore};

use self::{
    measured::Measured,
    outcome::{Call, Outcome},
    persona::Goal,
    plan::Plan,
    play::{Callers, Noises, Played},
    witness::Witness,
};
use crate::{
    booking::{Appointment, Query, Status, TenantId, tools},
    language::Language,
    load::{
        caller::{CallerError, How, Placement, Wire},
        lab::{
            ExtraPhrase, LabSettings,
            phrasebook::{Phrasebook, normal},
            speech::{Speech, SpeechError},
        },
    },
    privacy::Pii,
    store::{Store, StoreError},
    tenant::{Desk, ToolRun},
};

/// Books are read again for so long when a call has ended: what was written then comes to its end.
const WRITTEN: Duration = Duration::from_millis(400);
/// Appointments read from a shop's books.
const APPOINTMENTS_MAX: usize = 10_000;

/// Where the callers call.
#[derive(Debug)]
pub struct House {
    /// `ws://host:port`
    pub address: String,
    /// What opens every door.
    pub token: String,
    /// What the gateway's watch tells.
    pub witness: Arc<Witness>,
    /// The shops: one for each [`diary::CALLERS`] callers.
    pub shops: Vec<Shop>,
    /// The callers' voices.
    pub speech: Arc<Speech>,
    /// The noises around them, at the rate of the wire.
    pub noises: Noises,
}

/// One shop.
#[derive(Debug)]
pub struct Shop {
    /// Its name in addresses.
    pub id: String,
    /// Books appointments before anybody calls.
    pub desk: Desk,
    /// Its books.
    pub books: Arc<dyn Store>,
}

/// How a run is made.
#[derive(Debug, Clone)]
pub struct Run {
    /// The run's seed.
    pub seed: u64,
    /// The dialect.
    pub wire: Wire,
    /// Calls at a time.
    pub at_once: usize,
    /// Where stereo recordings go.
    pub keep: Option<PathBuf>,
}

/// Told while a run goes on.
#[derive(Debug)]
pub enum Told<'a> {
    /// A call begins.
    Begins(&'a Plan),
    /// A call is over.
    Over(&'a Call),
}

/// Why a run could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ShopError {
    /// The callers have no voice.
    #[error(transparent)]
    Speech(#[from] SpeechError),
    /// The books cannot be read.
    #[error("the books cannot be read: {0}")]
    Store(#[from] StoreError),
    /// An appointment that should stand before the calls could not be made.
    #[error("the appointment of caller {0} could not be made beforehand: {1}")]
    Standing(usize, String),
    /// The gateway does not let callers in.
    #[error(transparent)]
    Caller(#[from] CallerError),
}

/// What the lab has to understand to hear these callers.
pub fn phrases(plans: &[Plan], diary: &diary::Diary) -> Vec<ExtraPhrase> {
    let mut known: BTreeSet<String> = Phrasebook::of(Language::Italian).phrases().map(normal).collect();
    // A day and an hour are heard one after the other: every pair of them would be too many.
    let pieces = plans.iter().flat_map(Plan::texts).flat_map(|text| text.split(", ")).map(ToOwned::to_owned);
    let mut extra = Vec::new();
    for text in pieces.chain(diary.phrases()) {
        if known.insert(normal(&text)) {
            extra.push(ExtraPhrase { language: Language::Italian, text });
        }
    }
    extra
}

/// A lab that understands them.
pub fn lab(plans: &[Plan], diary: &diary::Diary, seed: u64) -> LabSettings {
    LabSettings { phrases: phrases(plans, diary), seed, ..LabSettings::default() }
}

/// The number with which one caller of a run is called again.
pub fn seed_of(run: u64, number: usize) -> u64 {
    run * plan::CALLERS_MAX as u64 + number as u64
}

/// Makes the calls.
///
/// # Errors
/// When a call cannot even be made: what goes wrong in one is part of the outcome.
pub async fn run(
    run: &Run,
    plans: Vec<Plan>,
    house: House,
    told: impl Fn(Told<'_>) + Send + Sync + 'static,
) -> Result<Outcome, ShopError> {
    let house = Arc::new(house);
    for plan in &plans {
        house.stand(plan).await?;
    }
    let (lines, dialling) = (Arc::new(Semaphore::new(run.at_once.max(1))), Arc::new(Mutex::new(())));
    let told = Arc::new(told);
    let mut calls = tokio::task::JoinSet::new();
    for plan in plans {
        let (run, house) = (run.clone(), Arc::clone(&house));
        let (dialling, told) = (Arc::clone(&dialling), Arc::clone(&told));
        // In their order: rivals call at the same time.
        let line = Arc::clone(&lines).acquire_owned().await;
        calls.spawn(async move {
            let _line = line;
            told(Told::Begins(&plan));
            let callers =
                Callers { speech: &house.speech, noises: &house.noises, witness: &house.witness, dialling: &dialling };
            let call = house.call(&run, &plan, &callers).await?;
            told(Told::Over(&call));
            Ok::<_, ShopError>(call)
        });
    }
    let mut outcome = Outcome::default();
    while let Some(call) = calls.join_next().await {
        outcome.calls.push(call.expect("a call does not panic")?);
    }
    outcome.calls.sort_by_key(|call| call.seed);
    for shop in &house.shops {
        outcome.double_bookings.extend(outcome::double_bookings(&shop.appointments(&Query::default()).await?));
    }
    Ok(outcome)
}

fn placement(run: &Run, address: &str, shop: &str, token: &str, from: Option<String>) -> Placement {
    let path = match run.wire {
        Wire::Vapi(_) => "v1/stream",
        Wire::Twilio => "twilio",
    };
    Placement {
        address: format!("{address}/{path}/{shop}"),
        given: false,
        token: Some(token.into()),
        from,
        wire: run.wire,
    }
}

impl House {
    fn shop(&self, plan: &Plan) -> &Shop {
        &self.shops[(plan.number / diary::CALLERS).min(self.shops.len() - 1)]
    }

    /// Makes the appointment that a caller has already.
    async fn stand(&self, plan: &Plan) -> Result<(), ShopError> {
        let Some(at) = plan.standing else { return Ok(()) };
        let arguments = json!({
            "service": plan.wish.service,
            "start": at.strftime("%Y-%m-%dT%H:%M").to_string(),
            "name": plan.wish.name,
            "plate": plan.wish.plate,
        });
        let run = ToolRun {
            id: String::new(),
            name: tools::BOOK.into(),
            arguments: arguments.to_string(),
            caller: plan.from.clone().map(Pii::new),
            call: format!("before-{}", plan.number),
            now: Zoned::now(),
        };
        let outcome = self.shop(plan).desk.run(run).await;
        let booked: serde_json::Value = serde_json::from_str(&outcome.content).unwrap_or_default();
        if booked["ok"] == true { Ok(()) } else { Err(ShopError::Standing(plan.number, outcome.content)) }
    }

    async fn call(&self, run: &Run, plan: &Plan, callers: &Callers<'_>) -> Result<Call, ShopError> {
        let shop = self.shop(plan);
        let placement = placement(run, &self.address, &shop.id, &self.token, plan.from.clone());
        let played = callers.play(plan, &placement).await?;
        tokio::time::sleep(WRITTEN).await;
        let seed = seed_of(run.seed, plan.number);
        if let Some(folder) = &run.keep {
            let path = folder.join(format!("{seed}-{}.wav", plan.persona.name));
            // A recording that could not be kept is no call that went wrong.
            if let Err(error) = played.conversation.recording.write(&path) {
                tracing::warn!(%error, "a recording could not be kept");
            }
        }
        let plate = Query { plate: Some(Pii::new(plan.wish.plate.clone())), ..Query::default() };
        let books = shop.appointments(&plate).await?;
        let rate = played.conversation.recording.rate();
        Ok(Call {
            seed,
            persona: plan.persona.name.clone(),
            books: plan.persona.goal == Goal::Book,
            wrong: wrong(plan, &played, &books),
            lasted: rate.duration(played.conversation.recording.caller.len() as u64),
            late: played.conversation.late_max,
            measured: Measured::of(&played),
            dialogue: measured::dialogue(&played),
        })
    }
}

impl Shop {
    async fn appointments(&self, query: &Query) -> Result<Vec<Appointment>, StoreError> {
        let query = Query { cancelled: true, limit: APPOINTMENTS_MAX, ..query.clone() };
        self.books.find(&TenantId::new(self.id.as_str()), &query).await
    }
}

/// What is wrong in the books for this caller, if anything.
fn wrong(plan: &Plan, played: &Played, books: &[Appointment]) -> Option<String> {
    let wish = &plan.wish;
    let standing: Vec<&Appointment> = books.iter().filter(|one| one.status == Status::Booked).collect();
    let mistake = match (plan.persona.goal, standing.as_slice()) {
        (Goal::Cancel, []) if !books.is_empty() => return None,
        (Goal::Cancel, _) => "the appointment still stands".into(),
        (_, []) => "nothing is in the books".into(),
        (_, [one]) if one.service != wish.service => format!("{} was booked, {} was wished", one.service, wish.service),
        // A rival who comes late takes another hour.
        (Goal::Book, [_]) if plan.persona.rival => return None,
        (_, [one]) if one.local != wish.at => format!("{} is in the books, {} was wished", one.local, wish.at),
        (_, [_]) => return None,
        (_, more) => format!("{} appointments are in the books", more.len()),
    };
    let how = &played.conversation.how;
    let ended = match how {
        How::HungUp => String::new(),
        How::AgentHungUp { .. } | How::GaveUp(_) | How::TooLong | How::Broke(_) => {
            format!("; {}", measured::ending(how))
        }
    };
    Some(format!("{mistake}{ended}"))
}
