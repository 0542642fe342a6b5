//! The command line. Secrets come from the environment only: an argument can be read by every user of the machine.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Parser, Subcommand};

use crate::limit::Limit;
use crate::origin::Origin;

/// Longest ttl that Cloudflare issues, in seconds.
pub const MAX_TTL: u64 = 48 * 3600;

/// Demo backend of turn-wasm: serves the demo page and short-lived TURN credentials.
///
/// With TURN_KEY_ID and TURN_KEY_API_TOKEN in the environment the credentials come from Cloudflare (or from TURN_API_BASE);
/// without them from an emulator of its API, for a TURN server on loopback that is part of this program. Instances with the
/// same SESSION_SECRET serve the same sessions.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
pub struct Options {
    #[command(subcommand)]
    pub command: Option<Command>,

    /// Port of the demo page on 127.0.0.1; 0 takes any free one
    #[arg(long, default_value_t = 8080)]
    pub port: u16,

    /// How long a credential lives, in seconds (1 to 172800)
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=MAX_TTL))]
    pub ttl: u64,

    #[command(flatten)]
    pub turn: TurnOptions,

    /// Folder of the demo page
    #[arg(long, value_name = "DIR", default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/.."), hide_default_value = true)]
    pub www: PathBuf,

    /// Folder of the built npm package, served under /pkg/
    #[arg(long, value_name = "DIR", default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../../pkg"), hide_default_value = true)]
    pub pkg: PathBuf,

    /// Serve one more folder; may be given more than once
    #[arg(long, value_name = "/PATH=DIR")]
    pub mount: Vec<Mount>,

    /// Longest ttl that a page may ask for, in seconds (1 to 172800)
    #[arg(long, value_name = "SECONDS", default_value_t = MAX_TTL, value_parser = clap::value_parser!(u64).range(1..=MAX_TTL))]
    pub max_ttl: u64,

    /// How long after its successor a username lives on that a page has superseded, in seconds (0 to 86400)
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(0..=86400))]
    pub grace: u64,

    /// Requests that a session may make: at once, and a second from then on; or "off"
    #[arg(long, value_name = "BURST/PER_SECOND", default_value = "60/5")]
    pub session_limit: Limit,

    /// Requests that an address may make, whatever its sessions: at once, and a second from then on; or "off"
    #[arg(long, value_name = "BURST/PER_SECOND", default_value = "2000/200")]
    pub address_limit: Limit,

    /// Proxies of yours in front, each of which adds to X-Forwarded-For
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    pub proxies: usize,

    /// Where else than on loopback the pages are served, by a proxy in front; may be given more than once. If all are
    /// https, so are the cookies
    #[arg(long, value_name = "ORIGIN")]
    pub origin: Vec<Origin>,

    /// File with NAME=value lines for what the environment does not say: TURN_KEY_ID, TURN_KEY_API_TOKEN, TURN_API_BASE,
    /// SESSION_SECRET
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Let pages break things below /api/demo/: the credential endpoint, and the embedded TURN server
    #[arg(long)]
    pub faults: bool,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// TURN keys in a Cloudflare account
    Keys {
        #[command(subcommand)]
        command: KeysCommand,
    },
    /// Serve the emulator of Cloudflare's TURN API alone, to test a backend of your own without an account
    ///
    /// Prints where it listens, and a TURN key for the backend's environment. What it issues works on a TURN server on
    /// loopback that is part of this program.
    Emulate(Emulate),
}

#[derive(Debug, Args)]
pub struct Emulate {
    /// Port of the emulator on 127.0.0.1; 0 takes any free one
    #[arg(long, default_value_t = 8081)]
    pub port: u16,

    #[command(flatten)]
    pub turn: TurnOptions,
}

/// The TURN server that is part of the program, and the limits of the provider that it belongs to.
#[derive(Clone, Debug, Args)]
pub struct TurnOptions {
    /// Address of the TURN server and of what it relays. On any but loopback's, whoever holds a credential can reach
    /// what this machine can
    #[arg(long, value_name = "IP", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    pub turn_address: IpAddr,

    /// Port of the TURN server, UDP and TCP; 0 takes any free one
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    pub turn_port: u16,

    /// Port of TURN over TLS, with a self-signed certificate made at start; 0 takes any free one
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    pub turn_tls_port: u16,

    /// Hand out the turns: URL as well. Browsers refuse it unless they are told not to mind the certificate
    #[arg(long)]
    pub turn_tls: bool,

    /// Allocations that one username may hold at a time
    #[arg(long, value_name = "NUMBER", default_value_t = 256)]
    pub turn_quota: usize,

    /// Enforce the limits that Cloudflare documents: 500 credentials a second, and for an allocation 5 new addresses,
    /// 5000 packets and 50 Mbit a second each way
    #[arg(long)]
    pub cloudflare_limits: bool,
}

impl Default for TurnOptions {
    fn default() -> Self {
        Self {
            turn_address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            turn_port: 0,
            turn_tls_port: 0,
            turn_tls: false,
            turn_quota: 256,
            cloudflare_limits: false,
        }
    }
}

#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// Create a TURN key and print its id and its secret, which Cloudflare shows only this once
    ///
    /// CLOUDFLARE_API_TOKEN must hold an API token with the permission "Calls Write".
    Create(NewKey),
}

#[derive(Debug, Args)]
pub struct NewKey {
    /// Cloudflare account id
    #[arg(long, value_name = "ID")]
    pub account: String,

    /// A name to know the key by
    #[arg(long)]
    pub name: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Starts with a slash and ends without one.
    pub path: String,
    pub folder: PathBuf,
}

impl FromStr for Mount {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (path, folder) = text
            .split_once('=')
            .ok_or("expected /PATH=DIR, such as /fixtures=tests/fixtures")?;
        let path = path.trim_end_matches('/');
        if !path.starts_with('/') || path.len() < 2 {
            return Err(
                "the path must start with a slash and name something, such as /fixtures".to_owned(),
            );
        }
        if path == "/api" || path.starts_with("/api/") {
            return Err("/api/ belongs to the server; choose another path".to_owned());
        }
        Ok(Self {
            path: path.to_owned(),
            folder: folder.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Options::command().debug_assert();
    }

    #[test]
    fn every_option_stands_in_the_documentation() {
        let page = include_str!("../../../docs/backend.md");
        let options = Options::command();
        let emulate = options.find_subcommand("emulate").unwrap();
        let all = options.get_arguments().chain(emulate.get_arguments());
        for name in all.filter_map(clap::Arg::get_long) {
            if !matches!(name, "help" | "version") {
                assert!(page.contains(&format!("`--{name}`")), "{name}");
            }
        }
    }

    #[test]
    fn a_mount_has_a_path_and_a_folder() {
        let mount = Mount {
            path: "/a/b".into(),
            folder: "c=d".into(),
        };
        assert_eq!("/a/b/=c=d".parse(), Ok(mount));
        for wrong in ["a=b", "/a", "/=b", "/api=b", "/api/x=b"] {
            assert!(wrong.parse::<Mount>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_ttl_over_48_hours_is_refused() {
        assert!(Options::try_parse_from(["turn-demo-server", "--ttl", "172801"]).is_err());
        assert!(Options::try_parse_from(["turn-demo-server", "--ttl", "0"]).is_err());
        assert_eq!(
            Options::try_parse_from(["turn-demo-server", "--ttl", "172800"])
                .unwrap()
                .ttl,
            MAX_TTL
        );
    }
}
