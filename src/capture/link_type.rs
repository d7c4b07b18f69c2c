//! Link types: what stands in front of the IP header, by the numbers of the LINKTYPE registry
//! (<https://www.tcpdump.org/linktypes.html>).

/// A LINKTYPE_ value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkType(pub u16);

impl LinkType {
    /// IEEE 802.3 Ethernet.
    pub const ETHERNET: Self = Self(1);

    /// An IP datagram without anything ahead of it.
    pub const RAW: Self = Self(101);

    /// What is supported, with the names that the report uses; one bit each in this order.
    pub const ALL: [(u16, &'static str); 30] = [
        (1, "ethernet"),
        (0, "null"),
        (101, "raw"),
        (108, "loop"),
        (113, "linux-sll"),
        (276, "linux-sll2"),
        (228, "ipv4"),
        (229, "ipv6"),
        (12, "raw"),
        (14, "raw"),
        (9, "ppp"),
        (50, "ppp-hdlc"),
        (51, "pppoe"),
        (104, "cisco-hdlc"),
        (239, "nflog"),
        (127, "ieee802.11-radiotap"),
        (105, "ieee802.11"),
        (192, "ppi"),
        (258, "pktap"),
        (10, "fddi"),
        (6, "token-ring"),
        (7, "arcnet"),
        (129, "arcnet-linux"),
        (242, "ipoib"),
        (100, "atm-rfc1483"),
        (109, "openbsd-enc"),
        (117, "pflog"),
        (178, "juniper-ether"),
        (179, "juniper-ppp"),
        (181, "juniper-chdlc"),
    ];

    /// The bit that stands for it in a set of link types; the last one for all that are not supported.
    #[inline(always)]
    pub(crate) fn bit(self) -> u32 {
        if self == Self::ETHERNET { 1 } else { self.bit_of_any() }
    }

    #[inline(never)]
    fn bit_of_any(self) -> u32 {
        let place = Self::ALL.iter().position(|(number, _)| *number == self.0);
        place.map_or(1 << 31, |place| 1 << place)
    }

    /// Names of a set of link types.
    #[must_use]
    pub fn names(set: u32) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for (place, (_, name)) in Self::ALL.iter().enumerate() {
            if set & (1 << place) != 0 && !names.iter().any(|known| known == name) {
                names.push((*name).to_owned());
            }
        }
        if set & (1 << 31) != 0 {
            names.push("unsupported".to_owned());
        }
        names
    }
}
