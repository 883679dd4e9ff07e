//! Which addresses may be called: public ones, and those that the operator allows.
//!
//! Knows no URL and no name.

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

/// Networks that an operator may allow.
const NETWORKS_MAX: usize = 256;

/// IPv4 networks that are not public, by IANA's registry of special purposes, and one that a cloud made its own.
const BLOCKED_V4: [Ipv4Net; 16] = [
    // "This network", private, shared (carriers), loopback, link-local with the clouds' metadata.
    v4([0, 0, 0, 0], 8),
    v4([10, 0, 0, 0], 8),
    v4([100, 64, 0, 0], 10),
    v4([127, 0, 0, 0], 8),
    v4([169, 254, 0, 0], 16),
    v4([172, 16, 0, 0], 12),
    v4([192, 168, 0, 0], 16),
    // Protocol assignments, documentation, the former relays of 6to4, benchmarks.
    v4([192, 0, 0, 0], 24),
    v4([192, 0, 2, 0], 24),
    v4([198, 51, 100, 0], 24),
    v4([203, 0, 113, 0], 24),
    v4([192, 88, 99, 0], 24),
    v4([198, 18, 0, 0], 15),
    // Multicast; reserved, with broadcast.
    v4([224, 0, 0, 0], 4),
    v4([240, 0, 0, 0], 4),
    // Services beside the machine in Azure, which answer there alone.
    v4([168, 63, 129, 16], 32),
];
/// The only IPv6 network that has public addresses today.
const GLOBAL_V6: Ipv6Net = v6([0x2000, 0, 0], 3);
/// What is not public in it: protocol assignments with Teredo and benchmarks, and documentation.
const BLOCKED_V6: [Ipv6Net; 3] = [v6([0x2001, 0, 0], 23), v6([0x2001, 0xdb8, 0], 32), v6([0x3fff, 0, 0], 20)];
/// IPv6 networks whose addresses mean the IPv4 address inside: NAT64 and 6to4.
const NAT64: Ipv6Net = v6([0x64, 0xff9b, 0], 96);
const SIX_TO_FOUR: Ipv6Net = v6([0x2002, 0, 0], 16);

/// Networks that may be called although they are not public.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllowList(Vec<IpNet>);

/// The text is no list of networks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("networks are written as in 10.1.0.0/16,fd00:1::/32, at most 256 of them")]
pub struct AllowListError;

impl FromStr for AllowList {
    type Err = AllowListError;

    /// Networks or single addresses, with commas between them.
    fn from_str(text: &str) -> Result<Self, AllowListError> {
        let network = |part: &str| {
            let alone = || part.parse::<IpAddr>().map(IpNet::from);
            part.parse::<IpNet>().or_else(|_| alone()).map_err(|_| AllowListError)
        };
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        let networks = parts.map(network).collect::<Result<Vec<_>, _>>()?;
        if networks.len() <= NETWORKS_MAX { Ok(Self(networks)) } else { Err(AllowListError) }
    }
}

impl AllowList {
    /// Whether a webhook may be sent to this address.
    pub(super) fn admits(&self, address: IpAddr) -> bool {
        let meant = meant(address);
        is_public(meant) || self.0.iter().any(|network| network.contains(&meant) || network.contains(&address))
    }
}

/// The address that packets would reach in the end: the IPv4 address in an IPv6 one that only carries it.
fn meant(address: IpAddr) -> IpAddr {
    let IpAddr::V6(six) = address else { return address };
    let octets = six.octets();
    let inside = match six.to_ipv4_mapped() {
        Some(mapped) => Some(mapped),
        None if NAT64.contains(&six) => octets.last_chunk::<4>().copied().map(Ipv4Addr::from),
        None if SIX_TO_FOUR.contains(&six) => {
            octets.get(2..6).and_then(<[u8]>::first_chunk::<4>).copied().map(Ipv4Addr::from)
        }
        None => None,
    };
    inside.map_or(address, IpAddr::V4)
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(four) => !BLOCKED_V4.iter().any(|network| network.contains(&four)),
        IpAddr::V6(six) => GLOBAL_V6.contains(&six) && !BLOCKED_V6.iter().any(|network| network.contains(&six)),
    }
}

const fn v4(octets: [u8; 4], prefix_bits: u8) -> Ipv4Net {
    let [a, b, c, d] = octets;
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix_bits)
}

const fn v6(first: [u16; 3], prefix_bits: u8) -> Ipv6Net {
    let [a, b, c] = first;
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0), prefix_bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLOCKED: &[&str] = &[
        "0.0.0.0",
        "0.1.2.3",
        "10.0.0.1",
        "10.255.255.255",
        "100.64.0.1",
        "100.100.100.200",
        "100.127.255.255",
        "127.0.0.1",
        "127.255.255.254",
        "169.254.0.1",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.192",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.0.1",
        "198.18.0.1",
        "198.19.255.255",
        "198.51.100.7",
        "203.0.113.7",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "168.63.129.16",
        // Unspecified, loopback, compatible, local, link-local, site-local, multicast, discard, segment routing.
        "::",
        "::1",
        "::8.8.8.8",
        "fc00::1",
        "fdff::1",
        "fd00:ec2::254",
        "fe80::1",
        "febf::1",
        "fec0::1",
        "ff02::1",
        "100::1",
        "5f00::1",
        // Teredo, benchmarks, ORCHID, documentation, NAT64 for local use.
        "2001::1",
        "2001:0:808:808::1",
        "2001:2::1",
        "2001:20::1",
        "2001:db8::1",
        "3fff::1",
        "64:ff9b:1::808:808",
        // What is inside counts.
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::10.0.0.1",
        "64:ff9b::a9fe:a9fe",
        "2002:7f00:1::",
        "2002:a00:1::1",
        "2002:c0a8:101::",
    ];
    const PUBLIC: &[&str] = &[
        "1.1.1.1",
        "8.8.8.8",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "198.17.255.255",
        "198.20.0.0",
        "223.255.255.255",
        "2606:4700:4700::1111",
        "2001:4860::8888",
        "2a00:1450::1",
        "::ffff:8.8.8.8",
        "64:ff9b::8.8.8.8",
        "2002:808:808::1",
    ];

    #[test]
    fn security_30_no_address_but_a_public_one_may_be_called() {
        let none = AllowList::default();
        for text in BLOCKED {
            assert!(!none.admits(text.parse().unwrap()), "{text}");
        }
        for text in PUBLIC {
            assert!(none.admits(text.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn an_allowed_network_is_allowed_in_every_spelling_and_no_other_with_it() {
        let list: AllowList = "10.1.0.0/16, 127.0.0.1,fd00:1::/32,".parse().unwrap();
        for text in ["10.1.2.3", "::ffff:10.1.2.3", "64:ff9b::10.1.2.3", "127.0.0.1", "fd00:1::9", "8.8.8.8"] {
            assert!(list.admits(text.parse().unwrap()), "{text}");
        }
        for text in ["10.2.0.1", "127.0.0.2", "::ffff:127.0.0.2", "fd00:2::1", "::1"] {
            assert!(!list.admits(text.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn what_is_no_network_is_refused() {
        assert_eq!("".parse(), Ok(AllowList::default()));
        for text in ["localhost", "10.0.0.0/33", "10.0.0/8", "fd00::/129", "10.0.0.0/8;::1", &"::1,".repeat(257)] {
            assert_eq!(text.parse::<AllowList>(), Err(AllowListError), "{text}");
        }
    }
}
