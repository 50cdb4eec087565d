//! How long the statistics of a large scan take, without the database.

use crate::series::{Shape, Source, Structure};
use crate::table::Row;
use std::time::Instant;
use tabfleet::stats::{
    Direction,
    regression::{Pair, Thresholds, scan},
    shift::ShiftSettings,
    trend::{TrendSettings, trend},
};

const SERIES: usize = 10_000;

pub fn measure() {
    for (name, size) in [("200 runs of 1", 1), ("20 runs of 10", 10)] {
        println!("{}", windows(name, size));
    }
    println!("{}", trends());
    println!("{}", long_trend());
}

fn windows(name: &str, size: usize) -> Row {
    let mut source = Source::seeded(1);
    let structure = Structure { between_neighbours: 0.3, between_runs: 0.5, within: 0.0 };
    let pairs: Vec<Pair<usize>> = (0..SERIES)
        .map(|series| {
            let mut baseline = source.runs(&vec![size; 200 / size], Shape::LogNormal { sigma: 0.2 }, structure);
            let candidate = baseline.split_off(baseline.len() / 2);
            Pair { series, direction: Direction::LowerIsBetter, baseline, candidate }
        })
        .collect();
    let started = Instant::now();
    let found = scan(pairs, &Thresholds::default(), &ShiftSettings::default());
    seconds(
        format!("scan of 10,000 series × {name}, statistics only"),
        started,
        format!("{} compared", found.findings.len()),
    )
}

fn trends() -> Row {
    let mut source = Source::seeded(2);
    let structure = Structure { between_neighbours: 0.3, between_runs: 1.0, within: 0.0 };
    let series: Vec<Vec<(f64, f64)>> = (0..SERIES).map(|_| points(&mut source, 200, structure)).collect();
    let started = Instant::now();
    let trends =
        series.iter().filter_map(|points| trend(points, Direction::LowerIsBetter, &TrendSettings::default()).ok());
    let sure = trends.filter(|trend| trend.p < 0.05).count();
    let share = sure as f64 / SERIES as f64 * 100.0;
    seconds("trends of 10,000 series × 200 points".to_owned(), started, format!("AR(1) 0.3: p < 0.05 in {share:.1}%"))
}

fn long_trend() -> Row {
    let structure = Structure { between_neighbours: 0.3, between_runs: 1.0, within: 0.0 };
    let points = points(&mut Source::seeded(3), 1_000_000, structure);
    let started = Instant::now();
    let p = trend(&points, Direction::LowerIsBetter, &TrendSettings::default()).map_or(f64::NAN, |trend| trend.p);
    seconds("trend of 1,000,000 points".to_owned(), started, format!("p = {p:.2}"))
}

fn points(source: &mut Source, count: usize, structure: Structure) -> Vec<(f64, f64)> {
    let values = source.runs(&vec![1; count], Shape::Normal { cv: 0.1 }, structure);
    values.into_iter().flatten().enumerate().map(|(time, value)| (time as f64, value)).collect()
}

fn seconds(measure: String, started: Instant, numbers: String) -> Row {
    Row { measure, bar: None, value: started.elapsed().as_secs_f64(), unit: "s", numbers }
}
