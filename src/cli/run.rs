//! `tabfleet run`: a model, once.

use super::{config::Settings, error::CliError, fleet, interrupt::interrupted, outcome::Outcome};
use crate::{
    fleet::{Fleet, ModelSpec, Output},
    onnx::{ModelFile, read_tensor_file, write_npy},
    schedule::Fallback,
    types::{Basis, Browser, BrowserRun, Family, NativeRun, Provenance, Tensor},
};
use clap::Args;
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

/// Run a model once.
#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// The ONNX model (or, with --runtime, whatever that runtime loads)
    model: PathBuf,

    /// An input tensor, from a .npy file or an ONNX TensorProto (.pb); once for each input
    #[arg(long = "input", short, value_name = "NAME=FILE")]
    inputs: Vec<String>,

    /// Write each output there as NAME.npy
    #[arg(long, value_name = "DIR")]
    output_dir: Option<PathBuf>,
}

pub(super) async fn execute(args: RunArgs, settings: &Settings) -> Result<Outcome, CliError> {
    fleet::refuse_tabs(settings, "run", "it runs the model once, in one tab")?;
    let inputs = args.inputs.iter().map(|text| input(text)).collect::<Result<Vec<_>, _>>()?;
    let (spec, family) = if settings.runtime.is_some() {
        (ModelSpec::opaque(&args.model), Family::Other)
    } else {
        let file = ModelFile::read(&args.model)?;
        file.check_inputs(&inputs)?;
        let family = file.family.unwrap_or(Family::Other);
        (ModelSpec::read(file), family)
    };
    let builder = fleet::builder(settings, "run");
    let builder = if settings.targets.is_empty() {
        let browser = match fleet::browser_for(settings, family) {
            // It is looked for in vain, which is what the fallback is for.
            Err(CliError::NoBrowser) if *settings.fallback == Fallback::Native => Browser::Chrome,
            found => found?,
        };
        builder.browsers([browser])
    } else {
        builder.targets(fleet::targets(settings)?)
    };
    let launch = builder.tabs(1..=1).launch();
    let fleet = tokio::select! {
        fleet = launch => fleet?,
        () = interrupted() => return Ok(Outcome::Interrupted),
    };
    let outcome = tokio::select! {
        outcome = run(&fleet, spec, inputs, args.output_dir.as_deref()) => outcome,
        () = interrupted() => Ok(Outcome::Interrupted),
    };
    fleet.close().await?;
    outcome
}

fn input(text: &str) -> Result<(String, Tensor<'static>), CliError> {
    let (name, path) = text.split_once('=').ok_or_else(|| CliError::NotNameAndFile(text.to_owned()))?;
    Ok((name.to_owned(), read_tensor_file(Path::new(path))?))
}

async fn run(
    fleet: &Fleet,
    spec: ModelSpec,
    inputs: Vec<(String, Tensor<'static>)>,
    output_dir: Option<&Path>,
) -> Result<Outcome, CliError> {
    let model = fleet.get_model(spec).await?;
    let output = model.run(inputs).await?;
    for (name, tensor) in &output.tensors {
        println!("{name}: {} {:?}{}", tensor.dtype(), tensor.shape(), preview(tensor));
    }
    println!("{}", provenance(&output));
    if let Some(folder) = output_dir {
        let path = folder.to_owned();
        std::fs::create_dir_all(folder).map_err(|source| CliError::Write { path, source })?;
        let mut taken = BTreeSet::new();
        for (name, tensor) in &output.tensors {
            let mut file = file_name(name);
            while !taken.insert(file.clone()) {
                file.push('_');
            }
            let path = folder.join(format!("{file}.npy"));
            write_npy(&path, tensor)?;
            println!("{}", path.display());
        }
    }
    Ok(Outcome::Good)
}

/// An output's name as a file name: slashes and the like, which models do use, would leave the folder.
fn file_name(output: &str) -> String {
    output.chars().map(|c| if c.is_alphanumeric() || "._-".contains(c) { c } else { '_' }).collect()
}

/// The first few numbers of a tensor.
fn preview(tensor: &Tensor<'_>) -> String {
    const SHOWN: usize = 6;
    let Ok(values) = tensor.to_vec::<f32>() else { return String::new() };
    let shown: Vec<String> = values.iter().take(SHOWN).map(|value| format!("{value:.6}")).collect();
    let more = if values.len() > SHOWN { ", …" } else { "" };
    format!(" = [{}{more}]", shown.join(", "))
}

fn provenance(output: &Output) -> String {
    let timings = &output.timings;
    let load = match (timings.download_ms, timings.create_ms) {
        (None, None) => String::new(),
        (download, create) => format!("load {:.1} ms, ", download.unwrap_or(0.0) + create.unwrap_or(0.0)),
    };
    format!(
        "ran on {} ({}): {load}run {:.2} ms, total {:.1} ms",
        output.provenance,
        match &output.provenance {
            Provenance::Browser(run) => in_browser(run),
            Provenance::Native(NativeRun { runtime, why }) => format!("{} {}; {why}", runtime.name, runtime.version),
        },
        timings.run_ms + timings.readback_ms.unwrap_or(0.0),
        timings.total_ms,
    )
}

fn in_browser(BrowserRun { info, cpu_fallback, placement, .. }: &BrowserRun) -> String {
    let product = info.identity.as_ref().map(|who| format!("{} {}", who.product, who.version)).unwrap_or_default();
    let adapter = info.adapter.as_ref().map(|adapter| {
        let software = if adapter.software == Some(true) { ", software" } else { "" };
        format!(", {} {}{software}", adapter.vendor, adapter.architecture)
    });
    let fallback = if *cpu_fallback == Some(true) { ", partly on the CPU" } else { "" };
    let chosen = match placement.basis {
        Basis::History => "; earlier runs were best there",
        _ => "",
    };
    format!("{product}{}{fallback}{chosen}", adapter.unwrap_or_default())
}
