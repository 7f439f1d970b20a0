//! `pronto load shop`: Italian callers against a full shop, on this machine, with no key and no server.

use std::{
    path::PathBuf,
    process::ExitCode,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context, anyhow, bail};
use clap::{Args, ValueEnum};
use jiff::Zoned;
use serde_json::json;

pub use super::folder::Folder;
use crate::{
    audio::Format,
    booking,
    daemon::{
        demo::{
            Running,
            shop::{ID, TOKEN, with_engines},
        },
        terminal::Terminal,
    },
    language::Language,
    load::{
        caller::{Wire, measure::quantile},
        lab::Lab,
        shop::{
            self as simulator, House, Run, Told, control,
            diary::{self, Diary},
            outcome::{Call, Outcome, percentiles, written},
            plan::{self, CALLERS_MAX, Plan},
            play::Noises,
            seed_of,
            witness::Witness,
        },
    },
    providers::settings::build,
    store::SqliteStore,
    tenant::{Desk, Directory, Settings, Tenant},
};

/// Callers against a full shop: noise, cars, impatience, second thoughts, other people; judged by what is in the books
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pronto load shop                                40 callers, 4 at a time: about ten minutes
  pronto load shop --callers 10 --wire twilio     through a telephone
  pronto load shop --only 1012 --keep /tmp/calls  caller 12 of the run of seed 1 again, with its dialogue and recording

Ends with 0 when every gate is kept, with 1 when one is not, and with 2 when the run could not be done.")]
pub struct Shop {
    /// How many call
    #[arg(long, default_value_t = 40, value_name = "N")]
    pub callers: usize,
    /// How many of them at a time
    #[arg(long, default_value_t = 4, value_name = "N")]
    pub at_once: usize,
    /// Another seed, other callers
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Play only this caller again, and tell the dialogue; may be given more than once
    #[arg(long, value_name = "SEED")]
    pub only: Vec<u64>,
    /// How they call
    #[arg(long, value_enum, default_value = "vapi-pcm")]
    pub wire: Line,
    /// Keep each call as a stereo WAV there, caller left, agent right
    #[arg(long, value_name = "FOLDER")]
    pub keep: Option<PathBuf>,
    /// Write everything there
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

/// A dialect and what it carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Line {
    /// Twilio Media Streams, mu-law at 8 kHz.
    Twilio,
    /// Vapi's WebSocket transport, PCM at 16 kHz.
    VapiPcm,
    /// Vapi's WebSocket transport, mu-law at 8 kHz.
    VapiMulaw,
}

impl Line {
    /// As callers know it.
    pub const fn wire(self) -> Wire {
        match self {
            Self::Twilio => Wire::Twilio,
            Self::VapiPcm => Wire::Vapi(Format::PCM_WIDE),
            Self::VapiMulaw => Wire::Vapi(Format::MULAW_PHONE),
        }
    }
}

impl Shop {
    /// Opens the shops, makes the calls and judges.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        // Engines hold TLS clients, though nothing here is far away.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let runtime = tokio::runtime::Runtime::new().context("the runtime cannot be started")?;
        runtime.block_on(self.show())
    }

    async fn show(self) -> anyhow::Result<ExitCode> {
        let mut terminal = Terminal::new();
        let calls = self.calls()?;
        terminal.wait("the lab learns what callers say ...");
        let folder = Folder::new()?;
        let rig = Rig::open(&calls, &folder).await?;
        let count = rig.plans.len();
        let wire = self.wire.to_possible_value().map(|it| it.get_name().to_owned()).unwrap_or_default();
        terminal.line(format!("{count} callers, {} at a time, seed {}, {wire}\n", self.at_once, calls.seed));
        let progress = Arc::new(Mutex::new(Progress { terminal, over: 0, active: 0, wrong: 0, count }));
        let telling = Arc::clone(&progress);
        let (whole, seed) = (calls.only.is_some(), calls.seed);
        let told = move |told: Told<'_>| {
            telling.lock().unwrap_or_else(PoisonError::into_inner).tell(&told, seed, whole);
        };
        let run = Run { seed, wire: self.wire.wire(), at_once: self.at_once, keep: self.keep.clone() };
        let begun = clock();
        let outcome = rig.run(&run, told).await?;
        let mut progress = progress.lock().unwrap_or_else(PoisonError::into_inner);
        report(&mut progress.terminal, &outcome, begun.elapsed());
        if let Some(path) = &self.json {
            let page = json!({
                "schema": 1,
                "seed": seed,
                "wire": wire,
                "at_once": self.at_once,
                "gates": outcome.gates(),
                "outcome": outcome,
            });
            std::fs::write(path, serde_json::to_string_pretty(&page)?)
                .with_context(|| format!("--json: {} cannot be written", path.display()))?;
        }
        Ok(if outcome.is_kept() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn calls(&self) -> anyhow::Result<Calls> {
        if self.callers == 0 || self.callers > CALLERS_MAX {
            bail!("--callers: {} is out of range: 1 to {CALLERS_MAX}", self.callers);
        }
        if self.at_once == 0 {
            bail!("--at-once: somebody has to call: 1 or more");
        }
        let (max, at_once, wire) = (CALLERS_MAX as u64, self.at_once, self.wire.wire());
        let Some(first) = self.only.first() else {
            return Ok(Calls { seed: self.seed, callers: self.callers, only: None, at_once, wire });
        };
        let seed = first / max;
        if self.only.iter().any(|only| only / max != seed) {
            bail!("--only: these are callers of different runs: play them one run at a time");
        }
        let only: Vec<usize> = self.only.iter().map(|only| (only % max) as usize).collect();
        let callers = only.iter().max().map_or(1, |last| last + 1);
        Ok(Calls { seed, callers, only: Some(only), at_once, wire })
    }
}

