//! One side of a connection: the numbers it sends next, and what arrived.

use super::script::Script;
use super::words::{ACK, Event, FIN, Keys, Number, RST, SYN, Stamp};

/// SND.NXT, RCV.NXT (RFC 9293 section 3.3.1), TS.Recent (RFC 7323 section 4.3) and the clock of one side.
#[derive(Default)]
pub struct Side {
    /// SND.NXT; none before the first segment.
    next: Option<u32>,
    isn: u32,
    received: Received,
    /// What it had received before the peer's last SYN.
    old: Option<Received>,
    /// The peer's last SYN is not answered yet.
    syn_waits: bool,
    clock: Option<Running>,
    /// The last segment sent with these flags: number, length.
    last: Vec<(u8, u32, u16)>,
}

/// What arrived from the peer.
#[derive(Clone, Default)]
struct Received {
    /// RCV.NXT.
    next: Option<u32>,
    /// Ranges that arrived ahead of it.
    ahead: Vec<(u32, u32)>,
    /// TS.Recent.
    ts: Option<u32>,
    /// The last acknowledgment number.
    ack: Option<u32>,
}

/// A clock that goes on without being named again.
#[derive(Clone, Copy)]
enum Running {
    Clock(usize),
    Since(u32, u64),
}

impl Side {
    pub fn length(&self, flags: u8, keys: &Keys) -> u16 {
        let before = self.last.iter().find(|last| keys.again && last.0 == flags);
        keys.len.or(before.map(|last| last.2)).unwrap_or(0)
    }

    pub fn number(&mut self, peer: &mut Side, event: &Event, flags: u8, keys: &Keys) -> Result<u32, String> {
        let automatic = if keys.again { self.repeated(flags)? } else { self.fresh(peer, event, flags) };
        Ok(match keys.seq {
            None => automatic,
            Some(Number::Absolute(seq)) => seq,
            Some(Number::Relative(by)) if flags & SYN != 0 => self.next.unwrap_or(automatic).wrapping_add_signed(by),
            Some(Number::Relative(by)) => automatic.wrapping_add_signed(by),
        })
    }

    fn repeated(&self, flags: u8) -> Result<u32, String> {
        let before = self.last.iter().find(|last| last.0 == flags || flags & last.0 & SYN != 0);
        before.map(|last| last.1).ok_or_else(|| "again, but this side sent no such segment yet".to_owned())
    }

    fn fresh(&mut self, peer: &mut Side, event: &Event, flags: u8) -> u32 {
        if flags & SYN != 0 {
            // A second SYN of a simultaneous open keeps its number.
            let simultaneous = flags & ACK != 0
                && self.last.iter().any(|last| last.0 == SYN && self.next == Some(last.1.wrapping_add(1)));
            return if simultaneous { self.isn } else { initial(event) };
        }
        if flags & (RST | ACK) == RST
            && let Some(ack) = self.received.ack
        {
            return ack; // RFC 9293 section 3.10.7.1: the sequence number of the ACK that provoked it
        }
        if flags & RST != 0 && self.syn_waits {
            return 0;
        }
        *self.next.get_or_insert_with(|| {
            // Its beginning was not captured: both sides get numbers to go on with.
            let (own, other) = (initial(event), initial(event).wrapping_add(5_000_000));
            let own = peer.received.next.unwrap_or(own);
            peer.received.next = Some(own);
            self.received.next.get_or_insert(peer.next.unwrap_or(other));
            peer.next = peer.next.or(self.received.next);
            own
        })
    }

    pub fn acknowledgment(&self, event: &Event, flags: u8, keys: &Keys) -> Result<u32, String> {
        if flags & ACK == 0 {
            return Ok(0);
        }
        let automatic = || {
            let next = self.heard(flags).and_then(|heard| heard.next);
            next.ok_or_else(|| format!("nothing has arrived at {} that could be acknowledged: give ack=", event.src))
        };
        Ok(match keys.ack {
            None => automatic()?,
            Some(Number::Absolute(ack)) => ack,
            Some(Number::Relative(by)) => automatic()?.wrapping_add_signed(by),
        })
    }

    /// What an outgoing segment answers: the old incarnation until the new SYN is answered.
    fn heard(&self, flags: u8) -> Option<&Received> {
        if self.syn_waits && flags & (SYN | RST) == 0 { self.old.as_ref() } else { Some(&self.received) }
    }

