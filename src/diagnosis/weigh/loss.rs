//! Loss: SYNs go unanswered without a pattern, and their retransmissions are answered.

use statrs::distribution::{Beta, ContinuousCDF};

use crate::connection::SynFate;
use crate::evidence::pairs::{Attempt, SynSeen};

/// Loss and its rate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Loss {
    /// Share of SYNs that went unanswered.
    pub rate: f64,
    /// 95 % confidence interval of the rate (Clopper and Pearson).
    pub low: f64,
    pub high: f64,
    /// Standard deviations by which unanswered SYNs cluster in time; negative where they do.
    pub runs: f64,
}

/// Unanswered SYNs below which nothing is said.
const FEWEST: u64 = 3;
/// Attempts that must have been answered when retried, of all that lost a SYN.
const RETRIED: f64 = 0.5;
/// Clustering beyond this is no independent loss.
const CLUSTERED: f64 = -4.0;

/// Loss, where nothing speaks against it.
pub(crate) fn detect(syns: &[&SynSeen], attempts: &[Attempt]) -> Option<Loss> {
    let judged: Vec<bool> =
        syns.iter().filter(|syn| syn.unanswered() || syn.fate == SynFate::SynAck).map(|syn| syn.unanswered()).collect();
    let lost = judged.iter().filter(|unanswered| **unanswered).count() as u64;
    let all = judged.len() as u64;
    if lost < FEWEST || lost == all || retried(attempts) < RETRIED {
        return None;
    }
    let runs = runs(&judged);
    let (low, high) = interval(lost, all);
    (runs > CLUSTERED).then(|| Loss { rate: as_f64(lost) / as_f64(all), low, high, runs })
}

/// Of the attempts that lost a SYN, the share that was answered later.
fn retried(attempts: &[Attempt]) -> f64 {
    let lost = attempts.iter().filter(|attempt| attempt.unanswered > 0);
    let (all, saved) = lost.fold((0_u64, 0_u64), |(all, saved), a| (all + 1, saved + u64::from(a.answered > 0)));
    if all == 0 { 0.0 } else { as_f64(saved) / as_f64(all) }
}

/// How far the number of runs lies from what independence lets expect, in standard deviations (Wald and Wolfowitz).
fn runs(sequence: &[bool]) -> f64 {
    let ones = as_f64(sequence.iter().filter(|one| **one).count() as u64);
    let all = as_f64(sequence.len() as u64);
    let zeros = all - ones;
    let changes = sequence.windows(2).filter(|pair| matches!(pair, [one, other] if one != other)).count() as u64;
    let expected = 2.0 * ones * zeros / all + 1.0;
    let variance = (expected - 1.0) * (expected - 2.0) / (all - 1.0);
    if variance <= 0.0 { 0.0 } else { (as_f64(changes + 1) - expected) / variance.sqrt() }
}

/// The 95 % interval of a share.
fn interval(lost: u64, all: u64) -> (f64, f64) {
    let quantile = |a: u64, b: u64, p: f64| Beta::new(as_f64(a), as_f64(b)).map(|beta| beta.inverse_cdf(p)).ok();
    let low = quantile(lost, all - lost + 1, 0.025).unwrap_or(0.0);
    let high = quantile(lost + 1, all - lost, 0.975).unwrap_or(1.0);
    (low, high)
}

#[allow(clippy::cast_precision_loss)]
fn as_f64(count: u64) -> f64 {
    count as f64
}
