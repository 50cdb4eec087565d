use super::super::sample::{median as middle, sorted as in_order};
use super::*;
use proptest::prelude::*;

fn singles(values: &[f64]) -> Vec<Vec<f64>> {
    values.iter().map(|value| vec![*value]).collect()
}

fn compared(baseline: &[Vec<f64>], candidate: &[Vec<f64>]) -> Shift {
    compare(baseline, candidate, &ShiftSettings::default()).unwrap()
}

fn assert_near(found: f64, expected: f64) {
    assert!((found - expected).abs() <= 1e-9 * expected.abs().max(1e-3), "{found} is not {expected}");
}

const A: [f64; 12] = [102.8, 106.6, 102.6, 89.6, 107.2, 103.6, 95.7, 104.6, 102.9, 102.4, 100.2, 104.4];
const B: [f64; 10] = [102.1, 106.7, 104.1, 112.8, 108.3, 105.7, 101.7, 105.9, 108.1, 105.8];

#[test]
fn a_small_comparison_is_exact() {
    let shift = compared(&singles(&A), &singles(&B));
    // scipy.stats.mannwhitneyu(B, A, method="exact"): 91.0, 0.042570432663311925
    assert_eq!(shift.u, 91.0);
    assert_near(shift.p_if_independent, 0.042_570_432_663_311_925);
    // numpy.median(numpy.subtract.outer(B, A))
    assert_near(shift.shift, 3.15);
    // By the exact distribution of U the 30th difference from either end bounds the shift with 95%.
    let exact = Differences::new(&in_order(A), &in_order(B)).nth(30);
    assert_near(exact, 0.1);
    assert_near(shift.relative.unwrap(), 3.15 / middle(&in_order(A)));
    assert_near(shift.cliffs_delta, 2.0 * 91.0 / 120.0 - 1.0);
}

#[test]
fn the_interval_of_a_few_independent_samples_is_the_exact_one() {
    // Eight samples in all: too few to see an autocorrelation, so the test is the plain one.
    let shift = compare(
        &singles(&[1.0, 2.0, 4.0, 8.0]),
        &singles(&[16.0, 32.0, 64.0, 128.0]),
        &ShiftSettings { least_samples: 4, ..ShiftSettings::default() },
    )
    .unwrap();
    // 2 / C(8, 4); U is 0 with a probability of 1 / 70 < 0.025, so the interval is from the least difference to the largest.
    assert_near(shift.p, 2.0 / 70.0);
    assert_eq!(shift.interval, Some([8.0, 127.0]));
    assert_eq!(shift.dependence.degrees_of_freedom, None);
}

#[test]
fn a_comparison_with_ties_is_that_of_scipy() {
    let a = [
        80.0, 74.0, 24.0, 31.0, 52.0, 48.0, 58.0, 58.0, 103.0, 39.0, 49.0, 101.0, 66.0, 67.0, 47.0, 33.0, 57.0, 56.0,
        38.0, 44.0, 53.0, 41.0, 53.0, 56.0, 55.0, 47.0, 65.0, 71.0, 60.0, 43.0, 68.0, 47.0, 71.0, 40.0, 72.0, 54.0,
        38.0, 50.0, 55.0, 59.0,
    ];
    let b = [
        45.0, 43.0, 64.0, 52.0, 65.0, 76.0, 37.0, 65.0, 87.0, 55.0, 47.0, 76.0, 65.0, 79.0, 54.0, 39.0, 58.0, 53.0,
        76.0, 64.0, 37.0, 42.0, 79.0, 74.0, 50.0, 60.0, 69.0, 69.0, 78.0, 65.0, 59.0, 56.0, 83.0, 31.0, 58.0,
    ];
    let shift = compared(&singles(&a), &singles(&b));
    // scipy.stats.mannwhitneyu(b, a, method="asymptotic"): 849.0, 0.11460010002319754
    assert_eq!(shift.u, 849.0);
    assert_near(shift.p_if_independent, 0.114_600_100_023_197_54);
    assert_eq!(shift.shift, 6.0); // numpy.median(numpy.subtract.outer(b, a))
    assert_near(shift.cliffs_delta, 0.212_857_142_857_142_86);
}

