//! `pronto load run`: follows a plan. And what it shares with the other commands that call a crowd: whom they call,
//! what they keep, and the stage they play on.

use std::{
    ops::ControlFlow,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context, anyhow, bail};
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use super::{
    live::Live,
    metrics,
    rig::{Parts, Rig, WAITS},
    watch::Watch,
};
use crate::{
    daemon::{demo::shop, terminal::Terminal},
    gateway,
    load::{
        crowd::{Arrivals, LineKind, Outcome, Plan, Snapshot, Sounds, Steering, Target, run},
        lab::speech::Speech,
        report::{Gate, Report},
    },
};

/// The plan where none is named.
const MIXED: &str = include_str!("../../../config/load/mixed.toml");

/// Follows a plan: a gateway and a lab of its own unless a target is named
#[derive(Debug, Args)]
pub(super) struct Run {
    /// The plan; a mixed crowd for a minute and a half if left out
    #[arg(value_name = "PLAN")]
    pub(super) plan: Option<PathBuf>,
    #[command(flatten)]
    pub(super) whom: Whom,
    #[command(flatten)]
    pub(super) kept: Kept,
    /// Keep so many calls up, instead of the plan's arrivals
    #[arg(long, value_name = "N")]
    pub(super) calls: Option<u32>,
    /// Measure for so long, in seconds
    #[arg(long = "for", value_name = "SECONDS")]
    pub(super) length_s: Option<f64>,
    /// Speak this on the wire instead: vapi-pcm, vapi-mulaw, vapi-opus or twilio
    #[arg(long, value_parser = wire)]
    pub(super) wire: Option<LineKind>,
    /// Another seed of everything left to chance
    #[arg(long)]
    pub(super) seed: Option<u64>,
}

/// Who is called.
#[derive(Debug, Clone, Args)]
pub(super) struct Whom {
    /// Call this gateway: ws://host:port, or with a path in which {tenant} stands for the tenant
    #[arg(long, value_name = "ADDRESS")]
    pub(super) target: Option<String>,
    /// What opens its door
    #[arg(long, env = "PRONTO_TOKEN", hide_env_values = true)]
    pub(super) token: Option<String>,
    /// Trust the authorities in this file (PEM) besides the public ones, when it is wss://
    #[arg(long, value_name = "FILE", requires = "target")]
    pub(super) ca: Option<PathBuf>,
    /// Look at what this process costs: the target's
    #[arg(long)]
    pub(super) pid: Option<u32>,
    /// The target's metrics page [default: /metrics at its address]
    #[arg(long, value_name = "URL")]
    pub(super) metrics: Option<String>,
    /// What a turn waits for besides the target, in milliseconds, where that is fixed: for the own share
    #[arg(long, value_name = "MS")]
    pub(super) expected_waits_ms: Option<f64>,
    /// Threads of the gateway that is started
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub(super) threads: usize,
    /// From which lateness of its own on the gateway that is started turns calls away (gateway.late_ms_max) [default:
    /// as a gateway does; 0, never, where the capacity is looked for]
    #[arg(long, value_name = "MS")]
    pub(super) late_ms_max: Option<u32>,
}

/// What is kept of a run, and what it must be like.
#[derive(Debug, Clone, Args)]
pub(super) struct Kept {
    /// Keep the report as JSON
    #[arg(long, value_name = "FILE")]
    pub(super) json: Option<PathBuf>,
    /// Keep the report as a page
    #[arg(long, value_name = "FILE")]
    pub(super) html: Option<PathBuf>,
    /// Fail if this is so, such as 'p99.own_ms > 25'; may be given more than once
    #[arg(long, value_name = "EXPRESSION")]
    pub(super) fail_if: Vec<String>,
}

fn wire(name: &str) -> Result<LineKind, String> {
    LineKind::named(name).ok_or_else(|| format!("known: {}", LineKind::ALL.map(LineKind::name).join(" ")))
}

impl Run {
    pub(super) async fn go(self) -> anyhow::Result<ExitCode> {
        let mut plan = read(self.plan.as_deref(), MIXED)?;
        if let Some(calls) = self.calls {
            plan.arrivals = Arrivals::Constant { calls, dials_per_s: None };
        }
        if let Some(s) = self.length_s {
            plan.length = Duration::try_from_secs_f64(s).map_err(|_| anyhow!("--for: {s} is not a time"))?;
        }
        if let Some(kind) = self.wire {
            plan.wires = vec![(kind, 1)];
        }
        plan.seed = self.seed.unwrap_or(plan.seed);
        plan.check()?;
        let gates = self.kept.gates(&plan)?;
        let most = plan.arrivals.calls_max().unwrap_or(crate::load::crowd::CALLS_MAX);
        let mut stage = Stage::set(&plan, &self.whom, with_room(most)).await?;
        let mut live = Live::new(Some(plan.total()));
        let mut shown = |now: &Snapshot<'_>, watch: &Watch| {
            live.show(now, watch, "");
            ControlFlow::Continue(())
        };
        let outcome = stage.play(&plan, &Steering::default(), &mut shown).await?;
        live.terminal.clear();
        let mut report = stage.report(&plan, &outcome).await;
        report.judge(&gates);
        self.kept.tell(&mut live.terminal, &report)
    }
}

/// The lines that so many callers need who follow one another: the next one calls while the call before is being ended.
pub(super) const fn with_room(calls: u32) -> u32 {
    calls.saturating_add(calls / 4).saturating_add(10)
}

/// Reads a plan, or the one that is built in.
pub(super) fn read(path: Option<&Path>, built_in: &str) -> anyhow::Result<Plan> {
    Ok(match path {
        Some(path) => Plan::read(path).with_context(|| path.display().to_string())?,
        None => Plan::parse(built_in, Path::new(".")).context("the built-in plan")?,
    })
}

