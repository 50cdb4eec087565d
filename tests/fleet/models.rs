//! Models made here, for what no model of the suite does: every element type, never ending, lacking an operator.

use prost::Message;
use std::path::{Path, PathBuf};
use tabfleet::{
    onnx::tensor_to_proto,
    types::{Dtype, Tensor},
};
use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, StringStringEntryProto, TensorProto,
    TensorShapeProto, TypeProto, ValueInfoProto, attribute_proto, tensor_shape_proto, type_proto,
};

/// As many additions as take all day and all night.
pub const ENDLESS: i64 = i64::MAX;

/// A value; a dimension is a number or a name.
fn value(name: &str, dtype: Dtype, shape: &[&str]) -> ValueInfoProto {
    use tensor_shape_proto::{Dimension, dimension::Value};
    let dim = |text: &&str| Dimension {
        value: Some(text.parse().map_or_else(|_| Value::DimParam((*text).to_owned()), Value::DimValue)),
        ..Dimension::default()
    };
    let shape = Some(TensorShapeProto { dim: shape.iter().map(dim).collect() });
    let tensor = type_proto::Tensor { elem_type: number_of(dtype), shape };
    let kind = TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..TypeProto::default() };
    ValueInfoProto { name: name.to_owned(), r#type: Some(kind), ..ValueInfoProto::default() }
}

/// The number of an element type in ONNX.
fn number_of(dtype: Dtype) -> i32 {
    let tensor = match dtype {
        Dtype::String => Tensor::from_strings([0], &[""; 0]),
        _ => Tensor::new(dtype, [0], Vec::new()),
    };
    TensorProto::decode(&tensor_to_proto("", &tensor.unwrap())[..]).unwrap().data_type
}

fn node(op_type: &str, inputs: &[&str], outputs: &[&str]) -> NodeProto {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    NodeProto { op_type: op_type.to_owned(), input: names(inputs), output: names(outputs), ..NodeProto::default() }
}

fn model(graph: GraphProto) -> ModelProto {
    ModelProto {
        ir_version: 10,
        producer_name: "tabfleet's tests".to_owned(),
        graph: Some(GraphProto { name: "test".to_owned(), ..graph }),
        opset_import: vec![OperatorSetIdProto { domain: String::new(), version: 21 }],
        ..ModelProto::default()
    }
}

/// `y = op_type(x)`, whatever the shape.
pub fn unary(op_type: &str, dtype: Dtype, rank: usize) -> ModelProto {
    let shape = &["a", "b", "c", "d"][..rank];
    let (input, output) = (vec![value("x", dtype, shape)], vec![value("y", dtype, shape)]);
    model(GraphProto { node: vec![node(op_type, &["x"], &["y"])], input, output, ..GraphProto::default() })
}

/// `y = op_type(x, 1, 0)`, of five elements, one of whose types is float32.
pub fn scaled(op_type: &str, from: Dtype, to: Dtype) -> ModelProto {
    let narrow = if from == Dtype::Float32 { to } else { from };
    let scalar = |name: &str, dtype| TensorProto {
        name: name.to_owned(),
        data_type: number_of(dtype),
        ..TensorProto::default()
    };
    let one = TensorProto { float_data: vec![1.0], ..scalar("one", Dtype::Float32) };
    let zero = TensorProto { int32_data: vec![0], ..scalar("zero", narrow) };
    model(GraphProto {
        node: vec![node(op_type, &["x", "one", "zero"], &["y"])],
        initializer: vec![one, zero],
        input: vec![value("x", from, &["5"])],
        output: vec![value("y", to, &["5"])],
        ..GraphProto::default()
    })
}

