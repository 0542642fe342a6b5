//! Puts the parts together: reads the configuration, starts what is missing of a provider, serves, and prints where.

use std::env::VarError;
use std::io::{self, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::middleware::{from_fn, map_response};
use axum::routing::{delete, get, post};
use tokio::net::TcpListener;
use tracing::info;

use crate::cloudflare::{self, ACCOUNT_BASE, ConfigError, CreateKeyError, TURN_BASE, TurnKey};
use crate::credential::CredentialStore;
use crate::emulator::{Emulator, EmulatorError};
use crate::fault::Faults;
use crate::options::{Emulate, NewKey, Options};
use crate::room::Rooms;
use crate::secret::Secret;
use crate::session::Sessions;
use crate::site::Site;
use crate::turn::{TurnError, TurnServer};
use crate::{api, demo, signalling, site};

/// What the handlers share.
pub struct App {
    /// Seconds that a credential lives if the page does not ask for another time.
    pub ttl: u64,
    pub key: TurnKey,
    pub sessions: Sessions,
    pub rooms: Rooms,
    pub site: Site,
    pub embedded: Option<Embedded>,
    pub faults: Option<Faults>,
}

/// A TURN provider of our own, for want of an account with one.
pub struct Embedded {
    pub store: Arc<CredentialStore>,
    pub turn: Arc<TurnServer>,
}

#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    #[error(
        "port {port} is taken; choose another with --port, or let the system choose with --port 0 ({source})"
    )]
    Taken { port: u16, source: io::Error },
    #[error(
        "{set} is set but {unset} is not; set both to use Cloudflare, or neither to use the embedded TURN server"
    )]
    HalfConfigured {
        set: &'static str,
        unset: &'static str,
    },
    #[error("{0} holds something that is not text")]
    NotText(&'static str),
    #[error(
        "CLOUDFLARE_API_TOKEN is not set; it must hold an API token with the permission \"Calls Write\""
    )]
    NoApiToken,
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Turn(#[from] TurnError),
    #[error(transparent)]
    Emulator(#[from] EmulatorError),
    #[error(
        "the key was not created: {0}; check --account and the permission of CLOUDFLARE_API_TOKEN"
    )]
    CreateKey(#[from] CreateKeyError),
    #[error("the system gave no random numbers")]
    Random,
    #[error("the server ended: {0}")]
    Io(#[from] io::Error),
}

fn variable(name: &'static str) -> Result<Option<String>, ServerError> {
    match std::env::var(name) {
        Ok(value) if value.is_empty() => Ok(None),
        Ok(value) => Ok(Some(value)),
        Err(VarError::NotPresent) => Ok(None),
        Err(VarError::NotUnicode(_)) => Err(ServerError::NotText(name)),
    }
}

async fn listen(port: u16) -> Result<TcpListener, ServerError> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port))
        .await
        .map_err(|source| ServerError::Taken { port, source })
}

/// Serves until the process is told to end.
pub async fn run(options: &Options) -> Result<(), ServerError> {
    let listener = listen(options.port).await?;
    let address = listener.local_addr()?;
    let router = router(Arc::new(app(options, address).await?));
    {
        let mut stdout = io::stdout().lock();
        writeln!(stdout, "listening on http://{address}")?;
        stdout.flush()?;
    }
    tokio::select! {
        served = axum::serve(listener, router) => Ok(served?),
        told = told_to_end() => Ok(told?),
    }
}

