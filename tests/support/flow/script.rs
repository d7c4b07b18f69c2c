//! Text to events: reads the lines of a packet script and writes its repeat blocks out, in order of time.

use super::FlowError;
use super::words::{self, Body, Endpoint, Event, Keys, PSH, SYN, Stamp, bad, number, seconds};

/// A script as read: events in order of time, and what the directives say.
#[derive(Default)]
pub struct Script {
    pub events: Vec<Event>,
    pub clocks: Vec<Clock>,
    pub nanoseconds: bool,
    capture_from: u64,
    gaps: Vec<(u64, u64)>,
}

/// A timestamp clock.
#[derive(Debug, Clone)]
pub struct Clock {
    name: String,
    pub hz: u64,
    pub start: u32,
    pub per_connection: bool,
}

impl Script {
    pub fn parse(text: &str) -> Result<Self, FlowError> {
        let mut reader = Reader::default();
        for (index, raw) in text.lines().enumerate() {
            let words: Vec<&str> = raw.split('#').next().unwrap_or("").split_whitespace().collect();
            reader.line = index + 1;
            reader.read(&words).map_err(|message| FlowError::new(index + 1, message))?;
        }
        if let Some(block) = reader.block {
            return Err(FlowError::new(block.line, "repeat without end"));
        }
        reader.script.events.sort_by_key(|event| event.at);
        Ok(reader.script)
    }

    /// Whether a packet sent at this time is in the capture.
    pub fn captured(&self, at: u64) -> bool {
        at >= self.capture_from && !self.gaps.iter().any(|&(from, to)| (from..to).contains(&at))
    }
}

/// Where the reader stands.
#[derive(Default)]
struct Reader {
    script: Script,
    line: usize,
    /// Time of the packet line before.
    previous: u64,
    block: Option<Block>,
}

/// A repeat block that is being read.
struct Block {
    line: usize,
    every: u64,
    ports: u16,
    turns: Vec<u32>,
    lines: Vec<Template>,
}

/// A packet line before its turn is known.
struct Template {
    line: usize,
    at: u64,
    src: Endpoint,
    dst: Endpoint,
    body: Body,
}

impl Reader {
    fn read(&mut self, words: &[&str]) -> Result<(), String> {
        match words {
            [] => Ok(()),
            ["clock", name, rest @ ..] => self.clock(name, rest),
            ["repeat", count, "every", every, rest @ ..] => self.repeat(count, every, rest),
            ["end"] => self.end(),
            ["capture", "from", at] => seconds(at).map(|at| self.script.capture_from = at),
            ["gap", from, to] => {
                let gap = (seconds(from)?, seconds(to)?);
                self.script.gaps.push(gap);
                Ok(())
            }
            ["resolution", "ns"] => {
                self.script.nanoseconds = true;
                Ok(())
            }
            [time, src, ">", dst, rest @ ..] => self.packet(time, src, dst, rest),
            [first, ..] => Err(format!("neither a packet (TIME SRC > DST FLAGS) nor a directive: {first}")),
        }
    }

    fn clock(&mut self, name: &str, keys: &[&str]) -> Result<(), String> {
        let mut clock = Clock { name: name.to_owned(), hz: 1000, start: 0, per_connection: false };
        for key in keys {
            match key.split_once('=') {
                Some(("hz", value)) => clock.hz = number(value)?,
                Some(("start", "per-connection")) => clock.per_connection = true,
                Some(("start", value)) => clock.start = number(value)?,
                _ => return Err(format!("unknown key of a clock: {key}")),
            }
        }
        if !name.starts_with(|c: char| c.is_ascii_alphabetic()) || self.script.clocks.iter().any(|c| c.name == name) {
            return Err(format!("a clock needs a name of its own that begins with a letter: {name}"));
        }
        self.script.clocks.push(clock);
        Ok(())
    }

    fn repeat(&mut self, count: &str, every: &str, rest: &[&str]) -> Result<(), String> {
        if self.block.is_some() {
            return Err("repeat inside repeat".to_owned());
        }
        let count: u32 = number(count)?;
        let mut block = Block {
            line: self.line,
            every: seconds(every)?,
            ports: 0,
            turns: (1..=count).collect(),
            lines: Vec::new(),
        };
        let mut rest = rest;
        if let [first, others @ ..] = rest
            && let Some(step) = first.strip_prefix("ports+")
        {
            block.ports = number(step)?;
            rest = others;
        }
        match rest {
            [] => {}
            ["only", list @ ..] if !list.is_empty() => {
                let chosen = words::turns(list, count)?;
                block.turns.retain(|turn| chosen.contains(turn));
            }
            ["except", list @ ..] if !list.is_empty() => {
                let chosen = words::turns(list, count)?;
                block.turns.retain(|turn| !chosen.contains(turn));
            }
            [word, ..] => {
                return Err(format!("after repeat N every S: ports+K, only LIST or except LIST, not {word}"));
            }
        }
        self.block = Some(block);
        Ok(())
    }

