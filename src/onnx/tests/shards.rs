//! Cutting models, as far as it shows without running them.

use super::{build::*, nets};
use crate::onnx::{
    Component, Dim, Mapping, ModelFile, ModelGraph, Pipeline, ShardError, ShardOptions, ShardPlan, ShardStrategy,
    Suite, ValueKind,
};
use crate::types::{Browser, Dtype};
use prost::Message;
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    time::Instant,
};
use tract_onnx::pb::{GraphProto, ModelProto, NodeProto, TensorProto};

fn save(folder: &Path, name: &str, model: &ModelProto) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, model.encode_to_vec()).unwrap();
    path
}

fn graph(model: &ModelProto) -> ModelGraph {
    let folder = tempfile::tempdir().unwrap();
    ModelGraph::read(&save(folder.path(), "m.onnx", model)).unwrap()
}

fn op(op_type: &str, inputs: &[&str], outputs: &[&str]) -> NodeProto {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    NodeProto { input: names(inputs), output: names(outputs), ..node("", op_type) }
}

/// `y` is `x` through so many products with a matrix of its own.
fn products(count: usize, shape: &str) -> ModelProto {
    let mut graph = GraphProto::default();
    for index in 0..count {
        let weight = TensorProto {
            name: format!("w{index}"),
            dims: vec![8, 8],
            data_type: FLOAT,
            float_data: vec![0.5; 64],
            ..TensorProto::default()
        };
        let from = if index == 0 { "x".to_owned() } else { format!("t{}", index - 1) };
        let to = if index + 1 == count { "y".to_owned() } else { format!("t{index}") };
        graph.node.push(op("MatMul", &[&from, &weight.name], &[&to]));
        graph.initializer.push(weight);
    }
    graph.input = vec![value("x", FLOAT, shape)];
    graph.output = vec![value("y", FLOAT, "*")];
    model(graph)
}

fn optimal(shards: usize) -> ShardOptions {
    ShardOptions::new(shards, ShardStrategy::Optimal)
}

fn names(plan: &ShardPlan) -> Vec<(Vec<&str>, Vec<&str>)> {
    let stages = plan.stages.iter().map(|stage| {
        (
            stage.inputs.iter().map(|tensor| tensor.info.name.as_str()).collect(),
            stage.outputs.iter().map(|tensor| tensor.info.name.as_str()).collect(),
        )
    });
    stages.collect()
}

#[test]
fn the_slowest_stage_is_never_slower_than_by_layers_and_even_where_the_graph_allows() {
    for case in Suite::builtin().unwrap().cases {
        let graph = ModelGraph::of(case.load().unwrap().model).unwrap();
        for shards in [2, 3] {
            let plan = |strategy| graph.plan(&ShardOptions::new(shards, strategy)).unwrap();
            let slowest = |plan: &ShardPlan| plan.stages.iter().map(|stage| stage.total_ms()).fold(0.0, f64::max);
            let (optimal, layers) = (plan(ShardStrategy::Optimal), plan(ShardStrategy::Layers));
            println!(
                "{} in {shards}: balance {:.2} by optimal, {:.2} by layers, {} cut points",
                case.name,
                optimal.balance(),
                layers.balance(),
                optimal.cut_points
            );
            assert!(slowest(&optimal) <= slowest(&layers) * (1.0 + 1e-9), "{}", case.name);
            assert!(optimal.balance() <= layers.balance() * (1.0 + 1e-9), "{}", case.name);
        }
    }
}

#[test]
fn what_stages_are_given_is_what_earlier_ones_make() {
    for model in [nets::resnet50(64), nets::densenet121(64), products(7, "4 8")] {
        let graph = graph(&model);
        for strategy in ShardStrategy::ALL {
            let plan = graph.plan(&ShardOptions::new(3, *strategy)).unwrap();
            let mut known: BTreeSet<&str> = plan.inputs.iter().map(|input| input.name.as_str()).collect();
            let mut nodes = BTreeSet::new();
            for (inputs, outputs) in names(&plan) {
                assert!(inputs.iter().all(|input| known.contains(input)), "{strategy}: {inputs:?}");
                known.extend(outputs);
            }
            assert!(plan.outputs.iter().all(|output| known.contains(output.name.as_str())), "{strategy}");
            assert!(plan.stages.iter().flat_map(|stage| &stage.nodes).all(|node| nodes.insert(*node)), "{strategy}");
        }
    }
}

