//! Which addresses may be connected to.
//!
//! Denied until known to be public: IPv6 is judged by the one range that is handed out (2000::/3), and an
//! address that carries an IPv4 address is judged as that one.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::{BrokerError, EgressOptions};

/// Judges addresses.
#[derive(Debug)]
pub(super) struct Guard {
    allow_loopback: bool,
    allowed: Vec<IpNet>,
    denied: Vec<IpNet>,
    special_v4: Vec<(Ipv4Net, &'static str)>,
    special_v6: Vec<(Ipv6Net, &'static str)>,
}

const SPECIAL_V4: &[(&str, &str)] = &[
    ("0.0.0.0/8", "unspecified"),
    ("10.0.0.0/8", "private"),
    ("100.64.0.0/10", "shared (carrier-grade NAT)"),
    ("127.0.0.0/8", "loopback"),
    // Azure's host agent answers at a public address.
    ("168.63.129.16/32", "a cloud's metadata service"),
    ("169.254.0.0/16", "link-local, where clouds keep their metadata service"),
    ("172.16.0.0/12", "private"),
    ("192.0.0.0/24", "reserved"),
    ("192.0.2.0/24", "reserved for documentation"),
    ("192.88.99.0/24", "reserved"),
    ("192.168.0.0/16", "private"),
    ("198.18.0.0/15", "reserved for benchmarks"),
    ("198.51.100.0/24", "reserved for documentation"),
    ("203.0.113.0/24", "reserved for documentation"),
    ("224.0.0.0/4", "multicast"),
    ("240.0.0.0/4", "reserved"),
];

const SPECIAL_V6: &[(&str, &str)] = &[
    ("::1/128", "loopback"),
    ("::/128", "unspecified"),
    ("fc00::/7", "private"),
    ("fe80::/10", "link-local"),
    ("fec0::/10", "private"),
    ("ff00::/8", "multicast"),
    ("2001::/23", "reserved"),
    ("2001:db8::/32", "reserved for documentation"),
    ("3fff::/20", "reserved for documentation"),
];

impl Guard {
    pub(super) fn new(options: &EgressOptions) -> Result<Self, BrokerError> {
        let wrong = |error: ipnet::AddrParseError| BrokerError::Setting {
            setting: "denied_networks",
            message: format!("a built-in network is not one: {error}"),
        };
        Ok(Self {
            allow_loopback: options.allow_loopback,
            allowed: options.allowed_networks.clone(),
            denied: options.denied_networks.clone(),
            special_v4: parse(SPECIAL_V4).map_err(wrong)?,
            special_v6: parse(SPECIAL_V6).map_err(wrong)?,
        })
    }

    /// Why `address` may not be connected to, and what allows it.
    pub(super) fn refuses(&self, address: IpAddr) -> Option<String> {
        let address = plain(address);
        if self.denied.iter().any(|net| net.contains(&address)) {
            return Some(format!("address {address} is in the operator's `egress.denied_networks`"));
        }
        if self.allows(address) {
            return None;
        }
        let special = match address {
            IpAddr::V4(v4) => self.special_v4.iter().find(|(net, _)| net.contains(&v4)).map(|(_, why)| *why),
            IpAddr::V6(v6) => self
                .special_v6
                .iter()
                .find(|(net, _)| net.contains(&v6))
                .map(|(_, why)| *why)
                .or_else(|| (v6.segments()[0] & 0xe000 != 0x2000).then_some("not a public address")),
        };
        special.map(|why| {
            format!("address {address} is {why}; the operator can allow its network with `egress.allowed_networks`")
        })
    }

    /// Whether the operator allowed this very address, public or not.
    pub(super) fn allows(&self, address: IpAddr) -> bool {
        let address = plain(address);
        if self.denied.iter().any(|net| net.contains(&address)) {
            return false;
        }
        (self.allow_loopback && address.is_loopback())
            || self.allowed.iter().any(|net| net.contains(&address))
    }
}

fn parse<N: std::str::FromStr>(table: &[(&str, &'static str)]) -> Result<Vec<(N, &'static str)>, N::Err> {
    table.iter().map(|(net, why)| Ok((net.parse()?, *why))).collect()
}

/// The address itself, out of every wrapping that reaches an IPv4 address through IPv6.
fn plain(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    if let Some(v4) = v6.to_ipv4_mapped() {
        return IpAddr::V4(v4);
    }
    let [a, b, c, d, e, f, g, h] = v6.segments();
    let tail = |high: u16, low: u16| {
        let [w, x] = high.to_be_bytes();
        let [y, z] = low.to_be_bytes();
        IpAddr::V4(Ipv4Addr::new(w, x, y, z))
    };
    match (a, b) {
        // NAT64, well-known and local.
        (0x64, 0xff9b) => tail(g, h),
        // 6to4.
        (0x2002, _) => tail(b, c),
        // IPv4-compatible; :: and ::1 are judged as what they are.
        (0, 0) if [c, d, e, f] == [0; 4] && v6 != Ipv6Addr::LOCALHOST && v6 != Ipv6Addr::UNSPECIFIED => {
            tail(g, h)
        }
        // SIIT.
        (0, 0) if [c, d, e, f] == [0, 0, 0xffff, 0] => tail(g, h),
        _ => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_addresses_pass() {
        let guard = Guard::new(&EgressOptions::default()).unwrap();
        for address in [
            "127.0.0.1",
            "127.255.255.254",
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "100.100.100.200",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.0.1",
            "192.0.0.1",
            "198.18.0.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "168.63.129.16",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:169.254.169.254",
            "::127.0.0.1",
            "::ffff:0:127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::a00:1",
            "2002:7f00:1::",
            "2002:a9fe:a9fe::",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "2001::1",
            "2001:db8::1",
            "100::1",
            "5f00::1",
            "4000::1",
        ] {
            let refused = guard.refuses(address.parse().unwrap());
            assert!(refused.as_ref().is_some_and(|why| why.contains("egress.")), "{address}: {refused:?}");
        }
        for address in [
            "1.1.1.1",
            "172.32.0.1",
            "100.128.0.1",
            "2606:4700:4700::1111",
            "::ffff:1.1.1.1",
            "64:ff9b::101:101",
        ] {
            assert_eq!(guard.refuses(address.parse().unwrap()), None, "{address}");
        }
    }

    #[test]
    fn the_operator_allows_and_denies() {
        let guard = Guard::new(&EgressOptions {
            allow_loopback: true,
            allowed_networks: vec!["10.0.0.0/8".parse().unwrap()],
            denied_networks: vec!["10.9.0.0/16".parse().unwrap(), "1.1.1.0/24".parse().unwrap()],
            ..EgressOptions::default()
        })
        .unwrap();
        for (address, passes, allowed) in [
            ("127.0.0.1", true, true),
            ("::1", true, true),
            ("::ffff:127.0.0.1", true, true),
            ("10.1.1.1", true, true),
            ("::ffff:10.1.1.1", true, true),
            ("10.9.1.1", false, false),
            ("1.1.1.1", false, false),
            ("8.8.8.8", true, false),
            ("192.168.0.1", false, false),
        ] {
            let address: IpAddr = address.parse().unwrap();
            assert_eq!(guard.refuses(address).is_none(), passes, "{address}");
            assert_eq!(guard.allows(address), allowed, "{address}");
        }
    }
}
