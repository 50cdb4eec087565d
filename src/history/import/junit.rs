//! JUnit XML: tabfleet's own, with what it measured as properties, and others', with the times of tests.

use super::{Machine, Report, Wrong, bare_target, moment};
use crate::{
    history::tables::{ImportedRow, TargetRow, Utc},
    types::Target,
};
use quick_junit::{DeserializeError, NonSuccessKind, Property, Report as Xml, TestCase, TestCaseStatus, TestSuite};
use regex::Regex;
use std::{collections::BTreeSet, time::SystemTime};
use time::OffsetDateTime;

/// A test case that was not skipped is an attempt of the model `CLASS/NAME` on its test suite as the target.
pub(super) fn read(text: &str) -> Result<Report, Wrong> {
    let xml = Xml::deserialize_from_str(&strict(text)?).map_err(|error| wrong(&error))?;
    let Some(started) = xml.timestamp.or_else(|| xml.test_suites.iter().filter_map(|suite| suite.timestamp).min())
    else {
        return Err(Wrong::new("testsuites", "it has no timestamp, and neither has a test suite"));
    };
    let started = moment(OffsetDateTime::from(SystemTime::from(started)));
    let suites = || xml.test_suites.iter().zip(0_u32..);
    let cases = suites().flat_map(|(suite, id)| suite.test_cases.iter().map(move |case| (suite, id, case)));
    let mut results: Vec<_> = cases.filter_map(|(suite, id, case)| row(suite, id, case, started)).collect();
    results.iter_mut().zip(1..).for_each(|(row, job)| row.job = job);
    Ok(Report {
        kind: "junit",
        run: None,
        noted: 0,
        started,
        ended: None,
        tabfleet: xml.name.as_ref().and_then(|name| Some(name.as_str().strip_prefix("tabfleet ")?.to_owned())),
        machine: Machine { name: host_name(&xml.test_suites), ..Machine::default() },
        targets: suites().map(|(suite, id)| described(suite, id)).collect(),
        results,
    })
}

/// The hosts that the test suites say they ran on.
fn host_name(suites: &[TestSuite]) -> Option<String> {
    let of = |suite: &TestSuite| suite.extra.get("hostname").map(|name| name.as_str().to_owned());
    let names: BTreeSet<String> = suites.iter().filter_map(of).filter(|name| !name.is_empty()).collect();
    (!names.is_empty()).then(|| names.into_iter().collect::<Vec<_>>().join(" and "))
}

/// What many write and the parser does not take: one suite without `testsuites` around it, and times without a zone,
/// which are taken for UTC.
fn strict(text: &str) -> Result<String, Wrong> {
    let zoneless = Regex::new(r#"(timestamp="\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?)""#);
    let zoneless = zoneless.map_err(|error| Wrong::new("a pattern", error.to_string()))?;
    let text = zoneless.replace_all(text, "${1}Z\"");
    if text.contains("<testsuites") {
        return Ok(text.into_owned());
    }
    let Some(start) = text.find("<testsuite") else {
        return Err(Wrong::new("the top level", "it is XML without a `testsuites` or `testsuite` element"));
    };
    Ok(format!("<testsuites>{}</testsuites>", &text[start..]))
}

fn wrong(error: &DeserializeError) -> Wrong {
    let path: Vec<_> = error.path().iter().map(ToString::to_string).collect();
    let place = if path.is_empty() { "the top level".to_owned() } else { path.join("/") };
    Wrong::new(place, error.kind().to_string())
}

fn described(suite: &TestSuite, target_id: u32) -> TargetRow {
    let property = |name: &str| property(&suite.properties, name).map(str::to_owned);
    let (runtime, runtime_version) = property("runtime").map_or((None, None), |both| match both.rsplit_once(' ') {
        Some((name, version)) => (Some(name.to_owned()), Some(version.to_owned())),
        None => (Some(both), None),
    });
    TargetRow {
        // With its version.
        product: property("product"),
        driver: property("driver"),
        adapter_description: property("adapter"),
        webnn_device: property("webnn_device"),
        threads: property("threads").and_then(|threads| threads.parse().ok()),
        runtime,
        runtime_version,
        ..bare_target(target_id, suite.name.as_str())
    }
}

fn property<'a>(properties: &'a [Property], name: &str) -> Option<&'a str> {
    properties.iter().find(|property| property.name.as_str() == name).map(|property| property.value.as_str())
}

fn row(suite: &TestSuite, target_id: u32, case: &TestCase, happened_at: Utc) -> Option<ImportedRow> {
    let (category, message) = match &case.status {
        TestCaseStatus::Success { .. } => (None, None),
        TestCaseStatus::NonSuccess { kind, message, .. } => {
            let kind = if *kind == NonSuccessKind::Failure { "failure" } else { "error" };
            (Some(kind.to_owned()), message.as_ref().map(|message| message.as_str().to_owned()))
        }
        TestCaseStatus::Skipped { .. } => return None,
    };
    let number = |name: &str| property(&case.properties, name)?.parse::<f64>().ok().filter(|number| number.is_finite());
    // JUnit's times end at the millisecond: a 0 was not measured.
    let time = case.time.map(|time| time.as_secs_f64() * 1e3).filter(|ms| *ms > 0.0);
    let class = case.classname.as_ref().map(|class| format!("{}/", class.as_str())).unwrap_or_default();
    Some(ImportedRow {
        happened_at,
        attempt: 1,
        target_id: Some(target_id),
        target: suite.name.as_str().to_owned(),
        model: format!("{class}{}", case.name.as_str()),
        success: category.is_none(),
        create_ms: number("load_ms"),
        run_ms: number("run_ms").or(time),
        category,
        message,
        operation: if suite.name.as_str().parse::<Target>().is_ok() { "infer" } else { "test" }.to_owned(),
        ..ImportedRow::default()
    })
}