/// A loop that goes round so many times and carries one number through `op`, which takes `carried` and makes `next`.
fn repeat(op: NodeProto, [trips, from, to]: [&str; 3]) -> NodeProto {
    let step = GraphProto {
        name: "step".to_owned(),
        node: vec![node("Identity", &["go"], &["still_go"]), op],
        input: vec![
            value("trip", Dtype::Int64, &[]),
            value("go", Dtype::Bool, &[]),
            value("carried", Dtype::Float32, &["1"]),
        ],
        output: vec![value("still_go", Dtype::Bool, &[]), value("next", Dtype::Float32, &["1"])],
        ..GraphProto::default()
    };
    let mut repeat = node("Loop", &[trips, "", from], &[to]);
    repeat.attribute.push(AttributeProto {
        name: "body".to_owned(),
        r#type: attribute_proto::AttributeType::Graph as i32,
        g: Some(step),
        ..AttributeProto::default()
    });
    repeat
}

/// Numbers of a model's own.
fn floats(name: &str, numbers: &[f32]) -> TensorProto {
    TensorProto {
        name: name.to_owned(),
        dims: vec![numbers.len() as i64],
        data_type: number_of(Dtype::Float32),
        float_data: numbers.to_vec(),
        ..TensorProto::default()
    }
}

/// A whole number of a model's own.
fn whole(name: &str, number: i64) -> TensorProto {
    TensorProto {
        name: name.to_owned(),
        data_type: number_of(Dtype::Int64),
        int64_data: vec![number],
        ..TensorProto::default()
    }
}

/// `y = x + … + x`, `trips` times, one after the other: takes as long as it is told to, on one core.
pub fn counting() -> ModelProto {
    let add = node("Add", &["carried", "x"], &["next"]);
    model(GraphProto {
        node: vec![repeat(add, ["trips", "zero", "y"])],
        initializer: vec![floats("zero", &[0.0])],
        input: vec![value("trips", Dtype::Int64, &[]), value("x", Dtype::Float32, &["1"])],
        output: vec![value("y", Dtype::Float32, &["1"])],
        ..GraphProto::default()
    })
}

/// As [`counting`], with a second step that negates what the first makes.
pub fn counting_and_negating() -> ModelProto {
    let mut model = counting();
    let graph = model.graph.as_mut().unwrap();
    graph.node[0].output = vec!["counted".to_owned()];
    graph.node.push(node("Neg", &["counted"], &["y"]));
    graph.value_info.push(value("counted", Dtype::Float32, &["1"]));
    model
}

/// `y` is what of ten numbers, each ten times its place, stands at the place `i`, for as many places as one likes; a place
/// that is none is an error of the run.
pub fn lookup() -> ModelProto {
    let table = (0..10_u8).map(|place| 10.0 * f32::from(place)).collect::<Vec<_>>();
    model(GraphProto {
        node: vec![node("Gather", &["table", "i"], &["y"])],
        initializer: vec![floats("table", &table)],
        input: vec![value("i", Dtype::Int64, &["batch"])],
        output: vec![value("y", Dtype::Float32, &["batch"])],
        ..GraphProto::default()
    })
}

/// `y = -x` for as many rows of two as one likes, after so many additions: takes as long for many rows as for one.
pub fn slow_rows(trips: i64) -> ModelProto {
    let add = node("Add", &["carried", "one"], &["next"]);
    let nodes = vec![
        repeat(add, ["trips", "zero", "sums"]),
        node("Mul", &["sums", "zero"], &["nothing"]),
        node("Neg", &["x"], &["negative"]),
        node("Add", &["negative", "nothing"], &["y"]),
    ];
    model(GraphProto {
        node: nodes,
        initializer: vec![floats("zero", &[0.0]), floats("one", &[1.0]), whole("trips", trips)],
        input: vec![value("x", Dtype::Float32, &["batch", "2"])],
        output: vec![value("y", Dtype::Float32, &["batch", "2"])],
        ..GraphProto::default()
    })
}

