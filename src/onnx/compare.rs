//! Whether outputs are what they should be.

use crate::types::{Dtype, Element, Tensor};
use half::f16;
use serde::{Deserialize, Serialize};

/// How far a number may be from the one expected: `|actual - expected| <= atol + rtol * |expected|`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tolerance {
    /// Relative, for float32 and float64.
    pub rtol: f64,
    /// Absolute, for float32 and float64.
    pub atol: f64,
    /// Relative, for float16.
    pub rtol_float16: f64,
    /// Absolute, for float16.
    pub atol_float16: f64,
}

impl Default for Tolerance {
    /// 1e-3 and 1e-5 as ONNX's own backend tests have it by default; 1e-2 both for float16, whose numbers have three
    /// decimal digits and whose sums are rounded at every step on a GPU.
    fn default() -> Self {
        Self { rtol: 1e-3, atol: 1e-5, rtol_float16: 1e-2, atol_float16: 1e-2 }
    }
}

impl Tolerance {
    /// This, but at least what a case itself allows: a relative and an absolute tolerance for every type.
    pub fn widened(self, (rtol, atol): (f64, f64)) -> Self {
        Self {
            rtol: self.rtol.max(rtol),
            atol: self.atol.max(atol),
            rtol_float16: self.rtol_float16.max(rtol),
            atol_float16: self.atol_float16.max(atol),
        }
    }
}

/// How outputs compare with the expected ones.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// The largest `|actual - expected|` over all pairs of finite numbers; `None` when no numbers were compared.
    pub max_abs_error: Option<f64>,
    /// The largest `|actual - expected| / |expected|` over all pairs of finite numbers whose expected one is not zero;
    /// `None` when there were none.
    pub max_rel_error: Option<f64>,
    /// The first output that is not as expected; `None` when all are.
    pub mismatch: Option<Mismatch>,
}

/// An output that is not as expected.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case", tag = "mismatch")]
pub enum Mismatch {
    /// It did not come.
    #[error("output `{output}` is missing")]
    Missing {
        /// Its name.
        output: String,
    },
    /// It has another element type.
    #[error("output `{output}` is {actual}, expected {expected}")]
    Dtype {
        /// Its name.
        output: String,
        /// The type it should have.
        expected: Dtype,
        /// The type it has.
        actual: Dtype,
    },
    /// It has another shape.
    #[error("output `{output}` has shape {actual:?}, expected {expected:?}")]
    Shape {
        /// Its name.
        output: String,
        /// The shape it should have.
        expected: Vec<usize>,
        /// The shape it has.
        actual: Vec<usize>,
    },
    /// Elements of it are outside the tolerance.
    #[error(
        "output `{output}` at {index:?} is {actual}, expected {expected}; {different} of {elements} elements differ"
    )]
    Values {
        /// Its name.
        output: String,
        /// Where the first element that differs is; empty in a scalar.
        index: Vec<usize>,
        /// What should be there.
        expected: String,
        /// What is there.
        actual: String,
        /// How many elements differ.
        different: usize,
        /// How many elements there are.
        elements: usize,
    },
}

