//! Tells the demo's call: the dialogue as it happens, then what it was like.

use std::time::Duration;

use super::{Played, verdict::Verdict, watch::Line};
use crate::{
    booking::Appointment,
    call::{Message, Role},
    daemon::{call::said, terminal::Terminal},
    load::caller::{Happened, measure},
};

/// One line of the dialogue. Words come from the gateway, what the caller does from its own end.
pub(super) fn line(terminal: &mut Terminal, line: Line) {
    match line {
        Line::Wait(what) => terminal.wait(what),
        Line::Words(Role::Agent, text) => terminal.line(format!("          agent   {text}")),
        Line::Words(Role::Caller, text) => terminal.line(format!("                  (understood: {text})")),
        Line::Tool(name) => terminal.line(format!("          tool    {name}")),
        Line::Interrupted => terminal.line("          --      the caller has cut in: the agent is silent"),
        Line::Caller(moment) => match (&moment.what, said(&moment)) {
            // The gateway has told these.
            (Happened::Words { .. } | Happened::Interrupted, _) => {}
            (Happened::AgentSpeaks(speaks), _) => {
                let doing = if *speaks { "the agent speaks" } else { "the agent has stopped" };
                terminal.wait(format!("{:5.1} s  {doing} ...", moment.at.as_secs_f64()));
            }
            (_, Some(line)) => terminal.line(line),
            (_, None) => {}
        },
    }
}

/// Everything that is known of it now.
pub(super) fn report(terminal: &mut Terminal, played: &Played) {
    latencies(terminal, played);
    cuts(terminal, played);
    history(terminal, played);
    terminal.line(format!("\nIn the books ({}):", played.books.display()));
    for appointment in &played.appointments {
        terminal.line(row(appointment));
    }
    if played.appointments.is_empty() {
        terminal.line("  nothing");
    }
    terminal.line(format!("\nRecording (caller left, agent right): {}", played.wav.display()));
}

fn latencies(terminal: &mut Terminal, played: &Played) {
    terminal.line("\nFrom the end of the caller's speech to the answer, in ms");
    terminal.line(
        "  total = silence waited for + recogniser + model + voice + tools + end of a filler + the gateway's own share, as it",
    );
    terminal.line("  reports;");
    terminal.line("  measured = until the first sound, from the recording: that of the filler where there was one");
    terminal.line("  total  silence   stt   llm   tts  tools   own  filler  measured  line");
    let turns = played.turns();
    for turn in &turns {
        let report = turn.report;
        let measured = turn.measured.as_ref();
        let filler = report.filler_frame.zip(report.speech_end).map(|(filler, end)| filler.saturating_sub(end));
        terminal.line(format!(
            "{:>7} {:>8} {:>5} {:>5} {:>5} {:>6} {:>5} {:>7} {:>9}  {}",
            ms(report.latency()),
            ms(Some(report.endpoint_silence)),
            ms(Some(report.transcript_wait())),
            ms(Some(report.model_wait())),
            ms(Some(report.voice_wait())),
            ms(Some(report.tool_wait)),
            ms(report.own()),
            ms(filler),
            ms(measured.and_then(measure::Answered::latency)),
            measured.map_or("", |measured| measured.text.as_str()),
        ));
    }
    let own: Vec<_> = turns.iter().filter_map(|turn| turn.report.own()).collect();
    let quantile = |share| ms(measure::quantile(&own, share));
    terminal.line(format!("  own share: p50 {} ms, p95 {} ms", quantile(0.5), quantile(0.95)));
    let late = played.conversation.late_max;
    if late > Duration::from_millis(20) {
        let late = late.as_millis();
        terminal.line(format!("  this machine was up to {late} ms late: what is measured is no better than that"));
    }
}

fn cuts(terminal: &mut Terminal, played: &Played) {
    terminal.line("");
    for answer in played.conversation.recording.answers() {
        if let Some(cut) = answer.cut {
            let cut = cut.as_millis();
            terminal
                .line(format!("Barge-in: `{}` silenced the agent after {cut} ms at the caller's ear.", answer.text));
        }
    }
    let end = played.record.as_ref().and_then(|record| record.end.as_ref());
    for cut in end.iter().flat_map(|end| &end.report.turns).filter_map(|turn| turn.interruption) {
        terminal.line(format!(
            "  The gateway stopped sending {} ms after the caller's first sound, and knew {} ms after it that this was no noise.",
            cut.silent.saturating_sub(cut.onset).as_millis(),
            cut.decided.saturating_sub(cut.onset).as_millis(),
        ));
    }
    let holes = measure::holes(&played.conversation.recording.agent, &measure::Voicing::CLEAN);
    terminal.line(format!("Holes in the agent's speech: {}.", holes.len()));
}

fn history(terminal: &mut Terminal, played: &Played) {
    let Some(end) = played.record.as_ref().and_then(|record| record.end.as_ref()) else { return };
    terminal.line("\nThe history as the gateway keeps it (only what was heard):");
    for message in end.history.reveal() {
        let line = match message {
            Message::Caller { text } => format!("  caller  {text}"),
            Message::Agent { text, interrupted: false, .. } => format!("  agent   {text}"),
            Message::Agent { text, interrupted: true, .. } => format!("  agent   {text} [cut off here]"),
            Message::Asked { tools } => {
                let asked: Vec<_> = tools.iter().map(|tool| format!("{} {}", tool.name, tool.arguments)).collect();
                format!("  tool    {}", asked.join(", "))
            }
            Message::Outcome { content: Some(content), .. } => format!("          -> {}", short(content)),
            Message::Outcome { content: None, .. } => "          -> pending".into(),
            Message::Note { text } => format!("  note    {text}"),
        };
        terminal.line(line);
    }
}

fn row(appointment: &Appointment) -> String {
    format!(
        "  {}  {}  {}  {}  {}  {}  {}  {}",
        appointment.id,
        appointment.local,
        appointment.service,
        appointment.name.reveal(),
        appointment.plate.reveal(),
        appointment.bay.as_deref().unwrap_or("-"),
        appointment.technician,
        appointment.status.as_str(),
    )
}

/// What was promised.
pub(super) fn verdict(terminal: &mut Terminal, verdict: &Verdict) {
    terminal.line("");
    for kept in &verdict.kept {
        terminal.line(format!("  ok      {kept}"));
    }
    for broken in &verdict.broken {
        terminal.line(format!("  FAILED  {broken}"));
    }
}

/// How to go on.
pub(super) fn next(terminal: &mut Terminal) {
    terminal.line(
        "
How to go on:
  talk to it yourself    pronto lab, put what it prints into config/tenants/officina-rossi.toml, pronto serve, pronto call
  with your own key      set OPENAI_API_KEY, name it in [providers] of config/tenants/officina-rossi.toml, pronto serve
  calls from Vapi        point Vapi's WebSocket transport at wss://your.host/v1/stream/officina-rossi
  calls from Twilio      [twilio] in the tenant's file; voice webhook https://your.host/twilio/officina-rossi/voice",
    );
}

fn ms(duration: Option<Duration>) -> String {
    duration.map_or("-".to_owned(), |it| it.as_millis().to_string())
}

/// The beginning of a long text.
fn short(text: &str) -> String {
    const CHARS: usize = 100;
    match text.char_indices().nth(CHARS) {
        Some((at, _)) => format!("{} ...", &text[..at]),
        None => text.to_owned(),
    }
}
