//! Activations that go straight from tab to tab: the same answers, and no job lost when the tabs that hold them are.

use crate::{
    fleets::{Events, PATIENCE, builder, with_tabs},
    models,
    processes::{descendants, kill, within},
};
use std::collections::BTreeMap;
use tabfleet::{
    fleet::{Fleet, Inputs, Model, ModelSpec, Output, Shards},
    onnx::{LoadedCase, Suite},
    types::{Cause, EventKind, JobId, TabId, Tensor},
};

const STAGES: usize = 2;

/// Whether all that went from stage to stage went directly: in these models only the next stage needs it.
fn went_directly(output: &Output) -> bool {
    output.stages.iter().skip(1).all(|stage| stage.direct_bytes > 0)
}

/// Runs jobs until what they pass on goes directly: tabs first have to meet.
async fn until_it_goes_directly(model: &Model, inputs: &Inputs<'_>) -> Output {
    let direct = async {
        loop {
            let output = model.run(inputs.clone()).await.unwrap();
            if went_directly(&output) {
                return output;
            }
        }
    };
    within(PATIENCE, "activations to go from tab to tab", direct).await
}

fn case() -> LoadedCase {
    let suite = Suite::builtin().unwrap();
    suite.cases.iter().find(|case| case.name == "bert-encoder").unwrap().load().unwrap()
}

