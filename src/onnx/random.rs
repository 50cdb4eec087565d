//! Inputs made up for a model: for benchmarks, and for trying a model without data.

use super::inputs::{InputError, quoted};
use super::model::ModelFile;
use super::value::{Dim, ShapeText, ValueInfo, ValueKind};
use crate::types::{Dtype, Tensor, TensorError};
use half::f16;
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};
use std::collections::{BTreeMap, BTreeSet};

/// A `--shape` flag that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{given}` is not a shape: write `NAME=1x3x224x224`, `NAME=scalar`, or `DIMENSION=1`")]
pub struct ShapeFlagError {
    /// What was given.
    pub given: String,
}

/// Reads `name=1x128` (or `name=1,128`; `name=scalar` for no dimensions). The name may itself hold a `=`.
///
/// # Errors
/// [`ShapeFlagError`] when it is written otherwise.
pub fn parse_shape_flag(text: &str) -> Result<(String, Vec<usize>), ShapeFlagError> {
    let error = || ShapeFlagError { given: text.to_owned() };
    let (name, sizes) = text.rsplit_once('=').ok_or_else(error)?;
    if name.is_empty() {
        return Err(error());
    }
    let shape = match sizes {
        "scalar" => Vec::new(),
        sizes => sizes.split(['x', ',']).map(|n| n.trim().parse()).collect::<Result<_, _>>().map_err(|_| error())?,
    };
    Ok((name.to_owned(), shape))
}

/// Made-up inputs for every input of the model: the same for the same seed and shapes, on every machine.
///
/// `shapes` settles what the model leaves open: a whole shape by an input's name, or one size by a dimension's name.
/// Floats are drawn from the standard normal distribution. Integers are kept small, so that what looks them up finds
/// them: 0 to 99 for names ending in `ids`, 0 to 9 otherwise. By their names, masks are ones, token types zeros, and
/// positions count along the last dimension.
///
/// # Errors
/// [`InputError::OpenShapes`] with the flags to type, [`InputError::ShapeFlag`] for one that does not fit,
/// [`InputError::Unsupported`] for what is no tensor, [`InputError::Tensor`] for sizes beyond the address space.
pub fn random_inputs(
    model: &ModelFile,
    shapes: &BTreeMap<String, Vec<usize>>,
    seed: u64,
) -> Result<Vec<(String, Tensor<'static>)>, InputError> {
    check_flags(model, shapes)?;
    let mut open = Open::default();
    let mut inputs = Vec::new();
    for (stream, input) in model.inputs.iter().enumerate() {
        let (dtype, dims) = match &input.kind {
            ValueKind::Tensor { dtype, shape } => (*dtype, shape.as_deref()),
            ValueKind::Unsupported { what } => {
                return Err(InputError::Unsupported { name: input.name.clone(), what: what.clone() });
            }
        };
        if let Some(shape) = settle(input, dims, shapes, &mut open)? {
            // A stream of its own for each input: the shape of one does not change the values of another.
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            rng.set_stream(stream as u64);
            inputs.push((input.name.clone(), shape, dtype, rng));
        }
    }
    if !open.what.is_empty() {
        return Err(InputError::OpenShapes { open: open.what, flags: open.flags.into_iter().collect() });
    }
    let make = |(name, shape, dtype, mut rng): (String, _, _, _)| match fill(&name, shape, dtype, &mut rng) {
        Ok(tensor) => Ok((name, tensor)),
        Err(source) => Err(InputError::Tensor { name, source }),
    };
    inputs.into_iter().map(make).collect()
}

/// What the shapes given did not settle.
#[derive(Default)]
struct Open {
    what: Vec<String>,
    flags: BTreeSet<String>,
}

/// The shape of one input, or `None` when it is still open, which is then noted.
fn settle(
    input: &ValueInfo,
    dims: Option<&[Dim]>,
    shapes: &BTreeMap<String, Vec<usize>>,
    open: &mut Open,
) -> Result<Option<Vec<usize>>, InputError> {
    let name = &input.name;
    if let Some(given) = shapes.get(name) {
        let fits = |dims: &[Dim]| {
            dims.len() == given.len()
                && dims.iter().zip(given).all(|(dim, size)| !matches!(dim, Dim::Fixed(n) if n != size))
        };
        return match dims {
            Some(dims) if !fits(dims) => {
                let what = format!("the input takes shape {}", ShapeText(dims));
                Err(InputError::ShapeFlag { name: name.clone(), given: given.clone(), what })
            }
            _ => Ok(Some(given.clone())),
        };
    }
    let Some(dims) = dims else {
        open.what.push(format!("the model does not say what shape input `{name}` has"));
        open.flags.insert(format!("--shape {}", quote(&format!("{name}=1"))));
        return Ok(None);
    };
    let size = |dim: &Dim| match dim {
        Dim::Fixed(size) => Some(*size),
        Dim::Symbol(symbol) => shapes.get(symbol).and_then(|sizes| sizes.first()).copied(),
        Dim::Unknown => None,
    };
    let settled: Option<Vec<usize>> = dims.iter().map(size).collect();
    if settled.is_none() {
        open.what.push(format!("input `{name}` has shape {}", ShapeText(dims)));
        if dims.contains(&Dim::Unknown) {
            let guess: Vec<_> = dims.iter().map(|dim| size(dim).unwrap_or(1).to_string()).collect();
            open.flags.insert(format!("--shape {}", quote(&format!("{name}={}", guess.join("x")))));
        } else {
            open.flags.extend(
                dims.iter()
                    .filter(|dim| size(dim).is_none())
                    .map(|symbol| format!("--shape {}", quote(&format!("{symbol}=1")))),
            );
        }
    }
    Ok(settled)
}

