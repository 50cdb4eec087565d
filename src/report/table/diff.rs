//! What changes from one run or browser to another.

use super::{TableStyle, colour_of, joined, keep_whole};
use crate::report::{Differences, quantity};

/// An error message is cut after this many characters.
const MOST_OF_A_MESSAGE: usize = 160;

/// Every case that has another verdict on the other side: what got worse first, then what got better, then the rest.
pub fn diff_table(differences: &Differences, before: &str, after: &str, style: TableStyle) -> String {
    let mut changes: Vec<_> = differences.changes.iter().collect();
    changes.sort_by_key(|change| (!change.is_worse(), !change.is_better()));
    let mut table = style.table(&["case", "on", before, after, "error"]);
    for change in &changes {
        let error = change.error.as_ref().map(|message| quantity::one_line(message, MOST_OF_A_MESSAGE));
        table.add_row([
            style.painted(&change.case, None),
            style.painted(&change.place, None),
            style.painted(change.before, Some(colour_of(change.before))),
            style.painted(change.after, Some(colour_of(change.after))),
            style.painted(quantity::or_dash(error), None),
        ]);
    }
    keep_whole(&mut table, [1, 2, 3]);
    let table = if changes.is_empty() { String::new() } else { table.trim_fmt() };
    let worse = changes.iter().filter(|change| change.is_worse()).count();
    let better = changes.iter().filter(|change| change.is_better()).count();
    let others = changes.len() - worse - better;
    let mut summary = format!("{} results compared: {worse} got worse, {better} got better", differences.compared);
    if others > 0 {
        summary += &format!(", {others} fail in another way");
    }
    if differences.alone > 0 {
        summary += &format!("; {} are on one side only", differences.alone);
    }
    joined([table, summary])
}
