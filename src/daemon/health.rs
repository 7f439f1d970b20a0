//! `pronto health`: asks a running daemon how it is; for containers without a shell or curl.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    process::ExitCode,
    time::Duration,
};

use anyhow::Context;
use clap::Args;

/// Asks a running daemon how it is
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pronto health                       is it alive?
  pronto health --ready               does it take calls?
  pronto health --address 10.0.0.7:18789

Ends with 0 when the answer is yes, with 1 otherwise.")]
pub struct Health {
    /// Where it listens
    #[arg(short, long, env = "PRONTO_LISTEN", default_value = "127.0.0.1:18789")]
    pub address: SocketAddr,
    /// Ask whether it takes calls, not only whether it lives
    #[arg(short, long)]
    pub ready: bool,
}

/// How long an answer may take.
const WAIT: Duration = Duration::from_secs(3);

impl Health {
    /// Asks, and tells the answer.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let path = if self.ready { "/readyz" } else { "/healthz" };
        // 0.0.0.0 is where it listens, not where it is.
        let mut address = self.address;
        if address.ip().is_unspecified() {
            address.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
        }
        let mut tcp = TcpStream::connect_timeout(&address, WAIT)
            .with_context(|| format!("nobody answers at {address}: is the daemon running?"))?;
        tcp.set_read_timeout(Some(WAIT))?;
        tcp.write_all(format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").as_bytes())?;
        let mut answer = String::new();
        tcp.take(64 << 10).read_to_string(&mut answer).context("the answer does not come")?;
        let (head, body) = answer.split_once("\r\n\r\n").context("the answer is not HTTP")?;
        #[expect(clippy::print_stdout, reason = "the answer to whoever asked on the command line")]
        {
            println!("{body}");
        }
        Ok(if head.starts_with("HTTP/1.1 200") { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}
