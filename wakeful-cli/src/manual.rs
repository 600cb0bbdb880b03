//! What shells and man(1) want to know of the command, from what it knows of itself.

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::Context;
use clap::CommandFactory;
use clap_complete::Shell;

use crate::output::OutputError;

#[derive(Debug, clap::Args)]
pub(crate) struct Completions {
    /// Which shell.
    #[arg(value_enum)]
    shell: Shell,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Man {
    /// Of which command; without one, of `wakeful` itself.
    command: Option<String>,
}

pub(crate) fn completions(arguments: &Completions) -> anyhow::Result<ExitCode> {
    let mut text = Vec::new();
    clap_complete::generate(
        arguments.shell,
        &mut crate::Arguments::command(),
        "wakeful",
        &mut text,
    );
    print(&text)
}

pub(crate) fn page(arguments: &Man) -> anyhow::Result<ExitCode> {
    let mut command = crate::Arguments::command();
    // So that a command knows its whole name.
    command.build();
    let command = match &arguments.command {
        None => command,
        Some(name) => command.find_subcommand(name).cloned().with_context(|| {
            let names: Vec<_> = command.get_subcommands().map(|it| it.get_name()).collect();
            format!("there is no command {name:?}: use one of {}", names.join(", "))
        })?,
    };
    let mut text = Vec::new();
    let title = command.get_display_name().unwrap_or(command.get_name()).to_uppercase();
    let version = concat!("wakeful ", env!("CARGO_PKG_VERSION"));
    clap_mangen::Man::new(command).title(title).source(version).render(&mut text)?;
    print(&text)
}

fn print(text: &[u8]) -> anyhow::Result<ExitCode> {
    io::stdout().write_all(text).map_err(OutputError)?;
    Ok(ExitCode::SUCCESS)
}
