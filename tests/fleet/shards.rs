//! Models cut into stages, each stage loaded and run alone, one after the other: what comes out is what the whole model
//! gives, to the last bit.

use crate::{fleets::launched, models, nets};
use std::{collections::BTreeMap, path::Path};
use tabfleet::{
    fleet::{Fleet, ModelSpec},
    onnx::{ModelFile, ModelGraph, ShardOptions, ShardPlan, ShardStrategy, Suite, random_inputs},
    types::Tensor,
};
use tract_onnx::pb::ModelProto;

type Tensors = Vec<(String, Tensor<'static>)>;

/// Every strategy's plan for two and for three stages; of plans that cut alike only the first.
fn plans(graph: &ModelGraph) -> Vec<ShardPlan> {
    let mut plans: Vec<ShardPlan> = Vec::new();
    for strategy in ShardStrategy::ALL {
        for shards in [2, 3] {
            let plan = graph.plan(&ShardOptions::new(shards, *strategy)).unwrap();
            assert_eq!((plan.stages.len(), plan.dividing_cuts), (shards, 0), "{strategy}");
            let alike = |other: &ShardPlan| {
                other.stages.len() == shards && other.stages.iter().zip(&plan.stages).all(|(a, b)| a.nodes == b.nodes)
            };
            if !plans.iter().any(alike) {
                plans.push(plan);
            }
        }
    }
    plans
}

/// Runs the whole model, then the stages of every plan, with the same inputs, and compares bytes.
async fn check(fleet: &Fleet, file: ModelFile, inputs: Tensors, folder: &Path) {
    let name = file.name.clone();
    let whole = fleet.get_model(ModelSpec::read(file.clone())).await.unwrap();
    let expected = whole.run(inputs.clone()).await.unwrap().tensors;
    let graph = ModelGraph::of(file).unwrap();
    for (number, plan) in plans(&graph).iter().enumerate() {
        let stages = graph.write_stages(plan, &folder.join(format!("{name}-{number}"))).unwrap();
        let mut known: BTreeMap<String, Tensor<'static>> = inputs.iter().cloned().collect();
        for (stage, path) in plan.stages.iter().zip(&stages) {
            let model = fleet.get_model(ModelSpec::onnx(path)).await.unwrap();
            let given = stage.inputs.iter().map(|input| (input.info.name.clone(), known[&input.info.name].clone()));
            let output = model.run(given.collect::<Tensors>()).await.unwrap();
            let made: Vec<_> = output.tensors.iter().map(|(name, _)| name).collect();
            assert_eq!(made, stage.outputs.iter().map(|output| &output.info.name).collect::<Vec<_>>(), "{name}");
            known.extend(output.tensors);
        }
        for (output, tensor) in &expected {
            let (strategy, shards) = (plan.strategy, stages.len());
            assert_eq!(&known[output], tensor, "{name} by {strategy:?} in {shards}: `{output}` differs");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stages_in_a_row_give_what_the_whole_model_gives_bit_by_bit() {
    let Some(fleet) = launched(&["chrome/wasm"]).await else { return };
    let folder = tempfile::tempdir().unwrap();
    for case in Suite::builtin().unwrap().cases {
        let case = case.load().unwrap();
        let inputs = case.sets[0].0.iter().map(|(name, tensor)| (name.to_string(), tensor.clone())).collect();
        check(&fleet, case.model.clone(), inputs, folder.path()).await;
    }
    let large: [(&str, ModelProto); 2] =
        [("resnet50.onnx", nets::resnet50(64)), ("densenet121.onnx", nets::densenet121(64))];
    for (name, model) in large {
        let file = ModelFile::read(&models::save(folder.path(), name, &model)).unwrap();
        let inputs = random_inputs(&file, &BTreeMap::new(), 1).unwrap();
        check(&fleet, file, inputs, folder.path()).await;
    }
    fleet.close().await.unwrap();
}
