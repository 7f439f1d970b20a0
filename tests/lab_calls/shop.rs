//! The example shop with engines of the lab's, behind a real gateway, and somebody who calls it.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use jiff::civil::Date;
use pronto::{
    audio::Format,
    booking::{Appointment, Query},
    daemon::demo::{
        Running,
        shop::{CALLER, TOKEN, open, weekday},
    },
    load::{
        caller::{Conversation, Happened, Lines, Moment, Placement, Scenario, Wire, call},
        lab::{Lab, LabSettings, faults::Fault, journal::Endpoint, latency::Spread},
    },
    store::{SqliteStore, Store},
    tenant::{Directory, Tenant},
};
use tokio::sync::Semaphore;

/// Books, answers whatever is asked again, and dials a number where nothing else is left.
const SCENARIO: &str = r#"
    voice = "marco"
    pause_ms = 600
    patience_s = 30
    repeat_on = ["non ho capito", "può ripetere"]
    [[steps]]
    while_agent_speaks_ms = 1_500
    say = "vorrei prenotare un tagliando"
    [[steps]]
    expect = ["per quando", "che giorno"]
    say = "{day} alle nove"
    again = 3
    [[steps]]
    expect = ["a che nome"]
    say = "Mario Rossi"
    again = 3
    [[steps]]
    expect = ["mi dice la targa", "bene la targa"]
    say = "A B uno due tre C D"
    again = 3
    [[steps]]
    expect = ["confermo?"]
    say = "sì confermo"
    again = 3
    [[steps]]
    expect = ["fissato", "un collega"]
    hang_up = true
"#;

/// The same for a caller who will not be understood any more, and dials a number then.
const UNHEARD: &str = r#"
    [[steps]]
    expect = ["tastiera"]
    keys = "3331234567#"
    [[steps]]
    hang_up = true
"#;

/// A recogniser of the lab's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ears {
    Nova,
    Flux,
    Whole,
}

/// A voice of the lab's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Voice {
    Aura,
    Speech,
}

impl Ears {
    pub const fn endpoint(self) -> Endpoint {
        match self {
            Self::Nova => Endpoint::Nova,
            Self::Flux => Endpoint::Flux,
            Self::Whole => Endpoint::Transcriptions,
        }
    }

    fn settings(self, lab: &Lab) -> String {
        let (deepgram, openai) = (lab.deepgram_url(), lab.openai_url());
        let of = |kind: &str, url: &str, model: &str| {
            format!("[[providers.stt]]\nkind = \"{kind}\"\nbase_url = \"{url}\"\nkey = \"lab\"\nmodel = \"{model}\"\n")
        };
        match self {
            Self::Nova => of("deepgram", &deepgram, "nova-3"),
            Self::Flux => of("deepgram", &deepgram, "flux-general-multi"),
            Self::Whole => of("openai", &openai, "gpt-4o-mini-transcribe"),
        }
    }
}

impl Voice {
    pub const fn endpoint(self) -> Endpoint {
        match self {
            Self::Aura => Endpoint::Aura,
            Self::Speech => Endpoint::Speech,
        }
    }

    fn settings(self, lab: &Lab) -> String {
        let (kind, url, more) = match self {
            Self::Aura => ("deepgram", lab.deepgram_url(), ""),
            Self::Speech => ("openai", lab.openai_url(), "model = \"gpt-4o-mini-tts\"\nvoice = \"alloy\"\n"),
        };
        format!("[[providers.tts]]\nkind = \"{kind}\"\nbase_url = \"{url}\"\nkey = \"lab\"\n{more}")
    }
}

/// When something breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// The caller begins to say the name.
    CallerSpeaks,
    /// The caller says "sì", and nothing more.
    CallerAgrees,
    /// The agent begins to read the appointment back: its words and its voice are still coming.
    AgentSpeaks,
}

/// One call to be made.
#[derive(Debug, Clone)]
pub struct Plan {
    pub name: String,
    pub ears: Vec<Ears>,
    pub voices: Vec<Voice>,
    /// What breaks in the middle of it.
    pub fault: Option<(When, Fault)>,
    /// Nobody will understand the caller then.
    pub unheard: bool,
}

/// A call that was made.
#[derive(Debug)]
pub struct Made {
    pub conversation: Conversation,
    /// What the caller saw and heard.
    pub moments: Vec<Moment>,
    /// When the fault began.
    pub broke: Option<Duration>,
    pub appointments: Vec<Appointment>,
    pub expected: jiff::civil::DateTime,
    pub wav: PathBuf,
}