/// Quoted for a shell where a name would be taken apart by it.
fn quote(text: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "=_-.:/,".contains(c);
    if text.chars().all(plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

fn check_flags(model: &ModelFile, shapes: &BTreeMap<String, Vec<usize>>) -> Result<(), InputError> {
    let mut names = Vec::new();
    let mut symbols = BTreeSet::new();
    for input in &model.inputs {
        names.push(input.name.clone());
        if let ValueKind::Tensor { shape: Some(dims), .. } = &input.kind {
            symbols.extend(dims.iter().filter_map(|dim| match dim {
                Dim::Symbol(symbol) => Some(symbol.clone()),
                _ => None,
            }));
        }
    }
    for (name, given) in shapes.iter().filter(|(name, _)| !names.contains(name)) {
        let what = if !symbols.contains(name) {
            let symbols: Vec<_> = symbols.into_iter().collect();
            format!("the model's inputs are {}, its named dimensions {}", quoted(&names), quoted(&symbols))
        } else if given.len() != 1 {
            "a dimension takes one number".to_owned()
        } else {
            continue;
        };
        return Err(InputError::ShapeFlag { name: name.clone(), given: given.clone(), what });
    }
    Ok(())
}

/// What the integers of an input are, by its name.
enum Integers {
    Ones,
    Zeros,
    Positions,
    Below(u32),
}

impl Integers {
    fn of(name: &str) -> Self {
        let name = name.to_lowercase();
        if name.contains("mask") {
            Integers::Ones
        } else if name.contains("token_type") || name.contains("segment") {
            Integers::Zeros
        } else if name.contains("position") {
            Integers::Positions
        } else if name.ends_with("ids") {
            Integers::Below(100)
        } else {
            Integers::Below(10)
        }
    }
}

fn fill(name: &str, shape: Vec<usize>, dtype: Dtype, rng: &mut ChaCha8Rng) -> Result<Tensor<'static>, TensorError> {
    let count = shape.iter().try_fold(1_usize, |product, &dim| product.checked_mul(dim));
    let Some(count) = count.filter(|count| isize::try_from(count.saturating_mul(8)).is_ok()) else {
        return Err(TensorError::TooLarge { shape });
    };
    let last = shape.last().copied().unwrap_or(1).max(1);
    let kind = Integers::of(name);
    let mut integer = |i: usize| match kind {
        Integers::Ones => 1,
        Integers::Zeros => 0,
        Integers::Positions => (i % last) as u64,
        Integers::Below(limit) => u64::from(rng.next_u32() % limit),
    };
    macro_rules! integers {
        ($type:ty) => {
            // A position beyond what the type can count starts again.
            Tensor::from_values(
                shape,
                &(0..count).map(|i| (integer(i) % <$type>::MAX as u64) as $type).collect::<Vec<_>>(),
            )
        };
    }
    match dtype {
        Dtype::Int8 => integers!(i8),
        Dtype::Int16 => integers!(i16),
        Dtype::Int32 => integers!(i32),
        Dtype::Int64 => integers!(i64),
        Dtype::Uint8 => integers!(u8),
        Dtype::Uint16 => integers!(u16),
        Dtype::Uint32 => integers!(u32),
        Dtype::Uint64 => integers!(u64),
        Dtype::Int4 | Dtype::Uint4 => {
            let mut bytes = vec![0_u8; count.div_ceil(2)];
            (0..count).for_each(|i| bytes[i / 2] |= (integer(i) as u8 & 7) << (i % 2 * 4));
            Tensor::new(dtype, shape, bytes)
        }
        Dtype::Bool => {
            let ones = matches!(kind, Integers::Ones);
            Tensor::from_values(shape, &(0..count).map(|_| ones || rng.next_u32() % 2 == 1).collect::<Vec<_>>())
        }
        Dtype::String => Tensor::from_strings(
            shape,
            &(0..count).map(|_| format!("item-{}", rng.next_u32() % 100)).collect::<Vec<_>>(),
        ),
        Dtype::Float16 => Tensor::from_values(shape, &floats(&kind, count, rng, f16::from_f64)),
        Dtype::Float32 => Tensor::from_values(shape, &floats(&kind, count, rng, |x| x as f32)),
        Dtype::Float64 => Tensor::from_values(shape, &floats(&kind, count, rng, |x| x)),
    }
}

fn floats<T>(kind: &Integers, count: usize, rng: &mut ChaCha8Rng, convert: impl Fn(f64) -> T) -> Vec<T> {
    let ones = matches!(kind, Integers::Ones);
    (0..count).map(|_| convert(if ones { 1.0 } else { standard_normal(rng) })).collect()
}

/// One draw from the standard normal distribution as the sum of twelve uniform ones (Irwin and Hall, 1927): close
/// enough for inputs, and, without a logarithm or cosine, the same to the last bit on every machine.
fn standard_normal(rng: &mut ChaCha8Rng) -> f64 {
    let draws = [rng.next_u64(), rng.next_u64(), rng.next_u64()];
    let uniforms = draws.iter().flat_map(|draw| (0..4).map(move |part| (draw >> (part * 16)) as u16));
    uniforms.map(|part| (f64::from(part) + 0.5) / 65536.0).sum::<f64>() - 6.0
}
