//! Bytes as a capture file: walked as a whole and in two pieces, which must agree; searched for a record.

use lastack::capture::{Format, LinkType, Recognised, Stop, Visit, pcap, recognise, snoop};
use lastack::time::Time;

#[derive(Default, PartialEq, Debug)]
struct Seen(Vec<(Time, u16, usize, u32)>, u64, Vec<(u32, u64)>);

impl Visit for Seen {
    fn packet(&mut self, at: Time, link: LinkType, bytes: &[u8], original: u32) {
        self.0.push((at, link.0, bytes.len(), original));
    }

    fn no_packet(&mut self) {
        self.1 += 1;
    }

    fn dropped(&mut self, interface: u32, packets: u64) {
        self.2.retain(|(known, _)| *known != interface);
        self.2.push((interface, packets));
    }
}

/// Runs one input; panics where something is wrong.
pub fn run(data: &[u8]) {
    match recognise(data) {
        Some(Recognised::Pcap(format)) => check(format, pcap::HEADER, data),
        Some(Recognised::Snoop(format)) => check(format, snoop::HEADER, data),
        Some(Recognised::Pcapng(format)) => check(format, 0, data),
        None => {}
    }
}

fn check<F: Format>(format: F, start: usize, data: &[u8]) {
    let mut whole = Seen::default();
    let walked = format.clone().walk(data, start, data.len(), &mut whole);
    assert!(walked.place <= data.len());
    // The same in two pieces, as blocks are walked.
    let (mut again, mut pieces) = (format.clone(), Seen::default());
    let first = again.walk(data, start, start.max(data.len() / 2), &mut pieces);
    if !matches!(first.stop, Some(Stop::Damaged { .. } | Stop::Short { .. })) {
        let second = again.walk(data, first.place, data.len(), &mut pieces);
        assert_eq!((second.place, &second.stop), (walked.place, &walked.stop));
        assert_eq!(pieces.0, whole.0);
        assert_eq!(pieces.1, whole.1);
    }
    let _ = format.find_record(data, 4096);
}
