//! Sessions: state kept in a real tab from call to call, the same answers as when it crosses the wire, and what happens
//! when the tab that holds it dies.

use crate::{
    faults::{counting_on, renderers, trips_for},
    fleets::{Events, PATIENCE, builder, builtin, launched, started, target, with_tabs},
    models::{self, count},
    processes::{kill, within},
};
use std::{collections::BTreeSet, time::Duration};
use tabfleet::{
    fleet::{Fleet, JobError, MetricName, Model, ModelSpec, Output, SessionOptions},
    onnx::{LoadedCase, NamedTensor, Tolerance, compare},
    types::{Cause, EventKind, KeptLocation, Priority, SessionEnd, TabId, Target, Tensor},
};

const MIB: u64 = 1 << 20;

/// Tokens that are decoded, after the eight that the case has in its cache.
const TOKENS: usize = 64;

/// How many positions the model knows: a longer text takes them anew.
const POSITIONS: usize = 32;

/// The suite's decoder step, with caches of any length.
async fn decoder(fleet: &Fleet, folder: &tempfile::TempDir) -> (Model, LoadedCase) {
    let (_, case) = builtin(fleet, "gpt-decoder-step").await;
    let path = models::save(folder.path(), "decoder.onnx", &models::with_any_past(&case.model.path));
    (fleet.get_model(ModelSpec::onnx(path)).await.unwrap(), case)
}

/// Inputs and outputs of the cache, as pairs of what is kept and what it feeds.
fn caches() -> Vec<(String, String)> {
    let roles = |layer| {
        ["key", "value"].map(|role| (format!("present.{layer}.{role}"), format!("past_key_values.{layer}.{role}")))
    };
    (0..2).flat_map(roles).collect()
}

/// All that a step takes beside the cache.
fn token(step: usize) -> Vec<NamedTensor> {
    let past = 8 + step;
    let ids = [(37 * step as i64 + 11) % 256];
    vec![
        ("input_ids".to_owned(), Tensor::from_values([1, 1], &ids).unwrap()),
        ("attention_mask".to_owned(), Tensor::from_values([1, past + 1], &vec![1_i64; past + 1]).unwrap()),
        ("position_ids".to_owned(), Tensor::from_values([1, 1], &[(past % POSITIONS) as i64]).unwrap()),
    ]
}

fn first_cache(case: &LoadedCase) -> Vec<NamedTensor> {
    case.sets[0].0.iter().filter(|(name, _)| name.starts_with("past_key_values")).cloned().collect()
}

/// What each step says, with the cache crossing the wire there and back.
async fn over_the_wire(model: &Model, case: &LoadedCase, on: Target) -> Vec<Tensor<'static>> {
    let mut cache = first_cache(case);
    let mut logits = Vec::new();
    for step in 0..TOKENS {
        let output = model.run_with([token(step), cache].concat(), model.options().pin(on)).await.unwrap();
        let present = |output_name: &str| output.get(output_name).unwrap().clone();
        cache = caches().into_iter().map(|(from, to)| (to, present(&from))).collect();
        logits.push(present("logits"));
    }
    logits
}

fn keeping(model: &Model, on: Target) -> SessionOptions {
    model.options().pin(on).keep(caches())
}

async fn step(model: &Model, case: &LoadedCase, session: &str, step: usize, options: SessionOptions) -> Output {
    let cache = if step == 0 { first_cache(case) } else { Vec::new() };
    model.execute_in_session(session, [token(step), cache].concat(), options).await.unwrap()
}

fn lost(result: Result<Output, JobError>) -> JobError {
    let error = result.unwrap_err();
    assert_eq!(error.failure.cause, Cause::StateLost, "{error}");
    error
}

