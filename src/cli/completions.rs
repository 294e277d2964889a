//! `trainscope completions` and `trainscope man`: what shells and `man` read about the program.

use clap::CommandFactory as _;
use clap_complete::Shell;
use trainscope::{Error, Result};

use super::Arguments;

#[derive(Debug, clap::Args)]
pub struct CompletionsArgs {
    /// The shell that the completions are for
    shell: Shell,
}

/// Prints a completion script.
pub fn completions(args: &CompletionsArgs) -> Result<()> {
    let mut text = Vec::new();
    clap_complete::generate(
        args.shell,
        &mut Arguments::command(),
        "trainscope",
        &mut text,
    );
    print(&text)
}

/// Prints the manual page: one that describes every command.
pub fn man() -> Result<()> {
    let mut text = Vec::new();
    let failed = |error: std::io::Error| Error::io("manual page".as_ref(), "write it", &error);
    let command = Arguments::command();
    clap_mangen::Man::new(command.clone())
        .render(&mut text)
        .map_err(failed)?;
    for inner in command
        .get_subcommands()
        .filter(|inner| !inner.is_hide_set())
    {
        let name = format!("trainscope {}", inner.get_name());
        let page = clap_mangen::Man::new(inner.clone().display_name(name));
        page.render_name_section(&mut text).map_err(failed)?;
        page.render_synopsis_section(&mut text).map_err(failed)?;
        page.render_options_section(&mut text).map_err(failed)?;
    }
    print(&text)
}

fn print(text: &[u8]) -> Result<()> {
    use std::io::Write as _;
    // A closed pipe (`| head -1`) is no failure.
    let _ = std::io::stdout().write_all(text);
    Ok(())
}
