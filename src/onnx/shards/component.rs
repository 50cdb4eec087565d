//! What the parts of a model are, recognised from the names that exporters give to nodes and from their operators, and
//! the browser that each is preferred to run in.

use super::{error::ShardError, graph::ModelGraph, line::Line};
use crate::types::{Browser, names};
use serde::Deserialize;
use std::{collections::BTreeMap, fs, path::Path};

/// A part of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Component {
    /// Looking up tokens, positions and types.
    Embedding,
    /// Attention, its projections included.
    Attention,
    /// The products between attentions, and plain layers.
    FeedForward,
    /// Convolutions and poolings.
    Convolution,
    /// What reads the input, where nothing closer is known.
    Encoder,
    /// What writes the output, where nothing closer is known.
    Decoder,
    /// What makes the answer of the last hidden state.
    Head,
}
names!(Component {
    Embedding = "embedding",
    Attention = "attention",
    FeedForward = "feed-forward",
    Convolution = "convolution",
    Encoder = "encoder",
    Decoder = "decoder",
    Head = "head",
});

/// Which browser each component is preferred to run in, and which nodes belong to which component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    browsers: BTreeMap<Component, Browser>,
    /// Components by the begin of their nodes' names.
    nodes: Vec<(String, Component)>,
}

impl Default for Mapping {
    /// The families' preferences, carried over: what reads and writes text prefers Edge, what is made of images Chrome.
    /// Products go where WebGPU is best established (Chrome), and the layers between them to another browser, so that a
    /// block's two halves do not compete for one process.
    fn default() -> Self {
        let browsers = [
            (Component::Embedding, Browser::Edge),
            (Component::Attention, Browser::Chrome),
            (Component::FeedForward, Browser::Firefox),
            (Component::Convolution, Browser::Chrome),
            (Component::Encoder, Browser::Chrome),
            (Component::Decoder, Browser::Edge),
            (Component::Head, Browser::Edge),
        ];
        Self { browsers: browsers.into(), nodes: Vec::new() }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MappingFile {
    #[serde(default)]
    browsers: BTreeMap<String, String>,
    #[serde(default)]
    nodes: BTreeMap<String, String>,
}

impl Mapping {
    /// Reads a mapping file (TOML). `[browsers]` gives a component's preferred browser (`attention = "firefox"`), and
    /// `[nodes]` tells what nodes are, by the begin of their names (`"/model/vision/" = "encoder"`); the longest counts.
    ///
    /// # Errors
    /// [`ShardError::File`] when it cannot be read, or names a component or browser that does not exist.
    pub fn read(path: &Path) -> Result<Self, ShardError> {
        let error = |what: String| ShardError::File { path: path.to_owned(), what };
        let text = fs::read_to_string(path).map_err(|source| error(source.to_string()))?;
        let file: MappingFile = toml::from_str(&text).map_err(|source| error(source.message().to_owned()))?;
        let component = |name: &str| {
            let known = Component::ALL.iter().map(|component| component.name()).collect::<Vec<_>>().join(", ");
            name.parse::<Component>().map_err(|_| error(format!("there is no component `{name}`; there are {known}")))
        };
        let browser = |name: &str| {
            let known = Browser::ALL.iter().map(|browser| browser.name()).collect::<Vec<_>>().join(", ");
            name.parse::<Browser>().map_err(|_| error(format!("there is no browser `{name}`; there are {known}")))
        };
        let mut mapping = Self::default();
        for (name, to) in &file.browsers {
            mapping.browsers.insert(component(name)?, browser(to)?);
        }
        for (prefix, name) in file.nodes {
            mapping.nodes.push((prefix, component(&name)?));
        }
        mapping.nodes.sort_by_key(|(prefix, _)| std::cmp::Reverse(prefix.len()));
        Ok(mapping)
    }

    /// The browser a component is preferred to run in.
    pub fn browser(&self, component: Component) -> Browser {
        self.browsers.get(&component).copied().unwrap_or(Browser::Chrome)
    }

    fn node(&self, name: &str) -> Option<Component> {
        self.nodes.iter().find(|(prefix, _)| name.starts_with(prefix)).map(|(_, component)| *component)
    }
}

/// By place in the line: what the node belongs to. Nodes that tell nothing belong to what surrounds them.
pub(super) fn components(graph: &ModelGraph, line: &Line, mapping: &Mapping) -> Vec<Component> {
    let told = line.nodes.iter().map(|index| {
        let node = &graph.nodes[*index];
        let mapped = mapping.node(&node.name);
        mapped.or_else(|| by_name(&node.name)).or_else(|| by_operator(&node.op)).or_else(|| coarse(&node.name))
    });
    let told: Vec<Option<Component>> = told.collect();
    let first = told.iter().flatten().next().copied().unwrap_or(Component::Encoder);
    let filled = told.iter().scan(first, |current, told| {
        *current = told.unwrap_or(*current);
        Some(*current)
    });
    filled.collect()
}

/// The closest part of the name that says what it is: the last.
fn by_name(name: &str) -> Option<Component> {
    let name = name.to_ascii_lowercase();
    name.rsplit(['/', '.'])
        .find_map(|part| {
            let has = |words: &[&str]| words.iter().any(|word| part.contains(word));
            if has(&["embed", "wte", "wpe"]) {
                Some(Component::Embedding)
            } else if has(&["attn", "attention"]) {
                Some(Component::Attention)
            } else if has(&["mlp", "ffn", "feed_forward", "feedforward", "intermediate", "fc1", "fc2"]) {
                Some(Component::FeedForward)
            } else if part == "head" || has(&["lm_head", "classifier", "pooler", "projection", "logit"]) {
                Some(Component::Head)
            } else {
                None
            }
        })
        .or_else(|| {
            // In BERT's kind of layer, `output` is the second half of the feed-forward part, where it is not attention's.
            let is_output = name.contains("layer") && name.split('/').any(|part| part == "output");
            is_output.then_some(Component::FeedForward)
        })
}

fn by_operator(op: &str) -> Option<Component> {
    let name = op.rsplit('.').next().unwrap_or(op);
    match name {
        "Attention" | "MultiHeadAttention" | "GroupQueryAttention" => Some(Component::Attention),
        "Conv" | "ConvTranspose" | "ConvInteger" | "QLinearConv" | "FusedConv" | "MaxPool" | "AveragePool" => {
            Some(Component::Convolution)
        }
        _ if name.starts_with("Global") => Some(Component::Convolution),
        "Gemm" => Some(Component::FeedForward),
        _ => None,
    }
}

fn coarse(name: &str) -> Option<Component> {
    let name = name.to_ascii_lowercase();
    name.rsplit(['/', '.']).find_map(|part| {
        let has = |words: &[&str]| words.iter().any(|word| part.contains(word));
        if has(&["decoder"]) {
            Some(Component::Decoder)
        } else if has(&["encoder", "lstm", "gru"]) {
            Some(Component::Encoder)
        } else {
            None
        }
    })
}
