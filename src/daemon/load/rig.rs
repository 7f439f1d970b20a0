//! The rig: a gateway and a lab of our own, as processes of their own, so that what each of the three costs can be told
//! apart. The lab waits a fixed time, and a caller's turn ends after a fixed silence: what is left of a turn is the
//! gateway's own share. Everything ends with us, and the folder goes.

use std::{
    collections::{BTreeSet, VecDeque},
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, channel},
    },
    time::Duration,
};

use anyhow::{Context, anyhow, bail};

use super::folder::Folder;
use crate::{
    daemon::demo::shop,
    load::{caller::Turn, crowd::Plan, lab::phrasebook::Phrasebook},
};

/// How long each of them may take to be there.
const START_WAIT: Duration = Duration::from_secs(60);
/// The last lines of a child that are kept, to be told when it fails.
const LINES_KEPT: usize = 30;

/// How a rig is put together.
#[derive(Debug, Clone)]
pub(super) struct Parts {
    /// Calls at once that each tenant allows.
    pub(super) calls_max: u32,
    /// Connections at once that the gateway allows.
    pub(super) connections_max: u32,
    /// Threads of the gateway.
    pub(super) threads: usize,
    /// From which lateness on it turns calls away.
    pub(super) late_ms_max: u32,
    /// The lab's voice is the counted one.
    pub(super) counted: bool,
}

/// How long things take that are not the gateway's: all fixed, so that they can be taken out.
#[derive(Debug, Clone, Copy)]
pub(super) struct Waits {
    silence: Duration,
    model: Duration,
}

/// The waits of a rig. The voice has none: the gateway keeps frequent sentences as sound and does not ask for them, so
/// that a wait for it would be taken out of turns that never had it. A slow own share would hide behind that.
pub(super) const WAITS: Waits = Waits { silence: Duration::from_millis(500), model: Duration::from_millis(200) };

/// What the lab's recogniser takes after a pause: less than the silence, so that nobody waits for it.
const RECOGNISER_MS: u64 = 100;

impl Waits {
    /// Of a turn, together.
    pub(super) fn all(self) -> Duration {
        self.silence + self.model
    }
}

/// A gateway and a lab, until this is dropped.
#[derive(Debug)]
pub(super) struct Rig {
    // In this order they end: the gateway first, then its engines, then their folder.
    gateway: Process,
    lab: Process,
    _folder: Folder,
    /// `ws://host:port`
    pub(super) address: String,
}

impl Rig {
    /// Starts both; they are ready when this returns.
    pub(super) fn start(plan: &Plan, parts: &Parts) -> anyhow::Result<Self> {
        let folder = Folder::new()?;
        folder.write("lab.toml", &lab_settings(plan, parts.counted))?;
        let mut lab = Process::start("lab", &["lab", "--with-parent", "--settings"], &folder.path().join("lab.toml"))?;
        let at = lab.wait_for(|line| line.strip_prefix("The lab runs at ")?.split(". ").next().map(str::to_owned))?;
        for tenant in &plan.tenants {
            folder.write(&format!("tenants/{tenant}.toml"), &tenant_settings(tenant, &at, parts)?)?;
        }
        folder.write("pronto.toml", &settings(parts))?;
        let serve = ["serve", "--with-parent", "--log-format", "json", "--config"];
        let mut gateway = Process::start("gateway", &serve, &folder.path().join("pronto.toml"))?;
        let at = gateway.wait_for(|line| {
            let told: serde_json::Value = serde_json::from_str(line).ok()?;
            (told["message"] == "taking calls").then(|| told["address"].as_str().map(ToOwned::to_owned))?
        })?;
        Ok(Self { gateway, lab, _folder: folder, address: format!("ws://{at}") })
    }

    /// The gateway's process.
    pub(super) fn gateway(&self) -> u32 {
        self.gateway.child.id()
    }

    /// The lab's process.
    pub(super) fn lab(&self) -> u32 {
        self.lab.child.id()
    }

