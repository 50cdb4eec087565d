//! How output looks on this terminal.

use super::config::{Colour, Settings};
use crate::report::TableStyle;
use console::Term;
use std::io::IsTerminal;

/// The style of tables on standard output.
pub(super) fn table_style(settings: &Settings) -> TableStyle {
    let width = Term::stdout().size_checked().map(|(_, columns)| columns);
    TableStyle { colour: coloured(settings, std::io::stdout().is_terminal()), width }
}

/// Whether what goes to a terminal, or does not, is coloured.
pub(super) fn coloured(settings: &Settings, terminal: bool) -> bool {
    match *settings.colour {
        Colour::Always => true,
        Colour::Never => false,
        Colour::Auto => terminal,
    }
}
