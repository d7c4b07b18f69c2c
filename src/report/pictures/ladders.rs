//! One connection of a finding as a sequence diagram: the one that its first exhibits quote.

use hashbrown::HashMap;

use super::super::chart::{Arrow, Chart, Ladder, LadderRow, Picture};
use super::super::model::{ChartEntry, Report};
use super::{entry, point_of};
use crate::connection::Connection;
use crate::diagnosis::{Case, Finding};
use crate::evidence::Evidence;
use crate::ingest::{Row, Wanted};
use crate::language::say;
use crate::segment::{Flags, Segment, SeqNumber};

/// Ladders of a report: one a finding, of the first findings.
const MOST: usize = 12;
/// Exhibits of a finding that are looked at for a connection.
const TRIED: usize = 3;

/// A finding's exemplary connection.
#[derive(Clone, Debug)]
pub struct Exemplar {
    /// The finding's place among all.
    pub finding: usize,
    /// Its segments.
    pub wanted: Wanted,
}

/// Chooses a connection for each of the first findings that quote one.
#[must_use]
pub fn exemplars(case: &Case<'_>, findings: &[Finding]) -> Vec<Exemplar> {
    let evidence = case.evidence;
    let mut quoted: Vec<(usize, Vec<(u16, u64)>)> = Vec::new();
    for (place, finding) in findings.iter().enumerate() {
        let Some(point) = point_of(finding).filter(|_| !finding.rule.starts_with("STALL")) else { continue };
        let frames = finding.exhibits.iter().filter_map(|exhibit| frame(evidence, &exhibit.input, exhibit.frame?));
        let frames: Vec<(u16, u64)> = frames.filter(|(at, _)| *at == point).take(TRIED).collect();
        if !frames.is_empty() {
            quoted.push((place, frames));
        }
    }
    quoted.truncate(MOST);
    let found = connections(evidence, quoted.iter().flat_map(|(_, frames)| frames.iter().copied()));
    let one = |(place, frames): (usize, Vec<(u16, u64)>)| {
        let connection = frames.iter().find_map(|frame| found.get(frame).copied().flatten())?;
        // A reuse is told with the incarnation before.
        let first = connection.previous().map_or(connection.first().0, |before| before.first().0);
        let ends = (connection.client(), connection.server());
        let wanted = Wanted { point: connection.point(), ends, frames: (first, connection.last().0) };
        Some(Exemplar { finding: place, wanted })
    };
    quoted.into_iter().filter_map(one).collect()
}

/// Capture point and frame from 0 there of a frame of an input.
fn frame(evidence: &Evidence, input: &str, frame: u64) -> Option<(u16, u64)> {
    let number: usize = input.strip_prefix('i')?.parse().ok()?;
    let capture = evidence.capture(number.checked_sub(1)?)?;
    Some((capture.point, capture.base.saturating_add(frame.checked_sub(1)?)))
}

/// The connection of each frame: by its first or last packet, a SYN, a RST that ended it, or a late segment.
fn connections(
    evidence: &Evidence,
    frames: impl Iterator<Item = (u16, u64)>,
) -> HashMap<(u16, u64), Option<Connection<'_>>> {
    let mut found: HashMap<(u16, u64), Option<Connection<'_>>> = frames.map(|frame| (frame, None)).collect();
    if found.is_empty() {
        return found;
    }
    let of_shards = evidence.workers.map(&evidence.shards, |_, shard| {
        let ends = shard.connections().flat_map(|c| [(c.first().0, c), (c.last().0, c)]);
        let syns = shard.later_syns().map(|syn| (syn.frame, syn.connection));
        let resets = shard.resets().map(|reset| (reset.frame, reset.connection));
        let late = shard.late().map(|late| (late.frame, late.connection));
        let all = ends.chain(syns).chain(resets).chain(late);
        all.filter(|(frame, c)| found.contains_key(&(c.point(), *frame))).collect::<Vec<_>>()
    });
    for (frame, connection) in of_shards.into_iter().flatten() {
        if let Some(place @ None) = found.get_mut(&(connection.point(), frame)) {
            *place = Some(connection);
        }
    }
    found
}

