//! The table of addresses that are not public, old and new forms of embedding included.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Networks of version 4 that no task may call, and what they are.
const V4: &[(Ipv4Addr, u32, &str)] = &[
    (Ipv4Addr::UNSPECIFIED, 8, "this network"),
    (Ipv4Addr::new(10, 0, 0, 0), 8, "private"),
    (Ipv4Addr::new(100, 64, 0, 0), 10, "shared by a provider"),
    (Ipv4Addr::new(127, 0, 0, 0), 8, "this machine"),
    (Ipv4Addr::new(169, 254, 0, 0), 16, "link-local, metadata of clouds"),
    (Ipv4Addr::new(172, 16, 0, 0), 12, "private"),
    (Ipv4Addr::new(192, 0, 0, 0), 24, "protocol assignments"),
    (Ipv4Addr::new(192, 0, 2, 0), 24, "documentation"),
    (Ipv4Addr::new(192, 88, 99, 0), 24, "relays of 6to4"),
    (Ipv4Addr::new(192, 168, 0, 0), 16, "private"),
    (Ipv4Addr::new(198, 18, 0, 0), 15, "benchmarks"),
    (Ipv4Addr::new(198, 51, 100, 0), 24, "documentation"),
    (Ipv4Addr::new(203, 0, 113, 0), 24, "documentation"),
    (Ipv4Addr::new(224, 0, 0, 0), 4, "multicast"),
    // 255.255.255.255 is in here.
    (Ipv4Addr::new(240, 0, 0, 0), 4, "reserved"),
    // In a public range, and yet it is the host of every machine in Azure.
    (Ipv4Addr::new(168, 63, 129, 16), 32, "wire server of Azure"),
];

/// Networks of version 6 that no task may call, inside the range that is global.
const V6: &[(Ipv6Addr, u32, &str)] = &[
    // Teredo, benchmarks and more; none of it is a server.
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23, "protocol assignments"),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32, "documentation"),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20, "documentation"),
];

/// Why an address is not public; none if it is.
pub fn reserved(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => reserved_v4(address),
        IpAddr::V6(address) => reserved_v6(address),
    }
}

fn reserved_v4(address: Ipv4Addr) -> Option<&'static str> {
    V4.iter()
        .find(|(net, bits, _)| (net.to_bits() ^ address.to_bits()).leading_zeros() >= *bits)
        .map(|(_, _, what)| *what)
}

/// Of version 6 only what is global is allowed, so that forms nobody thought of are not.
fn reserved_v6(address: Ipv6Addr) -> Option<&'static str> {
    let parts = address.segments();
    let [.., high, low] = parts;
    match parts {
        // ::ffff:a.b.c.d and 64:ff9b::a.b.c.d are the address they carry.
        [0, 0, 0, 0, 0, 0xffff, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => {
            return reserved_v4(embedded(high, low));
        }
        [0x2002, high, low, ..] => return reserved_v4(embedded(high, low)),
        [first, ..] if !(0x2000..=0x3fff).contains(&first) => return Some("not global"),
        _ => {}
    }
    V6.iter()
        .find(|(net, bits, _)| (net.to_bits() ^ address.to_bits()).leading_zeros() >= *bits)
        .map(|(_, _, what)| *what)
}

fn embedded(high: u16, low: u16) -> Ipv4Addr {
    Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_reserved(text: &str) -> bool {
        reserved(text.parse().expect(text)).is_some()
    }

    #[test]
    fn every_network_is_closed_from_its_first_to_its_last_address_and_no_further() {
        for (first, last, before, after) in [
            ("0.0.0.0", "0.255.255.255", None, Some("1.0.0.0")),
            ("10.0.0.0", "10.255.255.255", Some("9.255.255.255"), Some("11.0.0.0")),
            ("100.64.0.0", "100.127.255.255", Some("100.63.255.255"), Some("100.128.0.0")),
            ("127.0.0.0", "127.255.255.255", Some("126.255.255.255"), Some("128.0.0.0")),
            ("169.254.0.0", "169.254.255.255", Some("169.253.255.255"), Some("169.255.0.0")),
            ("172.16.0.0", "172.31.255.255", Some("172.15.255.255"), Some("172.32.0.0")),
            ("192.0.0.0", "192.0.0.255", Some("191.255.255.255"), Some("192.0.1.0")),
            ("192.0.2.0", "192.0.2.255", Some("192.0.1.255"), Some("192.0.3.0")),
            ("192.88.99.0", "192.88.99.255", Some("192.88.98.255"), Some("192.88.100.0")),
            ("192.168.0.0", "192.168.255.255", Some("192.167.255.255"), Some("192.169.0.0")),
            ("198.18.0.0", "198.19.255.255", Some("198.17.255.255"), Some("198.20.0.0")),
            ("198.51.100.0", "198.51.100.255", Some("198.51.99.255"), Some("198.51.101.0")),
            ("203.0.113.0", "203.0.113.255", Some("203.0.112.255"), Some("203.0.114.0")),
            ("224.0.0.0", "255.255.255.255", Some("223.255.255.255"), None),
            ("168.63.129.16", "168.63.129.16", Some("168.63.129.15"), Some("168.63.129.17")),
        ] {
            for closed in [first, last] {
                assert!(is_reserved(closed), "{closed}");
                // The same in every form of version 6 that carries it.
                let [a, b, c, d] = closed.parse::<Ipv4Addr>().expect(closed).octets();
                for form in [
                    format!("::ffff:{closed}"),
                    format!("::{closed}"),
                    format!("64:ff9b::{closed}"),
                    format!("64:ff9b:1::{closed}"),
                    format!("2002:{a:02x}{b:02x}:{c:02x}{d:02x}::1"),
                    format!("::ffff:0:{closed}"),
                ] {
                    assert!(is_reserved(&form), "{form}");
                }
            }
            for open in [before, after].into_iter().flatten() {
                assert!(!is_reserved(open), "{open}");
            }
        }
    }

    #[test]
    fn of_version_6_only_global_addresses_are_open() {
        for closed in [
            "::",
            "::1",
            "::2",
            "fc00::1",
            "fdff::1",
            "fe80::1",
            "febf::1",
            "fec0::1",
            "ff02::1",
            "ffff::1",
            "2001::1",
            "2001:0:7f00:1::",
            "2001:2::1",
            "2001:1ff::1",
            "2001:db8::1",
            "2001:db8:ffff::1",
            "3fff::1",
            "3fff:fff::1",
            "100::1",
            "5f00::1",
            "4000::1",
            "1fff::1",
            "64:ff9b:1::1",
            "64:ff9b:0:1::5db8:d822",
            "::ffff:0:5db8:d822",
        ] {
            assert!(is_reserved(closed), "{closed}");
        }
        for open in [
            "2000::1",
            "2001:200::1",
            "2001:4860:4860::8888",
            "2606:4700::1111",
            "2a00:1450::1",
            "::ffff:93.184.216.34",
            "64:ff9b::93.184.216.34",
            "2002:5db8:d822::1",
        ] {
            assert!(!is_reserved(open), "{open}");
        }
    }
}
