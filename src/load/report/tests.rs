use super::*;

/// A report with everything in it.
pub(super) fn example() -> Report {
    let mut dice = 1_u64;
    let mut around = |middle: f64, width: f64| {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let even = (dice >> 33) as f64 / f64::from(1_u32 << 31);
        middle + width * (even - 0.5) + if even > 0.99 { width * 4.0 * even } else { 0.0 }
    };
    let mut spread = |middle, width, n: usize| {
        Distribution::of_samples((0..n).map(|_| around(middle, width)).collect()).expect("samples")
    };
    let mut report = Report { schema: SCHEMA, ..Report::default() };
    for (name, middle, width, n) in [
        ("turn_ms", 1_112.0, 60.0, 4_000),
        ("own_ms", 12.0, 8.0, 4_000),
        ("cut_ms", 140.0, 60.0, 300),
        ("answer_ms", 80.0, 40.0, 220),
        ("connect_ms", 3.0, 2.0, 220),
        ("gap_ms", 20.0, 6.0, 100_000),
    ] {
        report.latency.insert(name.into(), spread(middle, width, n));
    }
    for (name, middle, width, n) in [
        ("turn_ms", 1_108.0, 50.0, 4_000),
        ("own_ms", 9.0, 6.0, 4_000),
        ("cut_ms", 110.0, 40.0, 300),
        ("stt_ms", 40.0, 10.0, 4_000),
        ("llm_ms", 250.0, 10.0, 4_000),
        ("tts_ms", 100.0, 10.0, 4_000),
    ] {
        report.target.insert(name.into(), spread(middle, width, n));
    }
    report.run = Run {
        name: "A morning <at> the shop".into(),
        plan: "name = \"a morning\"\n".into(),
        wires: vec!["vapi-pcm 50 %".into(), "twilio 50 %".into()],
        target: "ws://127.0.0.1:18789/v1/stream/{tenant}".into(),
        target_is: "started by us".into(),
        version: "0.1.0".into(),
        seed: 7,
        started: "2026-11-20T08:30:00Z".into(),
        measured_s: 110.0,
        warm_up_s: 10.0,
        stopped_early: false,
        expected_waits_ms: Some(1_100.0),
    };
    report.machine = Machine { cpu: "Big Iron 9".into(), cores: 2, memory_mib: 24_105, ..Machine::here() };
    for second in 0..120_u32 {
        let active = u64::from(200.min(second * 10));
        let three = |middle: f64| [middle, middle * 1.3, middle * 1.7 + f64::from(second % 7)];
        let known = second % 11 != 5 && active > 0;
        let of = |target: f64, generator: f64, lab: f64| {
            [("target", target), ("generator", generator), ("lab", lab)]
                .map(|(name, value)| (name.to_owned(), value))
                .into()
        };
        let calls = active as f64;
        report.seconds.push(Second {
            at_s: f64::from(second),
            active,
            started: u64::from(second < 20) * 10,
            ended: 0,
            failed: u64::from(second == 60) * 3,
            turn_ms: known.then(|| three(1_110.0)),
            own_ms: known.then(|| three(10.0 + f64::from(second % 5))),
            gap_max_ms: known.then(|| 22.0 + f64::from(second * 7 % 13)),
            cpu_percent: of(calls * 0.12 + f64::from(second % 3), calls * 0.05, calls * 0.02),
            rss_mib: of(17.0 + calls * 0.2, 30.0 + calls * 0.05, 60.0),
        });
    }
    report.calls = Calls {
        offered: 223,
        answered: 221,
        completed: 210,
        unfinished: 8,
        refused: [("429".to_owned(), 2)].into(),
        dropped: [("1006 the line broke".to_owned(), 1)].into(),
        ended_by_agent: 1,
        gave_up: 0,
        wrong: 0,
        active_max: 200,
        turns: 4_000,
        unanswered: 1,
    };
    report.audio = Audio { sent_s: 22_000.0, heard_s: 9_000.0, counted_frames: 450_000, ..Audio::default() };
    report.take_apart();
    let usage = |cpu_s: f64, rss: f64| Use {
        cpu_s,
        cpu_percent: cpu_s / 1.1,
        rss_first_mib: rss / 2.0,
        rss_max_mib: rss,
        rss_last_mib: rss * 0.6,
        threads_max: 3,
        files_max: 230,
    };
    report.processes = [("target", 26.0, 57.0), ("generator", 11.0, 40.0), ("lab", 4.0, 60.0)]
        .map(|(name, cpu, rss)| (name.to_owned(), usage(cpu, rss)))
        .into();
    report.generator =
        Generator { shards: 2, cpu_percent: 10.0, late_p99_ms: 0.7, late_max_ms: 4.0, ..Generator::default() };
    let gates = ["p99.own_ms > 25", "refused > 0 or dropped > 0", "lost_frames > 0", "malformed > 0"];
    report.judge(&gates.map(|gate| Gate::parse(gate).expect("a gate")));
    report
}

