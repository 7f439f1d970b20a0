//! The program is killed with SIGKILL between a booking that was committed and the sentence that would have told the
//! caller. After the restart the booking is there once, and the caller who asks for the same again is told so.
#![cfg(all(feature = "daemon", feature = "load"))]
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::wildcard_enum_match_arm,
    reason = "a test fails loudly, and watches the real clock"
)]

mod daemon_process;

use std::{
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use daemon_process::{Daemon, Place};
use pronto::{
    audio::Format,
    daemon::demo::shop::{CALLER, ID, TOKEN, day, weekday, with_engines},
    load::{
        caller::{Conversation, Happened, How, Lines, Moment, Placement, Scenario, Wire, call},
        lab::{
            Lab, LabSettings,
            faults::{Fault, Harm},
            journal::Endpoint,
        },
    },
    tenant::Settings,
};
use sqlx::{ConnectOptions, Connection, SqliteConnection, sqlite::SqliteConnectOptions};

/// Books, and hangs up when the booking is confirmed.
const SCENARIO: &str = r#"
    voice = "marco"
    patience_s = 30
    repeat_on = ["non ho capito", "può ripetere"]
    [[steps]]
    while_agent_speaks_ms = 1_500
    say = "vorrei prenotare un tagliando"
    [[steps]]
    expect = ["per quando"]
    say = "{day} alle nove"
    [[steps]]
    expect = ["a che nome"]
    say = "Mario Rossi"
    [[steps]]
    expect = ["targa"]
    say = "A B uno due tre C D"
    [[steps]]
    expect = ["confermo?"]
    say = "sì confermo"
    [[steps]]
    expect = ["fissato"]
    hang_up = true
"#;

/// What is in the books, read beside the process that writes them.
#[derive(Debug, PartialEq, Eq)]
struct Books {
    /// Id, beginning, plate and status of each appointment.
    appointments: Vec<(String, String, String, String)>,
    keys: i64,
    confirmations: i64,
}

async fn books(path: &Path) -> Option<Books> {
    let options = SqliteConnectOptions::new().filename(path).read_only(true).busy_timeout(Duration::from_secs(3));
    let mut file: SqliteConnection = options.connect().await.ok()?;
    let appointments = sqlx::query_as("select id, local_start, plate, status from appointments").fetch_all(&mut file);
    let appointments = appointments.await.ok()?;
    let keys = sqlx::query_scalar("select count(*) from keys").fetch_one(&mut file).await.ok()?;
    let confirmations = sqlx::query_scalar("select count(*) from outbox").fetch_one(&mut file).await.ok()?;
    file.close().await.ok()?;
    Some(Books { appointments, keys, confirmations })
}

/// One call with the same wish as every other. `told` hears of it as it happens.
async fn calls(lab: &Lab, address: SocketAddr, day: &str, told: &mut (dyn FnMut(Moment) + Send)) -> Conversation {
    let placement = Placement {
        address: format!("ws://{address}/v1/stream/{ID}"),
        given: false,
        token: Some(TOKEN.into()),
        from: Some(CALLER.into()),
        wire: Wire::Vapi(Format::PCM_WIDE),
    };
    let scenario = Scenario::parse(SCENARIO).unwrap().fill(&[("day", day)]);
    let lines = Lines::spoken_by(lab.speech(), scenario, placement.format().rate).await.unwrap();
    call(&placement, lines, told, tokio::time::sleep(Duration::from_secs(100))).await.unwrap()
}

fn tells(moment: &Moment, words: &str) -> bool {
    matches!(&moment.what, Happened::Words { ours: false, text, .. } if text.contains(words))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_booking_outlives_the_process_that_could_not_confirm_it() {
    let lab = Lab::start(LabSettings::instant()).await.unwrap();
    let tenant = with_engines(&lab.providers_toml());
    let shop = Settings::parse(&tenant).unwrap().shop;
    let place = Place::new("survives_kill", &tenant);
    let (config, file) = (place.config(), place.0.join("data").join(format!("{ID}.sqlite")));
    let date = day(&shop, &jiff::Zoned::now().with_time_zone(shop.zone.rules().clone())).unwrap();
    let wish = weekday(date);

    // From the caller's "sì, confermo" on the voice says nothing new: the booking cannot be confirmed in the two
    // seconds until it is given up, however fast or slow this machine is.
    let mut daemon = Daemon::start(&config);
    let heard = Arc::new(Mutex::new(Vec::new()));
    let mut told = |moment: Moment| {
        if matches!(&moment.what, Happened::Says { text, .. } if text == "sì confermo") {
            lab.faults().add(Fault { endpoint: Endpoint::Aura, harm: Harm::Silent, skip: 0, times: None, open: true });
        }
        heard.lock().unwrap().push(moment);
    };
    let address = daemon.address;
    let killing = async {
        let end = Instant::now() + Duration::from_secs(90);
        loop {
            let written = books(&file).await.filter(|books| !books.appointments.is_empty());
            if let Some(written) = written {
                daemon.kill();
                return written;
            }
            assert!(Instant::now() < end, "nothing was booked: {:?}", heard.lock().unwrap());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let (conversation, written) = tokio::join!(calls(&lab, address, &wish, &mut told), killing);
    assert!(matches!(conversation.how, How::Broke(_)), "{:?}", conversation.how);
    let heard = std::mem::take(&mut *heard.lock().unwrap());
    assert!(!heard.iter().any(|moment| tells(moment, "fissato")), "the caller was told: {heard:?}");
    assert_eq!(written.appointments.len(), 1);
    let (_, start, plate, status) = &written.appointments[0];
    assert_eq!((plate.as_str(), status.as_str()), ("AB123CD", "booked"));
    assert!(start.starts_with(&format!("{date}T09:00")), "{start}");

    // The same again, from the same telephone, to a new process.
    lab.faults().clear();
    let mut daemon = Daemon::start(&config);
    assert_eq!(books(&file).await.as_ref(), Some(&written), "a restart neither loses nor adds anything");
    let mut heard = Vec::new();
    let mut told = |moment: Moment| heard.push(moment);
    let conversation = calls(&lab, daemon.address, &wish, &mut told).await;
    assert_eq!(conversation.how, How::HungUp, "{heard:?}");
    assert!(heard.iter().any(|moment| tells(moment, "fissato")), "the caller was not told: {heard:?}");
    assert_eq!(books(&file).await, Some(written), "the same request finds the same booking");
    daemon.kill();
    lab.stop().await;
}
