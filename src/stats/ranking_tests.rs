use super::*;

/// Five runs of ten around `level`, spread by a tenth.
fn measured(target: &'static str, level: f64) -> Measured<&'static str> {
    let run = |run: i32| (0..10).map(|i| level * (1.0 + f64::from((i * 7 + run * 3) % 10 - 5) / 100.0)).collect();
    Measured { target, latencies: (0..5).map(run).collect(), attempts: 50, failures: 0, age_days: 0.0 }
}

fn ranked(targets: Vec<Measured<&'static str>>) -> Ranking<&'static str> {
    rank(targets, &RankingSettings::default())
}

fn order(ranking: &Ranking<&'static str>) -> Vec<(&'static str, bool)> {
    ranking.targets.iter().map(|target| (target.target, target.tied_with_first)).collect()
}

#[test]
fn the_fastest_comes_first_and_ties_are_ties() {
    let ranking = ranked(vec![measured("slow", 20.0), measured("fast", 10.0), measured("as fast", 10.1)]);
    assert_eq!(order(&ranking), [("fast", true), ("as fast", true), ("slow", false)]);
    assert_eq!(ranking.best().unwrap().target, "fast");
    assert!(ranking.targets[2].adjusted_p.unwrap() < 0.01);
    let alone = ranked(vec![measured("slow", 20.0), measured("fast", 10.0)]);
    assert_eq!(order(&alone), [("fast", false), ("slow", false)]);
}

#[test]
fn confidence_is_the_product_of_its_terms() {
    let with = |age_days| {
        ranked(vec![Measured { age_days, ..measured("fast", 10.0) }, measured("slow", 20.0)]).confidence.unwrap()
    };
    let new = with(0.0);
    assert_eq!((new.effect_size, new.recency), (1.0, 1.0));
    assert!((new.sample_size - 50.0 / 60.0).abs() < 1e-12, "{new:?}");
    assert!((new.confidence - new.sample_size).abs() < 1e-12);
    let old = with(14.0);
    assert!((old.recency - 0.5).abs() < 1e-12);
    assert!((old.confidence - new.confidence / 2.0).abs() < 1e-12);
    assert_eq!((with(-3.0).recency, with(f64::NAN).recency), (1.0, 0.0));
    let tie = ranked(vec![measured("a", 10.0), measured("b", 10.0)]).confidence.unwrap();
    assert_eq!((tie.effect_size, tie.confidence), (0.0, 0.0));
}

#[test]
fn a_target_that_got_fast_by_failing_is_not_recommended() {
    let failing = Measured { failures: 20, ..measured("failing", 1.0) };
    let ranking = ranked(vec![failing, measured("sound", 10.0)]);
    assert_eq!(order(&ranking), [("sound", false), ("failing", false)]);
    assert_eq!(ranking.targets[1].unfit, Some(Unfit::Fails));
    assert!((ranking.targets[1].failure_share - 0.4).abs() < 1e-12);
    let only_failing = ranked(vec![Measured { failures: 50, ..measured("failing", 1.0) }]);
    assert_eq!((only_failing.best(), only_failing.confidence), (None, None));
}

#[test]
fn a_failure_that_may_be_chance_costs_what_it_takes_to_try_again() {
    let once = Measured { failures: 2, ..measured("once", 10.0) };
    let ranking = ranked(vec![once, measured("sound", 10.2)]);
    assert_eq!(ranking.targets[0].target, "sound");
    let other = &ranking.targets[1];
    assert_eq!((other.target, other.unfit), ("once", None));
    let raw = median(&sorted(measured("", 10.0).latencies.concat()));
    assert!((other.cost.unwrap() - raw / 0.96).abs() < 1e-9);
}

#[test]
fn wilsons_bound_is_that_of_scipy() {
    // scipy.stats.binomtest(2, 10).proportion_ci(method="wilson").low, and of (3, 3), (1, 10)
    for (hits, of, expected) in [
        (2.0, 10.0, 0.056_682_151_454_375_3),
        (3.0, 3.0, 0.438_502_968_244_954_6),
        (1.0, 10.0, 0.017_876_213_095_072_9),
    ] {
        assert!((wilson_lower(hits, of) - expected).abs() < 1e-9, "{}", wilson_lower(hits, of));
    }
    assert_eq!(wilson_lower(0.0, 0.0), 0.0);
}

#[test]
fn targets_with_too_little_data_are_ties_or_unfit() {
    let few = Measured { latencies: vec![vec![5.0, 6.0]], attempts: 2, ..measured("few", 0.0) };
    let none = Measured { latencies: vec![], attempts: 0, ..measured("none", 0.0) };
    let odd = Measured { latencies: vec![vec![f64::NAN; 9]], ..measured("odd", 0.0) };
    let ranking = ranked(vec![measured("sound", 10.0), few, none, odd]);
    assert_eq!(order(&ranking), [("few", true), ("sound", true), ("none", false), ("odd", false)]);
    assert_eq!(ranking.targets[2].unfit, Some(Unfit::Unmeasured));
    assert_eq!(ranking.confidence.unwrap().effect_size, 0.0);
    assert!(ranked(vec![]).best().is_none());
}
