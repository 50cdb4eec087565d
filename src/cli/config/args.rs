//! Every setting as a flag.

use super::{
    Settings,
    kind::{Arity, Raw},
    settings::SETTINGS,
    table::Entry,
};
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};
use std::{collections::BTreeMap, path::PathBuf};

/// The flags that are settings, and `--config`. Made from the table of settings; flatten it into a command, or into the
/// program itself: the flags are global.
#[derive(Clone, Debug, Default)]
pub struct SettingsArgs {
    /// The file to read instead of `tabfleet.toml`.
    pub config: Option<PathBuf>,
    pub(super) given: BTreeMap<String, Raw>,
}

impl SettingsArgs {
    /// The command, whose help leaves out all settings but those that it reads. It takes the others all the same, so that
    /// one set of flags does for several commands.
    pub fn show_only(read: &[&str], command: Command) -> Command {
        let others = Settings::entries().into_iter().filter(|entry| !read.contains(&&*entry.name));
        command.args(others.map(|entry| flag(entry).hide(true)))
    }
}

impl Args for SettingsArgs {
    fn augment_args(command: Command) -> Command {
        let config = Arg::new("config")
            .long("config")
            .value_name("FILE")
            .value_parser(clap::value_parser!(PathBuf))
            .help("Read settings from FILE instead of tabfleet.toml")
            .help_heading(SETTINGS)
            .global(true);
        command.arg(config).args(Settings::entries().into_iter().map(flag))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

fn flag(entry: Entry) -> Arg {
    let Entry { name, env, help, expected, default, value_name, arity, heading } = entry;
    let first_sentence = help.split_inclusive(". ").next().unwrap_or(help).trim_end_matches([' ', '.']).to_owned();
    let arg = Arg::new(name.clone())
        .long(name)
        .value_name(value_name)
        .help(format!("{first_sentence} [default: {default}]"))
        .long_help(format!("{help}\n\nTakes {expected}. [default: {default}] [env: {env}]"))
        .help_heading(heading)
        .global(true);
    match arity {
        Arity::Switch => arg.num_args(0..=1).require_equals(true).default_missing_value("true"),
        Arity::One => arg.action(ArgAction::Set).allow_hyphen_values(true),
        Arity::Many => arg.action(ArgAction::Append),
    }
}

impl FromArgMatches for SettingsArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut args = Self::default();
        args.update_from_arg_matches(matches)?;
        Ok(args)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        if let Some(path) = matches.get_one::<PathBuf>("config") {
            self.config = Some(path.clone());
        }
        for entry in Settings::entries() {
            let Some(texts) = matches.get_many::<String>(&entry.name) else { continue };
            let texts: Vec<String> = texts.cloned().collect();
            let raw = match entry.arity {
                Arity::Many => Raw::List(texts),
                Arity::One | Arity::Switch => Raw::Text(texts.concat()),
            };
            self.given.insert(entry.name, raw);
        }
        Ok(())
    }
}
