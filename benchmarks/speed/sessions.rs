//! A decoder's loop: its cache kept in the tab, over the cache crossing the wire there and back with every token.

use crate::{
    Failed,
    models::save,
    nets::{self, Decoder},
    table::{Bar, Row, median},
};
use std::time::Instant;
use tabfleet::{
    fleet::{Fleet, Model, ModelSpec},
    types::Tensor,
};

type Tensors = Vec<(String, Tensor<'static>)>;

/// The layers of GPT-2 (the small one), without its embedding and its vocabulary: 85 million weights.
const GPT2: Decoder = Decoder { layers: 12, width: 768, heads: 12 };

/// Tokens in the cache when the loop starts, and those it decodes.
const PAST: usize = 448;
const TOKENS: usize = 64;
const ROUNDS: usize = 3;

pub async fn measure() -> Result<Row, Failed> {
    let folder = tempfile::tempdir()?;
    let path = save(folder.path(), "gpt2-layers.onnx", &nets::decoder(GPT2));
    let fleet = Fleet::builder().targets(["chrome/wasm".parse()?]).launch().await?;
    let model = fleet.get_model(ModelSpec::onnx(path)).await?;
    // Both ways once, for what is only slow the first time.
    over_the_wire(&model, 2).await?;
    kept(&model, 2).await?;
    let (mut wire_ms, mut kept_ms) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let (took, right) = over_the_wire(&model, TOKENS).await?;
        wire_ms.push(took);
        let (took, same) = kept(&model, TOKENS).await?;
        kept_ms.push(took);
        if same != right {
            return Err("the two loops do not say the same".into());
        }
    }
    fleet.close().await?;
    let (wire, kept) = (median(&wire_ms), median(&kept_ms));
    let cache = 2 * GPT2.layers * GPT2.width * 4 * PAST;
    Ok(Row {
        measure: "decoder loop, 64 tokens: the cache crossing the wire with each, over the cache kept in the tab",
        bar: Bar::AtLeast(2.0),
        value: wire / kept,
        numbers: format!(
            "GPT-2's 12 layers, {PAST} tokens of {} MB in the cache at the start: {:.0} ms a token, kept {:.0} ms; the \
             same outputs",
            cache / 1_000_000,
            wire / TOKENS as f64,
            kept / TOKENS as f64
        ),
    })
}

/// A token's embedding, as good as any.
fn token(step: usize) -> Result<(String, Tensor<'static>), Failed> {
    let values: Vec<f32> = (0..GPT2.width).map(|i| ((i * 31 + step * 17) % 101) as f32 / 50.0 - 1.0).collect();
    Ok(("x".to_owned(), Tensor::from_values([1, 1, GPT2.width], &values)?))
}

fn first_cache() -> Result<Tensors, Failed> {
    let shape = [1, GPT2.heads, PAST, GPT2.width / GPT2.heads];
    let values: Vec<f32> = (0..PAST * GPT2.width).map(|i| ((i * 7) % 97) as f32 / 48.0 - 1.0).collect();
    GPT2.caches().map(|(_, past)| Ok((past, Tensor::from_values(shape, &values)?))).collect()
}

/// How long the loop took in milliseconds, and what its last step said.
async fn over_the_wire(model: &Model, tokens: usize) -> Result<(f64, Tensors), Failed> {
    let (mut cache, mut last) = (first_cache()?, Vec::new());
    let started = Instant::now();
    for step in 0..tokens {
        let mut output = model.run([vec![token(step)?], cache].concat()).await?;
        let (presents, said) = output.tensors.drain(..).partition(|(name, _)| name.starts_with("present"));
        let presents: Tensors = presents;
        cache = presents.into_iter().map(|(name, tensor)| (name.replace("present", "past"), tensor)).collect();
        last = said;
    }
    Ok((started.elapsed().as_secs_f64() * 1e3, last))
}

async fn kept(model: &Model, tokens: usize) -> Result<(f64, Tensors), Failed> {
    let (mut cache, mut last) = (first_cache()?, Vec::new());
    let started = Instant::now();
    for step in 0..tokens {
        let inputs = [vec![token(step)?], std::mem::take(&mut cache)].concat();
        let options = model.options().keep(GPT2.caches());
        last = model.execute_in_session("decoder", inputs, options).await?.tensors;
    }
    let took = started.elapsed().as_secs_f64() * 1e3;
    model.close_session("decoder").await;
    Ok((took, last))
}
