//! The load-test harness and the lab. Beside the house: it sees every floor and no floor sees it.
//!
//! The [`lab`] emulates the providers' APIs over real HTTP and WebSocket, so that the real clients are exercised with
//! no key and no internet. The [`caller`] telephones a gateway as a customer would, and measures what that was like. The
//! [`shop`] is a day of such customers, each with its own troubles; the [`crowd`] is thousands of them, cheaper than what
//! they call, and a [`report`] says what they heard.

pub mod caller;
mod chance;
pub mod crowd;
pub mod lab;
pub mod report;
pub mod shop;

/// The example in the documentation of a room, which its tests read as users would write it.
#[cfg(test)]
fn documented(room: &str) -> String {
    let example = room.lines().skip_while(|line| !line.contains("```toml")).skip(1);
    let example = example.take_while(|line| !line.contains("```"));
    example.map(|line| format!("{}\n", line.trim_start_matches("//!"))).collect()
}