/// The same, after a search for the limit and a rush.
pub(super) fn example_at_the_limit() -> Report {
    let mut report = example();
    let step = |calls: u64, held: bool| Step {
        calls,
        held,
        broke: if held { String::new() } else { "own share p95 31 ms > 25 ms".into() },
        turns: calls * 4,
        own_p50_ms: Some(9.0 + calls as f64 / 100.0),
        own_p95_ms: Some(14.0 + calls as f64 / 70.0),
        own_p99_ms: Some(16.0 + calls as f64 / 50.0),
        gap_p99_ms: Some(21.0 + calls as f64 / 80.0),
        cpu_percent: [("target".to_owned(), calls as f64 * 0.13), ("generator".to_owned(), calls as f64 * 0.05)].into(),
        rss_mib: [("target".to_owned(), 17.0 + calls as f64 * 0.2)].into(),
        ..Step::default()
    };
    report.capacity = Some(Capacity {
        calls: 900,
        per_core: 640.0,
        per_gib: 4_300.0,
        limit: "target".into(),
        why: "At 1,000 calls the own share was over 25 ms (p95) while target and generator had both cores busy.".into(),
        steps: vec![
            step(200, true),
            step(400, true),
            step(800, true),
            step(1_600, false),
            step(1_200, false),
            step(900, true),
        ],
    });
    report.overload = Some(Overload {
        limit: 100,
        offered: 300,
        before_p99_ms: Some(14.0),
        during_p99_ms: Some(15.5),
        refused: 4_000,
        refused_p99_ms: Some(3.0),
        dropped: 0,
        recovery_s: Some(1.0),
        promises: vec![Promise { what: "no accepted call was lost".into(), kept: true }],
    });
    report
}

#[test]
fn a_report_comes_back_from_its_json() {
    let report = example_at_the_limit();
    let again = Report::parse(&report.json()).unwrap();
    assert_eq!((&again.run, &again.calls, &again.audio), (&report.run, &report.calls, &report.audio));
    assert_eq!((again.latency, again.target, again.verdict), (report.latency, report.target, report.verdict));
    assert_eq!(again.seconds.len(), report.seconds.len());
    assert_eq!(again.overload, report.overload);
}

#[test]
fn a_report_of_another_schema_is_refused() {
    let told = Report::parse("{\"schema\":2}").unwrap_err().to_string();
    assert!(told.contains("schema 2"), "{told}");
    let told = Report::parse("{\"schema\":\"x\"}").unwrap_err().to_string();
    assert!(told.contains("pronto load --json"), "{told}");
    assert!(Report::parse("{\"schema\":1,\"a_field_of_the_future\":[]}").is_ok());
}

#[test]
fn the_page_needs_nothing_else_and_holds_no_foreign_markup() {
    let mut report = example_at_the_limit();
    report.run.target = "<script>alert(1)</script>".into();
    report.calls.dropped.insert("\"><img src=x>".into(), 1);
    let page = report.page();
    for absent in ["<script", "<img", "http://", "https://", "url(", "@import", "NaN", "inf\""] {
        assert!(!page.contains(absent), "{absent}");
    }
    assert!(page.contains("A morning &lt;at&gt; the shop") && page.contains("prefers-color-scheme:dark"));
    let (pictures, titles) = (page.matches("<svg viewBox").count(), page.matches("<title>").count());
    assert!(pictures > 15 && titles >= pictures, "{pictures} pictures, {titles} titles");
}

#[test]
fn a_run_that_measured_nothing_has_a_page_and_fails_its_gates() {
    let mut report = Report { schema: SCHEMA, ..Report::default() };
    report.judge(&[Gate::parse("p95.own_ms > 25").unwrap()]);
    assert!(!report.verdict.passed);
    assert!(report.page().contains("Nothing was measured") && report.table().len() > 3);
}

#[test]
fn a_broken_promise_fails_the_run() {
    let mut report = example_at_the_limit();
    report.judge(&[]);
    assert!(report.verdict.passed);
    report.overload.as_mut().unwrap().promises[0].kept = false;
    report.judge(&[]);
    assert!(!report.verdict.passed);
}

#[test]
fn two_runs_of_different_machines_are_not_compared_in_silence() {
    let (a, mut b) = (example(), example());
    assert_eq!(Comparison { a: ("a.json", &a), b: ("b.json", &b) }.notes(), Vec::<String>::new());
    b.machine.cores = 64;
    b.latency.get_mut("own_ms").unwrap().p99 *= 2.0;
    b.latency.remove("cut_ms");
    let both = Comparison { a: ("before.json", &a), b: ("a-very-long-name/after.json", &b) };
    assert!(both.notes()[0].contains("machines differ"));
    let table = both.table().join("\n");
    assert!(table.contains("gateway's own share p99, ms") && table.contains("2.00"), "{table}");
    assert!(both.page().contains("after.json"));
}

#[test]
fn what_a_call_costs_counts_what_was_measured() {
    let report = example();
    let seconds: f64 = report.seconds.iter().filter(|it| it.at_s >= 10.0).map(|it| it.active as f64).sum();
    assert!((report.cost("target").unwrap() - 26_000.0 / seconds).abs() < 1e-9);
    let rss = report.rss_per_call().unwrap();
    assert!((rss - (57.0 - 28.5) * 1_024.0 / 200.0).abs() < 1.0, "{rss}");
}

/// `PRONTO_PAGES=folder cargo test ... pages_to_look_at` writes the example's pages there.
#[test]
fn pages_to_look_at() {
    let Some(folder) = std::env::var_os("PRONTO_PAGES").map(std::path::PathBuf::from) else { return };
    let (a, b) = (example(), example_at_the_limit());
    std::fs::write(folder.join("run.html"), a.page()).unwrap();
    std::fs::write(folder.join("limit.html"), b.page()).unwrap();
    std::fs::write(folder.join("compare.html"), Comparison { a: ("a.json", &a), b: ("b.json", &b) }.page()).unwrap();
}
