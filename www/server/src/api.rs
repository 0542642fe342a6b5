//! The two endpoints that an app's own backend needs: mint a credential, and revoke it again.
//!
//! Every request passes the same checks in the same order: from our own pages (403), not too many from its address (429),
//! in a session (401), not too many in that (429), well-formed (400, 413, 415), for a username of its own (403).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use axum::Json;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{CACHE_CONTROL, HOST, ORIGIN, SET_COOKIE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tracing::{info, warn};

use crate::api_error::ApiError;
use crate::authentication::Client;
use crate::body;
use crate::cloudflare::UpstreamError;
use crate::credential::prefix;
use crate::origin::Origin;
use crate::server::App;

/// `POST /api/turn-credentials`: 201 with ice servers, their ttl in seconds and their expiry.
pub async fn mint(State(app): State<Arc<App>>, request: Request) -> Result<Response, ApiError> {
    let begun = Instant::now();
    if let Some(faults) = &app.faults
        && let Some(response) = faults.meet().await
    {
        return Ok(response);
    }
    let (head, body) = request.into_parts();
    let mut access = Access::default();
    let answer = try_mint(&app, &head, body, &mut access).await;
    let (status, code) = match &answer {
        Ok(_) => {
            app.metrics.mints.add();
            (StatusCode::CREATED, "")
        }
        Err(error) => {
            app.metrics.refusals.add(error.code);
            (error.status, error.code)
        }
    };
    let Access {
        client,
        username,
        ttl,
    } = access;
    info!(target: "access", status = status.as_u16(), %code, address = %address(&app, &head), %client, %username, ttl,
        ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX), "mint");
    answer
}

/// What the access log says of a mint: nothing that is a secret, or leads to one.
#[derive(Default)]
struct Access {
    client: String,
    username: String,
    ttl: u64,
}

async fn try_mint(
    app: &App,
    head: &Parts,
    body: Body,
    access: &mut Access,
) -> Result<Response, ApiError> {
    let client = admit(app, head).await?;
    access.client = client.id.tag();
    let order = Order::parse(body::read_json(&head.headers, body).await?, app.max_ttl)?;
    if let Some(superseded) = &order.supersedes {
        own(app, &client, superseded, &head.headers)?;
    }
    let ttl = order.ttl.unwrap_or(app.ttl);
    access.ttl = ttl;

    // The credential's life begins when it is asked for, so that what the page believes is never longer than the truth.
    let asked = SystemTime::now();
    let ice_servers = app
        .key
        .generate(ttl, client.custom_identifier.as_deref())
        .await
        .map_err(|error| upstream(&error))?;
    let expires_at = asked + Duration::from_secs(ttl);
    let body = json!({
        "iceServers": ice_servers,
        "ttl": ttl,
        "expiresAt": humantime::format_rfc3339_millis(expires_at).to_string(),
    });
    let mut response = (StatusCode::CREATED, Json(body)).into_response();
    for username in ice_servers
        .iter()
        .filter_map(|server| server.username.as_deref())
    {
        access.username = prefix(username);
        let cookies = app
            .owners
            .gave(&client.id, username, expires_at, &head.headers, asked);
        for cookie in cookies {
            let cookie = HeaderValue::try_from(cookie).map_err(|_| ApiError::internal())?;
            response.headers_mut().append(SET_COOKIE, cookie);
        }
    }
    if let Some(superseded) = order.supersedes {
        app.superseded.revoke_after(app.grace, superseded);
    }
    Ok(response)
}

/// `POST /api/turn-credentials/revoke` `{username}`: 204 when the username is worth nothing any more.
pub async fn revoke(State(app): State<Arc<App>>, request: Request) -> Result<Response, ApiError> {
    let (head, body) = request.into_parts();
    match try_revoke(&app, &head, body).await {
        Ok(()) => {
            app.metrics.revocations.add("page");
            Ok(StatusCode::NO_CONTENT.into_response())
        }
        Err(error) => {
            app.metrics.refusals.add(error.code);
            Err(error)
        }
    }
}