/// `y` is `op_type` of rows of two, over the first dimension: each row depends on the others.
pub fn mixing(op_type: &str) -> ModelProto {
    let takes_axis = op_type == "CumSum";
    let mut mix = node(op_type, if takes_axis { &["x", "axis"] } else { &["x"] }, &["y"]);
    if !takes_axis {
        mix.attribute.push(AttributeProto {
            name: "axis".to_owned(),
            r#type: attribute_proto::AttributeType::Int as i32,
            i: 0,
            ..AttributeProto::default()
        });
    }
    model(GraphProto {
        node: vec![mix],
        initializer: if takes_axis { vec![whole("axis", 0)] } else { Vec::new() },
        input: vec![value("x", Dtype::Float32, &["batch", "2"])],
        output: vec![value("y", Dtype::Float32, &["batch", "2"])],
        ..GraphProto::default()
    })
}

/// `y` is `x` less the mean of its rows.
pub fn off_the_mean() -> ModelProto {
    model(GraphProto {
        node: vec![node("ReduceMean", &["x", "axes"], &["mean"]), node("Sub", &["x", "mean"], &["y"])],
        initializer: vec![TensorProto { dims: vec![1], ..whole("axes", 0) }],
        input: vec![value("x", Dtype::Float32, &["batch", "2"])],
        output: vec![value("y", Dtype::Float32, &["batch", "2"])],
        ..GraphProto::default()
    })
}

/// `y` is as many zeros as one likes.
pub fn zeros() -> ModelProto {
    model(GraphProto {
        node: vec![node("ConstantOfShape", &["count"], &["y"])],
        input: vec![value("count", Dtype::Int64, &["1"])],
        output: vec![value("y", Dtype::Float32, &["n"])],
        ..GraphProto::default()
    })
}

/// `after` is `before` and `x`, `twice` is twice that.
pub fn running_sum() -> ModelProto {
    let numbers = |name: &str| value(name, Dtype::Float32, &["1", "4"]);
    model(GraphProto {
        node: vec![node("Add", &["before", "x"], &["after"]), node("Add", &["after", "after"], &["twice"])],
        input: vec![numbers("x"), numbers("before")],
        output: vec![numbers("after"), numbers("twice")],
        ..GraphProto::default()
    })
}

/// `after` is the larger of `before` and the largest of `x`, which may be many; `twice` is twice that.
pub fn largest() -> ModelProto {
    let nodes = [
        node("ReduceMax", &["x"], &["largest"]),
        node("Max", &["before", "largest"], &["after"]),
        node("Add", &["after", "after"], &["twice"]),
    ];
    let number = |name: &str| value(name, Dtype::Float32, &["1"]);
    model(GraphProto {
        node: nodes.to_vec(),
        input: vec![value("x", Dtype::Float32, &["count"]), number("before")],
        output: vec![number("after"), number("twice")],
        ..GraphProto::default()
    })
}

/// `y` is every number of `x` once: says of its outputs that they are rows, and they are not.
pub fn unique() -> ModelProto {
    model(GraphProto {
        node: vec![node("Unique", &["x"], &["y"])],
        input: vec![value("x", Dtype::Float32, &["batch"])],
        output: vec![value("y", Dtype::Float32, &["batch"])],
        ..GraphProto::default()
    })
}

/// `y` is `x` as often as `shape` says: makes a tensor of any size from inputs of a few bytes, and
/// returns its largest element.
pub fn expanding() -> ModelProto {
    model(GraphProto {
        node: vec![node("Expand", &["x", "shape"], &["all"]), node("ReduceMax", &["all"], &["y"])],
        input: vec![value("x", Dtype::Float32, &["1"]), value("shape", Dtype::Int64, &["1"])],
        output: vec![value("y", Dtype::Float32, &["1"])],
        ..GraphProto::default()
    })
}

/// `y = |x|`, by one loop after the other, each of so many trips. How often a loop goes round is not known before it does.
pub fn loops(trips: &[i64]) -> ModelProto {
    let names = |number: usize| [format!("trips{number}"), format!("y{number}"), format!("y{}", number + 1)];
    let loops = (0..trips.len())
        .map(|number| repeat(node("Abs", &["carried"], &["next"]), names(number).each_ref().map(String::as_str)));
    let counts = trips.iter().enumerate().map(|(number, trips)| whole(&names(number)[0], *trips));
    // What a body makes is not inferred by everybody.
    let between = (1..trips.len()).map(|number| value(&names(number)[1], Dtype::Float32, &["1"]));
    model(GraphProto {
        node: loops.collect(),
        initializer: counts.collect(),
        value_info: between.collect(),
        input: vec![value("y0", Dtype::Float32, &["1"])],
        output: vec![value(&names(trips.len())[1], Dtype::Float32, &["1"])],
        ..GraphProto::default()
    })
}

