//! The crowd against the whole thing: the example shop, the real clients, the lab's engines.

use std::{fs, ops::ControlFlow, path::PathBuf, sync::Arc, time::Duration};

use pronto::{
    daemon::demo::{
        Running,
        shop::{ID, TOKEN, open},
    },
    load::{
        crowd::{Measure, Plan, Sounds, Steering, Target, run},
        lab::{Lab, LabSettings, speech::Kind},
    },
    tenant::Directory,
};

/// The silence that ends a turn in the example shop at the least.
const SILENCE: Duration = Duration::from_millis(200);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shop_on_the_lab_answers_everybody() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("load_crowd");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    // Its voice is the counted one: nothing is lost between the engine and the caller's ear.
    let lab = Lab::start(LabSettings { voice: Kind::Counted, ..LabSettings::instant() }).await.unwrap();
    let (tenant, _) = open(&lab.providers_toml(), &folder.join("books.sqlite")).await.unwrap();
    tenant.prepare().await;
    let directory = Arc::new(Directory::new());
    directory.put(Arc::new(tenant));
    let running = Running::start(directory, None).unwrap();

    let text = format!(
        r#"
        length_s = 14
        seed = 5
        counted = true
        wires = {{ vapi-pcm = 1, vapi-mulaw = 1, twilio = 1 }}
        tenants = {{ names = ["{ID}"] }}
        arrivals = {{ kind = "constant", calls = 4 }}
        [[behaviours]]
        [behaviours.scenario]
        voice = "marco"
        pause_ms = 700
        patience_s = 20
        [[behaviours.scenario.steps]]
        say = "vorrei prenotare un tagliando"
        [[behaviours.scenario.steps]]
        expect = ["per quando", "che giorno"]
        hang_up = true
        "#
    );
    let plan = Plan::parse(&text, &folder).unwrap();
    let target = Target::new(&running.address()).with_token(TOKEN);
    let sounds = Sounds::prepare(&plan, lab.speech()).await.unwrap();
    let progress = &mut |_: &pronto::load::crowd::Snapshot<'_>| ControlFlow::Continue(());
    let outcome = run(&plan, &target, &sounds, &Steering::default(), progress).await.unwrap();
    running.stop().await.unwrap();
    lab.stop().await;

    let (counts, tally) = (outcome.tally.counts, &outcome.tally);
    println!("{counts:?}\n{:?}", outcome.generator);
    for measure in Measure::ALL {
        println!("{}: {} x, p50 {:?}", measure.name(), tally.of(measure).len(), tally.quantile(measure, 0.5));
    }
    assert!(counts.completed >= 4, "{counts:?}");
    assert_eq!((counts.calls_failed(), counts.malformed), (0, 0), "{counts:?}");
    assert!(counts.counted_frames > 500, "{counts:?}");
    let wrong = (counts.lost_frames, counts.doubled_frames, counts.damaged_frames);
    assert_eq!(wrong, (0, 0, 0), "of {} counted frames", counts.counted_frames);
    assert!(tally.quantile(Measure::Turn, 0.0).unwrap() >= SILENCE, "{:?}", tally.quantile(Measure::Turn, 0.0));
}
