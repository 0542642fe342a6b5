//! Where credentials come from, and how they are revoked: the app's endpoint or its function.

use super::object::{self, Members};
use super::request::{Caused, HttpRequest, not_json};
use super::timer::Timer;
use super::value;
use crate::core::failure::{Code, Failure};
use crate::core::ice_server::Username;
use crate::core::session::Reason;
use crate::core::value::Value;
use js_sys::{Array, Error, Function, JSON, Promise};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::AbortController;

/// How long the app's function may take, in milliseconds. It may have to sign the user in first.
const PROVIDER_MS: f64 = 30_000.0;

pub enum Source {
    Http(HttpRequest),
    Provider(Function),
}

impl Source {
    /// Fetches a credential.
    pub async fn fetch(
        &self,
        reason: Reason,
        controller: &AbortController,
    ) -> Result<Value, Caused> {
        let body = match self {
            Self::Http(request) => parse(&request.send(controller, false).await?)?,
            Self::Provider(function) => {
                let request = Members::new()
                    .with("reason", reason.as_str())
                    .with("signal", controller.signal());
                call(function, &request.done()).await?
            }
        };
        Ok(value::from_js(&body))
    }

    /// Revokes a username.
    pub async fn revoke(&self, username: &Username) -> Result<(), Caused> {
        match self {
            Self::Http(request) => {
                let body = Members::new().with("username", username.expose()).done();
                let body = JSON::stringify(&body).ok().map(String::from);
                let request = HttpRequest {
                    body,
                    ..request.clone()
                };
                // It may be the last that the page does.
                request.send(&controller(), true).await.map(drop)
            }
            Self::Provider(function) => call(function, &JsValue::from_str(username.expose()))
                .await
                .map(drop),
        }
    }
}

/// A fresh controller. The constructor does not throw.
pub fn controller() -> AbortController {
    AbortController::new().unwrap_or_else(|never| never.unchecked_into())
}

fn parse(text: &str) -> Result<JsValue, Failure> {
    JSON::parse(text).map_err(|_| {
        not_json(match text.trim_start().chars().next() {
            None => "the body is empty",
            Some('<') => "this is HTML",
            Some(_) => "the body is something else",
        })
    })
}

/// Calls a function of the app and waits for what it promises, within a time.
async fn call(function: &Function, argument: &JsValue) -> Result<JsValue, Caused> {
    let given = function
        .call1(&JsValue::UNDEFINED, argument)
        .map_err(thrown)?;
    // A resolved `undefined` of the timer cannot be taken for an answer: it stands in an array of its own.
    let late = Array::new();
    let mut timer = None;
    let deadline = Promise::new(&mut |resolve, _| {
        let late = late.clone();
        let started = Timer::new(move || {
            let _ = resolve.call1(&JsValue::UNDEFINED, &late);
        });
        started.start(PROVIDER_MS);
        timer = Some(started);
    });
    let race = Promise::race(&Array::of2(&Promise::resolve(&given), &deadline));
    let answer = JsFuture::from(race).await.map_err(thrown)?;
    if answer == JsValue::from(late) {
        return Err(Failure::retryable(
            Code::Timeout,
            "the app's function did not settle within 30000 ms",
        )
        .into());
    }
    Ok(answer)
}

/// What the app's function threw. A `TurnError` keeps its code and whether it may be retried.
fn thrown(cause: JsValue) -> Caused {
    let message = match cause.dyn_ref::<Error>() {
        Some(error) => String::from(error.message()),
        None => object::kind(&cause).into(),
    };
    let fatal = object::text(&cause, "name").as_deref() == Some("TurnError")
        && object::get(&cause, "retryable").as_bool() == Some(false);
    let status = object::get(&cause, "status")
        .as_f64()
        .map(|status| status as u16);
    let code = if status.is_some() {
        Code::HttpStatus
    } else {
        Code::Network
    };
    let failure = Failure {
        status,
        retryable: !fatal,
        ..Failure::retryable(code, format!("the app's function threw: {message}"))
    };
    Caused { failure, cause }
}
