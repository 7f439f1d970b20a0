//! A plan: who calls, how many, when, and what goes wrong on their lines. Read from TOML, checked whole.
//!
//! ```toml
//! name = "a busy morning"
//! seed = 7
//! length_s = 60                                   # after the warm-up
//! warm_up_s = 5                                   # not measured
//! wires = { vapi-pcm = 2, twilio = 1 }            # with weights
//! tenants = { names = ["officina-rossi"] }        # or { count = 10, prefix = "officina-" }
//! arrivals = { kind = "constant", calls = 100 }   # or ramp, spike, soak, poisson
//!
//! [[behaviours]]
//! name = "asks for the hours"
//! weight = 3
//! noise = { kind = "babble", snr_db = 15 }
//! faults = [{ share = 0.1, jitter_ms = 30 }]
//! [[behaviours.scenario.steps]]                   # or scenario = "a-file.toml"
//! say = "a che ora aprite"
//! [[behaviours.scenario.steps]]
//! hang_up = true
//! ```

mod written;

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use self::written::Written;
use super::arrivals::Arrivals;
use crate::{
    audio::{Codec, Format, Rate},
    load::caller::{self, Scenario},
};

/// The most sockets of one process: a machine has about 28,000 ports for one address, and files have a limit too.
pub const CALLS_MAX: u32 = 19_000;
/// The longest run.
const LENGTH_MAX: Duration = Duration::from_secs(7 * 24 * 3_600);
/// The most behaviours.
const BEHAVIOURS_MAX: usize = 200;
/// The most tenants.
const TENANTS_MAX: u32 = 10_000;

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The file.
    #[error("{path} cannot be read ({error}): name a file that exists")]
    File {
        /// Which.
        path: PathBuf,
        /// Why not.
        error: std::io::Error,
    },
    /// The text is no plan.
    #[error("the plan cannot be read: {0}")]
    Text(String),
    /// A value that cannot be.
    #[error("{field}: {wrong}; {fix}")]
    Field {
        /// Where.
        field: String,
        /// What is wrong with it.
        wrong: String,
        /// What would be right.
        fix: &'static str,
    },
}

/// Who calls, how many, when, and what goes wrong on their lines.
#[derive(Debug, Clone)]
pub struct Plan {
    /// What the run is called.
    pub name: String,
    /// Of everything left to chance.
    pub seed: u64,
    /// How long is measured.
    pub length: Duration,
    /// What goes before and is not measured.
    pub warm_up: Duration,
    /// What the callers speak, with weights.
    pub wires: Vec<(LineKind, u32)>,
    /// Who is called, in turn.
    pub tenants: Vec<String>,
    /// The most calls of one tenant at once.
    pub calls_each: Option<u32>,
    /// When the calls come.
    pub arrivals: Arrivals,
    /// How long a caller whose call was refused or broke waits before the line is taken again, where the arrivals are a
    /// number of calls kept up.
    pub redial: Duration,
    /// What the callers do, with weights.
    pub behaviours: Vec<Behaviour>,
    /// The target's voice is the lab's counted one: lost, doubled and damaged frames can be told.
    pub counted: bool,
    /// What the agent says while it looks something up, in small letters: an answer that begins with one of these is a
    /// filler, where the line tells what is said.
    pub fillers: Vec<String>,
    /// Threads of the generator; chosen by the number of calls if left out.
    pub shards: Option<u32>,
    /// Conditions on the result, for whoever judges it; not read here.
    pub gates: Vec<String>,
    /// What was read.
    pub text: String,
}

/// What the line of a caller carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LineKind {
    /// Vapi's WebSocket, PCM at 16 kHz.
    VapiPcm,
    /// Vapi's WebSocket, mu-law at 8 kHz.
    VapiMulaw,
    /// Vapi's WebSocket, Opus at 48 kHz.
    VapiOpus,
    /// Twilio Media Streams.
    Twilio,
}

