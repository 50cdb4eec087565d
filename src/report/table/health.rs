//! Running fleets: how well their targets and browsers are and why, and what was done about it.

use super::{TableStyle, align_right, joined, keep_whole};
use crate::{
    report::{FleetRow, HealthReport, quantity},
    types::{BreakerHealth, BreakerState, FleetHealth, HealthLevel, HealthScore, TabStage, TargetHealth},
};
use comfy_table::{Cell, Color};

/// Each fleet: its targets, its browsers, the tabs that are not well, the breakers of its models, and what was tried
/// against failures.
pub fn health_table(report: &HealthReport, style: TableStyle) -> String {
    joined(report.fleets.iter().flat_map(|fleet| {
        let health = &fleet.health;
        [
            heading(fleet),
            targets(health, style),
            browsers(health, style),
            tabs(health, style),
            models(health, style),
            recoveries(health, style),
        ]
    }))
}

fn heading(FleetRow { pid, command, origin, started, health }: &FleetRow) -> String {
    let FleetHealth { waiting, in_flight, .. } = health;
    let running = humantime::format_duration(std::time::Duration::from_secs(
        (time::OffsetDateTime::from(health.at) - *started).whole_seconds().try_into().unwrap_or_default(),
    ));
    let sessions = health.tabs.iter().map(|tab| tab.sessions).sum::<u32>();
    let kept = mebibytes(Some(health.tabs.iter().map(|tab| tab.kept_bytes).sum()));
    let sessions =
        if sessions == 0 { String::new() } else { format!(", {sessions} sessions that keep {kept} MiB in tabs") };
    format!(
        "{command}, process {pid} at {origin}, for {running}: {waiting} jobs waiting, {in_flight} in flight{sessions}"
    )
}

fn targets(health: &FleetHealth, style: TableStyle) -> String {
    if health.targets.is_empty() {
        return String::new();
    }
    let mut table = style.table(&["target", "score", "level", "trend", "breaker", "tabs", "what cost most"]);
    for target in &health.targets {
        let (score, level) = match target.given_up {
            Some(_) => (quantity::NOT_MEASURED.to_owned(), style.painted("given up", Some(Color::DarkGrey))),
            None => (score(&target.health), level(&target.health, style)),
        };
        table.add_row([
            style.painted(target.target, None),
            style.painted(score, None),
            level,
            style.painted(target.health.trend, None),
            breaker(&target.breaker, style),
            style.painted(target.ready_tabs, None),
            style.painted(why(target), None),
        ]);
    }
    align_right(&mut table, [1, 5]);
    keep_whole(&mut table, 0..=5);
    table.trim_fmt()
}

fn browsers(health: &FleetHealth, style: TableStyle) -> String {
    if health.browsers.is_empty() {
        return String::new();
    }
    let mut table =
        style.table(&["browser", "process", "score", "level", "memory MiB", "heartbeat ms", "what cost most"]);
    for browser in &health.browsers {
        table.add_row([
            style.painted(format!("{} ({})", browser.browser, browser.id), None),
            style.painted(quantity::or_dash(browser.pid.map(|pid| pid.to_string())), None),
            style.painted(score(&browser.health), None),
            level(&browser.health, style),
            style.painted(mebibytes(browser.memory_bytes), None),
            style.painted(quantity::number_or_dash(browser.heartbeat_ms), None),
            style.painted(costliest(&browser.health), None),
        ]);
    }
    align_right(&mut table, [1, 2, 4, 5]);
    keep_whole(&mut table, 0..=5);
    table.trim_fmt()
}

/// Only those that are not well, or not yet: a fleet may have hundreds.
fn tabs(health: &FleetHealth, style: TableStyle) -> String {
    let unwell =
        health.tabs.iter().filter(|tab| tab.stage != TabStage::Ready || tab.health.level < HealthLevel::Healthy);
    let mut table =
        style.table(&["tab", "target", "stage", "in flight", "score", "level", "heap MiB", "what cost most"]);
    for tab in unwell {
        table.add_row([
            style.painted(tab.tab, None),
            style.painted(tab.target, None),
            style.painted(tab.stage, None),
            style.painted(tab.in_flight, None),
            style.painted(score(&tab.health), None),
            level(&tab.health, style),
            style.painted(mebibytes(tab.heap_bytes), None),
            style.painted(costliest(&tab.health), None),
        ]);
    }
    align_right(&mut table, [3, 4, 6]);
    keep_whole(&mut table, 0..=6);
    if table.is_empty() { String::new() } else { table.trim_fmt() }
}

