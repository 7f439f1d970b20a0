//! The program as a pod runs it: from its start to the first answered call, its memory when idle, and what a hundred calls
//! on real sockets cost it in memory and CPU and give back, and what ten thousand short ones (`PRONTO_SHORT`) leave behind.
//!
//! `cargo build --release --no-default-features --features daemon`, then
//! `cargo bench --no-default-features --bench daemon`; `PRONTO_BIN` names another binary. espeak-ng is the voice, the
//! built-in receptionist the model, `echo` the recogniser: nothing leaves this machine.
#![expect(clippy::print_stdout, reason = "a report")]
#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

use std::{
    error::Error,
    fs,
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const CALLS: usize = 100;
const STARTS: usize = 9;
const SHORT: usize = 10_000;
/// Short calls at a time.
const TOGETHER: usize = 50;

/// About twenty seconds, so that a hundred calls can be watched while they speak.
const GREETING: &str = "{shop}, buongiorno. {disclosure} Siamo aperti dal lunedì al venerdì dalle otto e mezza alle \
    dodici e mezza e dalle quattordici alle diciotto e trenta, il sabato soltanto la mattina. Per un appuntamento mi dica \
    quale lavoro le serve, il giorno che preferisce, il suo nome e la targa della macchina. Come posso aiutarla?";

fn main() -> Result<()> {
    if !std::env::args().any(|argument| argument == "--bench") {
        // `cargo test --benches` runs this too; it has no release binary.
        return Ok(());
    }
    let binary = std::env::var_os("PRONTO_BIN").map_or_else(|| target().join("release/pronto"), PathBuf::from);
    let Ok(file) = fs::metadata(&binary) else {
        println!("no {}: cargo build --release --no-default-features --features daemon", binary.display());
        return Ok(());
    };
    println!("binary: {:.1} MiB", mib(file.len()));
    let (mut answered, mut idle, mut private) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..STARTS {
        let begin = Instant::now();
        let daemon = Daemon::start(&binary)?;
        let mut line = daemon.dial_until_it_answers()?;
        hear_voice(&mut line)?;
        answered.push(begin.elapsed().as_secs_f64() * 1_000.0);
        drop(line);
        // Memory is given back every five seconds.
        sleep(Duration::from_secs(7));
        idle.push(mib(daemon.resident()?));
        private.push(mib(daemon.status("RssAnon")?));
    }
    println!("start to the first voiced frame of the greeting: {} ms", spread(&mut answered));
    println!("resident, idle after one call: {} MiB; of it anonymous: {} MiB", spread(&mut idle), spread(&mut private));

    let daemon = Daemon::start(&binary)?;
    drop(daemon.dial_until_it_answers()?);
    sleep(Duration::from_secs(3));
    println!("\n{CALLS} calls at once, PCM at 16 kHz   resident MiB   KiB/call   CPU-ms per call-second");
    // What a call takes is anonymous; pages of the program itself are shared, and come and go.
    let quiet = daemon.status("RssAnon")?;
    println!("{:<33}{:>14.1}", "before", mib(daemon.resident()?));
    for round in ["first", "second"] {
        let mut lines = Vec::new();
        for _ in 0..CALLS {
            let line = daemon.dial_until_it_answers()?;
            line.set_nonblocking(true)?;
            lines.push(line);
        }
        daemon.watch(&format!("{round} hundred, speaking"), &mut lines, Duration::from_secs(4), quiet)?;
        talk(&mut lines, Duration::from_secs(26))?;
        daemon.watch(&format!("{round} hundred, listening"), &mut lines, Duration::from_secs(4), quiet)?;
        drop(lines);
        // Memory is given back every five seconds.
        sleep(Duration::from_secs(7));
        println!("{:<33}{:>14.1}", format!("{round} hundred, hung up"), mib(daemon.resident()?));
    }
    short_calls(&daemon)
}

/// Thousands of callers who hang up at once: what they leave behind in memory, and in file descriptors.
fn short_calls(daemon: &Daemon) -> Result<()> {
    let calls = std::env::var("PRONTO_SHORT").ok().and_then(|calls| calls.parse().ok()).unwrap_or(SHORT);
    let descriptors = daemon.descriptors()?;
    println!("\n{calls} short calls, {TOGETHER} at once           resident MiB");
    let mut marks = Vec::new();
    for fifth in 0..5 {
        for _ in 0..calls / 5 / TOGETHER {
            let mut lines = Vec::new();
            for _ in 0..TOGETHER {
                let line = daemon.dial_until_it_answers()?;
                line.set_nonblocking(true)?;
                lines.push(line);
            }
            talk(&mut lines, Duration::from_millis(40))?;
        }
        // Memory is given back every five seconds.
        sleep(Duration::from_secs(6));
        marks.push(daemon.resident()?);
        println!("{:<33}{:>14.1}", format!("after {}", calls / 5 * (fifth + 1)), mib(daemon.resident()?));
    }
    // The first fifth fills what is kept for the next ones.
    let grown = marks[4] as f64 - marks[0] as f64;
    println!("slope: {:.0} bytes a call", grown / (calls as f64 * 0.8));
    println!("file descriptors: {descriptors} before, {} after", daemon.descriptors()?);
    Ok(())
}

/// A running `pronto serve` with one tenant; stopped when dropped.
struct Daemon {
    process: Child,
    address: SocketAddr,
    folder: PathBuf,
}

impl Daemon {
    fn start(binary: &Path) -> Result<Self> {
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let folder = std::env::temp_dir().join(format!("pronto-numbers-{}", address.port()));
        fs::create_dir_all(folder.join("tenants"))?;
        fs::write(folder.join("pronto.toml"), "reload_s = 0\n")?;
        fs::write(folder.join("tenants/officina-rossi.toml"), tenant()?)?;
        let process = Command::new(binary)
            .args(["serve", "--log", "warn", "--listen", &address.to_string(), "--config"])
            .arg(folder.join("pronto.toml"))
            .stdout(Stdio::null())
            .spawn()?;
        Ok(Self { process, address, folder })
    }

    /// A caller who tries again at once, for ten seconds.
    fn dial_until_it_answers(&self) -> Result<TcpStream> {
        let end = Instant::now() + Duration::from_secs(10);
        loop {
            match self.dial() {
                Ok(line) => return Ok(line),
                Err(error) if Instant::now() > end => return Err(error),
                Err(_) => sleep(Duration::from_millis(1)),
            }
        }
    }

    fn dial(&self) -> Result<TcpStream> {
        let mut line = TcpStream::connect(self.address)?;
        line.set_nodelay(true)?;
        line.set_read_timeout(Some(Duration::from_secs(10)))?;
        write!(
            line,
            "GET /v1/stream/officina-rossi?from=%2B393331234567 HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\
             Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             Authorization: Bearer segreto-per-misurare\r\n\r\n"
        )?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            line.read_exact(&mut byte)?;
            head.push(byte[0]);
        }
        if head.starts_with(b"HTTP/1.1 101") { Ok(line) } else { Err("the call was refused".into()) }
    }

    /// Talks for a while and tells what it cost.
    fn watch(&self, name: &str, lines: &mut [TcpStream], time: Duration, quiet: u64) -> Result<()> {
        talk(lines, time / 2)?;
        let (cpu, begin) = (self.cpu()?, Instant::now());
        let (mut resident, mut anonymous) = (0, 0);
        for _ in 0..4 {
            talk(lines, time / 4)?;
            resident = resident.max(self.resident()?);
            anonymous = anonymous.max(self.status("RssAnon")?);
        }
        let cost = (self.cpu()? - cpu).as_secs_f64() * 1_000.0 / begin.elapsed().as_secs_f64() / lines.len() as f64;
        let each = anonymous.saturating_sub(quiet) as f64 / 1_024.0 / lines.len() as f64;
        println!("{name:<33}{:>14.1}{each:>11.0}{cost:>25.2}", mib(resident));
        Ok(())
    }

    /// File descriptors open.
    fn descriptors(&self) -> Result<usize> {
        Ok(fs::read_dir(format!("/proc/{}/fd", self.process.id()))?.count())
    }

    /// Resident memory, in bytes.
    fn resident(&self) -> Result<u64> {
        self.status("VmRSS")
    }

    /// A line of the kernel's status page, in bytes.
    fn status(&self, name: &str) -> Result<u64> {
        let page = fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).ok_or("no such line")?;
        Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? * 1_024)
    }

    /// CPU time used so far; the kernel counts in hundredths of a second.
    fn cpu(&self) -> Result<Duration> {
        let page = fs::read_to_string(format!("/proc/{}/stat", self.process.id()))?;
        let fields: Vec<&str> = page.rsplit(") ").next().unwrap_or_default().split(' ').collect();
        let ticks: u64 = fields.get(11..13).ok_or("a short line")?.iter().filter_map(|t| t.parse::<u64>().ok()).sum();
        Ok(Duration::from_millis(ticks * 10))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// The example tenant with engines of this machine.
fn tenant() -> Result<String> {
    let example = include_str!("../config/tenants/officina-rossi.toml");
    let (before, engines) = example.split_once("[providers.stt]").ok_or("the example has engines")?;
    let (_, shop) = engines.split_once("[shop]").ok_or("the example has a shop")?;
    let before = before
        .replace("\"officina-rossi-demo-token\"", &format!("\"segreto-per-misurare\"\ngreeting = {GREETING:?}"))
        .replace("calls_max = 20", "calls_max = 200");
    Ok(format!(
        "{before}[providers.stt]\nkind = \"command\"\nprogram = \"echo\"\narguments = [\"vorrei un tagliando\", \"{{file}}\"]\n\
         [providers.llm]\nkind = \"receptionist\"\n[providers.tts]\nkind = \"espeak-ng\"\n\n[shop]{shop}"
    ))
}

/// Every caller sends a frame each 20 ms (a quiet room) and reads what has come.
fn talk(lines: &mut [TcpStream], time: Duration) -> Result<()> {
    let mut noise = 1u32;
    let mut frame = vec![0x82, 0xFE, 2, 128, 0, 0, 0, 0];
    for _ in 0..320 {
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        frame.extend(((noise >> 16) as i16 / 2_000).to_le_bytes());
    }
    let (begin, mut sent, mut read) = (Instant::now(), 0, vec![0; 1 << 16]);
    while begin.elapsed() < time {
        for line in lines.iter_mut() {
            line.write_all(&frame)?;
            loop {
                match line.read(&mut read) {
                    Ok(0) => return Err("the gateway hung up".into()),
                    Ok(_) => {}
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(error) => return Err(error.into()),
                }
            }
        }
        sent += 1;
        sleep((Duration::from_millis(20) * sent).saturating_sub(begin.elapsed()));
    }
    Ok(())
}

/// Reads messages until one has a voice in it.
fn hear_voice(line: &mut TcpStream) -> Result<()> {
    loop {
        let mut head = [0; 2];
        line.read_exact(&mut head)?;
        let length = match head[1] & 0x7F {
            126 => {
                let mut long = [0; 2];
                line.read_exact(&mut long)?;
                usize::from(u16::from_be_bytes(long))
            }
            127 => return Err("a message that long is no frame".into()),
            short => usize::from(short),
        };
        let mut payload = vec![0; length];
        line.read_exact(&mut payload)?;
        let voiced = payload.chunks_exact(2).any(|pair| i16::from_le_bytes([pair[0], pair[1]]).unsigned_abs() > 200);
        if head[0] & 15 == 2 && voiced {
            return Ok(());
        }
    }
}

/// `target`, above this program.
fn target() -> PathBuf {
    let program = std::env::current_exe().unwrap_or_default();
    program.ancestors().nth(3).unwrap_or(Path::new("target")).to_path_buf()
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// Median, and from least to most.
fn spread(values: &mut [f64]) -> String {
    values.sort_by(f64::total_cmp);
    let (least, most) = (values.first().copied().unwrap_or(0.0), values.last().copied().unwrap_or(0.0));
    format!("median {:.1} ({least:.1} to {most:.1}, {} runs)", values[values.len() / 2], values.len())
}
