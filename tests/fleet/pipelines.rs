//! Models in stages: the same answers as whole, in any mix of browsers, whatever dies meanwhile.

use crate::{
    fleets::{Events, PATIENCE, are_here, builder, started, target, with_tabs},
    models::{self, ENDLESS, count},
    processes::{self, kill},
};
use futures::future::join_all;
use std::{
    collections::BTreeSet,
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    time::Duration,
};
use tabfleet::{
    browser::{Catalogue, Overrides},
    fleet::{Fleet, Inputs, Model, ModelSpec, ModelSpecError, Output, Shards},
    onnx::{LoadedCase, ModelFile, NamedTensor, Suite, Tolerance, compare},
    stats::median,
    types::{Browser, BrowserId, Cause, Dtype, EventKind, Priority, Tensor},
};

fn cases() -> Vec<LoadedCase> {
    let suite = Suite::builtin().unwrap();
    suite.cases.iter().map(|case| case.load().unwrap()).collect()
}

fn case(name: &str) -> LoadedCase {
    Suite::builtin().unwrap().cases.iter().find(|case| case.name == name).unwrap().load().unwrap()
}

fn inputs(given: &[NamedTensor]) -> Inputs<'_> {
    given.iter().map(|(name, tensor): &(String, Tensor<'_>)| (name.as_str(), tensor.view())).collect()
}

async fn sharded(fleet: &Fleet, model: &ModelFile, shards: Shards) -> Result<Model, ModelSpecError> {
    fleet.get_model(ModelSpec::read(model.clone()).sharded(shards)).await
}

fn within(expected: &[NamedTensor], output: &Output, tolerance: f64) {
    let tolerance = Tolerance { rtol: tolerance, atol: tolerance, rtol_float16: 1e-2, atol_float16: 1e-2 };
    if let Some(mismatch) = compare(expected, &output.tensors, &tolerance).mismatch {
        panic!("{mismatch}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_in_stages_answers_as_the_whole_one_bit_for_bit() {
    let Some(builder) = builder(&["chrome/wasm"]) else { return };
    let fleet = with_tabs(builder, 3).await;
    for case in cases() {
        let whole = fleet.get_model(ModelSpec::read(case.model.clone())).await.unwrap();
        let (given, expected) = &case.sets[0];
        let right = whole.run(inputs(given)).await.unwrap();
        within(expected, &right, 1e-3);
        for shards in [Shards::layers(2), Shards::optimal(3), Shards::by_browser(2)] {
            let model = match sharded(&fleet, &case.model, shards.clone()).await {
                Ok(model) => model,
                Err(ModelSpecError::Shards(error)) if error.nearest().is_some() => {
                    println!("{}: {error}", case.model.name);
                    continue;
                }
                Err(error) => panic!("{}: {error}", case.model.name),
            };
            let all = fleet.execute_concurrent((0..6).map(|_| (&model, inputs(given)))).await;
            for output in all {
                let output = output.unwrap();
                assert!(output.tensors == right.tensors, "{} {shards:?}", case.model.name);
                let tabs: BTreeSet<_> =
                    output.stages.iter().map(|stage| stage.provenance.browser().unwrap().tab).collect();
                assert_eq!(tabs.len(), output.stages.len(), "each stage has a tab of its own");
            }
        }
    }
    fleet.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn stages_run_in_any_mix_of_browsers_and_backends() {
    let targets = ["chrome/webgpu", "firefox/wasm", "edge/webnn"];
    let Some(builder) = builder(&targets) else { return };
    let fleet = builder.launch().await.unwrap();
    let case = case("vit");
    let (given, expected) = &case.sets[0];
    let model = sharded(&fleet, &case.model, Shards::optimal(3).on(targets.map(target))).await.unwrap();
    for _ in 0..3 {
        let output = model.run(inputs(given)).await.unwrap();
        within(expected, &output, 1e-4);
        let ran: Vec<_> = output.stages.iter().map(|stage| stage.provenance.browser().unwrap().target).collect();
        assert_eq!(ran, targets.map(target));
    }
    // Pinned, all stages go where the caller says.
    let here = target("firefox/wasm");
    let pinned = model.run_with(inputs(given), model.options().pin(here)).await.unwrap();
    within(expected, &pinned, 1e-4);
    assert!(pinned.stages.iter().all(|stage| stage.provenance.browser().unwrap().target == here));
    fleet.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn several_models_run_as_one_pipeline() {
    let Some(builder) = builder(&["chrome/wasm"]) else { return };
    let fleet = with_tabs(builder, 2).await;
    let folder = tempfile::tempdir().unwrap();
    for (name, op_type) in [("negate.onnx", "Neg"), ("root.onnx", "Sqrt")] {
        models::save(folder.path(), name, &models::unary(op_type, Dtype::Float32, 1));
    }
    let path = folder.path().join("pipeline.toml");
    let text = "components = [
        { name = 'negate', model = 'negate.onnx' },
        { name = 'root', model = 'root.onnx', inputs = { x = 'negate.y' } },
    ]
    outputs = { negated = 'negate.y', root = 'root.y' }";
    std::fs::write(&path, text).unwrap();
    let model = fleet.get_model(ModelSpec::pipeline(&path)).await.unwrap();
    assert_eq!(fleet.warm(&model, 1).await.unwrap(), 2, "both are loaded");
    let x = || Tensor::from_values([2], &[-4.0_f32, -9.0]).unwrap();
    let output = model.run([("x", x())]).await.unwrap();
    assert!(output.stages.iter().all(|stage| stage.timings.create_ms.is_none()), "the first job finds them loaded");
    assert_eq!(output.get("negated").unwrap().to_vec::<f32>().unwrap(), [4.0, 9.0]);
    assert_eq!(output.get("root").unwrap().to_vec::<f32>().unwrap(), [2.0, 3.0]);
    assert_ne!(output.stages[0].provenance.browser().unwrap().tab, output.stages[1].provenance.browser().unwrap().tab);
    let error = model.run([("y", x())]).await.unwrap_err();
    assert_eq!(error.failure.cause, Cause::BadInput);
    assert!(error.failure.message.contains("the model's inputs are `x`"), "{error}");
    let submitted = model.submit([("x", x())], model.options()).await.unwrap();
    submitted.cancel();
    // It may have been answered before.
    if let Err(error) = submitted.await {
        assert_eq!(error.failure.cause, Cause::Cancelled);
    }
    models::save(folder.path(), "root.onnx", &models::unary("NoSuchOperator", Dtype::Float32, 1));
    let broken = fleet.get_model(ModelSpec::pipeline(&path)).await.unwrap();
    let warm = processes::within(PATIENCE, "stages that are loaded or cannot be", fleet.warm(&broken, 1)).await;
    assert_eq!(warm.unwrap(), 1, "one of two can be loaded");
    let error = broken.run([("x", x())]).await.unwrap_err();
    assert_eq!(error.failure.cause, Cause::ModelLoad, "{error}");
    std::fs::write(&path, text.replace("negate.y' }", "negate.z' }")).unwrap();
    let error = fleet.get_model(ModelSpec::pipeline(&path)).await.map(drop).unwrap_err();
    assert!(error.to_string().contains("negate.z"), "{error}");
    fleet.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stage_that_takes_longer_than_was_thought_gives_work_away() {
    let Some(builder) = builder(&["chrome/wasm"]) else { return };
    let fleet = with_tabs(builder, 2).await;
    let folder = tempfile::tempdir().unwrap();
    // To who cannot know how often they go round, the first half is as much work as the second; both that take long are
    // in it.
    let loops = models::loops(&[4_000, 4_000, 10, 10, 10, 10, 10, 10]);
    let path = models::save(folder.path(), "loops.onnx", &loops);
    let shards = Shards::optimal(2).recut_after(Duration::ZERO);
    let model = fleet.get_model(ModelSpec::onnx(path).sharded(shards)).await.unwrap();
    let share_of_slowest = async || {
        let x = || Tensor::from_values([1], &[-4.0_f32]).unwrap();
        let mut stage_ms = vec![Vec::new(); 2];
        for output in fleet.execute_concurrent((0..40).map(|_| (&model, Inputs::from([("y0", x())])))).await {
            let output = output.unwrap();
            assert_eq!(output.get("y8").unwrap().to_vec::<f32>().unwrap(), [4.0]);
            for (all, stage) in stage_ms.iter_mut().zip(&output.stages) {
                all.push(stage.timings.run_ms);
            }
        }
        let medians: Vec<f64> = stage_ms.iter().filter_map(|all| median(all)).collect();
        medians.iter().copied().fold(0.0, f64::max) / medians.iter().sum::<f64>()
    };
    let first = share_of_slowest().await;
    assert!(first > 0.9, "the first plan was thought to be even, and the slowest stage does {first} of the work");
    let evened = async { while share_of_slowest().await > 0.7 {} };
    processes::within(PATIENCE, "stages that share the work", evened).await;
    fleet.close().await.unwrap();
}

/// The process of the browser that a stage of the model ran in last.
async fn process_of(fleet: &Fleet, browser: BrowserId) -> Option<u32> {
    let processes = fleet.processes().await.unwrap();
    processes.iter().find(|(id, _)| *id == browser).map(|(_, pid)| *pid)
}

#[tokio::test(flavor = "multi_thread")]
async fn no_job_is_lost_when_browsers_of_stages_are_killed() {
    let Some(builder) = builder(&["chrome/wasm", "edge/wasm", "firefox/wasm"]) else { return };
    let fleet = builder.launch().await.unwrap();
    let case = case("bert-encoder");
    let (given, _) = &case.sets[0];
    let whole = fleet.get_model(ModelSpec::read(case.model.clone())).await.unwrap();
    let right = whole.run(inputs(given)).await.unwrap().tensors;
    for spares in [0, 1] {
        let shards = Shards::optimal(2).spares(spares).on(["chrome/wasm", "edge/wasm"].map(target));
        let model = sharded(&fleet, &case.model, shards).await.unwrap();
        for stage in 0..2 {
            let before = model.run(inputs(given)).await.unwrap();
            let browser = before.stages[stage].provenance.browser().unwrap().browser_id;
            let pid = process_of(&fleet, browser).await.unwrap();
            let mut events = Events::of(&fleet);
            let jobs = fleet.execute_concurrent((0..200).map(|_| (&model, inputs(given))));
            let killing = async {
                let answered = |kind: &EventKind| match kind {
                    EventKind::AttemptSucceeded { model, .. } => model.name.ends_with("[2/2]").then_some(()),
                    _ => None,
                };
                for _ in 0..6 {
                    events.next("an answer", answered).await;
                }
                kill(pid);
            };
            let (all, ()) = tokio::join!(jobs, killing);
            assert_eq!(all.len(), 200);
            for output in all {
                assert!(output.unwrap().tensors == right);
            }
        }
    }
    fleet.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn when_tabs_are_lost_for_good_the_model_is_cut_anew_or_says_that_nothing_fits() {
    if !are_here(&["chrome/wasm", "firefox/wasm"]) {
        return;
    }
    // A Firefox that can be taken away.
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("firefox");
    let found = Catalogue::embedded().unwrap().find(Browser::Firefox, &Overrides::default().from_env()).unwrap();
    let real = found.binary.unwrap();
    std::fs::write(&program, format!("#!/bin/sh\nexec '{}' \"$@\"\n", real.display())).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let builder = builder(&["chrome/wasm", "firefox/wasm"]).unwrap();
    let builder = builder.configure(|config| {
        config.overrides.binaries.insert(Browser::Firefox, program.clone());
    });
    let fleet = builder.launch().await.unwrap();
    let case = case("bert-encoder");
    let (given, expected) = &case.sets[0];
    let model = sharded(&fleet, &case.model, Shards::optimal(2)).await.unwrap();
    let output = model.run(inputs(given)).await.unwrap();
    assert_eq!(output.stages.len(), 2);
    within(expected, &output, 1e-4);

    // Beside a half of the first there is room for a half of this one, and not for more.
    let weights = std::fs::metadata(&case.model.path).unwrap().len();
    let tight = sharded(&fleet, &case.model, Shards::optimal(2).memory_limit(weights * 5 / 4)).await.unwrap();
    within(expected, &tight.run(inputs(given)).await.unwrap(), 1e-4);

    std::fs::remove_file(&program).unwrap();
    let gone = output
        .stages
        .iter()
        .find(|stage| stage.provenance.browser().unwrap().target.browser == Browser::Firefox)
        .unwrap();
    kill(process_of(&fleet, gone.provenance.browser().unwrap().browser_id).await.unwrap());
    let output = model.run(inputs(given)).await.unwrap();
    within(expected, &output, 1e-4);
    assert!(output.stages.iter().all(|stage| stage.provenance.browser().unwrap().target == target("chrome/wasm")));
    let error = tight.run(inputs(given)).await.unwrap_err();
    assert_eq!(error.failure.cause, Cause::NoTarget, "{error}");
    println!("{error}");
    fleet.close().await.unwrap();
}

/// A model in two stages, the first of which takes as long as it is told to.
async fn counting(fleet: &Fleet) -> Model {
    let folder = tempfile::tempdir().unwrap();
    let path = models::save(folder.path(), "counting.onnx", &models::counting_and_negating());
    fleet.get_model(ModelSpec::onnx(path).sharded(Shards::optimal(2))).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_find_room_in_the_queue_or_are_refused_as_those_of_any_model() {
    let Some(builder) = builder(&["chrome/wasm"]) else { return };
    let fleet = with_tabs(builder.configure(|config| config.queue_limit = 10), 2).await;
    let model = counting(&fleet).await;
    let endless = |priority| model.try_submit(count(ENDLESS, 1.0), model.options().priority(priority));
    let held: Vec<_> = (0..8).map(|_| endless(Priority::Low).unwrap()).collect();
    let refused = endless(Priority::Low).map(|handle| handle.id()).unwrap_err();
    assert_eq!(refused.failure.cause, Cause::QueueFull, "{refused}");
    assert_eq!(refused.overload.unwrap().jobs, 8);
    let low = model.run_with(count(1, 1.0), model.options().priority(Priority::Low)).await.unwrap_err();
    assert_eq!(low.failure.cause, Cause::QueueFull, "it does not wait: {low}");
    let normal = endless(Priority::Normal).unwrap();
    assert!(endless(Priority::Normal).is_err(), "nine of ten");
    let mut waits = Box::pin(model.submit(count(1, 1.0), model.options()));
    assert!(futures::poll!(&mut waits).is_pending(), "it waits for room");
    drop((held, normal));
    let waited = async { waits.await.unwrap().await };
    let output = processes::within(PATIENCE, "room and an answer", waited).await.unwrap();
    assert_eq!(output.get("y").unwrap().to_vec::<f32>().unwrap(), [-1.0]);
    fleet.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_matters_most_goes_through_the_stages_before_the_rest_and_none_waits_longer_than_it_wants_to() {
    const LOW: usize = 200;
    let Some(builder) = builder(&["chrome/wasm"]) else { return };
    let fleet = with_tabs(builder, 2).await;
    let model = counting(&fleet).await;
    let mut events = Events::of(&fleet);
    // As many as may be under way.
    let held: Vec<_> = (0..8).map(|_| model.try_submit(count(ENDLESS, 1.0), model.options()).unwrap()).collect();
    started(&mut events).await;
    let hasty = model.options().queue_timeout(Duration::from_millis(500));
    let hasty = processes::within(PATIENCE, "its end", model.run_with(count(1, 1.0), hasty)).await.unwrap_err();
    assert_eq!(hasty.failure.cause, Cause::QueueFull, "{hasty}");
    assert!(hasty.failure.message.contains("stages stayed full for the 500ms"), "{hasty}");
    let answered = std::sync::Mutex::new(Vec::new());
    let job = async |priority| {
        let handle = model.try_submit(count(1, 1.0), model.options().priority(priority)).unwrap();
        handle.await.unwrap();
        answered.lock().unwrap().push(priority);
    };
    let all = join_all((0..LOW).map(|_| job(Priority::Low)).chain([job(Priority::Critical)]));
    let freed = async { drop(held) };
    processes::within(PATIENCE, "all answers", async { tokio::join!(all, freed) }).await;
    let place = answered.lock().unwrap().iter().position(|priority| *priority == Priority::Critical).unwrap();
    println!("answered after {place} of {LOW}");
    assert!(place < LOW / 2, "a critical job was answered after {place} low ones that came before it");
    fleet.close().await.unwrap();
}

/// A file that lets nobody who opens it read on, until it is dropped.
struct Clogged {
    file: PathBuf,
    kept: PathBuf,
}

impl Clogged {
    fn new(file: &Path) -> Self {
        let kept = file.with_extension("kept");
        std::fs::rename(file, &kept).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(file).status().unwrap().success());
        Self { file: file.to_owned(), kept }
    }

    /// Whether somebody is trying to read it.
    fn holds_somebody(&self) -> bool {
        // Only then it can be opened to be written at once; and who waited is let go by that.
        std::fs::OpenOptions::new()
            .write(true)
            .custom_flags(rustix::fs::OFlags::NONBLOCK.bits() as i32)
            .open(&self.file)
            .is_ok()
    }
}

impl Drop for Clogged {
    fn drop(&mut self) {
        // Whoever comes from now on finds the file as it was; and who waits is let go.
        let clog = self.file.with_extension("clog");
        std::fs::rename(&self.file, &clog).unwrap();
        std::fs::rename(&self.kept, &self.file).unwrap();
        drop(std::fs::OpenOptions::new().read(true).write(true).open(clog).unwrap());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_job_waits_for_files_of_stages_beyond_its_deadline_or_for_those_of_others() {
    let Some(builder) = builder(&["chrome/wasm"]) else { return };
    let fleet = with_tabs(builder, 2).await;
    let folder = tempfile::tempdir().unwrap();
    let weights = folder.path().join("zero.bin");
    std::fs::write(&weights, 0.0_f32.to_le_bytes()).unwrap();
    // Cut where nobody knows how often loops go round, its stages are uneven.
    let loops = models::loops_beside(&[4_000, 4_000, 10, 10, 10, 10, 10, 10], "zero.bin");
    let path = models::save(folder.path(), "loops.onnx", &loops);
    let shards = Shards::optimal(2).recut_after(Duration::ZERO);
    let model = fleet.get_model(ModelSpec::onnx(path).sharded(shards)).await.unwrap();
    let y0 = || Inputs::from([("y0", Tensor::from_values([1], &[-4.0_f32]).unwrap())]);

    let clogged = Clogged::new(&weights);
    let late = model.options().deadline(Duration::from_secs(5));
    let late = processes::within(PATIENCE, "its deadline", model.run_with(y0(), late)).await.unwrap_err();
    assert_eq!(late.failure.cause, Cause::DeadlineExceeded, "{late}");
    assert!(late.failure.message.contains("stages were not made"), "{late}");
    drop(clogged);
    assert!(model.run(y0()).await.is_ok(), "the next has them made");

    let clogged = Clogged::new(&weights);
    let answers = async {
        loop {
            let all = fleet.execute_concurrent((0..40).map(|_| (&model, y0()))).await;
            assert!(all.into_iter().all(|output| output.unwrap().get("sum").is_some()));
            if clogged.holds_somebody() {
                break;
            }
        }
    };
    processes::within(PATIENCE, "answers while the model is being cut anew", answers).await;
    drop(clogged);
    fleet.close().await.unwrap();
}
