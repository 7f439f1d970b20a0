//! The crowd against a real gateway, on every line it speaks.

use std::{ops::ControlFlow, time::Duration};

use pronto::{
    gateway::DrainSettings,
    load::{
        crowd::{Measure, Plan, Sounds, Steering, Target, run},
        lab::speech::Speech,
    },
};

use crate::gateway_shop::{Running, Script, TOKEN, tenant};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_is_measured_on_every_line() {
    let script = Script::new(&["quanto costa il tagliando"; 2_000], &[]);
    let shops = ["rossi", "bianchi"].map(|name| tenant(name, "Pronto, officina.", 20, &script));
    let shop = Running::start(shops, DrainSettings { finish_s: 0, goodbye_s: 0 }, 100);
    let text = format!(
        r#"
        length_s = 8
        seed = 3
        wires = {{ vapi-pcm = 1, vapi-mulaw = 1, twilio = 1 }}
        tenants = {{ names = ["rossi", "bianchi"], calls_each = 4 }}
        arrivals = {{ kind = "constant" }}
        [[behaviours]]
        must_hear = ["lei ha detto: quanto"]
        [behaviours.scenario]
        pause_ms = 300
        [[behaviours.scenario.steps]]
        say = "quanto costa il tagliando"
        [[behaviours.scenario.steps]]
        hang_up = true
        "#
    );
    let plan = Plan::parse(&text, &std::env::temp_dir()).unwrap();
    let mut target = Target::new(&format!("ws://{}", shop.address)).with_token(TOKEN);
    target.expected_waits = Some(Duration::from_millis(400));
    let sounds = Sounds::prepare(&plan, &Speech::new().await.unwrap()).await.unwrap();
    let mut most = 0;
    let outcome = run(&plan, &target, &sounds, &Steering::default(), &mut |now| {
        most = most.max(now.active);
        ControlFlow::Continue(())
    })
    .await
    .unwrap();
    let (counts, tally) = (outcome.tally.counts, &outcome.tally);
    println!("{counts:?}\n{:?}", outcome.generator);
    for measure in Measure::ALL {
        println!("{}: {} x, p50 {:?}", measure.name(), tally.of(measure).len(), tally.quantile(measure, 0.5));
    }
    assert_eq!(most, 8, "two shops with four lines each");
    assert!(counts.completed >= 8, "{counts:?}");
    assert_eq!((counts.calls_failed(), counts.malformed, counts.unanswered), (0, 0, 0), "{counts:?}");
    assert_eq!(tally.of(Measure::Turn).len(), counts.asked);
    // Nothing is answered before the silence that ends a turn (a detector of energy takes the last sounds of a word for
    // silence); how long after depends on the machine.
    assert!(tally.of(Measure::Turn).min() >= 250_000, "{:?}", tally.of(Measure::Turn).min());
    assert!(tally.of(Measure::Gap).len() > 1_000 && counts.heard_ms > 10_000);
    shop.close().await;
}
