//! How long each stage of a cut takes, and whether another cut would be faster.

use super::cut::{Cut, Whole};
use crate::{
    fleet::Output,
    onnx::{ShardOptions, ShardStrategy},
    stats::median,
};
use std::{
    collections::VecDeque,
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

/// Jobs that a stage's time is taken of.
const WINDOW: usize = 32;

/// How much slower than the mean the slowest stage has to be to make another plan worth looking for.
const UNEVEN: f64 = 1.2;

/// How much faster the slowest stage of another plan has to be expected to be, to make it worth loading.
const GAIN: f64 = 0.9;

/// The times of the stages of the newest cut.
pub(super) struct Pace {
    cut: Weak<Cut>,
    /// Milliseconds of the last jobs, for each stage.
    stage_ms: Vec<VecDeque<f64>>,
    pause: Duration,
    since: Instant,
}

impl Pace {
    pub fn new(pause: Duration, now: Instant) -> Self {
        Self { cut: Weak::new(), stage_ms: Vec::new(), pause, since: now }
    }

    /// Takes in one job. A new cut begins anew.
    pub fn take_in(&mut self, cut: &Arc<Cut>, output: &Output) {
        if !std::ptr::eq(self.cut.as_ptr(), Arc::as_ptr(cut)) {
            self.cut = Arc::downgrade(cut);
            self.stage_ms = vec![VecDeque::with_capacity(WINDOW); cut.stages.len()];
        }
        for (times, run) in self.stage_ms.iter_mut().zip(&output.stages) {
            if times.len() == WINDOW {
                times.pop_front();
            }
            times.push_back(run.timings.run_ms + run.timings.readback_ms.unwrap_or_default());
        }
    }

    /// How long each stage takes, in milliseconds, when the slowest takes so long that another plan is worth looking for and
    /// the present one has stood for long enough.
    pub fn uneven(&mut self, cut: &Cut, options: &ShardOptions, now: Instant) -> Option<Vec<f64>> {
        let due = now.saturating_duration_since(self.since) >= self.pause;
        let known = self.stage_ms.iter().all(|times| times.len() == WINDOW);
        if !due || !known || options.strategy != ShardStrategy::Optimal || cut.stages.len() < 2 {
            return None;
        }
        let stage_ms: Vec<f64> =
            self.stage_ms.iter().filter_map(|times| median(&times.iter().copied().collect::<Vec<_>>())).collect();
        let slowest = stage_ms.iter().copied().fold(0.0, f64::max);
        let mean = stage_ms.iter().sum::<f64>() / stage_ms.len() as f64;
        if slowest < UNEVEN * mean {
            return None;
        }
        // Whatever comes of it, it is not thought about again at once.
        self.since = now;
        Some(stage_ms)
    }
}

/// Options for a plan whose slowest stage is expected to be faster than what was measured, when there is one.
pub(super) fn better(whole: &Whole, cut: &Cut, options: &ShardOptions, stage_ms: &[f64]) -> Option<ShardOptions> {
    let Whole::Model(graph) = whole else { return None };
    let slowest = stage_ms.iter().copied().fold(0.0, f64::max);
    let options = ShardOptions {
        shards: cut.stages.len(),
        node_ms: Some(graph.node_ms(&cut.plan, stage_ms, &options.speeds)),
        ..options.clone()
    };
    let expected = graph.plan(&options).ok()?;
    let expected = expected.stages.iter().map(|stage| stage.compute_ms).fold(0.0, f64::max);
    (expected < GAIN * slowest).then_some(options)
}