/// Calls at once. All of ours take two cores of this decade to two thirds; a machine that is overloaded measures itself.
static LINES: Semaphore = Semaphore::const_new(32);

impl Plan {
    pub async fn play(&self) -> Made {
        let _line = LINES.acquire().await.unwrap();
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("lab_calls").join(&self.name);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();

        let mut settings = LabSettings::default();
        // As slow as a model may talk, so that it still talks when its first clause is heard.
        settings.latency.chat.next = Spread::Fixed(40.0);
        let lab = Lab::start(settings).await.unwrap();
        let books = folder.join("books.sqlite");
        let (tenant, day) = self.shop(&lab, &books).await;
        assert_eq!(tenant.prepare().await, 0, "the house's own sentences are at hand");
        let id = tenant.id().clone();
        let directory = Arc::new(Directory::new());
        directory.put(Arc::new(tenant));
        let running = Running::start(directory, None).unwrap();

        let placement = Placement {
            address: format!("{}/v1/stream/{id}", running.address()),
            given: false,
            token: Some(TOKEN.into()),
            from: Some(CALLER.into()),
            wire: Wire::Vapi(Format::PCM_WIDE),
        };
        let scenario = Scenario::parse(&self.scenario()).unwrap().fill(&[("day", &weekday(day))]);
        let lines = Lines::spoken_by(lab.speech(), scenario, placement.format().rate).await.unwrap();
        let (mut moments, mut broke, mut plate) = (Vec::new(), None, false);
        let mut told = |moment: Moment| {
            let now = match &moment.what {
                Happened::Says { text, .. } => {
                    plate |= text.starts_with("A B");
                    match text.as_str() {
                        "Mario Rossi" => Some(When::CallerSpeaks),
                        "sì" => Some(When::CallerAgrees),
                        _ => None,
                    }
                }
                Happened::AgentSpeaks(true) => plate.then_some(When::AgentSpeaks),
                _ => None,
            };
            if let Some((when, fault)) = &self.fault
                && now == Some(*when)
                && broke.is_none()
            {
                broke = Some(moment.at);
                lab.faults().add(fault.clone());
            }
            moments.push(moment);
        };
        let too_long = tokio::time::sleep(Duration::from_secs(100));
        let conversation = call(&placement, lines, &mut told, too_long).await.unwrap();
        running.stop().await.unwrap();
        lab.stop().await;

        let store = SqliteStore::open(&books).await.unwrap();
        let query = Query { cancelled: true, limit: 100, ..Query::default() };
        let appointments = store.find(&pronto::booking::TenantId::new(id.as_str()), &query).await.unwrap();
        store.close().await;
        let wav = folder.join("call.wav");
        conversation.recording.write(&wav).unwrap();
        Made { conversation, moments, broke, appointments, expected: day.at(9, 0, 0, 0), wav }
    }

    fn scenario(&self) -> String {
        let all = SCENARIO.replace("sì confermo", "sì");
        let until = |line: &str| &all[..all.find(line).unwrap()];
        match &self.fault {
            Some((When::CallerSpeaks, _)) if self.unheard => {
                format!("{}say = \"Mario Rossi\"\n{UNHEARD}", until("say = \"Mario Rossi\""))
            }
            Some((When::CallerAgrees, _)) if self.unheard => {
                format!("{}say = \"sì\"\n{UNHEARD}", until("say = \"sì\""))
            }
            _ => SCENARIO.into(),
        }
    }

    /// The example shop with these engines.
    async fn shop(&self, lab: &Lab, books: &Path) -> (Tenant, Date) {
        let mut text = String::new();
        text.extend(self.ears.iter().map(|ears| ears.settings(lab)));
        let openai = lab.openai_url();
        text.push_str(&format!(
            "[providers.llm]\nkind = \"openai\"\nbase_url = \"{openai}\"\nkey = \"lab\"\nmodel = \"gpt-6-luna\"\n"
        ));
        text.extend(self.voices.iter().map(|voice| voice.settings(lab)));
        open(&text, books).await.unwrap()
    }
}

impl Made {
    /// What was said, on one clock, for whoever reads why a call went wrong.
    pub fn dialogue(&self) -> String {
        let mut text = String::new();
        for moment in &self.moments {
            let what = match &moment.what {
                Happened::Words { last: false, .. } => continue,
                what => format!("{what:?}"),
            };
            text.push_str(&format!("  {:>7.2} {what}\n", moment.at.as_secs_f64()));
            if self.broke == Some(moment.at) {
                text.push_str(&format!("  {:>7.2} --- it breaks ---\n", moment.at.as_secs_f64()));
            }
        }
        text
    }
}
