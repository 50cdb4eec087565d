use super::*;
use crate::stats::seeded::normal;
use proptest::prelude::*;

/// Noise of deviation 1 around 100, from each of `steps` on around the level given there.
fn stepped(n: usize, steps: &[(usize, f64)], seed: u64) -> Vec<f64> {
    let level = |at: usize| steps.iter().rev().find(|(from, _)| at >= *from).map_or(100.0, |(_, level)| *level);
    normal(n, seed).into_iter().enumerate().map(|(at, noise)| level(at) + noise).collect()
}

fn indices(changes: &[Change]) -> Vec<usize> {
    changes.iter().map(|change| change.index).collect()
}

fn near(found: &[usize], wanted: &[usize]) -> bool {
    found.len() == wanted.len() && found.iter().zip(wanted).all(|(found, wanted)| found.abs_diff(*wanted) <= 2)
}

#[test]
fn a_step_is_found_with_its_levels_and_confidence() {
    let changes = change_points(&stepped(200, &[(120, 110.0)], 1));
    assert_eq!(indices(&changes), [120]);
    let change = changes[0];
    assert!(change.confidence > 0.99, "{change:?}");
    assert!((change.before - 100.0).abs() < 0.5 && (change.after - 110.0).abs() < 0.5, "{change:?}");
    assert!((change.relative().unwrap() - 0.1).abs() < 0.01, "{change:?}");
}

#[test]
fn several_steps_are_found_in_both_directions() {
    for seed in 0..20 {
        let changes = change_points(&stepped(400, &[(100, 106.0), (180, 98.0), (300, 103.0)], seed));
        assert!(near(&indices(&changes), &[100, 180, 300]), "seed {seed}: {changes:?}");
    }
}

#[test]
fn noise_has_none() {
    for seed in 0..50 {
        assert_eq!(change_points(&stepped(300, &[], seed)), [], "seed {seed}");
    }
}

#[test]
fn a_spike_is_no_change() {
    for seed in 0..20 {
        let mut values = stepped(200, &[], seed);
        values[70] = 1e6;
        values[120] = -1e6;
        values[121] = 1e5;
        assert_eq!(change_points(&values), [], "seed {seed}");
    }
}

#[test]
fn values_that_are_not_finite_are_skipped_and_counted() {
    let mut values = stepped(200, &[(100, 110.0)], 3);
    values.splice(20..20, [f64::NAN, f64::INFINITY, f64::NEG_INFINITY]);
    values.push(f64::NAN);
    assert_eq!(indices(&change_points(&values)), [103]);
}

#[test]
fn series_without_two_levels_have_none() {
    let nothing: [&[f64]; 7] =
        [&[], &[1.0], &[1.0, 2.0], &[7.5; 500], &[0.0; 500], &[f64::NAN; 100], &[1.0, 1.0, 1.0, 9.0, 9.0, 9.0]];
    for values in nothing {
        assert_eq!(change_points(values), [], "{values:?}");
    }
}

#[test]
fn a_level_without_noise_that_moves_is_found() {
    let values: Vec<f64> = (0..100).map(|at| if at < 50 { 5.0 } else { 6.0 }).collect();
    assert_eq!(indices(&change_points(&values)), [50]);
}

#[test]
fn a_level_of_zero_has_no_relative_shift() {
    let values: Vec<f64> = (0..100).map(|at| if at < 50 { 0.0 } else { 1.0 }).collect();
    let changes = change_points(&values);
    assert_eq!((changes[0].before, changes[0].after, changes[0].relative()), (0.0, 1.0, None));
}

#[test]
fn the_unit_does_not_matter() {
    let values = stepped(300, &[(90, 104.0), (200, 99.0)], 4);
    let found = indices(&change_points(&values));
    assert_eq!(found.len(), 2);
    for unit in [1e-300, 1e-6, 1e6, 1e300] {
        let scaled: Vec<f64> = values.iter().map(|value| value * unit).collect();
        assert_eq!(indices(&change_points(&scaled)), found, "unit {unit}");
    }
}

#[test]
fn a_million_points_take_a_million_points_of_memory() {
    let steps: Vec<(usize, f64)> = (1..100).map(|at| (at * 10_000, 100.0 + 8.0 * (at % 2) as f64)).collect();
    let changes = change_points(&stepped(1_000_000, &steps, 5));
    let wanted: Vec<usize> = steps.iter().map(|(at, _)| *at).collect();
    let found = indices(&changes);
    let missing = wanted.iter().filter(|at| !found.iter().any(|found| found.abs_diff(**at) <= 2)).count();
    assert_eq!(missing, 0);
    // A few windows in a million look like a step by chance.
    assert!(found.len() <= wanted.len() + 5, "{} found", found.len());
}

#[test]
fn as_points_arrive_each_change_is_told_once_and_soon() {
    for seed in 0..20 {
        let mut series = Incremental::default();
        let mut told = Vec::new();
        for (at, value) in stepped(400, &[(100, 108.0), (250, 100.0)], seed).into_iter().enumerate() {
            told.extend(series.push(value).map(|change| (change.index, at)));
        }
        let found: Vec<usize> = told.iter().map(|(index, _)| *index).collect();
        assert!(near(&found, &[100, 250]), "seed {seed}: {told:?}");
        assert!(told.iter().all(|(index, at)| at - index <= 30), "seed {seed}: {told:?}");
    }
}

#[test]
fn as_points_arrive_noise_and_spikes_are_no_change_and_nan_is_counted() {
    for seed in 0..10 {
        let mut values = stepped(600, &[(400, 110.0)], seed);
        values[200] = 1e6;
        values.insert(300, f64::NAN);
        let mut series = Incremental::default();
        let told: Vec<usize> = values.into_iter().filter_map(|value| series.push(value)).map(|c| c.index).collect();
        assert!(near(&told, &[401]), "seed {seed}: {told:?}");
    }
}

#[test]
fn settings_that_make_no_sense_do_not_panic() {
    let values = stepped(200, &[(100, 110.0)], 3);
    let none = Detector { near: 0, far: 0, min_segment: 0, usual_autocorrelation: 1.0, ..Detector::default() };
    none.find(&values);
    assert_eq!(Detector { min_segment: usize::MAX, ..Detector::default() }.find(&values), []);
    let mut series = Incremental::new(Detector { min_segment: usize::MAX, ..Detector::default() });
    assert!(values.iter().all(|&value| series.push(value).is_none()));
}

proptest! {
    #[test]
    fn any_doubles_give_ordered_points_within_the_series(values in prop::collection::vec(any::<f64>(), 0..120)) {
        let changes = change_points(&values);
        prop_assert!(changes.windows(2).all(|pair| pair[0].index < pair[1].index));
        prop_assert!(changes.iter().all(|change| change.index > 0 && change.index < values.len()));
        prop_assert!(changes.iter().all(|change| (0.0..=1.0).contains(&change.confidence)));
        let mut series = Incremental::default();
        let told: Vec<usize> = values.iter().filter_map(|&value| series.push(value)).map(|c| c.index).collect();
        prop_assert!(told.windows(2).all(|pair| pair[0] < pair[1]));
    }

    #[test]
    fn few_levels_and_many_ties_do_no_harm(values in prop::collection::vec(prop::sample::select(vec![0.0, 1.0, 5.0]), 0..150)) {
        let changes = change_points(&values);
        prop_assert!(changes.iter().all(|change| (0.0..=1.0).contains(&change.confidence)));
    }
}
