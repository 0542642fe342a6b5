//! Puts the parts together: reads the configuration, starts what is missing of a provider, serves, and prints where.

use std::io::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::middleware::{from_fn_with_state, map_response};
use axum::routing::{delete, get, post};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tracing::info;

use crate::authentication::{Authentication, ClientId};
use crate::cloudflare::{self, ACCOUNT_BASE, ConfigError, CreateKeyError, TURN_BASE, TurnKey};
use crate::credential::CredentialStore;
use crate::emulator::{Emulator, EmulatorError, ISSUANCE};
use crate::fault::Faults;
use crate::limit::{Buckets, Limit};
use crate::metrics::Metrics;
use crate::options::{Emulate, NewKey, Options, TurnOptions};
use crate::origin::Origin;
use crate::ownership::Owners;
use crate::room::Rooms;
use crate::session::Sessions;
use crate::settings::{self, Settings, SettingsError};
use crate::signing::Signing;
use crate::site::Site;
use crate::superseded::Superseded;
use crate::turn::{TurnError, TurnServer};
use crate::{api, connection, demo, health, signalling, site};

/// What the handlers share.
pub struct App {
    /// Seconds that a credential lives if the page does not ask for another time.
    pub ttl: u64,
    /// The most seconds that it may ask for.
    pub max_ttl: u64,
    /// How long a superseded username lives on.
    pub grace: Duration,
    pub key: TurnKey,
    /// Who may have credentials. Put your own in its place.
    pub authentication: Box<dyn Authentication>,
    pub owners: Owners,
    pub superseded: Superseded,
    pub clients: Buckets<ClientId>,
    pub addresses: Buckets<IpAddr>,
    /// Proxies of ours, which say in `X-Forwarded-For` whom they were asked by.
    pub proxies: usize,
    /// Where else than on loopback the pages are served.
    pub origins: Vec<Origin>,
    pub metrics: Arc<Metrics>,
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
    #[error("--ttl {ttl} is longer than --max-ttl {max_ttl} allows")]
    LongTtl { ttl: u64, max_ttl: u64 },
    #[error(transparent)]
    Settings(#[from] SettingsError),
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

async fn listen(port: u16) -> Result<TcpListener, ServerError> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port))
        .await
        .map_err(|source| ServerError::Taken { port, source })
}

/// Serves until the process is told to end.
pub async fn run(options: &Options) -> Result<(), ServerError> {
    let settings = Settings::read(options.config.as_deref())?;
    let capacity = connection::capacity();
    let listener = listen(options.port).await?;
    let address = listener.local_addr()?;
    let app = Arc::new(app(options, &settings, address.port()).await?);
    let termination = termination()?;
    let (end, ending) = watch::channel(false);
    let served = connection::serve(
        listener,
        router(Arc::clone(&app)),
        capacity,
        Arc::clone(&app.metrics),
        ending,
    );
    {
        let mut stdout = io::stdout().lock();
        writeln!(stdout, "listening on http://{address}")?;
        stdout.flush()?;
    }
    let until_told = async {
        let told = termination.await;
        end.send_replace(true);
        told
    };
    let ended = async {
        let (told, ()) = tokio::join!(until_told, served);
        told
    };
    tokio::select! {
        told = ended => told?,
        () = app.superseded.work(&app.key, &app.metrics) => {}
    }
    if let Some(embedded) = &app.embedded {
        embedded.turn.stop().await;
    }
    Ok(())
}

/// All parts of the backend as the options and settings say. An app with its own [`Authentication`] puts it in the place
/// of the one here, and serves what [`router`] makes of the result.
pub async fn app(options: &Options, settings: &Settings, port: u16) -> Result<App, ServerError> {
    if options.ttl > options.max_ttl {
        return Err(ServerError::LongTtl {
            ttl: options.ttl,
            max_ttl: options.max_ttl,
        });
    }
    let metrics = Arc::new(Metrics::default());
    let (key, embedded) = provider(options, settings, &metrics).await?;
    let signing = match settings.secret(settings::SESSION_SECRET) {
        Some(secret) => Signing::shared(&secret),
        None => Signing::random(port).map_err(|_| ServerError::Random)?,
    };
    let secure = !options.origin.is_empty() && options.origin.iter().all(Origin::is_secure);
    let now = Instant::now();
    Ok(App {
        ttl: options.ttl,
        max_ttl: options.max_ttl,
        grace: Duration::from_secs(options.grace),
        key,
        authentication: Box::new(Sessions::new(&signing, secure)),
        owners: Owners::new(&signing, secure),
        superseded: Superseded::default(),
        clients: Buckets::new(options.session_limit, now),
        addresses: Buckets::new(options.address_limit, now),
        proxies: options.proxies,
        origins: options.origin.clone(),
        metrics,
        rooms: Rooms::default(),
        site: Site::new(options),
        embedded,
        faults: options.faults.then(Faults::default),
    })
}

