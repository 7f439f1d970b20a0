//! Which engines a tenant has: the `[providers]` section of its settings, and the engines made from it.
//!
//! ```toml
//! [providers.stt]
//! kind = "deepgram"
//! key = { env = "DEEPGRAM_API_KEY" }
//!
//! [[providers.llm]]                     # in order of preference: the next one stands in for the one before
//! kind = "openai"
//! key = { env = "OPENAI_API_KEY" }
//! model = "gpt-6-luna"
//! [providers.llm.hedge]                 # asks once more when it is slow to begin, see [`hedge`](super::hedge)
//! [[providers.llm]]
//! kind = "receptionist"
//! ```
//!
//! Without a section the built-in receptionist answers with espeak-ng's voice; a recogniser has to be chosen.

use std::{fmt, marker::PhantomData, sync::Arc, time::Duration};

use futures_util::{
    FutureExt,
    future::{BoxFuture, join3},
};
use serde::{
    Deserialize, Deserializer,
    de::{
        self,
        value::{MapAccessDeserializer, SeqAccessDeserializer},
    },
};

use super::{
    Fallback, Hedge, HedgeSettings, KeyError, Llm, ProviderError, Stt, Tts, hedge::Second, phrases::PhraseCache,
    receptionist::Receptionist,
};

#[cfg(feature = "command")]
use super::command;
#[cfg(feature = "deepgram")]
use super::deepgram;
#[cfg(feature = "openai")]
use super::openai;

/// The `[providers]` section.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProvidersSettings {
    /// Recognisers, in order of preference.
    #[serde(deserialize_with = "one_or_many")]
    pub stt: Vec<SttChoice>,
    /// Language models, in order of preference.
    #[serde(deserialize_with = "one_or_many")]
    pub llm: Vec<LlmChoice>,
    /// Voices, in order of preference. All speak at the rate of the first.
    #[serde(deserialize_with = "one_or_many")]
    pub tts: Vec<TtsChoice>,
    /// Milliseconds a model or voice has for its first word or sound while there is another one to ask.
    pub patience_ms: u64,
    /// Milliseconds a recogniser has to answer a commit while there is another one to ask.
    pub stt_patience_ms: u64,
}

impl Default for ProvidersSettings {
    fn default() -> Self {
        Self {
            stt: Vec::new(),
            llm: vec![LlmChoice::Receptionist(ReceptionistSettings {})],
            tts: vec![TtsChoice::EspeakNg(Default::default())],
            patience_ms: 2_000,
            stt_patience_ms: 3_000,
        }
    }
}

/// A recogniser.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum SttChoice {
    /// OpenAI, or a server that speaks its transcription API (speaches, whisper.cpp's server).
    Openai(OpenAiStt),
    /// Deepgram, Nova or Flux by the model's name.
    Deepgram(Box<DeepgramStt>),
    /// whisper.cpp's program.
    WhisperCpp(Whisper),
    /// Another program.
    Command(CommandStt),
}

/// A language model.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum LlmChoice {
    /// The built-in rules: no key, no network, no waiting.
    Receptionist(ReceptionistSettings),
    /// OpenAI, or a server that speaks its chat API (vLLM, llama.cpp, Ollama).
    Openai(Box<OpenAiLlm>),
}

/// The receptionist has nothing to set.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReceptionistSettings {}

/// A voice.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum TtsChoice {
    /// espeak-ng.
    EspeakNg(Espeak),
    /// Piper.
    Piper(Piper),
    /// OpenAI, or a server that speaks its speech API (Kokoro, speaches).
    Openai(OpenAiTts),
    /// Deepgram Aura.
    Deepgram(DeepgramTts),
    /// Another program.
    Command(CommandTts),
}

/// The settings of an engine that this build does not have: read, so that the error can name the feature.
#[derive(Debug, Clone, Default)]
pub struct Unavailable;

impl<'de> Deserialize<'de> for Unavailable {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        de::IgnoredAny::deserialize(deserializer).map(|_| Self)
    }
}

macro_rules! settings {
    ($($feature:literal: $($name:ident = $settings:path),+;)+) => {$($(
        #[cfg(feature = $feature)]
        type $name = $settings;
        #[cfg(not(feature = $feature))]
        type $name = Unavailable;
    )+)+};
}

settings! {
    "openai": OpenAiStt = openai::OpenAiSttSettings, OpenAiLlm = openai::OpenAiLlmSettings, OpenAiTts = openai::OpenAiTtsSettings;
    "deepgram": DeepgramStt = deepgram::DeepgramSttSettings, DeepgramTts = deepgram::DeepgramTtsSettings;
    "command": Whisper = command::WhisperSettings, CommandStt = command::CommandSttSettings, Espeak = command::EspeakSettings,
        Piper = command::PiperSettings, CommandTts = command::CommandTtsSettings;
}

