use super::*;

fn assert_near(found: f64, expected: f64) {
    assert!((found - expected).abs() <= 1e-9 * expected.abs(), "{found} is not {expected}");
}

const FIRST: [f64; 25] = [
    -0.68, 0.2, -0.46, 0.13, -1.19, -0.58, -0.2, 0.9, 1.15, -1.32, -0.79, 0.65, -1.99, -0.46, -0.1, 1.26, 0.69, -0.33,
    -0.37, -0.25, 1.52, -0.43, -0.3, 0.35, -0.12,
];

/// The first, two points later, with noise.
const SECOND: [f64; 25] = [
    0.25, -0.68, -0.69, -0.02, 0.12, 0.46, -1.2, -0.25, -0.37, 1.43, 1.15, -1.03, -1.44, 0.82, -2.83, -1.48, -0.25,
    0.81, 0.77, 0.79, -0.79, -0.56, 1.62, -0.18, -0.39,
];

#[test]
fn correlations_at_lags_are_those_of_scipy() {
    let lags = correlate(&FIRST, &SECOND, 2).unwrap();
    let rho = |lag| lags.iter().find(|lagged| lagged.lag == lag).unwrap().rho;
    // scipy.stats.spearmanr(x[1:], y[:-1]), (x, y), (x[:-2], y[2:])
    assert_near(rho(-1), 0.018_703_784_254_023_487);
    assert_near(rho(0), -0.450_942_670_257_791_4);
    assert_near(rho(2), 0.849_233_811_171_527_4);
    assert_near(p_value(rho(0), 25.0), 0.023_671_558_612_811_824);
    assert_near(p_value(rho(2), 23.0), 2.986_762_686_008_093_5e-7);
    assert_eq!(lags.iter().map(|lagged| lagged.lag).collect::<Vec<_>>(), [-2, -1, 0, 1, 2]);
    assert!(lags.iter().all(|lagged| lagged.adjusted_p >= lagged.p && lagged.effective_points <= 25.0));
}

#[test]
fn a_scan_names_the_surest_lag() {
    let constant = [1.0; 25];
    let found = scan(
        [
            Pair { name: "follows", first: &FIRST, second: &SECOND },
            Pair { name: "constant", first: &FIRST, second: &constant },
        ],
        3,
    );
    let [("follows", lagged)] = found.correlations[..] else { panic!("{found:?}") };
    assert_eq!(lagged.lag, 2);
    assert!(lagged.adjusted_p < 1e-3, "{lagged:?}");
    assert_eq!(found.refused, [("constant", CorrelationError::Constant)]);
}

#[test]
fn two_slow_waves_are_not_taken_for_many_points() {
    let wave = |shift: f64| (0..60).map(|i| (f64::from(i) / 9.0 + shift).sin()).collect::<Vec<_>>();
    let lag = correlate(&wave(0.0), &wave(1.0), 0).unwrap()[0];
    assert!(lag.rho > 0.4 && lag.effective_points < 15.0, "{lag:?}");
    assert!(p_value(lag.rho, 60.0) < 1e-3 && lag.p > 0.05, "{lag:?}");
}

#[test]
fn bad_pairs_are_refused() {
    let few = |points| CorrelationError::TooFewPoints { points, needed: 10 };
    assert_eq!(correlate(&[], &[], 0), Err(few(0)));
    assert_eq!(correlate(&[1.0, 2.0], &[1.0, 2.0], 0), Err(few(2)));
    assert_eq!(correlate(&FIRST, &SECOND, 100), Err(few(0)));
    assert_eq!(correlate(&FIRST, &SECOND[1..], 0), Err(CorrelationError::Lengths { first: 25, second: 24 }));
    let mut broken = SECOND;
    broken[3] = f64::INFINITY;
    assert_eq!(correlate(&FIRST, &broken, 0), Err(CorrelationError::NotFinite { index: 3 }));
    assert_eq!(correlate(&[2.0; 25], &SECOND, 0), Err(CorrelationError::Constant));
}

#[test]
fn what_is_the_same_correlates_wholly() {
    let lagged = correlate(&FIRST, &FIRST, 0).unwrap()[0];
    assert_eq!((lagged.rho, lagged.p), (1.0, 0.0));
}