impl LineKind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::VapiPcm, Self::VapiMulaw, Self::VapiOpus, Self::Twilio];

    /// As it is written in a plan.
    pub const fn name(self) -> &'static str {
        match self {
            Self::VapiPcm => "vapi-pcm",
            Self::VapiMulaw => "vapi-mulaw",
            Self::VapiOpus => "vapi-opus",
            Self::Twilio => "twilio",
        }
    }

    /// The one of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// What it carries, both ways.
    pub const fn format(self) -> Format {
        match self {
            Self::VapiPcm => Format::PCM_WIDE,
            Self::VapiMulaw | Self::Twilio => Format::MULAW_PHONE,
            Self::VapiOpus => Format { codec: Codec::Opus, rate: Rate::FULL },
        }
    }

    /// The dialect, in the words of one caller.
    pub const fn wire(self) -> caller::Wire {
        match self {
            Self::Twilio => caller::Wire::Twilio,
            Self::VapiPcm | Self::VapiMulaw | Self::VapiOpus => caller::Wire::Vapi(self.format()),
        }
    }
}

impl fmt::Display for LineKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a share of the callers does.
#[derive(Debug, Clone)]
pub struct Behaviour {
    /// What it is called.
    pub name: String,
    /// How often, against the others.
    pub weight: u32,
    /// What is said, and when.
    pub scenario: Scenario,
    /// What is heard behind the caller, all the time.
    pub noise: Option<Noise>,
    /// Hangs up so long after the call was answered, whatever happens.
    pub hangs_up_after: Option<Duration>,
    /// Says nothing for so long after the first line.
    pub holds: Option<Duration>,
    /// What the agent must have said in the end, in small letters, where the line tells; else the call was wrong.
    pub must_hear: Vec<String>,
    /// What goes wrong on the line, for shares of these callers.
    pub faults: Vec<Fault>,
}

/// What is heard behind a caller.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Noise {
    /// What.
    pub kind: NoiseKind,
    /// How much softer than the caller.
    pub snr_db: f32,
}

/// What is heard behind a caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoiseKind {
    /// A hiss.
    White,
    /// Several people speaking at once.
    Babble,
}

/// What goes wrong on a line.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fault {
    /// Of how many callers, 0 to 1.
    pub share: f64,
    /// Each frame comes up to so much later, in order.
    pub jitter: Option<Duration>,
    /// Nothing is sent for a while, again and again; then all of it at once.
    pub stall: Option<Stall>,
    /// So many frames are sent at a time.
    pub burst: Option<u32>,
    /// The caller reads at most so many bytes a second.
    pub slow_reader: Option<u32>,
    /// The line breaks without a goodbye.
    pub cut: Option<Cut>,
}

/// Nothing is sent for a while, again and again.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stall {
    /// From the beginning of one to that of the next.
    pub every: Duration,
    /// How long.
    pub lasts: Duration,
}

/// The line breaks without a goodbye.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cut {
    /// So long after the call was answered.
    pub after: Duration,
    /// The caller dials again at once.
    pub reconnect: bool,
}

impl Plan {
    /// Reads a plan; the files it names stand beside it.
    pub fn read(path: &Path) -> Result<Self, PlanError> {
        let text = fs::read_to_string(path).map_err(|error| PlanError::File { path: path.to_owned(), error })?;
        Self::parse(&text, path.parent().unwrap_or(Path::new(".")))
    }

    /// Reads the text of a plan; the files it names stand in this folder.
    pub fn parse(text: &str, folder: &Path) -> Result<Self, PlanError> {
        let written: Written =
            toml::from_str(text).map_err(|error| PlanError::Text(error.to_string().trim_end().replace('\n', " ")))?;
        let plan = written.checked(text, folder)?;
        plan.check()?;
        Ok(plan)
    }

