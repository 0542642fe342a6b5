//! One HTTP request of the app's own endpoint, sent through gloo-net.

use super::object;
use super::timer::Timer;
use crate::core::failure::{Code, Failure};
use crate::core::retry;
use gloo_net::http::{Headers, Method, Request, RequestBuilder};
use js_sys::{Date, Function, Promise, Reflect, Uint8Array};
use std::cell::Cell;
use std::rc::Rc;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    AbortController, ReadableStreamDefaultReader, RequestCache, RequestCredentials, RequestInit,
};

/// The most of a body that is read, in bytes: 64 KiB. Every provider's response is below 4.
const BODY_MOST: usize = 65_536;

/// A checked request, ready to be sent any number of times.
#[derive(Clone)]
pub struct HttpRequest {
    pub url: String,
    pub get: bool,
    /// `undefined`, a `HeadersInit`, or a function that gives one.
    pub headers: JsValue,
    /// JSON.
    pub body: Option<String>,
    pub credentials: RequestCredentials,
    /// Milliseconds.
    pub timeout: f64,
}

/// A failure with the JavaScript value that caused it.
pub struct Caused {
    pub failure: Failure,
    pub cause: JsValue,
}

impl From<Failure> for Caused {
    fn from(failure: Failure) -> Self {
        Self {
            failure,
            cause: JsValue::UNDEFINED,
        }
    }
}

impl HttpRequest {
    /// Sends it and reads the whole body, within the timeout. Our own controller is what aborts it: gloo-net cannot
    /// take a reason that is no `Error`.
    pub async fn send(
        &self,
        controller: &AbortController,
        keepalive: bool,
    ) -> Result<String, Caused> {
        let timed_out = Rc::new(Cell::new(false));
        let timer = Timer::new({
            let (timed_out, controller) = (timed_out.clone(), controller.clone());
            move || {
                timed_out.set(true);
                controller.abort();
            }
        });
        timer.start(self.timeout);
        let sent = self.exchange(controller, keepalive).await;
        if timed_out.get() {
            return Err(Failure::retryable(
                Code::Timeout,
                format!(
                    "the credential endpoint did not answer in full within {} ms",
                    self.timeout as u32
                ),
            )
            .into());
        }
        sent
    }

    async fn exchange(
        &self,
        controller: &AbortController,
        keepalive: bool,
    ) -> Result<String, Caused> {
        let headers = self.headers().await?;
        if controller.signal().aborted() {
            return Err(network("the request was aborted").into());
        }
        let request = self
            .build(headers, controller, keepalive)
            .map_err(|error| network(&error))?;
        let response = request
            .send()
            .await
            .map_err(|error| network(&error.to_string()))?;
        if !response.ok() {
            let header = response.headers().get("retry-after");
            let wait = header.and_then(|header| retry::retry_after(&header, Date::now()));
            // The body is not needed; whatever still arrives of it is not worth waiting for.
            controller.abort();
            return Err(Failure::from_status(response.status(), wait).into());
        }
        read(response.body(), controller).await
    }

    async fn headers(&self) -> Result<Headers, Caused> {
        let refused = |cause: JsValue| Caused {
            failure: Failure::retryable(
                Code::Network,
                "the headers option threw, or gave no valid headers",
            ),
            cause,
        };
        let init = match self.headers.dyn_ref::<Function>() {
            Some(function) => {
                let given = function.call0(&JsValue::UNDEFINED).map_err(refused)?;
                JsFuture::from(Promise::resolve(&given))
                    .await
                    .map_err(refused)?
            }
            None => self.headers.clone(),
        };
        let headers = match init.dyn_ref::<js_sys::Object>() {
            Some(init) => web_sys::Headers::new_with_record_from_str_to_str(init),
            None => web_sys::Headers::new(),
        };
        Ok(Headers::from_raw(headers.map_err(refused)?))
    }

    fn build(
        &self,
        headers: Headers,
        controller: &AbortController,
        keepalive: bool,
    ) -> Result<Request, String> {
        if self.body.is_some() && !headers.has("content-type") {
            headers.set("content-type", "application/json");
        }
        let builder = RequestBuilder::new(&self.url)
            .method(if self.get { Method::GET } else { Method::POST })
            .headers(headers)
            .cache(RequestCache::NoStore)
            .credentials(self.credentials)
            .abort_signal(Some(&controller.signal()));
        let request = match &self.body {
            Some(body) => builder.body(body.as_str()),
            None => builder.build(),
        }
        .map_err(|error| error.to_string())?;
        if !keepalive {
            return Ok(request);
        }
        let init = RequestInit::new();
        let _ = Reflect::set(&init, &"keepalive".into(), &JsValue::TRUE);
        let request = web_sys::Request::from(request);
        web_sys::Request::new_with_request_and_init(&request, &init)
            .map(Request::from)
            .map_err(|_| "keepalive was refused".into())
    }
}

fn network(what: &str) -> Failure {
    Failure::retryable(
        Code::Network,
        format!(
            "the credential endpoint was not reached ({what}); is the backend up, does it allow this origin (CORS), \
             and does connect-src of the content security policy name it?"
        ),
    )
}

/// Reads a body up to its limit.
async fn read(
    body: Option<web_sys::ReadableStream>,
    controller: &AbortController,
) -> Result<String, Caused> {
    let mut bytes = Vec::new();
    if let Some(body) = body {
        let broke = |_| Caused::from(network("the response broke off"));
        let reader: ReadableStreamDefaultReader = body.get_reader().unchecked_into();
        loop {
            let chunk = JsFuture::from(reader.read()).await.map_err(broke)?;
            if object::get(&chunk, "done").is_truthy() {
                break;
            }
            if let Ok(chunk) = object::get(&chunk, "value").dyn_into::<Uint8Array>() {
                if bytes.len() + chunk.length() as usize > BODY_MOST {
                    controller.abort();
                    return Err(Failure::fatal(
                        Code::ResponseTooLarge,
                        "the response is larger than 64 KiB; is the source option the credential endpoint?",
                    )
                    .into());
                }
                bytes.extend(chunk.to_vec());
            }
        }
    }
    String::from_utf8(bytes).map_err(|_| not_json("it is no UTF-8 text").into())
}

pub fn not_json(what: &str) -> Failure {
    Failure::retryable(
        Code::ResponseNotJson,
        format!(
            "expected JSON from the credential endpoint, but {what}; is the source option its address?"
        ),
    )
}