/// Which callers call.
#[derive(Debug, Clone)]
pub struct Calls {
    /// The run's seed.
    pub seed: u64,
    /// How many there are.
    pub callers: usize,
    /// Only these of them.
    pub only: Option<Vec<usize>>,
    /// At a time.
    pub at_once: usize,
    /// The dialect.
    pub wire: Wire,
}

/// A lab, the shops and a gateway in front of them.
pub struct Rig {
    /// Who calls.
    pub plans: Vec<Plan>,
    /// The engines.
    lab: Lab,
    /// The shops behind the gateway.
    house: House,
    /// The gateway.
    running: Running,
}

impl Rig {
    /// Opens everything; the books are in this folder.
    pub async fn open(calls: &Calls, folder: &Folder) -> anyhow::Result<Self> {
        // Nobody needs engines to look into the calendar.
        let plain = settings("", 1, calls.at_once)?;
        let now = Zoned::now().with_time_zone(plain.shop.zone.rules().clone());
        let diary = Diary::of(&plain.shop, &now).context("the example shop is hardly ever open")?;
        let mut plans = plan::plans(calls.seed, calls.callers, &diary);
        let shops = calls.callers.div_ceil(diary::CALLERS);
        let lab = Lab::start(simulator::lab(&plans, &diary, calls.seed)).await?;
        let format = match calls.wire {
            Wire::Vapi(format) => format,
            Wire::Twilio => Format::MULAW_PHONE,
        };
        let noises = Noises::new(format.rate, lab.speech()).await?;
        if let Some(only) = &calls.only {
            plans.retain(|plan| only.contains(&plan.number));
        }
        control::understandable(&mut plans, lab.ears(), lab.speech(), &noises, format).await?;
        let directory = Arc::new(Directory::new());
        let mut opened = Vec::new();
        for number in 1..=shops {
            let (tenant, shop) = open(&lab, folder, number, calls.at_once).await?;
            if tenant.prepare().await > 0 {
                bail!("the shop could not learn its own sentences by heart");
            }
            directory.put(Arc::new(tenant));
            opened.push(shop);
        }
        let witness = Arc::new(Witness::default());
        let running = Running::start(directory, Some(Arc::<Witness>::clone(&witness)))?;
        let address = running.address();
        let speech = Arc::clone(lab.speech());
        let house = House { address, token: TOKEN.into(), witness, shops: opened, speech, noises };
        Ok(Self { plans, lab, house, running })
    }

