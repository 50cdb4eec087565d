//! Change points: how well they agree with annotators, how often there are any in noise, and how long they take.

use super::annotated::{self, Annotated};
use super::score::{Score, score};
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};
use tabfleet::stats::change_points::{Detector, Incremental, change_points};

/// The least F1 and cover that are good enough, by file.
const BARS: [(&str, f64, f64); 2] = [("sap_hana", 0.87, 0.78), ("tcpd", 0.68, 0.67)];
/// What cross-validation chooses the strength from.
const STRENGTHS: [f64; 13] = [3.0, 3.25, 3.5, 3.75, 4.0, 4.25, 4.5, 4.75, 5.0, 5.25, 5.5, 5.75, 6.0];

pub fn run() {
    println!("| change points | bar | value | |\n|---|---|---|---|");
    for (name, all) in annotated::annotated() {
        agreement(&name, &all);
        write_predictions(&name, &all);
    }
    false_alarms();
    times();
    println!();
}

fn agreement(name: &str, all: &[Annotated]) {
    let bar = BARS.iter().find(|(file, ..)| *file == name);
    let row = |what: &str, scores: Score, bar: Option<(f64, f64)>| {
        let value = format!(
            "F1 {:.3}, precision {:.3}, recall {:.3}, cover {:.3}",
            scores.f1, scores.precision, scores.recall, scores.cover
        );
        let Some((f1, cover)) = bar else { return println!("| {name}, {what} | | {value} | |") };
        let met = if scores.f1 >= f1 && scores.cover >= cover { "met" } else { "missed" };
        println!("| {name}, {what} | F1 ≥ {f1}, cover ≥ {cover} | {value} | {met} |");
    };
    let bars = bar.map(|&(_, f1, cover)| (f1, cover));
    row("defaults, all series", agree(all, &Detector::default()), bars);
    let halves: [Vec<Annotated>; 2] = [0, 1].map(|half| all.iter().skip(half).step_by(2).cloned().collect());
    for (half, other, what) in [(0, 1, "even"), (1, 0, "odd")] {
        row(&format!("defaults, {what} half"), agree(&halves[half], &Detector::default()), bars);
        let chosen = best_strength(&halves[other]);
        let detector = Detector { strength: chosen, ..Detector::default() };
        row(&format!("{what} half, strength {chosen} chosen on the other"), agree(&halves[half], &detector), bars);
    }
    row("as points arrive", Score::mean(&all.iter().map(|one| score(one, &arriving(one))).collect::<Vec<_>>()), None);
}

fn agree(all: &[Annotated], detector: &Detector) -> Score {
    let scores: Vec<Score> = all
        .iter()
        .map(|one| score(one, &detector.find(&one.values).iter().map(|change| change.index).collect::<Vec<_>>()))
        .collect();
    Score::mean(&scores)
}

/// The strength with the best F1, averaged with its neighbours': a single best one is chance.
fn best_strength(all: &[Annotated]) -> f64 {
    let f1 = STRENGTHS.map(|strength| agree(all, &Detector { strength, ..Detector::default() }).f1);
    let smooth = |at: usize| (f1[at - 1] + f1[at] + f1[at + 1]) / 3.0;
    let best = (1..STRENGTHS.len() - 1).max_by(|&a, &b| smooth(a).total_cmp(&smooth(b)));
    STRENGTHS[best.expect("there are strengths")]
}

fn arriving(one: &Annotated) -> Vec<usize> {
    let mut incremental = Incremental::default();
    one.values.iter().filter_map(|&value| incremental.push(value)).map(|change| change.index).collect()
}

/// So that another scorer can be asked: where `TABFLEET_PREDICTIONS` names a folder.
fn write_predictions(name: &str, all: &[Annotated]) {
    let Some(folder) = std::env::var_os("TABFLEET_PREDICTIONS") else { return };
    let mut file = std::fs::File::create(Path::new(&folder).join(format!("{name}.jsonl"))).expect("a file to write");
    for one in all {
        let points: Vec<usize> = change_points(&one.values).iter().map(|change| change.index).collect();
        let line = serde_json::json!({ "id": one.id, "change_points": points });
        writeln!(file, "{line}").expect("a line written");
    }
}

fn false_alarms() {
    for (kept, what) in [(0.0, "independent"), (0.3, "autocorrelated 0.3"), (0.6, "autocorrelated 0.6")] {
        let all: Vec<Vec<f64>> = (0..200).map(|seed| annotated::noise(500, kept, seed)).collect();
        let offline = all.iter().filter(|values| !change_points(values).is_empty()).count();
        let raised = |values: &&Vec<f64>| {
            let mut incremental = Incremental::default();
            values.iter().any(|&value| incremental.push(value).is_some())
        };
        let arriving = all.iter().filter(raised).count();
        println!(
            "| {what} noise, 500 points: series with any | | offline {:.1}%, as points arrive {:.1}% | |",
            offline as f64 / 2.0,
            arriving as f64 / 2.0
        );
    }
}

fn times() {
    for (n, bar) in [(1_000, Some(20)), (100_000, Some(2_000)), (1_000_000, None)] {
        for (what, values) in
            [("noise", annotated::noise(n, 0.2, 1)), ("a step every 200", annotated::steps(n, 200, 1))]
        {
            let took = median_time(|| change_points(&values).len());
            let bar_text = bar.map_or(String::new(), |ms| format!("≤ {ms} ms"));
            let met = bar.map_or("", |ms| if took <= Duration::from_millis(ms) { "met" } else { "missed" });
            println!("| {n} points, {what} | {bar_text} | {:.1} ms | {met} |", took.as_secs_f64() * 1e3);
        }
    }
    let values = annotated::noise(2_000, 0.2, 1);
    let took = median_time(|| {
        let mut incremental = Incremental::default();
        values.iter().filter(|&&value| incremental.push(value).is_some()).count()
    });
    println!("| one point that arrives | | {:.3} ms | |", took.as_secs_f64() * 1e3 / values.len() as f64);
}

fn median_time<T>(work: impl Fn() -> T) -> Duration {
    let mut times: Vec<Duration> = (0..5)
        .map(|_| {
            let start = Instant::now();
            std::hint::black_box(work());
            start.elapsed()
        })
        .collect();
    times.sort();
    times[times.len() / 2]
}