#[test]
fn shapes_are_inferred_where_the_file_does_not_tell_them_and_symbols_are_carried_through() {
    let resnet = graph(&nets::resnet50(64)).plan(&optimal(2)).unwrap();
    let crossing = &resnet.stages[1].inputs[0].info.kind;
    let ValueKind::Tensor { dtype: Dtype::Float32, shape: Some(shape) } = crossing else { panic!("{crossing}") };
    assert!(shape.len() == 4 && shape.iter().all(|dim| matches!(dim, Dim::Fixed(_))), "{crossing}");

    let folder = tempfile::tempdir().unwrap();
    let graph = ModelGraph::read(&save(folder.path(), "m.onnx", &products(4, "batch 8"))).unwrap();
    let plan = graph.plan(&optimal(2)).unwrap();
    assert_eq!(plan.stages[1].inputs[0].info.kind.to_string(), "float32 [batch, 8]");
    let files = graph.write_stages(&plan, folder.path()).unwrap();
    let second = ModelFile::read(&files[1]).unwrap();
    assert_eq!(second.inputs[0].kind.to_string(), "float32 [batch, 8]");
}

#[test]
fn bodies_are_not_cut_and_what_they_read_outside_is_theirs() {
    let body = GraphProto {
        node: vec![op("Add", &["sum", "outside"], &["next"]), op("Identity", &["go"], &["still"])],
        input: vec![value("trip", INT64, ""), value("go", 9, ""), value("sum", FLOAT, "8 8")],
        output: vec![value("still", 9, ""), value("next", FLOAT, "8 8")],
        ..GraphProto::default()
    };
    let mut proto = products(3, "8 8");
    let graph_proto = proto.graph.as_mut().unwrap();
    graph_proto.node[1] = with_graph(op("Loop", &["trips", "", "t0"], &["t1"]), body);
    graph_proto.node.insert(0, op("Sigmoid", &["x"], &["outside"]));
    graph_proto.input.push(value("trips", INT64, ""));
    graph_proto.value_info.push(value("t1", FLOAT, "8 8"));
    let graph = graph(&proto);
    let plan = graph.plan(&optimal(3)).unwrap();
    let of_loop = plan.stages.iter().position(|stage| stage.inputs.iter().any(|input| input.info.name == "trips"));
    let given = &plan.stages[of_loop.unwrap()].inputs;
    assert!(of_loop == Some(0) || given.iter().any(|input| input.info.name == "outside"), "{given:?}");
}

#[test]
fn too_many_shards_and_models_of_one_node_are_told_with_what_would_work() {
    let error = graph(&products(3, "4 8")).plan(&optimal(9)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "9 shards take 8 cuts, and the model has 2 places to cut; the nearest plan has 3 stages, the largest of which \
         needs 525 B"
    );
    assert_eq!(error.nearest().unwrap().stages.len(), 3);
    let error = graph(&identity(FLOAT, "4")).plan(&optimal(2)).unwrap_err();
    assert!(matches!(error, ShardError::NoCut { .. }), "{error}");
    assert_eq!(error.nearest().unwrap().stages.len(), 1);
    assert!(matches!(graph(&identity(FLOAT, "4")).plan(&optimal(0)), Err(ShardError::NoShards)));

    // What would cross here has a type that the runtime lacks.
    let mut proto = products(2, "4 8");
    let nodes = &mut proto.graph.as_mut().unwrap().node;
    *nodes = vec![op("Exotic", &["x"], &["t"]), op("Exotic", &["t"], &["y"])];
    let error = graph(&proto).plan(&optimal(2)).unwrap_err();
    assert!(error.to_string().contains("whose type is unknown"), "{error}");
}

#[test]
fn a_stage_over_the_limit_is_told_with_the_plan_that_fits() {
    let graph = graph(&products(8, "4 8"));
    let whole = graph.plan(&optimal(1)).unwrap().stages[0].memory_bytes();
    let limited = |shards, memory_limit| ShardOptions { memory_limit: Some(memory_limit), ..optimal(shards) };
    let error = graph.plan(&limited(2, whole / 3)).unwrap_err();
    let ShardError::OverMemory { shards: 2, needed, nearest, .. } = &error else { panic!("{error}") };
    assert!(*needed > whole / 3 && *needed < whole);
    assert!(nearest.stages.len() > 2 && nearest.stages.iter().all(|stage| stage.memory_bytes() <= whole / 3));
    // What was named does work.
    graph.plan(&limited(nearest.stages.len(), whole / 3)).unwrap();
    let error = graph.plan(&limited(2, 10)).unwrap_err();
    assert_eq!(error.nearest().unwrap().stages.len(), 8);
}

