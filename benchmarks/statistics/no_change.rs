//! False alarms: scans of pairs of windows that are neighbours in one series in which nothing changes.

use crate::series::{INDEPENDENT, Shape, Source, Structure};
use crate::table::{Bar, Row};
use tabfleet::stats::{
    Direction,
    regression::{Pair, Severity, Thresholds, scan},
    shift::ShiftSettings,
};

/// So many that a share of 5 % has a standard error of 0.3 % at most.
const SCANS: u32 = 10_000;
const SCANS_OF_MANY: u32 = 5_000;

/// One kind of series, and how its two windows are made of runs.
struct Case {
    name: &'static str,
    shape: Shape,
    structure: Structure,
    baseline: Vec<usize>,
    candidate: Vec<usize>,
    /// Whether the windows can tell what the series does, so that the bar holds.
    can_tell: bool,
}

pub fn measure() {
    for case in cases() {
        for series in [1, 10] {
            println!("{}", alarms(&case, series));
        }
    }
}

fn alarms(case: &Case, series: usize) -> Row {
    let mut source = Source::seeded(4);
    let scans = if series == 1 { SCANS } else { SCANS_OF_MANY };
    let (mut raised, mut significant) = (0, 0);
    let sizes: Vec<usize> = case.baseline.iter().chain(&case.candidate).copied().collect();
    for _ in 0..scans {
        let pairs = (0..series).map(|series| {
            let mut baseline = source.runs(&sizes, case.shape, case.structure);
            let candidate = baseline.split_off(case.baseline.len());
            Pair { series, direction: Direction::LowerIsBetter, baseline, candidate }
        });
        let found = scan(pairs.collect::<Vec<_>>(), &Thresholds::default(), &ShiftSettings::default());
        raised += u32::from(found.worst_regression() >= Some(Severity::Moderate));
        significant += found.findings.iter().filter(|finding| finding.shift.p < 0.05).count();
    }
    let share = significant as f64 / f64::from(scans) / series as f64;
    let alarms = f64::from(raised) / f64::from(scans);
    let error = (alarms * (1.0 - alarms) / f64::from(scans)).sqrt() * 100.0;
    Row {
        measure: format!("no change: {}, {series} series a scan", case.name),
        bar: case.can_tell.then_some(Bar::AtMost(5.0)),
        value: alarms * 100.0,
        unit: "%",
        numbers: format!(
            "{raised} of {scans} scans, standard error {error:.2}%; p < 0.05 in {:.1}% of pairs",
            share * 100.0
        ),
    }
}

fn cases() -> Vec<Case> {
    let singles = vec![1; 30];
    let independent = |name, shape| Case {
        name,
        shape,
        structure: INDEPENDENT,
        baseline: singles.clone(),
        candidate: singles.clone(),
        can_tell: true,
    };
    let normal = Shape::Normal { cv: 0.3 };
    let structured = |name, between_neighbours, between_runs, within, baseline: &[usize], candidate: &[usize]| Case {
        name,
        shape: normal,
        structure: Structure { between_neighbours, between_runs, within },
        baseline: baseline.to_vec(),
        candidate: candidate.to_vec(),
        can_tell: true,
    };
    vec![
        independent("normal, CV 8%, 30 + 30", Shape::Normal { cv: 0.08 }),
        independent("normal, CV 30%, 30 + 30", normal),
        independent("log-normal, σ 0.5, 30 + 30", Shape::LogNormal { sigma: 0.5 }),
        independent("bimodal, 30% at 1.5 times, CV 8%, 30 + 30", Shape::Bimodal { share: 0.3, factor: 1.5, cv: 0.08 }),
        Case { baseline: vec![1; 6], candidate: vec![1; 6], ..independent("normal, CV 30%, 6 + 6", normal) },
        structured("AR(1) 0.3, CV 30%, 30 + 30", 0.3, 1.0, 0.0, &singles, &singles),
        structured("AR(1) 0.45, CV 30%, 30 + 30", 0.45, 1.0, 0.0, &singles, &singles),
        structured("AR(1) 0.6, CV 30%, 30 + 30", 0.6, 1.0, 0.0, &singles, &singles),
        Case {
            shape: Shape::LogNormal { sigma: 0.5 },
            ..structured("AR(1) 0.6, log-normal, 30 + 30", 0.6, 1.0, 0.0, &singles, &singles)
        },
        structured("AR(1) 0.6, CV 30%, 100 + 30", 0.6, 1.0, 0.0, &[1; 100], &singles),
        structured("AR(1) 0.6, CV 30%, 12 + 12", 0.6, 1.0, 0.0, &[1; 12], &[1; 12]),
        structured("half the variance between runs, 6 + 6 runs of 10", 0.0, 0.5, 0.0, &[10; 6], &[10; 6]),
        structured("a fifth between runs, 3 + 3 runs of 10", 0.0, 0.2, 0.0, &[10; 3], &[10; 3]),
        structured("half between runs, 10 + 1 runs of 30", 0.0, 0.5, 0.0, &[30; 10], &[30]),
        structured("a fifth between runs, 10 + 3 runs of 3 to 30", 0.0, 0.2, 0.0, &UNEVEN, &[30, 5, 10]),
        structured("half between runs, AR(1) 0.5 of runs, 15 + 15 of 4", 0.5, 0.5, 0.0, &[4; 15], &[4; 15]),
        structured("AR(1) 0.4 within, 5 + 5 runs of 20", 0.0, 0.0, 0.4, &[20; 5], &[20; 5]),
        structured("AR(1) 0.4 within, 1 + 1 run of 30", 0.0, 0.0, 0.4, &[30], &[30]),
        Case {
            can_tell: false,
            ..structured("a tenth between runs, 1 + 1 run of 30: said to be unknown", 0.0, 0.1, 0.0, &[30], &[30])
        },
    ]
}

const UNEVEN: [usize; 10] = [3, 30, 5, 20, 10, 10, 3, 30, 4, 15];
