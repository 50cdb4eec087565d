//! Checking that tensors are what a model takes.

use super::value::{Dim, ShapeText, ValueInfo, ValueKind};
use super::{ModelFile, Pipeline};
use crate::types::{Dtype, Tensor, TensorError};
use std::collections::{BTreeMap, BTreeSet};

/// Inputs that a model cannot take.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InputError {
    /// The names are not the model's.
    #[error("{}; the model's inputs are {}", wrong_names(missing, unknown), quoted(known))]
    Names {
        /// Inputs of the model that were not given.
        missing: Vec<String>,
        /// What was given and is no input of the model, or was given twice.
        unknown: Vec<String>,
        /// Every input of the model.
        known: Vec<String>,
    },
    /// Another element type.
    #[error("input `{name}` takes {expected}, and {given} was given")]
    Dtype {
        /// The input.
        name: String,
        /// What it takes.
        expected: Dtype,
        /// What came.
        given: Dtype,
    },
    /// Another shape.
    #[error("input `{name}` takes shape {}, and {given:?} was given", ShapeText(expected))]
    Shape {
        /// The input.
        name: String,
        /// What it takes.
        expected: Vec<Dim>,
        /// What came.
        given: Vec<usize>,
    },
    /// A named dimension that is not the same everywhere.
    #[error("dimension `{symbol}` is {first_size} in input `{first}` and {second_size} in input `{second}`")]
    Symbol {
        /// The dimension's name.
        symbol: String,
        /// The input that set it.
        first: String,
        /// What it set it to.
        first_size: usize,
        /// The input that says otherwise.
        second: String,
        /// What it says.
        second_size: usize,
    },
    /// An output that cannot stay in a tab to feed an input.
    #[error("output `{output}` cannot be kept for input `{input}`: {what}")]
    Keep {
        /// The output.
        output: String,
        /// The input.
        input: String,
        /// Why not.
        what: String,
    },
    /// An input that no tensor can be given for.
    #[error("input `{name}` is {what}, which the runtime in the browser does not take")]
    Unsupported {
        /// The input.
        name: String,
        /// What it is.
        what: String,
    },
    /// Dimensions that the model leaves open, and that have to be given.
    #[error("{}; add {}", open.join("; "), flags.join(" "))]
    OpenShapes {
        /// What is open, in words.
        open: Vec<String>,
        /// The flags to type, with a guess at the sizes.
        flags: Vec<String>,
    },
    /// A shape was given for what the model does not have, or that it cannot take.
    #[error("--shape {name}={}: {what}", given.iter().map(usize::to_string).collect::<Vec<_>>().join("x"))]
    ShapeFlag {
        /// What it was given for.
        name: String,
        /// The sizes given.
        given: Vec<usize>,
        /// What is wrong, and what would be right.
        what: String,
    },
    /// A tensor that cannot be made.
    #[error("input `{name}` cannot be made")]
    Tensor {
        /// The input.
        name: String,
        /// Why.
        source: TensorError,
    },
}

