//! Bytes as the segments of three socket pairs, twelve octets each, and all that is said of their connections.

use lastack::connection::{Side, Tracker};
use lastack::segment::{Flags, Marks, Segment, SeqNumber, ShardBatch, TsVal};
use lastack::time::{Span, Time};

/// Runs one input; panics where something is wrong.
pub fn run(data: &[u8]) {
    let (mut at, mut batch) = (Time(0), ShardBatch::default());
    let (commands, _) = data.as_chunks::<12>();
    for (frame, &[flags, which, s1, s2, a1, a2, t, payload, pause, marks, window, ttl]) in (0..).zip(commands) {
        // Times go back now and then.
        at = at.plus(Span::from_millis(i64::from(pause as i8) * 50));
        let (client, back) = (1000 + u16::from(which >> 1 & 3).min(2), which & 1 == 1);
        let number = |high: u8, low: u8| SeqNumber(u32::from_be_bytes([high, 0, 0, low]));
        batch.segments.push(Segment {
            at,
            frame,
            hash: u32::from(client) & 1,
            src: if back { 2 } else { 1 },
            dst: if back { 1 } else { 2 },
            src_port: if back { 80 } else { client },
            dst_port: if back { client } else { 80 },
            seq: number(s1, s2),
            ack: number(a1, a2),
            tsval: TsVal(u32::from(t) << 24),
            payload: u32::from(payload),
            window: u16::from(window),
            flags: Flags(flags),
            marks: Marks(marks & (Marks::TIMESTAMPS | Marks::ICMP_ERROR | Marks::OPTIONS_CUT)),
            ttl,
            ..Segment::default()
        });
    }
    let mut tracker = Tracker::default();
    let half = batch.segments.len() / 2;
    let later = ShardBatch { segments: batch.segments.split_off(half), ..ShardBatch::default() };
    tracker.feed(&batch, &[], 0);
    for segment in &later.segments {
        let _ = tracker.goes_on(segment, None, &[]);
    }
    tracker.feed(&later, &[], half as u64);
    let mut tracked = tracker.finish();
    tracked.turn_round(|client, _, _| client.port == 80);
    for connection in tracked.connections() {
        let _ = (connection.opened(), connection.close(), connection.active_closer(), connection.reset_by());
        let _ = (connection.time_wait_side(), connection.time_wait_from(), connection.close_wait_side());
        let _ = (connection.close_wait(at), connection.fin_wait_2(at), connection.handshake(), connection.reuse());
        let _ = (connection.history().to_string(), connection.learnt(), connection.reset_at());
        let _ = connection.closing_states();
        let _ = Side::BOTH.map(|side| connection.endpoint(side));
        assert!(connection.first().0 <= connection.last().0);
    }
    assert!(tracked.syns().all(|syn| syn.frame < data.len() as u64));
}