/// The engines of a tenant. Cheap to clone.
#[derive(Clone)]
pub struct Engines {
    /// Hears.
    pub stt: Arc<dyn Stt>,
    /// Thinks.
    pub llm: Arc<dyn Llm>,
    /// Speaks.
    pub tts: Arc<dyn Tts>,
}

impl Engines {
    /// Opens what the three of them take time to open. Worth doing when a call begins.
    pub fn warm(&self) -> BoxFuture<'static, ()> {
        join3(self.stt.warm(), self.llm.warm(), self.tts.warm()).map(drop).boxed()
    }
}

impl fmt::Debug for Engines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engines")
            .field("stt", &self.stt.capabilities().name)
            .field("llm", &self.llm.name())
            .field("tts", &self.tts.capabilities().name)
            .finish()
    }
}

/// Settings from which no engines can be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingError {
    /// Nothing was chosen, and there is no default.
    #[error("providers.{0}: none is set; {1}")]
    Missing(&'static str, &'static str),
    /// Built without it.
    #[error("providers.{0}: kind = \"{1}\" needs a build with the feature `{2}`")]
    Feature(&'static str, &'static str, &'static str),
    /// No key.
    #[error("providers.{0}.{1}")]
    Key(&'static str, KeyError),
    /// The engine cannot be set up.
    #[error("providers.{0}: {1}")]
    Engine(&'static str, ProviderError),
}

/// Makes the engines. Reads keys from files and the environment, opens no connection yet.
///
/// # Errors
/// When nothing is set for hearing, a key is missing, or a chosen engine is not in this build.
pub fn build(settings: &ProvidersSettings) -> Result<Engines, SettingError> {
    let shared = Shared::new()?;
    let patience = Duration::from_millis(settings.patience_ms);
    let stt = settings.stt.iter().map(|choice| shared.stt(choice)).collect::<Result<Vec<_>, _>>()?;
    let mut llm = settings.llm.iter().map(|choice| shared.llm(choice)).collect::<Result<Vec<_>, _>>()?;
    hedge(&settings.llm, &mut llm);
    // Whatever is down, somebody takes the name and the number.
    if matches!(settings.llm.last(), Some(LlmChoice::Openai(_))) {
        llm.push(Arc::new(Receptionist::new()));
    }
    let tts = settings.tts.iter().map(|choice| shared.tts(choice)).collect::<Result<Vec<_>, _>>()?;
    Ok(Engines {
        stt: match only(stt) {
            Only::One(one) => one,
            Only::More(first, others) => {
                Arc::new(Fallback::<dyn Stt>::new(first, others, Duration::from_millis(settings.stt_patience_ms)))
            }
            Only::None => {
                let advice = "set kind to deepgram, openai or whisper-cpp, and a key or an address with it";
                return Err(SettingError::Missing("stt", advice));
            }
        },
        llm: match only(llm) {
            Only::One(one) => one,
            Only::More(first, others) => Arc::new(Fallback::<dyn Llm>::new(first, others, patience)),
            Only::None => return Err(SettingError::Missing("llm", "set kind to openai or receptionist")),
        },
        tts: match only(tts) {
            Only::One(one) => Arc::new(PhraseCache::new(one, PHRASES_BYTES_MAX)),
            Only::More(first, others) => {
                let voice = Fallback::<dyn Tts>::new(first, others, patience);
                Arc::new(PhraseCache::new(Arc::new(voice), PHRASES_BYTES_MAX))
            }
            Only::None => return Err(SettingError::Missing("tts", "set kind to deepgram, openai, piper or espeak-ng")),
        },
    })
}

/// Puts a hedge around the models that want one.
fn hedge(choices: &[LlmChoice], engines: &mut [Arc<dyn Llm>]) {
    for (at, choice) in choices.iter().enumerate() {
        let Some(settings) = choice.hedge() else { continue };
        let second = match settings.engine {
            Second::Same => at,
            Second::Next => (at + 1).min(engines.len() - 1),
        };
        // The next one is asked as it is: engines that come later have no hedge yet.
        let second = Arc::clone(&engines[second]);
        engines[at] = Arc::new(Hedge::new(Arc::clone(&engines[at]), second, settings));
    }
}

impl LlmChoice {
    fn hedge(&self) -> Option<HedgeSettings> {
        match self {
            Self::Receptionist(ReceptionistSettings {}) => None,
            #[cfg(feature = "openai")]
            Self::Openai(settings) => settings.hedge,
            #[cfg(not(feature = "openai"))]
            Self::Openai(_) => None,
        }
    }
}

/// Sound kept for a tenant: the house's own sentences are about a megabyte at 24 kHz.
const PHRASES_BYTES_MAX: usize = 2 << 20;

/// A list by what stands in it.
enum Only<T> {
    None,
    One(T),
    More(T, Vec<T>),
}

fn only<T>(mut list: Vec<T>) -> Only<T> {
    if list.is_empty() {
        return Only::None;
    }
    let first = list.remove(0);
    if list.is_empty() { Only::One(first) } else { Only::More(first, list) }
}

/// What the engines of one tenant share.
struct Shared {
    #[cfg(feature = "openai")]
    connections: openai::Connections,
}

#[cfg_attr(
    not(all(feature = "openai", feature = "deepgram", feature = "command")),
    allow(unused_variables, reason = "an engine that is not in this build has no settings")
)]
impl Shared {
    fn new() -> Result<Self, SettingError> {
        Ok(Self {
            #[cfg(feature = "openai")]
            connections: openai::Connections::new().map_err(|error| SettingError::Engine("llm", error))?,
        })
    }

