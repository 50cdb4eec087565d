//! The number of tabs follows the load.

use crate::{
    fleets::{Events, PATIENCE, builder, target},
    models::{self, count, counting},
    processes::within,
};
use futures::{StreamExt, stream};
use std::time::Duration;
use tabfleet::{
    fleet::{MetricName, ModelSpec},
    types::EventKind,
};

/// So many additions take some tens of milliseconds.
const ADDITIONS: i64 = 20_000;

#[tokio::test(flavor = "multi_thread")]
async fn tabs_come_while_jobs_wait_and_go_when_none_do() {
    let Some(builder) = builder(&["chrome/wasm"]) else { return };
    let fleet = builder.tabs(1..=3).configure(|config| {
        config.policy.scaling.down_after = Duration::from_secs(1);
        (config.threads, config.job_deadline) = (1, 4 * PATIENCE);
    });
    let fleet = fleet.launch().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = models::save(folder.path(), "counting.onnx", &counting());
    let model = fleet.get_model(ModelSpec::onnx(path)).await.unwrap();
    let mut events = Events::of(&fleet);
    let scaled = |kind: &EventKind| match kind {
        EventKind::Scaled { target: of, from, to, .. } => Some((*of, *from, *to)),
        _ => None,
    };
    let load = async {
        let jobs = stream::repeat_with(|| model.run(count(ADDITIONS, 1.0))).buffer_unordered(8);
        jobs.for_each(|result| async {
            let sum = result.unwrap().get("y").unwrap().to_vec::<f32>().unwrap();
            assert_eq!(sum, [ADDITIONS as f32]);
        })
        .await;
    };
    let first = async {
        let change = events.next("another tab", scaled).await;
        let ready = |kind: &EventKind| matches!(kind, EventKind::TabReady { .. }).then_some(());
        events.next("it to be ready", ready).await;
        change
    };
    // What is under way when the load ends is cancelled.
    let first = tokio::select! {
        first = first => first,
        () = load => unreachable!("it goes on for ever"),
    };
    assert_eq!(first, (target("chrome/wasm"), 1, 2));
    let mut tabs = first.2;
    while tabs > 1 {
        let (_, from, to) = events.next("a tab to go", scaled).await;
        assert!(from == tabs && to.abs_diff(from) == 1 && (1..=3).contains(&to), "{tabs}: {from} to {to}");
        tabs = to;
    }
    let one = async { while fleet.tabs().await.unwrap().len() > 1 {} };
    within(PATIENCE, "one tab to be left", one).await;
    model.run(count(10, 1.0)).await.unwrap();
    let metrics = fleet.metrics().await.unwrap();
    assert!(metrics.get(MetricName::Scalings, &["chrome/wasm", "up"]).is_some_and(|times| times >= 1.0), "{metrics}");
    assert_eq!(metrics.get(MetricName::TabsWanted, &["chrome/wasm"]), Some(1.0));
    fleet.close().await.unwrap();
}
