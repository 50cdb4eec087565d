//! A runtime of one's own in the place of ONNX Runtime Web.

use crate::fleets::{builder, target};
use std::path::Path;
use tabfleet::{
    fleet::ModelSpec,
    types::{Cause, Tensor},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_runtime_of_ones_own_computes_on_webgpu() {
    let Some(builder) = builder(&["chrome/webgpu"]) else { return };
    let module = Path::new(env!("CARGO_MANIFEST_DIR")).join("harness-pages/examples/webgpu-scale.js");
    let fleet = builder.custom_runtime(module).launch().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("triple.json");
    std::fs::write(&path, r#"{"op": "scale", "factor": 3}"#).unwrap();
    let triple = fleet.get_model(ModelSpec::opaque(&path)).await.unwrap();
    assert_eq!((triple.name(), triple.file()), ("triple", None));

    let values: Vec<f32> = (0..100_000).map(|n| n as f32 - 50_000.0).collect();
    let x = Tensor::from_values([100, 1000], &values).unwrap();
    let output = triple.run([("x", x)]).await.unwrap();
    let y = output.get("y").unwrap();
    assert_eq!(y.shape(), [100, 1000]);
    assert_eq!(y.to_vec::<f32>().unwrap(), values.iter().map(|x| 3.0 * x).collect::<Vec<_>>());
    let info = &output.provenance.browser().unwrap().info;
    let runtime = info.runtime.as_ref().unwrap();
    assert_eq!((runtime.name.as_str(), runtime.version.as_str()), ("webgpu-scale", "1.0.0"));
    assert_eq!(output.provenance.browser().unwrap().target, target("chrome/webgpu"));
    let adapter = info.adapter.as_ref().unwrap();
    println!("{adapter:?}");
    assert!(!adapter.vendor.is_empty() && adapter.software.is_some(), "{adapter:?}");

    // Its own refusals come as failures of the kind it says.
    let wrong = Tensor::from_values([2], &[1_i32, 2]).unwrap();
    let error = triple.run([("x", wrong)]).await.unwrap_err();
    assert!(error.failure.message.contains("the input x has to be float32"), "{error}");
    std::fs::write(&path, "this is no JSON").unwrap();
    let broken = fleet.get_model(ModelSpec::opaque(&path)).await.unwrap();
    let error = broken.run([("x", Tensor::scalar(1.0_f32))]).await.unwrap_err();
    assert_eq!(error.failure.cause, Cause::ModelLoad, "{error}");
    assert!(error.failure.message.contains("not JSON"), "{error}");
    fleet.close().await.unwrap();
}
