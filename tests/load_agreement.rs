//! What callers hear, what a call reports of itself, and what the metrics page exports are the same turns: each percentile
//! agrees within 20 ms.
//!
//! Both ends count the same few turns of the same calls, so that nothing but the measure differs. A machine that holds the
//! caller up moves only the caller's end; how late its frames left is measured by the caller itself, and is allowed for.
#![cfg(all(feature = "daemon", feature = "load"))]
#![allow(clippy::unwrap_used, reason = "a test")]

use std::{
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};
use pronto::{
    daemon::demo::shop,
    gateway::{self, Gateway, Watch, metrics},
    load::{
        crowd::{Plan, Sounds, Steering, Target, run},
        lab::{Lab, LabSettings, Latency, ears, latency::Spread},
        report::{Distribution, Report, exposition::Exposition, ms},
    },
    tenant::{CallRecord, Directory},
};
use tokio::{net::TcpListener, sync::oneshot};

/// The promise.
const AGREE_MS: f64 = 20.0;

/// Lines that end in a clear vowel. The last syllable of others ("sabato", "tagliando": a short one behind a stop) is missed
/// by the gateway's detector now and then: it believes that the caller had finished a tenth of a second earlier, and the
/// two ends differ by that.
///
/// Five callers ask four things each and then listen: nobody hangs up in the middle of a turn.
const PLAN: &str = r#"
name = "agreement"
length_s = 48
wires = { vapi-pcm = 1, twilio = 1 }
tenants = { names = ["officina-rossi"] }
arrivals = { kind = "constant", calls = 5 }
[[behaviours]]
[[behaviours.scenario.steps]]
say = "a che ora aprite"
[[behaviours.scenario.steps]]
say = "dove siete"
[[behaviours.scenario.steps]]
say = "a che ora chiudete"
[[behaviours.scenario.steps]]
say = "a che ora aprite"
[[behaviours.scenario.steps]]
after_s = 300
hang_up = true
"#;

/// Turns that each side must have counted: 5 calls x 4, less what a slow machine does not come to.
const TURNS_MIN: u64 = 15;

/// Keeps what calls report of themselves.
#[derive(Debug, Default)]
struct Reports(Mutex<Vec<f64>>);

impl Watch for Reports {
    fn ended(&self, record: &CallRecord) {
        let turns = record.end.iter().flat_map(|end| &end.report.turns);
        self.0.lock().unwrap().extend(turns.filter_map(|turn| turn.latency()).map(ms));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_calls_and_the_metrics_page_tell_the_same() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = metrics::BUCKETS.iter().fold(PrometheusBuilder::new(), |builder, (name, buckets)| {
        builder.set_buckets_for_metric(Matcher::Full((*name).to_owned()), buckets).unwrap()
    });
    let recorder = builder.build_recorder();
    let page = recorder.handle();
    ::metrics::set_global_recorder(recorder).unwrap();

    // Waits of different lengths, so that the turns differ from one another.
    let mut settings = LabSettings { ears: ears::Kind::Quick, ..LabSettings::default() };
    let spread =
        |p50, p95| Latency { first: Spread::Around { p50, p95, shape: Default::default() }, next: Spread::Fixed(0.0) };
    settings.latency.chat = spread(250.0, 500.0);
    settings.latency.aura = spread(100.0, 200.0);
    let lab = Lab::start(settings).await.unwrap();
    let plan = Plan::parse(PLAN, Path::new(".")).unwrap();
    let sounds = Sounds::prepare(&plan, lab.speech()).await.unwrap();

    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("load-agreement");
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    let (tenant, _) = shop::open(&lab.providers_toml(), &folder.join("books.sqlite")).await.unwrap();
    let directory = Arc::new(Directory::new());
    tenant.prepare().await;
    directory.put(Arc::new(tenant));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = Target::new(&format!("ws://{}", listener.local_addr().unwrap())).with_token(shop::TOKEN);
    let reports = Arc::new(Reports::default());
    let gateway = Gateway::new(directory, gateway::Settings::default()).watched_by(Arc::<Reports>::clone(&reports));
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(gateway.run(listener, async { drop(stopped.await) }));

    let steering = Steering::default();
    let outcome = run(&plan, &target, &sounds, &steering, &mut |_| ControlFlow::Continue(())).await.unwrap();
    // The reports come with the ends of the calls.
    stop.send(()).unwrap();
    tokio::time::timeout(Duration::from_secs(60), serving).await.unwrap().unwrap();
    lab.stop().await;

    let mut report = Report::of(&plan, &outcome);
    report.told_by_target(&Exposition::default(), &Exposition::parse(&page.render()));
    let heard = &report.latency["turn_ms"];
    let exported = &report.target["turn_ms"];
    let reported = Distribution::of_samples(std::mem::take(&mut reports.0.lock().unwrap())).unwrap();
    assert_eq!(reported.n, exported.n, "the page counts other turns than the calls report");
    assert!(reported.n >= TURNS_MIN, "only {} turns came about: {:?}", reported.n, report.calls);
    assert_eq!(heard.n, reported.n, "callers heard other turns than the calls report: {:?}", report.calls);

    let allowed = AGREE_MS + ms(outcome.generator.late_max);
    let told = format!("allowed {allowed:.1} ms; heard {heard:?}; reported {reported:?}; exported {exported:?}");
    for share in [0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 1.0] {
        let [heard, reported, exported] = [heard, &reported, exported].map(|it| at(it, share));
        let name = format!("p{}", share * 100.0);
        assert!((exported - reported).abs() <= AGREE_MS, "{name}: exported {exported}, reported {reported}; {told}");
        assert!((heard - reported).abs() <= allowed, "{name}: heard {heard}, reported {reported}; {told}");
        assert!((heard - exported).abs() <= allowed, "{name}: heard {heard}, exported {exported}; {told}");
    }
}

/// A percentile, from the curve.
fn at(of: &Distribution, share: f64) -> f64 {
    of.curve.iter().find(|point| point[1] >= share - 1e-9).map_or(of.max, |point| point[0])
}
