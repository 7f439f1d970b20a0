//! A model that is slow to begin is asked once more, in virtual time.
#![cfg(feature = "tokio")]
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod providers_fakes;

use std::{sync::Arc, time::Duration};

use futures_util::StreamExt;
use pronto::{
    call::LlmEvent,
    providers::{
        Hedge, HedgeSettings, Kind, Llm,
        hedge::{Outcome, Second},
    },
};
use tokio::time::{Instant, timeout};

use providers_fakes::{DONE, FakeLlm, Script, ask, words};

fn tool(id: &str) -> Result<LlmEvent, Kind> {
    Ok(LlmEvent::Tool { id: id.into(), name: "book_appointment".into(), arguments: "{}".into() })
}

fn says(after: u64, text: &str) -> Script<LlmEvent> {
    vec![(after, words(text)), (0, DONE)]
}

fn fixed(after_ms: u64) -> HedgeSettings {
    HedgeSettings { after_ms: Some(after_ms), budget_percent: 100, ..HedgeSettings::default() }
}

fn hedge(first: &Arc<FakeLlm>, second: &Arc<FakeLlm>, settings: HedgeSettings) -> Hedge {
    Hedge::new(first.clone(), second.clone(), settings)
}

/// What one question is answered: the words, the tools, the error, and after how many milliseconds all of it.
async fn answered(hedge: &Hedge) -> (String, Vec<String>, Option<Kind>, u64) {
    let start = Instant::now();
    let (mut text, mut tools, mut end) = (String::new(), Vec::new(), None);
    let mut stream = hedge.reply(ask());
    while let Some(event) = stream.next().await {
        match event {
            Ok(LlmEvent::Words(words)) => text.push_str(&words),
            Ok(LlmEvent::Tool { id, .. }) => tools.push(id),
            Ok(LlmEvent::Done(_)) => {}
            Err(error) => end = Some(error.kind),
        }
    }
    (text, tools, end, start.elapsed().as_millis() as u64)
}

async fn said(hedge: &Hedge) -> (String, Option<Kind>, u64) {
    let (text, _, end, ms) = answered(hedge).await;
    (text, end, ms)
}

