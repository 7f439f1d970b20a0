//! Engines that stand in for each other, in virtual time.
#![cfg(feature = "tokio")]
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod providers_fakes;

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt, stream, stream::BoxStream};
use pronto::{
    audio::Rate,
    call::{LlmEvent, SttEvent, TtsEvent},
    language::Language,
    providers::{
        FallbackLlm, FallbackStt, FallbackTts, Heard, Kind, Llm, ProviderError, Say, Stt, SttCapabilities, Tts,
        TtsCapabilities,
    },
};
use proptest::prelude::*;
use tokio::time::{Instant, sleep};

use providers_fakes::{DONE, FakeLlm, Script, ask, play, words};

const PATIENCE: Duration = Duration::from_millis(2_000);

fn llm(first: &Arc<FakeLlm>, second: &Arc<FakeLlm>) -> FallbackLlm {
    let (first, second): (Arc<dyn Llm>, Arc<dyn Llm>) = (first.clone(), second.clone());
    FallbackLlm::new(first, vec![second], PATIENCE)
}

async fn said(llm: &FallbackLlm) -> (String, Option<Kind>, u64) {
    let start = Instant::now();
    let mut text = String::new();
    let mut end = None;
    let mut stream = llm.reply(ask());
    while let Some(event) = stream.next().await {
        match event {
            Ok(LlmEvent::Words(words)) => text.push_str(&words),
            Ok(LlmEvent::Tool { .. } | LlmEvent::Done(_)) => {}
            Err(error) => end = Some(error.kind),
        }
    }
    (text, end, start.elapsed().as_millis() as u64)
}

#[tokio::test(start_paused = true)]
async fn the_second_answers_when_the_first_fails_or_says_nothing() {
    let second = FakeLlm::new([vec![(300, words("due")), (0, DONE)]]);
    for (script, ms) in [
        (vec![(0, Err(Kind::Unreachable))], 300),
        (vec![(500, Err(Kind::Status(500)))], 800),
        (vec![(60_000, words("uno"))], 2_300),
        (vec![], 300),
    ] {
        let fallback = llm(&FakeLlm::new([script]), &second);
        assert_eq!(said(&fallback).await, ("due".into(), None, ms));
    }
}

