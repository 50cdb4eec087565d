//! How well change points agree with several annotators: the protocol of the Turing change point benchmark (van den
//! Burg and Williams, "An evaluation of change point detection algorithms", 2020).

use super::annotated::Annotated;
use std::collections::BTreeSet;

/// A point is found where one predicted lies no further away.
const MARGIN: usize = 5;

/// Agreement, as shares of 1.
#[derive(Clone, Copy, Default)]
pub struct Score {
    pub f1: f64,
    pub precision: f64,
    pub recall: f64,
    pub cover: f64,
}

impl Score {
    pub fn mean(scores: &[Self]) -> Self {
        let of = |part: fn(&Self) -> f64| scores.iter().map(part).sum::<f64>() / scores.len() as f64;
        Self { f1: of(|s| s.f1), precision: of(|s| s.precision), recall: of(|s| s.recall), cover: of(|s| s.cover) }
    }
}

pub fn score(series: &Annotated, found: &[usize]) -> Score {
    let found_and_start: BTreeSet<usize> = found.iter().copied().chain([0]).collect();
    let people: Vec<BTreeSet<usize>> =
        series.annotations.values().map(|points| points.iter().copied().chain([0]).collect()).collect();
    let anyone: BTreeSet<usize> = people.iter().flatten().copied().collect();
    let precision = matched(&anyone, &found_and_start) as f64 / found_and_start.len() as f64;
    let recall_of = |points: &BTreeSet<usize>| matched(points, &found_and_start) as f64 / points.len() as f64;
    let recall = people.iter().map(recall_of).sum::<f64>() / people.len() as f64;
    let n = series.values.len();
    let mine = segments(found, n);
    let covered = series.annotations.values().map(|points| cover(&segments(points, n), &mine, n)).sum::<f64>();
    Score {
        f1: if precision + recall > 0.0 { 2.0 * precision * recall / (precision + recall) } else { 0.0 },
        precision,
        recall,
        cover: covered / people.len() as f64,
    }
}

/// How many of `truth` have a point of `found` near, each of which counts once.
fn matched(truth: &BTreeSet<usize>, found: &BTreeSet<usize>) -> usize {
    let mut left = found.clone();
    truth
        .iter()
        .filter(|&&point| {
            let near = left.range(point.saturating_sub(MARGIN)..=point + MARGIN);
            let nearest = near.copied().min_by_key(|found| (found.abs_diff(point), *found));
            nearest.is_some_and(|nearest| left.remove(&nearest))
        })
        .count()
}

fn segments(points: &[usize], n: usize) -> Vec<(usize, usize)> {
    let inside = points.iter().copied().filter(|&point| point > 0 && point < n);
    let edges: BTreeSet<usize> = inside.chain([0, n]).collect();
    edges.iter().copied().zip(edges.iter().copied().skip(1)).collect()
}

/// The mean over points of the best Jaccard index between the segment that a point is in and one of `mine`.
fn cover(truth: &[(usize, usize)], mine: &[(usize, usize)], n: usize) -> f64 {
    let best = |&(start, end): &(usize, usize)| {
        let overlapping = mine.iter().filter(|(s, e)| *s < end && start < *e);
        let index = overlapping.map(|&(s, e)| (e.min(end) - s.max(start)) as f64 / (e.max(end) - s.min(start)) as f64);
        (end - start) as f64 * index.fold(0.0, f64::max)
    };
    truth.iter().map(best).sum::<f64>() / n as f64
}