fn tab_ended(kind: &EventKind) -> Option<TabId> {
    match kind {
        EventKind::TabLost { tab, .. } => Some(*tab),
        _ => None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decoder_that_keeps_its_cache_in_the_tab_says_the_same_bit_for_bit() {
    let targets = ["chrome/wasm", "firefox/wasm"];
    let Some(fleet) = launched(&targets).await else { return };
    let folder = tempfile::tempdir().unwrap();
    let (model, case) = decoder(&fleet, &folder).await;
    let mut right = Vec::new();
    for on in targets {
        right.push(over_the_wire(&model, &case, target(on)).await);
    }
    // Sessions on two tabs take turns, and each goes on where it was.
    let mut tabs = BTreeSet::new();
    for at in 0..TOKENS {
        for (on, right) in targets.iter().zip(&right) {
            for session in ["one", "another"].map(|name| format!("{name} on {on}")) {
                let output = step(&model, &case, &session, at, keeping(&model, target(on))).await;
                assert!(output.get("logits").unwrap() == &right[at], "{session}, step {at}");
                assert_eq!(output.tensors.len(), 1, "the cache stays where it is");
                let kept: Vec<_> = output.kept.iter().map(|kept| (kept.info.shape.clone(), kept.location)).collect();
                assert_eq!(kept, vec![(vec![1, 4, 9 + at, 16], KeptLocation::Memory); 4]);
                tabs.insert((output.provenance.browser().unwrap().target, output.provenance.browser().unwrap().tab));
            }
        }
    }
    assert_eq!(tabs.len(), 2);
    assert!(model.close_session("one on chrome/wasm").await);
    assert!(!model.close_session("one on chrome/wasm").await);
    let late =
        model.execute_in_session("one on chrome/wasm", token(TOKENS), keeping(&model, target("chrome/wasm"))).await;
    assert!(lost(late).failure.message.contains("session `one on chrome/wasm`: the session has no state"));
    let output = step(&model, &case, "one on chrome/wasm", 0, keeping(&model, target("chrome/wasm"))).await;
    assert!(output.get("logits").unwrap() == &right[0][0], "it is begun anew");
    fleet.close().await.unwrap();
}

/// Who wants no limit says so with the longest time there is, which no clock can add to the present.
#[tokio::test(flavor = "multi_thread")]
async fn without_limits_of_time_calls_are_done_as_with_them() {
    let Some(builder) = builder(&["chrome/wasm"]) else { return };
    let fleet = builder
        .configure(|config| {
            (config.job_deadline, config.session_time_to_live) = (Duration::MAX, Duration::MAX);
            (config.launch_timeout, config.command_timeout) = (Duration::MAX, Duration::MAX);
        })
        .launch()
        .await
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (model, case) = decoder(&fleet, &folder).await;
    let forever = || {
        let kept = model.options().deadline(Duration::MAX).keep(caches()).time_to_live(Duration::MAX);
        kept.attempt_timeout(Duration::MAX).queue_timeout(Duration::MAX)
    };
    for at in 0..2 {
        step(&model, &case, "by its options", at, forever()).await;
        step(&model, &case, "by the configuration", at, model.options().keep(caches())).await;
    }
    fleet.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_outlives_the_other_handles_to_its_model_s_file() {
    let Some(fleet) = launched(&["chrome/wasm"]).await else { return };
    let folder = tempfile::tempdir().unwrap();
    let (model, case) = decoder(&fleet, &folder).await;
    let (other, _) = decoder(&fleet, &folder).await;
    let on = target("chrome/wasm");
    let right = over_the_wire(&other, &case, on).await;
    step(&model, &case, "chat", 0, keeping(&model, on)).await;
    drop(other);
    for (at, right) in right.iter().enumerate().skip(1) {
        let output = step(&model, &case, "chat", at, keeping(&model, on)).await;
        assert!(output.get("logits").unwrap() == right, "step {at}");
    }
    fleet.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn on_webgpu_the_cache_stays_in_gpu_buffers() {
    let Some(fleet) = launched(&["chrome/webgpu"]).await else { return };
    let folder = tempfile::tempdir().unwrap();
    let (model, case) = decoder(&fleet, &folder).await;
    let on = target("chrome/webgpu");
    let right = over_the_wire(&model, &case, on).await;
    let tolerance = Tolerance { rtol: 1e-4, atol: 1e-4, rtol_float16: 1e-2, atol_float16: 1e-2 };
    for (at, right) in right.into_iter().enumerate() {
        let output = step(&model, &case, "chat", at, keeping(&model, on)).await;
        assert_eq!(output.kept.len(), 4);
        assert!(output.kept.iter().all(|kept| kept.location == KeptLocation::Gpu), "{:?}", output.kept);
        let right = [("logits".to_owned(), right)];
        assert_eq!(compare(&right, &output.tensors, &tolerance).mismatch.map(|mismatch| mismatch.to_string()), None);
    }
    // What is kept can be read back once it is no longer kept: the last call asks for all.
    let output =
        step(&model, &case, "chat", TOKENS, model.options().keep([("present.0.key", "past_key_values.0.key")])).await;
    assert_eq!((output.tensors.len(), output.kept.len()), (4, 1));
    assert!(model.close_session("chat").await);
    fleet.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn on_webnn_a_state_of_fixed_shape_stays_in_its_tensors() {
    let Some(fleet) = launched(&["edge/webnn"]).await else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = models::save(folder.path(), "running-sum.onnx", &models::running_sum());
    let model = fleet.get_model(ModelSpec::onnx(path)).await.unwrap();
    let numbers = |from: f32| Tensor::from_values([1, 4], &[from, from + 1.0, from + 2.0, from + 3.0]).unwrap();
    for session in ["one", "another"] {
        let mut sum = [0.0_f32; 4];
        for call in 0..8_u8 {
            let mut inputs = vec![("x", numbers(f32::from(call)))];
            if call == 0 {
                inputs.push(("before", Tensor::from_values([1, 4], &[0.0_f32; 4]).unwrap()));
            }
            sum.iter_mut().zip(0_u8..).for_each(|(sum, place)| *sum += f32::from(call + place));
            let options = model.options().keep([("after", "before")]);
            let output = model.execute_in_session(session, inputs, options).await.unwrap();
            let doubled: Vec<f32> = sum.iter().map(|sum| 2.0 * sum).collect();
            assert_eq!(output.get("twice").unwrap().to_vec::<f32>().unwrap(), doubled, "{session}, call {call}");
            let kept: Vec<_> = output.kept.iter().map(|kept| (kept.info.bytes, kept.location)).collect();
            assert_eq!(kept, [(16, KeptLocation::MlTensor)]);
        }
    }
    assert!(model.close_session("one").await);
    fleet.close().await.unwrap();
}

/// WebNN computes graphs of fixed shapes only: what has others runs on the CPU, and its cache stays in memory.
#[tokio::test(flavor = "multi_thread")]
async fn on_webnn_a_cache_that_grows_is_kept_and_says_the_same() {
    let Some(fleet) = launched(&["edge/webnn"]).await else { return };
    let folder = tempfile::tempdir().unwrap();
    let (model, case) = decoder(&fleet, &folder).await;
    let on = target("edge/webnn");
    let right = over_the_wire(&model, &case, on).await;
    for (at, right) in right.iter().enumerate() {
        let output = step(&model, &case, "chat", at, keeping(&model, on)).await;
        let right = [("logits".to_owned(), right.clone())];
        let compared = compare(&right, &output.tensors, &Tolerance::default());
        assert_eq!(compared.mismatch.map(|mismatch| mismatch.to_string()), None, "step {at}");
        assert_eq!(output.kept.len(), 4);
        assert!(output.kept.iter().all(|kept| kept.location == KeptLocation::Memory), "{:?}", output.kept);
        assert_eq!(output.provenance.browser().unwrap().cpu_fallback, Some(true));
    }
    fleet.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_of_a_session_are_done_one_after_the_other_in_the_order_in_which_they_came() {
    let Some(builder) = builder(&["chrome/wasm"]) else { return };
    let fleet = with_tabs(builder, 2).await;
    let folder = tempfile::tempdir().unwrap();
    let model = counting_on(&fleet, &folder).await;
    let call = |trips: i64, x: Option<f32>| {
        let mut inputs = count(trips, x.unwrap_or_default());
        if x.is_none() {
            inputs.pop();
        }
        model.execute_in_session("doubling", inputs, model.options().keep([("y", "x")]))
    };
    call(1, Some(3.0)).await.unwrap();
    let calls = futures::future::join_all((0..12).map(|_| call(2, None))).await;
    let tabs: BTreeSet<TabId> =
        calls.into_iter().map(|output| output.unwrap().provenance.browser().unwrap().tab).collect();
    assert_eq!(tabs.len(), 1);
    let no_more: [(&str, &str); 0] = [];
    let trips = [("trips", Tensor::scalar(1_i64))];
    let last = model.execute_in_session("doubling", trips, model.options().keep(no_more)).await.unwrap();
    assert_eq!(last.get("y").unwrap().to_vec::<f32>().unwrap(), [3.0 * 4096.0]);
    // Nothing was kept for the next.
    let trips = [("trips", Tensor::scalar(1_i64))];
    let error = model.execute_in_session("doubling", trips, model.options().keep(no_more)).await.unwrap_err();
    assert_eq!(error.failure.cause, Cause::BadInput);
    fleet.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tab_killed_in_the_midst_of_a_session_costs_its_state_or_has_it_rebuilt() {
    let Some(builder) = builder(&["chrome/wasm"]) else { return };
    let fleet = with_tabs(builder, 2).await;
    let folder = tempfile::tempdir().unwrap();
    let (decoder, case) = decoder(&fleet, &folder).await;
    let counting = counting_on(&fleet, &folder).await;
    let trips = trips_for(&counting, Duration::from_secs(3)).await;
    let here = target("chrome/wasm");
    let right = over_the_wire(&decoder, &case, here).await;
    let browser = fleet.processes().await.unwrap()[0].1;
    let rebuilt = || keeping(&decoder, here).rebuild_within(MIB);
    for at in 0..4 {
        step(&decoder, &case, "plain", at, keeping(&decoder, here)).await;
        step(&decoder, &case, "rebuilt", at, rebuilt()).await;
    }
    let begin = |name: &'static str, options: SessionOptions| counting.execute_in_session(name, count(3, 1.0), options);
    let kept = || counting.options().keep([("y", "x")]);
    begin("plain", kept()).await.unwrap();
    begin("rebuilt", kept().rebuild_within(MIB)).await.unwrap();

    // Killed while calls are under way.
    let mut events = Events::of(&fleet);
    let long = || [("trips", Tensor::scalar(trips))];
    let plain = counting.execute_in_session("plain", long(), kept());
    let again = counting.execute_in_session("rebuilt", long(), kept().rebuild_within(MIB).time_to_live(PATIENCE));
    let killing = async {
        started(&mut events).await;
        started(&mut events).await;
        renderers(browser).into_iter().for_each(kill);
        events.next("the lost tab", tab_ended).await
    };
    let (plain, again, _) = tokio::join!(plain, again, killing);
    let error = lost(plain);
    assert!(error.failure.message.starts_with("session `plain`: the session's state is gone"), "{error}");
    again.unwrap();
    let no_more: [(&str, &str); 0] = [];
    let options = counting.options().keep(no_more).rebuild_within(MIB);
    let last = counting.execute_in_session("rebuilt", [("trips", Tensor::scalar(1_i64))], options).await.unwrap();
    let sum = (0..trips).fold(0_f32, |sum, _| sum + 3.0);
    assert_eq!(last.get("y").unwrap().to_vec::<f32>().unwrap(), [sum]);

    // Killed between calls: all renderers are gone, and so is every state.
    let plain = decoder.execute_in_session("plain", token(4), keeping(&decoder, here)).await;
    lost(plain);
    for (at, right) in right.iter().enumerate().skip(4) {
        let output = step(&decoder, &case, "rebuilt", at, rebuilt()).await;
        assert!(output.get("logits").unwrap() == right, "step {at}");
    }
    // Who was told may begin anew.
    let output = step(&decoder, &case, "plain", 0, keeping(&decoder, here)).await;
    assert!(output.get("logits").unwrap() == &right[0]);
    fleet.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_lives_as_long_as_it_is_said_to() {
    let Some(fleet) = launched(&["chrome/wasm"]).await else { return };
    let folder = tempfile::tempdir().unwrap();
    let model = counting_on(&fleet, &folder).await;
    let kept = || model.options().keep([("y", "x")]);
    model.execute_in_session("lasting", count(2, 1.0), kept()).await.unwrap();
    model.execute_in_session("fleeting", count(2, 1.0), kept().time_to_live(Duration::ZERO)).await.unwrap();
    let trips = || [("trips", Tensor::scalar(2_i64))];
    let ended = async {
        loop {
            if let Err(error) = model.execute_in_session("fleeting", trips(), kept().time_to_live(Duration::ZERO)).await
            {
                return error;
            }
        }
    };
    let error = within(PATIENCE, "the state's end", ended).await;
    assert_eq!(error.failure.cause, Cause::StateLost, "{error}");
    let no_more: [(&str, &str); 0] = [];
    let output = model.execute_in_session("lasting", trips(), model.options().keep(no_more)).await.unwrap();
    assert_eq!(output.get("y").unwrap().to_vec::<f32>().unwrap(), [4.0]);
    fleet.close().await.unwrap();
}

/// Sessions that do not end by themselves do not keep a worn-out tab for ever.
#[tokio::test(flavor = "multi_thread")]
async fn a_worn_out_tab_goes_after_its_grace_and_its_sessions_are_counted_told_and_rebuilt_elsewhere() {
    let Some(builder) = builder(&["chrome/wasm"]) else { return };
    let fleet = builder
        .configure(|config| {
            let retirement = &mut config.policy.retirement;
            (retirement.jobs, retirement.jobs_not_before) = (20, Duration::ZERO);
            retirement.session_grace = Duration::ZERO;
        })
        .launch()
        .await
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let model = counting_on(&fleet, &folder).await;
    let mut events = Events::of(&fleet);
    let kept = || model.options().keep([("y", "x")]);
    let rebuilt = || kept().rebuild_within(MIB);
    let trips = || [("trips", Tensor::scalar(2_i64))];
    let first = model.execute_in_session("rebuilt", count(2, 1.0), rebuilt()).await.unwrap();
    model.execute_in_session("rebuilt", trips(), rebuilt()).await.unwrap();
    model.execute_in_session("plain", count(2, 1.0), kept()).await.unwrap();
    model.execute_in_session("closed", count(2, 1.0), kept()).await.unwrap();
    assert!(model.close_session("closed").await);
    let health = fleet.health().await.unwrap();
    assert_eq!((health.tabs[0].sessions, health.tabs[0].kept_bytes), (2, 8), "a number each");
    let metrics = fleet.metrics().await.unwrap();
    let of = |name, labels: &[&str]| metrics.get(name, &[&["chrome/wasm"], labels].concat());
    assert_eq!((of(MetricName::Sessions, &[]), of(MetricName::SessionsKept, &[])), (Some(2.0), Some(8.0)));
    assert_eq!(of(MetricName::SessionsBegun, &[]), Some(3.0));
    assert_eq!(of(MetricName::SessionsEnded, &["closed"]), Some(1.0));

    // It wears out, another stands in for it, and then it goes.
    for _ in 0..20 {
        model.run(count(2, 1.0)).await.unwrap();
    }
    for _ in 0..2 {
        let worn =
            |kind: &EventKind| matches!(kind, EventKind::SessionEnded { why: SessionEnd::WornOut, .. }).then_some(());
        events.next("the end of a session", worn).await;
    }
    let error = lost(model.execute_in_session("plain", trips(), kept()).await);
    assert!(error.failure.message.contains("is worn out (it has done "), "{error}");
    let no_more: [(&str, &str); 0] = [];
    let options = model.options().keep(no_more).rebuild_within(MIB);
    let last = model.execute_in_session("rebuilt", trips(), options).await.unwrap();
    assert_eq!(last.get("y").unwrap().to_vec::<f32>().unwrap(), [8.0]);
    let tab = |output: &Output| output.provenance.browser().unwrap().tab;
    assert_ne!(tab(&last), tab(&first));
    let told = |kind: &EventKind| match kind {
        EventKind::SessionRebuilt { calls, .. } => Some(*calls),
        _ => None,
    };
    assert_eq!(events.next("the rebuilt session", told).await, 2);
    fleet.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_session_cannot_do_is_refused_with_what_to_do() {
    let Some(fleet) = launched(&["chrome/wasm"]).await else { return };
    let folder = tempfile::tempdir().unwrap();
    let model = counting_on(&fleet, &folder).await;
    let refused = async |pair: (&str, &str)| {
        let error = model.execute_in_session("s", count(2, 1.0), model.options().keep([pair])).await.unwrap_err();
        assert_eq!(error.failure.cause, Cause::BadInput);
        error.failure.message
    };
    assert_eq!(refused(("z", "x")).await, "output `z` cannot be kept for input `x`: the model's outputs are `y`");
    assert_eq!(
        refused(("y", "z")).await,
        "output `y` cannot be kept for input `z`: the model's inputs are `trips`, `x`"
    );
    assert_eq!(
        refused(("y", "trips")).await,
        "output `y` cannot be kept for input `trips`: one is float32, and the other int64"
    );
    let options = model.options().outputs(["y"]).keep([("y", "x")]);
    let error = model.execute_in_session("s", count(2, 1.0), options).await.unwrap_err();
    assert!(error.failure.message.contains("output `y` is kept"), "{error}");
    // A call that fails leaves the state as it was.
    let kept = || model.options().keep([("y", "x")]).rebuild_within(40);
    model.execute_in_session("s", count(2, 1.0), kept()).await.unwrap();
    let wrong = [("trips", Tensor::scalar(1.0_f32))];
    let error = model.execute_in_session("s", wrong, kept()).await.unwrap_err();
    assert_eq!(error.failure.cause, Cause::BadInput);
    let trips = || [("trips", Tensor::scalar(2_i64))];
    for _ in 0..3 {
        model.execute_in_session("s", trips(), kept()).await.unwrap();
    }
    let error = model.execute_in_session("s", trips(), kept()).await.unwrap_err();
    assert_eq!(error.failure.cause, Cause::MemoryLimit);
    assert!(error.failure.message.contains("would take 44 bytes with this call"), "{error}");
    let not_recorded = || model.options().keep([("y", "x")]);
    model.execute_in_session("s", trips(), not_recorded()).await.unwrap();
    let error = model.execute_in_session("s", trips(), not_recorded().rebuild_within(MIB)).await.unwrap_err();
    assert!(error.failure.message.contains("say so from the first one on"), "{error}");
    let no_more: [(&str, &str); 0] = [];
    let output = model.execute_in_session("s", trips(), model.options().keep(no_more)).await.unwrap();
    assert_eq!(output.get("y").unwrap().to_vec::<f32>().unwrap(), [64.0]);
    fleet.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_cannot_be_rebuilt_to_its_end_leaves_nothing_in_a_tab() {
    let Some(builder) = builder(&["chrome/wasm", "edge/wasm"]) else { return };
    let fleet = builder.configure(|config| config.queue_bytes = 10_000).launch().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let busy = counting_on(&fleet, &folder).await;
    let path = models::save(folder.path(), "largest.onnx", &models::largest());
    let model = fleet.get_model(ModelSpec::onnx(path)).await.unwrap();
    let call = async |count: usize, before: Option<f32>, priority| {
        let number = |numbers: &[f32]| Tensor::from_values([numbers.len()], numbers).unwrap();
        let mut inputs = vec![("x", number(&vec![1.0; count]))];
        inputs.extend(before.map(|before| ("before", number(&[before]))));
        let options = model.options().pin(target("chrome/wasm")).priority(priority);
        model.execute_in_session("s", inputs, options.keep([("after", "before")]).rebuild_within(MIB)).await
    };
    call(1, Some(0.0), Priority::Normal).await.unwrap();
    let output = call(1999, None, Priority::Normal).await.unwrap();
    let mut events = Events::of(&fleet);
    assert!(fleet.cut_socket(output.provenance.browser().unwrap().tab).await.unwrap());
    let lost = |kind: &EventKind| matches!(kind, EventKind::SessionEnded { .. }).then_some(());
    events.next("the state to be lost", lost).await;
    // Beside this the second call has no room as one of low priority.
    let elsewhere = busy.options().pin(target("edge/wasm"));
    let busy = busy.try_submit(count(models::ENDLESS, 1.0), elsewhere).unwrap();
    let error = call(1, None, Priority::Low).await.unwrap_err();
    assert_eq!(error.failure.cause, Cause::QueueFull, "{error}");
    let begun = |kind: &EventKind| matches!(kind, EventKind::SessionBegun { .. }).then_some(());
    events.next("the state to be made anew by the first call", begun).await;
    let held = async || fleet.health().await.unwrap().tabs.iter().map(|tab| tab.sessions).sum::<u32>();
    within(PATIENCE, "a tab without sessions", async { while held().await > 0 {} }).await;
    drop(busy);
    fleet.close().await.unwrap();
}
