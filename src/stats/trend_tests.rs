use super::*;
use proptest::prelude::*;

fn by_index(values: &[f64]) -> Vec<(f64, f64)> {
    values.iter().enumerate().map(|(time, value)| (time as f64, *value)).collect()
}

fn of(points: &[(f64, f64)]) -> Trend {
    trend(points, Direction::LowerIsBetter, &TrendSettings::default()).unwrap()
}

fn assert_near(found: f64, expected: f64) {
    assert!((found - expected).abs() <= 1e-9 * expected.abs().max(1e-9), "{found} is not {expected}");
}

const RISING: [f64; 12] = [10.2, 10.4, 9.9, 10.8, 10.6, 11.1, 10.9, 11.5, 11.2, 11.0, 11.8, 11.6];

/// 50 + 0.05 i plus noise whose neighbours correlate by 0.6.
const DRIFTING: [f64; 60] = [
    50.0, 50.05, 50.4, 50.06, 49.25, 49.23, 48.69, 49.45, 51.2, 50.44, 49.87, 50.66, 51.02, 51.01, 49.99, 50.29, 51.22,
    49.76, 49.79, 48.38, 48.17, 47.51, 48.74, 48.47, 49.86, 50.6, 50.73, 48.49, 49.14, 50.05, 50.77, 49.58, 49.94,
    49.68, 49.71, 51.62, 50.91, 51.28, 52.45, 51.69, 51.73, 52.0, 52.13, 50.95, 51.55, 53.22, 51.34, 52.63, 52.69,
    51.98, 54.22, 54.34, 52.48, 52.65, 53.28, 52.91, 53.58, 53.25, 53.81, 54.93,
];

#[test]
fn a_slope_is_that_of_scipy() {
    let trend = of(&by_index(&RISING));
    // scipy.stats.theilslopes(y, range(12), 0.95)
    assert_near(trend.slope, 0.142_857_142_857_142_85);
    assert_near(trend.intercept, 10.164_285_714_285_713);
    assert_near(trend.slope_interval[0], 0.083_333_333_333_333_33);
    assert_near(trend.slope_interval[1], 0.200_000_000_000_000_18);
    // pymannkendall.original_test(y).p
    assert_near(trend.p_if_independent, 0.001_268_955_228_656_887_3);
    assert_eq!(trend.course, Course::Degrading);
    // scipy.stats.theilslopes([1, 2, 2, 3, 3, 5, 4, 5], [0, 0, 1, 1, 2, 3, 3, 4]): two values of one time make no slope.
    let same_times = [(0.0, 1.0), (0.0, 2.0), (1.0, 2.0), (1.0, 3.0), (2.0, 3.0), (3.0, 5.0), (3.0, 4.0), (4.0, 5.0)];
    assert_near(of(&same_times).slope, 1.0);
}

#[test]
fn autocorrelation_is_accounted_for_as_hamed_and_rao_do() {
    let points = by_index(&DRIFTING);
    let trend = of(&points);
    assert_near(trend.slope, 0.074_384_384_384_384_36);
    let left: Vec<f64> = points.iter().map(|(time, value)| value - trend.slope * time).collect();
    let found = autocorrelations(&midranks(&left), 17);
    let significant =
        found.iter().map(|lag| if lag.abs() > 1.959_963_984_540_054 / 60_f64.sqrt() { *lag } else { 0.0 });
    // pymannkendall.hamed_rao_modification_test(y, lag=17); of original_test(y), 2 * scipy.stats.norm.sf(z)
    assert_near(hamed_rao(60.0, significant), 3.984_980_991_862_632_7);
    assert_near(trend.p_if_independent, 4.439_362_949_366_171e-10);
    // 0.0018 by those lags alone; a first-order process of which so little is known makes it less sure.
    assert!(trend.variance_factor > 3.985 && (0.0018..0.02).contains(&trend.p), "{trend:?}");
    // Wider than the interval of independent points: scipy.stats.theilslopes(y, range(60), 0.95)
    assert!(trend.slope_interval[0] < 0.057_142 && trend.slope_interval[1] > 0.092_414, "{trend:?}");
}

