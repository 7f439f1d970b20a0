//! Engines that are processes: small shell scripts play the part, and the real espeak-ng where it is installed.
#![cfg(all(feature = "command", unix))]
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

use std::time::Duration;

use futures_util::{StreamExt, stream};
use pronto::{
    audio::Rate,
    call::{SttEvent, TtsEvent},
    language::Language,
    providers::{
        Heard, Kind, ProviderError, Say, Stt, Tts,
        command::{CommandStt, CommandSttSettings, CommandTts, CommandTtsSettings, EspeakSettings},
    },
};
use tokio::time::{sleep, timeout};

fn shell(script: &str, more: &str) -> CommandTts {
    let text = format!(
        "program = 'sh'\narguments = ['-c', '''{script}''', 'sh', '{{language}}']\noutput = 'raw'\nrate = 16000\n{more}"
    );
    CommandTts::new(toml::from_str::<CommandTtsSettings>(&text).unwrap())
}

fn say(text: &str) -> Say {
    Say { text: text.into(), language: Language::Italian }
}

async fn speak(tts: &CommandTts, text: &str) -> (Vec<i16>, Result<TtsEvent, ProviderError>) {
    let mut events: Vec<_> = timeout(Duration::from_secs(15), tts.speak(say(text)).collect()).await.expect("it hangs");
    let end = events.pop().unwrap();
    let samples = events.into_iter().flat_map(|event| match event {
        Ok(TtsEvent::Audio(samples)) => samples,
        other => panic!("{other:?}"),
    });
    (samples.collect(), end)
}

fn samples(text: &str) -> Vec<i16> {
    let (pairs, _) = text.as_bytes().as_chunks::<2>();
    pairs.iter().map(|pair| i16::from_le_bytes(*pair)).collect()
}

#[tokio::test]
async fn the_clause_goes_in_and_sound_comes_out() {
    let echo = shell("printf %s $1; cat", "");
    assert_eq!(speak(&echo, " a\nb ").await, (samples("ita b\n"), Ok(TtsEvent::Done)));
    assert_eq!(speak(&echo, " \n").await, (vec![], Ok(TtsEvent::Done)));
}

#[tokio::test]
async fn a_clause_among_the_arguments_is_not_read_by_a_shell() {
    let text = "program = 'printf'\narguments = ['%s', '{text}']\noutput = 'raw'\nrate = 16000";
    let tts = CommandTts::new(toml::from_str::<CommandTtsSettings>(text).unwrap());
    assert_eq!(speak(&tts, "$(id); `ls` {language}!").await, (samples("$(id); `ls` {language}!"), Ok(TtsEvent::Done)));
}

#[tokio::test]
async fn a_program_that_fails_says_how() {
    let kind = |(_, end): (Vec<i16>, Result<TtsEvent, ProviderError>)| end.unwrap_err().kind;
    assert_eq!(kind(speak(&shell("exit 0", ""), "a").await), Kind::Cut);
    assert_eq!(kind(speak(&shell("printf abcd; exit 3", ""), "a").await), Kind::Cut);
    assert_eq!(kind(speak(&shell("exec sleep 30", "first_ms = 200"), "a").await), Kind::FirstTimeout);
    assert_eq!(
        kind(speak(&shell("exec yes aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", ""), "a").await),
        Kind::Garbage
    );
    let missing = CommandTts::new(EspeakSettings { program: "no-such-program".into(), ..EspeakSettings::default() });
    assert_eq!(kind(speak(&missing, "a").await), Kind::Refused);
}

#[tokio::test]
async fn places_are_bounded_and_freed() {
    let tts = shell("cat; exec sleep 30", "processes_max = 1\nwait_ms = 200");
    let mut first = tts.speak(say("ab"));
    assert_eq!(first.next().await, Some(Ok(TtsEvent::Audio(samples("ab")))));
    assert_eq!(speak(&tts, "cd").await.1.unwrap_err().kind, Kind::Busy);
    drop(first);
    let mut second = tts.speak(say("ef"));
    assert_eq!(second.next().await, Some(Ok(TtsEvent::Audio(samples("ef")))));
}

