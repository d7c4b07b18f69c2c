//! Bytes as one frame; the first chooses its link type. Both decode paths must agree.

use lastack::capture::LinkType;
use lastack::segment::{Batch, Decoder, PairHasher};
use lastack::time::Time;

/// Runs one input; panics where something is wrong.
pub fn run(data: &[u8]) {
    let Some((choice, frame)) = data.split_first() else { return };
    let link = LinkType(LinkType::ALL[usize::from(*choice) % LinkType::ALL.len()].0);
    let original = u32::try_from(frame.len()).unwrap_or(u32::MAX).saturating_add(u32::from(*choice >> 5));
    let hasher = PairHasher::default();
    let (mut thin, mut complete) = (Batch::default(), Batch::default());
    Decoder::new(&hasher, &mut thin).packet(Time(1), link, frame, original);
    Decoder::new(&hasher, &mut complete).complete_only().packet(Time(1), link, frame, original);
    assert_eq!(thin.frames.segments, complete.frames.segments);
    assert_eq!(thin.frames.flags, complete.frames.flags);
    assert_eq!(thin.frames.skips, complete.frames.skips);
}
