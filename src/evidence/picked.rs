//! Connections that lie far apart in memory, fetched in runs: the cache misses of a run overlap, where one connection
//! after the other would wait for each.

use super::Evidence;
use super::groups::Place;
use crate::connection::Connection;

/// Connections whose records are fetched together.
const RUN: usize = 32;

/// Walks some connections, in the order of their places.
pub(super) struct Picked<'a, 'p> {
    evidence: &'a Evidence,
    places: &'p [Place],
    /// The incarnations before them are looked at, too.
    with_previous: bool,
    run: Vec<(Place, Connection<'a>)>,
    /// How many of the run have been handed out.
    out: usize,
}

impl<'a, 'p> Picked<'a, 'p> {
    pub(super) fn new(evidence: &'a Evidence, places: &'p [Place], with_previous: bool) -> Self {
        Self { evidence, places, with_previous, run: Vec::with_capacity(RUN.min(places.len())), out: 0 }
    }

    /// Fetches the next run.
    fn fetch(&mut self) {
        let (run, rest) = self.places.split_at(RUN.min(self.places.len()));
        self.places = rest;
        self.run.clear();
        self.run.extend(run.iter().filter_map(|place| Some((*place, self.evidence.connection(*place)?))));
        self.out = 0;
        let connections = || self.run.iter().map(|(_, connection)| *connection);
        Connection::read_ahead(connections());
        if self.with_previous {
            Connection::read_ahead(connections().filter_map(Connection::previous));
        }
    }
}

impl<'a> Iterator for Picked<'a, '_> {
    type Item = (Place, Connection<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(next) = self.run.get(self.out) {
                self.out += 1;
                return Some(*next);
            }
            if self.places.is_empty() {
                return None;
            }
            self.fetch();
        }
    }
}
