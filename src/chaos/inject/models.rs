//! Models that no tab gets over: one never ends, one needs more memory than there is.

use super::{Done, Lasted, Refusal, Victim};
use crate::{
    chaos::ChaosError,
    fleet::{Fleet, JobError, Model, ModelSpec, Output},
    types::{Target, Tensor},
};
use prost::Message;
use std::time::Duration;
use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, TensorShapeProto, TypeProto,
    ValueInfoProto, attribute_proto, type_proto,
};

/// How long the endless one may run. Short, since nothing else runs in its tab meanwhile.
const LIMIT: Duration = Duration::from_secs(2);

/// How long either may take, waiting for its turn behind others included.
const DEADLINE: Duration = Duration::from_secs(60);

/// What the hungry one asks for at once: 256 MiB of numbers, far more than what lies free in a tab, and far less than a
/// tab can have.
const HUNGER: i64 = 64 << 20;

/// How a job of either was ended.
pub(crate) type Stopped = Result<Output, JobError>;

/// The models, known to the fleet.
pub(crate) struct HarmfulModels {
    endless: Model,
    hungry: Model,
    /// Where their files are served from.
    _folder: tempfile::TempDir,
}

impl HarmfulModels {
    pub async fn of(fleet: &Fleet) -> Result<Self, ChaosError> {
        let folder = tempfile::tempdir().map_err(ChaosError::Folder)?;
        let model = async |name: &str, model: ModelProto| {
            let path = folder.path().join(name);
            std::fs::write(&path, model.encode_to_vec()).map_err(ChaosError::Folder)?;
            Ok::<_, ChaosError>(fleet.get_model(ModelSpec::onnx(path)).await?)
        };
        let endless = model("endless.onnx", counting_for_ever()).await?;
        let hungry = model("hungry.onnx", many_zeros()).await?;
        Ok(Self { endless, hungry, _folder: folder })
    }

    /// Gives the endless one to one of the victim's targets.
    pub fn give_endless(&self, victim: &Victim) -> Result<Done, Refusal> {
        let Some((_, target)) = victim.pick(&victim.tabs) else {
            return Err(Refusal::NotNow("it has no tab".to_owned()));
        };
        let options = self.endless.options().pin(*target).attempts(1).attempt_timeout(LIMIT).deadline(DEADLINE);
        let model = self.endless.clone();
        let run =
            async move { Lasted::Endless(model.run_with([("x", Tensor::scalar(1.0_f32))], options).await.map(drop)) };
        let done = Done::now(format!("{target} was given a model that never ends"));
        Ok(Done { lasting: Some(Box::pin(run)), limit: Some(LIMIT), ..done })
    }

    /// A job of the hungry one on one of the victim's targets.
    #[cfg(target_os = "linux")]
    pub fn hungry_job(&self, victim: &Victim) -> Result<(Target, impl Future<Output = Stopped> + use<>), Refusal> {
        let Some((_, target)) = victim.pick(&victim.tabs) else {
            return Err(Refusal::NotNow("it has no tab".to_owned()));
        };
        let options = self.hungry.options().pin(*target).attempts(1).deadline(DEADLINE).release_session();
        let model = self.hungry.clone();
        Ok((*target, async move { model.run_with([("count", Tensor::scalar(HUNGER))], options).await }))
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
    let zero = TensorProto { float_data: vec![0.0], ..constant("zero", FLOAT) };
    let step = GraphProto {
        name: "step".to_owned(),
        node: vec![node("Identity", &["go"], &["still_go"]), node("Add", &["sum", "x"], &["next_sum"])],
        input: vec![value("trip", INT64, &[]), value("go", BOOL, &[]), value("sum", FLOAT, &[])],
        output: vec![value("still_go", BOOL, &[]), value("next_sum", FLOAT, &[])],
        ..GraphProto::default()
    };
    let mut repeat = node("Loop", &["trips", "", "zero"], &["y"]);
    repeat.attribute.push(AttributeProto {
        name: "body".to_owned(),
        r#type: attribute_proto::AttributeType::Graph as i32,
        g: Some(step),
        ..AttributeProto::default()
    });
    model(GraphProto {
        name: "endless".to_owned(),
        node: vec![repeat],
        initializer: vec![trips, zero],
        input: vec![value("x", FLOAT, &[])],
        output: vec![value("y", FLOAT, &[])],
        ..GraphProto::default()
    })
}

/// `y` is the sum of `count` zeros, which are all there at once.
fn many_zeros() -> ModelProto {
    let shape = TensorProto {
        name: "one".to_owned(),
        dims: vec![1],
        data_type: INT64,
        int64_data: vec![1],
        ..TensorProto::default()
    };
    let mut sum = node("ReduceSum", &["zeros"], &["y"]);
    sum.attribute.push(AttributeProto {
        name: "keepdims".to_owned(),
        r#type: attribute_proto::AttributeType::Int as i32,
        i: 0,
        ..AttributeProto::default()
    });
    model(GraphProto {
        name: "hungry".to_owned(),
        node: vec![
            node("Reshape", &["count", "one"], &["shape"]),
            node("ConstantOfShape", &["shape"], &["zeros"]),
            sum,
        ],
        initializer: vec![shape],
        input: vec![value("count", INT64, &[])],
        output: vec![value("y", FLOAT, &[])],
        ..GraphProto::default()
    })
}

fn model(graph: GraphProto) -> ModelProto {
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
