//! Who talks to whom: client address and server socket at a capture point, numbered once, so that later passes over
//! a million connections look nothing up.

use std::net::IpAddr;

use hashbrown::HashMap;

use crate::connection::{Connection, Socket};
use crate::ingest::Workers;

/// One client address and one server socket at one capture point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ends {
    /// The number of the capture point.
    pub point: u16,
    /// The client's address as the capture shows it.
    pub client: IpAddr,
    /// The server's socket.
    pub server: Socket,
}

/// The groups of all connections.
#[derive(Debug, Default)]
pub struct Groups {
    /// In order of capture point, client and server: a group's number is its place.
    ends: Vec<Ends>,
    /// How many connections each has.
    sizes: Vec<u32>,
    /// The group of each connection, by shard and index.
    of: Vec<Vec<u32>>,
}

impl Ends {
    /// Those of a connection.
    #[must_use]
    pub fn of(connection: Connection<'_>) -> Self {
        Self { point: connection.point(), client: connection.client().ip, server: connection.server() }
    }
}

impl Groups {
    /// Numbers all groups, from those of each shard.
    #[must_use]
    pub fn new(workers: &Workers, shards: Vec<Numbering>) -> Self {
        let mut ends: Vec<Ends> = shards.iter().flat_map(|shard| shard.ends.iter().copied()).collect();
        ends.sort_unstable();
        ends.dedup();
        let mut sizes = vec![0_u32; ends.len()];
        let renumbered: Vec<Vec<u32>> = shards
            .iter()
            .map(|shard| shard.ends.iter().map(|ends_of| number(ends.binary_search(ends_of))).collect())
            .collect();
        for (shard, numbers) in shards.iter().zip(&renumbered) {
            for (size, group) in shard.sizes.iter().zip(numbers) {
                if let Some(sum) = sizes.get_mut(*group as usize) {
                    *sum = sum.saturating_add(*size);
                }
            }
        }
        let mut of: Vec<(Vec<u32>, Vec<u32>)> = shards.into_iter().map(|shard| shard.of).zip(renumbered).collect();
        workers.each(&mut of, |(of, numbers)| {
            for group in of {
                *group = numbers.get(*group as usize).copied().unwrap_or(u32::MAX);
            }
        });
        Self { ends, sizes, of: of.into_iter().map(|(of, _)| of).collect() }
    }

    /// Number and ends of every group, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (u32, Ends)> {
        self.ends.iter().enumerate().map(|(place, ends)| (u32::try_from(place).unwrap_or(u32::MAX), *ends))
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The ends of a group.
    #[must_use]
    pub fn ends(&self, group: u32) -> Option<Ends> {
        self.ends.get(group as usize).copied()
    }

    /// How many connections a group has.
    #[must_use]
    pub fn size(&self, group: u32) -> u32 {
        self.sizes.get(group as usize).copied().unwrap_or(0)
    }

    /// The number of the group with these ends.
    #[must_use]
    pub fn find(&self, ends: &Ends) -> Option<u32> {
        u32::try_from(self.ends.binary_search(ends).ok()?).ok()
    }

    /// The group of each connection of a shard, by index.
    #[must_use]
    pub fn of_shard(&self, shard: usize) -> &[u32] {
        self.of.get(shard).map_or(&[], Vec::as_slice)
    }

    /// The group of a connection.
    #[must_use]
    pub fn of(&self, (shard, index): (u16, u32)) -> u32 {
        self.of_shard(usize::from(shard)).get(index as usize).copied().unwrap_or(u32::MAX)
    }
}

fn number(place: Result<usize, usize>) -> u32 {
    place.ok().and_then(|place| u32::try_from(place).ok()).unwrap_or(u32::MAX)
}

/// Numbers of the groups of one shard, in order of their first connections.
#[derive(Debug, Default)]
pub struct Numbering {
    ids: HashMap<Ends, u32>,
    ends: Vec<Ends>,
    sizes: Vec<u32>,
    of: Vec<u32>,
}

impl Numbering {
    /// Ready for so many connections.
    #[must_use]
    pub fn with_capacity(connections: usize) -> Self {
        Self { of: Vec::with_capacity(connections), ..Self::default() }
    }

    /// Numbers the group of the next connection of the shard.
    pub fn add(&mut self, connection: Connection<'_>) -> u32 {
        let ends = Ends::of(connection);
        let next = u32::try_from(self.ends.len()).unwrap_or(u32::MAX);
        let id = *self.ids.entry(ends).or_insert(next);
        if id == next {
            self.ends.push(ends);
            self.sizes.push(0);
        }
        if let Some(size) = self.sizes.get_mut(id as usize) {
            *size = size.saturating_add(1);
        }
        self.of.push(id);
        id
    }

    /// The ends of all groups, by number.
    #[must_use]
    pub fn ends(&self) -> &[Ends] {
        &self.ends
    }
}
