//! Several models as one pipeline: a TOML file says which outputs feed which inputs.
//!
//! ```toml
//! [[components]]
//! name = "vision"
//! model = "vision.onnx"            # beside this file
//! kind = "encoder"                 # optional: what `tabfleet shard --strategy browser` knows
//! browser = "chrome"               # optional: where it is preferred to run
//!
//! [[components]]
//! name = "text"
//! model = "text.onnx"
//! inputs = { image_features = "vision.last_hidden_state" }
//!
//! [outputs]                        # optional: without it, every output that no component reads
//! logits = "text.logits"
//! ```
//!
//! An input that is not fed is an input of the pipeline, under its own name; two components that name one alike share it.

use super::{
    component::Component,
    error::ShardError,
    graph::ModelGraph,
    plan::{ShardOptions, ShardPlan, ShardStrategy, StageTensor},
};
use crate::{
    onnx::{Dim, ValueInfo, ValueKind},
    types::Browser,
};
use serde::Deserialize;
use std::{
    collections::{BTreeMap, HashMap},
    fs,
    path::{Path, PathBuf},
};

/// Several models that run one after the other. Its plan has a stage for each, and is run like a plan for one model.
#[derive(Debug)]
pub struct Pipeline {
    /// The components' names, in the order in which they run.
    pub names: Vec<String>,
    graphs: Vec<ModelGraph>,
    plan: ShardPlan,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PipelineFile {
    components: Vec<ComponentEntry>,
    #[serde(default)]
    outputs: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ComponentEntry {
    name: String,
    model: PathBuf,
    kind: Option<Component>,
    browser: Option<Browser>,
    #[serde(default)]
    inputs: BTreeMap<String, String>,
}

impl Pipeline {
    /// Reads a pipeline file and its models, and checks that what is fed is what is taken.
    ///
    /// # Errors
    /// [`ShardError::File`] for a file that cannot be read, or joins what does not fit; the errors of
    /// [`ModelGraph::read`] for its models.
    pub fn read(path: &Path) -> Result<Self, ShardError> {
        let wrong = |what: String| ShardError::File { path: path.to_owned(), what };
        let text = fs::read_to_string(path).map_err(|source| wrong(source.to_string()))?;
        let file: PipelineFile = toml::from_str(&text).map_err(|source| wrong(source.message().to_owned()))?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let mut joined = Joined::default();
        for entry in &file.components {
            let graph = ModelGraph::read(&folder.join(&entry.model))?;
            joined.add(entry, graph).map_err(wrong)?;
        }
        joined.finish(&file.outputs).map_err(wrong)
    }

    /// Its plan: a stage for each component. A stage's inputs and outputs are named as in the whole: `vision.features` is
    /// what the component `vision` calls `features`; the pipeline's own inputs and outputs have no such prefix.
    pub const fn plan(&self) -> &ShardPlan {
        &self.plan
    }

    /// Writes every component as a stage, whose inputs and outputs are called what the plan calls them. Returns the files
    /// in the order of the stages.
    ///
    /// # Errors
    /// As [`ModelGraph::write_stage`].
    pub fn write_stages(&self, folder: &Path) -> Result<Vec<PathBuf>, ShardError> {
        let stages = self.graphs.iter().zip(&self.plan.stages).zip(&self.names);
        stages.map(|((graph, stage), name)| graph.write_stage(stage, &folder.join(format!("{name}.onnx")))).collect()
    }
}

/// Components as they are joined, one after the other.
#[derive(Default)]
struct Joined {
    names: Vec<String>,
    graphs: Vec<ModelGraph>,
    stages: Vec<super::StagePlan>,
    /// What is there by its name in the whole: inputs of the pipeline, and outputs of components so far.
    known: HashMap<String, (ValueInfo, Option<usize>)>,
    read: Vec<String>,
}

impl Joined {
    fn add(&mut self, entry: &ComponentEntry, graph: ModelGraph) -> Result<(), String> {
        let name = &entry.name;
        if name.is_empty() || name.contains(['.', '/']) {
            return Err(format!("a component cannot be called `{name}`: a name is not empty and has no `.` or `/`"));
        }
        if self.names.contains(name) {
            return Err(format!("two components are called `{name}`"));
        }
        let whole = graph.plan(&ShardOptions::new(1, ShardStrategy::Optimal)).map_err(|error| error.to_string())?;
        let Some(mut stage) = whole.stages.into_iter().next() else { return Err(format!("`{name}` is empty")) };
        let index = self.stages.len();
        if let Some(unknown) = entry.inputs.keys().find(|own| stage.inputs.iter().all(|input| input.info.name != **own))
        {
            let inputs = listed(stage.inputs.iter().map(|input| input.info.name.as_str()));
            return Err(format!("`{name}` has no input `{unknown}`; it has {inputs}"));
        }
        for input in &mut stage.inputs {
            self.feed(name, input, entry.inputs.get(&input.info.name))?;
        }
        for output in &mut stage.outputs {
            output.info.name = format!("{name}.{}", output.info.name);
            output.from = Some(index);
            self.known.insert(output.info.name.clone(), (output.info.clone(), Some(index)));
        }
        stage.component = entry.kind.or(stage.component);
        stage.preferred = entry.browser;
        self.names.push(name.clone());
        self.graphs.push(graph);
        self.stages.push(stage);
        Ok(())
    }

    /// Joins an input to what feeds it, if that fits.
    fn feed(&mut self, name: &str, input: &mut StageTensor, source: Option<&String>) -> Result<(), String> {
        let own = input.info.name.clone();
        let source = source.unwrap_or(&own);
        if source.contains('.') && !self.known.contains_key(source) && *source != own {
            let known =
                listed(self.known.iter().filter(|(_, (_, from))| from.is_some()).map(|(name, _)| name.as_str()));
            return Err(format!("`{name}` reads `{source}`, which no component before it gives; there are {known}"));
        }
        let (info, from) = self
            .known
            .entry(source.clone())
            .or_insert_with(|| (ValueInfo { name: source.clone(), kind: input.info.kind.clone() }, None));
        if !fits(&info.kind, &input.info.kind) {
            let (given, taken) = (&info.kind, &input.info.kind);
            return Err(format!("`{name}` takes {taken} as `{own}`, and `{source}` is {given}"));
        }
        input.info.name = source.clone();
        input.from = *from;
        self.read.push(source.clone());
        Ok(())
    }

    fn finish(mut self, outputs: &BTreeMap<String, String>) -> Result<Pipeline, String> {
        if self.stages.is_empty() {
            return Err("it has no components".to_owned());
        }
        for (name, source) in outputs {
            let made = self.stages.iter().flat_map(|stage| &stage.outputs);
            if !made.clone().any(|output| output.info.name == *source) {
                let known = listed(made.map(|output| output.info.name.as_str()));
                return Err(format!(
                    "the output `{name}` is to be `{source}`, which no component gives; there are {known}"
                ));
            }
            if self.known.contains_key(name) {
                return Err(format!("the output `{name}` has the name of something else"));
            }
        }
        for stage in &mut self.stages {
            let mut gives = Vec::new();
            for output in std::mem::take(&mut stage.outputs) {
                let named = outputs.iter().filter(|(_, source)| **source == output.info.name);
                let ends = named.map(|(name, _)| StageTensor {
                    info: ValueInfo { name: name.clone(), kind: output.info.kind.clone() },
                    ..output.clone()
                });
                gives.extend(ends);
                if self.read.contains(&output.info.name) || outputs.is_empty() {
                    gives.push(output);
                }
            }
            if gives.is_empty() {
                return Err("it has a component of which nothing is read; take it out, or name an output".to_owned());
            }
            stage.outputs = gives;
        }
        let given = self.stages.iter().flat_map(|stage| &stage.inputs).filter(|input| input.from.is_none());
        let mut inputs: Vec<ValueInfo> = Vec::new();
        for input in given {
            if inputs.iter().all(|other| other.name != input.info.name) {
                inputs.push(input.info.clone());
            }
        }
        let made = self.stages.iter().flat_map(|stage| &stage.outputs).map(|output| &output.info);
        let leaves = |output: &&ValueInfo| match outputs.is_empty() {
            true => !self.read.contains(&output.name),
            false => outputs.contains_key(&output.name),
        };
        let outputs = made.filter(leaves).cloned().collect();
        let cut_points = self.graphs.len() - 1;
        let plan = ShardPlan { strategy: None, inputs, outputs, stages: self.stages, cut_points, dividing_cuts: 0 };
        Ok(Pipeline { names: self.names, graphs: self.graphs, plan })
    }
}

/// Whether what is given can be what is taken, as far as both are known.
fn fits(given: &ValueKind, taken: &ValueKind) -> bool {
    match (given, taken) {
        (ValueKind::Tensor { dtype: a, shape: given }, ValueKind::Tensor { dtype: b, shape: taken }) => {
            let fit = |(a, b): (&Dim, &Dim)| !matches!((a, b), (Dim::Fixed(a), Dim::Fixed(b)) if a != b);
            let shapes = given.as_ref().zip(taken.as_ref());
            a == b && shapes.is_none_or(|(a, b)| a.len() == b.len() && a.iter().zip(b).all(fit))
        }
        _ => false,
    }
}

fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let mut names: Vec<_> = names.map(|name| format!("`{name}`")).collect();
    names.sort_unstable();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}
