//! Every case on every target: [`run`] drives a fleet through suites and tells each result as it comes.

mod case;
pub mod expectations;
mod selection;
mod verdict;

pub use case::MatrixOptions;
pub use selection::{Selection, Shard, ShardError};

use crate::{
    fleet::Fleet,
    onnx::Case,
    report::CaseResult,
    types::{Target, TargetInfo},
};
use case::{CaseRun, Prepared};
use futures::{StreamExt, stream};
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Runs every case on every target of the fleet and hands each result to `on_result` when it is there. Targets go their
/// own pace, so that a slow or dying one holds up no other. Ends early when the fleet is closed; the results so far
/// have been handed over then.
pub async fn run(
    fleet: &Fleet,
    targets: &[Arc<TargetInfo>],
    cases: &[Case],
    options: &MatrixOptions,
    mut on_result: impl FnMut(CaseResult),
) {
    let prepared: Vec<Prepared> = cases.iter().cloned().map(Prepared::new).collect();
    let turns = Semaphore::new(turns());
    let lanes = targets.iter().map(|info| lane(fleet, info, &prepared, options, &turns));
    let mut results = stream::select_all(lanes.map(StreamExt::boxed_local));
    while let Some(result) = results.next().await {
        match result {
            Some(result) => on_result(result),
            None => return,
        }
    }
}

/// Cases under way at once on all targets together: enough to keep every core busy while answers travel, few enough
/// that a case's time limit is not spent waiting for a core.
fn turns() -> usize {
    std::thread::available_parallelism().map_or(4, |cores| (cores.get() * 2).max(4))
}

/// The cases of one target, several in hand at once. Turns are given in the order asked for, so every target gets its
/// share of them.
fn lane<'a>(
    fleet: &'a Fleet,
    info: &'a TargetInfo,
    cases: &'a [Prepared],
    options: &'a MatrixOptions,
    turns: &'a Semaphore,
) -> impl stream::Stream<Item = Option<CaseResult>> + 'a {
    let target: Target = info.target;
    stream::iter(cases)
        .map(move |prepared| async move {
            // The semaphore is never closed.
            let _turn = turns.acquire().await.ok();
            CaseRun { fleet, target, unavailable: info.reason.as_deref(), prepared, options }.run().await
        })
        .buffer_unordered(if info.available { options.in_hand } else { 1 })
}
