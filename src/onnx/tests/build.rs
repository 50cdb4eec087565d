//! Models for tests.

use prost::Message;
use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, StringStringEntryProto, TensorProto,
    TensorShapeProto, TypeProto, ValueInfoProto, tensor_shape_proto, type_proto,
};

pub const FLOAT: i32 = 1;
pub const INT64: i32 = 7;
pub const STRING: i32 = 8;
pub const BFLOAT16: i32 = 16;

/// A value of a tensor type. A dimension is a number, a name, or `?`; no shape at all is `*`.
pub fn value(name: &str, elem_type: i32, shape: &str) -> ValueInfoProto {
    use tensor_shape_proto::{Dimension, dimension::Value};
    let dim = |text: &str| Dimension {
        value: match text {
            "?" => None,
            text => Some(text.parse().map_or_else(|_| Value::DimParam(text.to_owned()), Value::DimValue)),
        },
        ..Dimension::default()
    };
    let shape = (shape != "*").then(|| TensorShapeProto { dim: shape.split_whitespace().map(dim).collect() });
    let tensor = type_proto::Tensor { elem_type, shape };
    let kind = TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..TypeProto::default() };
    ValueInfoProto { name: name.to_owned(), r#type: Some(kind), ..ValueInfoProto::default() }
}

pub fn node(domain: &str, op_type: &str) -> NodeProto {
    NodeProto { domain: domain.to_owned(), op_type: op_type.to_owned(), ..NodeProto::default() }
}

pub fn with_graph(mut node: NodeProto, graph: GraphProto) -> NodeProto {
    node.attribute.push(AttributeProto { name: "body".to_owned(), g: Some(graph), ..AttributeProto::default() });
    node
}

pub fn with_tensor(mut node: NodeProto, tensor: TensorProto) -> NodeProto {
    node.attribute.push(AttributeProto { name: "value".to_owned(), t: Some(tensor), ..AttributeProto::default() });
    node
}

pub fn entry(key: &str, value: &str) -> StringStringEntryProto {
    StringStringEntryProto { key: key.to_owned(), value: value.to_owned() }
}

/// A tensor whose data are in a file.
pub fn external(location: &str, offset: u64, length: u64) -> TensorProto {
    TensorProto {
        name: "w".to_owned(),
        dims: vec![1],
        data_type: FLOAT,
        data_location: Some(1),
        external_data: vec![
            entry("location", location),
            entry("offset", &offset.to_string()),
            entry("length", &length.to_string()),
        ],
        ..TensorProto::default()
    }
}

/// A model of IR version 8 around a graph, importing ONNX's operators in version 21.
pub fn model(graph: GraphProto) -> ModelProto {
    ModelProto {
        ir_version: 8,
        producer_name: "tabfleet's tests".to_owned(),
        graph: Some(graph),
        opset_import: vec![OperatorSetIdProto { domain: String::new(), version: 21 }],
        ..ModelProto::default()
    }
}

/// `y = Identity(x)` of that type and shape.
pub fn identity(elem_type: i32, shape: &str) -> ModelProto {
    let (x, y) = (value("x", elem_type, shape), value("y", elem_type, shape));
    let mut identity = node("", "Identity");
    (identity.input, identity.output) = (vec!["x".to_owned()], vec!["y".to_owned()]);
    model(GraphProto { node: vec![identity], input: vec![x], output: vec![y], ..GraphProto::default() })
}

/// A model in which `x` is what the type with this field number of `TypeProto` stands for: 4 for a sequence, and so on.
pub fn of_other_kind(field: u32) -> Vec<u8> {
    let mut kind = Vec::new();
    prost::encoding::bytes::encode(field, &Vec::<u8>::new(), &mut kind);
    let mut input = ValueInfoProto { name: "x".to_owned(), ..ValueInfoProto::default() }.encode_to_vec();
    prost::encoding::bytes::encode(2, &kind, &mut input);
    let mut graph = Vec::new();
    prost::encoding::bytes::encode(11, &input, &mut graph);
    let mut bytes = ModelProto { graph: None, ..model(GraphProto::default()) }.encode_to_vec();
    prost::encoding::bytes::encode(7, &graph, &mut bytes);
    bytes
}