    /// Checks what was put together or changed by hand; what was read has been checked.
    pub fn check(&self) -> Result<(), PlanError> {
        field("length_s", self.length.is_zero() || self.length > LENGTH_MAX, || {
            (format!("{} s", self.length.as_secs_f64()), "write a length from a second to a week")
        })?;
        field("warm_up_s", self.warm_up > LENGTH_MAX, || ("too long".into(), "write a few seconds"))?;
        let weights = self.wires.iter().map(|(_, weight)| u64::from(*weight)).sum::<u64>();
        field("wires", weights == 0, || ("no wire has a weight".into(), "write for example wire = \"twilio\""))?;
        if !cfg!(feature = "opus") && self.wires.iter().any(|(kind, _)| *kind == LineKind::VapiOpus) {
            let wrong = "vapi-opus is not in this build".to_owned();
            return Err(PlanError::Field { field: "wires".into(), wrong, fix: "build with the feature `opus`" });
        }
        field("tenants", self.tenants.is_empty() || self.tenants.len() > TENANTS_MAX as usize, || {
            (format!("{} tenants", self.tenants.len()), "name 1 to 10000 of them, or write a count")
        })?;
        field("behaviours", self.behaviours.is_empty() || self.behaviours.len() > BEHAVIOURS_MAX, || {
            (format!("{} behaviours", self.behaviours.len()), "write 1 to 200 of them")
        })?;
        field("behaviours.weight", self.behaviours.iter().all(|behaviour| behaviour.weight == 0), || {
            ("all are 0".into(), "give one behaviour a weight")
        })?;
        field("shards", self.shards.is_some_and(|shards| !(1..=64).contains(&shards)), || {
            (format!("{}", self.shards.unwrap_or(0)), "write 1 to 64, or leave it out")
        })?;
        self.arrivals.check()?;
        self.behaviours.iter().try_for_each(Behaviour::check)
    }

    /// How long the whole run lasts.
    pub fn total(&self) -> Duration {
        self.warm_up + self.length
    }
}

impl Behaviour {
    /// One that follows a scenario on a good line.
    pub fn new(name: &str, scenario: Scenario) -> Self {
        Self {
            name: name.to_owned(),
            weight: 1,
            scenario,
            noise: None,
            hangs_up_after: None,
            holds: None,
            must_hear: vec![],
            faults: vec![],
        }
    }

    fn check(&self) -> Result<(), PlanError> {
        let at = |what: &str| format!("behaviours `{}` {what}", self.name);
        let snr = self.noise.map_or(0.0, |noise| noise.snr_db);
        field(&at("noise.snr_db"), !(-20.0..=60.0).contains(&snr), || {
            (format!("{snr} dB"), "write -20 to 60: the higher, the softer the noise")
        })?;
        let shares = self.faults.iter().map(|fault| fault.share).sum::<f64>();
        field(&at("faults.share"), shares > 1.0 + 1e-9, || {
            (format!("the shares make {shares}"), "make them 1 or less together")
        })?;
        for fault in &self.faults {
            field(&at("faults.share"), !(0.0..=1.0).contains(&fault.share), || {
                (format!("{}", fault.share), "write a share from 0 to 1")
            })?;
            field(&at("faults.jitter_ms"), fault.jitter.is_some_and(|jitter| jitter.as_secs() > 10), || {
                ("more than 10 s".into(), "write milliseconds")
            })?;
            field(&at("faults.burst"), fault.burst.is_some_and(|burst| !(1..=500).contains(&burst)), || {
                (format!("{} frames", fault.burst.unwrap_or(0)), "write 1 to 500 frames of 20 ms")
            })?;
            field(&at("faults.slow_reader"), fault.slow_reader.is_some_and(|bytes| bytes < 100), || {
                ("hardly anything is read".into(), "write 100 bytes a second or more")
            })?;
            let stall = fault.stall.is_some_and(|stall| stall.lasts >= stall.every || stall.lasts.as_secs() > 60);
            field(&at("faults.stall"), stall, || {
                ("for_ms does not fit".into(), "make for_ms shorter than every_s, and a minute at most")
            })?;
        }
        Ok(())
    }
}

