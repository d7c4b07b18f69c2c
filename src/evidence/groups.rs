//! Who talks to whom: client address and server socket at a capture point, numbered once, so that later passes over
//! a million connections look nothing up.

use std::net::IpAddr;
use std::ops::Range;

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
    /// The group of each connection, by shard and index.
    of: Vec<Vec<u32>>,
    /// All connections, group by group.
    members: Vec<Place>,
    /// Where the members of each group begin; one more than there are groups.
    begins: Vec<u32>,
}

/// A connection: the shard, and its index there.
pub type Place = (u16, u32);

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
        let parts: Vec<(Numbering, Vec<u32>)> = {
            let numbers = workers.map(&shards, |_, shard| {
                shard.ends.iter().map(|ends_of| number(ends.binary_search(ends_of))).collect::<Vec<u32>>()
            });
            shards.into_iter().zip(numbers).collect()
        };
        let begins = begins(&parts, ends.len());
        let members = members(&parts, &begins);
        let mut of: Vec<(Vec<u32>, Vec<u32>)> = parts.into_iter().map(|(shard, numbers)| (shard.of, numbers)).collect();
        workers.each(&mut of, |(of, numbers)| {
            for group in of {
                *group = numbers.get(*group as usize).copied().unwrap_or(u32::MAX);
            }
        });
        Self { ends, of: of.into_iter().map(|(of, _)| of).collect(), members, begins }
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
        u32::try_from(self.members(group..group.saturating_add(1)).len()).unwrap_or(u32::MAX)
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

    /// The connections of some groups: group by group, then shard by shard, in order of their first packets there.
    #[must_use]
    pub fn members(&self, groups: Range<u32>) -> &[Place] {
        let begin = |group: u32| self.begins.get(group as usize).map_or(self.members.len(), |begin| *begin as usize);
        self.members.get(begin(groups.start)..begin(groups.end)).unwrap_or(&[])
    }

    /// The group of a connection.
    #[must_use]
    pub fn of(&self, (shard, index): (u16, u32)) -> u32 {
        self.of_shard(usize::from(shard)).get(index as usize).copied().unwrap_or(u32::MAX)
    }
}

/// Where the members of each group begin among all; of each shard its groups, and what number each has among all.
fn begins(parts: &[(Numbering, Vec<u32>)], groups: usize) -> Vec<u32> {
    let mut sizes = vec![0_u32; groups.saturating_add(1)];
    for (shard, numbers) in parts {
        for (size, group) in shard.sizes.iter().zip(numbers) {
            if let Some(sum) = sizes.get_mut(*group as usize) {
                *sum = sum.saturating_add(*size);
            }
        }
    }
    let mut together = 0_u32;
    for size in &mut sizes {
        let begin = together;
        together = together.saturating_add(*size);
        *size = begin;
    }
    sizes
}

/// Counting is sorting: each connection goes behind those of its group that came before it.
fn members(parts: &[(Numbering, Vec<u32>)], begins: &[u32]) -> Vec<Place> {
    let mut members = vec![(0, 0); parts.iter().map(|(shard, _)| shard.of.len()).sum()];
    let mut next = begins.to_vec();
    for ((shard, numbers), number) in parts.iter().zip(0..) {
        let mut own: Vec<u32> =
            numbers.iter().map(|group| next.get(*group as usize).copied().unwrap_or(u32::MAX)).collect();
        for (group, index) in shard.of.iter().zip(0..) {
            let Some(next) = own.get_mut(*group as usize) else { continue };
            if let Some(place) = members.get_mut(*next as usize) {
                *place = (number, index);
            }
            *next = next.saturating_add(1);
        }
        for (group, next_of_group) in numbers.iter().zip(own) {
            if let Some(next) = next.get_mut(*group as usize) {
                *next = next_of_group;
            }
        }
    }
    members
}

fn number(place: Result<usize, usize>) -> u32 {
    place.ok().and_then(|place| u32::try_from(place).ok()).unwrap_or(u32::MAX)
}

/// Numbers of the groups of one shard, in order of their first connections.
#[derive(Debug, Default)]
pub struct Numbering {
    ids: HashMap<Ends, u32>,
    /// The same by [`Connection::narrow_ends`].
    narrow: HashMap<u128, u32>,
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
        let id = match connection.narrow_ends() {
            Some(narrow) => match self.narrow.get(&narrow) {
                Some(id) => *id,
                None => {
                    let id = self.id(Ends::of(connection));
                    self.narrow.insert(narrow, id);
                    id
                }
            },
            None => self.id(Ends::of(connection)),
        };
        if let Some(size) = self.sizes.get_mut(id as usize) {
            *size = size.saturating_add(1);
        }
        self.of.push(id);
        id
    }

    fn id(&mut self, ends: Ends) -> u32 {
        let next = u32::try_from(self.ends.len()).unwrap_or(u32::MAX);
        let id = *self.ids.entry(ends).or_insert(next);
        if id == next {
            self.ends.push(ends);
            self.sizes.push(0);
        }
        id
    }

    /// The ends of all groups, by number.
    #[must_use]
    pub fn ends(&self) -> &[Ends] {
        &self.ends
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_found_group_by_group() {
        // Own numbers 0, 1 and 2 are 2, 0 and 1 among all; the second shard has the last group only.
        let one = Numbering { of: vec![0, 1, 0, 2, 1, 0], sizes: vec![3, 2, 1], ..Numbering::default() };
        let other = Numbering { of: vec![0, 0], sizes: vec![2], ..Numbering::default() };
        let parts = [(one, vec![2, 0, 1]), (other, vec![2])];
        let begins = begins(&parts, 3);
        let groups = Groups { members: members(&parts, &begins), begins, ..Groups::default() };
        assert_eq!(groups.members(0..1), [(0, 1), (0, 4)]);
        assert_eq!(groups.members(1..2), [(0, 3)]);
        assert_eq!(groups.members(2..3), [(0, 0), (0, 2), (0, 5), (1, 0), (1, 1)]);
        assert_eq!((groups.members(0..3).len(), groups.members(3..9).len(), groups.size(2)), (8, 0, 5));
    }
}
