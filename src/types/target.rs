//! Where a model runs: browser kinds, backends, and the pair of both.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{fmt, str::FromStr};

/// The names of an enum's values: as text, from text, and in JSON.
macro_rules! names {
    ($type:ident { $($variant:ident = $name:literal),+ $(,)? }) => {
        impl $type {
            /// Every value, in the order in which reports show them.
            pub const ALL: &'static [$type] = &[$($type::$variant),+];

            /// The name used on the command line and in every output.
            pub const fn name(self) -> &'static str {
                match self { $($type::$variant => $name),+ }
            }
        }
        impl ::std::fmt::Display for $type {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.pad(self.name())
            }
        }
        impl ::std::str::FromStr for $type {
            type Err = $crate::types::ParseTargetError;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let found = $type::ALL.iter().copied().find(|value| value.name() == text);
                found.ok_or_else(|| $crate::types::ParseTargetError {
                    given: text.to_owned(),
                    expected: concat!("one of", $(" ", $name),+),
                })
            }
        }
        impl ::serde::Serialize for $type {
            fn serialize<S: ::serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.name())
            }
        }
        impl<'de> ::serde::Deserialize<'de> for $type {
            fn deserialize<D: ::serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let name = String::deserialize(deserializer)?;
                name.parse().map_err(::serde::de::Error::custom)
            }
        }
    };
}
pub(crate) use names;

/// A kind of browser. Which product really fills the slot is told by [`Identity`](super::Identity).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Browser {
    /// Google Chrome or Chromium.
    Chrome,
    /// Microsoft Edge.
    Edge,
    /// Mozilla Firefox.
    Firefox,
    /// A WebKit browser: Safari, or WebKitGTK's MiniBrowser.
    Webkit,
}
names!(Browser { Chrome = "chrome", Edge = "edge", Firefox = "firefox", Webkit = "webkit" });

/// What executes a model inside a browser.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Backend {
    /// WebGPU compute shaders.
    Webgpu,
    /// The Web Neural Network API.
    Webnn,
    /// WebAssembly on the CPU (SIMD, threads where the page is cross-origin isolated).
    Wasm,
}
names!(Backend { Webgpu = "webgpu", Webnn = "webnn", Wasm = "wasm" });

/// A model's kind of work; it sets which browser is preferred until there are measurements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Family {
    /// Language models and text encoders.
    Text,
    /// Image models.
    Vision,
    /// Speech and sound models.
    Audio,
    /// Models that join several of these.
    Multimodal,
    /// Everything else.
    Other,
}
names!(Family { Text = "text", Vision = "vision", Audio = "audio", Multimodal = "multimodal", Other = "other" });

/// A (browser, backend) pair, written `chrome/webgpu`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Target {
    /// The browser's kind.
    pub browser: Browser,
    /// What executes the model there.
    pub backend: Backend,
}

impl Target {
    /// The pair of `browser` and `backend`.
    pub const fn new(browser: Browser, backend: Backend) -> Self {
        Self { browser, backend }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}/{}", self.browser.name(), self.backend.name()))
    }
}

impl FromStr for Target {
    type Err = ParseTargetError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (browser, backend) = text
            .split_once('/')
            .ok_or_else(|| ParseTargetError { given: text.to_owned(), expected: "a target such as chrome/webgpu" })?;
        Ok(Self { browser: browser.parse()?, backend: backend.parse()? })
    }
}

impl Serialize for Target {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Target {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let name = String::deserialize(d)?;
        name.parse().map_err(serde::de::Error::custom)
    }
}

/// A name that is none of those known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{given}` is not {expected}")]
pub struct ParseTargetError {
    /// What was given.
    pub given: String,
    /// What would have been understood.
    pub expected: &'static str,
}