    /// What they said last, when one of them is gone.
    pub(super) fn trouble(&mut self) -> Option<String> {
        [&mut self.gateway, &mut self.lab].into_iter().find_map(|process| {
            let status = process.child.try_wait().ok()??;
            Some(format!("the {} ended by itself ({status}):\n{}", process.name, process.told()))
        })
    }

    /// What the gateway had to warn of.
    pub(super) fn warnings(&self) -> Vec<String> {
        let lines = self.gateway.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let warned = |line: &&String| line.contains("\"WARN\"") || line.contains("\"ERROR\"");
        lines.iter().filter(warned).cloned().collect()
    }
}

/// A child that ends when this is dropped; and when we are gone without having dropped it, by itself.
#[derive(Debug)]
struct Process {
    name: &'static str,
    child: Child,
    /// While this is open, it lives.
    _held: Option<ChildStdin>,
    /// Its lines as they come, until it is ready.
    coming: Receiver<String>,
    /// The last of them.
    lines: Arc<Mutex<VecDeque<String>>>,
}

impl Process {
    fn start(name: &'static str, arguments: &[&str], file: &Path) -> anyhow::Result<Self> {
        use std::os::unix::process::CommandExt as _;
        let program = std::env::current_exe().context("our own program is not to be found")?;
        let mut command = Command::new(program);
        // A group of its own: Ctrl-C is for us, and we end it.
        command.args(arguments).arg(file).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.process_group(0).spawn().with_context(|| format!("the {name} cannot be started"))?;
        let (held, out, err) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (tell, coming) = channel();
        let lines = Arc::new(Mutex::new(VecDeque::new()));
        let process = Self { name, child, _held: held, coming, lines: Arc::clone(&lines) };
        let pipes = [out.map(|it| Box::new(it) as Box<dyn Read + Send>), err.map(|it| Box::new(it) as _)];
        for pipe in pipes.into_iter().flatten() {
            let (tell, lines) = (tell.clone(), Arc::clone(&lines));
            // Read by a thread: a pipe that nobody empties would stop the child.
            std::thread::Builder::new().name(name.into()).spawn(move || {
                for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                    let mut kept = lines.lock().unwrap_or_else(PoisonError::into_inner);
                    kept.push_back(line.clone());
                    if kept.len() > LINES_KEPT {
                        kept.pop_front();
                    }
                    drop(kept);
                    // Nobody listens any more once it is ready.
                    let _ = tell.send(line);
                }
            })?;
        }
        Ok(process)
    }

    /// Waits for the line that tells something.
    fn wait_for(&mut self, told: impl Fn(&str) -> Option<String>) -> anyhow::Result<String> {
        let (_, nobody) = channel();
        let coming = std::mem::replace(&mut self.coming, nobody);
        let mut waited = Duration::ZERO;
        const LOOK: Duration = Duration::from_millis(100);
        while waited < START_WAIT {
            match coming.recv_timeout(LOOK) {
                Ok(line) => {
                    if let Some(found) = told(&line) {
                        return Ok(found);
                    }
                }
                Err(std::sync::mpsc::RecvTimeoutError::Timeout) => waited += LOOK,
                Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => break,
            }
        }
        bail!("the {} does not start:\n{}", self.name, self.told())
    }

    fn told(&self) -> String {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A lab that waits always the same, hears cheaply, and knows what the plan's callers say.
fn lab_settings(plan: &Plan, counted: bool) -> String {
    let mut said: Vec<(&str, &str)> = Vec::new();
    for scenario in plan.behaviours.iter().map(|behaviour| &behaviour.scenario) {
        for step in &scenario.steps {
            let Turn::Say(text) = &step.turn else { continue };
            let known = Phrasebook::of(scenario.language).phrases().any(|phrase| phrase == text);
            if !known && !said.contains(&(scenario.language.code(), text)) {
                said.push((scenario.language.code(), text));
            }
        }
    }
    let phrase = |(language, text): &(&str, &str)| format!("{{ language = \"{language}\", text = {} }}", quoted(text));
    let phrases: Vec<_> = said.iter().map(phrase).collect();
    let languages: BTreeSet<_> =
        plan.behaviours.iter().map(|behaviour| quoted(behaviour.scenario.language.code())).collect();
    format!(
        "port = 0\nseed = {}\nears = \"quick\"\n{}languages = [{}]\nphrases = [{}]\n[latency]\n\
         chat = {{ first = {}, next = 0 }}\nnova = {{ first = {RECOGNISER_MS}, next = {RECOGNISER_MS} }}\n\
         aura = {{ first = 0, next = 0 }}\n",
        plan.seed & 0x7fff_ffff,
        if counted { "voice = \"counted\"\n" } else { "" },
        languages.into_iter().collect::<Vec<_>>().join(", "),
        phrases.join(", "),
        WAITS.model.as_millis(),
    )
}

/// The example shop under another name, with the lab for its engines and a turn that ends after a fixed silence.
fn tenant_settings(id: &str, lab: &str, parts: &Parts) -> anyhow::Result<String> {
    let engines = include_str!("../../../config/lab/providers.toml")
        .replace("{deepgram}", &format!("http://{lab}"))
        .replace("{openai}", &format!("http://{lab}/v1"))
        .replace("{key}", "lab");
    let mut text = shop::with_engines(&engines);
    for (from, to) in [
        ("id = \"officina-rossi\"", format!("id = {}", quoted(id))),
        ("calls_max = 20", format!("calls_max = {}", parts.calls_max)),
        ("policy = \"text\"", "policy = \"silence\"".into()),
        ("silence_ms = 700", format!("silence_ms = {}", WAITS.silence.as_millis())),
    ] {
        if !text.contains(from) {
            return Err(anyhow!("the example tenant has no `{from}` any more: the rig must learn its new form"));
        }
        text = text.replacen(from, &to, 1);
    }
    Ok(text)
}

fn settings(parts: &Parts) -> String {
    format!(
        "listen = \"127.0.0.1:0\"\ntenants = \"tenants\"\ndata = \"data\"\nthreads = {}\nreload_s = 0\n[log]\n\
         filter = \"warn,pronto::daemon::serve=info\"\n[gateway]\nconnections_max = {}\nlate_ms_max = {}\n[gateway.drain]\nfinish_s = 0\n\
         goodbye_s = 0\n",
        parts.threads, parts.connections_max, parts.late_ms_max,
    )
}

/// A string of TOML; JSON's escapes are among its own.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{daemon::Settings, load::lab::LabSettings};

    const PLAN: &str = include_str!("../../../config/load/capacity.toml");

    fn parts() -> Parts {
        Parts { calls_max: 500, connections_max: 1_000, threads: 2, late_ms_max: 20, counted: false }
    }

    #[test]
    fn what_it_writes_has_no_mistake() {
        let plan = Plan::parse(&PLAN.replace("dove siete", r#"un'altra \"cosa\""#), Path::new(".")).unwrap();
        let lab: LabSettings = toml::from_str(&lab_settings(&plan, false)).unwrap();
        assert!(lab.phrases.iter().any(|phrase| phrase.text == "un'altra \"cosa\""), "{:?}", lab.phrases);
        assert_eq!(lab.phrases.len(), 1, "the rest is in the phrasebook");
        let tenant =
            crate::tenant::Settings::parse(&tenant_settings("shop-7", "127.0.0.1:9", &parts()).unwrap()).unwrap();
        assert_eq!((tenant.profile.id.as_str(), tenant.profile.calls_max), ("shop-7", 500));
        let daemon = Settings::parse(&settings(&parts()), Path::new("/x")).unwrap();
        assert_eq!((daemon.tenants, daemon.gateway.connections_max), ("/x/tenants".into(), 1_000));
    }
}
