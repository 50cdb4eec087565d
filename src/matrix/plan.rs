//! What is run where, and in which order.

use super::{Expectations, Past, expectations::Subject};
use crate::{
    onnx::{Case, ModelFile, ValueKind},
    report::{CaseResult, CaseRow, PairRow, TargetBuild, TargetRow},
};
use std::{
    cmp::Reverse,
    collections::{BTreeSet, HashMap, HashSet},
};

/// A case, and what is said of it in reports.
#[derive(Clone, Debug)]
pub struct Planned {
    /// The case.
    pub case: Case,
    /// Its model's operators and types.
    pub row: CaseRow,
}

impl Planned {
    /// Reads the case's model for its operators and types. A model that cannot be read has none; why not is told when the
    /// case is run.
    pub fn read(case: Case) -> Self {
        let mut row = CaseRow {
            suite: case.suite.clone(),
            case: case.name.clone(),
            operators: Vec::new(),
            opset: None,
            types: Vec::new(),
        };
        if let Ok(model) = ModelFile::read(&case.model) {
            let kinds = model.inputs.iter().chain(&model.outputs).map(|value| match &value.kind {
                ValueKind::Tensor { dtype, .. } => dtype.to_string(),
                ValueKind::Unsupported { what } => bare(what).to_owned(),
            });
            row.types = kinds.collect::<BTreeSet<_>>().into_iter().collect();
            row.opset = model.opsets.get("ai.onnx").copied();
            row.operators = model.operators.into_iter().collect();
        }
        Self { case, row }
    }
}

/// `a tensor of bfloat16` is told as `bfloat16`, `a sequence` as `sequence`.
fn bare(what: &str) -> &str {
    let starts = ["a tensor of ", "an ", "a "];
    starts.into_iter().find_map(|start| what.strip_prefix(start)).unwrap_or(what)
}

/// Cases on targets, by name: those that have a result already, say, or those that failed.
#[derive(Clone, Debug, Default)]
pub struct Pairs(HashSet<PairRow>);

impl<'a> FromIterator<&'a CaseResult> for Pairs {
    fn from_iter<I: IntoIterator<Item = &'a CaseResult>>(results: I) -> Self {
        results.into_iter().map(PairRow::from).collect()
    }
}

impl FromIterator<PairRow> for Pairs {
    fn from_iter<I: IntoIterator<Item = PairRow>>(pairs: I) -> Self {
        Self(pairs.into_iter().collect())
    }
}

impl Pairs {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn contains(&self, case: &CaseRow, column: TargetBuild<'_>) -> bool {
        self.0.contains(&PairRow {
            suite: case.suite.clone(),
            case: case.case.clone(),
            target: column.target,
            build: column.build.map(str::to_owned),
        })
    }
}

/// What a plan is made by, besides cases and targets.
#[derive(Clone, Debug, Default)]
pub struct PlanOptions {
    /// What has a result already.
    pub done: Pairs,
    /// What alone is run; without it, everything.
    pub only: Option<Pairs>,
    /// Whether the most informative cases come first, and not those of the suite's order.
    pub informative_first: bool,
}

/// What is run where, and in which order.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The cases.
    pub cases: Vec<Planned>,
    /// What earlier runs found.
    pub past: Past,
    /// For each target, the numbers of its cases in order.
    pub(super) first: Vec<Vec<usize>>,
    /// For each target, those that are known to end what runs them: they come last, one at a time in a browser that has
    /// nothing else to do.
    pub(super) last: Vec<Vec<usize>>,
}

impl Plan {
    /// Every case on every target, but for what the options say.
    pub fn new(
        cases: Vec<Planned>,
        targets: &[TargetRow],
        past: Past,
        expectations: Option<&Expectations>,
        options: &PlanOptions,
    ) -> Self {
        let uses = Uses::of(&cases);
        let lanes = targets.iter().map(|target| {
            let column = target.column();
            let wanted = |row: &CaseRow| {
                !options.done.contains(row, column)
                    && options.only.as_ref().is_none_or(|only| only.contains(row, column))
            };
            let mut numbers: Vec<usize> = (0..cases.len()).filter(|number| wanted(&cases[*number].row)).collect();
            if options.informative_first {
                numbers.sort_by_key(|number| {
                    let row = &cases[*number].row;
                    (past.rank(row, column, target.version.as_deref()), Reverse(uses.most(row)))
                });
            }
            numbers.into_iter().partition(|number| {
                let case = &cases[*number].row;
                let expected = expectations.is_some_and(|known| known.may_crash(Subject { case, target }));
                !expected && !past.ended_it(case, column)
            })
        });
        let (first, last) = lanes.collect::<Vec<(Vec<usize>, Vec<usize>)>>().into_iter().unzip();
        Self { cases, past, first, last }
    }

    /// How many results there will be.
    pub fn len(&self) -> usize {
        self.first.iter().chain(&self.last).map(Vec::len).sum()
    }

    /// Whether there is nothing to run.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// In how many cases each operator is used.
struct Uses(HashMap<String, usize>);

impl Uses {
    fn of(cases: &[Planned]) -> Self {
        let mut uses = HashMap::new();
        let operators = cases.iter().flat_map(|planned| &planned.row.operators);
        operators.for_each(|operator| *uses.entry(operator.clone()).or_default() += 1);
        Self(uses)
    }

    fn most(&self, case: &CaseRow) -> usize {
        case.operators.iter().filter_map(|operator| self.0.get(operator)).copied().max().unwrap_or_default()
    }
}