    /// Makes the calls, and closes everything.
    pub async fn run(self, run: &Run, told: impl Fn(Told<'_>) + Send + Sync + 'static) -> anyhow::Result<Outcome> {
        let outcome = simulator::run(run, self.plans, self.house, told).await;
        self.running.stop().await?;
        self.lab.stop().await;
        Ok(outcome?)
    }
}

/// One shop of the run.
async fn open(lab: &Lab, folder: &Folder, number: usize, at_once: usize) -> anyhow::Result<(Tenant, simulator::Shop)> {
    let settings = settings(&lab.providers_toml(), number, at_once)?;
    let engines = build(&settings.providers)?;
    let id = settings.profile.id.to_string();
    let books = Arc::new(SqliteStore::open(&folder.path().join(format!("{id}.sqlite"))).await?);
    let shop = Arc::clone(&settings.shop);
    let desk = Desk::new(shop, books.clone(), booking::TenantId::new(id.as_str()), Language::Italian);
    let tenant = Tenant::of(settings, engines, books.clone());
    Ok((tenant, simulator::Shop { id, desk, books }))
}

/// The example shop, one of several.
fn settings(engines: &str, number: usize, at_once: usize) -> anyhow::Result<Settings> {
    let engines = if engines.is_empty() { "[providers.llm]\nkind = \"receptionist\"\n" } else { engines };
    let text = with_engines(engines)
        .replacen(&format!("id = \"{ID}\""), &format!("id = \"{ID}-{number}\""), 1)
        .replacen("calls_max = 20", &format!("calls_max = {}", at_once + 4), 1);
    Settings::parse(&text).map_err(|problems| {
        let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
        anyhow!("the example shop has mistakes: {}", problems.join("; "))
    })
}

/// What is told while it goes on.
struct Progress {
    terminal: Terminal,
    over: usize,
    active: usize,
    wrong: usize,
    count: usize,
}

impl Progress {
    fn tell(&mut self, told: &Told<'_>, seed: u64, whole: bool) {
        match told {
            Told::Begins(plan) => {
                self.active += 1;
                if whole {
                    self.terminal.line(format!(
                        "#{} {}: {:?}",
                        seed_of(seed, plan.number),
                        plan.persona.name,
                        plan.wish
                    ));
                }
            }
            Told::Over(call) => {
                self.active -= 1;
                self.over += 1;
                self.wrong += usize::from(call.wrong.is_some());
                let (over, count) = (self.over, self.count);
                self.terminal.line(format!("{over:>4}/{count}  {}", row(call)));
                if whole || call.wrong.is_some() {
                    for line in &call.dialogue {
                        self.terminal.line(format!("      {line}"));
                    }
                }
            }
        }
        let Self { active, wrong, .. } = self;
        self.terminal.wait(format!("{active} on the telephone, {wrong} wrong so far ..."));
    }
}

fn row(call: &Call) -> String {
    let Call { seed, persona, lasted, measured, .. } = call;
    let mut row = format!("#{seed:<6} {persona:<18} {:>5.1} s", lasted.as_secs_f64());
    let wrong = [
        (measured.nods.all - measured.nods.so, "nods cut"),
        (measured.not_cut, "interruptions ignored"),
        (measured.others.all - measured.others.so, "answered or cut by others' speech"),
        (measured.dictations.so, "spoken into a dictation"),
    ];
    match &call.wrong {
        Some(why) => row.push_str(&format!("  FAILED: {why}")),
        None => row.push_str("  ok"),
    }
    for (count, what) in wrong.into_iter().filter(|(count, _)| *count > 0) {
        row.push_str(&format!("; {count} {what}"));
    }
    row
}

fn report(terminal: &mut Terminal, outcome: &Outcome, lasted: Duration) {
    terminal.line(format!("\n{:<20} {:>6} {:>6}", "persona", "calls", "right"));
    for (persona, share) in outcome.by_persona() {
        terminal.line(format!("{persona:<20} {:>6} {:>6}", share.all, share.so));
    }
    let sum = outcome.sum();
    terminal.line(format!("\nfrom the end of a line to the answer  {}", percentiles(&sum.latencies)));
    terminal.line(format!("from an interruption to silence       {}", percentiles(&sum.cuts)));
    terminal.line(format!("pauses around what did not cut        {}", percentiles(&sum.paused)));
    terminal.line(format!("read back right at once               {}", written(sum.read_back)));
    terminal.line(format!("holes in the agent's speech           {}", sum.holes));
    let late: Vec<Duration> = outcome.calls.iter().map(|call| call.late).collect();
    terminal.line(format!("the callers' own lateness             {}", percentiles(&late)));
    if quantile(&late, 0.9).is_some_and(|late| late > LATE_MAX) {
        terminal
            .line("  this machine was too busy to play so many callers at once: lower --at-once before you believe it");
    }
    terminal.line(format!("it took                               {:.0} s\n", lasted.as_secs_f64()));
    for gate in outcome.gates() {
        let kept = if gate.kept { "ok    " } else { "FAILED" };
        terminal.line(format!("  {kept}  {}: {}", gate.promise, gate.measured));
    }
    for double in &outcome.double_bookings {
        terminal.line(format!("          {double}"));
    }
    let faulty = |call: &&Call| {
        let measured = &call.measured;
        let quiet = measured.nods.so == measured.nods.all && measured.others.so == measured.others.all;
        call.wrong.is_some() || !quiet || measured.not_cut > 0 || measured.dictations.so > 0
    };
    let faulty: Vec<&Call> = outcome.calls.iter().filter(faulty).collect();
    if !faulty.is_empty() {
        terminal.line("\nWhat was not as it should be; `--only SEED` plays a call again:");
        for call in faulty {
            terminal.line(format!("  {}", row(call)));
        }
    }
}

/// Callers whose frames leave later than this stutter, and are not understood for it.
const LATE_MAX: Duration = Duration::from_millis(200);

fn clock() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "calls are made in real time")]
    Instant::now()
}