pub(super) fn field<F>(name: &str, wrong: bool, tell: F) -> Result<(), PlanError>
where
    F: FnOnce() -> (String, &'static str),
{
    if !wrong {
        return Ok(());
    }
    let (wrong, fix) = tell();
    Err(PlanError::Field { field: name.to_owned(), wrong, fix })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Plan, PlanError> {
        Plan::parse(text, Path::new("."))
    }

    const LEAST: &str = r#"
        length_s = 10
        tenants = { names = ["officina-rossi"] }
        arrivals = { kind = "constant", calls = 3 }
        [[behaviours]]
        [[behaviours.scenario.steps]]
        hang_up = true
    "#;

    #[test]
    fn the_example_of_the_documentation_is_read() {
        let docs = crate::load::documented(include_str!("plan.rs"));
        let plan = parse(&docs).unwrap();
        assert_eq!(plan.wires, [(LineKind::VapiPcm, 2), (LineKind::Twilio, 1)]);
        assert_eq!(plan.behaviours[0].noise.unwrap().kind, NoiseKind::Babble);
        assert_eq!(plan.behaviours[0].faults[0].jitter, Some(Duration::from_millis(30)));
        assert_eq!(plan.total(), Duration::from_secs(65));
    }

    #[test]
    fn the_least_plan_is_enough() {
        let plan = parse(LEAST).unwrap();
        assert_eq!((plan.name.as_str(), plan.behaviours[0].name.as_str()), ("load", "1"));
        assert_eq!(plan.wires, [(LineKind::VapiPcm, 1)]);
        let many = LEAST.replace("names = [\"officina-rossi\"]", "count = 3, calls_each = 5");
        let many = parse(&many.replace(", calls = 3", "")).unwrap();
        assert_eq!(many.tenants, ["shop-1", "shop-2", "shop-3"]);
        assert_eq!(many.arrivals.calls_max(), Some(15));
    }

    #[test]
    fn the_plans_of_the_repository_are_read() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/load");
        let mut read = 0;
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let text = fs::read_to_string(&path).unwrap();
            // A scenario of its own stands beside the plans that name it.
            if text.contains("length_s") {
                Plan::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
                read += 1;
            }
        }
        assert!(read >= 4);
    }

    #[test]
    fn a_mistake_names_the_field_and_the_fix() {
        let check = |from: &str, to: &str, expected: &[&str]| {
            assert!(LEAST.contains(from), "{from}");
            let told = parse(&LEAST.replace(from, to)).unwrap_err().to_string();
            assert!(expected.iter().all(|word| told.contains(word)), "{to}: {told}");
        };
        check("length_s = 10", "length_s = 0", &["length_s", "from a second to a week"]);
        check("length_s = 10", "length_s = -1", &["length_s", "not a time"]);
        check("length_s = 10", "lenght_s = 10", &["lenght_s"]);
        check("length_s = 10", "length_s = 10\nwire = \"smoke\"", &["smoke", "vapi-pcm", "twilio"]);
        check("length_s = 10", "length_s = 10\nwires = { twilio = 0 }", &["wires", "weight"]);
        check("length_s = 10", "length_s = 10\nshards = 0", &["shards", "1 to 64"]);
        check("officina-rossi", "Officina Rossi!", &["tenants.names", "settings file"]);
        check("calls = 3", "calls = 20000", &["arrivals", "19000"]);
        check(", calls = 3", "", &["arrivals.calls", "calls_each"]);
        check("constant", "sometimes", &["sometimes", "poisson"]);
        check("hang_up = true", "hang_pu = true", &["hang_pu"]);
        check("hang_up = true", "hang_up = true\n[[behaviours.faults]]\nshare = 2", &["share"]);
        check("hang_up = true", "hang_up = true\n[[behaviours.faults]]\nburst = 0", &["burst", "1 to 500"]);
        check("hang_up = true", "hang_up = true\n[behaviours.noise]\nkind = \"white\"\nsnr_db = 99", &["snr_db"]);
        check("[[behaviours.scenario.steps]]\n        hang_up = true", "scenario = \"none.toml\"", &["none.toml"]);
    }
}
