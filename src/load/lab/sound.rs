//! `/v1/audio/speech` and `/v1/audio/transcriptions`: the lab's voice and ears on OpenAI's wire.

use std::{io::Cursor, sync::Arc};

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use hyper::StatusCode;
use serde_json::{Value, json};

use super::{
    ears::Guess,
    faults::{Gate, Harm},
    journal::Endpoint,
    mind,
    multipart::{Field, fields},
    openai::{Refusal, known},
    server::{Body, House, Over, Reply, add, plain, streamed, with},
    speech::{Speech, Voice},
};
use crate::{
    audio::{Rate, Resampler},
    language::Language,
};

/// Sound is sent in pieces of this many samples: a tenth of a second.
const PIECE: usize = Rate::VOICE.hz() as usize / 10;
/// The vendor's voices.
const VOICES: [&str; 13] =
    ["alloy", "ash", "ballad", "coral", "echo", "fable", "onyx", "nova", "sage", "shimmer", "verse", "marin", "cedar"];

/// Speaks a text.
pub async fn speak(house: &Arc<House>, harm: Option<Harm>, request: &Value) -> Result<Reply, Refusal> {
    known(&request["model"], Endpoint::Speech)?;
    let Some(text) = request["input"].as_str() else {
        return Err(Refusal::field("input", "Missing required parameter: 'input'."));
    };
    if text.is_empty() || text.len() > Speech::MAX_TEXT {
        let message = format!("Invalid 'input': expected 1 to {} characters, got {}.", Speech::MAX_TEXT, text.len());
        return Err(Refusal::field("input", message).coded("string_above_max_length"));
    }
    if !request["voice"].as_str().is_some_and(|voice| VOICES.contains(&voice)) && !request["voice"].is_object() {
        return Err(Refusal::field("voice", format!("Invalid voice. Supported voices are: {VOICES:?}.")));
    }
    let wav = match request["response_format"].as_str() {
        Some("pcm") => false,
        Some("wav") => true,
        Some(_) | None => {
            let message = "the lab speaks only response_format 'pcm' and 'wav'";
            return Err(Refusal::field("response_format", message));
        }
    };
    let events = request["stream_format"] == "sse";
    let language = mind::language(text).unwrap_or(house.settings.language);
    let voice = Voice { speed: speed(request), ..Voice::agent(language) };
    let Ok(pcm) = house.say(text, &voice, Rate::VOICE).await else {
        return Err(Refusal::field("input", "the lab's voice failed"));
    };
    house.journal.spoke(Endpoint::Speech, text);
    let tokens = text.len() / 4;
    let usage = json!({ "input_tokens": tokens, "output_tokens": pcm.len() / 1_200,
                        "total_tokens": tokens + pcm.len() / 1_200 });
    let waits = house.clone();
    let rubbish = (Bytes::from_static(b"<garbage>\n\n"), Bytes::new());
    let body = streamed(house, Endpoint::Speech, harm, rubbish, async move |mut pipe| -> Result<(), Over> {
        waits.first(Endpoint::Speech).await;
        for (index, piece) in pcm.chunks(PIECE).enumerate() {
            if index > 0 {
                waits.next(Endpoint::Speech).await;
            }
            let mut bytes = if wav && index == 0 { header() } else { Vec::new() };
            bytes.extend(piece.iter().flat_map(|sample| sample.to_le_bytes()));
            if events {
                let delta = json!({ "type": "speech.audio.delta", "audio": STANDARD.encode(&bytes) });
                pipe.send(format!("data: {delta}\n\n")).await?;
            } else {
                pipe.send(bytes).await?;
            }
        }
        if events {
            let done = json!({ "type": "speech.audio.done", "usage": usage });
            pipe.send(format!("data: {done}\n\n")).await?;
        }
        Ok(())
    });
    let kind = match (events, wav) {
        (true, _) => "text/event-stream; charset=utf-8",
        (false, true) => "audio/wav",
        (false, false) => "audio/pcm",
    };
    Ok(with(StatusCode::OK, kind, body))
}

/// The agent's speed, scaled as the request wants.
fn speed(request: &Value) -> u16 {
    let usual = f64::from(Voice::agent(Language::Italian).speed);
    (usual * request["speed"].as_f64().unwrap_or(1.0).clamp(0.25, 4.0)).clamp(80.0, 450.0) as u16
}

/// A WAV header as streaming servers write it: the sizes are not known yet, so they are the largest.
fn header() -> Vec<u8> {
    let rate = Rate::VOICE.hz();
    let mut header = b"RIFF\xff\xff\xff\xffWAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00".to_vec();
    header.extend(rate.to_le_bytes());
    header.extend((rate * 2).to_le_bytes());
    header.extend(b"\x02\x00\x10\x00data\xff\xff\xff\xff");
    header
}

