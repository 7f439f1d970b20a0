//! `pronto call`: telephones a gateway from the command line.

use std::{io::BufRead, path::PathBuf, process::ExitCode, sync::Arc, time::Duration};

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use tokio::sync::mpsc;

use super::terminal::Terminal;
use crate::{
    audio::{Codec, Format, Rate},
    language::Language,
    load::{
        caller::{
            Conversation, Happened, How, Lines, Moment, Placement, Scenario, Spoken, Turn, Wire, call,
            measure::Answered,
        },
        lab::speech::{Speech, Voice},
    },
    vapi::peer::{
        account::VapiAccount,
        dialling::{Answerer, NewCall},
    },
};

/// Telephones a gateway: says lines, follows a scenario, or speaks what is typed
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pronto call ws://127.0.0.1:18789/v1/stream/officina-rossi --token officina-rossi-demo-token
      what is typed is spoken, a line at a time; Ctrl-D hangs up
  pronto call ws://127.0.0.1:18789/v1/stream/officina-rossi --token ... --say 'vorrei prenotare un tagliando' \\
      --say 'martedì alle nove' --record call.wav
  pronto call ws://127.0.0.1:18789/twilio/officina-rossi --dialect twilio --token ... --scenario caller.toml
  pronto call https://api.vapi.ai --assistant ID --token \"$VAPI_KEY\" --say 'buongiorno'
      creates a call to an assistant at Vapi, or at a gateway in its place (https://host/vapi/tenant), and dials it")]
pub struct Call {
    /// The gateway's address; with --assistant that of a REST interface
    pub address: String,
    /// Create a call to this assistant first
    #[arg(long, value_name = "ID")]
    pub assistant: Option<String>,
    /// Say this when the agent has finished; may be given more than once
    #[arg(long, value_name = "TEXT", conflicts_with_all = ["scenario"])]
    pub say: Vec<String>,
    /// Play this recording when the agent has finished; after what is said
    #[arg(long, value_name = "FILE", conflicts_with_all = ["scenario"])]
    pub wav: Vec<PathBuf>,
    /// Follow this scenario
    #[arg(long, value_name = "FILE")]
    pub scenario: Option<PathBuf>,
    /// What the gateway speaks there
    #[arg(long, value_enum, default_value = "vapi")]
    pub dialect: Dialect,
    /// Samples per second (vapi)
    #[arg(long, default_value_t = 16_000, value_name = "HZ")]
    pub rate: u32,
    /// How samples are written (vapi)
    #[arg(long, value_enum, default_value = "pcm")]
    pub format: Written,
    /// What opens the door
    #[arg(long, env = "PRONTO_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
    /// The caller's number
    #[arg(long, value_name = "NUMBER")]
    pub from: Option<String>,
    /// What the caller speaks: it or en
    #[arg(long, default_value = "it", value_parser = language)]
    pub language: Language,
    /// Keep both sides as a stereo WAV
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,
}

/// A wire dialect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Dialect {
    /// Vapi's WebSocket transport.
    Vapi,
    /// Twilio Media Streams: mu-law at 8 kHz.
    Twilio,
}

/// How samples are written on Vapi's wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Written {
    /// Signed 16-bit.
    Pcm,
    /// G.711 mu-law.
    Mulaw,
}

fn language(text: &str) -> Result<Language, String> {
    match text {
        "it" => Ok(Language::Italian),
        "en" => Ok(Language::English),
        _ => Err("it is `it` or `en`".into()),
    }
}