/// The diagrams of the connections whose segments were read again.
pub(in crate::report) fn draw(
    evidence: &Evidence,
    report: &Report,
    exemplars: &[Exemplar],
    rows: &[Vec<Row>],
) -> Vec<(ChartEntry, Chart)> {
    let told = exemplars.iter().zip(rows).filter(|(_, rows)| rows.len() > 1);
    let one = |(exemplar, rows): (&Exemplar, &Vec<Row>)| {
        let finding = report.findings.get(exemplar.finding)?;
        let (client, server) = exemplar.wanted.ends;
        let quoted: Vec<u64> = finding
            .exhibits
            .iter()
            .filter_map(|exhibit| Some(frame(evidence, &exhibit.input, exhibit.frame?)?.1))
            .collect();
        let ladder = Ladder {
            client: client.to_string(),
            server: server.to_string(),
            rows: ladder_rows(evidence, exemplar.wanted.point, rows, &quoted),
        };
        let title = say!("One connection of {id}: {client} to {server}", id = &finding.id, client, server);
        Some(entry(
            report.language,
            &format!("{}-ladder", finding.id.to_lowercase()),
            title,
            Picture::Ladder(ladder),
            Some(finding),
        ))
    };
    told.filter_map(one).collect()
}

/// What one side has sent so far.
#[derive(Clone, Copy, Default)]
struct Sent {
    first: Option<SeqNumber>,
    next: Option<SeqNumber>,
    /// Behind its FIN.
    fin: Option<SeqNumber>,
}

fn ladder_rows(evidence: &Evidence, point: u16, rows: &[Row], quoted: &[u64]) -> Vec<LadderRow> {
    let mut sides = [Sent::default(); 2];
    let mut told = Vec::new();
    for (place, row) in rows.iter().enumerate() {
        let segment = &row.segment;
        let (own, peer) = if row.from_client { (0, 1) } else { (1, 0) };
        let answered = rows.get(place + 1).is_some_and(|next| next.from_client != row.from_client);
        let [mine, theirs] = [own, peer].map(|side| sides.get(side).copied().unwrap_or_default());
        let fresh = segment.flags.has(Flags::SYN) && mine.first != Some(segment.seq);
        let mut mine = if fresh { Sent { first: Some(segment.seq), ..Sent::default() } } else { mine };
        let first = *mine.first.get_or_insert(segment.seq);
        let end = segment.seq.plus(segment.sequence_length());
        let again = segment.sequence_length() > 0 && mine.next.is_some_and(|next| !end.is_after(next));
        let label = label(segment, again, fresh, quoted.contains(&row.frame), mine.fin.is_some(), theirs.fin.is_some());
        let closes = segment.flags.has(Flags::ACK) && theirs.fin == Some(segment.ack) && segment.payload == 0;
        let arrow = match () {
            () if segment.flags.has(Flags::RST) => Arrow::Reset,
            () if segment.flags.is_syn() && !answered => Arrow::Unanswered,
            () if again => Arrow::Retransmitted,
            () if segment.flags.has(Flags::FIN) || closes => Arrow::Closing,
            () => Arrow::Plain,
        };
        if segment.flags.has(Flags::FIN) && !segment.flags.has(Flags::RST) {
            mine.fin = Some(end);
        }
        if !segment.flags.has(Flags::RST) && mine.next.is_none_or(|next| end.is_after(next)) {
            mine.next = Some(end);
        }
        if let Some(side) = sides.get_mut(own) {
            *side = mine;
        }
        let has_ack = segment.flags.has(Flags::ACK);
        told.push(LadderRow {
            at: segment.at,
            frame: Some(evidence.locate(point, row.frame).1),
            from_client: row.from_client,
            flags: flags(segment),
            seq: i64::from(segment.seq.ahead_of(first)),
            ack: has_ack.then(|| i64::from(theirs.first.map_or(0, |first| segment.ack.ahead_of(first)))),
            len: u64::from(segment.payload),
            label,
            arrow,
        });
    }
    told
}

fn flags(segment: &Segment) -> String {
    let names = [(Flags::SYN, "SYN"), (Flags::FIN, "FIN"), (Flags::RST, "RST"), (Flags::ACK, "ACK")];
    let set: Vec<&str> = names.iter().filter(|(flag, _)| segment.flags.has(*flag)).map(|(_, name)| *name).collect();
    if set.is_empty() { "no flags".to_owned() } else { set.join(", ") }
}

/// What there is to say of a segment, in few words.
fn label(segment: &Segment, again: bool, fresh: bool, quoted: bool, own_fin: bool, peer_fin: bool) -> String {
    let what = match () {
        () if segment.flags.has(Flags::RST) => "reset",
        () if segment.flags.is_syn() && fresh => "opens",
        () if again => "sent again",
        () if segment.flags.has(Flags::FIN) && !own_fin && !peer_fin => "closes first",
        () if segment.flags.has(Flags::FIN) && peer_fin => "closes, too",
        () => "",
    };
    match (what, quoted) {
        ("", true) => "quoted".to_owned(),
        (what, true) => format!("{what}; quoted"),
        (what, false) => what.to_owned(),
    }
}