/// Cloudflare, if there is a key of its; else the emulator.
async fn provider(
    options: &Options,
    settings: &Settings,
    metrics: &Arc<Metrics>,
) -> Result<(TurnKey, Option<Embedded>), ServerError> {
    let metrics = Arc::clone(metrics);
    let half = |set, unset| Err(ServerError::HalfConfigured { set, unset });
    match (
        settings.get(settings::KEY_ID),
        settings.secret(settings::API_TOKEN),
    ) {
        (Some(id), Some(token)) => {
            let base = settings.get(settings::API_BASE).unwrap_or(TURN_BASE);
            let key = TurnKey::measured(base, id, token, metrics)?;
            info!(target: "api", "credentials come from the TURN key in TURN_KEY_ID");
            Ok((key, None))
        }
        (None, None) => {
            let store = Arc::new(CredentialStore::default());
            let turn = TurnServer::start(Arc::clone(&store), &options.turn).await?;
            let emulator = Emulator::new(
                Arc::clone(&store),
                turn.urls(),
                None,
                issuance(&options.turn),
            )
            .start()
            .await?;
            let key = TurnKey::measured(&emulator.base, &emulator.key_id, emulator.token, metrics)?;
            Ok((key, Some(Embedded { store, turn })))
        }
        (Some(_), None) => half(settings::KEY_ID, settings::API_TOKEN),
        (None, Some(_)) => half(settings::API_TOKEN, settings::KEY_ID),
    }
}

/// The whole site: pages, credential endpoints, rooms, metrics.
pub fn router(app: Arc<App>) -> Router {
    let api = Router::new()
        .route("/turn-credentials", post(api::mint))
        .route("/turn-credentials/revoke", post(api::revoke))
        .route("/rooms/{room}/members", post(signalling::join))
        .route("/rooms/{room}/members/{member}", delete(signalling::leave))
        .route(
            "/rooms/{room}/members/{member}/messages",
            get(signalling::listen).post(signalling::send),
        )
        .route("/demo", get(demo::about))
        .route("/demo/turn", get(demo::turn))
        .route("/demo/turn/restart", post(demo::restart))
        .route("/demo/turn/silence", post(demo::silence))
        .route("/demo/revoke", post(demo::revoke))
        .route("/demo/faults", post(demo::faults))
        .fallback(api::not_found)
        .method_not_allowed_fallback(api::method_not_allowed)
        .layer(map_response(api::no_store));
    Router::new()
        .nest("/api", api)
        .route("/metrics", get(health::metrics))
        .fallback(site::serve)
        .layer(from_fn_with_state(Arc::clone(&app), api::guard))
        // Asked by whatever name a load balancer knows this instance by.
        .route("/healthz", get(health::healthz))
        .layer(map_response(site::add_headers))
        .with_state(app)
}

fn issuance(options: &TurnOptions) -> Limit {
    if options.cloudflare_limits {
        ISSUANCE
    } else {
        Limit::OFF
    }
}

/// Serves the emulator of Cloudflare's TURN API until the process is told to end. The token that it prints is good for
/// nothing else.
pub async fn emulate(options: &Emulate) -> Result<(), ServerError> {
    let listener = listen(options.port).await?;
    let store = Arc::new(CredentialStore::default());
    let turn = TurnServer::start(Arc::clone(&store), &options.turn).await?;
    let termination = termination()?;
    let (end, ending) = watch::channel(false);
    let running = Emulator::new(store, turn.urls(), None, issuance(&options.turn))
        .start_on(listener, ending)?;
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
    let told = termination.await;
    end.send_replace(true);
    let _ = running.served.await;
    turn.stop().await;
    Ok(told?)
}

/// Listens for the signals from now on; the result is done when one has come.
fn termination() -> io::Result<impl Future<Output = io::Result<()>>> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        Ok(async move {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            Ok(())
        })
    }
    #[cfg(not(unix))]
    Ok(tokio::signal::ctrl_c())
}

/// Creates a TURN key and prints it: the one time that Cloudflare shows its secret.
pub async fn create_key(order: &NewKey) -> Result<(), ServerError> {
    let settings = Settings::read(None)?;
    let token = settings
        .secret(settings::ACCOUNT_TOKEN)
        .ok_or(ServerError::NoApiToken)?;
    let base = settings.get(settings::API_BASE).unwrap_or(ACCOUNT_BASE);
    let key = cloudflare::create_key(base, &order.account, &order.name, &token).await?;
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "uid {}\nkey {}", key.uid, key.key.reveal())?;
    writeln!(
        io::stderr(),
        "Keep the key where only your backend can read it: it is not shown again.\n\
         The backend takes the uid in TURN_KEY_ID and the key in TURN_KEY_API_TOKEN."
    )?;
    Ok(())
}
