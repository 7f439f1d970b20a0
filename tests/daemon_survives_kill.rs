//! The program is killed with SIGKILL between a booking that was committed and the sentence that would have told the
//! caller. After the restart the booking is there once, and the caller who asks for the same again is told so.
#![cfg(all(feature = "daemon", feature = "load"))]
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::wildcard_enum_match_arm,
    reason = "a test fails loudly, and watches the real clock"
)]

use std::{
    fs,
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

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

/// `pronto serve` under way; killed when it is dropped.
struct Daemon {
    child: Child,
    address: SocketAddr,
}

impl Daemon {
    fn start(config: &Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pronto"));
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.args(["serve", "--log-format", "json", "--config"]).arg(config).stderr(Stdio::piped());
        // Held from its first moment: whatever fails below, it is killed.
        let mut daemon = Self { child: command.spawn().unwrap(), address: "127.0.0.1:0".parse().unwrap() };
        let mut lines = BufReader::new(daemon.child.stderr.take().unwrap()).lines();
        let taking = lines.by_ref().map_while(Result::ok).find_map(|line| {
            let line: serde_json::Value = serde_json::from_str(&line).unwrap_or_default();
            (line["message"] == "taking calls").then(|| line["address"].as_str().unwrap().to_owned())
        });
        daemon.address = taking.expect("it takes calls").parse().unwrap();
        // A pipe that nobody empties would stop it.
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        daemon
    }

    /// SIGKILL: nothing of it runs any more when this returns.
    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

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
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("survives_kill");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(folder.join("tenants")).unwrap();
    let lab = Lab::start(LabSettings::instant()).await.unwrap();
    let tenant = with_engines(&lab.providers_toml());
    let shop = Settings::parse(&tenant).unwrap().shop;
    let (config, file) = (folder.join("pronto.toml"), folder.join("data").join(format!("{ID}.sqlite")));
    fs::write(&config, "listen = \"127.0.0.1:0\"\ndata = \"data\"\n").unwrap();
    fs::write(folder.join(format!("tenants/{ID}.toml")), tenant).unwrap();
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
