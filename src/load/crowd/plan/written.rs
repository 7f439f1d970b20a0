//! A plan as it is written: TOML in, a [`Plan`] out, with the default of everything that is left out. What the values may
//! be is the plan's own check.

use std::{
    collections::BTreeMap,
    fmt, fs,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Deserializer};

use super::{Behaviour, Cut, Fault, LENGTH_MAX, LineKind, Noise, Plan, PlanError, Stall, TENANTS_MAX, field};
use crate::load::{
    caller::{self, Scenario},
    crowd::arrivals::Arrivals,
};

/// A plan as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Written {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    seed: u64,
    length_s: f64,
    #[serde(default)]
    warm_up_s: f64,
    wire: Option<LineKind>,
    #[serde(default)]
    wires: BTreeMap<LineKind, u32>,
    tenants: Tenants,
    arrivals: Arrivals,
    #[serde(default = "redial_s")]
    redial_s: f64,
    #[serde(default)]
    behaviours: Vec<Does>,
    #[serde(default)]
    counted: bool,
    #[serde(default)]
    fillers: Vec<String>,
    shards: Option<u32>,
    #[serde(default)]
    gates: Vec<String>,
}

const fn redial_s() -> f64 {
    2.0
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Tenants {
    #[serde(default)]
    names: Vec<String>,
    count: Option<u32>,
    prefix: Option<String>,
    calls_each: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Does {
    name: Option<String>,
    #[serde(default = "one")]
    weight: u32,
    #[serde(deserialize_with = "source")]
    scenario: Source,
    noise: Option<Noise>,
    hangs_up_after_s: Option<f64>,
    holds_s: Option<f64>,
    #[serde(default)]
    must_hear: Vec<String>,
    #[serde(default)]
    faults: Vec<Wrong>,
}

const fn one() -> u32 {
    1
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wrong {
    #[serde(default = "whole")]
    share: f64,
    jitter_ms: Option<f64>,
    stall: Option<StallWritten>,
    burst: Option<u32>,
    slow_reader: Option<u32>,
    cut: Option<CutWritten>,
}

const fn whole() -> f64 {
    1.0
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StallWritten {
    every_s: f64,
    for_ms: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CutWritten {
    after_s: f64,
    #[serde(default)]
    reconnect: bool,
}

/// A scenario, here or in a file.
enum Source {
    Here(Scenario),
    File(PathBuf),
}

fn source<'de, D: Deserializer<'de>>(from: D) -> Result<Source, D::Error> {
    struct Either;

    impl<'de> serde::de::Visitor<'de> for Either {
        type Value = Source;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("the name of a file, or a table with steps")
        }

        fn visit_str<E: serde::de::Error>(self, path: &str) -> Result<Source, E> {
            Ok(Source::File(path.into()))
        }

        fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<Source, A::Error> {
            Scenario::deserialize(serde::de::value::MapAccessDeserializer::new(map)).map(Source::Here)
        }
    }

    from.deserialize_any(Either)
}

impl Written {
    pub(super) fn checked(self, text: &str, folder: &Path) -> Result<Plan, PlanError> {
        let wires = match (self.wire, self.wires.is_empty()) {
            (Some(kind), true) => vec![(kind, 1)],
            (None, false) => self.wires.into_iter().collect(),
            (None, true) => vec![(LineKind::VapiPcm, 1)],
            (Some(_), false) => {
                let wrong = "both wire and wires".to_owned();
                return Err(PlanError::Field { field: "wire".into(), wrong, fix: "write one of them" });
            }
        };
        let Tenants { names, count, prefix, calls_each } = self.tenants;
        let tenants = match count {
            None => names,
            Some(count) => {
                field("tenants.count", !names.is_empty() || !(1..=TENANTS_MAX).contains(&count), || {
                    (format!("{count}, and {} names", names.len()), "write names, or a count from 1 to 10000")
                })?;
                let prefix = prefix.unwrap_or_else(|| "shop-".to_owned());
                (1..=count).map(|number| format!("{prefix}{number}")).collect()
            }
        };
        let shop = |name: &String| crate::tenant::TenantId::new(name).is_err();
        if let Some(bad) = tenants.iter().find(|name| shop(name)) {
            let (wrong, fix) = (format!("`{bad}` is no tenant's id"), "write it as in the tenant's settings file");
            return Err(PlanError::Field { field: "tenants.names".into(), wrong, fix });
        }
        let behaviours = self.behaviours.into_iter().enumerate().map(|(at, does)| does.checked(at, folder));
        Ok(Plan {
            name: self.name.unwrap_or_else(|| "load".to_owned()),
            seed: self.seed,
            length: seconds("length_s", self.length_s)?,
            warm_up: seconds("warm_up_s", self.warm_up_s)?,
            wires,
            arrivals: self.arrivals.filled(calls_each.map(|each| each.saturating_mul(tenants.len() as u32))),
            tenants,
            calls_each,
            redial: seconds("redial_s", self.redial_s)?,
            behaviours: behaviours.collect::<Result<_, _>>()?,
            counted: self.counted,
            fillers: small(self.fillers),
            shards: self.shards,
            gates: self.gates,
            text: text.to_owned(),
        })
    }
}

impl Does {
    fn checked(self, at: usize, folder: &Path) -> Result<Behaviour, PlanError> {
        let name = self.name.unwrap_or_else(|| format!("{}", at + 1));
        let wrong = |error: caller::CallerError| PlanError::Field {
            field: format!("behaviours `{name}` scenario"),
            wrong: error.to_string(),
            fix: "see the documentation of load::caller::Scenario",
        };
        let (mut scenario, folder) = match self.scenario {
            Source::Here(scenario) => (scenario.checked().map_err(wrong)?, folder.to_owned()),
            Source::File(path) => {
                let path = folder.join(path);
                let text = fs::read_to_string(&path).map_err(|error| PlanError::File { path: path.clone(), error })?;
                (Scenario::parse(&text).map_err(wrong)?, path.parent().unwrap_or(folder).to_owned())
            }
        };
        for step in &mut scenario.steps {
            if let caller::Turn::Wav(path) = &mut step.turn {
                *path = folder.join(&*path);
            }
        }
        let maybe = |what: &str, s: Option<f64>| s.map(|s| seconds(what, s)).transpose();
        Ok(Behaviour {
            weight: self.weight,
            scenario,
            noise: self.noise,
            hangs_up_after: maybe("hangs_up_after_s", self.hangs_up_after_s)?,
            holds: maybe("holds_s", self.holds_s)?,
            must_hear: small(self.must_hear),
            faults: self.faults.into_iter().map(Wrong::checked).collect::<Result<_, _>>()?,
            name,
        })
    }
}

impl Wrong {
    fn checked(self) -> Result<Fault, PlanError> {
        let ms = |what: &str, ms: f64| seconds(what, ms / 1_000.0);
        let stall = |stall: StallWritten| {
            Ok::<_, PlanError>(Stall {
                every: seconds("faults.stall.every_s", stall.every_s)?,
                lasts: ms("faults.stall.for_ms", stall.for_ms)?,
            })
        };
        let cut = |cut: CutWritten| {
            let after = seconds("faults.cut.after_s", cut.after_s)?;
            Ok::<_, PlanError>(Cut { after, reconnect: cut.reconnect })
        };
        Ok(Fault {
            share: self.share,
            jitter: self.jitter_ms.map(|jitter| ms("faults.jitter_ms", jitter)).transpose()?,
            stall: self.stall.map(stall).transpose()?,
            burst: self.burst,
            slow_reader: self.slow_reader,
            cut: self.cut.map(cut).transpose()?,
        })
    }
}

fn small(words: Vec<String>) -> Vec<String> {
    words.into_iter().map(|word| word.to_lowercase()).collect()
}

fn seconds(name: &str, s: f64) -> Result<Duration, PlanError> {
    let time = Duration::try_from_secs_f64(s).ok().filter(|time| *time <= LENGTH_MAX);
    time.ok_or_else(|| PlanError::Field {
        field: name.to_owned(),
        wrong: format!("{s} is not a time"),
        fix: "write a number from 0 to a week's",
    })
}