    fn stt(&self, choice: &SttChoice) -> Result<Arc<dyn Stt>, SettingError> {
        match choice {
            #[cfg(feature = "openai")]
            SttChoice::Openai(settings) => {
                Ok(Arc::new(openai::OpenAiStt::new(settings.clone(), self.connections.clone()).map_err(key("stt"))?))
            }
            #[cfg(not(feature = "openai"))]
            SttChoice::Openai(_) => Err(SettingError::Feature("stt", "openai", "openai")),
            #[cfg(feature = "deepgram")]
            SttChoice::Deepgram(settings) => {
                Ok(Arc::new(deepgram::DeepgramStt::new((**settings).clone()).map_err(key("stt"))?))
            }
            #[cfg(not(feature = "deepgram"))]
            SttChoice::Deepgram(_) => Err(SettingError::Feature("stt", "deepgram", "deepgram")),
            #[cfg(feature = "command")]
            SttChoice::WhisperCpp(settings) => Ok(Arc::new(command::CommandStt::new(settings.clone()))),
            #[cfg(not(feature = "command"))]
            SttChoice::WhisperCpp(_) => Err(SettingError::Feature("stt", "whisper-cpp", "command")),
            #[cfg(feature = "command")]
            SttChoice::Command(settings) => Ok(Arc::new(command::CommandStt::new(settings.clone()))),
            #[cfg(not(feature = "command"))]
            SttChoice::Command(_) => Err(SettingError::Feature("stt", "command", "command")),
        }
    }

    fn llm(&self, choice: &LlmChoice) -> Result<Arc<dyn Llm>, SettingError> {
        match choice {
            LlmChoice::Receptionist(ReceptionistSettings {}) => Ok(Arc::new(Receptionist::new())),
            #[cfg(feature = "openai")]
            LlmChoice::Openai(settings) => Ok(Arc::new(
                openai::OpenAiLlm::new((**settings).clone(), self.connections.clone()).map_err(key("llm"))?,
            )),
            #[cfg(not(feature = "openai"))]
            LlmChoice::Openai(_) => Err(SettingError::Feature("llm", "openai", "openai")),
        }
    }

    fn tts(&self, choice: &TtsChoice) -> Result<Arc<dyn Tts>, SettingError> {
        match choice {
            #[cfg(feature = "command")]
            TtsChoice::EspeakNg(settings) => Ok(Arc::new(command::CommandTts::new(settings.clone()))),
            #[cfg(not(feature = "command"))]
            TtsChoice::EspeakNg(_) => Err(SettingError::Feature("tts", "espeak-ng", "command")),
            #[cfg(feature = "command")]
            TtsChoice::Piper(settings) => Ok(Arc::new(command::CommandTts::new(settings.clone()))),
            #[cfg(not(feature = "command"))]
            TtsChoice::Piper(_) => Err(SettingError::Feature("tts", "piper", "command")),
            #[cfg(feature = "command")]
            TtsChoice::Command(settings) => Ok(Arc::new(command::CommandTts::new(settings.clone()))),
            #[cfg(not(feature = "command"))]
            TtsChoice::Command(_) => Err(SettingError::Feature("tts", "command", "command")),
            #[cfg(feature = "openai")]
            TtsChoice::Openai(settings) => {
                Ok(Arc::new(openai::OpenAiTts::new(settings.clone(), self.connections.clone()).map_err(key("tts"))?))
            }
            #[cfg(not(feature = "openai"))]
            TtsChoice::Openai(_) => Err(SettingError::Feature("tts", "openai", "openai")),
            #[cfg(feature = "deepgram")]
            TtsChoice::Deepgram(settings) => {
                Ok(Arc::new(deepgram::DeepgramTts::new(settings.clone()).map_err(key("tts"))?))
            }
            #[cfg(not(feature = "deepgram"))]
            TtsChoice::Deepgram(_) => Err(SettingError::Feature("tts", "deepgram", "deepgram")),
        }
    }
}

