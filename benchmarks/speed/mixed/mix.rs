//! Mixes of models: which, and in which order their jobs come.

use crate::{
    Failed,
    models::save_case,
    nets::{self, Decoder},
    table::median,
    workload::Workload,
};
use futures::{StreamExt, stream};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Instant,
};
use tabfleet::{
    fleet::{Fleet, ModelSpec},
    onnx::{ModelFile, NamedTensor, Suite, random_inputs},
};
use tract_onnx::pb::ModelProto;

/// Layers of a decoder of which a token takes some milliseconds.
const DECODER: Decoder = Decoder { layers: 6, width: 384, heads: 6 };
/// Tokens in its cache.
const PAST: usize = 64;
/// The sides of the images: small ones, as thumbnails are.
const DENSENET_IMAGE: i64 = 64;
const RESNET_IMAGE: i64 = 96;

/// Four models of three families.
pub struct Mix(pub Vec<Member>);

/// A model of a mix, as the folder of a case, and its inputs.
pub struct Member {
    pub folder: PathBuf,
    inputs: Vec<NamedTensor>,
}

impl Mix {
    /// Two orders of magnitude apart, each some four times the one before: an audio encoder of about a millisecond, a
    /// decoder's token, DenseNet-121 and ResNet-50 on small images.
    pub fn of_all_sizes(folder: &Path) -> Result<Self, Failed> {
        let mut members = vec![member(&suite("whisper-encoder"))?];
        let nets: [(&str, ModelProto); 3] = [
            ("decoder", nets::decoder(DECODER)),
            ("densenet121", nets::densenet121(DENSENET_IMAGE)),
            ("resnet50", nets::resnet50(RESNET_IMAGE)),
        ];
        for (name, net) in nets {
            save_case(folder, name, &net, &[], &[]);
            let file = ModelFile::read(&folder.join(name).join("model.onnx"))?;
            let shapes = BTreeMap::from([("past".to_owned(), vec![PAST])]);
            let shapes = if name == "decoder" { shapes } else { BTreeMap::new() };
            let inputs = random_inputs(&file, &shapes, 1)?;
            save_case(folder, name, &net, &inputs, &[]);
            members.push(Member { folder: folder.join(name), inputs });
        }
        Ok(Self(members))
    }

    /// The toys of the suite, each of a millisecond or less: what a job costs besides is as much.
    pub fn of_small() -> Result<Self, Failed> {
        let names = ["bert-encoder", "mobilenet", "whisper-encoder", "vit"];
        Ok(Self(names.iter().map(|name| member(&suite(name))).collect::<Result<_, _>>()?))
    }

    /// One model alone: the case in a folder.
    pub fn of_one(folder: &Path) -> Result<Self, Failed> {
        Ok(Self(vec![member(folder)?]))
    }

    /// Which model a job is of: each as often as the others, in no order that anything could adapt to.
    pub const fn model_of(&self, job: usize) -> usize {
        (job * 7 + job / 4 * 3) % self.0.len()
    }

    /// The models, not loaded yet.
    pub async fn workloads(&self, fleet: &Fleet) -> Result<Vec<Workload>, Failed> {
        let mut workloads = Vec::new();
        for Member { folder, inputs } in &self.0 {
            let model = fleet.get_model(ModelSpec::onnx(folder.join("model.onnx"))).await?;
            workloads.push(Workload { model, inputs: inputs.clone(), expected: Vec::new() });
        }
        Ok(workloads)
    }

    /// Runs so many jobs, all of which are there at once.
    pub async fn run(&self, workloads: &[Workload], jobs: usize) -> Result<Done, Failed> {
        let started = Instant::now();
        let calls = (0..jobs).map(async |job| {
            let Workload { model, .. } = &workloads[self.model_of(job)];
            (job, model.run(workloads[self.model_of(job)].inputs()).await)
        });
        let outputs: Vec<_> = stream::iter(calls).buffer_unordered(jobs).collect().await;
        let mut done = Done { wall_ms: started.elapsed().as_secs_f64() * 1e3, ..Done::default() };
        for (job, output) in outputs {
            let timings = output?.timings;
            done.runs_ms.entry(self.model_of(job)).or_default().push(timings.run_ms);
            done.busy_ms += timings.run_ms + timings.readback_ms.unwrap_or(0.0);
            done.busy_ms += timings.download_ms.unwrap_or(0.0) + timings.create_ms.unwrap_or(0.0);
        }
        Ok(done)
    }
}

fn suite(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benchmarks/models/suite").join(name)
}

fn member(folder: &Path) -> Result<Member, Failed> {
    let case = Suite::open(folder)?.cases.into_iter().next().ok_or("no such case")?;
    let (inputs, _) = case.load()?.sets.swap_remove(0);
    Ok(Member { folder: folder.to_owned(), inputs })
}

/// What a number of jobs took altogether.
#[derive(Default)]
pub struct Done {
    pub wall_ms: f64,
    /// The time of each model's runs, as the workers tell it.
    pub runs_ms: BTreeMap<usize, Vec<f64>>,
    /// That, and loading and reading back.
    pub busy_ms: f64,
}

impl Done {
    /// The time over that of the runs alone on so many cores.
    pub fn over_ideal(&self, cores: f64) -> f64 {
        self.wall_ms * cores / self.runs_ms.values().flatten().sum::<f64>()
    }

    /// What a run of each model takes.
    pub fn sizes(&self) -> String {
        let sizes = self.runs_ms.values().map(|runs| format!("{:.2}", median(runs)));
        format!("{} ms", sizes.collect::<Vec<_>>().join(", "))
    }
}
