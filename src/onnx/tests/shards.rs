//! Cutting models, as far as it shows without running them.

use crate::onnx::{ModelGraph, ShardOptions, ShardStrategy, Suite};

#[test]
fn every_model_of_the_builtin_suite_is_cut_by_every_strategy() {
    let temporary = tempfile::tempdir().unwrap();
    let kept = std::env::var_os("TABFLEET_STAGES").map(std::path::PathBuf::from);
    let folder = kept.unwrap_or_else(|| temporary.path().to_owned());
    for case in Suite::builtin().unwrap().cases {
        let model = case.load().unwrap().model;
        let graph = ModelGraph::of(model).unwrap();
        for strategy in ShardStrategy::ALL {
            for shards in [2, 3] {
                let plan = graph.plan(&ShardOptions::new(shards, *strategy)).unwrap();
                println!(
                    "{} {strategy} {shards}: balance {:.2}, crossing {}, {} cut points, {} dividing",
                    case.name,
                    plan.balance(),
                    plan.crossing_bytes(),
                    plan.cut_points,
                    plan.dividing_cuts
                );
                for stage in &plan.stages {
                    println!(
                        "    {} nodes, {} ms, {:?}, {:?} -> {:?}",
                        stage.nodes.len(),
                        stage.total_ms(),
                        stage.component,
                        stage.inputs.iter().map(|t| format!("{}: {}", t.info.name, t.info.kind)).collect::<Vec<_>>(),
                        stage.outputs.iter().map(|t| &t.info.name).collect::<Vec<_>>()
                    );
                }
                graph.write_stages(&plan, &folder.join(format!("{}.{strategy}.{shards}", case.name))).unwrap();
            }
        }
    }
}