#[test]
fn measured_times_and_speeds_move_the_cut() {
    let graph = graph(&products(8, "4 8"));
    let even = graph.plan(&optimal(2)).unwrap();
    assert_eq!(even.stages[0].nodes.len(), 4);
    let faster = graph.plan(&ShardOptions { speeds: vec![3.0, 1.0], ..optimal(2) }).unwrap();
    assert!(faster.stages[0].nodes.len() > 4);
    // The second stage took seven times as long as the first.
    let node_ms = graph.node_ms(&even, &[1.0, 7.0], &[]);
    assert!((node_ms.iter().sum::<f64>() - 8.0).abs() < 1e-9);
    let measured = graph.plan(&ShardOptions { node_ms: Some(node_ms), ..optimal(2) }).unwrap();
    assert!(measured.stages[0].nodes.len() > 4);
}

#[test]
fn constants_are_computed_where_they_are_read() {
    let mut proto = products(4, "4 8");
    let nodes = &mut proto.graph.as_mut().unwrap().node;
    nodes.insert(0, op("Neg", &["w0"], &["minus"]));
    nodes[1].input[1] = "minus".to_owned();
    nodes[4].input[1] = "minus".to_owned();
    let folder = tempfile::tempdir().unwrap();
    let graph = ModelGraph::read(&save(folder.path(), "m.onnx", &proto)).unwrap();
    let plan = graph.plan(&optimal(2)).unwrap();
    assert_eq!(plan.stages.iter().map(|stage| stage.copies.len()).collect::<Vec<_>>(), [1, 1]);
    assert_eq!(plan.stages[1].inputs.len(), 1);
    for file in graph.write_stages(&plan, folder.path()).unwrap() {
        let written = ModelProto::decode(&fs::read(file).unwrap()[..]).unwrap().graph.unwrap();
        assert!(written.initializer.iter().any(|tensor| tensor.name == "w0"));
        assert_eq!(written.node.len(), 3);
    }
}

#[test]
fn weights_in_external_files_come_into_the_stages() {
    let folder = tempfile::tempdir().unwrap();
    let data: Vec<u8> = (0..512_u32).map(|i| i as u8).collect();
    fs::write(folder.path().join("m.bin"), &data).unwrap();
    let mut proto = products(2, "4 8");
    for (index, tensor) in proto.graph.as_mut().unwrap().initializer.iter_mut().enumerate() {
        let name = tensor.name.clone();
        *tensor = TensorProto { name, dims: vec![8, 8], ..external("m.bin", 256 * index as u64, 256) };
    }
    let graph = ModelGraph::read(&save(folder.path(), "m.onnx", &proto)).unwrap();
    let plan = graph.plan(&optimal(2)).unwrap();
    assert_eq!(plan.stages[1].weight_bytes, 256);
    let files = graph.write_stages(&plan, &folder.path().join("stages")).unwrap();
    let second = ModelProto::decode(&fs::read(&files[1]).unwrap()[..]).unwrap().graph.unwrap();
    assert_eq!(second.initializer[0].raw_data, data[256..]);
    assert!(second.initializer[0].external_data.is_empty());
}

