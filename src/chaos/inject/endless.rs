//! A model that never ends.

use super::{Done, Lasted, Refusal, Victim};
use crate::{
    chaos::ChaosError,
    fleet::{Fleet, JobError, Model, ModelSpec, Output},
    types::Tensor,
};
use prost::Message;
use std::time::Duration;
use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, TensorShapeProto, TypeProto,
    ValueInfoProto, attribute_proto, type_proto,
};

/// How long it may run. Short, since nothing else runs in its tab meanwhile.
const LIMIT: Duration = Duration::from_secs(2);

/// How long its job may take, waiting for its turn behind others included.
const DEADLINE: Duration = Duration::from_secs(60);

/// How a job that never ends was ended.
pub(crate) type Stopped = Result<Output, JobError>;

/// A model that never ends, known to the fleet.
pub(crate) struct EndlessModel {
    model: Model,
    /// Where its file is served from.
    _folder: tempfile::TempDir,
}

impl EndlessModel {
    pub async fn of(fleet: &Fleet) -> Result<Self, ChaosError> {
        let folder = tempfile::tempdir().map_err(ChaosError::Folder)?;
        let path = folder.path().join("endless.onnx");
        std::fs::write(&path, counting_for_ever().encode_to_vec()).map_err(ChaosError::Folder)?;
        Ok(Self { model: fleet.get_model(ModelSpec::onnx(path)).await?, _folder: folder })
    }

    /// Gives it to one of the victim's targets.
    pub fn give(&self, victim: &Victim) -> Result<Done, Refusal> {
        let Some((_, target)) = victim.pick(&victim.tabs) else {
            return Err(Refusal::NotNow("it has no tab".to_owned()));
        };
        let options = self.model.options().pin(*target).attempts(1).attempt_timeout(LIMIT).deadline(DEADLINE);
        let one = Tensor::from_values([1], &[1.0_f32]).map_err(|error| Refusal::Never(error.to_string()))?;
        let model = self.model.clone();
        let run = async move { Lasted::Endless(model.run_with([("x", one)], options).await) };
        let done = Done::now(format!("{target} was given a model that never ends"));
        Ok(Done { lasting: Some(Box::pin(run)), limit: Some(LIMIT), ..done })
    }
}

/// ONNX's numbers of element types.
const FLOAT: i32 = 1;
const INT64: i32 = 7;
const BOOL: i32 = 9;

/// `y = x + x + …`, as often as a 64-bit integer can count: some hundred thousand years.
fn counting_for_ever() -> ModelProto {
    let constant = |name: &str, data_type| TensorProto { name: name.to_owned(), data_type, ..TensorProto::default() };
    let trips = TensorProto { int64_data: vec![i64::MAX], ..constant("trips", INT64) };
    let zero = TensorProto { dims: vec![1], float_data: vec![0.0], ..constant("zero", FLOAT) };
    let step = GraphProto {
        name: "step".to_owned(),
        node: vec![node("Identity", &["go"], &["still_go"]), node("Add", &["sum", "x"], &["next_sum"])],
        input: vec![value("trip", INT64, &[]), value("go", BOOL, &[]), value("sum", FLOAT, &[1])],
        output: vec![value("still_go", BOOL, &[]), value("next_sum", FLOAT, &[1])],
        ..GraphProto::default()
    };
    let mut repeat = node("Loop", &["trips", "", "zero"], &["y"]);
    repeat.attribute.push(AttributeProto {
        name: "body".to_owned(),
        r#type: attribute_proto::AttributeType::Graph as i32,
        g: Some(step),
        ..AttributeProto::default()
    });
    let graph = GraphProto {
        name: "endless".to_owned(),
        node: vec![repeat],
        initializer: vec![trips, zero],
        input: vec![value("x", FLOAT, &[1])],
        output: vec![value("y", FLOAT, &[1])],
        ..GraphProto::default()
    };
    ModelProto {
        ir_version: 10,
        producer_name: "tabfleet chaos".to_owned(),
        graph: Some(graph),
        opset_import: vec![OperatorSetIdProto { domain: String::new(), version: 21 }],
        ..ModelProto::default()
    }
}

fn node(op_type: &str, inputs: &[&str], outputs: &[&str]) -> NodeProto {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    NodeProto { op_type: op_type.to_owned(), input: names(inputs), output: names(outputs), ..NodeProto::default() }
}

fn value(name: &str, elem_type: i32, shape: &[i64]) -> ValueInfoProto {
    use tract_onnx::pb::tensor_shape_proto::{Dimension, dimension::Value};
    let dim = |size: &i64| Dimension { value: Some(Value::DimValue(*size)), ..Dimension::default() };
    let shape = Some(TensorShapeProto { dim: shape.iter().map(dim).collect() });
    let tensor = type_proto::Tensor { elem_type, shape };
    let kind = TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..TypeProto::default() };
    ValueInfoProto { name: name.to_owned(), r#type: Some(kind), ..ValueInfoProto::default() }
}