#[tokio::test(start_paused = true)]
async fn who_answers_in_time_is_asked_once() {
    let (first, second) = (FakeLlm::new([says(299, "uno")]), FakeLlm::new([says(0, "due")]));
    let hedge = hedge(&first, &second, fixed(300));
    assert_eq!(said(&hedge).await, ("uno".into(), None, 299));
    assert_eq!((first.asked(), second.asked()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn who_is_late_competes_with_a_second_answer() {
    for (first_ms, second_ms, expected, ms, outcome) in [
        (5_000, 200, "due", 500, Outcome::Second),
        (450, 200, "uno", 450, Outcome::First),
        (60_000, 900, "due", 1_200, Outcome::Second),
    ] {
        let (first, second) = (FakeLlm::new([says(first_ms, "uno")]), FakeLlm::new([says(second_ms, "due")]));
        let hedge = hedge(&first, &second, fixed(300));
        assert_eq!(said(&hedge).await, (expected.into(), None, ms));
        assert_eq!((first.asked(), second.asked(), hedge.count(outcome)), (1, 1, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn the_one_that_is_not_kept_is_dropped_at_once() {
    let slow = vec![(5_000, words("uno")), (5_000, DONE)];
    let long = vec![(100, words("due")), (2_000, words(" tre")), (0, DONE)];
    let (first, second) = (FakeLlm::new([slow]), FakeLlm::new([long]));
    let hedge = hedge(&first, &second, fixed(300));
    let mut stream = hedge.reply(ask());
    assert_eq!(stream.next().await, Some(Ok(LlmEvent::Words("due".into()))));
    let next = stream.next();
    tokio::pin!(next);
    assert!(timeout(Duration::from_millis(10), &mut next).await.is_err());
    assert_eq!(first.alive(), 0, "an answer that is not kept is not read");
    assert!(second.alive() > 0);
    drop(stream);
    assert_eq!(second.alive(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_failure_of_one_does_not_fail_the_other() {
    let dead = || vec![(100, Err(Kind::Cut))];
    // The second is dead: the first is waited for.
    let (first, second) = (FakeLlm::new([says(2_000, "uno")]), FakeLlm::new([dead()]));
    assert_eq!(said(&hedge(&first, &second, fixed(300))).await, ("uno".into(), None, 2_000));
    // The first dies while it is late: the second answers.
    let (first, second) = (FakeLlm::new([vec![(350, Err(Kind::Stalled))]]), FakeLlm::new([says(800, "due")]));
    assert_eq!(said(&hedge(&first, &second, fixed(300))).await, ("due".into(), None, 1_100));
    // Either ends without an answer.
    let (first, second) = (FakeLlm::new([says(2_000, "uno")]), FakeLlm::new([vec![]]));
    assert_eq!(said(&hedge(&first, &second, fixed(300))).await, ("uno".into(), None, 2_000));
    // Both die: the first one's error is told, once both have.
    let (first, second) = (FakeLlm::new([vec![(400, Err(Kind::Stalled))]]), FakeLlm::new([dead()]));
    let both = hedge(&first, &second, fixed(300));
    assert_eq!(said(&both).await, (String::new(), Some(Kind::Stalled), 400));
    assert_eq!(both.count(Outcome::Failed), 1);
}

#[tokio::test(start_paused = true)]
async fn who_fails_in_time_is_not_asked_again() {
    let (first, second) = (FakeLlm::new([vec![(100, Err(Kind::Status(500)))]]), FakeLlm::new([says(0, "due")]));
    assert_eq!(said(&hedge(&first, &second, fixed(300))).await, (String::new(), Some(Kind::Status(500)), 100));
    assert_eq!(second.asked(), 0, "whom to ask then is the fallback's affair");
}

#[tokio::test(start_paused = true)]
async fn an_empty_word_is_no_beginning_and_a_tool_is_one() {
    let opened = vec![(0, words("")), (2_000, words("uno")), (0, DONE)];
    let (first, second) = (FakeLlm::new([opened]), FakeLlm::new([says(100, "due")]));
    assert_eq!(said(&hedge(&first, &second, fixed(300))).await, ("due".into(), None, 400));
    let asks = vec![(100, tool("a")), (5_000, DONE)];
    let (first, second) = (FakeLlm::new([asks]), FakeLlm::new([says(0, "due")]));
    assert_eq!(answered(&hedge(&first, &second, fixed(300))).await, (String::new(), vec!["a".into()], None, 5_100));
    assert_eq!(second.asked(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_tool_is_never_asked_for_twice() {
    // Both ask for a tool, at every distance, also at the very same moment.
    for first_ms in (0..2_000).step_by(50) {
        for second_ms in (0..1_000).step_by(50) {
            let asks = |wait, id: &str| vec![(wait, tool(id)), (10, tool(&format!("{id}2"))), (10, DONE)];
            let (first, second) = (FakeLlm::new([asks(first_ms, "a")]), FakeLlm::new([asks(second_ms, "b")]));
            let (_, tools, end, _) = answered(&hedge(&first, &second, fixed(300))).await;
            assert!(tools == ["a", "a2"] || tools == ["b", "b2"], "{first_ms} {second_ms}: {tools:?}");
            assert_eq!(end, None);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn late_is_what_is_later_than_four_of_five() {
    // The first ten answers take 100 to 1 000 ms; nothing is known before they have begun.
    let known = (1..=10).map(|tenth| says(tenth * 100, "uno"));
    let first = FakeLlm::new(known.chain([says(5_000, "uno")]));
    let second = FakeLlm::new([says(100, "due")]);
    let hedge = hedge(&first, &second, HedgeSettings { budget_percent: 100, ..HedgeSettings::default() });
    for _ in 0..10 {
        assert_eq!(hedge.late(), None);
        said(&hedge).await;
    }
    assert_eq!(second.asked(), 0);
    assert_eq!(hedge.late(), Some(Duration::from_millis(800)));
    assert_eq!(said(&hedge).await, ("due".into(), None, 900));
}

#[tokio::test(start_paused = true)]
async fn a_quick_model_is_not_asked_twice_for_nothing() {
    let first = FakeLlm::new((0..10).map(|_| says(20, "uno")).chain([says(200, "uno")]));
    let second = FakeLlm::new([says(0, "due")]);
    let hedge = hedge(&first, &second, HedgeSettings { budget_percent: 100, ..HedgeSettings::default() });
    for _ in 0..20 {
        assert_eq!(said(&hedge).await.0, "uno");
    }
    assert_eq!((hedge.late(), second.asked()), (Some(Duration::from_millis(250)), 0));
}

#[tokio::test(start_paused = true)]
async fn a_model_that_is_slow_for_everybody_is_asked_a_fifth_more_and_no_more() {
    let (first, second) = (FakeLlm::new([says(2_000, "uno")]), FakeLlm::new([says(2_000, "due")]));
    let hedge = hedge(&first, &second, HedgeSettings { after_ms: Some(300), ..HedgeSettings::default() });
    for question in 1..=200 {
        assert_eq!(said(&hedge).await, ("uno".into(), None, 2_000));
        assert!(second.asked() * 5 <= question, "{} of {question}", second.asked());
    }
    assert_eq!(second.asked(), 40);
    assert_eq!((hedge.count(Outcome::First), hedge.count(Outcome::Spent)), (40, 160));
}

#[tokio::test(start_paused = true)]
async fn what_is_saved_up_is_bounded() {
    let first = FakeLlm::new((0..100).map(|_| says(10, "uno")).chain([says(2_000, "uno")]));
    let second = FakeLlm::new([says(2_000, "due")]);
    let hedge = hedge(&first, &second, HedgeSettings { after_ms: Some(300), ..HedgeSettings::default() });
    for _ in 0..100 {
        said(&hedge).await;
    }
    // Everybody at once, after a hundred quiet questions.
    let all: Vec<_> = (0..10).map(|_| said(&hedge)).collect();
    futures_util::future::join_all(all).await;
    assert!(second.asked() <= 3, "{}", second.asked());
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_does_not_wait_drops_both() {
    let (first, second) = (FakeLlm::new([says(5_000, "uno")]), FakeLlm::new([says(5_000, "due")]));
    let hedge = hedge(&first, &second, fixed(300));
    let mut stream = hedge.reply(ask());
    assert!(timeout(Duration::from_millis(1_000), stream.next()).await.is_err());
    assert_eq!((first.asked(), second.asked()), (1, 1));
    drop(stream);
    assert_eq!((first.alive(), second.alive(), hedge.count(Outcome::Dropped)), (0, 0, 1));
}

#[cfg(feature = "openai")]
#[test]
fn a_hedge_is_a_section_of_a_model() {
    use pronto::providers::settings::{LlmChoice, ProvidersSettings, build};

    let read = |text: &str| toml::from_str::<ProvidersSettings>(text);
    let text = r#"
        stt = { kind = "openai", model = "whisper-1", base_url = "http://127.0.0.1:1/v1" }
        [llm]
        kind = "openai"
        model = "gpt-6-luna"
        base_url = "http://127.0.0.1:1/v1"
        [llm.hedge]
        after_ms = 900
        engine = "next"
    "#;
    let settings = read(text).unwrap();
    let LlmChoice::Openai(llm) = &settings.llm[0] else { panic!("{settings:?}") };
    let hedge = HedgeSettings { after_ms: Some(900), engine: Second::Next, ..HedgeSettings::default() };
    assert_eq!(llm.hedge, Some(hedge));
    let _ = rustls::crypto::ring::default_provider().install_default();
    assert_eq!(build(&settings).unwrap().llm.name(), "openai");
    let without = read(&text.replace("[llm.hedge]", "").replace("after_ms = 900", "").replace("engine = \"next\"", ""));
    assert!(matches!(&without.unwrap().llm[0], LlmChoice::Openai(llm) if llm.hedge.is_none()), "off unless written");
    let told = read(&text.replace("after_ms", "afterwards_ms")).unwrap_err().to_string();
    assert!(told.contains("afterwards_ms"), "{told}");
}
