//! Which operators and operator sets work where.

use super::{TableStyle, joined, targets};
use crate::report::{MatrixReport, Support, SupportBy, quantity};
use comfy_table::{Cell, Color};

/// One row for each operator or operator set, one column for each target: how many of its cases pass there.
pub fn support_table(report: &MatrixReport, by: SupportBy, style: TableStyle) -> String {
    let support = report.support(by);
    let columns: Vec<_> = report
        .columns()
        .into_keys()
        .filter(|column| support.values().any(|targets| targets.contains_key(column)))
        .collect();
    let names: Vec<String> = columns.iter().map(|column| targets::name_of(&report.targets, *column)).collect();
    let headers: Vec<&str> = [by.name()].into_iter().chain(names.iter().map(String::as_str)).collect();
    let mut table = style.table(&headers);
    for (name, targets) in &support {
        let cells = columns.iter().map(|column| cell(targets.get(column).copied(), style));
        table.add_row([Cell::new(name)].into_iter().chain(cells));
    }
    let legend = " N/M    N of M cases pass\n +N cpu N more pass, but with some of the model on the CPU, not on the target's backend";
    joined([table.trim_fmt(), legend.to_owned()])
}

fn cell(support: Option<Support>, style: TableStyle) -> Cell {
    let Some(Support { passed, passed_partly_on_cpu: partly, failed, skipped }) = support else {
        return Cell::new(quantity::NOT_MEASURED);
    };
    let tried = passed + partly + failed;
    if tried == 0 {
        return style.painted(format!("{skipped} skipped"), Some(Color::DarkGrey));
    }
    let cpu = if partly > 0 { format!(" +{partly} cpu") } else { String::new() };
    let colour = match (passed, partly, failed) {
        (_, 0, 0) => Color::Green,
        (0, 0, _) => Color::Red,
        _ => Color::Yellow,
    };
    style.painted(format!("{passed}/{tried}{cpu}"), Some(colour))
}
