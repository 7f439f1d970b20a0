//! A tenant: everything one shop needs while it answers the telephone.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use secrecy::SecretString;
use tokio::sync::Notify;

use super::{Admission, Desk, Permit, Settings, TenantId, Tokens, Tools};
use crate::{
    booking::{self, spoken},
    call::{self, clauses},
    language::Language,
    providers::{Say, phrases, settings::Engines},
    store::{Documents, MemoryStore, Reports, Store, StoreError},
    transport::twilio_signature::Verifier,
    vapi::{Switchboard, Vapi, peer::Kept, webhooks::Outbox},
};

/// Whether a text answers a question completely, as the trade reads it: what a [`Setup`](call::Setup) is told.
pub fn complete(question: call::Question, text: &str, language: Language) -> bool {
    let asked = match question {
        call::Question::Open => return false,
        call::Question::Plate => spoken::Asked::Plate,
        call::Question::Phone => spoken::Asked::Phone,
        call::Question::Name => spoken::Asked::Name,
    };
    spoken::complete(asked, text, language)
}

/// How a tenant wants to be run: its settings, read and checked.
#[derive(Debug)]
pub struct Profile {
    /// The name in addresses, file names and logs.
    pub id: TenantId,
    /// The shop's own name, as callers hear it.
    pub name: String,
    /// What opens the door.
    pub tokens: Tokens,
    /// How calls behave.
    pub call: Arc<call::Settings>,
    /// What is said first, complete. Empty: the caller speaks first.
    pub greeting: Arc<str>,
    /// The system prompt, complete.
    pub instructions: Arc<str>,
    /// The shop's zone.
    pub zone: jiff::tz::TimeZone,
    /// The most calls at once.
    pub calls_max: usize,
    /// The account that calls through Twilio.
    pub twilio: Option<Twilio>,
    /// How Vapi is served.
    pub vapi: Vapi,
}

impl Profile {
    /// A profile with a token and the defaults of the Italian language.
    pub fn new(id: TenantId, name: &str, token: &SecretString) -> Self {
        let call = call::Settings::default();
        let phrases = call.language.phrases();
        let disclosure = phrases.text("call.disclosure");
        let greeting = phrases.fill("call.greeting", &[("shop", name), ("disclosure", disclosure)]);
        Self {
            id,
            name: name.into(),
            tokens: Tokens::new([token]),
            greeting: greeting.into(),
            instructions: phrases.fill("tenant.instructions", &[("shop", name), ("details", "")]).into(),
            call: Arc::new(call),
            zone: jiff::tz::TimeZone::get("Europe/Rome").unwrap_or(jiff::tz::TimeZone::UTC),
            calls_max: 20,
            twilio: None,
            vapi: Vapi::default(),
        }
    }
}

/// A Twilio account that calls us.
#[derive(Debug)]
pub struct Twilio {
    /// Tells whether a request is Twilio's.
    pub verifier: Verifier,
    /// How Twilio reaches us, `https://host` without a slash at the end: signatures cover the address.
    pub public_url: String,
}

/// One shop while it runs. See the [module](super).
pub struct Tenant {
    /// Its settings.
    profile: Profile,
    /// Its engines.
    engines: Engines,
    /// What runs its tools.
    tools: Arc<dyn Tools>,
    /// Its calls; shared with its former and later selves.
    admission: Arc<Admission>,
    /// Its writes under way; shared likewise.
    writes: Arc<Writes>,
    /// What is kept of its calls that live at Vapi; shared likewise.
    at_vapi: Arc<Kept>,
    /// What was created in Vapi's place; shared likewise.
    switchboard: Arc<Switchboard>,
    /// What it owes to servers of its customers; shared likewise.
    outbox: Arc<Outbox>,
    /// Where its calls are recorded, if they are. Nobody else's are in there.
    recordings: Option<Arc<Path>>,
}

/// Counts the writes under way, so that a shutdown waits for them.
#[derive(Debug, Default)]
pub(crate) struct Writes {
    /// How many.
    running: AtomicUsize,
    /// Told when one ends.
    ended: Notify,
}

/// One write under way.
#[derive(Debug)]
pub(crate) struct Write(Arc<Writes>);

impl Tenant {
    /// A tenant that nobody has called yet. What it owes to servers is kept as long as the process lives.
    pub fn new(profile: Profile, engines: Engines, tools: Arc<dyn Tools>) -> Self {
        let (admission, writes) = (Admission::new(), Arc::default());
        let (at_vapi, switchboard) = (Arc::default(), Arc::default());
        let outbox = Arc::new(Outbox::new(Arc::new(MemoryStore::new()), booking::TenantId::new(profile.id.as_str())));
        Self { profile, engines, tools, admission, writes, at_vapi, switchboard, outbox, recordings: None }
    }

    /// The same tenant, with what it owes to servers kept here.
    #[must_use]
    pub fn owing(mut self, reports: Arc<dyn Reports>) -> Self {
        self.outbox = Arc::new(Outbox::new(reports, booking::TenantId::new(self.profile.id.as_str())));
        self
    }

