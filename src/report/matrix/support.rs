//! Which operators and operator sets work where.

use super::{CaseRow, MatrixReport, TargetBuild};
use crate::types::{Verdict, names};
use std::collections::{BTreeMap, BTreeSet};

/// What support is told by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SupportBy {
    /// Each operator that a case uses.
    Operator,
    /// The version of ONNX's own operator set that a case imports.
    Opset,
}
names!(SupportBy { Operator = "operator", Opset = "opset" });

/// How many cases of one operator or operator set work on a target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Support {
    /// Cases that pass, on the target's own backend.
    pub passed: usize,
    /// Cases that pass, but with some of the model on the CPU.
    pub passed_partly_on_cpu: usize,
    /// Cases that do not pass.
    pub failed: usize,
    /// Cases that were not tried.
    pub skipped: usize,
}

/// For each name (an operator's, or an operator set's number), for each target.
pub type SupportTable<'a> = BTreeMap<String, BTreeMap<TargetBuild<'a>, Support>>;

impl MatrixReport {
    /// How much of each operator or operator set works on each target. Of an operator that has cases of its own only those
    /// count: what fails in a larger model may be another operator's doing. Without such a case those of all models that
    /// use it count.
    pub fn support(&self, by: SupportBy) -> SupportTable<'_> {
        let cases: BTreeMap<(&str, &str), &CaseRow> =
            self.cases.iter().map(|row| ((&*row.suite, &*row.case), row)).collect();
        let alone: BTreeSet<&str> = self.cases.iter().filter_map(CaseRow::only_operator).collect();
        let mut table = SupportTable::new();
        for (case, results) in self.by_case() {
            let Some(row) = cases.get(&case) else { continue };
            let names = match by {
                SupportBy::Operator if row.only_operator().is_some() => row.operators.clone(),
                SupportBy::Operator => row.operators.iter().filter(|name| !alone.contains(&***name)).cloned().collect(),
                // With a leading space, numbers are in order.
                SupportBy::Opset => row.opset.iter().map(|opset| format!("{opset:>2}")).collect(),
            };
            for name in names {
                let columns = table.entry(name).or_default();
                for (column, result) in &results {
                    let support: &mut Support = columns.entry(*column).or_default();
                    match result.verdict {
                        Verdict::Pass if result.cpu_fallback == Some(true) => support.passed_partly_on_cpu += 1,
                        Verdict::Pass => support.passed += 1,
                        Verdict::Skipped | Verdict::Unavailable => support.skipped += 1,
                        _ => support.failed += 1,
                    }
                }
            }
        }
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn a_case_counts_for_its_operator_or_for_those_that_have_no_case_of_their_own() {
        let mut report = sample::matrix();
        let row = |case: &str, operators: &[&str], opset| CaseRow {
            suite: "sample".into(),
            case: case.into(),
            operators: operators.iter().map(|operator| (*operator).to_owned()).collect(),
            opset: Some(opset),
            types: Vec::new(),
        };
        report.cases = vec![
            row("resize_linear", &["Resize", "Cast"], 19),
            row("gelu", &["Gelu"], 9),
            row("string_split", &["StringSplit"], 20),
        ];
        let by_operator = report.support(SupportBy::Operator);
        let on = |name: &str, target: &str| by_operator[name][&target.parse::<crate::types::Target>().unwrap().into()];
        assert_eq!(on("Resize", "chrome/webgpu"), Support { passed_partly_on_cpu: 1, ..Support::default() });
        assert_eq!(on("Cast", "chrome/webgpu"), Support { passed_partly_on_cpu: 1, ..Support::default() });
        assert_eq!(on("Gelu", "edge/webnn"), Support { failed: 1, ..Support::default() });
        assert_eq!(on("StringSplit", "edge/webnn"), Support { skipped: 1, ..Support::default() });
        // Of Gelu, which has a case of its own, no other tells anything.
        report.cases[0].operators.push("Gelu".into());
        let by_operator = report.support(SupportBy::Operator);
        let gelu = &by_operator["Gelu"][&"chrome/webgpu".parse::<crate::types::Target>().unwrap().into()];
        assert_eq!(*gelu, Support { passed: 1, ..Support::default() });
        assert_eq!(report.support(SupportBy::Opset).into_keys().collect::<Vec<_>>(), [" 9", "19", "20"]);
    }
}
