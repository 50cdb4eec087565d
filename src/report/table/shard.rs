//! How a model is cut.

use super::{TableStyle, align_right, joined};
use crate::report::{CrossingRow, ShardReport, StageRow, quantity};
use crate::types::ByteSize;
use comfy_table::Color;

/// A plan: its stages with what each is estimated to cost, and what crosses between them.
pub fn shard_table(report: &ShardReport, style: TableStyle) -> String {
    joined([headline(report), stages(report, style), crossing(report, style), closing(report)])
}

fn headline(report: &ShardReport) -> String {
    let stages = report.stages.len();
    match report.strategy {
        Some(strategy) => format!("{} in {stages} stages, strategy {strategy}; times are estimates", report.model),
        None => format!("{}: a pipeline of {stages} components; times are estimates", report.model),
    }
}

const STAGES: [&str; 10] =
    ["stage", "is", "nodes", "weights", "live", "MFLOP", "compute ms", "transfer ms", "of slowest", "prefers"];

fn stages(report: &ShardReport, style: TableStyle) -> String {
    let total = |stage: &StageRow| stage.compute_ms + stage.transfer_ms;
    let slowest = report.stages.iter().map(total).fold(0.0, f64::max);
    let mut table = style.table(&STAGES);
    for (index, stage) in report.stages.iter().enumerate() {
        let share = if slowest > 0.0 { total(stage) / slowest } else { 1.0 };
        let colour = if share >= 0.85 { Some(Color::Green) } else { None };
        table.add_row([
            style.painted(name(report, index), None),
            style.painted(quantity::or_dash(stage.component.map(|component| component.name())), None),
            style.painted(stage.nodes, None),
            style.painted(ByteSize(stage.weight_bytes), None),
            style.painted(ByteSize(stage.activation_bytes), None),
            style.painted(quantity::number(stage.flops / 1e6), None),
            style.painted(quantity::number(stage.compute_ms), None),
            style.painted(quantity::number(stage.transfer_ms), None),
            style.painted(format!("{:.0} %", share * 100.0), colour),
            style.painted(quantity::or_dash(stage.preferred.map(|browser| browser.name())), None),
        ]);
    }
    align_right(&mut table, 2..=8);
    table.trim_fmt()
}

fn name(report: &ShardReport, index: usize) -> String {
    let named = report.stages.get(index).and_then(|stage| stage.name.as_ref());
    named.map_or_else(|| (index + 1).to_string(), |name| format!("{} {name}", index + 1))
}

/// As many rows as are read; what is more is counted.
const MOST_ROWS: usize = 40;

fn crossing(report: &ShardReport, style: TableStyle) -> String {
    let given = |(to, stage): (usize, &StageRow)| {
        let made = stage.inputs.iter().filter_map(move |input| Some((input.from?, to, input.clone())));
        made.collect::<Vec<(usize, usize, CrossingRow)>>()
    };
    let rows: Vec<_> = report.stages.iter().enumerate().flat_map(given).collect();
    if rows.is_empty() {
        return String::new();
    }
    let mut table = style.table(&["from", "to", "bytes", "what crosses", "name"]);
    for (from, to, tensor) in rows.iter().take(MOST_ROWS) {
        table.add_row([
            (from + 1).to_string(),
            (to + 1).to_string(),
            ByteSize(tensor.bytes).to_string(),
            tensor.kind.clone(),
            quantity::one_line(&tensor.name, 100),
        ]);
    }
    align_right(&mut table, 0..=2);
    let more = rows.len().saturating_sub(MOST_ROWS);
    let more = if more > 0 { format!("\n … and {more} more") } else { String::new() };
    table.trim_fmt() + &more
}

fn closing(report: &ShardReport) -> String {
    let crossing = ByteSize(report.crossing_bytes);
    let mut text = format!("{crossing} cross in a job; the slowest stage takes {:.2} times the mean.", report.balance);
    if report.strategy.is_some() {
        text += &format!(" There are {} good places to cut.", report.cut_points);
    }
    if report.dividing_cuts > 0 {
        let cuts = if report.dividing_cuts == 1 { "cut divides" } else { "cuts divide" };
        text += &format!(
            "\n{} {cuts} what the runtime computes as one: outputs may differ from the whole model's in their last bits.",
            report.dividing_cuts
        );
    }
    for (index, stage) in report.stages.iter().enumerate() {
        if let Some(file) = &stage.file {
            text += &format!("{}stage {}: {file}", if index == 0 { "\n\n" } else { "\n" }, name(report, index));
        }
    }
    text
}
