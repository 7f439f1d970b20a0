//! The mouth: the tenant's voice as the custom voice of an assistant that lives at Vapi.
//!
//! One request is one stream of [`Piece`]s, polled in place: **dropping it is the cancellation**, and what the voice was
//! speaking ends with it. The text is spoken clause by clause as in a call, so that the sentences that the tenant keeps as
//! sound are found, and each piece leaves as the voice gives it. Nothing is gathered here: whoever does not read holds up
//! the voice.

use std::{collections::VecDeque, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{
    FutureExt, StreamExt,
    stream::{self, BoxStream},
};
use tokio::time::timeout;

use super::{pcm::Pcm, voice_request::VoiceRequest};
use crate::{
    call::{TtsEvent, clauses},
    providers::{Kind, ProviderError, Say},
    tenant::Tenant,
};

/// How long the voice may be silent. Vapi's own limit is 20 s, and it has a voice to fall back on.
const SILENT_MAX: Duration = Duration::from_secs(15);

/// A piece of an answer.
#[derive(Debug)]
pub enum Piece {
    /// Samples to play; never empty.
    Sound(Bytes),
    /// The voice failed. The last piece; the first one where nothing was heard.
    Failed(ProviderError),
    /// A bug of ours. The last piece.
    Panicked,
}

/// Speaks a text.
pub fn speak(tenant: &Arc<Tenant>, request: VoiceRequest) -> BoxStream<'static, Piece> {
    let language = tenant.profile().call.language;
    let mouth = Mouth {
        pcm: Pcm::new(tenant.engines().tts.capabilities().rate, request.rate),
        tenant: Arc::clone(tenant),
        clauses: clauses(request.text.reveal(), language).into(),
        voice: None,
        last: None,
        over: false,
    };
    stream::unfold(mouth, |mut mouth| async move {
        let piece = match AssertUnwindSafe(mouth.next()).catch_unwind().await {
            Ok(piece) => piece?,
            Err(_panic) => {
                mouth.over = true;
                Piece::Panicked
            }
        };
        Some((piece, mouth))
    })
    .boxed()
}

/// One answer in progress.
struct Mouth {
    tenant: Arc<Tenant>,
    /// Not yet begun.
    clauses: VecDeque<String>,
    /// The clause being spoken.
    voice: Option<BoxStream<'static, Result<TtsEvent, ProviderError>>>,
    pcm: Pcm,
    /// Comes behind the rest of the sound.
    last: Option<ProviderError>,
    /// Nothing comes but what is last.
    over: bool,
}

impl Mouth {
    async fn next(&mut self) -> Option<Piece> {
        loop {
            if self.over {
                return self.last.take().map(Piece::Failed);
            }
            let sound = match &mut self.voice {
                Some(voice) => match timeout(SILENT_MAX, voice.next()).await {
                    Ok(Some(Ok(TtsEvent::Audio(samples)))) => self.pcm.push(&samples),
                    Ok(Some(Ok(TtsEvent::Words(_)))) => continue,
                    Ok(Some(Ok(TtsEvent::Done))) => {
                        self.voice = None;
                        continue;
                    }
                    Ok(Some(Err(error))) => self.failed(error),
                    Ok(None) => self.failed(self.upstream(Kind::Cut, "the stream ended early")),
                    Err(_silent) => self.failed(self.upstream(Kind::Stalled, "no sound in time")),
                },
                None => match self.clauses.pop_front() {
                    Some(text) => {
                        let language = self.tenant.profile().call.language;
                        self.voice = Some(self.tenant.engines().tts.speak(Say { text, language }));
                        continue;
                    }
                    None => {
                        self.over = true;
                        self.pcm.end()
                    }
                },
            };
            if !sound.is_empty() {
                return Some(Piece::Sound(sound));
            }
        }
    }

    /// What was being said ends softly, if any of it was heard.
    fn failed(&mut self, error: ProviderError) -> Bytes {
        self.over = true;
        self.voice = None;
        self.last = Some(error);
        if self.pcm.is_new() { Bytes::new() } else { self.pcm.end() }
    }

    fn upstream(&self, kind: Kind, what: &str) -> ProviderError {
        ProviderError::upstream(self.tenant.engines().tts.capabilities().name, kind, what)
    }
}
