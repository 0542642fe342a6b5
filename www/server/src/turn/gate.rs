//! Stands between the `turn` crate and a socket, and puts right where the crate differs from RFC 8489 and RFC 8656:
//!
//! | the crate | on the wire |
//! |---|---|
//! | answers 400 to an unknown user or a wrong password | 401 with REALM and NONCE (RFC 8489 section 9.2.4) |
//! | stays silent when a request needs an allocation and there is none | 401 if the credential is refused, else 437 (RFC 8656 section 5) |
//! | lets any live user change any allocation | 441 (RFC 8656 section 5) |
//! | answers CreatePermission without a peer address with an error that has no code | 400 |
//!
//! This works because the crate handles one request of a socket at a time: it reads a message, answers it or does not, and
//! reads the next. So the request last read is the one being answered, and if the crate reads again it has none to give.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use async_trait::async_trait;
use stun::attributes::{ATTR_MESSAGE_INTEGRITY, ATTR_NONCE, ATTR_REALM, ATTR_USERNAME};
use stun::error_code::{
    CODE_ALLOC_MISMATCH, CODE_BAD_REQUEST, CODE_UNAUTHORIZED, CODE_WRONG_CREDENTIALS, ErrorCode,
    ErrorCodeAttribute,
};
use stun::integrity::MessageIntegrity;
use stun::message::{
    CLASS_ERROR_RESPONSE, CLASS_REQUEST, CLASS_SUCCESS_RESPONSE, Getter, METHOD_ALLOCATE,
    METHOD_BINDING, METHOD_CHANNEL_BIND, METHOD_CREATE_PERMISSION, METHOD_REFRESH, Message,
    MessageType, Method, Setter, is_message,
};
use stun::textattrs::TextAttribute;
use turn::auth::generate_auth_key;
use turn::proto::relayaddr::RelayedAddress;
use webrtc_util::{Conn, Error};

use super::live::Live;
use super::udp::unsupported;
use super::{REALM, Transport};

pub struct Gate {
    inner: Arc<dyn Conn + Send + Sync>,
    transport: Transport,
    live: Arc<Live>,
    open: Mutex<Option<Request>>,
}

/// A request that has been read and not yet answered.
struct Request {
    message: Message,
    client: SocketAddr,
}

impl Request {
    fn text(&self, attribute: stun::attributes::AttrType) -> Option<String> {
        TextAttribute::get_from_as(&self.message, attribute)
            .ok()
            .map(|attribute| attribute.text)
    }

    fn username(&self) -> String {
        self.text(ATTR_USERNAME).unwrap_or_default()
    }

    /// Whether it carries all that a long-term credential needs, so that a refusal is about the credential.
    fn is_authenticated(&self) -> bool {
        [
            ATTR_MESSAGE_INTEGRITY,
            ATTR_USERNAME,
            ATTR_REALM,
            ATTR_NONCE,
        ]
        .into_iter()
        .all(|attribute| self.message.contains(attribute))
    }

    fn error(&self, code: ErrorCode, reason: &str, more: Vec<Box<dyn Setter>>) -> Option<Vec<u8>> {
        let mut setters: Vec<Box<dyn Setter>> = vec![
            Box::new(Message {
                transaction_id: self.message.transaction_id,
                ..Message::default()
            }),
            Box::new(MessageType::new(
                self.message.typ.method,
                CLASS_ERROR_RESPONSE,
            )),
            Box::new(ErrorCodeAttribute {
                code,
                reason: reason.as_bytes().to_vec(),
            }),
        ];
        setters.extend(more);
        let mut message = Message::new();
        message.build(&setters).ok()?;
        Some(message.raw)
    }
}

/// A name for logs; the crate's own is written for people.
fn method_name(method: Method) -> &'static str {
    match method {
        METHOD_ALLOCATE => "allocate",
        METHOD_REFRESH => "refresh",
        METHOD_CREATE_PERMISSION => "create-permission",
        METHOD_CHANNEL_BIND => "channel-bind",
        _ => "other",
    }
}

/// The class bits of a STUN message type, from its first two bytes (RFC 8489 section 5): 0 request, 1 indication,
/// 2 success, 3 error.
fn class_of(bytes: &[u8]) -> Option<u8> {
    match bytes {
        [first, second, ..] if is_message(bytes) && first >> 6 == 0 => {
            Some((first & 1) << 1 | (second >> 4) & 1)
        }
        _ => None,
    }
}

impl Gate {
    pub fn new(inner: Arc<dyn Conn + Send + Sync>, transport: Transport, live: Arc<Live>) -> Self {
        Self {
            inner,
            transport,
            live,
            open: Mutex::new(None),
        }
    }

