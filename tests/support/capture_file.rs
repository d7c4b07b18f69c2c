//! Capture files made to order: classic pcap in every variant, pcapng with sections and interfaces where one likes.

use super::property::Numbers;

/// What a file holds of one packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Nanoseconds since the epoch.
    pub at: u64,
    /// The frame.
    pub bytes: Vec<u8>,
}

/// The variants of classic pcap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant {
    Little,
    Big,
    LittleNano,
    BigNano,
    /// Kuznetzov's, with eight more octets in each record header.
    LittleModified,
    BigModified,
}

impl Variant {
    pub const ALL: [Self; 6] =
        [Self::Little, Self::Big, Self::LittleNano, Self::BigNano, Self::LittleModified, Self::BigModified];

    fn magic(self) -> u32 {
        match self {
            Self::Little | Self::Big => 0xa1b2_c3d4,
            Self::LittleNano | Self::BigNano => 0xa1b2_3c4d,
            Self::LittleModified | Self::BigModified => 0xa1b2_cd34,
        }
    }

    fn order(self) -> Order {
        match self {
            Self::Little | Self::LittleNano | Self::LittleModified => Order::Little,
            Self::Big | Self::BigNano | Self::BigModified => Order::Big,
        }
    }
}

/// Order of the octets in numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    Little,
    Big,
}

impl Order {
    fn u32(self, value: u32) -> [u8; 4] {
        match self {
            Self::Little => value.to_le_bytes(),
            Self::Big => value.to_be_bytes(),
        }
    }

    fn u64(self, value: u64) -> [u8; 8] {
        match self {
            Self::Little => value.to_le_bytes(),
            Self::Big => value.to_be_bytes(),
        }
    }

    fn u16(self, value: u16) -> [u8; 2] {
        match self {
            Self::Little => value.to_le_bytes(),
            Self::Big => value.to_be_bytes(),
        }
    }
}

/// A classic pcap file.
pub fn pcap(records: &[Record], variant: Variant, link: u16) -> Vec<u8> {
    let order = variant.order();
    let mut file = Vec::new();
    file.extend(order.u32(variant.magic()));
    file.extend([order.u16(2), order.u16(4)].concat());
    file.extend([0; 8]);
    file.extend(order.u32(262_144));
    file.extend(order.u32(u32::from(link)));
    let unit = if matches!(variant, Variant::LittleNano | Variant::BigNano) { 1 } else { 1000 };
    for record in records {
        let (seconds, fraction) = (record.at / 1_000_000_000, record.at % 1_000_000_000 / unit);
        for field in [seconds as u32, fraction as u32, record.bytes.len() as u32, record.bytes.len() as u32] {
            file.extend(order.u32(field));
        }
        if matches!(variant, Variant::LittleModified | Variant::BigModified) {
            file.extend(order.u32(1)); // the interface's index
            file.extend(order.u16(0x0800)); // the protocol
            file.extend([0, 0]); // kind of packet, padding
        }
        file.extend(&record.bytes);
    }
    file
}

/// The records of a classic pcap file of the plain little-endian variants, with its link type.
pub fn records(file: &[u8]) -> (Vec<Record>, u16) {
    let word = |place: usize| u32::from_le_bytes(file[place..place + 4].try_into().unwrap());
    let unit = match word(0) {
        0xa1b2_c3d4 => 1000,
        0xa1b2_3c4d => 1,
        magic => panic!("a file that begins with {magic:08x}"),
    };
    let (mut place, mut records) = (24, Vec::new());
    while place < file.len() {
        let (seconds, fraction, length) = (word(place), word(place + 4), word(place + 8) as usize);
        let at = u64::from(seconds) * 1_000_000_000 + u64::from(fraction) * unit;
        records.push(Record { at, bytes: file[place + 16..place + 16 + length].to_vec() });
        place += 16 + length;
    }
    (records, word(20) as u16)
}

