//! Every case on every target: [`run`] drives a fleet through a [`Plan`] and tells each result as it comes.

mod case;
pub mod expectations;
mod past;
mod plan;
mod repeats;
mod shard;
#[cfg(test)]
mod tests;
mod verdict;

pub use expectations::Expectations;
pub use past::Past;
pub use plan::{Pairs, Plan, PlanOptions, Planned};
pub use repeats::RetryOn;
pub use shard::{Shard, ShardError};

use crate::{
    fleet::{Fleet, Shards},
    onnx::Tolerance,
    report::{CaseResult, TargetRow},
    types::Browser,
};
use case::{CaseRun, Prepared};
use futures::{Stream, StreamExt, stream};
use std::{
    collections::{BTreeMap, BTreeSet},
    ops::ControlFlow,
    time::{Duration, Instant},
};
use tokio::sync::Semaphore;

/// How cases are run.
#[derive(Clone, Debug)]
pub struct MatrixOptions {
    /// How long one attempt may take, counted from when a tab turns to it.
    pub case_timeout: Duration,
    /// Further attempts after one that failed as `retry_on` says.
    pub retries: u32,
    /// After which failures a case is tried again.
    pub retry_on: BTreeSet<RetryOn>,
    /// How often every case is run.
    pub repeat_each: u32,
    /// How often a case is run whose verdict is not the expected one, or else not that of the run before, to see whether
    /// it stays so; every case, where there is neither.
    pub verify: u32,
    /// When outputs count as equal.
    pub tolerance: Tolerance,
    /// What results are held against.
    pub expectations: Option<Expectations>,
    /// Cases of one target in hand at once: more than it has tabs, so that none waits for the next.
    pub in_hand: usize,
    /// When no further case is begun.
    pub until: Option<Instant>,
    /// How models are cut into stages, if they are.
    pub shards: Option<Shards>,
}

impl Default for MatrixOptions {
    fn default() -> Self {
        Self {
            case_timeout: Duration::from_secs(30),
            retries: 1,
            retry_on: RetryOn::DEFAULT.into(),
            repeat_each: 1,
            verify: 1,
            tolerance: Tolerance::default(),
            expectations: None,
            in_hand: 6,
            until: None,
            shards: None,
        }
    }
}

/// What became of a case's turn.
enum Step {
    Result(Box<CaseResult>),
    /// The time was over before it began.
    Left,
    /// The fleet was closed.
    Closed,
}

/// Runs what the plan says on the targets it was made for, and hands each result to `on_result` when it is there.
/// Targets go their own pace, so that a slow or dying one holds up no other; what is known to end a browser comes last,
/// when nothing else runs in it. Ends early when the fleet is closed or `on_result` says so; the results so far have been
/// handed over then.
pub async fn run(
    fleet: &Fleet,
    targets: &[TargetRow],
    plan: &Plan,
    options: &MatrixOptions,
    mut on_result: impl FnMut(CaseResult) -> ControlFlow<()>,
) {
    let prepared: Vec<Prepared> = plan.cases.iter().map(|planned| Prepared::new(planned.case.clone())).collect();
    let matrix = Matrix { fleet, plan, prepared: &prepared, options, turns: Semaphore::new(turns(targets.len())) };
    let lanes = targets.iter().zip(&plan.first).map(|(target, numbers)| matrix.lane(target, numbers).boxed_local());
    if drive(stream::select_all(lanes), &mut on_result).await.is_break() {
        return;
    }
    let mut browsers: BTreeMap<Browser, Vec<(&TargetRow, usize)>> = BTreeMap::new();
    for (target, numbers) in targets.iter().zip(&plan.last) {
        browsers.entry(target.browser).or_default().extend(numbers.iter().map(|number| (target, *number)));
    }
    let lanes = browsers
        .into_values()
        .map(|pairs| stream::iter(pairs).then(|(target, number)| matrix.step(target, number)).boxed_local());
    // Broken off or not, this was the last of it.
    let _ = drive(stream::select_all(lanes), &mut on_result).await;
}

async fn drive(
    mut steps: impl Stream<Item = Step> + Unpin,
    on_result: &mut impl FnMut(CaseResult) -> ControlFlow<()>,
) -> ControlFlow<()> {
    while let Some(step) = steps.next().await {
        match step {
            Step::Result(result) => on_result(*result)?,
            Step::Left => {}
            Step::Closed => return ControlFlow::Break(()),
        }
    }
    ControlFlow::Continue(())
}

/// Cases under way at once on all targets together, besides one on each: enough to keep every core busy while answers
/// travel, few enough that a case's time limit is not spent waiting for a core.
fn turns(targets: usize) -> usize {
    let wanted = std::thread::available_parallelism().map_or(4, |cores| (cores.get() * 2).max(4));
    wanted.saturating_sub(targets)
}

struct Matrix<'a> {
    fleet: &'a Fleet,
    plan: &'a Plan,
    prepared: &'a [Prepared],
    options: &'a MatrixOptions,
    turns: Semaphore,
}

impl Matrix<'_> {
    /// The cases of one target. One may always be under way, so that a target whose cases hang takes no other's turns;
    /// more only when there is a turn for them, and those are given in the order asked for.
    fn lane<'s>(&'s self, target: &'s TargetRow, numbers: &'s [usize]) -> impl Stream<Item = Step> + 's {
        let own = std::rc::Rc::new(Semaphore::new(1));
        stream::iter(numbers)
            .map(move |number| {
                let own = own.clone();
                async move {
                    // Neither semaphore is ever closed.
                    let _turn = tokio::select! {
                        biased;
                        turn = own.acquire() => turn.ok(),
                        turn = self.turns.acquire() => turn.ok(),
                    };
                    self.step(target, *number).await
                }
            })
            .buffer_unordered(self.options.in_hand.max(1))
    }

    async fn step(&self, target: &TargetRow, number: usize) -> Step {
        if self.options.until.is_some_and(|until| Instant::now() >= until) {
            return Step::Left;
        }
        let run = CaseRun {
            fleet: self.fleet,
            target,
            planned: &self.plan.cases[number],
            prepared: &self.prepared[number],
            past: &self.plan.past,
            options: self.options,
        };
        run.run().await.map_or(Step::Closed, |result| Step::Result(Box::new(result)))
    }
}
