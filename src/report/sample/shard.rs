//! A plan, made up.

use crate::{
    onnx::{Component, ShardStrategy},
    report::{CrossingRow, NodeRow, ShardReport, StageRow},
    types::Browser,
};

pub(in crate::report) fn shard() -> ShardReport {
    let tensor = |name: &str, bytes, from| CrossingRow {
        name: name.into(),
        kind: "float32 [batch, 197, 768]".into(),
        bytes,
        from,
    };
    let stage = |component, preferred, ms: f64, inputs, outputs| StageRow {
        name: None,
        nodes: 120,
        flops: ms * 4e6,
        weight_bytes: 172_000_000,
        activation_bytes: 4_840_000,
        compute_ms: ms,
        transfer_ms: 1.25,
        component: Some(component),
        preferred: Some(preferred),
        inputs,
        outputs,
        file: None,
    };
    let (image, hidden, skip, logits) =
        (tensor("pixel_values", 602_112, None), "/encoder/layer.5/Add_1_output_0", "/mask_output_0", "logits");
    let stages = vec![
        stage(
            Component::Attention,
            Browser::Chrome,
            310.5,
            vec![image],
            vec![tensor(hidden, 605_184, Some(0)), tensor(skip, 788, Some(0))],
        ),
        stage(
            Component::FeedForward,
            Browser::Firefox,
            298.0,
            vec![tensor(hidden, 605_184, Some(0))],
            vec![tensor("/encoder/layer.11/Add_1_output_0", 605_184, Some(1))],
        ),
        stage(
            Component::Head,
            Browser::Edge,
            12.25,
            vec![tensor("/encoder/layer.11/Add_1_output_0", 605_184, Some(1)), tensor(skip, 788, Some(0))],
            vec![tensor(logits, 4_000, Some(2))],
        ),
    ];
    let node = |index: usize| NodeRow {
        name: format!("/encoder/layer.{}/MatMul", index / 4),
        operator: if index.is_multiple_of(3) { "Add" } else { "MatMul" }.into(),
        component: if index % 8 < 4 { Component::Attention } else { Component::FeedForward },
        stage: (index / 24).min(2),
        ms: 1.0 + (index % 5) as f64,
        crossing_bytes: 605_184 * (1 + index as u64 % 3),
        cut_point: index.is_multiple_of(4) && index > 0,
    };
    ShardReport {
        tabfleet: "0.1.0".into(),
        model: "sample".into(),
        strategy: Some(ShardStrategy::Browser),
        memory_limit_bytes: Some(512 << 20),
        stages,
        crossing_bytes: 1_211_156,
        balance: 1.49,
        cut_points: 23,
        dividing_cuts: 1,
        nodes: (0..60).map(node).collect(),
    }
}