/// Recognises a file.
pub async fn transcribe(
    house: &Arc<House>,
    harm: Option<Harm>,
    content_type: &str,
    body: &[u8],
) -> Result<Reply, Refusal> {
    let Some(form) = fields(content_type, body) else {
        return Err(Refusal::field("file", "the body is not multipart/form-data"));
    };
    let text = |name: &str| text(&form, name);
    let model = known(&text("model").map_or(Value::Null, Value::from), Endpoint::Transcriptions)?.to_string();
    let Some(file) = form.iter().find(|field| field.name == "file") else {
        return Err(Refusal::field("file", "Missing required parameter: 'file'."));
    };
    if !file.file.as_deref().is_some_and(|name| name.to_ascii_lowercase().ends_with(".wav")) {
        let message = "Invalid file format. The lab reads 'wav'.";
        return Err(Refusal::field("file", message).coded("unsupported_value"));
    }
    let format = text("response_format").unwrap_or_else(|| "json".to_string());
    if !["json", "text"].contains(&format.as_str()) {
        let message =
            format!("response_format '{format}' is not compatible with model '{model}'. Use 'json' or 'text'.");
        return Err(Refusal::field("response_format", message).coded("unsupported_value"));
    }
    let language = match text("language").or_else(|| text("languages[]")).as_deref() {
        Some("it") => Language::Italian,
        Some("en") => Language::English,
        Some(_) => return Err(Refusal::field("language", "the lab hears 'it' and 'en'").coded("unsupported_value")),
        None => house.settings.language,
    };
    let Some(pcm) = wide(file.value) else {
        let message = "Audio file might be corrupted or unsupported";
        return Err(Refusal::field("file", message).coded("invalid_value"));
    };
    let seconds = pcm.len() as f64 / f64::from(Rate::WIDE.hz());
    let deaf = Gate::new(Endpoint::Transcriptions, harm.clone()).deaf(&house.faults);
    let guess = house.ears.recognise(language, pcm).await;
    let guess = guess.map_err(|_| Refusal::field("file", "the lab's ears failed"))?;
    let guess = if deaf { Guess::default() } else { guess };
    house.journal.heard(Endpoint::Transcriptions, &guess.text(), guess.confidence);
    let usage = if model == "whisper-1" {
        json!({ "type": "duration", "seconds": seconds.ceil() })
    } else {
        let (heard, said) = ((seconds * 10.0) as u64, guess.words.len());
        json!({ "type": "tokens", "input_tokens": heard, "output_tokens": said, "total_tokens": heard + said as u64,
                "input_token_details": { "text_tokens": 0, "audio_tokens": heard } })
    };
    if text("stream").as_deref() == Some("true") && model != "whisper-1" {
        return Ok(with(StatusCode::OK, "text/event-stream; charset=utf-8", deltas(house, harm, &guess, usage)));
    }
    // A transcript in one piece has one event to be harmed: its whole body.
    let waits = house.clone();
    let reply = if format == "text" {
        format!("{}\n", guess.text())
    } else {
        let mut reply = json!({ "text": guess.text(), "usage": usage });
        if model == "gpt-transcribe" {
            reply["languages"] = json!([{ "code": language.code() }]);
        }
        reply.to_string()
    };
    let kind = if format == "text" { "text/plain; charset=utf-8" } else { "application/json" };
    if harm.is_none() {
        waits.first(Endpoint::Transcriptions).await;
        house.journal.stream(Endpoint::Transcriptions).finished();
        let mut whole = plain(StatusCode::OK, &reply);
        add(&mut whole, "content-type", kind);
        return Ok(whole);
    }
    let rubbish =
        (Bytes::from_static(b"{\"text\": \"\xff"), Bytes::from_static(b"{\"error\": {\"message\": \"failed\"}}"));
    let body = streamed(house, Endpoint::Transcriptions, harm, rubbish, async move |mut pipe| {
        waits.first(Endpoint::Transcriptions).await;
        pipe.send(reply).await
    });
    Ok(with(StatusCode::OK, kind, body))
}

/// The transcript word by word.
fn deltas(house: &Arc<House>, harm: Option<Harm>, guess: &Guess, usage: Value) -> Body {
    let text = guess.text();
    let mut events: Vec<Value> =
        text.split_inclusive(' ').map(|word| json!({ "type": "transcript.text.delta", "delta": word })).collect();
    events.push(json!({ "type": "transcript.text.done", "text": text, "usage": usage }));
    let waits = house.clone();
    let rubbish = (Bytes::from_static(b"data: {\"type\n\n"), Bytes::from_static(b"data: {\"error\": {}}\n\n"));
    streamed(house, Endpoint::Transcriptions, harm, rubbish, async move |mut pipe| -> Result<(), Over> {
        waits.first(Endpoint::Transcriptions).await;
        for event in events {
            pipe.send(format!("data: {event}\n\n")).await?;
            waits.next(Endpoint::Transcriptions).await;
        }
        Ok(())
    })
}

fn text(form: &[Field<'_>], name: &str) -> Option<String> {
    let field = form.iter().find(|field| field.name == name)?;
    Some(String::from_utf8_lossy(field.value).into_owned())
}

/// The samples of a WAV file at 16 kHz; none when it is none.
fn wide(file: &[u8]) -> Option<Vec<i16>> {
    let mut reader = hound::WavReader::new(Cursor::new(file)).ok()?;
    let spec = reader.spec();
    if spec.channels != 1 || spec.bits_per_sample != 16 || spec.sample_format != hound::SampleFormat::Int {
        return None;
    }
    let rate = Rate::new(spec.sample_rate).ok()?;
    let pcm: Vec<i16> = reader.samples::<i16>().collect::<Result<_, _>>().ok()?;
    let mut wide = Vec::with_capacity(pcm.len() * 2);
    let mut resampler = Resampler::new(rate, Rate::WIDE);
    resampler.process(&pcm, &mut wide);
    resampler.flush(&mut wide);
    Some(wide)
}