impl Call {
    /// Calls, talks, and tells how it was.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let runtime = tokio::runtime::Runtime::new().context("the runtime cannot be started")?;
        let done = runtime.block_on(self.talk());
        // The thread that reads the keyboard may wait for a line that never comes.
        runtime.shutdown_background();
        done
    }

    async fn talk(self) -> anyhow::Result<ExitCode> {
        let wire = self.wire()?;
        let mut terminal = Terminal::new();
        terminal.wait("the caller prepares what to say ...");
        let lines = self.lines(wire.format().rate).await?;
        terminal.wait(format!("calling {} ...", self.address));
        let placement = self.placement(wire).await?;
        let interactive = matches!(lines, Lines::Live(_));
        let mut told = |moment: Moment| match said(&moment) {
            Some(line) => terminal.line(line),
            None if interactive => {}
            None => terminal.wait(format!("{:5.1} s", moment.at.as_secs_f64())),
        };
        let hang_up = async {
            if tokio::signal::ctrl_c().await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        let conversation = call(&placement, lines, &mut told, hang_up).await?;
        self.summary(&mut terminal, &conversation)
    }

    fn wire(&self) -> anyhow::Result<Wire> {
        Ok(match self.dialect {
            Dialect::Twilio => Wire::Twilio,
            Dialect::Vapi => {
                let codec = match self.format {
                    Written::Pcm => Codec::Pcm,
                    Written::Mulaw => Codec::Mulaw,
                };
                Wire::Vapi(Format { codec, rate: Rate::new(self.rate).context("--rate")? })
            }
        })
    }

    async fn placement(&self, wire: Wire) -> anyhow::Result<Placement> {
        let Some(assistant) = &self.assistant else {
            let (address, token) = (self.address.clone(), self.token.clone());
            return Ok(Placement { address, given: false, token, from: self.from.clone(), wire });
        };
        let Wire::Vapi(format) = wire else { bail!("--assistant: a call of Vapi's is dialled with --dialect vapi") };
        let base = self.address.clone().try_into().context("the address of the REST interface")?;
        let key = self.token.clone().context("--token: creating a call needs the private key")?;
        let account = VapiAccount::new(base, key.into())?;
        let mut new = NewCall::to(Answerer::Stored(assistant.clone()), format).named("pronto call");
        if let Some(from) = &self.from {
            new = new.knowing("callerNumber", from.as_str());
        }
        let created = account.create(&new).await?;
        Ok(Placement { address: created.transport.into_inner(), given: true, token: None, from: None, wire })
    }

    async fn lines(&self, rate: Rate) -> anyhow::Result<Lines> {
        let says = self.say.iter().cloned().map(Turn::Say).chain(self.wav.iter().cloned().map(Turn::Wav));
        let scenario = match &self.scenario {
            Some(path) => {
                let text = std::fs::read_to_string(path)
                    .with_context(|| format!("--scenario: {} cannot be read", path.display()))?;
                Scenario::parse(&text).with_context(|| format!("--scenario: {}", path.display()))?
            }
            None if self.say.is_empty() && self.wav.is_empty() => return self.keyboard(rate).await,
            None => Scenario::lines(self.language, says),
        };
        Ok(Lines::follow(scenario, rate).await?)
    }

    /// Lines as they are typed.
    async fn keyboard(&self, rate: Rate) -> anyhow::Result<Lines> {
        let speech = Arc::new(Speech::new().await?);
        let voice = Voice::callers(self.language)[0].clone();
        let (typed, mut typing) = mpsc::channel::<String>(16);
        let (spoken, lines) = mpsc::channel(16);
        std::thread::spawn(move || {
            for line in std::io::stdin().lock().lines().map_while(Result::ok) {
                if !line.trim().is_empty() && typed.blocking_send(line).is_err() {
                    break;
                }
            }
        });
        tokio::spawn(async move {
            while let Some(text) = typing.recv().await {
                match speech.say(&text, &voice, rate).await {
                    Ok(samples) => {
                        if spoken.send(Spoken { text, samples }).await.is_err() {
                            break;
                        }
                    }
                    #[expect(clippy::print_stderr, reason = "the answer to whoever typed it")]
                    Err(error) => eprintln!("this line cannot be said: {error}"),
                }
            }
        });
        Ok(Lines::Live(lines))
    }

    fn summary(&self, terminal: &mut Terminal, conversation: &Conversation) -> anyhow::Result<ExitCode> {
        let answers = conversation.recording.answers();
        if !answers.is_empty() {
            terminal.line("\nmeasured from the sound:   latency   cut off after   line");
            for answer in &answers {
                terminal.line(row(answer));
            }
        }
        let late_ms = conversation.late_max.as_millis();
        if late_ms > 20 {
            terminal.line(format!("this machine was up to {late_ms} ms late: what is measured is no better than that"));
        }
        if let Some(path) = &self.record {
            conversation.recording.write(path)?;
            terminal.line(format!("recorded: {} (caller left, agent right)", path.display()));
        }
        match &conversation.how {
            How::HungUp | How::AgentHungUp { code: 1000 | 1005, .. } => Ok(ExitCode::SUCCESS),
            How::AgentHungUp { code, reason } => bail!("the gateway ended the call with {code}: {reason}"),
            How::GaveUp(heard) if heard.is_empty() => bail!("the caller gave up: the agent said nothing"),
            How::GaveUp(heard) => bail!("the caller gave up: no line of the scenario answers `{heard}`"),
            How::TooLong => bail!("the caller hung up: an hour is enough"),
            How::Broke(why) => bail!("the line broke: {why}"),
        }
    }
}

/// A line of the dialogue, if this is one.
pub(super) fn said(moment: &Moment) -> Option<String> {
    let words = match &moment.what {
        Happened::Connected => "--  connected".to_owned(),
        Happened::Says { text, cuts_in: false } => format!("caller  {text}"),
        Happened::Says { text, cuts_in: true } => format!("caller  (cutting in) {text}"),
        Happened::Pressed(key) => format!("caller  presses {}", key.label()),
        Happened::Words { ours: false, last: true, text } => format!("agent   {text}"),
        Happened::Words { ours: true, last: true, text } => format!("        (understood: {text})"),
        Happened::Interrupted => "--  the agent was interrupted".to_owned(),
        Happened::Over(how) => match how {
            How::HungUp => "--  the caller hung up".to_owned(),
            How::AgentHungUp { code, .. } => format!("--  the agent hung up ({code})"),
            How::GaveUp(_) => "--  the caller gave up".to_owned(),
            How::TooLong => "--  the call was too long".to_owned(),
            How::Broke(_) => "--  the line broke".to_owned(),
        },
        Happened::AgentSpeaks(_) | Happened::Words { last: false, .. } | Happened::Status { .. } => return None,
    };
    Some(format!("{:6.1} s  {words}", moment.at.as_secs_f64()))
}

fn row(answer: &Answered) -> String {
    let ms = |duration: Option<Duration>| duration.map_or("-".to_owned(), |it| format!("{} ms", it.as_millis()));
    format!("{:>34} {:>15}   {}", ms(answer.latency()), ms(answer.cut), answer.text)
}
