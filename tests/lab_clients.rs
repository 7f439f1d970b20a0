//! The real provider clients against the lab: every capability, over loopback, without a key.
#![cfg(all(feature = "load", feature = "openai", feature = "deepgram"))]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt, stream};
use pronto::{
    audio::Rate,
    call::{Ask, LlmEvent, Message, SttEvent, ToolKind, ToolSpec, TtsEvent, Turn},
    language::Language,
    load::lab::{Lab, LabSettings, journal::Endpoint, phrasebook::normal, speech::Voice},
    providers::{
        Heard, Kind, Llm, ProviderError, Say,
        openai::{Connections, OpenAiLlm},
        settings::{Engines, ProvidersSettings, build},
    },
};
use serde_json::json;
use tokio::time::timeout;

const SOON: Duration = Duration::from_secs(30);

async fn lab() -> Lab {
    Lab::start(LabSettings::instant()).await.expect("espeak-ng is installed")
}

/// Engines whose settings are those of a shop, but for the addresses.
fn engines(lab: &Lab, stt: &str, tts: &str) -> Engines {
    #[derive(serde::Deserialize)]
    struct Shop {
        providers: ProvidersSettings,
    }
    let openai = format!("\nbase_url = '{}'\nkey = 'k'\n", lab.openai_url());
    let mut settings = lab.providers_toml().replace("nova-3", stt);
    if stt == "openai" {
        settings = settings[settings.find("[providers.llm]").unwrap()..].to_string();
        settings.push_str(&format!("[providers.stt]\nkind = 'openai'\nmodel = 'gpt-transcribe'{openai}"));
    }
    if tts == "openai" {
        let voice = settings.find("[providers.tts]").unwrap();
        let rest = settings[voice..].find("[providers.stt]").map(|at| settings[voice + at..].to_string());
        settings.truncate(voice);
        settings.push_str(&rest.unwrap_or_default());
        let model = "kind = 'openai'\nmodel = 'gpt-4o-mini-tts'\nvoice = 'coral'";
        settings.push_str(&format!("[providers.tts]\n{model}{openai}"));
    }
    build(&toml::from_str::<Shop>(&settings).unwrap().providers).unwrap()
}

fn ask(text: &str) -> Ask {
    let parameters =
        json!({ "type": "object", "properties": { "service": { "type": "string", "enum": ["tagliando"] } } });
    let tool = |name: &str| ToolSpec {
        name: name.into(),
        description: "find free slots".into(),
        parameters: parameters.clone(),
        kind: ToolKind::Read,
    };
    Ask {
        turn: Turn(1),
        instructions: "Sei la receptionist di un'officina.".into(),
        messages: vec![Message::Caller { text: text.into() }],
        tools: Arc::new([tool("find_slots"), tool("book_appointment")]),
        now: "2026-11-20T09:05:00+01:00[Europe/Rome]".parse().unwrap(),
        language: Language::Italian,
        caller: Some("+393331234567".to_string().into()),
    }
}

/// What a recogniser makes of a caller's phrases, each followed by a commit.
async fn heard(lab: &Lab, engines: &Engines, phrases: &[&str]) -> Vec<Result<SttEvent, ProviderError>> {
    let mut fed = Vec::new();
    for (number, phrase) in phrases.iter().enumerate() {
        let pcm = lab.speech().say(phrase, &Voice::callers(Language::Italian)[2], Rate::WIDE).await.unwrap();
        let line = [&[0; 6_400][..], &pcm, &[0; 6_400][..]].concat();
        fed.extend(line.chunks(320).map(|frame| Heard::Audio(frame.to_vec())));
        fed.push(Heard::Commit(number as u32));
    }
    // As a call feeds it: paced, though faster, and open for a while after the last word.
    let audio = stream::iter(fed)
        .then(|heard| async {
            tokio::time::sleep(Duration::from_millis(1)).await;
            heard
        })
        .chain(stream::once(tokio::time::sleep(Duration::from_millis(1_500))).filter_map(|()| async { None }));
    timeout(SOON, engines.stt.listen(audio.boxed(), Language::Italian).collect()).await.expect("it ends")
}

#[tokio::test]
async fn every_recogniser_of_ours_hears_the_caller() {
    let lab = lab().await;
    for stt in ["nova-3", "flux-general-multi", "openai"] {
        let engines = engines(&lab, stt, "openai");
        let events = heard(&lab, &engines, &["vorrei prenotare un tagliando", "domani alle nove"]).await;
        let finals: Vec<String> = events
            .iter()
            .filter_map(|event| match event {
                Ok(SttEvent::Final { text }) => Some(normal(text)),
                _ => None,
            })
            .filter(|text| !text.is_empty())
            .collect();
        assert_eq!(finals, ["vorrei prenotare un tagliando", "domani alle nove"], "{stt}: {events:#?}");
        assert!(events.iter().all(Result::is_ok), "{stt}: {events:#?}");
        if engines.stt.capabilities().commits {
            let commits = events.iter().filter(|event| matches!(event, Ok(SttEvent::Committed { .. }))).count();
            assert_eq!(commits, 2, "{stt}: {events:#?}");
        }
        if engines.stt.capabilities().partials {
            assert!(events.iter().any(|event| matches!(event, Ok(SttEvent::Partial { .. }))), "{stt}: {events:#?}");
        }
    }
    lab.stop().await;
}