#[test]
fn samples_of_few_runs_count_as_less_than_independent_ones() {
    let baseline =
        [vec![1.0, 2.0, 3.0, 2.5], vec![4.0, 5.0, 6.0, 5.5], vec![2.0, 3.0, 4.0, 9.0], vec![7.0, 8.0, 9.5, 10.0]];
    let candidate =
        [vec![3.0, 2.2, 5.0, 4.1], vec![6.0, 5.2, 7.0, 9.1], vec![1.0, 0.0, 0.5, 2.7], vec![8.0, 8.5, 7.7, 9.9]];
    let shift = compared(&baseline, &candidate);
    // The one-way analysis of variance of scipy.stats.rankdata within each window, pooled: (MSB - MSW) / (MSB + 3 MSW).
    assert_near(shift.dependence.between_runs, 0.772_379_886_092_586_2);
    assert_near(shift.dependence.design_effect, 3.317_139_658_277_758_6);
    assert_eq!(shift.dependence.degrees_of_freedom, Some(6.0));
    assert_near(shift.baseline.effective_samples, 16.0 / 3.317_139_658_277_758_6);
    // 2 * scipy.stats.t.sf(z / sqrt(3.317...), 6), z of mannwhitneyu(..., method="asymptotic")
    assert_near(shift.p, 0.984_145_248_281_457_2);
    assert_eq!(shift.dependence.run_variation, RunVariation::Told);
}

#[test]
fn what_runs_differ_by_is_no_shift() {
    // Eight runs that differ by far more than the samples in them, dealt out in turn.
    let run = |level: f64| (0..20).map(|i| level + f64::from(i) * 0.01).collect::<Vec<_>>();
    let baseline = [run(10.0), run(12.0), run(14.0), run(16.0)];
    let candidate = [run(11.5), run(13.5), run(15.5), run(17.5)];
    let shift = compared(&baseline, &candidate);
    assert!(shift.p_if_independent < 0.01, "{shift:?}");
    assert!(shift.p > 0.1, "{shift:?}");
    // Independent samples, so many and so far apart, are one.
    let flat = |runs: &[Vec<f64>]| singles(&(0..20).flat_map(|i| runs.iter().map(move |r| r[i])).collect::<Vec<_>>());
    assert!(compared(&flat(&baseline), &flat(&candidate)).p < 0.01);
}

#[test]
fn one_run_a_side_says_that_runs_may_differ() {
    let shift = compared(&[A.to_vec()], &[B.to_vec()]);
    assert_eq!(shift.dependence.run_variation, RunVariation::Unknown);
    assert_eq!((shift.baseline.runs, shift.baseline.samples), (1, 12));
    let runs: Vec<Vec<f64>> = A.chunks(4).map(<[f64]>::to_vec).collect();
    assert_eq!(compared(&runs, &[B.to_vec()]).dependence.run_variation, RunVariation::Told);
}

#[test]
fn a_slow_wave_makes_neighbours_count_for_less() {
    let wave = |from: u32| (from..from + 40).map(|i| 100.0 + 10.0 * (f64::from(i) / 8.0).sin()).collect::<Vec<_>>();
    let shift = compared(&singles(&wave(0)), &singles(&wave(12)));
    assert!(shift.dependence.autocorrelation > 0.8, "{shift:?}");
    assert!(shift.baseline.effective_samples < 10.0, "{shift:?}");
    assert!(shift.p > shift.p_if_independent);
}

#[test]
fn what_the_autocorrelation_may_be_counts() {
    // No autocorrelation is found, but of so few runs it may be there: surer with more of them.
    let zigzag = |from: f64, n: u32| singles(&(0..n).map(|i| from + f64::from(i * 7 % 10)).collect::<Vec<_>>());
    let p = |n| {
        let shift = compared(&zigzag(0.0, n), &zigzag(5.0, n));
        assert_eq!((shift.dependence.autocorrelation, shift.dependence.design_effect), (0.0, 1.0));
        shift.p / shift.p_if_independent
    };
    assert!(p(10) > 2.0 && p(40) > 1.0, "{} {}", p(10), p(40));
}

