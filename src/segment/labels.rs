//! Labels around a packet: recorded with a connection, and part of no key, since they may differ by direction.
//!
//! VLAN tags (IEEE 802.1Q), MPLS labels (RFC 3032), PPPoE sessions (RFC 2516), GRE keys (RFC 2890), GTP tunnel ids
//! (3GPP TS 29.281), services of provider backbones (IEEE 802.1ah) and ERSPAN sessions.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What kind of label it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum LabelKind {
    /// VLAN identifier.
    #[default]
    Vlan,
    /// MPLS label.
    Mpls,
    /// PPPoE session.
    Pppoe,
    /// GRE key.
    Key,
    /// GTP tunnel endpoint identifier.
    Teid,
    /// Backbone service instance.
    Isid,
    /// ERSPAN session.
    Erspan,
}

/// The first labels around a packet, outermost first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Labels {
    kinds: [LabelKind; Self::MOST],
    values: [u32; Self::MOST],
    count: u8,
}

impl Labels {
    /// Labels that are kept.
    pub const MOST: usize = 6;

    /// Adds an inner label; beyond the sixth they are passed over.
    pub fn add(&mut self, kind: LabelKind, value: u32) {
        let place = usize::from(self.count);
        if let (Some(own), Some(number)) = (self.kinds.get_mut(place), self.values.get_mut(place)) {
            (*own, *number) = (kind, value);
            self.count += 1;
        }
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Labels, outermost first.
    pub fn iter(&self) -> impl Iterator<Item = (LabelKind, u32)> {
        self.kinds.into_iter().zip(self.values).take(usize::from(self.count))
    }
}

/// As [`Labels`] are displayed; what is no label is passed over.
impl From<&str> for Labels {
    fn from(text: &str) -> Self {
        let (mut labels, mut words) = (Self::default(), text.split(' '));
        while let (Some(kind), Some(value)) = (words.next(), words.next()) {
            let kind = LabelKind::ALL.into_iter().find(|known| known.name() == kind);
            if let (Some(kind), Ok(value)) = (kind, value.parse()) {
                labels.add(kind, value);
            }
        }
        labels
    }
}

impl LabelKind {
    const ALL: [Self; 7] = [Self::Vlan, Self::Mpls, Self::Pppoe, Self::Key, Self::Teid, Self::Isid, Self::Erspan];

    /// As the connection table spells it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Vlan => "vlan",
            Self::Mpls => "mpls",
            Self::Pppoe => "pppoe",
            Self::Key => "key",
            Self::Teid => "teid",
            Self::Isid => "isid",
            Self::Erspan => "erspan",
        }
    }
}

/// `vlan 10 mpls 16`.
impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (kind, value)) in self.iter().enumerate() {
            let space = if place == 0 { "" } else { " " };
            write!(f, "{space}{} {value}", kind.name())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_six_are_kept_in_order() {
        let mut labels = Labels::default();
        assert!(labels.is_empty());
        (10..20).for_each(|value| labels.add(LabelKind::Vlan, value));
        labels.add(LabelKind::Mpls, 3);
        assert_eq!(labels.to_string(), "vlan 10 vlan 11 vlan 12 vlan 13 vlan 14 vlan 15");
        assert_eq!(Labels::from(labels.to_string().as_str()), labels);
    }
}
