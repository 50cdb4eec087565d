//! What can go wrong with a history file, and what to do about it.

use std::{io, path::PathBuf};

/// What can go wrong with a history file; the text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// There is no file to read.
    #[error("there is no history at {}: record one first, for instance with `tabfleet bench --history {}`", path.display(), path.display())]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The file is something else's; it was not touched.
    #[error("{} is {what}, not a tabfleet history, and was left as it is: give another path", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What it is instead.
        what: &'static str,
    },
    /// A newer tabfleet wrote the file.
    #[error(
        "{} has history schema version {version}, and this tabfleet knows up to version {known}: \
         use the newer tabfleet, or give another path",
        path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// The file's schema version.
        version: u32,
        /// The newest this tabfleet knows.
        known: u32,
    },
    /// Somebody else has the file open: one writer or several readers, never both.
    #[error("{} is in use by {holder}: wait until that ends, or give another path", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
        /// Who has it, as far as the system tells.
        holder: String,
    },
    /// The file is a DuckDB database that this DuckDB cannot open.
    #[error("{} cannot be opened: it is damaged, or a newer DuckDB wrote it. Move it away to start a new one", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// DuckDB's words.
        source: Box<duckdb::Error>,
    },
    /// The disk has no room left.
    #[error("{} cannot be written: its disk has {free_bytes} bytes left. Free some, or give a path on another disk", path.display())]
    DiskFull {
        /// The file.
        path: PathBuf,
        /// What is left on its disk.
        free_bytes: u64,
        /// DuckDB's words.
        source: Box<duckdb::Error>,
    },
    /// The file or its folder cannot be used: missing, no permission, not a file.
    #[error("{} cannot be used: check that its folder exists and that you may write there", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's words.
        source: io::Error,
    },
    /// A statement on the open file failed.
    #[error("{} could not be {doing}", path.display())]
    Statement {
        /// The file.
        path: PathBuf,
        /// What was tried: `read`, `written`, `migrated to version 2`.
        doing: String,
        /// DuckDB's words.
        source: Box<duckdb::Error>,
    },
    /// A query that would have changed the history.
    #[error("{} was not changed: queries only read. `tabfleet history import`, `merge` and `baseline` change it", path.display())]
    ReadOnly {
        /// The file.
        path: PathBuf,
    },
    /// A query that DuckDB does not understand or cannot execute.
    #[error("the query of {} failed", path.display())]
    Query {
        /// The file.
        path: PathBuf,
        /// DuckDB's words.
        source: Box<duckdb::Error>,
    },
    /// No runs were given that name.
    #[error("there is no baseline `{name}`: {}", if known.is_empty() {
        "`tabfleet history baseline set NAME` makes one".to_owned()
    } else {
        format!("there are {}", known.join(", "))
    })]
    NoBaseline {
        /// The name.
        name: String,
        /// Those that there are.
        known: Vec<String>,
    },
    /// The runs of a baseline measured nothing of what is compared with them.
    #[error(
        "nothing that is asked for was measured in the runs of baseline `{name}`: choose less narrowly, or name runs that \
         measured it with `tabfleet history baseline set {name}`"
    )]
    BaselineElsewhere {
        /// The name.
        name: String,
    },
    /// There is no run that a baseline could be.
    #[error("{} has no run that measured anything: record one first", path.display())]
    NothingMeasured {
        /// The file.
        path: PathBuf,
    },
    /// A report that is none, or is not as its format says.
    #[error("{} cannot be imported: {what}, at {place}", report.display())]
    Import {
        /// The report.
        report: PathBuf,
        /// Where in it: `line 3, column 7`, `testsuites/testsuite[0]`.
        place: String,
        /// What is wrong there.
        what: String,
    },
    /// The writer thread could not be started.
    #[error("the history's writer thread could not be started: the system is out of threads or memory")]
    Thread(#[source] io::Error),
    /// The writer thread panicked: a defect of tabfleet.
    #[error("the history's writer thread panicked, and what it had not written is lost; please report this")]
    WriterPanicked,
}