    fn open(&self) -> MutexGuard<'_, Option<Request>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why the request's credential is refused; `None` if it is good.
    fn refusal(&self, request: &Request) -> Option<&'static str> {
        let username = request.username();
        match self
            .live
            .store()
            .live_credential(&username, SystemTime::now())
        {
            Err(standing) => Some(standing.name()),
            Ok(credential) => {
                let realm = request.text(ATTR_REALM).unwrap_or_default();
                let key = generate_auth_key(&username, &realm, credential.reveal());
                match MessageIntegrity(key).check(&mut request.message.clone()) {
                    Ok(()) => None,
                    Err(_) => Some("wrong-credential"),
                }
            }
        }
    }

    fn refuse(
        &self,
        request: &Request,
        code: ErrorCode,
        text: &str,
        reason: &str,
    ) -> Option<Vec<u8>> {
        let method = method_name(request.message.typ.method);
        self.live.refused_request(
            self.transport,
            request.client,
            &request.username(),
            method,
            code.0,
            reason,
        );
        let mut more: Vec<Box<dyn Setter>> = Vec::new();
        if code == CODE_UNAUTHORIZED {
            // The nonce that came with the request is still good, or the crate would have said 438.
            let nonce = request.text(ATTR_NONCE).unwrap_or_default();
            more.push(Box::new(TextAttribute::new(ATTR_REALM, REALM.to_owned())));
            more.push(Box::new(TextAttribute::new(ATTR_NONCE, nonce)));
        }
        request.error(code, text, more)
    }

    /// The answer to a request that the crate let drop.
    fn answer_to_silence(&self, request: &Request) -> Option<Vec<u8>> {
        if !request.is_authenticated() {
            return None;
        }
        match self.refusal(request) {
            Some(reason) => self.refuse(request, CODE_UNAUTHORIZED, "Unauthorized", reason),
            None => self.refuse(
                request,
                CODE_ALLOC_MISMATCH,
                "Allocation Mismatch",
                "no-allocation",
            ),
        }
    }

    /// 441 for a request under another username than the one that allocated.
    fn answer_to_stranger(&self, request: &Request) -> Option<Vec<u8>> {
        if request.message.typ.method == METHOD_ALLOCATE || !request.is_authenticated() {
            return None;
        }
        let holder = self.live.holder(self.transport, request.client)?;
        if holder == request.username() || self.refusal(request).is_some() {
            return None;
        }
        self.refuse(
            request,
            CODE_WRONG_CREDENTIALS,
            "Wrong Credentials",
            "other-username",
        )
    }

    /// What goes out in place of the crate's answer, if not that answer.
    fn correction(&self, request: &Request, answer: &[u8]) -> Option<Vec<u8>> {
        let mut response = Message {
            raw: answer.to_vec(),
            ..Message::default()
        };
        response.decode().ok()?;
        if response.typ.class == CLASS_SUCCESS_RESPONSE {
            if response.typ.method == METHOD_ALLOCATE {
                let mut relay = RelayedAddress::default();
                let relay = relay
                    .get_from(&response)
                    .ok()
                    .map(|()| SocketAddr::new(relay.ip, relay.port));
                self.live
                    .created(self.transport, request.client, &request.username(), relay);
            }
            return None;
        }
        let mut code = ErrorCodeAttribute::default();
        if code.get_from(&response).is_err() {
            return request.error(CODE_BAD_REQUEST, "Bad Request", Vec::new());
        }
        if code.code == CODE_BAD_REQUEST && request.is_authenticated() {
            let reason = self.refusal(request)?;
            return self.refuse(request, CODE_UNAUTHORIZED, "Unauthorized", reason);
        }
        None
    }

    /// Takes the open request if `bytes` answer it.
    fn take_answered(&self, bytes: &[u8], target: SocketAddr) -> Option<Request> {
        // Relayed data, by far the most that passes here, is told apart by its first bytes.
        if class_of(bytes)? < 2 {
            return None;
        }
        self.open().take_if(|request| {
            request.client == target
                && bytes.get(8..20) == Some(request.message.transaction_id.0.as_slice())
        })
    }
}

#[async_trait]
impl Conn for Gate {
    async fn connect(&self, _: SocketAddr) -> Result<(), Error> {
        Err(unsupported())
    }

    async fn recv(&self, _: &mut [u8]) -> Result<usize, Error> {
        Err(unsupported())
    }

    async fn recv_from(&self, buffer: &mut [u8]) -> Result<(usize, SocketAddr), Error> {
        let unanswered = self.open().take();
        if let Some(request) = unanswered
            && let Some(answer) = self.answer_to_silence(&request)
        {
            // A client that is gone needs no answer.
            let _ = self.inner.send_to(&answer, request.client).await;
        }
        loop {
            let (length, client) = self.inner.recv_from(buffer).await?;
            if self.live.is_silent() {
                continue;
            }
            let bytes = buffer.get(..length).unwrap_or_default();
            if class_of(bytes) != Some(0) {
                return Ok((length, client));
            }
            let mut message = Message {
                raw: bytes.to_vec(),
                ..Message::default()
            };
            if message.decode().is_err()
                || message.typ.class != CLASS_REQUEST
                || message.typ.method == METHOD_BINDING
            {
                return Ok((length, client));
            }
            let request = Request { message, client };
            match self.answer_to_stranger(&request) {
                Some(answer) => {
                    let _ = self.inner.send_to(&answer, client).await;
                }
                None => {
                    *self.open() = Some(request);
                    return Ok((length, client));
                }
            }
        }
    }

    async fn send(&self, _: &[u8]) -> Result<usize, Error> {
        Err(unsupported())
    }

    async fn send_to(&self, bytes: &[u8], target: SocketAddr) -> Result<usize, Error> {
        if self.live.is_silent() {
            return Ok(bytes.len());
        }
        let corrected = self
            .take_answered(bytes, target)
            .and_then(|request| self.correction(&request, bytes));
        match corrected {
            Some(corrected) => {
                self.inner.send_to(&corrected, target).await?;
                Ok(bytes.len())
            }
            None => self.inner.send_to(bytes, target).await,
        }
    }

    fn local_addr(&self) -> Result<SocketAddr, Error> {
        self.inner.local_addr()
    }

    fn remote_addr(&self) -> Option<SocketAddr> {
        self.inner.remote_addr()
    }

    async fn close(&self) -> Result<(), Error> {
        self.inner.close().await
    }

    fn as_any(&self) -> &(dyn std::any::Any + Send + Sync) {
        self
    }
}