fn models(health: &FleetHealth, style: TableStyle) -> String {
    if health.models.is_empty() {
        return String::new();
    }
    let mut table = style.table(&["model", "target", "breaker", "calls", "failed %", "slow %", "what opened it"]);
    for model in &health.models {
        table.add_row([
            style.painted(&model.model, None),
            style.painted(model.target, None),
            breaker(&model.breaker, style),
            style.painted(model.breaker.calls, None),
            style.painted(quantity::number_or_dash(model.breaker.failure_rate), None),
            style.painted(quantity::number_or_dash(model.breaker.slow_call_rate), None),
            style.painted(quantity::or_dash(model.breaker.reason.as_deref().map(line)), None),
        ]);
    }
    align_right(&mut table, 3..=5);
    keep_whole(&mut table, 1..=5);
    table.trim_fmt()
}

fn recoveries(health: &FleetHealth, style: TableStyle) -> String {
    if health.recoveries.is_empty() {
        return String::new();
    }
    let mut table = style.table(&["recovery of", "failure", "strategy", "tried", "helped", "mean ms"]);
    for record in &health.recoveries {
        table.add_row([
            style.painted(record.browser, None),
            style.painted(record.category, None),
            style.painted(record.strategy, None),
            style.painted(record.tried, None),
            style.painted(record.succeeded, None),
            style.painted(quantity::number_or_dash(record.mean_ms), None),
        ]);
    }
    align_right(&mut table, 3..=5);
    table.trim_fmt()
}

fn score(health: &HealthScore) -> String {
    format!("{:.0}", health.score)
}

fn level(health: &HealthScore, style: TableStyle) -> Cell {
    let colour = match health.level {
        HealthLevel::Healthy => Color::Green,
        HealthLevel::Degraded => Color::Yellow,
        HealthLevel::Unhealthy => Color::Magenta,
        HealthLevel::Critical => Color::Red,
    };
    style.painted(health.level, Some(colour))
}

/// Its state, and while it is open how long it stays so.
fn breaker(breaker: &BreakerHealth, style: TableStyle) -> Cell {
    let (text, colour) = match (breaker.state, breaker.retry_in_ms) {
        (BreakerState::Closed, _) => (breaker.state.to_string(), None),
        (BreakerState::HalfOpen, _) => (breaker.state.to_string(), Some(Color::Yellow)),
        (BreakerState::Open, None) => (breaker.state.to_string(), Some(Color::Red)),
        (BreakerState::Open, Some(wait)) => {
            (format!("{}, {} s left", breaker.state, quantity::number(wait / 1e3)), Some(Color::Red))
        }
    };
    style.painted(text, colour)
}

/// What a person wants to know first: why it is gone, why it gets nothing, or what is wrong with it.
fn why(target: &TargetHealth) -> String {
    if let Some(failure) = &target.given_up {
        return line(&failure.message);
    }
    match &target.breaker.reason {
        Some(reason) if target.breaker.state != BreakerState::Closed => line(reason),
        _ => costliest(&target.health),
    }
}

/// The term that took most off the score, with what was measured.
fn costliest(health: &HealthScore) -> String {
    let worst = health.terms.iter().filter(|term| term.cost > 0.0).max_by(|a, b| a.cost.total_cmp(&b.cost));
    quantity::or_dash(worst.map(|term| {
        let value = term.value.map(|value| format!(" {}", count(value))).unwrap_or_default();
        format!("{}{value}: −{} of {}", term.name, count(term.cost), count(term.most))
    }))
}

/// Many terms are counts, which have no decimals.
fn count(value: f64) -> String {
    if value.fract() == 0.0 { format!("{value:.0}") } else { quantity::number(value) }
}

fn line(text: &str) -> String {
    quantity::one_line(text, 200)
}

fn mebibytes(bytes: Option<u64>) -> String {
    quantity::or_dash(bytes.map(|bytes| format!("{:.0}", bytes as f64 / f64::from(1 << 20))))
}
