//! Equal numbers of the blocks that a graph repeats.

use super::stretch::Stretches;

/// Divides at those of the bounds that come nearest to equal numbers of repeated blocks. Where the graph repeats less
/// often than there are to be parts, each node with weights counts as a block, and where those are too few, each node.
pub(super) fn divide(stretches: &Stretches<'_>, bounds: &[usize], parts: usize) -> Vec<usize> {
    let line = stretches.line;
    let operators: Vec<&str> = line.nodes.iter().map(|node| stretches.graph.nodes[*node].op.as_str()).collect();
    let mut blocks = repeated(&operators);
    if blocks.len() < parts {
        blocks = (0..line.nodes.len()).filter(|place| !line.weights[*place].is_empty()).collect();
    }
    if blocks.len() < parts {
        blocks = (0..line.nodes.len()).collect();
    }
    let mut chosen = vec![0];
    let mut first = 1;
    for part in 1..parts {
        let wanted = blocks[(part * blocks.len() + parts / 2) / parts];
        // Those left have to be enough for the parts after this one.
        let last = bounds.len() - 1 - (parts - part);
        let nearest = (first..=last).min_by_key(|index| bounds[*index].abs_diff(wanted)).unwrap_or(first);
        chosen.push(bounds[nearest]);
        first = nearest + 1;
    }
    chosen.push(bounds[bounds.len() - 1]);
    chosen
}

/// Where the blocks begin of which the sequence repeats one or several: repetitions are taken in the order of how much
/// they cover, the shorter block of two that cover as much.
fn repeated(operators: &[&str]) -> Vec<usize> {
    let mut starts = Vec::new();
    within(operators, 0, &mut starts);
    starts.sort_unstable();
    starts
}

/// The shortest thing that counts as a block: fewer operators in a row repeat everywhere by chance.
const SHORTEST_BLOCK: usize = 3;

fn within(operators: &[&str], offset: usize, starts: &mut Vec<usize>) {
    let Some((start, period, count)) = longest(operators) else { return };
    starts.extend((0..count).map(|block| offset + start + block * period));
    let end = start + period * count;
    within(&operators[..start], offset, starts);
    within(&operators[end..], offset + end, starts);
}

/// The repetition that covers most: where it begins, how long a block is, and how many there are.
fn longest(operators: &[&str]) -> Option<(usize, usize, usize)> {
    let mut best = None;
    let mut most = 0;
    for period in SHORTEST_BLOCK..=operators.len() / 2 {
        let mut same = 0;
        for end in period..=operators.len() {
            if end < operators.len() && operators[end] == operators[end - period] {
                same += 1;
                continue;
            }
            let count = same / period + 1;
            if count >= 2 && count * period > most {
                most = count * period;
                best = Some((end - same - period, period, count));
            }
            same = 0;
        }
    }
    best
}
