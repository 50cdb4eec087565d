//! What running jobs together gains when many wait, and what it costs a caller who has only one.

use crate::{
    Failed,
    table::{Bar, Row, median},
    workload::{self, Workload},
};
use tabfleet::{
    fleet::{MetricName, ModelSpec},
    onnx::{NamedTensor, Suite},
    schedule::Batching,
};

/// Jobs under way when there are many.
const MANY: usize = 64;

/// The suite's perceptron with a dynamic batch axis, a row a job, in one tab: with batching over without.
pub async fn measure() -> Result<[Row; 2], Failed> {
    let fleet = workload::launch(1).await?;
    let suite = Suite::builtin()?;
    let case = suite.cases.iter().find(|case| case.name == "mlp-dynamic").ok_or("no such case")?.load()?;
    let (name, rows) = case.sets[0].0.first().ok_or("it has no input")?;
    let inputs = vec![(name.clone(), rows.rows(0..1).ok_or("it has no rows")?)];
    let first_row = |(name, rows): &NamedTensor| Some((name.clone(), rows.rows(0..1)?));
    let expected: Vec<NamedTensor> = case.sets[0].1.iter().filter_map(first_row).collect();
    let spec = || ModelSpec::read(case.model.clone());
    let off = Workload { model: fleet.get_model(spec()).await?, inputs: inputs.clone(), expected: expected.clone() };
    let on = Workload { model: fleet.get_model(spec().batched(Batching::default())).await?, inputs, expected };
    for workload in [&off, &on] {
        workload.rate(2_000, MANY).await?;
    }
    let (mut alone, mut together, mut one_off, mut one_on) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..9 {
        alone.push(off.rate(2_000, MANY).await?);
        together.push(on.rate(8_000, MANY).await?);
        // A few runs, so that it has been forgotten that there were many.
        on.rate(100, 1).await?;
        one_off.extend(off.round_trips(200).await?.iter().map(|(total, _)| *total));
        one_on.extend(on.round_trips(200).await?.iter().map(|(total, _)| *total));
    }
    let metrics = fleet.metrics().await?;
    let target = workload::TARGET.to_string();
    let efficiency = metrics.get(MetricName::BatchEfficiency, &[&target]).unwrap_or(f64::NAN);
    fleet.close().await?;
    let [alone, together, one_off, one_on] = [&alone, &together, &one_off, &one_on].map(|values| median(values));
    Ok([
        Row {
            measure: "64 jobs of a small perceptron under way, one tab: batching over none",
            bar: Bar::AtLeast(3.0),
            value: together / alone,
            numbers: format!("{together:.0}/s; without {alone:.0}/s; batch efficiency {efficiency:.1}"),
        },
        Row {
            measure: "the same with one job at a time: what batching costs who has nobody to wait for",
            bar: Bar::AtMost(1.1),
            value: one_on / one_off,
            numbers: format!("{one_on:.3} ms; without {one_off:.3} ms"),
        },
    ])
}