impl ModelFile {
    /// Checks that `inputs` are what the model takes: names, element types, shapes, and that dimensions of one name
    /// agree across inputs. Inputs of [`ModelFile::defaults`] may be left out.
    ///
    /// # Errors
    /// The first of [`InputError`]'s `Names`, `Unsupported`, `Dtype`, `Shape` and `Symbol` that applies. All missing
    /// and unknown names are told together.
    pub fn check_inputs(&self, inputs: &[(impl AsRef<str>, Tensor<'_>)]) -> Result<(), InputError> {
        check(&self.inputs, &self.defaults, inputs, &[])
    }

    /// As [`check_inputs`](Self::check_inputs), where the inputs called `elsewhere` may be left out, too: they are where
    /// the model runs.
    ///
    /// # Errors
    /// As [`check_inputs`](Self::check_inputs).
    pub fn check_inputs_beside(
        &self,
        inputs: &[(impl AsRef<str>, Tensor<'_>)],
        elsewhere: &[String],
    ) -> Result<(), InputError> {
        check(&self.inputs, &self.defaults, inputs, elsewhere)
    }

    /// Checks that outputs can feed inputs: pairs of both by their names. Each must be the model's, of one type, and no
    /// input fed twice.
    ///
    /// # Errors
    /// [`InputError::Keep`] for the first pair that cannot be.
    pub fn check_keep(&self, pairs: &[(String, String)]) -> Result<(), InputError> {
        let find = |of: &[ValueInfo], name: &str| of.iter().find(|value| value.name == name).cloned();
        for (index, (output, input)) in pairs.iter().enumerate() {
            let from = find(&self.outputs, output);
            let to = find(&self.inputs, input).or_else(|| find(&self.defaults, input));
            let what = match (&from, &to) {
                (None, _) => {
                    let known: Vec<String> = self.outputs.iter().map(|output| output.name.clone()).collect();
                    format!("the model's outputs are {}", quoted(&known))
                }
                (_, None) => {
                    let known: Vec<String> = self.inputs.iter().map(|input| input.name.clone()).collect();
                    format!("the model's inputs are {}", quoted(&known))
                }
                (Some(from), Some(to)) => match (from.kind.dtype(), to.kind.dtype()) {
                    (Some(from), Some(to)) if from != to => format!("one is {from}, and the other {to}"),
                    _ if pairs[..index].iter().any(|(_, earlier)| earlier == input) => "it is fed twice".to_owned(),
                    _ => continue,
                },
            };
            return Err(InputError::Keep { output: output.clone(), input: input.clone(), what });
        }
        Ok(())
    }
}

impl Pipeline {
    /// As [`ModelFile::check_inputs`], of what the pipeline's components take and none of them gives.
    ///
    /// # Errors
    /// As [`ModelFile::check_inputs`].
    pub fn check_inputs(&self, inputs: &[(impl AsRef<str>, Tensor<'_>)]) -> Result<(), InputError> {
        check(&self.plan().inputs, &[], inputs, &[])
    }
}

fn check(
    needed: &[ValueInfo],
    defaults: &[ValueInfo],
    inputs: &[(impl AsRef<str>, Tensor<'_>)],
    elsewhere: &[String],
) -> Result<(), InputError> {
    let takes = |name: &str| needed.iter().chain(defaults).find(|input| input.name == name);
    let mut given = BTreeSet::new();
    let unknown: Vec<String> = (inputs.iter().map(|(name, _)| name.as_ref()))
        .filter(|name| takes(name).is_none() || !given.insert(*name))
        .map(str::to_owned)
        .collect();
    let missing: Vec<String> = (needed.iter().map(|input| input.name.as_str()))
        .filter(|name| !given.contains(name) && !elsewhere.iter().any(|other| other == name))
        .map(str::to_owned)
        .collect();
    if !missing.is_empty() || !unknown.is_empty() {
        let known = needed.iter().chain(defaults).map(|input| input.name.clone()).collect();
        return Err(InputError::Names { missing, unknown, known });
    }
    let mut symbols = BTreeMap::new();
    inputs.iter().try_for_each(|(name, tensor)| match takes(name.as_ref()) {
        Some(input) => check_input(input, tensor, &mut symbols),
        None => Ok(()),
    })
}

fn check_input<'m>(
    input: &'m ValueInfo,
    tensor: &Tensor<'_>,
    symbols: &mut BTreeMap<&'m str, (&'m str, usize)>,
) -> Result<(), InputError> {
    let name = &input.name;
    let (dtype, shape) = match &input.kind {
        ValueKind::Tensor { dtype, shape } => (*dtype, shape),
        ValueKind::Unsupported { what } => {
            return Err(InputError::Unsupported { name: name.clone(), what: what.clone() });
        }
    };
    if tensor.dtype() != dtype {
        return Err(InputError::Dtype { name: name.clone(), expected: dtype, given: tensor.dtype() });
    }
    let Some(dims) = shape else { return Ok(()) };
    let wrong = || InputError::Shape { name: name.clone(), expected: dims.clone(), given: tensor.shape().to_vec() };
    if dims.len() != tensor.shape().len() {
        return Err(wrong());
    }
    for (dim, &size) in dims.iter().zip(tensor.shape()) {
        match dim {
            Dim::Fixed(expected) if *expected != size => return Err(wrong()),
            Dim::Fixed(_) | Dim::Unknown => {}
            Dim::Symbol(symbol) => {
                let (first, first_size) = *symbols.entry(symbol).or_insert((name, size));
                if first_size != size {
                    return Err(InputError::Symbol {
                        symbol: symbol.clone(),
                        first: first.to_owned(),
                        first_size,
                        second: name.clone(),
                        second_size: size,
                    });
                }
            }
        }
    }
    Ok(())
}

fn wrong_names(missing: &[String], unknown: &[String]) -> String {
    let missing = (!missing.is_empty()).then(|| format!("missing: {}", quoted(missing)));
    let unknown = (!unknown.is_empty()).then(|| format!("unknown or given twice: {}", quoted(unknown)));
    missing.into_iter().chain(unknown).collect::<Vec<_>>().join("; ")
}

/// Names for people: `` `x`, `y` ``, or `none`.
pub(super) fn quoted(names: &[String]) -> String {
    match names {
        [] => "none".to_owned(),
        names => names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "),
    }
}