    /// TSval and TSecr.
    pub fn stamps(&mut self, script: &Script, event: &Event, flags: u8, keys: &Keys) -> Option<(u32, u32)> {
        match keys.ts {
            Some(Stamp::Clock(clock, _)) => self.clock = Some(Running::Clock(clock)),
            Some(Stamp::Value(value)) => self.clock = Some(Running::Since(value, event.at)),
            None if flags & SYN != 0 && !keys.again => self.clock = None,
            None => {}
        }
        let plain_reset = flags & (RST | ACK) == RST && keys.ts.is_none();
        if keys.nots || plain_reset {
            return None;
        }
        let tsval = match self.clock? {
            Running::Since(value, from) => value.wrapping_add(((event.at - from) / 1_000_000) as u32),
            Running::Clock(clock) => {
                let ticks = match keys.ts {
                    Some(Stamp::Clock(_, ticks)) => ticks,
                    _ => 0,
                };
                let clock = &script.clocks[clock];
                let elapsed = u128::from(event.at) * u128::from(clock.hz) / 1_000_000_000;
                let offset = if clock.per_connection { scatter(event) } else { 0 };
                clock.start.wrapping_add(elapsed as u32).wrapping_add(offset).wrapping_add_signed(ticks)
            }
        };
        let heard = if flags & ACK == 0 { 0 } else { self.heard(flags).and_then(|heard| heard.ts).unwrap_or(0) };
        Some((tsval, keys.ecr.unwrap_or(heard)))
    }

    pub fn sent(&mut self, flags: u8, seq: u32, len: u16) {
        let end = end(flags, seq, len);
        if flags & SYN != 0 {
            self.isn = seq;
        }
        if flags & SYN != 0 || flags & RST == 0 && self.next.is_none_or(|next| ahead(end, next)) {
            self.next = Some(end);
        }
        if flags & ACK != 0 && flags & SYN != 0 {
            self.syn_waits = false;
        }
        self.last.retain(|last| last.0 != flags);
        self.last.push((flags, seq, len));
    }

    pub fn arrived(&mut self, flags: u8, seq: u32, len: u16, ack: u32, stamps: Option<(u32, u32)>) {
        let end = end(flags, seq, len);
        let older = |(tsval, _)| self.received.ts.is_some_and(|recent| ahead(recent, tsval));
        if flags & (SYN | RST) == 0 && stamps.is_some_and(older) {
            return; // PAWS (RFC 7323 section 5.3)
        }
        if flags & SYN != 0 {
            let new = self.received.next != Some(end);
            if new && flags & ACK == 0 {
                if !self.syn_waits {
                    self.old = Some(std::mem::take(&mut self.received)).filter(|old| old.next.is_some());
                }
                self.syn_waits = true;
            }
            self.received = Received { next: Some(end), ..Received::default() };
        } else if flags & RST == 0 {
            self.received.take(seq, end);
        }
        if flags & ACK != 0 {
            self.received.ack = Some(ack);
        }
        self.received.ts = stamps.map(|(tsval, _)| tsval).or(self.received.ts);
    }
}

impl Received {
    fn take(&mut self, seq: u32, end: u32) {
        self.ahead.push((seq, end));
        let mut next = self.next.unwrap_or(seq);
        while let Some(place) = self.ahead.iter().position(|&(from, to)| !ahead(from, next) && ahead(to, next)) {
            next = self.ahead.swap_remove(place).1;
        }
        self.ahead.retain(|&(_, to)| ahead(to, next));
        self.next = Some(next);
    }
}

/// An ISN that moves on from line to line and from turn to turn.
fn initial(event: &Event) -> u32 {
    (event.line as u32).wrapping_mul(10_000_000).wrapping_add(event.turn.wrapping_mul(100_000))
}

/// The offset of a per-connection clock: FNV-1a over both ends, whichever of them sends.
fn scatter(event: &Event) -> u32 {
    let (low, high) = (event.src.min(event.dst), event.src.max(event.dst));
    let text = format!("{low} {high} {}", event.src == low);
    let hash = text
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    (hash >> 32) as u32 ^ hash as u32
}

fn end(flags: u8, seq: u32, len: u16) -> u32 {
    let control = u32::from(flags & SYN != 0) + u32::from(flags & FIN != 0);
    seq.wrapping_add(u32::from(len)).wrapping_add(control)
}

/// Whether `a` lies after `b` (RFC 9293 section 3.4).
fn ahead(a: u32, b: u32) -> bool {
    a.wrapping_sub(b) as i32 > 0
}
