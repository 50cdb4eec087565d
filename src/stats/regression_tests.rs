use super::*;

fn window(level: f64) -> Vec<Vec<f64>> {
    // In no order that neighbours would share.
    (0..30_i32).map(|i| vec![level * (1.0 + f64::from(i * 7 % 30 - 15) / 300.0)]).collect()
}

fn pair(series: &'static str, direction: Direction, from: f64, to: f64) -> Pair<&'static str> {
    Pair { series, direction, baseline: window(from), candidate: window(to) }
}

fn changes(scan: &Scan<&'static str>) -> Vec<(&'static str, Change)> {
    scan.findings.iter().map(|finding| (finding.series, finding.change)).collect()
}

fn scanned(pairs: Vec<Pair<&'static str>>) -> Scan<&'static str> {
    scan(pairs, &Thresholds::default(), &ShiftSettings::default())
}

#[test]
fn severity_asks_for_size_and_for_p() {
    use Severity::{Critical, Minor, Moderate, Severe};
    let table = [
        (0.30, 0.009, Critical),
        (0.30, 0.01, Severe),
        (0.30, 0.03, Severe),
        (0.30, 0.05, Moderate),
        (0.30, 0.1, Minor),
        (0.25, 0.001, Severe),
        (0.15, 0.049, Severe),
        (0.15, 0.07, Moderate),
        (0.149, 0.001, Moderate),
        (0.05, 0.099, Moderate),
        (0.05, 0.1, Minor),
        (0.049, 1e-9, Minor),
        (-0.30, 0.001, Critical),
        (f64::NAN, 0.001, Minor),
        (0.30, f64::NAN, Minor),
    ];
    for (change, p, expected) in table {
        assert_eq!(Thresholds::default().severity(change, p), expected, "{change} {p}");
    }
    assert!(Critical > Severe && Severe > Moderate && Moderate > Minor);
}

#[test]
fn a_scan_knows_which_way_a_metric_gets_better() {
    use Direction::{HigherIsBetter, LowerIsBetter};
    let found = scanned(vec![
        pair("latency up", LowerIsBetter, 100.0, 140.0),
        pair("latency down", LowerIsBetter, 100.0, 80.0),
        pair("throughput up", HigherIsBetter, 100.0, 120.0),
        pair("throughput down", HigherIsBetter, 100.0, 90.0),
        pair("the same", LowerIsBetter, 100.0, 100.0),
    ]);
    assert_eq!(
        changes(&found),
        [
            ("latency up", Change::Regression(Severity::Critical)),
            ("latency down", Change::Improvement(Severity::Severe)),
            ("throughput up", Change::Improvement(Severity::Severe)),
            ("throughput down", Change::Regression(Severity::Moderate)),
            ("the same", Change::Unchanged),
        ]
    );
    assert_eq!(found.worst_regression(), Some(Severity::Critical));
}

#[test]
fn a_chance_among_many_series_is_no_finding() {
    // Five samples a side, all larger: a finding alone, but not among twenty.
    let five = |from: f64| [2.0, 0.0, 4.0, 1.0, 3.0].map(|more| vec![from + more]).to_vec();
    let odd =
        || Pair { series: "odd", direction: Direction::LowerIsBetter, baseline: five(10.0), candidate: five(15.0) };
    assert_eq!(changes(&scanned(vec![odd()])), [("odd", Change::Regression(Severity::Severe))]);
    let mut many = vec![odd()];
    many.extend((0..19).map(|_| pair("calm", Direction::LowerIsBetter, 100.0, 100.0)));
    let found = scanned(many);
    assert_eq!(found.findings[0].change, Change::Regression(Severity::Minor));
    assert!((found.findings[0].adjusted_p - 20.0 * found.findings[0].shift.p).abs() < 1e-12);
}

#[test]
fn what_cannot_be_compared_is_named_and_the_rest_goes_on() {
    let mut short = pair("short", Direction::LowerIsBetter, 100.0, 100.0);
    short.candidate.truncate(3);
    let found = scanned(vec![short, pair("long", Direction::LowerIsBetter, 100.0, 200.0)]);
    assert_eq!(found.findings.len(), 1);
    assert!(matches!(found.refused[..], [("short", ShiftError::TooFewSamples { samples: 3, .. })]));
    let nothing = scanned(vec![]);
    assert!(nothing.findings.is_empty() && nothing.worst_regression().is_none());
}

#[test]
fn from_zero_any_growth_is_large() {
    let zero = Pair {
        series: "retries",
        direction: Direction::LowerIsBetter,
        baseline: vec![vec![0.0]; 10],
        candidate: vec![vec![2.0]; 10],
    };
    assert_eq!(changes(&scanned(vec![zero])), [("retries", Change::Regression(Severity::Critical))]);
}
