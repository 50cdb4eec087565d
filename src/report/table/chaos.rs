//! Chaos: what was broken, how soon it was noticed and mended, and what became of the jobs.

use super::{TableStyle, align_right, joined, keep_whole, targets};
use crate::report::{BadJob, Badness, ChaosReport, ModeRow, quantity};
use comfy_table::{Cell, Color};

/// Most jobs that are listed one by one; the JSON has them all.
const LISTED: usize = 20;

/// A run of chaos: where its numbers come from, a row for every failure mode, what was left out, every job that did not
/// end as it should, and the sum. Times are in milliseconds.
pub fn chaos_table(report: &ChaosReport, style: TableStyle) -> String {
    joined([
        quantity::provenance(&report.tabfleet, report.started, &report.host),
        targets::targets(&report.targets, style),
        modes(report, style),
        skipped(report, style),
        left_out(report, style),
        bad_jobs(report, style),
        sum(report),
    ])
}

const MODES: [&str; 9] =
    ["failure mode", "injected", "detected", "p50 / p99 ms", "recovered", "p50 / p99 ms", "lost", "wrong", "doubled"];

fn modes(report: &ChaosReport, style: TableStyle) -> String {
    let injected: Vec<&ModeRow> = report.modes.iter().filter(|row| row.skipped.is_none()).collect();
    if injected.is_empty() {
        return String::new();
    }
    let mut headers = MODES.to_vec();
    headers.push("told as");
    let mut table = style.table(&headers);
    for row in &injected {
        let bad = |count: u64| style.painted(count, (count > 0).then_some(Color::Red));
        let short = |count: u64| style.painted(count, (count < row.injected).then_some(Color::Yellow));
        table.add_row([
            Cell::new(row.mode),
            Cell::new(row.injected),
            short(row.detected),
            Cell::new(pair(row.detection_p50_ms, row.detection_p99_ms)),
            short(row.recovered),
            Cell::new(pair(row.recovery_p50_ms, row.recovery_p99_ms)),
            bad(row.lost),
            bad(row.wrong),
            bad(row.doubled),
            Cell::new(told_as(row)),
        ]);
    }
    align_right(&mut table, 1..=8);
    keep_whole(&mut table, 0..=8);
    let mut text = table.trim_fmt();
    text += "\n detected: from the injection to the first event that tells of it";
    text += "\n recovered: from the injection to the first answer of what was broken";
    if injected.iter().any(|row| (1..100).contains(&row.injected)) {
        text += "\n p99: of fewer than 100 injections, the longest";
    }
    text
}

fn pair(p50: Option<f64>, p99: Option<f64>) -> String {
    match (p50, p99) {
        (None, None) => quantity::NOT_MEASURED.to_owned(),
        (p50, p99) => format!("{} / {}", quantity::number_or_dash(p50), quantity::number_or_dash(p99)),
    }
}

/// What the fleet took it for, the most frequent first.
fn told_as(row: &ModeRow) -> String {
    let mut told: Vec<_> = row.told_as.iter().collect();
    told.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let name = |(name, count): (&String, &u64)| if *count == 1 { name.clone() } else { format!("{name} ×{count}") };
    if told.is_empty() {
        return quantity::NOT_MEASURED.to_owned();
    }
    told.into_iter().map(name).collect::<Vec<_>>().join(", ")
}

fn skipped(report: &ChaosReport, style: TableStyle) -> String {
    let skipped: Vec<_> = report.modes.iter().filter_map(|row| Some((row.mode, row.skipped.as_ref()?))).collect();
    if skipped.is_empty() {
        return String::new();
    }
    let mut table = style.table(&["skipped", "because"]);
    for (mode, reason) in skipped {
        table.add_row([mode.name(), &quantity::one_line(reason, 300)]);
    }
    keep_whole(&mut table, [0]);
    table.trim_fmt()
}

fn left_out(report: &ChaosReport, style: TableStyle) -> String {
    if report.left_out.is_empty() {
        return String::new();
    }
    let mut table = style.table(&["left out", "target", "it failed before anything was broken"]);
    for left in report.left_out.iter().take(LISTED) {
        let target = left.target.map_or_else(|| "all".to_owned(), |target| targets::name_of(&report.targets, target));
        table.add_row([left.case.clone(), target, quantity::one_line(&left.reason, 160)]);
    }
    keep_whole(&mut table, [1]);
    table.trim_fmt() + &and_more(report.left_out.len())
}

fn bad_jobs(report: &ChaosReport, style: TableStyle) -> String {
    if report.bad_jobs.is_empty() {
        return String::new();
    }
    let mut table = style.table(&["job", "was", "at s", "during", "what was said"]);
    for BadJob { badness, job, at_ms, mode, message } in report.bad_jobs.iter().take(LISTED) {
        table.add_row([
            Cell::new(job),
            style.painted(word(*badness), Some(Color::Red)),
            Cell::new(format!("{:.1}", at_ms / 1e3)),
            Cell::new(quantity::or_dash(mode.map(|mode| mode.name()))),
            Cell::new(quantity::one_line(message, 160)),
        ]);
    }
    align_right(&mut table, [2]);
    keep_whole(&mut table, 0..=3);
    table.trim_fmt() + &and_more(report.bad_jobs.len())
}

fn and_more(count: usize) -> String {
    if count > LISTED { format!("\n and {} more", count - LISTED) } else { String::new() }
}

const fn word(badness: Badness) -> &'static str {
    match badness {
        Badness::Lost => "lost",
        Badness::Wrong => "wrong",
        Badness::Doubled => "doubled",
    }
}

fn sum(report: &ChaosReport) -> String {
    let jobs = &report.jobs;
    let injected: u64 = report.modes.iter().map(|row| row.injected).sum();
    let mut text = format!(
        "{} jobs and {injected} injections in {:.0} s (seed {}): {} answered rightly ({} after another attempt), \
         {} lost, {} wrong, {} doubled",
        jobs.submitted,
        report.elapsed_ms / 1e3,
        report.seed,
        jobs.answered,
        jobs.retried,
        jobs.lost,
        jobs.wrong,
        jobs.doubled,
    );
    if report.interrupted {
        text += &format!("; interrupted with {} under way", jobs.unfinished);
    }
    if report.gave_up {
        text += "; ended early, since so many jobs went wrong";
    }
    if report.missed_events > 0 {
        text += &format!("; {} events came too fast to be read, so some may be uncounted", report.missed_events);
    }
    text
}