#[cfg(any(feature = "openai", feature = "deepgram"))]
const fn key(of: &'static str) -> impl Fn(KeyError) -> SettingError {
    move |error| SettingError::Key(of, error)
}

/// A table, or a list of tables.
fn one_or_many<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    struct Visitor<T>(PhantomData<T>);
    impl<'de, T: Deserialize<'de>> de::Visitor<'de> for Visitor<T> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a table with `kind`, or a list of such tables in order of preference")
        }

        fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Vec<T>, A::Error> {
            T::deserialize(MapAccessDeserializer::new(map)).map(|one| vec![one])
        }

        fn visit_seq<A: de::SeqAccess<'de>>(self, seq: A) -> Result<Vec<T>, A::Error> {
            Vec::deserialize(SeqAccessDeserializer::new(seq))
        }
    }
    deserializer.deserialize_any(Visitor(PhantomData))
}

#[cfg(all(test, feature = "openai", feature = "deepgram", feature = "command"))]
mod tests {
    use super::*;

    #[derive(Debug, Default, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct File {
        providers: ProvidersSettings,
    }

    fn read(text: &str) -> Result<ProvidersSettings, String> {
        toml::from_str::<File>(text).map(|file| file.providers).map_err(|error| error.to_string())
    }

    /// A whole section in which every engine can be made.
    const GOOD: &str = r#"
        [providers]
        patience_ms = 1500
        [providers.stt]
        kind = "deepgram"
        key = "dg-secret"
        model = "nova-3"
        [[providers.llm]]
        kind = "openai"
        key = "sk-secret"
        model = "gpt-6-luna"
        [[providers.llm]]
        kind = "openai"
        base_url = "http://127.0.0.1:11434/v1"
        model = "qwen3"
        [[providers.tts]]
        kind = "piper"
        model = "it_IT-paola-medium.onnx"
        [[providers.tts]]
        kind = "espeak-ng"
    "#;

    #[test]
    fn engines_are_made_and_keys_never_printed() {
        let settings = read(GOOD).unwrap();
        assert!(!format!("{settings:?}").contains("secret"), "{settings:?}");
        let engines = build(&settings).unwrap();
        assert_eq!(format!("{engines:?}"), r#"Engines { stt: "deepgram", llm: "openai", tts: "command" }"#);
        assert_eq!(engines.tts.capabilities().rate.hz(), 22_050);
    }

    #[test]
    fn mistakes_name_the_field_and_the_fix() {
        let check = |text: &str, part: &str| {
            let error = match read(text) {
                Err(error) => error,
                Ok(settings) => build(&settings).unwrap_err().to_string(),
            };
            assert!(error.contains(part), "{text}: {error}");
        };
        check("[providers.stt]\nkind = 'deepgram'\nkey = 'k'\nmodel = 'nova-3'\nmodle = 'x'", "unknown field `modle`");
        check("[providers.stt]\nkind = 'magic'", "unknown variant `magic`, expected one of `openai`");
        check("[providers.llm]\nkind = 'openai'", "missing field `model`");
        check(
            "[providers.llm]\nkind = 'openai'\nmodel = 'x'\nbase_url = 'localhost'",
            "base_url: the scheme is missing",
        );
        check("[providers.llm]\nkind = 'receptionist'\nmood = 'bad'", "unknown field `mood`");
        check("[providers]\nllm = 'openai'", "a table with `kind`");
        check(
            "[providers]\nllm = []\n[providers.stt]\nkind = 'whisper-cpp'\nmodel = 'm'",
            "providers.llm: none is set",
        );
        let missing = GOOD.replace("\"dg-secret\"", "{ env = 'PRONTO_SURELY_NOT_SET' }");
        check(&missing, "providers.stt.key: the environment variable PRONTO_SURELY_NOT_SET is not set");
        check("[providers.llm]\nkind = 'openai'\nmodel = 'x'", "providers.stt: none is set; set kind to deepgram");
    }
}
