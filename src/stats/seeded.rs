//! Random series for tests, the same at each run.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Normal noise of deviation 1 (Box and Muller).
pub(super) fn normal(n: usize, seed: u64) -> Vec<f64> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut next = || {
        let (radius, angle): (f64, f64) = (random.random(), random.random());
        (-2.0 * (1.0 - radius).ln()).sqrt() * (std::f64::consts::TAU * angle).cos()
    };
    (0..n).map(|_| next()).collect()
}
