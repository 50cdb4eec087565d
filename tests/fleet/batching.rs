//! Jobs of one model that run together in real browsers: each has its own answer, its own end, and its own mistakes.

use crate::{
    fleets::{Events, PATIENCE, builder, launched},
    models::{self, count, counting, lookup, mixing, off_the_mean, slow_rows, unary, unique},
    processes::{kill, within},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use tabfleet::{
    fleet::{Fleet, JobError, JobHandle, MetricName, Model, ModelSpec, ModelSpecError, Output, Shards},
    onnx::Suite,
    schedule::Batching,
    types::{Cause, Dtype, EventKind, JobId, Tensor},
};
use tract_onnx::pb::ModelProto;

type Inputs = Vec<(String, Tensor<'static>)>;

/// A fleet of one tab that holds one run at a time, a model in it whose jobs may run together, and another to keep the
/// tab busy with.
struct Bench {
    fleet: Fleet,
    model: Model,
    busy: Model,
    events: Events,
    _folder: tempfile::TempDir,
}

fn batched(path: impl Into<std::path::PathBuf>) -> ModelSpec {
    ModelSpec::onnx(path).batched(Batching { run: Duration::from_secs(5), ..Batching::default() })
}

impl Bench {
    async fn of(proto: &ModelProto) -> Option<Self> {
        let builder = builder(&["chrome/wasm"])?.configure(|config| config.policy.in_flight_per_tab = 1);
        let fleet = builder.launch().await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let model = fleet.get_model(batched(models::save(folder.path(), "rows.onnx", proto))).await.unwrap();
        let counting = models::save(folder.path(), "counting.onnx", &counting());
        let busy = fleet.get_model(ModelSpec::onnx(counting)).await.unwrap();
        busy.run(count(1, 1.0)).await.unwrap();
        let events = Events::of(&fleet);
        Some(Self { fleet, model, busy, events, _folder: folder })
    }

    /// Asks for jobs while the tab is busy: they all wait when it is done.
    async fn ask(&self, jobs: &[Inputs]) -> Vec<JobHandle> {
        let mut events = Events::of(&self.fleet);
        let first = self.busy.try_submit(count(3_000_000, 1.0), self.busy.options()).unwrap();
        all_started(&mut events, [first.id()]).await;
        let submit = |inputs: &Inputs| self.model.try_submit(inputs.clone(), self.model.options()).unwrap();
        let jobs = jobs.iter().map(submit).collect();
        within(PATIENCE, "the tab to be free", first).await.unwrap();
        jobs
    }

    async fn run(&self, jobs: &[Inputs]) -> Vec<Result<Output, JobError>> {
        let handles = self.ask(jobs).await;
        within(PATIENCE, "all answers", futures::future::join_all(handles)).await
    }
}

/// Waits until each of these jobs was given to a tab.
async fn all_started(events: &mut Events, jobs: impl IntoIterator<Item = JobId>) {
    let mut missing: BTreeSet<JobId> = jobs.into_iter().collect();
    while !missing.is_empty() {
        let pick = |kind: &EventKind| match kind {
            EventKind::AttemptStarted { job, .. } => Some(*job),
            _ => None,
        };
        missing.remove(&events.next("a job to be given to a tab", pick).await);
    }
}

fn floats(name: &str, shape: &[usize], values: &[f32]) -> Inputs {
    vec![(name.to_owned(), Tensor::from_values(shape, values).unwrap())]
}

fn values(output: &Output) -> Vec<f32> {
    output.get("y").unwrap().to_vec().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_alike_runs_together_and_everybody_gets_their_own_rows() {
    let Some(bench) = Bench::of(&unary("Neg", Dtype::Float32, 2)).await else { return };
    let alone = bench.model.run(floats("x", &[1, 3], &[1.0, 2.0, 3.0])).await.unwrap();
    assert_eq!((alone.provenance.browser().unwrap().batch, values(&alone)), (1, vec![-1.0, -2.0, -3.0]));

    let jobs: Vec<(usize, usize)> = vec![(1, 3), (2, 3), (5, 3), (2, 4), (1, 3), (3, 3), (1, 4), (7, 1)];
    let numbers = |job: usize| move |n| (1000 * job + n) as f32;
    let inputs: Vec<Inputs> = jobs
        .iter()
        .enumerate()
        .map(|(job, (rows, columns))| {
            floats("x", &[*rows, *columns], &(0..rows * columns).map(numbers(job)).collect::<Vec<_>>())
        })
        .collect();
    let outputs: Vec<Output> = bench.run(&inputs).await.into_iter().map(Result::unwrap).collect();
    for (job, (output, (rows, columns))) in outputs.iter().zip(&jobs).enumerate() {
        let expected: Vec<f32> = (0..rows * columns).map(numbers(job)).map(|x: f32| -x).collect();
        assert_eq!(output.get("y").unwrap().shape(), [*rows, *columns]);
        assert_eq!(values(output), expected, "bit by bit");
    }
    let batches: Vec<u32> = outputs.iter().map(|output| output.provenance.browser().unwrap().batch).collect();
    // How many go together once a run was measured depends on how long it took: here, the two of four columns.
    let pair = batches[3];
    assert!((1..=2).contains(&pair), "{batches:?}");
    assert_eq!(batches, [5, 5, 5, pair, 5, 5, pair, 1], "nobody runs with other columns");
    let together: Vec<&Output> =
        outputs.iter().filter(|output| output.provenance.browser().unwrap().batch == 5).collect();
    let runs: Vec<f64> = together.iter().map(|output| output.timings.run_ms).collect();
    assert!(runs.windows(2).all(|pair| pair[0] == pair[1]), "one run: {runs:?}");
    let waits = together.iter().map(|output| output.timings.queue_ms);
    assert!(waits.clone().is_sorted_by(|a, b| a > b), "who came later waited less: {:?}", waits.collect::<Vec<_>>());

    let metrics = bench.fleet.metrics().await.unwrap();
    let runs = if pair == 2 { 4.0 } else { 5.0 };
    assert_eq!(metrics.get(MetricName::BatchJobs, &["chrome/wasm"]), Some(runs), "of 1, {batches:?}: {metrics}");
    assert_eq!(metrics.get(MetricName::JobsEnded, &["result"]), Some(11.0));
    bench.fleet.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_net_answers_a_batch_as_it_answers_each_row() {
    let Some(fleet) = launched(&["chrome/wasm"]).await else { return };
    let case = Suite::builtin().unwrap().cases.into_iter().find(|case| case.name == "mlp-dynamic").unwrap();
    let case = case.load().unwrap();
    let alone = fleet.get_model(ModelSpec::read(case.model.clone())).await.unwrap();
    let together = fleet.get_model(ModelSpec::read(case.model.clone()).batched(Batching::default())).await.unwrap();
    let (name, features) = &case.sets[0].0[0];
    let row = |n: usize| vec![(name.clone(), features.rows(n % 3..n % 3 + 1).unwrap())];
    let mut expected = Vec::new();
    for n in 0..3 {
        expected.push(alone.run(row(n)).await.unwrap().tensors);
    }
    let answers = fleet.execute_concurrent((0..100).map(|n| (&together, row(n)))).await;
    let mut most = 0;
    for (n, answer) in answers.into_iter().enumerate() {
        let output = answer.unwrap();
        most = most.max(output.provenance.browser().unwrap().batch);
        // A matrix product adds in another order for one row than for many: the last bits differ.
        for ((_, got), (_, right)) in output.tensors.iter().zip(&expected[n % 3]) {
            let (got, right) = (got.to_vec::<f32>().unwrap(), right.to_vec::<f32>().unwrap());
            assert_eq!(got.len(), right.len());
            assert!(got.iter().zip(&right).all(|(got, right)| (got - right).abs() <= 1e-5), "{got:?} {right:?}");
        }
    }
    assert!(most > 1, "some ran together");
    fleet.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_bad_job_of_sixteen_fails_alone() {
    let Some(mut bench) = Bench::of(&lookup()).await else { return };
    let place = |place: i64| vec![("i".to_owned(), Tensor::from_values([1], &[place]).unwrap())];
    // The eleventh asks for what is not there.
    let jobs: Vec<Inputs> = (0..16).map(|job| place(if job == 10 { 99 } else { job % 10 })).collect();
    let results = bench.run(&jobs).await;
    for (job, result) in results.iter().enumerate() {
        match result {
            Ok(output) => assert_eq!(values(output), [(job % 10) as f32 * 10.0]),
            Err(error) => assert_eq!((job, error.failure.cause), (10, Cause::ModelRun), "{error}"),
        }
    }
    assert!(results[10].is_err());
    let told = bench.events.so_far();
    let split = told.iter().filter_map(|kind| match kind {
        EventKind::BatchSplit { jobs, .. } => Some(*jobs),
        _ => None,
    });
    // The last two go together unless the two before them, the first that were measured, took long.
    let split: Vec<u32> = split.collect();
    assert!(matches!(split[..], [16, 8, 4] | [16, 8, 4, 2]), "{split:?}");
    let failed = told.iter().filter(|kind| matches!(kind, EventKind::AttemptFailed { .. })).count();
    assert_eq!(failed, 1, "nobody else's attempt was spent");
    assert!(bench.model.run(place(3)).await.is_ok(), "and the fleet goes on");
    bench.fleet.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_killed_with_a_batch_in_flight_loses_and_doubles_no_job() {
    let Some(mut bench) = Bench::of(&slow_rows(1_000_000)).await else { return };
    let inputs: Vec<Inputs> = (0..12_u8).map(|job| floats("x", &[1, 2], &[f32::from(job), 0.5])).collect();
    let handles = bench.ask(&inputs).await;
    let ids: Vec<JobId> = handles.iter().map(JobHandle::id).collect();
    all_started(&mut bench.events, ids.iter().copied()).await;
    let processes = bench.fleet.processes().await.unwrap();
    kill(processes[0].1);
    let outputs = within(2 * PATIENCE, "all answers", futures::future::join_all(handles)).await;
    for (job, output) in outputs.into_iter().enumerate() {
        let output = output.unwrap();
        assert_eq!(values(&output), [-(job as f32), -0.5]);
        assert_eq!(output.failed_attempts, [], "it was nobody's doing");
        assert!(output.provenance.browser().unwrap().batch <= 6, "they went on in halves");
    }
    let mut ends = BTreeMap::<JobId, u32>::new();
    for kind in bench.events.so_far() {
        if let EventKind::JobEnded { job, .. } = kind {
            *ends.entry(job).or_default() += 1;
        }
    }
    assert!(ids.iter().all(|id| ends.get(id) == Some(&1)), "{ends:?}");
    bench.fleet.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_job_leaves_the_others_of_its_run_their_answers() {
    let Some(mut bench) = Bench::of(&slow_rows(1_000_000)).await else { return };
    let inputs: Vec<Inputs> = (0..6_u8).map(|job| floats("x", &[1, 2], &[f32::from(job), 0.5])).collect();
    let handles = bench.ask(&inputs).await;
    all_started(&mut bench.events, handles.iter().map(JobHandle::id)).await;
    handles[0].cancel();
    handles[3].cancel();
    let results = within(PATIENCE, "all ends", futures::future::join_all(handles)).await;
    for (job, result) in results.into_iter().enumerate() {
        match (job, result) {
            (0 | 3, Err(error)) => assert_eq!(error.failure.cause, Cause::Cancelled, "{error}"),
            (0 | 3, Ok(_)) => panic!("it was cancelled"),
            (_, result) => assert_eq!(values(&result.unwrap()), [-(job as f32), -0.5]),
        }
    }
    bench.fleet.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn outputs_that_turn_out_to_be_no_rows_are_given_to_nobody_and_jobs_run_alone() {
    let Some(mut bench) = Bench::of(&unique()).await else { return };
    let inputs: Vec<Inputs> = (0..4_u8).map(|job| floats("x", &[2], &[f32::from(job); 2])).collect();
    for _ in 0..2 {
        for (job, result) in bench.run(&inputs).await.into_iter().enumerate() {
            let output = result.unwrap();
            assert_eq!((values(&output), output.provenance.browser().unwrap().batch), (vec![job as f32], 1));
        }
    }
    let split = bench.events.so_far().iter().filter(|kind| matches!(kind, EventKind::BatchSplit { .. })).count();
    assert_eq!(split, 1, "it is tried once");
    bench.fleet.close().await.unwrap();
}

/// Of jobs that are the same or not: what a softmax over the batch makes 1 of for a row alone; what the first row of a
/// running sum has not to do with; and what the largest alone keeps.
#[tokio::test(flavor = "multi_thread")]
async fn a_model_whose_rows_depend_on_each_other_is_found_out_and_its_jobs_run_alone() {
    for (op_type, is_same) in [("Softmax", true), ("CumSum", false), ("Hardmax", true)] {
        let Some(mut bench) = Bench::of(&mixing(op_type)).await else { return };
        let number = |job: u8| if is_same { 3.0 } else { f32::from(job) };
        let inputs: Vec<Inputs> = (0..6_u8).map(|job| floats("x", &[1, 2], &[number(job), 0.5])).collect();
        for _ in 0..2 {
            for (job, result) in (0_u8..).zip(bench.run(&inputs).await) {
                let output = result.unwrap();
                let alone = if op_type == "CumSum" { vec![number(job), 0.5] } else { vec![1.0, 1.0] };
                assert_eq!((values(&output), output.provenance.browser().unwrap().batch), (alone, 1), "{op_type}");
                assert_eq!(output.failed_attempts, [], "it was nobody's doing");
            }
        }
        let told = bench.events.so_far();
        let refused = told.iter().filter_map(|kind| match kind {
            EventKind::BatchingRefused { why, .. } => Some(why),
            _ => None,
        });
        let refused: Vec<&String> = refused.collect();
        assert_eq!(refused.len(), 1, "{op_type}: it is told once");
        assert!(refused[0].contains("output `y` at [0, 0] is"), "{refused:?}");
        let metrics = bench.fleet.metrics().await.unwrap();
        assert_eq!(metrics.get(MetricName::BatchingRefused, &["chrome/wasm"]), Some(1.0));
        bench.fleet.close().await.unwrap();
    }
}

/// A mean over like rows is each of them: that it is of all of them shows when they differ.
#[tokio::test(flavor = "multi_thread")]
async fn jobs_that_are_all_the_same_prove_nothing_of_others() {
    let Some(bench) = Bench::of(&off_the_mean()).await else { return };
    let same: Vec<Inputs> = (0..4).map(|_| floats("x", &[1, 2], &[1.0, 2.0])).collect();
    let others: Vec<Inputs> = (0..4_u8).map(|job| floats("x", &[1, 2], &[f32::from(job), 2.0])).collect();
    for (inputs, batch) in [(&same, 4), (&same, 4), (&others, 1), (&same, 1)] {
        for result in bench.run(inputs).await {
            let output = result.unwrap();
            assert_eq!((values(&output), output.provenance.browser().unwrap().batch), (vec![0.0, 0.0], batch));
        }
    }
    bench.fleet.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn models_that_cannot_be_batched_are_refused_with_the_reason() {
    let Some(fleet) = launched(&["chrome/wasm"]).await else { return };
    let folder = tempfile::tempdir().unwrap();
    let fixed = models::save(folder.path(), "fixed.onnx", &counting());
    let error = fleet.get_model(batched(&fixed)).await.err().unwrap();
    let ModelSpecError::Batching { model, source } = &error else { panic!("{error}") };
    assert_eq!((model.as_str(), source.to_string().contains("dynamic batch axis")), ("fixed", true), "{source}");
    let rows = models::save(folder.path(), "rows.onnx", &unary("Neg", Dtype::Float32, 2));
    let in_stages = fleet.get_model(batched(rows).sharded(Shards::layers(1))).await.err().unwrap();
    let opaque = ModelSpec::opaque(&fixed).batched(Batching::default());
    let opaque = fleet.get_model(opaque).await.err().unwrap();
    for error in [in_stages, opaque] {
        assert!(matches!(error, ModelSpecError::NotBatched { .. }), "{error}");
    }
    fleet.close().await.unwrap();
}