async fn app(options: &Options, address: SocketAddr) -> Result<App, ServerError> {
    let (key, embedded) = match (variable("TURN_KEY_ID")?, variable("TURN_KEY_API_TOKEN")?) {
        (Some(id), Some(token)) => {
            let base = variable("TURN_API_BASE")?.unwrap_or_else(|| TURN_BASE.to_owned());
            let key = TurnKey::new(&base, &id, Secret::new(token))?;
            info!(target: "api", "credentials come from the TURN key in TURN_KEY_ID");
            (key, None)
        }
        (None, None) => {
            let store = Arc::new(CredentialStore::default());
            let turn = TurnServer::start(Arc::clone(&store), options.turn_port).await?;
            info!(target: "turn", address = %turn.address(), "embedded TURN server listening");
            let emulator = Emulator::new(Arc::clone(&store), turn.address(), None)
                .start()
                .await?;
            (
                TurnKey::new(&emulator.base, &emulator.key_id, emulator.token)?,
                Some(Embedded { store, turn }),
            )
        }
        (Some(_), None) => {
            return Err(ServerError::HalfConfigured {
                set: "TURN_KEY_ID",
                unset: "TURN_KEY_API_TOKEN",
            });
        }
        (None, Some(_)) => {
            return Err(ServerError::HalfConfigured {
                set: "TURN_KEY_API_TOKEN",
                unset: "TURN_KEY_ID",
            });
        }
    };
    Ok(App {
        ttl: options.ttl,
        key,
        sessions: Sessions::new(address.port()).map_err(|_| ServerError::Random)?,
        rooms: Rooms::default(),
        site: Site::new(options),
        embedded,
        faults: options.faults.then(Faults::default),
    })
}

fn router(app: Arc<App>) -> Router {
    let api = Router::new()
        .route("/turn-credentials", post(api::mint))
        .route("/turn-credentials/revoke", post(api::revoke))
        .route("/rooms/{room}/members", post(signalling::join))
        .route("/rooms/{room}/members/{member}", delete(signalling::leave))
        .route(
            "/rooms/{room}/members/{member}/messages",
            get(signalling::listen).post(signalling::send),
        )
        .route("/demo/turn", get(demo::turn))
        .route("/demo/revoke", post(demo::revoke))
        .route("/demo/faults", post(demo::faults))
        .fallback(api::not_found)
        .method_not_allowed_fallback(api::method_not_allowed)
        .layer(map_response(api::no_store));
    Router::new()
        .nest("/api", api)
        .fallback(site::serve)
        .layer(from_fn(api::guard))
        .layer(map_response(site::add_headers))
        .with_state(app)
}

/// Serves the emulator of Cloudflare's TURN API until the process is told to end. The token that it prints is good for
/// nothing else.
pub async fn emulate(options: &Emulate) -> Result<(), ServerError> {
    let listener = listen(options.port).await?;
    let store = Arc::new(CredentialStore::default());
    let turn = TurnServer::start(Arc::clone(&store), options.turn_port).await?;
    info!(target: "turn", address = %turn.address(), "embedded TURN server listening");
    let running = Emulator::new(store, turn.address(), None).start_on(listener)?;
    {
        let mut stdout = io::stdout().lock();
        write!(
            stdout,
            "listening on {base}\nTURN_API_BASE={base}\nTURN_KEY_ID={id}\nTURN_KEY_API_TOKEN={token}\n",
            base = running.base,
            id = running.key_id,
            token = running.token.reveal(),
        )?;
        stdout.flush()?;
    }
    Ok(told_to_end().await?)
}

async fn told_to_end() -> io::Result<()> {
    #[cfg(unix)]
    {
        let mut terminate =
            tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        tokio::select! {
            interrupted = tokio::signal::ctrl_c() => interrupted,
            _ = terminate.recv() => Ok(()),
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await
}

/// Creates a TURN key and prints it: the one time that Cloudflare shows its secret.
pub async fn create_key(order: &NewKey) -> Result<(), ServerError> {
    let token = variable("CLOUDFLARE_API_TOKEN")?
        .map(Secret::new)
        .ok_or(ServerError::NoApiToken)?;
    let base = variable("TURN_API_BASE")?.unwrap_or_else(|| ACCOUNT_BASE.to_owned());
    let key = cloudflare::create_key(&base, &order.account, &order.name, &token).await?;
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "uid {}\nkey {}", key.uid, key.key.reveal())?;
    writeln!(
        io::stderr(),
        "Keep the key where only your backend can read it: it is not shown again.\n\
         The backend takes the uid in TURN_KEY_ID and the key in TURN_KEY_API_TOKEN."
    )?;
    Ok(())
}
