//! `tabfleet shard`: how a model is cut into stages.

use super::{
    config::{Settings, parse_bytes},
    error::CliError,
    outcome::Outcome,
    style::table_style,
};
use crate::{
    fleet::Shards,
    onnx::{Mapping, ModelGraph, Pipeline, ShardOptions, ShardStrategy, parse_shape_flag},
    report::{ShardReport, shard_table, write_json, write_shard_html},
};
use clap::Args;
use std::path::{Path, PathBuf};

/// Cut a model into stages that run in different tabs.
#[derive(Debug, Args)]
pub(super) struct ShardArgs {
    /// An ONNX model, or a pipeline of several (a .toml file)
    model: PathBuf,

    /// How many stages [default: 2]
    #[arg(long, value_name = "N")]
    shards: Option<usize>,

    /// How they are found: layers (equal numbers of repeated blocks), optimal (the slowest stage is as fast as can be) or
    /// browser (what prefers the same browser stays together) [default: optimal]
    #[arg(long, value_name = "NAME", value_parser = strategy)]
    strategy: Option<ShardStrategy>,

    /// The most that a stage's weights and live activations may take: 512MiB
    #[arg(long, value_name = "SIZE", value_parser = size)]
    memory_limit: Option<u64>,

    /// Which browser each component prefers, and what nodes are (TOML: [browsers] and [nodes])
    #[arg(long, value_name = "FILE")]
    mapping: Option<PathBuf>,

    /// The size of a symbolic dimension to estimate with: batch=4
    #[arg(long = "shape", value_name = "NAME=SIZE")]
    shapes: Vec<String>,

    /// Write the stages there, each a model of its own
    #[arg(long, value_name = "DIR")]
    output_dir: Option<PathBuf>,

    /// Write the plan there as JSON (docs/JSON.md describes it)
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,

    /// Write the plan there as a page with pictures
    #[arg(long, value_name = "DIR")]
    html: Option<PathBuf>,
}

/// Models run in stages, for the commands that run them.
#[derive(Debug, Args)]
pub(super) struct InStages {
    /// Cut each model into so many stages, each in a tab of its own
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    shards: Option<u16>,

    /// How they are found: layers, optimal or browser (`tabfleet shard` tells more) [default: optimal]
    #[arg(long, value_name = "NAME", value_parser = strategy, requires = "shards")]
    shard_strategy: Option<ShardStrategy>,
}

impl InStages {
    /// How models are to be cut, if they are.
    pub fn shards(&self) -> Option<Shards> {
        let strategy = self.shard_strategy.unwrap_or(ShardStrategy::Optimal);
        self.shards.map(|shards| Shards::new(usize::from(shards), strategy))
    }

    /// How many tabs a target needs at least.
    pub fn tabs(&self) -> usize {
        self.shards.map_or(1, usize::from)
    }
}

fn strategy(text: &str) -> Result<ShardStrategy, String> {
    text.parse().map_err(|_| "it takes layers, optimal or browser".to_owned())
}

fn size(text: &str) -> Result<u64, String> {
    parse_bytes(text).ok_or_else(|| "it takes a number of bytes or a size such as 512MiB".to_owned())
}

pub(super) fn execute(args: ShardArgs, settings: &Settings) -> Result<Outcome, CliError> {
    let report = match args.model.extension().is_some_and(|extension| extension == "toml") {
        true => of_pipeline(&args)?,
        false => of_model(&args)?,
    };
    print!("{}", shard_table(&report, table_style(settings)));
    if let Some(path) = &args.json {
        write_json(&report, path)?;
    }
    if let Some(folder) = &args.html {
        write_shard_html(&report, folder)?;
    }
    Ok(Outcome::Good)
}

fn of_model(args: &ShardArgs) -> Result<ShardReport, CliError> {
    let graph = ModelGraph::read(&args.model)?;
    let mut options = ShardOptions::new(args.shards.unwrap_or(2), args.strategy.unwrap_or(ShardStrategy::Optimal));
    options.memory_limit = args.memory_limit;
    if let Some(path) = &args.mapping {
        options.mapping = Mapping::read(path)?;
    }
    for flag in &args.shapes {
        let (name, sizes) = parse_shape_flag(flag)?;
        let [size] = sizes[..] else { return Err(CliError::NotADimension(flag.clone())) };
        options.dims.insert(name, size);
    }
    let plan = graph.plan(&options)?;
    let mut report = ShardReport::new(graph.file().name.clone(), &plan, &graph.profile(&options));
    report.memory_limit_bytes = args.memory_limit;
    if let Some(folder) = &args.output_dir {
        note_files(&mut report, graph.write_stages(&plan, folder)?);
    }
    Ok(report)
}

fn of_pipeline(args: &ShardArgs) -> Result<ShardReport, CliError> {
    let given = [
        ("--shards", args.shards.is_some()),
        ("--strategy", args.strategy.is_some()),
        ("--memory-limit", args.memory_limit.is_some()),
        ("--mapping", args.mapping.is_some()),
        ("--shape", !args.shapes.is_empty()),
    ];
    if let Some((flag, _)) = given.into_iter().find(|(_, given)| *given) {
        return Err(CliError::NotForPipelines(flag));
    }
    let pipeline = Pipeline::read(&args.model)?;
    let name = args.model.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let mut report = ShardReport::new(name, pipeline.plan(), &[]);
    for (stage, name) in report.stages.iter_mut().zip(&pipeline.names) {
        stage.name = Some(name.clone());
    }
    if let Some(folder) = &args.output_dir {
        note_files(&mut report, pipeline.write_stages(folder)?);
    }
    Ok(report)
}

fn note_files(report: &mut ShardReport, files: Vec<PathBuf>) {
    let shown = files.iter().map(|path: &PathBuf| Path::display(path).to_string());
    report.stages.iter_mut().zip(shown).for_each(|(stage, file)| stage.file = Some(file));
}
