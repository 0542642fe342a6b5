//! What the package's JavaScript holds of a session.

use super::driver::Driver;
use super::gathering;
use super::hooks::Hooks;
use super::object::{get, is_absent};
use super::options::{self, Options};
use super::peer_connection::{self, PeerConnection};
use super::peers;
use super::probe;
use crate::core::failure::{Code, Failure};
use js_sys::{Array, Promise};
use std::rc::Rc;
use wasm_bindgen::prelude::*;

/// How long gathering and probing may take, in milliseconds.
const TIMEOUT_DEFAULT: f64 = 5_000.0;

/// Opens a session: checks the options, fetches the first credential, and resolves with a [`Handle`].
#[wasm_bindgen]
pub fn open(options: &JsValue, hooks: Hooks) -> Result<Promise, JsValue> {
    let options = Options::read(options)
        .map_err(|failure| hooks.turn_error(&failure, &JsValue::UNDEFINED))?;
    Ok(Driver::open(options, hooks))
}

#[wasm_bindgen]
pub struct Handle {
    driver: Rc<Driver>,
}

impl Handle {
    pub fn new(driver: Rc<Driver>) -> Self {
        Self { driver }
    }

    fn error(&self, failure: &Failure) -> JsValue {
        self.driver.hooks.turn_error(failure, &JsValue::UNDEFINED)
    }

    fn needs_peer_connections(&self) -> Result<(), JsValue> {
        if peer_connection::is_supported() {
            return Ok(());
        }
        let message =
            "this environment has no RTCPeerConnection; iceServers and refresh() work without it";
        Err(self.error(&Failure::fatal(Code::UnsupportedEnvironment, message)))
    }

    fn timeout(&self, options: &JsValue) -> Result<f64, JsValue> {
        options::read_timeout("timeout", &get(options, "timeout"), TIMEOUT_DEFAULT)
            .map_err(|failure| self.error(&failure))
    }

    fn connection(&self, connection: JsValue) -> Result<PeerConnection, JsValue> {
        if get(&connection, "setConfiguration").is_function() {
            return Ok(connection.unchecked_into());
        }
        Err(self.error(&Failure::fatal(
            Code::InvalidOption,
            "pc: expected an RTCPeerConnection with setConfiguration",
        )))
    }
}

#[wasm_bindgen]
impl Handle {
    #[wasm_bindgen(js_name = createPeerConnection)]
    pub fn create_peer_connection(
        &self,
        configuration: JsValue,
    ) -> Result<PeerConnection, JsValue> {
        self.needs_peer_connections()?;
        if !is_absent(&configuration) && !configuration.is_object() {
            let message = "configuration: expected an RTCConfiguration object";
            return Err(self.error(&Failure::fatal(Code::InvalidOption, message)));
        }
        self.driver.create(&configuration)
    }

    pub fn attach(&self, connection: JsValue, options: &JsValue) -> Result<(), JsValue> {
        let connection = self.connection(connection)?;
        if connection.is_closed() {
            return Err(self.error(&Failure::fatal(
                Code::ApplyFailed,
                "pc: the connection is closed; attach a live one",
            )));
        }
        let policy = options::read_policy(&get(options, "iceRestart"))
            .map_err(|failure| self.error(&failure))?;
        self.driver.attach(&connection, policy).map_err(|refused| {
            self.driver
                .hooks
                .turn_error(&refused.failure, &refused.cause)
        })
    }

    pub fn detach(&self, connection: &JsValue) {
        self.driver.leave_alone(connection);
    }

    #[wasm_bindgen(js_name = iceServers)]
    pub fn ice_servers(&self) -> Array {
        peers::to_js(&self.driver.servers(), &Array::new())
    }

    pub fn state(&self) -> JsValue {
        self.driver.with_view(|view| view.state())
    }

    pub fn refresh(&self) -> Promise {
        self.driver.refresh()
    }

    #[wasm_bindgen(js_name = localDescription)]
    pub fn local_description(
        &self,
        connection: JsValue,
        options: &JsValue,
    ) -> Result<Promise, JsValue> {
        let connection = self.connection(connection)?;
        let timeout = self.timeout(options)?;
        Ok(gathering::local_description(
            connection,
            timeout,
            self.driver.hooks.clone(),
        ))
    }

    pub fn probe(&self, options: &JsValue) -> Result<Promise, JsValue> {
        self.needs_peer_connections()?;
        let timeout = self.timeout(options)?;
        Ok(probe::all(&self.driver.servers(), timeout))
    }

    pub fn close(&self, revoke: bool) -> Promise {
        self.driver.close(revoke)
    }
}