impl Kept {
    /// The gates of the plan and of the command line.
    pub(super) fn gates(&self, plan: &Plan) -> anyhow::Result<Vec<Gate>> {
        let of =
            |from: &'static str| move |text: &String| Gate::parse(text).with_context(|| format!("{from}: `{text}`"));
        plan.gates.iter().map(of("gates")).chain(self.fail_if.iter().map(of("--fail-if"))).collect()
    }

    /// Shows and keeps a report that was judged.
    pub(super) fn tell(&self, terminal: &mut Terminal, report: &Report) -> anyhow::Result<ExitCode> {
        for line in report.table() {
            terminal.line(line);
        }
        for (flag, path, text) in
            [("--json", &self.json, Report::json as fn(&Report) -> String), ("--html", &self.html, Report::page)]
        {
            let Some(path) = path else { continue };
            if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
                std::fs::create_dir_all(folder)
                    .with_context(|| format!("{flag}: {} cannot be made", folder.display()))?;
            }
            std::fs::write(path, text(report))
                .with_context(|| format!("{flag}: {} cannot be written", path.display()))?;
            terminal.line(format!("{}: {}", flag.trim_start_matches('-'), path.display()));
        }
        Ok(if report.verdict.passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// Everything a run needs: who is called, with what voices, watched by whom.
#[derive(Debug)]
pub(super) struct Stage {
    rig: Option<Rig>,
    pub(super) target: Target,
    sounds: Sounds,
    watch: Option<Watch>,
    /// Who started the target, for the report.
    whose: &'static str,
}

impl Stage {
    /// Its own page is not asked: where a run is many in one, it would mix them.
    pub(super) fn without_page(&mut self) {
        if let Some(watch) = &mut self.watch {
            watch.without_page();
        }
    }

    /// Prepares the callers' voices and, where no target is named, a gateway that allows each tenant so many calls.
    pub(super) async fn set(plan: &Plan, whom: &Whom, calls_max: u32) -> anyhow::Result<Self> {
        let mut terminal = Terminal::new();
        terminal.wait("the callers learn what to say ...");
        let speech = Speech::new().await?;
        let sounds = Sounds::prepare(plan, &speech).await?;
        let rig = if whom.target.is_none() {
            terminal.wait("a gateway and a lab are started ...");
            let parts = Parts {
                calls_max: calls_max.clamp(1, 10_000),
                connections_max: crate::load::crowd::CALLS_MAX,
                threads: whom.threads,
                late_ms_max: whom.late_ms_max.unwrap_or(gateway::Settings::default().late_ms_max),
                counted: plan.counted,
            };
            let plan = plan.clone();
            Some(tokio::task::spawn_blocking(move || Rig::start(&plan, &parts)).await??)
        } else {
            None
        };
        let mut target =
            Target::new(rig.as_ref().map_or(whom.target.as_deref().unwrap_or_default(), |rig| &rig.address));
        target.token = whom.token.clone().or_else(|| rig.is_some().then(|| shop::TOKEN.to_owned()));
        let read = |path: &PathBuf| {
            std::fs::read_to_string(path).with_context(|| format!("--ca: {} cannot be read", path.display()))
        };
        target.ca = whom.ca.as_ref().map(read).transpose()?;
        target.expected_waits = match whom.expected_waits_ms {
            Some(ms) => {
                let time = Duration::try_from_secs_f64(ms / 1_000.0);
                Some(time.map_err(|_| anyhow!("--expected-waits-ms: {ms} is not a time"))?)
            }
            None => rig.is_some().then(|| WAITS.all()),
        };
        let page = whom.metrics.clone().or_else(|| metrics::beside(&target.address));
        let watch = Some(Watch::new(rig.as_ref(), whom.pid, page)?);
        let whose = if rig.is_some() { "started for this run, on this machine" } else { "somebody else's" };
        Ok(Self { rig, target, sounds, watch, whose })
    }

    /// Follows the plan; Ctrl-C and SIGTERM end it early, and what was measured until then is told all the same.
    pub(super) async fn play(
        &mut self,
        plan: &Plan,
        steering: &Steering,
        shown: &mut (dyn FnMut(&Snapshot<'_>, &Watch) -> ControlFlow<()> + Send),
    ) -> anyhow::Result<Outcome> {
        let mut stops = [signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?];
        let stopper = steering.clone();
        let stopping = tokio::spawn(async move {
            let [interrupt, terminate] = &mut stops;
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            stopper.stop();
        });
        let (rig, watch) = (&mut self.rig, self.watch.as_mut().context("a stage is for one run")?);
        let mut trouble = None;
        let outcome = run(plan, &self.target, &self.sounds, steering, &mut |now| {
            watch.look(now);
            if let Some(ended) = rig.as_mut().and_then(Rig::trouble) {
                trouble = Some(ended);
                return ControlFlow::Break(());
            }
            shown(now, watch)
        })
        .await;
        stopping.abort();
        match trouble {
            Some(trouble) => bail!(trouble),
            None => Ok(outcome?),
        }
    }

    /// What was found.
    pub(super) async fn report(&mut self, plan: &Plan, outcome: &Outcome) -> Report {
        let Some(watch) = self.watch.take() else { return Report::of(plan, outcome) };
        let mut report = watch.report(plan, outcome, self.target.expected_waits).await;
        report.run.target.clone_from(&self.target.address);
        report.run.target_is = self.whose.into();
        if let Some(rig) = &self.rig {
            let warned = rig.warnings();
            if let Some(last) = warned.last() {
                report.verdict.notes.push(format!("the gateway warned at least {} times, last: {last}", warned.len()));
            }
        }
        report
    }
}