#[tokio::test]
async fn dropping_the_stream_kills_the_process() {
    let tts = shell("printf %08d $$; exec sleep 30", "");
    let Some(Ok(TtsEvent::Audio(pid))) = tts.speak(say("a")).next().await else { panic!("no sound") };
    let pid: String = pid.iter().flat_map(|sample| sample.to_le_bytes()).map(char::from).collect();
    let process = format!("/proc/{}", pid.trim_start_matches('0'));
    for _ in 0..200 {
        // Killed, and either reaped or waiting to be.
        let stat = std::fs::read_to_string(format!("{process}/stat")).unwrap_or_default();
        if stat.is_empty() || stat.contains(") Z ") {
            return;
        }
        sleep(Duration::from_millis(25)).await;
    }
    panic!("the process still runs");
}

#[tokio::test]
async fn espeak_speaks_italian() {
    let tts = CommandTts::new(EspeakSettings::default());
    assert_eq!(tts.capabilities().rate, Rate::new(22_050).unwrap());
    let (samples, end) = speak(&tts, "Buongiorno, officina Rossi.").await;
    if end.as_ref().is_err_and(|error| error.kind == Kind::Refused) {
        return; // not installed here
    }
    assert_eq!(end, Ok(TtsEvent::Done));
    let seconds = samples.len() as f32 / 22_050.0;
    assert!((1.0..4.0).contains(&seconds), "{seconds} s");
    let loudest = samples.iter().map(|sample| sample.unsigned_abs()).max().unwrap();
    assert!(loudest > 3_000, "{loudest}");
    let tail = samples.iter().rev().take_while(|sample| sample.unsigned_abs() <= 40).count();
    assert!(tail <= 22_050 * 130 / 1_000, "{tail} samples of silence at the end");
}

fn stt(script: &str) -> CommandStt {
    let text = format!(
        "program = 'sh'\narguments = ['-c', '''{script}''', 'sh', '{{language}}', '{{file}}']\nanswer_ms = 5000"
    );
    CommandStt::new(toml::from_str::<CommandSttSettings>(&text).unwrap())
}

async fn listen(stt: &CommandStt) -> Vec<Result<SttEvent, ProviderError>> {
    let voice = (0..8_000).map(|n| if n % 40 < 20 { 3_000 } else { -3_000 }).collect();
    let heard = stream::iter([Heard::Audio(voice), Heard::Commit(1)]).boxed();
    timeout(Duration::from_secs(15), stt.listen(heard, Language::Italian).collect()).await.expect("it hangs")
}

#[tokio::test]
async fn the_utterance_is_a_file_that_is_gone_afterwards() {
    let events = listen(&stt("echo; echo \" $1 $(head -c 4 $2) $(wc -c < $2)\"; echo $2")).await;
    let Some(Ok(SttEvent::Final { text })) = events.first() else { panic!("{events:?}") };
    let words: Vec<&str> = text.split(' ').collect();
    assert_eq!(words[..3], ["it", "RIFF", "16044"]);
    assert!(words[3].ends_with(".wav") && !std::path::Path::new(words[3]).exists());
    assert_eq!(events[1], Ok(SttEvent::Committed { commit: 1 }));
}

#[tokio::test]
async fn a_recogniser_that_fails_says_how() {
    let kind = |events: Vec<Result<SttEvent, ProviderError>>| events[0].as_ref().unwrap_err().kind;
    assert_eq!(kind(listen(&stt("exit 1")).await), Kind::Cut);
    let slow =
        CommandSttSettings { program: "sleep".into(), arguments: vec!["30".into()], processes_max: 1, answer_ms: 200 };
    assert_eq!(kind(listen(&CommandStt::new(slow)).await), Kind::FirstTimeout);
}
