//! Why a job went where it went.

use super::{Target, names};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Why a job went to the tab it went to. Each term is from 0 to 1, and the tab with the largest product was taken.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Placement {
    /// What is expected of the target before the model was measured there: that it is of the family's preferred browser
    /// or was best in earlier runs, and that hardware is faster than software; 1 once it is measured.
    pub prior: f64,
    /// What the prior rests on.
    pub basis: Basis,
    /// How fast the model runs there, over the target where it runs fastest.
    pub speed: f64,
    /// How well the tab and its target are.
    pub health: f64,
    /// How much the tab is already doing.
    pub load: f64,
    /// Whether the tab has the model loaded.
    pub loaded: f64,
    /// How long the model takes there, by what was measured before, in milliseconds.
    pub expected_ms: Option<f64>,
    /// Whether it went there to learn how long the model takes there, and not for its score.
    pub explored: bool,
    /// How many tabs it was chosen among.
    pub candidates: u32,
    /// The best of the other targets, and its score.
    pub next_best: Option<(Target, f64)>,
}

/// What was known of a target when a job was placed there or elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// This fleet has measured the model there.
    Measured,
    /// Earlier runs, which the history remembers, measured where the model runs best.
    History,
    /// The model's family has a preferred browser.
    Family,
    /// Nothing but what the target computes on.
    Nothing,
}
names!(Basis { Measured = "measured", History = "history", Family = "family", Nothing = "nothing" });

impl Placement {
    /// A job of a stage goes to its home, and a call of a session to its state: that tab already holds so many runs, and
    /// there is no choice.
    pub(crate) fn at_home(jobs: usize) -> Self {
        Self {
            prior: 1.0,
            basis: Basis::Nothing,
            speed: 1.0,
            health: 1.0,
            load: 1.0 / (1.0 + jobs as f64),
            loaded: 1.0,
            expected_ms: None,
            explored: false,
            candidates: 1,
            next_best: None,
        }
    }

    /// The product of the terms.
    pub fn score(&self) -> f64 {
        self.prior * self.speed * self.health * self.load * self.loaded
    }
}

impl fmt::Display for Placement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { prior, basis, speed, health, load, loaded, candidates, .. } = self;
        write!(f, "{:.3} = prior {prior:.2} ({basis}) × speed {speed:.2} × health {health:.2} ", self.score())?;
        write!(f, "× load {load:.2} × loaded {loaded:.2}; best of {candidates} tabs")?;
        if self.explored {
            f.write_str(", to learn how fast it is")?;
        }
        match self.next_best {
            Some((target, score)) => write!(f, "; next {target} with {score:.3}"),
            None => Ok(()),
        }
    }
}
