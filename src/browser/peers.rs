//! The connections of a session, held weakly, with the events that are listened to.

use super::object::Members;
use super::peer_connection::PeerConnection;
use crate::core::ice_server::IceServer;
use crate::core::session::ConnectionId;
use js_sys::{Array, Function, WeakRef};
use wasm_bindgen::prelude::*;

const EVENTS: [&str; 5] = [
    "signalingstatechange",
    "iceconnectionstatechange",
    "connectionstatechange",
    "icegatheringstatechange",
    "icecandidateerror",
];

struct Peer {
    id: ConnectionId,
    connection: WeakRef,
    /// The app's own servers, which come after ours.
    extra: Array,
}

#[derive(Default)]
pub struct Peers {
    peers: Vec<Peer>,
    last: ConnectionId,
}

impl Peers {
    /// Takes a connection in; the same one keeps its name.
    pub fn add(
        &mut self,
        connection: &PeerConnection,
        extra: Array,
        listener: &Function,
    ) -> ConnectionId {
        if let Some(id) = self.find(connection) {
            return id;
        }
        for event in EVENTS {
            connection.add_event_listener(event, listener);
        }
        self.last += 1;
        let connection = WeakRef::new(connection.unchecked_ref::<js_sys::Object>());
        self.peers.push(Peer {
            id: self.last,
            connection,
            extra,
        });
        self.last
    }

    pub fn find(&self, connection: &JsValue) -> Option<ConnectionId> {
        let same = |peer: &&Peer| {
            peer.alive()
                .is_some_and(|alive| JsValue::from(alive) == *connection)
        };
        self.peers.iter().find(same).map(|peer| peer.id)
    }

    /// A connection that was not collected yet.
    pub fn get(&self, id: ConnectionId) -> Option<PeerConnection> {
        self.peers.iter().find(|peer| peer.id == id)?.alive()
    }

    /// The app's own servers of a connection.
    pub fn extra(&self, id: ConnectionId) -> Option<Array> {
        self.peers
            .iter()
            .find(|peer| peer.id == id)
            .map(|peer| peer.extra.clone())
    }

    /// Lets a connection go.
    pub fn remove(&mut self, id: ConnectionId, listener: &Function) {
        self.peers.retain(|peer| {
            if peer.id == id {
                peer.leave(listener);
            }
            peer.id != id
        });
    }

    pub fn clear(&mut self, listener: &Function) {
        for peer in self.peers.drain(..) {
            peer.leave(listener);
        }
    }

    /// Those that are closed or collected: a closed connection tells nobody.
    pub fn gone(&self) -> Vec<ConnectionId> {
        let gone = |peer: &&Peer| peer.alive().is_none_or(|connection| connection.is_closed());
        self.peers.iter().filter(gone).map(|peer| peer.id).collect()
    }
}

impl Peer {
    fn alive(&self) -> Option<PeerConnection> {
        self.connection.deref().map(JsCast::unchecked_into)
    }

    fn leave(&self, listener: &Function) {
        if let Some(connection) = self.alive() {
            for event in EVENTS {
                connection.remove_event_listener(event, listener);
            }
        }
    }
}

/// Servers as the browser takes them, the app's own after ours.
pub fn to_js(servers: &[IceServer], extra: &Array) -> Array {
    let list = Array::new();
    for server in servers {
        let urls: Array = server
            .urls
            .iter()
            .map(|url| JsValue::from(url.to_string()))
            .collect();
        let mut members = Members::new().with("urls", urls);
        if let (Some(username), Some(credential)) = (&server.username, &server.credential) {
            members = members
                .with("username", username.expose())
                .with("credential", credential.expose());
        }
        list.push(&members.done());
    }
    list.concat(extra)
}
