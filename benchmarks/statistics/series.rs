//! Made-up series whose truth is known, the same on every machine.

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};
use std::f64::consts::TAU;

/// The middle of every series.
pub const LEVEL: f64 = 100.0;

/// How the values of a series are distributed.
#[derive(Clone, Copy)]
pub enum Shape {
    Normal {
        cv: f64,
    },
    LogNormal {
        sigma: f64,
    },
    /// A share of the values lies higher by this factor: a cache that misses.
    Bimodal {
        share: f64,
        factor: f64,
        cv: f64,
    },
}

/// How values hang together.
#[derive(Clone, Copy)]
pub struct Structure {
    /// The correlation of a run with the next one.
    pub between_neighbours: f64,
    /// The share of the variance that lies between runs.
    pub between_runs: f64,
    /// The correlation of a sample with the next one in its run, of what is not shared by the run.
    pub within: f64,
}

pub const INDEPENDENT: Structure = Structure { between_neighbours: 0.0, between_runs: 0.0, within: 0.0 };

pub struct Source {
    random: ChaCha8Rng,
}

impl Source {
    pub fn seeded(seed: u64) -> Self {
        Self { random: ChaCha8Rng::seed_from_u64(seed) }
    }

    /// Between 0 and 1, both left out.
    fn uniform(&mut self) -> f64 {
        ((self.random.next_u64() >> 12) as f64 + 0.5) / (1_u64 << 52) as f64
    }

    /// Standard normal (Box and Muller, 1958).
    fn normal(&mut self) -> f64 {
        (-2.0 * self.uniform().ln()).sqrt() * (TAU * self.uniform()).cos()
    }

    /// The runs of a series, one after the other: correlated standard normal values, brought into shape.
    pub fn runs(&mut self, sizes: &[usize], shape: Shape, structure: Structure) -> Vec<Vec<f64>> {
        let Structure { between_neighbours, between_runs, within } = structure;
        let mut effect = self.normal();
        sizes
            .iter()
            .map(|size| {
                effect = between_neighbours * effect + (1.0 - between_neighbours.powi(2)).sqrt() * self.normal();
                let mut own = self.normal();
                (0..*size)
                    .map(|_| {
                        own = within * own + (1.0 - within.powi(2)).sqrt() * self.normal();
                        let z = between_runs.sqrt() * effect + (1.0 - between_runs).sqrt() * own;
                        self.shaped(z, shape)
                    })
                    .collect()
            })
            .collect()
    }

    fn shaped(&mut self, z: f64, shape: Shape) -> f64 {
        match shape {
            Shape::Normal { cv } => LEVEL * (1.0 + cv * z),
            Shape::LogNormal { sigma } => LEVEL * (sigma * z).exp(),
            Shape::Bimodal { share, factor, cv } => {
                let mode = if self.uniform() < share { factor } else { 1.0 };
                LEVEL * mode * (1.0 + cv * z)
            }
        }
    }
}