async fn try_revoke(app: &App, head: &Parts, body: Body) -> Result<(), ApiError> {
    let client = admit(app, head).await?;
    let username = username(body::read_json(&head.headers, body).await?)?;
    own(app, &client, &username, &head.headers)?;
    app.key
        .revoke(&username)
        .await
        .map_err(|error| upstream(&error))
}

fn own(app: &App, client: &Client, username: &str, headers: &HeaderMap) -> Result<(), ApiError> {
    if app
        .owners
        .owns(&client.id, username, headers, SystemTime::now())
    {
        return Ok(());
    }
    Err(ApiError::new(
        StatusCode::FORBIDDEN,
        "not-yours",
        "this username was not given to this session, or has expired; a page can revoke only its own",
    ))
}

pub async fn not_found() -> ApiError {
    ApiError::not_found()
}

pub async fn method_not_allowed() -> ApiError {
    ApiError::method_not_allowed()
}

/// Around everything: refuses requests addressed to another host (a name that an attacker points at loopback would
/// otherwise count as our own site) and requests that another site's page makes.
pub async fn guard(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    match check_origin(request.headers(), &app.origins) {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    }
}

/// On everything below /api/.
pub async fn no_store(mut response: Response) -> Response {
    response
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// `public`: where else than on loopback the pages are served.
fn check_origin(headers: &HeaderMap, public: &[Origin]) -> Result<(), ApiError> {
    let host = headers
        .get(HOST)
        .and_then(|host| host.to_str().ok())
        .unwrap_or_default();
    // An IPv6 address in brackets holds colons of its own.
    let end = host
        .find(']')
        .map_or_else(|| host.find(':'), |bracket| Some(bracket + 1));
    let name = end.and_then(|end| host.get(..end)).unwrap_or(host);
    let loopback =
        matches!(name, "127.0.0.1" | "localhost" | "[::1]") || name.ends_with(".localhost");
    if !loopback && !public.iter().any(|origin| origin.authority() == host) {
        return Err(ApiError::new(
            StatusCode::FORBIDDEN,
            "foreign-host",
            "this server answers to its own names only; open it as http://127.0.0.1 or http://localhost, or name the other in --origin",
        ));
    }
    let Some(origin) = headers.get(ORIGIN) else {
        return Ok(());
    };
    let origin = origin.to_str().unwrap_or_default();
    let own = if loopback {
        let authority = origin
            .strip_prefix("http://")
            .or_else(|| origin.strip_prefix("https://"));
        authority == Some(host)
    } else {
        // Of a public name also the scheme has to be right: a page fetched over plain http may be anybody's.
        public
            .iter()
            .any(|own| own.is(origin) && own.authority() == host)
    };
    if own {
        return Ok(());
    }
    Err(ApiError::new(
        StatusCode::FORBIDDEN,
        "foreign-origin",
        "the request comes from another site; only pages served from here may make it",
    ))
}

/// Whose request this is: 429 for an address that asks too often, what the authentication says to a stranger (401 in the
/// demo), 429 for a client that asks too often.
pub async fn admit(app: &App, head: &Parts) -> Result<Client, ApiError> {
    let now = Instant::now();
    let address = address(app, head);
    app.addresses
        .admit(network(address), now)
        .map_err(|seconds| {
            too_many(
                "too many requests from this address; wait as long as Retry-After says",
                seconds,
            )
        })?;
    let client = app.authentication.authenticate(&head.headers).await?;
    app.clients
        .admit(client.id.clone(), now)
        .map_err(|seconds| {
            too_many(
                "too many requests in this session; wait as long as Retry-After says",
                seconds,
            )
        })?;
    Ok(client)
}

fn too_many(message: &'static str, seconds: u64) -> ApiError {
    ApiError::new(StatusCode::TOO_MANY_REQUESTS, "too-many-requests", message).retry_after(seconds)
}

/// The address that the request came from: the other end of the connection, or as many steps before it as there are proxies
/// of ours, each of which has added to `X-Forwarded-For` whom it was asked by. What stands further left is hearsay.
fn address(app: &App, head: &Parts) -> IpAddr {
    let peer = head
        .extensions
        .get::<ConnectInfo<SocketAddr>>()
        .map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0.ip());
    let Some(steps) = app.proxies.checked_sub(1) else {
        return peer;
    };
    let told: Vec<&str> = head
        .headers
        .get_all("x-forwarded-for")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .collect();
    told.iter()
        .rev()
        .nth(steps)
        .and_then(|address| address.trim().parse().ok())
        .unwrap_or(peer)
}