/// As [`loops`], and adds to what they make the number in a file of four bytes, as `sum`.
pub fn loops_beside(trips: &[i64], file: &str) -> ModelProto {
    let mut model = loops(trips);
    let graph = model.graph.as_mut().unwrap();
    let last = std::mem::replace(&mut graph.output, vec![value("sum", Dtype::Float32, &["1"])]);
    graph.node.push(node("Add", &[&last[0].name, "zero"], &["sum"]));
    graph.value_info.extend(last);
    graph.initializer.push(external(file));
    model
}

/// What [`expanding`] takes.
pub fn expand(times: i64) -> Vec<(String, Tensor<'static>)> {
    let x = Tensor::from_values([1], &[1.0_f32]).unwrap();
    vec![("x".to_owned(), x), ("shape".to_owned(), Tensor::from_values([1], &[times]).unwrap())]
}

/// What [`counting`] takes.
pub fn count(trips: i64, x: f32) -> Vec<(String, Tensor<'static>)> {
    let x = Tensor::from_values([1], &[x]).unwrap();
    vec![("trips".to_owned(), Tensor::scalar(trips)), ("x".to_owned(), x)]
}

/// The decoder step of the built-in suite, which has a cache of eight tokens, with one of any length.
pub fn with_any_past(path: &Path) -> ModelProto {
    use tensor_shape_proto::{Dimension, dimension::Value};
    let mut model = ModelProto::decode(&std::fs::read(path).unwrap()[..]).unwrap();
    let graph = model.graph.as_mut().unwrap();
    graph.value_info.clear();
    for of in graph.input.iter_mut().chain(&mut graph.output) {
        let (axis, symbol) = match of.name.split('.').next().unwrap() {
            "past_key_values" => (2, "past"),
            "present" => (2, "total"),
            "attention_mask" => (1, "total"),
            _ => continue,
        };
        let Some(type_proto::Value::TensorType(tensor)) = &mut of.r#type.as_mut().unwrap().value else {
            panic!("a tensor")
        };
        let dims = &mut tensor.shape.as_mut().unwrap().dim;
        dims[axis] = Dimension { value: Some(Value::DimParam(symbol.to_owned())), ..Dimension::default() };
    }
    model
}

/// Writes a model into a folder.
pub fn save(folder: &Path, name: &str, model: &ModelProto) -> PathBuf {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, model.encode_to_vec()).unwrap();
    path
}

/// Writes a case of a suite.
pub fn save_case(
    suite: &Path,
    name: &str,
    model: &ModelProto,
    inputs: &[(String, Tensor<'static>)],
    outputs: &[(String, Tensor<'static>)],
) {
    save(suite, &format!("{name}/model.onnx"), model);
    let folder = suite.join(name).join("test_data_set_0");
    std::fs::create_dir_all(&folder).unwrap();
    for (kind, tensors) in [("input", inputs), ("output", outputs)] {
        for (number, (name, tensor)) in tensors.iter().enumerate() {
            std::fs::write(folder.join(format!("{kind}_{number}.pb")), tensor_to_proto(name, tensor)).unwrap();
        }
    }
}

/// The initial sum of [`counting`], kept in a file of four bytes.
pub fn external(file: &str) -> TensorProto {
    let entry = |key: &str, value: &str| StringStringEntryProto { key: key.to_owned(), value: value.to_owned() };
    TensorProto {
        name: "zero".to_owned(),
        dims: vec![1],
        data_type: number_of(Dtype::Float32),
        data_location: Some(1),
        external_data: vec![entry("location", file), entry("offset", "0"), entry("length", "4")],
        ..TensorProto::default()
    }
}