#[test]
fn a_mapping_file_decides_and_is_checked() {
    let folder = tempfile::tempdir().unwrap();
    let read = |text: &str| {
        let path = folder.path().join("mapping.toml");
        fs::write(&path, text).unwrap();
        Mapping::read(&path)
    };
    let mapping = read("[browsers]\nfeed-forward = \"webkit\"\n[nodes]\n\"/first\" = \"embedding\"").unwrap();
    assert_eq!(mapping.browser(Component::FeedForward), Browser::Webkit);
    assert_eq!(mapping.browser(Component::Attention), Mapping::default().browser(Component::Attention));
    let wrong = [
        (
            "[browsers]\nattentoin = \"chrome\"",
            "there is no component `attentoin`; there are embedding, attention, feed-",
        ),
        ("[browsers]\nhead = \"netscape\"", "there is no browser `netscape`; there are chrome, edge, firefox, webkit"),
        ("[nodes]\n\"/x\" = \"tail\"", "there is no component `tail`"),
        ("[node]\n", "unknown field `node`"),
        ("[browsers", "mapping.toml cannot be read"),
    ];
    for (text, words) in wrong {
        let error = read(text).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
    let mut proto = products(4, "4 8");
    for (index, node) in proto.graph.as_mut().unwrap().node.iter_mut().enumerate() {
        node.name = if index == 0 { "/first/MatMul" } else { "/mlp/MatMul" }.to_owned();
    }
    let options = ShardOptions { mapping, ..ShardOptions::new(2, ShardStrategy::Browser) };
    let plan = graph(&proto).plan(&options).unwrap();
    let stages: Vec<_> = plan.stages.iter().map(|stage| (stage.nodes.len(), stage.preferred)).collect();
    assert_eq!(stages, [(1, Some(Browser::Edge)), (3, Some(Browser::Webkit))]);
}

#[test]
fn models_are_joined_to_a_pipeline_as_a_file_says_and_checked() {
    let folder = tempfile::tempdir().unwrap();
    save(folder.path(), "eight.onnx", &products(2, "n 8"));
    save(folder.path(), "nine.onnx", &identity(FLOAT, "9 9"));
    save(folder.path(), "whole.onnx", &identity(INT64, "n 8"));
    let read = |text: &str| {
        let path = folder.path().join("pipeline.toml");
        fs::write(&path, text).unwrap();
        Pipeline::read(&path)
    };
    let component = |name: &str, model: &str, rest: &str| {
        format!("[[components]]\nname = \"{name}\"\nmodel = \"{model}.onnx\"\n{rest}\n")
    };
    let first = component("first", "eight", "browser = \"firefox\"\nkind = \"encoder\"");
    let second = component("second", "eight", "inputs = { x = \"first.y\" }");
    let pipeline = read(&format!("{first}{second}[outputs]\nanswer = \"second.y\"")).unwrap();
    let plan = pipeline.plan();
    assert_eq!(names(plan), [(vec!["x"], vec!["first.y"]), (vec!["first.y"], vec!["answer"])]);
    assert_eq!(
        (plan.stages[0].preferred, plan.stages[0].component),
        (Some(Browser::Firefox), Some(Component::Encoder))
    );
    assert_eq!((plan.outputs[0].name.as_str(), plan.stages[1].inputs[0].from), ("answer", Some(0)));
    let files = pipeline.write_stages(&folder.path().join("stages")).unwrap();
    let written = ModelFile::read(&files[1]).unwrap();
    assert_eq!((written.inputs[0].name.as_str(), written.outputs[0].name.as_str()), ("first.y", "answer"));

    let joined = |model: &str, inputs: &str| format!("{first}{}", component("second", model, inputs));
    let wrong = [
        (
            joined("nine", "inputs = { x = \"first.y\" }"),
            "takes float32 [9, 9] as `x`, and `first.y` is float32 [n, 8]",
        ),
        (joined("whole", "inputs = { x = \"first.y\" }"), "takes int64 [n, 8] as `x`, and `first.y` is float32 [n, 8]"),
        (
            joined("eight", "inputs = { x = \"first.z\" }"),
            "reads `first.z`, which no component before it gives; there are `first.y`",
        ),
        (joined("eight", "inputs = { z = \"first.y\" }"), "`second` has no input `z`; it has `x`"),
        (joined("eight", "kind = \"tail\""), "`tail` is not one of embedding"),
        (format!("{first}{first}"), "two components are called `first`"),
        (format!("{first}[outputs]\na = \"first.z\""), "which no component gives; there are `first.y`"),
        (component("first", "none", ""), "none.onnx does not exist"),
    ];
    for (text, words) in wrong {
        let error = read(&text).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn a_graph_of_two_thousand_nodes_is_planned() {
    let mut net = nets::Net::new("x", "1 16 32 32");
    let mut x = "x".to_owned();
    while net.len() < 2000 {
        let y = net.conv_bn(&x, 16, 16, 3, 1);
        let y = net.relu(&y);
        x = net.op("Add", &[&x, &y], Vec::new());
    }
    let folder = tempfile::tempdir().unwrap();
    let path = save(folder.path(), "large.onnx", &net.finish(&x, "y"));
    let begin = Instant::now();
    let graph = ModelGraph::read(&path).unwrap();
    let read = begin.elapsed();
    for strategy in ShardStrategy::ALL {
        let begin = Instant::now();
        let plan = graph.plan(&ShardOptions::new(4, *strategy)).unwrap();
        println!("{} nodes by {strategy} in 4: {:?}, read in {read:?}", graph.len(), begin.elapsed());
        assert!(graph.len() >= 2000 && plan.stages.len() == 4);
    }
}
