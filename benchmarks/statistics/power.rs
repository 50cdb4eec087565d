//! What is found: a true shift between two windows.

use crate::series::{INDEPENDENT, Shape, Source};
use crate::table::{Bar, Row};
use tabfleet::stats::{
    Direction,
    regression::{Pair, Severity, Thresholds, scan},
    shift::{ShiftSettings, compare},
};

const PAIRS: u32 = 1000;
const SHIFT: f64 = 1.1;
const SHAPE: Shape = Shape::Normal { cv: 0.08 };

pub fn measure() {
    let shapes: [(&str, &[usize], bool); 4] = [
        ("30 + 30 independent samples", &[1; 30], true),
        ("1 + 1 run of 30", &[30], true),
        ("10 + 10 runs of 3", &[3; 10], false),
        ("3 + 3 runs of 10, so few that runs could differ by chance", &[10; 3], false),
    ];
    for (name, sizes, has_bar) in shapes {
        println!("{}", found(name, sizes, has_bar, 1));
        println!("{}", found(name, sizes, has_bar, 10));
    }
}

/// Of scans in which one series of several got slower.
fn found(name: &str, sizes: &[usize], has_bar: bool, series: usize) -> Row {
    let mut source = Source::seeded(10);
    let (mut found, mut detectable) = (0, Vec::new());
    for _ in 0..PAIRS {
        let pairs: Vec<Pair<usize>> = (0..series).map(|index| pair(&mut source, sizes, index)).collect();
        if let Ok(shift) = compare(&pairs[0].baseline, &pairs[0].candidate, &ShiftSettings::default()) {
            detectable.push(shift.detectable.unwrap_or(f64::INFINITY));
        }
        let scan = scan(pairs, &Thresholds::default(), &ShiftSettings::default());
        let slower = scan.findings.iter().find(|finding| finding.series == 0);
        found += u32::from(slower.and_then(|finding| finding.change.regression()) >= Some(Severity::Moderate));
    }
    detectable.sort_by(f64::total_cmp);
    let typical = detectable.get(detectable.len() / 2).map_or(f64::NAN, |share| share * 100.0);
    Row {
        measure: format!("power: 10% slower, CV 8%, {name}, one of {series} series"),
        bar: (has_bar && series == 1).then_some(Bar::AtLeast(95.0)),
        value: f64::from(found) / f64::from(PAIRS) * 100.0,
        unit: "%",
        numbers: format!("{found} of {PAIRS}; the power note says {typical:.1}% (median)"),
    }
}

/// The first series got slower; the others did not.
fn pair(source: &mut Source, sizes: &[usize], series: usize) -> Pair<usize> {
    let baseline = source.runs(sizes, SHAPE, INDEPENDENT);
    let mut candidate = source.runs(sizes, SHAPE, INDEPENDENT);
    if series == 0 {
        candidate.iter_mut().flatten().for_each(|value| *value *= SHIFT);
    }
    Pair { series, direction: Direction::LowerIsBetter, baseline, candidate }
}
