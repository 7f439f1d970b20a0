//! Which addresses a request of a customer's may go to.
//!
//! Whoever may write an assistant chooses where we send requests from inside our own network, and reads the answers as tool
//! results: without a rule that is a window into everything that trusts the network (server-side request forgery). So
//! addresses of the inside are refused, whatever name leads there, and each time a name is looked up: it may lead elsewhere
//! the next time. A tenant whose own server is inside says so (`allow_private`); addresses that are given out by the machine
//! room itself (link-local: a cloud's keys are read at 169.254.169.254) are refused always.

use std::{
    error::Error,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use reqwest::{
    Url,
    dns::{Addrs, Name, Resolve, Resolving},
};

/// The address is one of the inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the address is inside our own network")]
pub(super) struct Inside;

/// Looks names up, and forgets the addresses that are inside.
#[derive(Debug, Clone, Copy)]
pub(super) struct Resolver {
    /// Private addresses are allowed.
    pub(super) private: bool,
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let private = self.private;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let allowed: Vec<SocketAddr> = found.filter(|found| is_allowed(found.ip(), private)).collect();
            if allowed.is_empty() {
                return Err(Box::<dyn Error + Send + Sync>::from(Inside));
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

/// Refuses an address that is written out; names are looked up later.
pub(super) fn check(url: &Url, private: bool) -> Result<(), Inside> {
    let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    match host.parse::<IpAddr>() {
        Ok(address) if !is_allowed(address, private) => Err(Inside),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Whether an error of the client is, at its root, a name that leads inside.
pub(super) fn is_cause(error: &reqwest::Error) -> bool {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if error.is::<Inside>() {
            return true;
        }
        cause = error.source();
    }
    false
}

fn is_allowed(address: IpAddr, private: bool) -> bool {
    match address {
        IpAddr::V4(address) => is_allowed_v4(address, private),
        IpAddr::V6(address) => match carried(address) {
            Some(inner) => is_allowed_v4(inner, private),
            None => is_allowed_v6(address, private),
        },
    }
}

fn is_allowed_v4(address: Ipv4Addr, private: bool) -> bool {
    let [a, b, c, _] = address.octets();
    let shared = a == 100 && (64..128).contains(&b);
    if address.is_loopback() || address.is_private() || shared {
        return private;
    }
    let nobodys = a == 0 || a >= 224 || (a, b, c) == (192, 0, 0) || (a == 198 && (b == 18 || b == 19));
    !address.is_link_local() && !nobodys
}

fn is_allowed_v6(address: Ipv6Addr, private: bool) -> bool {
    if address.is_loopback() || address.is_unique_local() {
        return private;
    }
    // What is in use of the public space begins with 2 or 3.
    address.segments()[0] & 0xe000 == 0x2000
}

/// The old address that a new one carries: mapped, translated, or tunnelled.
fn carried(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let inner = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match address.segments() {
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some(inner(high, low)),
        [0x2002, high, low, ..] => Some(inner(high, low)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(address: &str, outside: bool, private: bool) {
        let parsed = address.parse().unwrap();
        assert_eq!((is_allowed(parsed, false), is_allowed(parsed, true)), (outside, private), "{address}");
    }

    #[test]
    fn the_inside_is_refused_and_the_machine_room_always() {
        for address in ["93.184.215.14", "8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "::ffff:8.8.8.8"] {
            check(address, true, true);
        }
        for address in
            ["127.0.0.1", "127.9.9.9", "10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "::1", "fd00::1"]
        {
            check(address, false, true);
        }
        for address in ["::ffff:127.0.0.1", "64:ff9b::10.0.0.1", "2002:7f00:1::"] {
            check(address, false, true);
        }
        for address in ["169.254.169.254", "0.0.0.0", "255.255.255.255", "224.0.0.1", "::", "fe80::1", "ff02::1"] {
            check(address, false, false);
        }
        check("::ffff:169.254.169.254", false, false);
    }

    #[test]
    fn an_address_that_is_written_out_is_refused_in_every_spelling() {
        for url in [
            "http://127.0.0.1/",
            "http://[::1]:8080/x",
            "http://2130706433/",
            "http://0x7f.1/",
            "http://[::ffff:a00:1]/",
        ] {
            assert_eq!(super::check(&url.parse().unwrap(), false), Err(Inside), "{url}");
        }
        assert_eq!(super::check(&"https://shop.example.it/vapi".parse().unwrap(), false), Ok(()));
    }
}
