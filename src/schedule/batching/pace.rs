//! How long runs of one model take on one target, by how many rows they are of: so much each, and so much besides.

use std::time::Duration;

/// How much of what was measured before is kept with each run: some twenty runs count.
const KEPT: f64 = 0.95;

/// A line through what was measured, by least squares.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::schedule) struct Pace {
    /// Whether the first run was seen, which compiles and says little.
    warm: bool,
    runs: f64,
    rows: f64,
    ms: f64,
    rows_rows: f64,
    rows_ms: f64,
}

impl Pace {
    pub fn take_in(&mut self, rows: usize, run: Duration) {
        if !std::mem::replace(&mut self.warm, true) {
            return;
        }
        // Below the resolution of a browser's clock it would be nothing.
        let (rows, ms) = (rows as f64, (run.as_secs_f64() * 1e3).max(0.01));
        for (sum, value) in [
            (&mut self.runs, 1.0),
            (&mut self.rows, rows),
            (&mut self.ms, ms),
            (&mut self.rows_rows, rows * rows),
            (&mut self.rows_ms, rows * ms),
        ] {
            *sum = *sum * KEPT + value;
        }
    }

    /// How long a run of so many rows takes; `None` until one was measured. While all were of as many rows, every row is
    /// taken to cost the same: that is never too little for more.
    pub fn expected(&self, rows: usize) -> Option<Duration> {
        if self.runs == 0.0 {
            return None;
        }
        let spread = self.runs * self.rows_rows - self.rows * self.rows;
        let (mean_rows, mean_ms) = (self.rows / self.runs, self.ms / self.runs);
        let each = mean_ms / mean_rows.max(1.0);
        let slope = match spread > 1e-3 * self.rows * self.rows {
            // Beyond that the runs' own scatter says more than the line: no row is free, and none dearer than alone.
            true => ((self.runs * self.rows_ms - self.rows * self.ms) / spread).clamp(0.0, each),
            false => each,
        };
        Duration::try_from_secs_f64((mean_ms + slope * (rows as f64 - mean_rows)).max(0.0) / 1e3).ok()
    }
}
