use std::process::ExitCode;

use clap::Parser;
use turn_demo_server::options::{Command, KeysCommand, Options};
use turn_demo_server::server;

#[tokio::main]
async fn main() -> ExitCode {
    let options = Options::parse();
    // stdout carries the one line that says where the server listens.
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .with_max_level(tracing::Level::INFO)
        .init();
    let done = match &options.command {
        None => server::run(&options).await,
        Some(Command::Emulate(emulate)) => server::emulate(emulate).await,
        Some(Command::Keys {
            command: KeysCommand::Create(key),
        }) => server::create_key(key).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("turn-demo-server: {error}");
            ExitCode::FAILURE
        }
    }
}
