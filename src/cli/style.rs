//! How tables look on this terminal.

use super::config::{Colour, Settings};
use crate::report::TableStyle;
use std::io::IsTerminal;

/// The style of tables on standard output.
pub(super) fn table_style(settings: &Settings) -> TableStyle {
    let terminal = std::io::stdout().is_terminal();
    let colour = match *settings.colour {
        Colour::Always => true,
        Colour::Never => false,
        Colour::Auto => terminal,
    };
    TableStyle { colour, ..TableStyle::default() }
}
