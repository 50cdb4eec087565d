//! Which models have a batch axis, and how sure that is.

use super::build::*;
use crate::onnx::{BatchAxisError, BatchCertainty, ModelGraph, Suite};
use prost::Message;
use std::time::Duration;
use tract_onnx::pb::{GraphProto, ModelProto, NodeProto, TensorProto};

fn graph(model: &ModelProto) -> ModelGraph {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.onnx");
    std::fs::write(&path, model.encode_to_vec()).unwrap();
    ModelGraph::read(&path).unwrap()
}

fn op(op_type: &str, inputs: &[&str], output: &str) -> NodeProto {
    let input = inputs.iter().map(|name| (*name).to_owned()).collect();
    NodeProto { input, output: vec![output.to_owned()], ..node("", op_type) }
}

/// `y = op_type(a, b)`.
fn of_two(op_type: &str, a: &str, b: &str, y: &str) -> ModelProto {
    model(GraphProto {
        node: vec![op(op_type, &["a", "b"], "y")],
        input: vec![value("a", FLOAT, a), value("b", FLOAT, b)],
        output: vec![value("y", FLOAT, y)],
        ..GraphProto::default()
    })
}

#[test]
fn a_first_dimension_of_one_name_is_a_batch_axis() {
    for (y, certainty) in
        [("N 3", BatchCertainty::Declared), ("? ?", BatchCertainty::Inferred), ("*", BatchCertainty::Inferred)]
    {
        let axis = graph(&of_two("Add", "N 3", "N 3", y)).batch_axis().unwrap();
        assert_eq!((axis.symbol.as_deref(), axis.certainty), (Some("N"), certainty), "{y}");
    }
    let nameless = graph(&identity(FLOAT, "? 3")).batch_axis().unwrap();
    assert_eq!((nameless.symbol, nameless.certainty), (None, BatchCertainty::Inferred));
}

#[test]
fn what_fixes_the_number_of_rows_is_told() {
    let told = |model: &ModelProto| graph(model).batch_axis().unwrap_err().to_string();
    let advice = "export the model with a dynamic batch axis";
    for (model, expected) in [
        (of_two("Add", "1 3", "1 3", "1 3"), format!("the first dimension of `a` is 1, not of any size; {advice}")),
        (of_two("Add", "N 3", "3", "N 3"), format!("the first dimension of `b` is 3, not `N`; {advice}")),
        (of_two("Add", "N 3", "M 3", "N 3"), format!("the first dimension of `b` is M, not `N`; {advice}")),
        (
            of_two("Add", "? 3", "? 3", "? 3"),
            format!("the first dimension of `b` is any number, not that of `a`; {advice}"),
        ),
        (of_two("MatMul", "N N", "N N", "N N"), "the number of rows is another dimension of `a`, too".to_owned()),
        (identity(8, "N"), "`x` is text".to_owned()),
        (identity(22, "N 3"), "`x` is of 4-bit numbers, of which two share a byte".to_owned()),
        (identity(FLOAT, ""), format!("the first dimension of `x` is missing, not of any size; {advice}")),
    ] {
        assert_eq!(told(&model), expected);
    }
    // The file says rows, and the operators say otherwise.
    let mut sum = op("ReduceSum", &["x"], "y");
    sum.attribute.push(super::nets::int("keepdims", 1));
    let model = model(GraphProto {
        node: vec![sum],
        input: vec![value("x", FLOAT, "N 3")],
        output: vec![value("y", FLOAT, "N 3")],
        ..GraphProto::default()
    });
    let error = graph(&model).batch_axis().unwrap_err();
    assert!(matches!(error, BatchAxisError::Rows { .. }), "{error}");
}

#[test]
fn rows_cost_what_the_graph_computes_for_each() {
    let weight = TensorProto {
        name: "w".to_owned(),
        dims: vec![8, 16],
        data_type: FLOAT,
        float_data: vec![1.0; 128],
        ..TensorProto::default()
    };
    let product = model(GraphProto {
        node: vec![op("MatMul", &["x", "w"], "y")],
        initializer: vec![weight],
        input: vec![value("x", FLOAT, "N 8")],
        output: vec![value("y", FLOAT, "N 16")],
        ..GraphProto::default()
    });
    let axis = graph(&product).batch_axis().unwrap();
    assert_eq!(axis.flops_per_row, 2.0 * 8.0 * 16.0);
    let estimate = |rows| axis.estimate(rows, 32 * rows);
    assert!(estimate(1) > Duration::ZERO && estimate(2) < 2 * estimate(1) && estimate(64) > estimate(1), "{axis:?}");
}

#[test]
fn of_the_suite_those_have_one_that_were_exported_with_it() {
    let suite = Suite::builtin().unwrap();
    let has_one = |case: &&crate::onnx::Case| ModelGraph::of(case.load().unwrap().model).unwrap().batch_axis().is_ok();
    let names: Vec<&str> = suite.cases.iter().filter(has_one).map(|case| case.name.as_str()).collect();
    assert_eq!(names, ["mlp-dynamic"]);
}