    fn end(&mut self) -> Result<(), String> {
        let block = self.block.take().ok_or("end without repeat")?;
        for &turn in &block.turns {
            for template in &block.lines {
                self.script.events.push(template.instance(turn, block.every, block.ports)?);
            }
        }
        Ok(())
    }

    fn packet(&mut self, time: &str, src: &str, dst: &str, rest: &[&str]) -> Result<(), String> {
        let at = match time.strip_prefix('+') {
            Some(after) => self.previous + seconds(after)?,
            None => seconds(time)?,
        };
        self.previous = at;
        let body = match rest {
            ["icmp" | "ICMP", words @ ..] => Body::Icmp(words::icmp(words)?),
            [letters, words @ ..] => Body::Tcp { flags: words::flags(letters)?, keys: self.keys(words)? },
            [] => return Err("no flags".to_owned()),
        };
        let tcp = matches!(body, Body::Tcp { .. });
        let template =
            Template { line: self.line, at, src: words::endpoint(src, tcp)?, dst: words::endpoint(dst, tcp)?, body };
        template.check()?;
        match &mut self.block {
            Some(block) => block.lines.push(template),
            None => self.script.events.push(template.instance(1, 0, 0)?),
        }
        Ok(())
    }

    fn keys(&self, words: &[&str]) -> Result<Keys, String> {
        let mut keys = Keys::default();
        for word in words {
            match word.split_once('=') {
                Some(("seq", value)) => keys.seq = Some(words::sequence(value)?),
                Some(("ack", value)) => keys.ack = Some(words::sequence(value)?),
                Some(("len", value)) => keys.len = Some(number(value)?),
                Some(("ts", value)) => keys.ts = Some(self.stamp(value)?),
                Some(("ecr", value)) => keys.ecr = Some(number(value)?),
                Some(("win", value)) => keys.win = Some(number(value)?),
                Some(("ttl", value)) => keys.ttl = Some(number(value)?),
                Some(("vlan", value)) => keys.vlan = Some(number(value)?),
                Some(("mss", value)) => keys.mss = Some(number(value)?),
                Some(("wscale", value)) => keys.wscale = Some(number(value)?),
                Some(("inside", value)) => keys.inside = Some(value.parse().map_err(|_| bad("address", value))?),
                Some(("opts", "bare")) => keys.bare = true,
                None if *word == "sack" => keys.sack = true,
                None if *word == "nots" => keys.nots = true,
                None if *word == "again" => keys.again = true,
                None if *word == "lost" => keys.lost = true,
                None if *word == "hidden" => keys.hidden = true,
                None if *word == "copy" => keys.copy = true,
                _ => return Err(bad("key", word)),
            }
        }
        Ok(keys)
    }

    fn stamp(&self, text: &str) -> Result<Stamp, String> {
        if text.starts_with(|c: char| c.is_ascii_digit()) {
            return number(text).map(Stamp::Value);
        }
        let cut = text.find(['+', '-']).unwrap_or(text.len());
        let (name, ticks) = text.split_at(cut);
        let place = self.script.clocks.iter().position(|clock| clock.name == name);
        let ticks = if ticks.is_empty() { 0 } else { number(ticks)? };
        place.map(|place| Stamp::Clock(place, ticks)).ok_or_else(|| format!("no clock of this name: {name}"))
    }
}

impl Template {
    fn check(&self) -> Result<(), String> {
        if self.src.address.is_ipv4() != self.dst.address.is_ipv4() {
            return Err("one address is IPv4, the other IPv6".to_owned());
        }
        let Body::Tcp { flags, keys } = &self.body else {
            return Ok(());
        };
        if flags & PSH != 0 && keys.len.is_none() && !keys.again {
            return Err("P needs len=".to_owned());
        }
        if flags & SYN == 0 && (keys.mss.is_some() || keys.wscale.is_some() || keys.sack || keys.inside.is_some()) {
            return Err("mss=, wscale=, sack and inside= belong to a SYN".to_owned());
        }
        Ok(())
    }

    fn instance(&self, turn: u32, every: u64, ports: u16) -> Result<Event, String> {
        let count = turn - 1;
        let marked = self.src.port_counts || self.dst.port_counts;
        let step = |port: u16, other: u16| if !marked && port > other { ports } else { 0 };
        Ok(Event {
            line: self.line,
            turn,
            at: self.at + u64::from(count) * every,
            src: self.src.at(count, step(self.src.port, self.dst.port))?,
            dst: self.dst.at(count, step(self.dst.port, self.src.port))?,
            body: self.body.clone(),
        })
    }
}
