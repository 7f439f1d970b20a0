//! `pronto vapi assistant`: what a tenant's assistant at Vapi looks like. Prints it; asks nobody and opens nothing.

use std::{path::PathBuf, process::ExitCode};

use clap::{Args, Subcommand, ValueEnum};

use super::{Given, Settings, check, tenants};
use crate::{
    tenant,
    vapi::peer::description::{Doors, PublicUrl, assistant},
};

/// What stands where no credential was named: nobody can take it for one.
const PLACEHOLDER: &str = "CREDENTIAL-ID";

/// What a shop with an account at Vapi needs
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pronto vapi assistant --tenant officina-rossi --public-url https://voice.example.it")]
pub struct Vapi {
    /// Of what.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands of `pronto vapi`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Prints the assistant.
    Assistant(Assistant),
}

/// Prints a tenant as an assistant at Vapi: JSON for POST https://api.vapi.ai/assistant
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pronto vapi assistant --tenant officina-rossi --public-url https://voice.example.it --credential-id 0c1f... > assistant.json
  curl -sS https://api.vapi.ai/assistant -H \"Authorization: Bearer $VAPI_KEY\" -H 'Content-Type: application/json' -d @assistant.json
  pronto vapi assistant --public-url https://voice.example.it --only hands    the shop's tools, for a model at Vapi

The doors: brain is our model as custom LLM, hands are our tools, ears our recogniser as custom transcriber, mouth our voice as
custom voice. Those that are not named are left to Vapi. The tenant's token is never printed: keep it at Vapi as a credential
(type bearer) and name its id.")]
pub struct Assistant {
    /// Which files.
    #[command(flatten)]
    pub given: Given,
    /// The tenant's id; may be left out where there is only one
    #[arg(long, value_name = "ID")]
    pub tenant: Option<String>,
    /// https:// and the host by which Vapi reaches this daemon
    #[arg(long, value_name = "URL")]
    pub public_url: PublicUrl,
    /// The id of the credential at Vapi that holds the tenant's token
    #[arg(long, value_name = "ID")]
    pub credential_id: Option<String>,
    /// The doors to use, with commas between them [default: all]
    #[arg(long, value_name = "DOORS", value_delimiter = ',')]
    pub only: Vec<Door>,
}

/// A door, as it is named on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Door {
    /// Our model.
    Brain,
    /// Our tools.
    Hands,
    /// Our recogniser.
    Ears,
    /// Our voice.
    Mouth,
}

impl Vapi {
    /// Runs the subcommand.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self.command {
            Command::Assistant(assistant) => assistant.run(),
        }
    }
}

impl Assistant {
    /// Reads the tenant's file and prints.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let daemon = match Settings::read(&self.given) {
            Ok(settings) => settings,
            Err(mistakes) => {
                check::complain(&[mistakes]);
                return Ok(ExitCode::FAILURE);
            }
        };
        let Some(settings) = self.find(tenants::files(&daemon.tenants)?)? else { return Ok(ExitCode::FAILURE) };
        let doors = match self.only.as_slice() {
            [] => Doors::ALL,
            only => Doors {
                brain: only.contains(&Door::Brain),
                hands: only.contains(&Door::Hands),
                ears: only.contains(&Door::Ears),
                mouth: only.contains(&Door::Mouth),
            },
        };
        let credential = self.credential_id.as_deref().unwrap_or(PLACEHOLDER);
        let described = assistant(&settings, doors, &self.public_url, credential);
        let text = serde_json::to_string_pretty(&described)?;
        #[expect(clippy::print_stdout, reason = "the answer to whoever asked on the command line")]
        {
            println!("{text}");
        }
        #[expect(clippy::print_stderr, reason = "what to do with the answer, beside it")]
        {
            if self.credential_id.is_none() {
                eprintln!(
                    "{PLACEHOLDER} stands for the credential that holds this tenant's token: make one at Vapi (custom \
                     credential, bearer token), and give its id as --credential-id"
                );
            }
            if doors.hands && !doors.brain {
                eprintln!("The model is one of OpenAI's at Vapi: change model.provider and model.model at will.");
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    /// The tenant that is meant; none where its file has mistakes, which were told.
    fn find(&self, files: Vec<PathBuf>) -> anyhow::Result<Option<tenant::Settings>> {
        let (mut found, mut mistakes, mut others) = (Vec::new(), Vec::new(), Vec::new());
        for path in files {
            let text =
                std::fs::read_to_string(&path).map_err(|error| anyhow::anyhow!("{}: {error}", path.display()))?;
            match tenant::Settings::parse(&text) {
                Ok(settings) if self.tenant.as_deref().is_none_or(|id| id == settings.profile.id.as_str()) => {
                    found.push(settings);
                }
                Ok(settings) => others.push(settings.profile.id.to_string()),
                Err(problems) => mistakes.push((path, problems)),
            }
        }
        let only = match (found.len(), &self.tenant) {
            (1, _) => found.pop(),
            (0, _) if !mistakes.is_empty() => {
                check::complain(&mistakes);
                return Ok(None);
            }
            (0, Some(id)) => anyhow::bail!("there is no tenant {id}; there are: {}", others.join(", ")),
            (0, None) => anyhow::bail!("there is no tenant: add a file, config/tenants has an example"),
            (_, _) => {
                let ids: Vec<_> = found.iter().map(|settings| settings.profile.id.as_str()).collect();
                anyhow::bail!("there are several tenants: choose one with --tenant: {}", ids.join(", "))
            }
        };
        Ok(only)
    }
}