async fn in_stages(fleet: &Fleet, case: &LoadedCase, shards: Shards) -> Model {
    fleet.get_model(ModelSpec::read(case.model.clone()).sharded(shards)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn activations_go_straight_from_tab_to_tab_and_change_nothing() {
    let case = case();
    let inputs: Inputs<'_> =
        case.sets[0].0.iter().map(|(name, tensor): &(String, Tensor<'_>)| (name.as_str(), tensor.view())).collect();
    for browser in ["chrome/wasm", "edge/wasm", "firefox/wasm", "webkit/wasm"] {
        let Some(builder) = builder(&[browser]) else { continue };
        let fleet = with_tabs(builder, STAGES).await;
        let through = in_stages(&fleet, &case, Shards::optimal(STAGES).never_direct()).await;
        let right = through.run(inputs.clone()).await.unwrap();
        assert!(right.stages.iter().all(|stage| stage.direct_bytes == 0));
        let direct = in_stages(&fleet, &case, Shards::optimal(STAGES).direct_from(0)).await;
        assert!(until_it_goes_directly(&direct, &inputs).await.tensors == right.tensors, "{browser}");
        for output in fleet.execute_concurrent((0..20).map(|_| (&direct, inputs.clone()))).await {
            assert!(output.unwrap().tensors == right.tensors, "{browser}");
        }
        // What is smaller than was said goes through the fleet.
        let large = in_stages(&fleet, &case, Shards::optimal(STAGES).direct_from(1 << 30)).await;
        assert!(!went_directly(&large.run(inputs.clone()).await.unwrap()));
        fleet.close().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stages_in_one_tab_need_no_channel() {
    let Some(builder) = builder(&["chrome/wasm"]) else { return };
    let fleet = with_tabs(builder, 1).await;
    let model = first_short_then_long(&fleet, 0).await;
    let output = model.run(x(3)).await.unwrap();
    assert!(went_directly(&output));
    assert_eq!(y(&output), 3.0);
    fleet.close().await.unwrap();
}

/// `y2 = |y0|` in two stages. The second takes so much longer than the first that its tab always has some of what was
/// handed to it when many jobs are run.
async fn first_short_then_long(fleet: &Fleet, spares: usize) -> Model {
    let folder = tempfile::tempdir().unwrap();
    let path = models::save(folder.path(), "loops.onnx", &models::loops(&[10, 20_000]));
    let shards = Shards::optimal(STAGES).direct_from(0).spares(spares);
    fleet.get_model(ModelSpec::onnx(path).sharded(shards)).await.unwrap()
}

fn x(number: usize) -> Inputs<'static> {
    [("y0", Tensor::from_values([1], &[-(number as f32)]).unwrap())].into()
}

fn y(output: &Output) -> f32 {
    output.get("y2").unwrap().to_vec().unwrap()[0]
}

/// What became of many jobs in whose midst something was broken.
struct Turmoil {
    outputs: Vec<Output>,
    /// How often each stage was run with success.
    runs: [usize; STAGES],
}

impl Turmoil {
    /// Runs jobs, and has something broken when the first are through: none is lost, doubled or wrong, and the answers
    /// are in order.
    async fn of(fleet: &Fleet, model: &Model, breaks: impl AsyncFnOnce(Vec<TabId>)) -> Self {
        const JOBS: usize = 60;
        let before = until_it_goes_directly(model, &x(1)).await;
        let (mut events, mut seen) = (Events::of(fleet), Events::of(fleet));
        let jobs = fleet.execute_concurrent((0..JOBS).map(|number| (model, x(number))));
        let breaking = async {
            for _ in 0..6 {
                seen.next("an answer", |kind| (stage_run(kind) == Some(1)).then_some(())).await;
            }
            breaks(before.stages.iter().map(|stage| stage.provenance.browser().unwrap().tab).collect()).await;
        };
        let (outputs, ()) = tokio::join!(jobs, breaking);
        let outputs: Vec<Output> = outputs.into_iter().map(Result::unwrap).collect();
        let right: Vec<f32> = (0..JOBS).map(|number| number as f32).collect();
        assert_eq!(outputs.iter().map(y).collect::<Vec<_>>(), right);
        let (mut runs, mut ends) = ([0; STAGES], BTreeMap::<JobId, usize>::new());
        for kind in events.so_far() {
            stage_run(&kind).into_iter().for_each(|stage| runs[stage] += 1);
            if let EventKind::JobEnded { job, .. } = kind {
                *ends.entry(job).or_default() += 1;
            }
        }
        assert!(ends.values().all(|ends| *ends == 1));
        assert_eq!(runs[1], JOBS, "the last stage's answers are the jobs'");
        Self { outputs, runs }
    }

    /// Whether some of what was handed over had to be had in another way.
    fn had_to_ask(&self) -> bool {
        let mut attempts = self.outputs.iter().flat_map(|output| &output.failed_attempts);
        attempts.any(|attempt| attempt.failure.cause == Cause::StateLost)
    }
}

/// The stage that was run with success.
fn stage_run(kind: &EventKind) -> Option<usize> {
    let EventKind::AttemptSucceeded { model, .. } = kind else { return None };
    ["[1/2]", "[2/2]"].iter().position(|stage| model.name.ends_with(stage))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_loss_of_the_tab_that_was_handed_activations_costs_only_its_own_work() {
    let Some(builder) = builder(&["chrome/wasm"]) else { return };
    let fleet = with_tabs(builder, STAGES + 1).await;
    for spares in [0, 1] {
        let model = first_short_then_long(&fleet, spares).await;
        let breaks = async |tabs: Vec<TabId>| assert!(fleet.cut_socket(tabs[1]).await.unwrap());
        let turmoil = Turmoil::of(&fleet, &model, breaks).await;
        assert!(turmoil.had_to_ask());
        assert_eq!(turmoil.runs[0], turmoil.outputs.len(), "the first stage had nothing to do again");
    }
    fleet.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn no_job_is_lost_with_the_tabs_that_hold_its_activations() {
    let Some(builder) = builder(&["chrome/wasm"]) else { return };
    let fleet = with_tabs(builder, STAGES + 1).await;
    let model = first_short_then_long(&fleet, 0).await;
    let cut = async |tabs: &[TabId]| {
        for tab in tabs {
            assert!(fleet.cut_socket(*tab).await.unwrap());
        }
    };
    // Who handed them on is lost: who was handed them has them.
    Turmoil::of(&fleet, &model, async |tabs| cut(&tabs[..1]).await).await;
    // Both are: they are made again from the jobs' inputs.
    let turmoil = Turmoil::of(&fleet, &model, async |tabs| cut(&tabs).await).await;
    assert!(turmoil.had_to_ask() && turmoil.runs[0] > turmoil.outputs.len());
    fleet.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn no_job_is_lost_when_the_processes_of_its_tabs_are_killed() {
    let Some(builder) = builder(&["chrome/wasm"]) else { return };
    let fleet = with_tabs(builder, STAGES).await;
    let model = first_short_then_long(&fleet, 0).await;
    let (_, browser) = fleet.processes().await.unwrap()[0];
    let renderers = descendants(browser).into_iter().filter(|(_, command)| command.contains("--type=renderer"));
    for (pid, _) in renderers.collect::<Vec<_>>() {
        let breaks = async |_| {
            // One that had nothing to do may have ended by itself.
            let lives = descendants(browser).iter().any(|(other, _)| *other == pid);
            lives.then(|| kill(pid));
        };
        Turmoil::of(&fleet, &model, breaks).await;
    }
    Turmoil::of(&fleet, &model, async |_| kill(browser)).await;
    fleet.close().await.unwrap();
}
