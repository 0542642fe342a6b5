//! `cargo xtask …`: builds, tests and shows turn-wasm, after preparing whatever the machine lacks for it.

mod bindgen;
mod cache;
mod debian;
mod failure;
mod interrupt;
mod node;
mod package;
mod process;
mod progress;
mod size;
mod toolchain;
mod workspace;

use std::process::ExitCode;

use failure::Result;

fn main() -> ExitCode {
    interrupt::install();
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("xtask: {failure}");
            ExitCode::from(failure.code())
        }
    }
}

fn run() -> Result<()> {
    let workspace = workspace::Workspace::open()?;
    let tools = package::Tools::set_up(&cache::Cache::of_user()?, &workspace)?;
    package::build(&workspace, &tools)
}
