//! The series that the statistics are measured on: annotated ones from files, and noise made here.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A series and where people saw its level change.
#[derive(Clone, serde::Deserialize)]
pub struct Annotated {
    pub id: String,
    pub values: Vec<f64>,
    pub annotations: BTreeMap<String, Vec<usize>>,
}

/// The annotated series of each file of the folder that `TABFLEET_SERIES` names, by file name; says so where there are
/// none.
pub fn annotated() -> Vec<(String, Vec<Annotated>)> {
    let Some(folder) = std::env::var_os("TABFLEET_SERIES").map(PathBuf::from) else {
        println!("SKIPPED: TABFLEET_SERIES names no folder of annotated series (*.jsonl), nothing was scored.\n");
        return Vec::new();
    };
    let mut paths: Vec<PathBuf> = std::fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.expect("a folder's entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "jsonl"))
        .collect();
    paths.sort();
    paths.iter().map(|path| (path.file_stem().expect("a name").to_string_lossy().into_owned(), read(path))).collect()
}

fn read(path: &Path) -> Vec<Annotated> {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.lines()
        .filter(|line| !line.trim().is_empty())
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
        .collect()
}

/// Normal noise of which each value keeps the share `kept` of the one before.
pub fn noise(n: usize, kept: f64, seed: u64) -> Vec<f64> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut last = 0.0;
    (0..n)
        .map(|_| {
            // Box and Muller
            let (radius, angle): (f64, f64) = (random.random(), random.random());
            let normal = (-2.0 * (1.0 - radius).ln()).sqrt() * (std::f64::consts::TAU * angle).cos();
            last = kept * last + (1.0 - kept * kept).sqrt() * normal;
            last
        })
        .collect()
}

/// Noise around levels that change every `length` points.
pub fn steps(n: usize, length: usize, seed: u64) -> Vec<f64> {
    let level = |at: usize| 100.0 + 5.0 * ((at / length) * 7 % 4) as f64;
    noise(n, 0.2, seed).into_iter().enumerate().map(|(at, value)| level(at) + value).collect()
}