#[tokio::test(start_paused = true)]
async fn after_the_first_word_there_is_no_way_back() {
    let first = FakeLlm::new([vec![(100, words("uno")), (50, Err(Kind::Cut))]]);
    let second = FakeLlm::new([vec![(0, words("due")), (0, DONE)]]);
    let fallback = llm(&first, &second);
    assert_eq!(said(&fallback).await, ("uno".into(), Some(Kind::Cut), 150));
    assert_eq!(second.asked(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_dead_engine_is_left_alone_for_a_while() {
    let first = FakeLlm::new([vec![(60_000, words("uno"))]]);
    let second = FakeLlm::new([vec![(100, words("due")), (0, DONE)]]);
    let fallback = llm(&first, &second);
    assert_eq!(said(&fallback).await.2, 2_100);
    for _ in 0..10 {
        assert_eq!(said(&fallback).await.2, 100);
    }
    assert_eq!(first.asked(), 1);
    sleep(Duration::from_secs(6)).await;
    said(&fallback).await;
    assert_eq!(first.asked(), 2, "after its rest it is tried again");
}

#[tokio::test(start_paused = true)]
async fn when_all_are_dead_all_are_tried() {
    let first = FakeLlm::new([vec![(0, Err(Kind::Unreachable))]]);
    let second = FakeLlm::new([vec![(0, Err(Kind::Stalled))]]);
    let fallback = llm(&first, &second);
    for round in 1..4 {
        assert_eq!(said(&fallback).await.1, Some(Kind::Stalled));
        assert_eq!((first.asked(), second.asked()), (round, round));
    }
}

fn engine_script() -> impl Strategy<Value = Script<LlmEvent>> {
    let event = prop_oneof![
        6 => "[a-z]{1,3}".prop_map(|text| Ok(LlmEvent::Words(text))),
        2 => Just(DONE),
        1 => Just(Err(Kind::Cut)),
        1 => Just(Err(Kind::Garbage)),
    ];
    prop::collection::vec((0..4_000_u64, event), 0..6).prop_map(|mut script| {
        // Nothing follows an error or the end.
        if let Some(end) = script.iter().position(|(_, event)| !matches!(event, Ok(LlmEvent::Words(_)))) {
            script.truncate(end + 1);
        }
        script
    })
}

fn spoken(script: &Script<LlmEvent>) -> String {
    let word = |(_, event): &(u64, Result<LlmEvent, Kind>)| match event {
        Ok(LlmEvent::Words(text)) => text.clone(),
        _ => String::new(),
    };
    script.iter().map(word).collect()
}

proptest! {
    #[test]
    fn the_first_event_comes_in_time_and_nothing_is_said_twice(one in engine_script(), two in engine_script()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let fallback = llm(&FakeLlm::new([one.clone()]), &FakeLlm::new([two.clone()]));
            let start = Instant::now();
            let mut stream = fallback.reply(ask());
            let mut events = Vec::new();
            let mut first = None;
            while let Some(event) = stream.next().await {
                first.get_or_insert(start.elapsed().as_millis() as u64);
                events.push(event);
            }
            let bound = 2_000 + two.first().map_or(0, |(wait, _)| *wait);
            prop_assert!(first.expect("it says something or fails") <= bound);
            let script: Script<LlmEvent> = events.into_iter().map(|event| (0, event.map_err(|error| error.kind))).collect();
            let text = spoken(&script);
            prop_assert!(text == spoken(&one) || text == spoken(&two), "{text} is a mixture");
            prop_assert!(script.iter().filter(|(_, event)| event.is_err()).count() <= 1);
            Ok(())
        })?;
    }
}

struct FakeTts {
    rate: Rate,
    script: Script<TtsEvent>,
}

impl Tts for FakeTts {
    fn capabilities(&self) -> TtsCapabilities {
        TtsCapabilities { name: "fake", rate: self.rate, alignment: false }
    }

    fn speak(&self, _: Say) -> BoxStream<'static, Result<TtsEvent, ProviderError>> {
        play(self.script.clone())
    }
}

async fn check_voice(first: Script<TtsEvent>, second_rate: Rate, samples: usize, end: Option<Kind>) {
    let second = FakeTts {
        rate: second_rate,
        script: vec![(0, Ok(TtsEvent::Audio(vec![7; second_rate.hz() as usize]))), (0, Ok(TtsEvent::Done))],
    };
    let fallback =
        FallbackTts::new(Arc::new(FakeTts { rate: Rate::VOICE, script: first }), vec![Arc::new(second)], PATIENCE);
    assert_eq!(fallback.capabilities().rate, Rate::VOICE);
    let say = Say { text: "Buongiorno.".into(), language: Language::Italian };
    let mut heard = 0;
    let mut failed = None;
    let mut done = 0;
    for event in fallback.speak(say).collect::<Vec<_>>().await {
        match event {
            Ok(TtsEvent::Audio(samples)) => heard += samples.len(),
            Ok(TtsEvent::Done) => done += 1,
            Ok(TtsEvent::Words(_)) => panic!("the words of an engine that said nothing"),
            Err(error) => failed = Some(error.kind),
        }
    }
    assert_eq!((heard, failed, done), (samples, end, usize::from(end.is_none())));
}

#[tokio::test(start_paused = true)]
async fn a_clause_is_spoken_again_only_when_nothing_of_it_was_heard() {
    let audio = |n| Ok(TtsEvent::Audio(vec![1; n]));
    check_voice(vec![(0, audio(100)), (0, Ok(TtsEvent::Done))], Rate::VOICE, 100, None).await;
    check_voice(
        vec![(0, Ok(TtsEvent::Words(vec![]))), (0, Ok(TtsEvent::Audio(vec![]))), (0, Err(Kind::Cut))],
        Rate::VOICE,
        24_000,
        None,
    )
    .await;
    check_voice(vec![(0, audio(100)), (0, Err(Kind::Cut))], Rate::VOICE, 100, Some(Kind::Cut)).await;
    check_voice(vec![(9_000, audio(100))], Rate::WIDE, 24_000, None).await;
    check_voice(vec![(0, Err(Kind::Refused))], Rate::new(22_050).unwrap(), 24_000, None).await;
}

