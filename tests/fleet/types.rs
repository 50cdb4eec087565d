//! Every element type goes into a tab and comes out of it as it was.

use crate::{fleets::launched, models};
use half::f16;
use tabfleet::{
    fleet::{Fleet, ModelSpec},
    types::{Category, Cause, Dtype, Tensor},
};
use tract_onnx::pb::ModelProto;

async fn comes_back(fleet: &Fleet, tensor: Tensor<'static>) {
    let identity = models::unary("Identity", tensor.dtype(), tensor.shape().len());
    becomes(fleet, &identity, &tensor, &tensor).await;
}

async fn becomes(fleet: &Fleet, model: &ModelProto, x: &Tensor<'_>, y: &Tensor<'static>) {
    let folder = tempfile::tempdir().unwrap();
    let dtype = x.dtype();
    let model = models::save(folder.path(), "model.onnx", model);
    let model = fleet.get_model(ModelSpec::onnx(model)).await.unwrap();
    let output = model.run([("x", x.view())]).await.unwrap_or_else(|error| panic!("{dtype}: {error}"));
    assert_eq!(output.get("y"), Some(y), "{dtype} {:?}", x.shape());
}

/// Values with all the bits that a careless conversion would lose, in two shapes.
fn values() -> Vec<Tensor<'static>> {
    macro_rules! ends {
        ($($type:ty),+) => { vec![$(Tensor::from_values([2, 3], &[<$type>::MIN, <$type>::MAX, 0, 1, 2, 100]).unwrap()),+] };
    }
    let mut all = ends!(i8, i16, i32, i64, u8, u16, u32, u64);
    let f32s = [f32::NAN, f32::NEG_INFINITY, -0.0, f32::MIN_POSITIVE / 2.0, f32::EPSILON, f32::MAX];
    let f64s = [f64::NAN, f64::NEG_INFINITY, -0.0, f64::MIN_POSITIVE / 2.0, f64::EPSILON, f64::MAX];
    let f16s = [f16::NAN, f16::NEG_INFINITY, f16::NEG_ZERO, f16::MIN_POSITIVE_SUBNORMAL, f16::EPSILON, f16::MAX];
    all.extend([
        Tensor::from_values([2, 3], &f32s).unwrap(),
        Tensor::from_values([2, 3], &f64s).unwrap(),
        Tensor::from_values([2, 3], &f16s).unwrap(),
        Tensor::from_values([2, 3], &[true, false, false, true, true, false]).unwrap(),
        Tensor::from_strings([2, 3], &["", "text", "Grüße", "日本語", "\u{1F980}", "line\nend"]).unwrap(),
    ]);
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn every_element_type_comes_back_as_it_went() {
    let Some(fleet) = launched(&["chrome/wasm"]).await else { return };
    for tensor in values() {
        comes_back(&fleet, tensor).await;
    }
    fleet.close().await.unwrap();
}

/// The runtime takes four-bit numbers as inputs and has none of them as outputs, which is told and not made up for.
#[tokio::test(flavor = "multi_thread")]
async fn four_bit_numbers_arrive_as_they_went() {
    let Some(fleet) = launched(&["chrome/wasm"]).await else { return };
    for (dtype, values) in [(Dtype::Int4, [7.0, -8.0, 0.0, 1.0, -1.0_f32]), (Dtype::Uint4, [7.0, 8.0, 0.0, 1.0, 15.0])]
    {
        // Five elements: the last byte is half used.
        let narrow = Tensor::new(dtype, [5], vec![0x87, 0x10, 0x0f]).unwrap();
        let wide = Tensor::from_values([5], &values).unwrap();
        becomes(&fleet, &models::scaled("DequantizeLinear", dtype, Dtype::Float32), &narrow, &wide).await;

        let folder = tempfile::tempdir().unwrap();
        let narrowing = models::scaled("QuantizeLinear", Dtype::Float32, dtype);
        let narrowing = ModelSpec::onnx(models::save(folder.path(), "narrowing.onnx", &narrowing));
        let error = fleet.get_model(narrowing).await.unwrap().run([("x", wide)]).await.unwrap_err();
        assert_eq!((error.failure.cause, error.failure.category()), (Cause::ModelRun, Category::Inference));
        assert!(error.failure.message.contains(&format!("unsupported type: {dtype}")), "{error}");
    }
    fleet.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn scalars_and_empty_and_large_tensors_come_back_as_they_went() {
    let Some(fleet) = launched(&["chrome/wasm"]).await else { return };
    comes_back(&fleet, Tensor::scalar(0.1_f32)).await;
    comes_back(&fleet, Tensor::scalar(-7_i64)).await;
    comes_back(&fleet, Tensor::from_values([0], &[0.0_f32; 0]).unwrap()).await;
    comes_back(&fleet, Tensor::from_values([2, 0, 3], &[0_u8; 0]).unwrap()).await;
    comes_back(&fleet, Tensor::from_strings([0], &[""; 0]).unwrap()).await;
    comes_back(&fleet, Tensor::from_strings([], &["one"]).unwrap()).await;
    let large: Vec<f32> = (0..4 << 20).map(|n| n as f32).collect();
    comes_back(&fleet, Tensor::from_values([4, 1 << 20], &large).unwrap()).await;
    fleet.close().await.unwrap();
}

/// The runtime takes a text up to its first NUL; what it would cut off is refused instead.
#[tokio::test(flavor = "multi_thread")]
async fn texts_that_the_runtime_would_cut_are_refused() {
    let Some(fleet) = launched(&["chrome/wasm"]).await else { return };
    let folder = tempfile::tempdir().unwrap();
    let model = models::save(folder.path(), "identity.onnx", &models::unary("Identity", Dtype::String, 1));
    let model = fleet.get_model(ModelSpec::onnx(model)).await.unwrap();
    let error = model.run([("x", Tensor::from_strings([1], &["a\0b"]).unwrap())]).await.unwrap_err();
    assert!(error.failure.message.contains("NUL"), "{error}");
    fleet.close().await.unwrap();
}
