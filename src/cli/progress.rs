//! How far a command is: a bar on a terminal, a line now and then otherwise, nothing when told to be quiet.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::{
    io::IsTerminal,
    time::{Duration, Instant},
};

/// Between two plain lines: often enough to see that it goes on, seldom enough for a log.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// How far a command is.
pub(super) enum Progress {
    Bar(ProgressBar),
    Lines { done: u64, total: u64, what: &'static str, last: Instant },
    Quiet,
}

impl Progress {
    /// Of `total` steps, called `what`.
    pub fn new(total: u64, what: &'static str, quiet: bool) -> Self {
        if quiet {
            Self::Quiet
        } else if std::io::stderr().is_terminal() {
            let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
            if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} {msg} ({elapsed}, about {eta} left)")
            {
                bar.set_style(style);
            }
            bar.set_message(what);
            bar.enable_steady_tick(Duration::from_millis(250));
            Self::Bar(bar)
        } else {
            Self::Lines { done: 0, total, what, last: Instant::now() }
        }
    }

    /// One step is done.
    pub fn step(&mut self) {
        match self {
            Self::Bar(bar) => bar.inc(1),
            Self::Lines { done, total, what, last } => {
                *done += 1;
                if last.elapsed() >= LINE_EVERY || done == total {
                    eprintln!("{done} of {total} {what}");
                    *last = Instant::now();
                }
            }
            Self::Quiet => {}
        }
    }

    /// Tells something that is not a step.
    pub fn say(&self, text: &str) {
        match self {
            Self::Bar(bar) => bar.println(text),
            Self::Lines { .. } => eprintln!("{text}"),
            Self::Quiet => {}
        }
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        if let Self::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}