/// Compares outputs by name. Floats have to be within the tolerance, where NaN equals NaN and an infinity itself;
/// everything else has to be exactly the same. Outputs that nobody expected are not looked at.
///
/// The errors cover all outputs whose type and shape are right, also when another one is wrong.
pub fn compare(
    expected: &[(String, Tensor<'_>)],
    actual: &[(String, Tensor<'_>)],
    tolerance: &Tolerance,
) -> Comparison {
    let mut comparison = Comparison::default();
    for (name, expected) in expected {
        let output = || name.clone();
        let mismatch = match actual.iter().find(|(other, _)| other == name) {
            None => Some(Mismatch::Missing { output: output() }),
            Some((_, actual)) if actual.dtype() != expected.dtype() => {
                Some(Mismatch::Dtype { output: output(), expected: expected.dtype(), actual: actual.dtype() })
            }
            Some((_, actual)) if actual.shape() != expected.shape() => {
                let (expected, actual) = (expected.shape().to_vec(), actual.shape().to_vec());
                Some(Mismatch::Shape { output: output(), expected, actual })
            }
            Some((_, actual)) => compare_values(name, expected, actual, tolerance, &mut comparison),
        };
        comparison.mismatch = comparison.mismatch.or(mismatch);
    }
    comparison
}

/// The pairs of one output that were looked at.
#[derive(Default)]
struct Pairs {
    seen: usize,
    different: usize,
    /// The first that differs: where, what was expected, what came.
    first: Option<(usize, String, String)>,
}

impl Pairs {
    fn add<T: ToString>(&mut self, same: bool, expected: T, actual: T) {
        if !same {
            self.different += 1;
            if self.first.is_none() {
                self.first = Some((self.seen, expected.to_string(), actual.to_string()));
            }
        }
        self.seen += 1;
    }
}

fn compare_values(
    output: &str,
    expected: &Tensor<'_>,
    actual: &Tensor<'_>,
    tolerance: &Tolerance,
    errors: &mut Comparison,
) -> Option<Mismatch> {
    let mut pairs = Pairs::default();
    match expected.dtype() {
        Dtype::Float16 => {
            let (rtol, atol) = (tolerance.rtol_float16, tolerance.atol_float16);
            floats::<f16>(expected, actual, (rtol, atol), &mut pairs, errors);
        }
        Dtype::Float32 => floats::<f32>(expected, actual, (tolerance.rtol, tolerance.atol), &mut pairs, errors),
        Dtype::Float64 => floats::<f64>(expected, actual, (tolerance.rtol, tolerance.atol), &mut pairs, errors),
        Dtype::Int8 => integers::<i8>(expected, actual, &mut pairs, errors),
        Dtype::Int16 => integers::<i16>(expected, actual, &mut pairs, errors),
        Dtype::Int32 => integers::<i32>(expected, actual, &mut pairs, errors),
        Dtype::Int64 => integers::<i64>(expected, actual, &mut pairs, errors),
        Dtype::Uint8 => integers::<u8>(expected, actual, &mut pairs, errors),
        Dtype::Uint16 => integers::<u16>(expected, actual, &mut pairs, errors),
        Dtype::Uint32 => integers::<u32>(expected, actual, &mut pairs, errors),
        Dtype::Uint64 => integers::<u64>(expected, actual, &mut pairs, errors),
        Dtype::Int4 | Dtype::Uint4 => {
            for (e, a) in nibbles(expected).zip(nibbles(actual)) {
                add_integers(e, a, &mut pairs, errors);
            }
        }
        Dtype::Bool => {
            for (e, a) in expected.bytes().iter().zip(actual.bytes()) {
                let (e, a) = (*e != 0, *a != 0);
                pairs.add(e == a, e, a);
            }
        }
        Dtype::String => {
            for (e, a) in expected.to_strings().into_iter().flatten().zip(actual.to_strings().into_iter().flatten()) {
                pairs.add(e == a, format!("{e:?}"), format!("{a:?}"));
            }
        }
    }
    let (at, expected_value, actual_value) = pairs.first?;
    Some(Mismatch::Values {
        output: output.to_owned(),
        index: index_of(at, expected.shape()),
        expected: expected_value,
        actual: actual_value,
        different: pairs.different,
        elements: pairs.seen,
    })
}

fn elements<'t, T: Element + 't>(tensor: &'t Tensor<'_>) -> impl Iterator<Item = T> + 't {
    tensor.bytes().chunks_exact(size_of::<T>()).map(T::read_le)
}

fn floats<T: Element + Into<f64> + ToString>(
    expected: &Tensor<'_>,
    actual: &Tensor<'_>,
    (rtol, atol): (f64, f64),
    pairs: &mut Pairs,
    errors: &mut Comparison,
) {
    for (e, a) in elements::<T>(expected).zip(elements::<T>(actual)) {
        let (ef, af): (f64, f64) = (e.into(), a.into());
        let same = if ef.is_finite() && af.is_finite() {
            let error = (af - ef).abs();
            errors.note(error, ef.abs());
            error <= atol + rtol * ef.abs()
        } else {
            ef == af || (ef.is_nan() && af.is_nan())
        };
        pairs.add(same, e, a);
    }
}

fn integers<T: Element + Into<i128>>(
    expected: &Tensor<'_>,
    actual: &Tensor<'_>,
    pairs: &mut Pairs,
    errors: &mut Comparison,
) {
    for (e, a) in elements::<T>(expected).zip(elements::<T>(actual)) {
        add_integers(e.into(), a.into(), pairs, errors);
    }
}

fn add_integers(expected: i128, actual: i128, pairs: &mut Pairs, errors: &mut Comparison) {
    errors.note(expected.abs_diff(actual) as f64, expected.unsigned_abs() as f64);
    pairs.add(expected == actual, expected, actual);
}

impl Comparison {
    fn note(&mut self, error: f64, size: f64) {
        let larger = |worst: Option<f64>, error: f64| Some(worst.map_or(error, |worst| worst.max(error)));
        self.max_abs_error = larger(self.max_abs_error, error);
        if size > 0.0 {
            self.max_rel_error = larger(self.max_rel_error, error / size);
        }
    }
}

/// The elements of an int4 or uint4 tensor, without the half byte that an odd number of them leaves.
fn nibbles<'t>(tensor: &'t Tensor<'_>) -> impl Iterator<Item = i128> + 't {
    let signed = tensor.dtype() == Dtype::Int4;
    let value = move |half: u8| i128::from(half) - if signed && half > 7 { 16 } else { 0 };
    tensor.bytes().iter().flat_map(move |byte| [value(byte & 15), value(byte >> 4)]).take(tensor.len())
}

/// The index of the element that is the `at`th in row-major order.
fn index_of(mut at: usize, shape: &[usize]) -> Vec<usize> {
    let mut index = vec![0; shape.len()];
    for (i, dim) in index.iter_mut().zip(shape).rev() {
        *i = at % (*dim).max(1);
        at /= (*dim).max(1);
    }
    index
}
