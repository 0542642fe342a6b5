//! What this package uses of `RTCPeerConnection` (W3C webrtc-pc), and what a connection shows of its ICE.

use super::object;
use crate::core::connection::{Facts, Ice, Pair, Signaling};
use crate::core::sdp;
use js_sys::{Array, Function, Map, Promise};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_name = RTCPeerConnection)]
    #[derive(Clone)]
    pub type PeerConnection;

    #[wasm_bindgen(constructor, catch, js_class = "RTCPeerConnection")]
    pub fn new(configuration: &JsValue) -> Result<PeerConnection, JsValue>;
    #[wasm_bindgen(method, js_name = getConfiguration)]
    pub fn get_configuration(this: &PeerConnection) -> JsValue;
    #[wasm_bindgen(method, catch, js_name = setConfiguration)]
    pub fn set_configuration(this: &PeerConnection, configuration: &JsValue)
    -> Result<(), JsValue>;
    #[wasm_bindgen(method, catch, js_name = restartIce)]
    pub fn restart_ice(this: &PeerConnection) -> Result<(), JsValue>;
    #[wasm_bindgen(method, catch, js_name = getStats)]
    fn get_stats(this: &PeerConnection) -> Result<Promise, JsValue>;
    #[wasm_bindgen(method, getter, js_name = signalingState)]
    pub fn signaling_state(this: &PeerConnection) -> String;
    #[wasm_bindgen(method, getter, js_name = iceConnectionState)]
    fn ice_connection_state(this: &PeerConnection) -> String;
    #[wasm_bindgen(method, getter, js_name = connectionState)]
    fn connection_state(this: &PeerConnection) -> String;
    #[wasm_bindgen(method, getter, js_name = iceGatheringState)]
    pub fn ice_gathering_state(this: &PeerConnection) -> String;
    #[wasm_bindgen(method, getter, js_name = localDescription)]
    pub fn local_description(this: &PeerConnection) -> JsValue;
    #[wasm_bindgen(method, getter, js_name = remoteDescription)]
    fn remote_description(this: &PeerConnection) -> JsValue;
    #[wasm_bindgen(method, getter)]
    fn sctp(this: &PeerConnection) -> JsValue;
    #[wasm_bindgen(method, js_name = getSenders)]
    fn get_senders(this: &PeerConnection) -> Array;
    #[wasm_bindgen(method, js_name = addEventListener)]
    pub fn add_event_listener(this: &PeerConnection, kind: &str, listener: &Function);
    #[wasm_bindgen(method, js_name = removeEventListener)]
    pub fn remove_event_listener(this: &PeerConnection, kind: &str, listener: &Function);
    #[wasm_bindgen(method, js_name = createDataChannel)]
    pub fn create_data_channel(this: &PeerConnection, label: &str) -> JsValue;
    #[wasm_bindgen(method, catch, js_name = setLocalDescription)]
    pub fn set_local_description(this: &PeerConnection) -> Result<Promise, JsValue>;
    #[wasm_bindgen(method)]
    pub fn close(this: &PeerConnection);
}

/// Whether this environment has peer connections.
pub fn is_supported() -> bool {
    object::get(&js_sys::global(), "RTCPeerConnection").is_function()
}

impl PeerConnection {
    pub fn is_closed(&self) -> bool {
        self.signaling_state() == "closed"
    }

    /// What the connection shows now.
    pub fn facts(&self) -> Facts {
        let signaling = match self.signaling_state().as_str() {
            "stable" => Signaling::Stable,
            "have-local-offer" | "have-remote-pranswer" => Signaling::HaveLocalOffer,
            "closed" => Signaling::Closed,
            _ => Signaling::HaveRemoteOffer,
        };
        let ice = match self.ice_connection_state().as_str() {
            "checking" => Ice::Checking,
            "connected" | "completed" => Ice::Connected,
            "failed" => Ice::Failed,
            // Chromium leaves iceConnectionState at "disconnected" when the connection has failed.
            "disconnected" if self.connection_state() == "failed" => Ice::Failed,
            "disconnected" => Ice::Disconnected,
            _ => Ice::New,
        };
        let local = object::text(&self.local_description(), "sdp").unwrap_or_default();
        let remote = object::text(&self.remote_description(), "sdp").unwrap_or_default();
        Facts {
            signaling,
            ice,
            gathering: self.ice_gathering_state() == "gathering",
            ufrag: sdp::ice_ufrag(&local).map(str::to_owned),
            first: sdp::goes_first(&local, &remote),
            lost: self.is_transport_gone(),
        }
    }

    /// Whether a DTLS transport under the connection has ended. Firefox ends it together with ICE, and no restart
    /// revives it; Chromium keeps it.
    fn is_transport_gone(&self) -> bool {
        let over = |owner: JsValue| {
            let state = object::text(&object::get(&owner, "transport"), "state");
            matches!(state.as_deref(), Some("failed" | "closed"))
        };
        over(self.sctp()) || self.get_senders().iter().any(over)
    }

    /// The usernames in its configuration.
    pub fn usernames(&self) -> Vec<String> {
        let servers = object::get(&self.get_configuration(), "iceServers");
        let servers = servers.dyn_into::<Array>().unwrap_or_default();
        servers
            .iter()
            .filter_map(|server| object::text(&server, "username"))
            .collect()
    }

    /// The selected candidate pairs, one a transport. Empty if there is none, or if the statistics cannot be had.
    pub async fn selected_pairs(&self) -> Vec<Pair> {
        let Ok(report) = self.get_stats() else {
            return Vec::new();
        };
        match JsFuture::from(report).await {
            Ok(report) => selected_pairs(report.unchecked_ref()),
            Err(_) => Vec::new(),
        }
    }
}

fn selected_pairs(report: &Map) -> Vec<Pair> {
    let mut ids = Vec::new();
    let mut nominated = Vec::new();
    report.for_each(
        &mut |stats, id| match object::text(&stats, "type").as_deref() {
            Some("transport") => ids.extend(object::text(&stats, "selectedCandidatePairId")),
            // Firefox names the selected pair on the pair itself.
            Some("candidate-pair") if object::get(&stats, "selected").is_truthy() => {
                nominated.extend(id.as_string())
            }
            _ => {}
        },
    );
    if ids.is_empty() {
        ids = nominated;
    }
    ids.into_iter()
        .filter_map(|id| {
            let pair = report.get(&JsValue::from_str(&id));
            let local = report.get(&JsValue::from_str(&object::text(
                &pair,
                "localCandidateId",
            )?));
            Some(Pair {
                id,
                relayed: object::text(&local, "candidateType")? == "relay",
                ufrag: object::text(&local, "usernameFragment").filter(|ufrag| !ufrag.is_empty()),
            })
        })
        .collect()
}