#[test]
fn bad_windows_are_refused_by_name() {
    let refused = |baseline: &[f64], candidate: &[f64]| {
        compare(&singles(baseline), &singles(candidate), &ShiftSettings::default()).unwrap_err()
    };
    let few = |window, samples| ShiftError::TooFewSamples { window, samples, needed: 5 };
    assert_eq!(refused(&[], &B), few(Window::Baseline, 0));
    assert_eq!(refused(&A, &[1.0]), few(Window::Candidate, 1));
    assert_eq!(refused(&A, &[1.0, 2.0]), few(Window::Candidate, 2));
    assert!(matches!(
        refused(&A, &[1.0, 2.0, f64::NAN]),
        ShiftError::NotFinite { window: Window::Candidate, value } if value.is_nan()
    ));
    let infinite = ShiftError::NotFinite { window: Window::Baseline, value: f64::INFINITY };
    assert_eq!(refused(&[f64::INFINITY; 6], &B), infinite);
    assert_eq!(refused(&[f64::MIN; 6], &[f64::MAX; 6]), ShiftError::TooFarApart { least: f64::MIN, most: f64::MAX });
    let nothing_asked = ShiftSettings { least_samples: 0, ..ShiftSettings::default() };
    assert!(compare(&[vec![]], &[vec![1.0]], &nothing_asked).is_err());
    assert_eq!(few(Window::Candidate, 2).to_string(), "the candidate has 2 samples, and a comparison needs 5");
}

#[test]
fn constants_are_compared() {
    let same = compared(&singles(&[3.0; 10]), &singles(&[3.0; 10]));
    assert_eq!((same.p, same.shift, same.interval, same.cliffs_delta), (1.0, 0.0, Some([0.0, 0.0]), 0.0));
    let higher = compared(&singles(&[3.0; 10]), &singles(&[4.0; 10]));
    assert!(higher.p < 1e-3, "{higher:?}");
    assert_eq!((higher.shift, higher.cliffs_delta), (1.0, 1.0));
    let from_zero = compared(&singles(&[0.0; 10]), &singles(&[4.0; 10]));
    assert_eq!((from_zero.relative, from_zero.detectable), (None, None));
}

#[test]
fn more_samples_find_smaller_changes() {
    let long = |n: u32| singles(&(0..n).map(|i| 100.0 + f64::from(i * 7919 % 101) / 10.0).collect::<Vec<_>>());
    let detectable = |n| compared(&long(n), &long(n)).detectable.unwrap();
    assert!(detectable(100) < detectable(25), "{} {}", detectable(100), detectable(25));
}

proptest! {
    #[test]
    fn a_comparison_turned_around_says_the_opposite(
        a in proptest::collection::vec(proptest::collection::vec(-100..100_i32, 1..6), 5..9),
        b in proptest::collection::vec(proptest::collection::vec(-100..100_i32, 1..6), 5..9),
    ) {
        let [a, b] = [a, b].map(|window| {
            window.iter().map(|run| run.iter().map(|v| f64::from(*v)).collect()).collect::<Vec<Vec<f64>>>()
        });
        let (there, back) = (compared(&a, &b), compared(&b, &a));
        prop_assert_eq!(there.shift, -back.shift);
        prop_assert_eq!(there.interval, back.interval.map(|[low, high]| [-high, -low]));
        prop_assert!((there.p - back.p).abs() < 1e-9, "{} {}", there.p, back.p);
        prop_assert!((there.cliffs_delta + back.cliffs_delta).abs() < 1e-12);
        prop_assert!(there.p >= there.p_if_independent && there.p <= 1.0);
        prop_assert!(there.interval.is_none_or(|[low, high]| low <= there.shift && there.shift <= high));
        prop_assert!(there.dependence.design_effect >= 1.0);
    }
}
