//! Archives: one thread unpacks and hands on the members in their order, so that whoever reads a capture in one does
//! not wait for the decompression, nor the other way round.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::input::{Archive, Members};

/// Octets handed over at once.
const BLOCK: usize = 256 * 1024;
/// Blocks that may wait.
const WAITING: usize = 16;

/// What the unpacking thread says.
enum Event {
    Member { name: String, head: Vec<u8> },
    Octets(Vec<u8>),
    End(Option<io::Error>),
    Broken { name: String, why: String },
}

/// An archive that is being unpacked.
pub(super) struct Unpacking {
    events: Receiver<Event>,
    unwanted: Arc<AtomicU64>,
    members: u64,
    thread: Option<JoinHandle<()>>,
}

/// What stands next in an archive.
pub(super) enum Next {
    /// A member: its name, its first octets, and the others.
    Member(String, Vec<u8>, Member),
    /// Something that could not be read, and why.
    Broken(String, String),
}

impl Unpacking {
    /// Begins to unpack.
    ///
    /// # Errors
    /// If the operating system refuses the thread.
    pub(super) fn begin(archive: Archive, name: &str) -> io::Result<Self> {
        let (send, events) = bounded(WAITING);
        let unwanted = Arc::new(AtomicU64::new(0));
        let mut pump = Pump { send, unwanted: Arc::clone(&unwanted), members: 0 };
        let name = name.to_owned();
        let work = move || archive.walk(&name, &mut pump);
        let thread = std::thread::Builder::new().name("unpack".to_owned()).spawn(work)?;
        Ok(Self { events, unwanted, members: 0, thread: Some(thread) })
    }

    /// The next member. The one before must have been dropped.
    pub(super) fn next(&mut self) -> Option<Next> {
        loop {
            match self.events.recv() {
                Ok(Event::Member { name, head }) => {
                    self.members += 1;
                    let rest = Member {
                        events: self.events.clone(),
                        unwanted: Arc::clone(&self.unwanted),
                        number: self.members,
                        block: Vec::new(),
                        place: 0,
                        ended: false,
                    };
                    return Some(Next::Member(name, head, rest));
                }
                Ok(Event::Broken { name, why }) => return Some(Next::Broken(name, why)),
                Ok(Event::Octets(_) | Event::End(_)) => {}
                Err(_) => {
                    let sound = self.thread.take()?.join().is_ok();
                    let why = || "damaged: unpacking broke off, the rest is not read".to_owned();
                    return (!sound).then(|| Next::Broken(String::new(), why()));
                }
            }
        }
    }
}

/// The octets of a member.
pub(super) struct Member {
    events: Receiver<Event>,
    unwanted: Arc<AtomicU64>,
    number: u64,
    block: Vec<u8>,
    place: usize,
    ended: bool,
}

impl Read for Member {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.place == self.block.len() && !self.ended {
            match self.events.recv() {
                Ok(Event::Octets(block)) => (self.block, self.place) = (block, 0),
                Ok(Event::End(failure)) => {
                    self.ended = true;
                    if let Some(failure) = failure {
                        return Err(failure);
                    }
                }
                Ok(Event::Member { .. } | Event::Broken { .. }) | Err(_) => {
                    self.ended = true;
                    return Err(io::Error::other("unpacking broke off"));
                }
            }
        }
        let mut rest = self.block.get(self.place..).unwrap_or(&[]);
        let length = rest.read(into)?;
        self.place += length;
        Ok(length)
    }
}

impl Drop for Member {
    /// What nobody reads is not unpacked further than need be.
    fn drop(&mut self) {
        self.unwanted.store(self.number, Ordering::Relaxed);
        while !self.ended {
            self.ended = !matches!(self.events.recv(), Ok(Event::Octets(_)));
        }
    }
}

/// Sends what a walk shows.
struct Pump {
    send: Sender<Event>,
    unwanted: Arc<AtomicU64>,
    members: u64,
}

impl Members for Pump {
    fn member(&mut self, name: String, head: Vec<u8>, reader: &mut dyn Read) -> bool {
        self.members += 1;
        if self.send.send(Event::Member { name, head }).is_err() {
            return false;
        }
        let failure = loop {
            if self.unwanted.load(Ordering::Relaxed) >= self.members {
                break None;
            }
            let mut block = Vec::new();
            let failure = (&mut *reader).take(BLOCK as u64).read_to_end(&mut block).err();
            let last = block.len() < BLOCK;
            if !block.is_empty() && self.send.send(Event::Octets(block)).is_err() {
                return false;
            }
            if last || failure.is_some() {
                break failure;
            }
        };
        self.send.send(Event::End(failure)).is_ok()
    }

    fn broken(&mut self, name: String, why: String) {
        // Nobody listens any more where this fails.
        let _ = self.send.send(Event::Broken { name, why });
    }
}