/// Turns every commit into a text with the milliseconds heard since the last one; fails after so many commits.
struct FakeStt {
    name: &'static str,
    fails_after: usize,
    /// Instead of failing, it says nothing any more.
    hangs: bool,
}

impl Stt for FakeStt {
    fn capabilities(&self) -> SttCapabilities {
        SttCapabilities { name: self.name, partials: false, turns: false, commits: true }
    }

    fn listen(
        &self,
        audio: BoxStream<'static, Heard>,
        _: Language,
    ) -> BoxStream<'static, Result<SttEvent, ProviderError>> {
        let (name, fails_after, hangs) = (self.name, self.fails_after, self.hangs);
        let state = (audio, 0_u64, 0_usize);
        stream::unfold(state, move |(mut audio, mut ms, commits)| async move {
            loop {
                match audio.next().await? {
                    Heard::Audio(samples) => ms += samples.len() as u64 / 16,
                    Heard::Commit(_) if commits >= fails_after && hangs => std::future::pending().await,
                    Heard::Commit(_) if commits == fails_after => {
                        let error = ProviderError::upstream("fake", Kind::Cut, "");
                        return Some((vec![Err(error)], (audio, 0, commits + 1)));
                    }
                    Heard::Commit(_) if commits > fails_after => return None,
                    Heard::Commit(commit) => {
                        let text = format!("{name}{ms}");
                        let events = vec![Ok(SttEvent::Final { text }), Ok(SttEvent::Committed { commit })];
                        return Some((events, (audio, 0, commits + 1)));
                    }
                }
            }
        })
        .flat_map(stream::iter)
        .boxed()
    }
}

#[tokio::test(start_paused = true)]
async fn the_next_recogniser_hears_again_what_was_not_written_down() {
    let heard = |ms: u64| Heard::Audio(vec![1; (ms * 16) as usize]);
    for hangs in [false, true] {
        let first = FakeStt { name: "a", fails_after: 1, hangs };
        let second = FakeStt { name: "b", fails_after: 99, hangs: false };
        let fallback = FallbackStt::new(Arc::new(first), vec![Arc::new(second)], PATIENCE);
        let script =
            vec![heard(100), heard(20), Heard::Commit(1), heard(300), Heard::Commit(2), heard(40), Heard::Commit(3)];
        let audio =
            stream::iter(script).chain(stream::once(sleep(Duration::from_secs(9))).filter_map(|()| async { None }));
        let events: Vec<_> = fallback.listen(audio.boxed(), Language::Italian).collect().await;
        let events: Vec<_> = events.into_iter().map(|event| event.expect("the second goes on")).collect();
        let text = |text: &str| SttEvent::Final { text: text.into() };
        let committed = |commit| SttEvent::Committed { commit };
        let expected = [text("a120"), committed(1), text("b300"), committed(2), text("b40"), committed(3)];
        assert_eq!(events, expected, "hangs: {hangs}");
    }
}

#[tokio::test(start_paused = true)]
async fn when_the_last_recogniser_fails_the_error_passes_on() {
    let fake = |name| FakeStt { name, fails_after: 0, hangs: false };
    let fallback = FallbackStt::new(Arc::new(fake("a")), vec![Arc::new(fake("b"))], PATIENCE);
    let audio = stream::iter([Heard::Commit(1)]).chain(stream::pending()).boxed();
    let events: Vec<_> = fallback.listen(audio, Language::Italian).collect().await;
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].as_ref().unwrap_err().kind, Kind::Cut);
}
