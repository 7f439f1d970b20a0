//! What a stranger may hand to the reports: gates, files, metrics pages, the pages of `/proc`.

use super::{Comparison, Gate, Report, exposition::Exposition, process};

/// No input panics; what was read can be judged, drawn and read again, and no text in it becomes markup.
pub fn fuzz(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let _ = process::read(&text, &text, 0);
    let _ = process::Cores::read(&text);
    let page = Exposition::parse(&text);
    if let Some(histogram) = page.histogram("a", None) {
        let spread = histogram.since(&histogram).distribution().or(histogram.distribution());
        assert!(spread.is_none_or(|spread| spread.p50 <= spread.max));
    }
    let (json, gate) = text.split_once('\n').unwrap_or((&text, "refused > 0"));
    let gate = Gate::parse(gate).unwrap_or_else(|_| Gate::parse("p99.own_ms > 25").expect("a gate"));
    let Ok(mut report) = Report::parse(json) else { return };
    report.judge(&[gate]);
    assert!(!report.page().contains("<script"));
    report.table();
    let both = Comparison { a: ("a", &report), b: ("b", &report) };
    both.table();
    both.page();
    let again = Report::parse(&report.json()).expect("what was written is read");
    assert_eq!(again.calls, report.calls);
}