/// Records of which some are lost, doubled, cut or late, with a clock that jumps.
pub fn damaged(numbers: &mut Numbers, records: Vec<Record>) -> Vec<Record> {
    let (mut out, mut late, mut jump) = (Vec::new(), Vec::new(), 0_u64);
    for mut record in records {
        record.at += jump;
        match numbers.below(60) {
            0..4 => continue,
            4..6 => out.push(record.clone()),
            6..8 => record.bytes.truncate(70),
            8..10 => {
                late.push(record);
                continue;
            }
            10 => jump += numbers.next() % 40_000_000_000 / 400,
            _ => {}
        }
        out.push(record);
        if numbers.below(5) == 0 {
            out.append(&mut late);
        }
    }
    out
}

/// A snoop file, times in microseconds.
pub fn snoop(records: &[Record], media: u32) -> Vec<u8> {
    let mut file = b"snoop\0\0\0".to_vec();
    file.extend([2, media].map(u32::to_be_bytes).concat());
    for record in records {
        let length = record.bytes.len() as u32;
        let padded = length.next_multiple_of(4);
        let (seconds, micros) = (record.at / 1_000_000_000, record.at % 1_000_000_000 / 1000);
        let fields = [length, length, padded + 24, 0, seconds as u32, micros as u32];
        file.extend(fields.map(u32::to_be_bytes).concat());
        file.extend(&record.bytes);
        file.resize(file.len() + (padded - length) as usize, 0);
    }
    file
}

/// A pcapng file that grows block by block.
pub struct Pcapng {
    pub bytes: Vec<u8>,
    order: Order,
    interfaces: u32,
}

impl Pcapng {
    /// A file whose first section has this byte order.
    pub fn new(order: Order) -> Self {
        let mut file = Self { bytes: Vec::new(), order, interfaces: 0 };
        file.section(order);
        file
    }

    /// Another section: its interfaces are its own.
    pub fn section(&mut self, order: Order) {
        self.order = order;
        self.interfaces = 0;
        let mut body = order.u32(0x1a2b_3c4d).to_vec();
        body.extend([order.u16(1), order.u16(0)].concat());
        body.extend([0xff; 8]); // length not given
        self.block(0x0a0d_0d0a, &body);
    }

    /// Another interface, with times in nanoseconds; gives its number.
    pub fn interface(&mut self, link: u16) -> u32 {
        self.interface_with(link, 9, 0)
    }

    /// Another interface, with the unit of its times as `if_tsresol` has it, and what is added to them in seconds.
    pub fn interface_with(&mut self, link: u16, resolution: u8, offset: i64) -> u32 {
        let order = self.order;
        let mut body = [order.u16(link), [0, 0]].concat();
        body.extend(order.u32(262_144));
        body.extend([order.u16(9), order.u16(1)].concat()); // if_tsresol
        body.extend([resolution, 0, 0, 0]);
        body.extend([order.u16(14), order.u16(8)].concat()); // if_tsoffset
        body.extend(order.u64(offset as u64));
        body.extend([0; 4]); // opt_endofopt
        self.block(1, &body);
        self.interfaces += 1;
        self.interfaces - 1
    }

    /// An enhanced packet block.
    pub fn packet(&mut self, interface: u32, record: &Record) {
        let (order, length) = (self.order, record.bytes.len() as u32);
        let mut body = Vec::new();
        for field in [interface, (record.at >> 32) as u32, record.at as u32, length, length] {
            body.extend(order.u32(field));
        }
        body.extend(&record.bytes);
        body.resize(body.len().next_multiple_of(4), 0);
        self.block(6, &body);
    }

    /// An interface statistics block that says how many packets the interface dropped.
    pub fn statistics(&mut self, interface: u32, dropped: u64) {
        let order = self.order;
        let mut body = order.u32(interface).to_vec();
        body.extend([0; 8]);
        body.extend([order.u16(5), order.u16(8)].concat()); // isb_ifdrop
        body.extend(order.u64(dropped));
        body.extend([0; 4]); // opt_endofopt
        self.block(5, &body);
    }

    /// Any block; its body is a multiple of four octets long.
    pub fn block(&mut self, kind: u32, body: &[u8]) {
        let length = self.order.u32(body.len() as u32 + 12);
        self.bytes.extend(self.order.u32(kind));
        self.bytes.extend(length);
        self.bytes.extend(body);
        self.bytes.extend(length);
    }
}