/// What limits go by: an IPv6 client has 2^64 addresses of its own.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(six) => match six.to_ipv4_mapped() {
            Some(four) => IpAddr::V4(four),
            None => IpAddr::V6(Ipv6Addr::from_bits(six.to_bits() >> 64 << 64)),
        },
    }
}

/// What a page asks for: `{"ttl": seconds, "supersedes": "username"}`, both as it likes.
#[derive(Debug, Default, PartialEq, Eq)]
struct Order {
    ttl: Option<u64>,
    supersedes: Option<String>,
}

impl Order {
    fn parse(body: Option<Value>, max_ttl: u64) -> Result<Self, ApiError> {
        let Some(body) = body else {
            return Ok(Self::default());
        };
        let Value::Object(fields) = body else {
            return Err(ApiError::bad_request(
                "body-invalid",
                "the body must be a JSON object, such as {\"ttl\": 60}",
            ));
        };
        let ttl = match fields.get("ttl").map(Value::as_u64) {
            None => None,
            Some(Some(ttl)) if (1..=max_ttl).contains(&ttl) => Some(ttl),
            Some(_) => {
                return Err(ApiError::bad_request(
                    "ttl-invalid",
                    format!("ttl must be a whole number of seconds from 1 to {max_ttl}"),
                ));
            }
        };
        let supersedes = match fields.get("supersedes") {
            None => None,
            Some(Value::String(username)) if !username.is_empty() => Some(username.clone()),
            Some(_) => {
                return Err(ApiError::bad_request(
                    "supersedes-invalid",
                    "supersedes must be the username that this credential takes the place of",
                ));
            }
        };
        Ok(Self { ttl, supersedes })
    }
}

/// The `username` of a body such as `{"username": "…"}`.
pub fn username(body: Option<Value>) -> Result<String, ApiError> {
    body.as_ref()
        .and_then(|body| body.get("username"))
        .and_then(Value::as_str)
        .filter(|username| !username.is_empty())
        .map(str::to_owned)
        .ok_or_else(|| {
            ApiError::bad_request(
                "username-missing",
                "the body must be {\"username\": \"…\"}, the username to revoke",
            )
        })
}