    /// The same tenant, with the recordings of its calls in this folder, which is its own. Without a folder nothing is
    /// recorded.
    #[must_use]
    pub fn recording_in(mut self, folder: PathBuf) -> Self {
        self.recordings = Some(folder.into());
        self
    }

    /// The same tenant, with the assistants and calls that a customer created as they are kept here, and kept here from now
    /// on.
    pub async fn lasting(mut self, documents: Arc<dyn Documents>) -> Result<Self, StoreError> {
        let named = booking::TenantId::new(self.profile.id.as_str());
        let keep_calls = self.profile.vapi.keep_calls;
        let board = Switchboard::open(documents, named, keep_calls, jiff::Timestamp::now()).await?;
        self.switchboard = Arc::new(board);
        Ok(self)
    }

    /// The shop that these settings describe, with these engines and books. What is created in Vapi's place lives as long as
    /// the process, unless it is made [`lasting`](Self::lasting).
    pub fn of(settings: Settings, engines: Engines, books: Arc<dyn Store>) -> Self {
        let Settings { profile, shop, providers: _ } = settings;
        let named = booking::TenantId::new(profile.id.as_str());
        let desk = Arc::new(Desk::new(shop, Arc::clone(&books), named, profile.call.language));
        Self::new(profile, engines, Arc::new(desk)).owing(books)
    }

    /// The same shop with other settings: its calls and writes under way still count.
    #[must_use]
    pub fn succeeding(mut self, former: &Self) -> Self {
        self.admission = Arc::clone(&former.admission);
        self.writes = Arc::clone(&former.writes);
        self.at_vapi = Arc::clone(&former.at_vapi);
        self.switchboard = Arc::clone(&former.switchboard);
        self.outbox = Arc::clone(&former.outbox);
        self.recordings = self.recordings.or_else(|| former.recordings.clone());
        self.profile.vapi.door.succeed(&former.profile.vapi.door);
        self
    }

    /// Its name.
    pub fn id(&self) -> &TenantId {
        &self.profile.id
    }

    /// Its settings.
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// Fetches the sentences that must be at hand whatever happens to the voice. Answers how many could not be had.
    pub async fn prepare(&self) -> usize {
        let language = self.profile.call.language;
        let greeting = clauses(&self.profile.greeting, language).into_iter().map(|text| Say { text, language });
        self.engines.tts.prepare(phrases::own(language).into_iter().chain(greeting).collect()).await
    }

    /// Its engines.
    pub fn engines(&self) -> &Engines {
        &self.engines
    }

    /// What runs its tools.
    pub fn tools(&self) -> &Arc<dyn Tools> {
        &self.tools
    }

    /// The right to one call, or `None` when all lines are taken.
    pub fn admit(&self) -> Option<Permit> {
        self.admission.admit(self.profile.calls_max)
    }

    /// Calls under way.
    pub fn calls(&self) -> usize {
        self.admission.active()
    }

    /// What is kept of its calls that live at Vapi.
    pub fn at_vapi(&self) -> &Kept {
        &self.at_vapi
    }

    /// What was created of it in Vapi's place.
    pub fn switchboard(&self) -> &Arc<Switchboard> {
        &self.switchboard
    }

    /// The same shop for one call that is to be otherwise, with the same engines and lines. Nobody comes in by it.
    #[must_use]
    pub(crate) fn for_call(
        &self,
        call: call::Settings,
        greeting: Arc<str>,
        instructions: Arc<str>,
        tools: Arc<dyn Tools>,
    ) -> Self {
        let own = &self.profile;
        let profile = Profile {
            id: own.id.clone(),
            name: own.name.clone(),
            tokens: Tokens::new([]),
            call: Arc::new(call),
            greeting,
            instructions,
            zone: own.zone.clone(),
            calls_max: own.calls_max,
            twilio: None,
            vapi: Vapi::default(),
        };
        Self::new(profile, self.engines.clone(), tools).succeeding(self)
    }

    /// The folder of its recordings.
    pub fn recordings(&self) -> Option<&Arc<Path>> {
        self.recordings.as_ref()
    }

    /// Whether its calls are recorded: its settings say so, and there is a folder.
    pub fn records(&self) -> bool {
        self.recordings.is_some() && self.profile.vapi.recordings.is_some_and(|plan| plan.records())
    }

    /// What it owes to servers of its customers.
    pub fn outbox(&self) -> &Arc<Outbox> {
        &self.outbox
    }

    /// Begins a write.
    pub(crate) fn write(&self) -> Write {
        self.writes.running.fetch_add(1, Ordering::AcqRel);
        Write(Arc::clone(&self.writes))
    }

    /// Waits until no write is under way.
    pub async fn written(&self) {
        loop {
            let ended = self.writes.ended.notified();
            if self.writes.running.load(Ordering::Acquire) == 0 {
                break;
            }
            ended.await;
        }
        self.switchboard.written().await;
    }
}

impl fmt::Debug for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tenant").field("id", self.id()).field("engines", &self.engines).finish_non_exhaustive()
    }
}

impl Drop for Write {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::AcqRel);
        self.0.ended.notify_waiters();
    }
}
