//! How a call behaves, as a shop sets it. Parsed whole at the door; every field has a default that works.

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use super::{Complete, ToolSpec};
use crate::{
    audio::{Line, Rate, VadSettings},
    language::Language,
    privacy::Pii,
};

/// Everything a call needs to know before it is answered.
#[derive(Debug, Clone)]
pub struct Setup {
    /// What the line carries and can do.
    pub line: Line,
    /// The wall clock at the moment of the answer, in the shop's zone.
    pub clock: jiff::Zoned,
    /// The caller's number, where the line told it.
    pub caller: Option<Pii<String>>,
    /// How the call behaves.
    pub settings: Arc<Settings>,
    /// The system prompt.
    pub instructions: Arc<str>,
    /// What to say first, `{disclosure}` already filled in. Empty: the caller speaks first.
    pub greeting: Arc<str>,
    /// The tools the model may ask for.
    pub tools: Arc<[ToolSpec]>,
    /// The recogniser gives partial texts while the caller speaks.
    pub stt_partials: bool,
    /// The recogniser answers a commit.
    pub stt_commits: bool,
    /// The rate of the voice's samples.
    pub voice: Rate,
    /// Tells whether a text answers a question completely: the trade knows what a plate is.
    pub complete: Complete,
}

/// The settings of a call: `[call]` in a tenant's file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The language of the conversation.
    pub language: Language,
    /// When the caller has finished.
    pub endpointing: Endpointing,
    /// When the caller cuts in.
    pub interruption: Interrupting,
    /// What is speech and what is noise.
    pub vad: VadSettings,
    /// Milliseconds from the end of the caller's speech after which a filler is spoken when nothing else was (a
    /// caller is never left in silence beyond 2500).
    pub filler_ms: u64,
    /// Milliseconds a tool may take before the caller hears that we are checking.
    pub patience_ms: u64,
    /// Milliseconds from the question to the model after which the call gives up on it and apologises.
    pub answer_ms: u64,
    /// Seconds of silence before we ask whether the caller is still there.
    pub silence_s: u64,
    /// How often we ask before we say goodbye.
    pub reprompts: u32,
    /// The longest call, in seconds.
    pub duration_max_s: u64,
    /// The keys that end an entry; a pause ends it too.
    pub keys_end: String,
    /// Milliseconds after the last key that end an entry.
    pub keys_pause_ms: u64,
    /// End the call when we have said one of the end phrases of the language.
    pub end_phrases: bool,
    /// Who speaks first.
    pub opening: Opening,
    /// The caller may cut the greeting.
    pub greeting_interruptible: bool,
    /// Seconds of silence after the last time we asked, before the goodbye. Absent: `silence_s` once more.
    pub goodbye_s: Option<u64>,
    /// Sentences and words of this call, beside or instead of the language's.
    pub sayings: Sayings,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            language: Language::Italian,
            endpointing: Endpointing::default(),
            interruption: Interrupting::default(),
            vad: VadSettings::default(),
            filler_ms: 1_800,
            patience_ms: 1_200,
            answer_ms: 9_000,
            silence_s: 10,
            reprompts: 2,
            duration_max_s: 900,
            keys_end: "#".into(),
            keys_pause_ms: 2_000,
            end_phrases: true,
            opening: Opening::Greeting,
            greeting_interruptible: true,
            goodbye_s: None,
            sayings: Sayings::default(),
        }
    }
}

/// Who speaks first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Opening {
    /// We do, with the greeting.
    #[default]
    Greeting,
    /// We do, with what the model says to an empty conversation.
    Model,
    /// The caller does; a greeting waits for who asks for it ([`Control::Greet`](super::Control::Greet)).
    Caller,
}

/// Sentences and words of one call, beside or instead of the language's.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sayings {
    /// What a silent caller is asked, one after the other, instead of the language's sentence.
    pub still_there: Vec<String>,
    /// The goodbye to a caller who stays silent, instead of the language's.
    pub goodbye_silence: Option<String>,
    /// The goodbye when we end the call and nothing else was said, instead of the language's.
    pub goodbye: Option<String>,
    /// More words that never interrupt us.
    pub backchannels: Vec<String>,
    /// Words that always interrupt us, at once.
    pub stops: Vec<String>,
    /// Words of ours, wherever they stand in a sentence, after which the call ends.
    pub end_phrases: Vec<String>,
}

/// When the caller has finished: how much silence, by what was said. Milliseconds of silence in received audio.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Endpointing {
    /// `text` reads what was said; `silence` only counts.
    pub policy: EndpointingPolicy,
    /// For a sentence that could be complete.
    pub silence_ms: u64,
    /// For one that surely is (a short answer, closing punctuation).
    pub complete_ms: u64,
    /// For one that surely is not ("vorrei prenotare per").
    pub unfinished_ms: u64,
    /// While a number, plate or name is being dictated, or after we asked for one.
    pub dictation_ms: u64,
    /// After this much silence the recogniser is told to finish what it has.
    pub commit_ms: u64,
    /// After this much silence the model is asked ahead, for the case that the caller has finished: the answer is that much
    /// sooner, and some are thrown away. 0 never does.
    pub ahead_ms: u64,
    /// How long to wait for a transcript after the silence before going on without it.
    pub transcript_ms_max: u64,
    /// Believe the recogniser's own end of turn, where it has one.
    pub trust_engine: bool,
}

impl Default for Endpointing {
    fn default() -> Self {
        Self {
            policy: EndpointingPolicy::Text,
            silence_ms: 700,
            complete_ms: 500,
            unfinished_ms: 1_400,
            dictation_ms: 1_600,
            commit_ms: 260,
            ahead_ms: 0,
            transcript_ms_max: 1_500,
            trust_engine: true,
        }
    }
}

/// How the end of an utterance is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndpointingPolicy {
    /// Silence alone.
    Silence,
    /// Silence, weighed by what was said and by what we asked.
    Text,
}

/// When the caller cuts in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Interrupting {
    /// `words`: hold the voice at once, and cut when words come that are no backchannel. `speech`: cut on the length
    /// of speech alone. `never`: finish every sentence.
    pub policy: InterruptingPolicy,
    /// Milliseconds of sure speech that hold the voice. A slam, a cough or a bunch of keys is not sure, however long; 80
    /// bring silence within a quarter of a second even where 60 ms of ours cannot be taken back.
    pub hold_ms: u64,
    /// Milliseconds of unbroken, sure speech that cut without any words.
    pub cut_ms: u64,
    /// Milliseconds without words or speech after which a held voice goes on.
    pub resume_ms: u64,
    /// Words (backchannels apart) that make an interruption.
    pub words_min: u32,
    /// Speak softer from the first sign of speech until it is decided.
    pub duck: bool,
    /// Milliseconds of silence that who has cut us is given at least before we speak again.
    pub backoff_ms: u64,
}

impl Default for Interrupting {
    fn default() -> Self {
        Self {
            policy: InterruptingPolicy::Words,
            hold_ms: 80,
            cut_ms: 700,
            resume_ms: 600,
            words_min: 1,
            duck: true,
            backoff_ms: 0,
        }
    }
}

/// How a cut-in is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InterruptingPolicy {
    /// Hold on speech, cut on words.
    Words,
    /// Cut on speech.
    Speech,
    /// The caller waits.
    Never,
}

impl Settings {
    /// A setting in milliseconds.
    pub(crate) const fn ms(value: u64) -> Duration {
        Duration::from_millis(value)
    }
}
