//! Two instances behind a load balancer, with a provider and a secret in common and no store between them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

mod harness;

use std::net::{Ipv4Addr, SocketAddr};

use axum::http::StatusCode;
use harness::{Server, Visitor, program};
use serde_json::json;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};

const MINT: &str = "/api/turn-credentials";
const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// Passes each connection on to the next instance, and says where it listens.
async fn balancer(instances: [SocketAddr; 2]) -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        for instance in instances.into_iter().cycle() {
            let (mut client, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut server = TcpStream::connect(instance).await.unwrap();
                // Either end may hang up.
                let _ = copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    url
}

struct Service {
    provider: Server,
    instances: [Server; 2],
    balancer: String,
}

impl Service {
    async fn start() -> Self {
        let provider = Server::spawn(program().args(["emulate", "--port", "0"])).await;
        let key = provider.printed_key().await;
        let mut environment: Vec<(&str, &str)> = key
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        environment.push(("SESSION_SECRET", SECRET));
        let arguments = ["--grace", "0"];
        let instances = [
            Server::start_in(&arguments, &environment).await,
            Server::start_in(&arguments, &environment).await,
        ];
        Self {
            balancer: balancer(instances.each_ref().map(Server::address)).await,
            provider,
            instances,
        }
    }

    /// A browser that loaded the page from the first instance.
    async fn visitor(&self) -> Visitor {
        self.instances[0].visitor().await
    }

    async fn revoked(&self, username: &str) {
        self.provider
            .logged(&["credential revoked", &username[..8]])
            .await;
    }
}

#[tokio::test]
async fn what_one_instance_gave_the_other_one_revokes() {
    let service = Service::start().await;
    let visitor = service.visitor().await;
    let [one, two] = service
        .instances
        .each_ref()
        .map(|instance| instance.url.as_str());
    for (minting, revoking) in [(one, two), (two, one)] {
        let credential = visitor.at(minting).credential(600).await;
        let answer = visitor.at(revoking).revoke(&credential.username).await;
        assert_eq!(answer.status, StatusCode::NO_CONTENT);
        service.revoked(&credential.username).await;

        // The page asks for a new one and says which one it replaces.
        let credential = visitor.at(minting).credential(600).await;
        let order = json!({ "ttl": 600, "supersedes": credential.username });
        let answer = visitor.at(revoking).post(MINT, order).await;
        assert_eq!(answer.status, StatusCode::CREATED);
        service.revoked(&credential.username).await;
    }
}

#[tokio::test]
async fn a_session_of_one_instance_owns_nothing_of_another_session_at_the_other() {
    let service = Service::start().await;
    let (owner, other) = (service.visitor().await, service.visitor().await);
    let credential = owner.credential(600).await;
    let two = &service.instances[1].url;
    other
        .at(two)
        .revoke(&credential.username)
        .await
        .expect_error(403, "not-yours");
    // Not even with the owner's cookies beside its own session.
    let thief = owner.at(two).with_session_of(&other);
    thief
        .revoke(&credential.username)
        .await
        .expect_error(403, "not-yours");
    service.instances[1]
        .stranger()
        .revoke(&credential.username)
        .await
        .expect_error(401, "no-session");
}

#[tokio::test]
async fn behind_a_load_balancer_a_page_notices_nothing_of_the_two() {
    let service = Service::start().await;
    let visitor = service.visitor().await;
    for _ in 0..5 {
        // A new connection each time, so that the instances take turns.
        let credential = visitor.at(&service.balancer).credential(600).await;
        let next = visitor.at(&service.balancer);
        assert_eq!(
            next.revoke(&credential.username).await.status,
            StatusCode::NO_CONTENT
        );
        visitor.at(&service.balancer).get("/healthz").await;
    }
    for instance in &service.instances {
        assert!(instance.metric("turn_backend_mints_total").await > 0.0);
        let revoked = instance
            .metric("turn_backend_revocations_total{by=\"page\"}")
            .await;
        assert!(revoked > 0.0);
    }
}

#[tokio::test]
async fn an_instance_with_another_secret_knows_nothing_of_the_session() {
    let service = Service::start().await;
    let visitor = service.visitor().await;
    let stranger = Server::start_in(&[], &[("SESSION_SECRET", &SECRET.replace('0', "1"))]).await;
    visitor
        .at(&stranger.url)
        .mint()
        .await
        .expect_error(401, "no-session");
}
