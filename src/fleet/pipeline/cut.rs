//! One cut of a model: its plan, the files of its stages, and the stages as the fleet knows them.

use crate::{
    browser::Guard,
    fleet::{Fleet, ModelSpec, ModelSpecError, handover::Next, message::Request, model::ModelRecord, shards::Shards},
    harness::CpuFallback,
    onnx::{self, ModelGraph, ShardError, ShardOptions, ShardPlan},
    schedule::{StageSpec, TargetSet},
    types::{Family, PipelineId},
};
use serde_json::{Map, Value};
use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// What is run in stages.
pub(in crate::fleet) enum Whole {
    /// One model, that can be cut in more ways than one.
    Model(Box<ModelGraph>),
    /// Several models, each of which is a stage.
    Models(Box<onnx::Pipeline>),
}

impl Whole {
    pub fn plan(&self, options: &ShardOptions) -> Result<ShardPlan, ShardError> {
        match self {
            Self::Model(graph) => graph.plan(options),
            Self::Models(pipeline) => Ok(pipeline.plan().clone()),
        }
    }

    fn write_stages(&self, plan: &ShardPlan, folder: &Path) -> Result<Vec<PathBuf>, ShardError> {
        match self {
            Self::Model(graph) => graph.write_stages(plan, folder),
            Self::Models(pipeline) => pipeline.write_stages(folder),
        }
    }

    /// What a stage is called.
    fn stage_name(&self, origin: &str, index: usize, count: usize) -> String {
        let named = match self {
            Self::Model(_) => None,
            Self::Models(pipeline) => pipeline.names.get(index),
        };
        named.map_or_else(|| format!("{origin} [{}/{count}]", index + 1), |name| format!("{origin} [{name}]"))
    }
}

/// What stages inherit of the model they were cut from.
pub(in crate::fleet) struct Origin {
    pub name: String,
    pub family: Family,
    pub cpu_fallback: CpuFallback,
    pub session_options: Map<String, Value>,
}

/// One stage: what it needs of what is held.
pub(in crate::fleet) struct Stage {
    pub record: Arc<ModelRecord>,
    pub inputs: Vec<String>,
    /// Those of its outputs that the next stage needs and nobody else.
    pub for_next: Vec<String>,
}

/// Stages that are known to the fleet. When the last job is through and the pipeline is gone, so are they.
pub(in crate::fleet) struct Cut {
    pub plan: ShardPlan,
    pub stages: Vec<Stage>,
    /// The model's outputs, in its order.
    pub outputs: Vec<String>,
    /// The last stage that needs a tensor; outputs of the model are needed to the end.
    last_needed: HashMap<String, usize>,
    /// Holds the stages' files while tabs may fetch them. They are as large as the model: they must not outlive a fleet
    /// that is killed.
    _files: Guard,
}

impl Cut {
    /// Writes the stages of a plan, makes them known, and gives each its home.
    pub async fn open(
        whole: &Arc<Whole>,
        plan: ShardPlan,
        shards: &Shards,
        origin: &Origin,
        allowed: TargetSet,
        fleet: &Fleet,
    ) -> Result<Self, ModelSpecError> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let pipeline = PipelineId(NEXT.fetch_add(1, Ordering::Relaxed));
        let guard = Guard::start(()).await.map_err(ModelSpecError::Folder)?;
        let (writer, planned) = (whole.clone(), plan.clone());
        // Whoever writes holds the guard: what nobody waits for any more is removed when it is written, not before.
        let writing = move || writer.write_stages(&planned, guard.folder()).map(|files| (guard, files));
        let written = tokio::task::spawn_blocking(writing).await;
        let (guard, files) = written.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))?;

        let count = plan.stages.len();
        let mut stages = Vec::with_capacity(count);
        let mut last_needed = HashMap::new();
        for (index, (stage, file)) in plan.stages.iter().zip(files).enumerate() {
            let mut spec = ModelSpec::onnx(file)
                .name(whole.stage_name(&origin.name, index, count))
                .family(origin.family)
                .cpu_fallback(origin.cpu_fallback);
            for (name, value) in &origin.session_options {
                spec = spec.session_option(name.clone(), value.clone());
            }
            let record = Arc::new(fleet.publish(spec).await?);
            let preferred = match (shards.targets.get(index), stage.preferred) {
                (Some(target), _) => [*target].into_iter().collect(),
                (None, Some(browser)) => allowed.iter().filter(|target| target.browser == browser).collect(),
                (None, None) => TargetSet::EMPTY,
            };
            let spec = StageSpec {
                pipeline,
                allowed,
                preferred: preferred.intersection(allowed),
                bytes: stage.memory_bytes(),
                tab_limit: shards.options.memory_limit,
                spares: shards.spares,
                load_timeout: fleet.config().job_deadline,
            };
            fleet.request(Request::DeclareStage(record.clone(), spec));
            let inputs: Vec<String> = stage.inputs.iter().map(|tensor| tensor.info.name.clone()).collect();
            last_needed.extend(inputs.iter().map(|name| (name.clone(), index)));
            stages.push(Stage { record, inputs, for_next: Vec::new() });
        }
        let outputs: Vec<String> = plan.outputs.iter().map(|output| output.name.clone()).collect();
        last_needed.extend(outputs.iter().map(|name| (name.clone(), usize::MAX)));
        for (index, (stage, made)) in stages.iter_mut().zip(&plan.stages).enumerate() {
            let names = made.outputs.iter().map(|tensor| &tensor.info.name);
            stage.for_next = names.filter(|name| last_needed.get(*name) == Some(&(index + 1))).cloned().collect();
        }
        Ok(Self { plan, stages, outputs, last_needed, _files: guard })
    }

    /// What a stage may hand to the next one's tab directly.
    pub fn next_of(&self, stage: usize, at_least: u64) -> Option<Next> {
        let outputs = self.stages.get(stage)?.for_next.clone();
        let next = self.stages.get(stage + 1).filter(|_| !outputs.is_empty())?;
        Some(Next { stage: next.record.id, outputs, at_least })
    }

    /// Whether a stage after this one needs the tensor, or the caller does.
    pub fn is_needed_after(&self, name: &str, stage: usize) -> bool {
        self.last_needed.get(name).is_some_and(|last| *last > stage)
    }
}