#[test]
fn autocorrelated_noise_is_no_more_often_a_trend_than_it_may_be() {
    let trends = |kept: f64| {
        let rises = |seed: u64| {
            let mut last = 0.0;
            let noise = crate::stats::seeded::normal(60, seed).into_iter().map(|new| {
                last = kept * last + (1.0 - kept * kept).sqrt() * new;
                100.0 + 10.0 * last
            });
            of(&by_index(&noise.collect::<Vec<_>>())).p < 0.05
        };
        (0..500).filter(|seed| rises(*seed)).count()
    };
    // 5% of 500, and twice its standard error.
    let (some, much) = (trends(0.3), trends(0.6));
    assert!(some <= 35 && much <= 35, "{some} {much}");
}

#[test]
fn the_course_depends_on_what_is_better_and_on_the_size() {
    let course = |direction, settings: &TrendSettings| trend(&by_index(&RISING), direction, settings).unwrap().course;
    let usual = TrendSettings::default();
    assert_eq!(course(Direction::LowerIsBetter, &usual), Course::Degrading);
    assert_eq!(course(Direction::HigherIsBetter, &usual), Course::Improving);
    let large_only = TrendSettings { least_change: 0.5, ..usual };
    assert_eq!(course(Direction::LowerIsBetter, &large_only), Course::Stable);
    let sure_only = TrendSettings { significance: 1e-6, ..usual };
    assert_eq!(course(Direction::LowerIsBetter, &sure_only), Course::Stable);
    assert_eq!(of(&by_index(&[5.0, 7.0, 4.0, 6.0, 5.0, 7.0, 4.0, 6.0])).course, Course::Stable);
}

#[test]
fn bad_series_are_refused() {
    let refused =
        |points: &[(f64, f64)]| trend(points, Direction::LowerIsBetter, &TrendSettings::default()).unwrap_err();
    for points in 0..5 {
        assert_eq!(refused(&by_index(&RISING[..points])), TrendError::TooFewPoints { points, needed: 5 });
    }
    assert!(matches!(refused(&[(0.0, 1.0), (1.0, f64::NAN)]), TrendError::NotFinite { index: 1, .. }));
    assert_eq!(refused(&[(3.0, 1.0); 8]), TrendError::OneTime);
    let far = [(0.0, f64::MIN), (1.0, f64::MAX), (2.0, 0.0), (3.0, 0.0), (4.0, 0.0)];
    assert_eq!(refused(&far), TrendError::TooFarApart);
}

#[test]
fn a_constant_is_stable() {
    let constant = of(&by_index(&[7.0; 20]));
    assert_eq!((constant.course, constant.slope, constant.p), (Course::Stable, 0.0, 1.0));
    assert_eq!(constant.slope_interval, [0.0, 0.0]);
    assert_eq!(of(&by_index(&[0.0; 20])).relative_change, None);
}

#[test]
fn the_order_that_points_come_in_does_not_matter() {
    let mut points = by_index(&DRIFTING);
    let expected = of(&points);
    points.reverse();
    assert_eq!(of(&points), expected);
}

#[test]
fn a_long_series_is_taken_in_blocks() {
    let points: Vec<(f64, f64)> =
        (0..1_000_000_u32).map(|i| (f64::from(i), 100.0 + f64::from(i) * 1e-4 + f64::from(i * 7919 % 101))).collect();
    let trend = of(&points);
    assert_eq!((trend.points, trend.points_used), (1_000_000, 1000));
    assert!((trend.slope - 1e-4).abs() < 1e-6, "{trend:?}");
    assert_eq!(trend.course, Course::Degrading);
}

proptest! {
    #[test]
    fn a_straight_line_is_found_through_a_quarter_of_outliers(slope in -5.0..5.0_f64, from in 0..4_usize) {
        let value = |i: usize| if i % 4 == from { 1e6 } else { slope * i as f64 };
        let points: Vec<(f64, f64)> = (0..40).map(|i| (i as f64, value(i))).collect();
        let [low, high] = of(&points).slope_interval;
        prop_assert!(low - 1e-9 <= slope && slope <= high + 1e-9, "{} {} {}", low, slope, high);
    }
}