#[tokio::test]
async fn both_voices_of_ours_speak_and_can_be_stopped() {
    let mut settings = LabSettings::instant();
    // Slow enough to be stopped in the middle.
    settings.latency.aura.next = serde_json::from_value(json!(30)).unwrap();
    settings.latency.speech.next = serde_json::from_value(json!(30)).unwrap();
    let lab = Lab::start(settings).await.unwrap();
    for (tts, endpoint) in [("openai", Endpoint::Speech), ("deepgram", Endpoint::Aura)] {
        let engines = engines(&lab, "nova-3", tts);
        // Too long to be kept as sound: the second time is the engine's again.
        let text = "Buongiorno, qui è l'officina Rossi, mi dica come posso aiutarla.";
        let say = || Say { text: text.into(), language: Language::Italian };
        let events: Vec<_> = timeout(SOON, engines.tts.speak(say()).collect()).await.expect("it ends");
        let samples: usize = events
            .iter()
            .map(|event| match event {
                Ok(TtsEvent::Audio(pcm)) => pcm.len(),
                Ok(TtsEvent::Words(_) | TtsEvent::Done) => 0,
                Err(error) => panic!("{tts}: {error}"),
            })
            .sum();
        assert!((48_000..160_000).contains(&samples), "{tts}: {samples} samples for four seconds");
        assert!(matches!(events.last(), Some(Ok(TtsEvent::Done))));
        let mut stopped = engines.tts.speak(say());
        assert!(matches!(stopped.next().await, Some(Ok(TtsEvent::Audio(_)))));
        drop(stopped);
        timeout(SOON, async {
            while lab.journal().endpoints[&endpoint].cancelled == 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await
        .unwrap_or_else(|_| panic!("{tts}: the engine speaks on"));
    }
    lab.stop().await;
}

#[tokio::test]
async fn our_model_client_hears_words_and_tools_and_knows_the_faults() {
    let lab = lab().await;
    // The client alone: behind the engines of a shop stands the receptionist, and hides every fault.
    let settings = format!("model = 'gpt-6-luna'\nbase_url = '{}'\nkey = 'k'\n", lab.openai_url());
    let client = OpenAiLlm::new(toml::from_str(&settings).unwrap(), Connections::new().unwrap()).unwrap();
    let reply = async |text: &str| -> Vec<Result<LlmEvent, ProviderError>> {
        timeout(SOON, client.reply(ask(text)).collect()).await.expect("it ends")
    };
    let events = reply("vorrei prenotare un tagliando domani mattina").await;
    let tool = events.iter().find_map(|event| match event {
        Ok(LlmEvent::Tool { name, arguments, .. }) => Some((name.clone(), arguments.clone())),
        _ => None,
    });
    let (name, arguments) = tool.unwrap_or_else(|| panic!("{events:?}"));
    assert_eq!(name, "find_slots");
    assert!(serde_json::from_str::<serde_json::Value>(&arguments).unwrap().is_object());
    // The lab reads the day and the number out of the prompt.
    assert!(lab.journal().asked[0]["messages"][0]["content"].as_str().unwrap().contains("2026-11-20"));

    for (fault, expected) in [
        (json!({ "kind": "status", "status": 429, "retry_after": "2" }), Kind::RateLimited),
        (json!({ "kind": "status", "status": 500 }), Kind::Status(500)),
        (json!({ "kind": "status", "status": 401 }), Kind::Refused),
        (json!({ "kind": "refuse" }), Kind::Cut),
        (json!({ "kind": "cut", "after": 2 }), Kind::Cut),
        (json!({ "kind": "truncate", "after": 2 }), Kind::Cut),
        (json!({ "kind": "garbage", "after": 1 }), Kind::Garbage),
        (json!({ "kind": "stall", "after": 0 }), Kind::FirstTimeout),
    ] {
        let mut fault = fault;
        fault["endpoint"] = "chat".into();
        lab.faults().add(serde_json::from_value(fault.clone()).unwrap());
        let events = reply("buongiorno").await;
        let failed = events.iter().find_map(|event| event.as_ref().err());
        assert_eq!(failed.map(|error| error.kind), Some(expected), "{fault}: {events:?}");
        lab.faults().clear();
    }
    lab.stop().await;
}
