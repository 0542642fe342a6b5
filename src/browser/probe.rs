//! Tries each URL on its own, with a connection that is closed afterwards.

use super::object::{self, Members};
use super::peer_connection::PeerConnection;
use super::peers;
use super::timer::sleep;
use crate::core::ice_server::IceServer;
use js_sys::{Array, Date, Promise};
use std::cell::RefCell;
use std::rc::Rc;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{JsFuture, future_to_promise};

const LOOK_MS: f64 = 10.0;

/// What came of a URL so far.
#[derive(Default)]
struct Heard {
    candidate: Option<&'static str>,
    error: Option<u16>,
    complete: bool,
}

/// The results, in the order of the URLs.
pub fn all(servers: &[IceServer], timeout: f64) -> Promise {
    let each = servers.iter().flat_map(|server| {
        server.urls.iter().map(|url| IceServer {
            urls: vec![url.clone()],
            ..server.clone()
        })
    });
    Promise::all(&each.map(|server| one(server, timeout)).collect::<Array>())
}

fn one(server: IceServer, timeout: f64) -> Promise {
    future_to_promise(async move {
        let url = server
            .urls
            .first()
            .map(ToString::to_string)
            .unwrap_or_default();
        let wanted = if server.credential.is_some() {
            "relay"
        } else {
            "srflx"
        };
        let began = Date::now();
        let heard = match listen(&server, wanted, timeout).await {
            Ok(heard) => heard,
            Err(error) => {
                let message = object::text(&error, "message").unwrap_or_default();
                return Ok(result(
                    &url,
                    began,
                    None,
                    Some((0, &format!("the browser refused this URL: {message}"))),
                ));
            }
        };
        let Heard {
            candidate,
            error,
            complete,
        } = heard;
        let failure = match (candidate, error) {
            (Some(_), _) => None,
            (None, Some(code @ (401 | 403))) => Some((code, "the server refused the credential")),
            (None, Some(code @ 701)) => Some((code, "the server did not answer")),
            (None, Some(code)) => Some((code, "the server answered with an error")),
            (None, None) if complete => Some((
                0,
                "gathering ended without a candidate: the browser skips this port, or nothing answered",
            )),
            (None, None) => Some((
                0,
                "nothing came within the timeout: a firewall, or no server there",
            )),
        };
        Ok(result(&url, began, candidate, failure))
    })
}

fn result(url: &str, began: f64, candidate: Option<&str>, failure: Option<(u16, &str)>) -> JsValue {
    let error = match failure {
        Some((code, message)) => Members::new()
            .with("code", code)
            .with("message", message)
            .done(),
        None => JsValue::NULL,
    };
    Members::new()
        .with("url", url)
        .with("ok", candidate.is_some())
        .with("ms", Date::now() - began)
        .with(
            "candidateType",
            candidate.map_or(JsValue::NULL, JsValue::from_str),
        )
        .with("error", error)
        .done()
}

async fn listen(server: &IceServer, wanted: &'static str, timeout: f64) -> Result<Heard, JsValue> {
    let policy = if wanted == "relay" { "relay" } else { "all" };
    let configuration = Members::new()
        .with(
            "iceServers",
            peers::to_js(std::slice::from_ref(server), &Array::new()),
        )
        .with("iceTransportPolicy", policy)
        .done();
    let connection = PeerConnection::new(&configuration)?;
    let heard = Rc::new(RefCell::new(Heard::default()));
    let listener = Closure::<dyn FnMut(JsValue)>::new({
        let heard = heard.clone();
        move |event: JsValue| {
            let mut heard = heard.borrow_mut();
            if object::text(&event, "type").as_deref() == Some("icecandidateerror") {
                heard.error = object::get(&event, "errorCode")
                    .as_f64()
                    .map(|code| code as u16)
                    .or(heard.error);
            } else if object::text(&object::get(&event, "candidate"), "type").as_deref()
                == Some(wanted)
            {
                heard.candidate = Some(wanted);
            }
        }
    });
    let function = listener.as_ref().unchecked_ref();
    connection.add_event_listener("icecandidate", function);
    connection.add_event_listener("icecandidateerror", function);
    connection.create_data_channel("");
    let gathered = gather(&connection, &heard, timeout).await;
    connection.remove_event_listener("icecandidate", function);
    connection.remove_event_listener("icecandidateerror", function);
    connection.close();
    gathered?;
    Ok(heard.take())
}

async fn gather(
    connection: &PeerConnection,
    heard: &RefCell<Heard>,
    timeout: f64,
) -> Result<(), JsValue> {
    let began = Date::now();
    JsFuture::from(connection.set_local_description()?).await?;
    while Date::now() - began < timeout {
        let complete = connection.ice_gathering_state() == "complete";
        heard.borrow_mut().complete = complete;
        if complete || heard.borrow().candidate.is_some() || heard.borrow().error.is_some() {
            break;
        }
        sleep(LOOK_MS).await;
    }
    Ok(())
}
