//! What can go wrong outside a frame: ports, files, and links whose socket is gone.

use std::{io, path::PathBuf};

/// Why the server could not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum HarnessError {
    /// Another process listens on the port that was asked for.
    #[error("port {port} on 127.0.0.1 is taken by another process; choose another one, or 0 for any free one")]
    PortTaken {
        /// The port.
        port: u16,
        /// The system's words.
        source: io::Error,
    },
    /// Listening failed for another reason.
    #[error("cannot listen on 127.0.0.1 port {port}")]
    Listen {
        /// The port.
        port: u16,
        /// The system's words.
        source: io::Error,
    },
    /// The system gave no random bytes, so that no token would be unguessable.
    #[error("the system gave no random bytes: {what}")]
    Randomness {
        /// The system's words.
        what: String,
    },
    /// The custom runtime module cannot be read.
    #[error("cannot read the runtime module {}", path.display())]
    CustomRuntime {
        /// Where it should be.
        path: PathBuf,
        /// The system's words.
        source: io::Error,
    },
    /// This build was made without the harness page.
    #[error("this build of tabfleet has no harness page in it: build harness-pages first, then tabfleet again")]
    PagesMissing,
    /// A model file cannot be read.
    #[error("cannot read the model file {}", path.display())]
    ModelFile {
        /// Where it should be.
        path: PathBuf,
        /// The system's words.
        source: io::Error,
    },
    /// A model file was written to while it was being hashed.
    #[error("the model file {} changed while it was being read: get the model again once nobody writes to it", path.display())]
    ModelFileChanged {
        /// Where it is.
        path: PathBuf,
    },
}

/// The tab's socket is gone: nothing more can be sent to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the tab's socket is closed")]
pub struct LinkClosed;