/// What the page may know about trouble upstream, and what the log says.
fn upstream(error: &UpstreamError) -> ApiError {
    warn!(target: "api", %error, "upstream failed");
    match error {
        UpstreamError::Unreachable | UpstreamError::Timeout => ApiError::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "upstream-unreachable",
            "the TURN provider cannot be reached; try again in a moment",
        )
        .retry_after(1),
        UpstreamError::Status {
            status: 429 | 500..,
            retry_after,
        } => ApiError::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "upstream-unavailable",
            "the TURN provider is not available; try again in a moment",
        )
        .retry_after(retry_after.unwrap_or(1)),
        UpstreamError::Status { .. } => ApiError::new(
            StatusCode::BAD_GATEWAY,
            "upstream-refused",
            "the TURN provider refused this server; whoever runs it has to check its key and token",
        ),
        UpstreamError::Malformed => ApiError::new(
            StatusCode::BAD_GATEWAY,
            "upstream-malformed",
            "the TURN provider's answer could not be understood",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(host: &str, origin: Option<&str>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, host.parse().unwrap());
        if let Some(origin) = origin {
            headers.insert(ORIGIN, origin.parse().unwrap());
        }
        headers
    }

    #[test]
    fn our_own_pages_and_programs_without_an_origin_pass() {
        for (host, origin) in [
            ("127.0.0.1:8080", None),
            ("127.0.0.1:8080", Some("http://127.0.0.1:8080")),
            ("localhost:8080", Some("http://localhost:8080")),
            ("localhost", Some("https://localhost")),
            ("[::1]:8080", Some("http://[::1]:8080")),
            ("[::1]", None),
            ("app.localhost:8080", None),
        ] {
            assert_eq!(
                check_origin(&headers(host, origin), &[]),
                Ok(()),
                "{host} {origin:?}"
            );
        }
    }

    #[test]
    fn another_site_another_port_and_a_hidden_origin_are_foreign() {
        for origin in [
            "https://example.com",
            "http://127.0.0.1:8081",
            "http://localhost:8080",
            "null",
            "127.0.0.1:8080",
        ] {
            let error = check_origin(&headers("127.0.0.1:8080", Some(origin)), &[]).unwrap_err();
            assert_eq!(
                (error.status, error.code),
                (StatusCode::FORBIDDEN, "foreign-origin"),
                "{origin}"
            );
        }
    }

    #[test]
    fn a_name_pointed_at_loopback_is_no_host_of_ours() {
        for host in [
            "evil.example:8080",
            "evil.example",
            "",
            "127.0.0.1.evil.example",
        ] {
            let error = check_origin(&headers(host, None), &[]).unwrap_err();
            assert_eq!(error.code, "foreign-host", "{host}");
        }
    }

    #[test]
    fn a_public_name_passes_with_its_own_origin_and_scheme_alone() {
        let public: Vec<Origin> = ["https://demo.example", "https://b.example:8443"]
            .map(|origin| origin.parse().unwrap())
            .into();
        let check = |host: &str, origin: Option<&str>| {
            check_origin(&headers(host, origin), &public).map_err(|error| error.code)
        };
        assert_eq!(check("demo.example", None), Ok(()));
        assert_eq!(check("demo.example", Some("https://demo.example")), Ok(()));
        assert_eq!(
            check("b.example:8443", Some("https://b.example:8443")),
            Ok(())
        );
        for (host, origin) in [
            ("demo.example", "http://demo.example"),
            ("demo.example", "https://b.example:8443"),
            ("demo.example", "https://127.0.0.1"),
            ("127.0.0.1:8080", "https://demo.example"),
        ] {
            assert_eq!(
                check(host, Some(origin)),
                Err("foreign-origin"),
                "{host} {origin}"
            );
        }
        assert_eq!(check("demo.example:1", None), Err("foreign-host"));
        assert_eq!(check("b.example", None), Err("foreign-host"));
    }

    #[test]
    fn an_ipv6_client_counts_by_its_network_and_a_mapped_one_as_ipv4() {
        let network = |address: &str| network(address.parse().unwrap()).to_string();
        assert_eq!(network("2001:db8::1:2:3:4"), "2001:db8::");
        assert_eq!(network("2001:db8::ffff"), "2001:db8::");
        assert_eq!(network("::ffff:192.0.2.1"), "192.0.2.1");
        assert_eq!(network("192.0.2.1"), "192.0.2.1");
    }

    #[test]
    fn a_ttl_is_a_whole_number_of_seconds_up_to_the_cap() {
        let ttl = |body: Value| Order::parse(Some(body), 600).map(|order| order.ttl);
        assert_eq!(Order::parse(None, 600), Ok(Order::default()));
        assert_eq!(ttl(json!({})), Ok(None));
        assert_eq!(ttl(json!({ "ttl": 600 })), Ok(Some(600)));
        for wrong in [
            json!({ "ttl": 0 }),
            json!({ "ttl": -1 }),
            json!({ "ttl": 1.5 }),
            json!({ "ttl": "60" }),
            json!({ "ttl": 601 }),
            json!([]),
        ] {
            assert_eq!(
                ttl(wrong.clone()).unwrap_err().status,
                StatusCode::BAD_REQUEST,
                "{wrong}"
            );
        }
    }
}
