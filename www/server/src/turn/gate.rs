//! Stands between the `turn` crate and a socket, and does what the crate does not do as RFC 8489 and RFC 8656 say:
//!
//! | request | the crate | on the wire |
//! |---|---|---|
//! | without MESSAGE-INTEGRITY | 401, and a nonce that is kept for ever | 401 with REALM and a NONCE that needs no memory (RFC 8489 section 9.2.4) |
//! | with MESSAGE-INTEGRITY, without USERNAME, REALM or NONCE | 400 | 400 |
//! | with an old or foreign nonce | 438 | 438 with REALM and a new NONCE |
//! | of an unknown user, with a wrong password or realm | 400 | 401 with REALM and NONCE |
//! | with an attribute that must be understood and is not | goes on | 420 with UNKNOWN-ATTRIBUTES (RFC 8489 section 6.3.1) |
//! | of a method that there is none of | silence | 400 |
//! | Allocate, when its username holds too many | goes on | 486 (RFC 8656 section 7.2) |
//! | Allocate, for a family of addresses that there is none of | 508 | 440 (RFC 8656 section 7.2) |
//! | on an allocation that there is none of | silence | 437 (RFC 8656 section 5) |
//! | on an allocation under another username | goes on | 441 (RFC 8656 section 5) |
//! | CreatePermission without a peer address | an error that has no code | 400 |
//!
//! So the crate sees authenticated requests only. It asks for a nonce of its own making in them: the gate obtains one, as a
//! client would, and puts it in the place of the client's.
//!
//! This works because the crate handles one request of a socket at a time: it reads a message, answers it or does not, and
//! reads the next. So the request last read is the one being answered, and if the crate reads again it has none to give.

use std::net::{Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use async_trait::async_trait;
use stun::agent::TransactionId;
use stun::attributes::{
    ATTR_CHANNEL_NUMBER, ATTR_DATA, ATTR_DONT_FRAGMENT, ATTR_EVEN_PORT, ATTR_FINGERPRINT,
    ATTR_LIFETIME, ATTR_MESSAGE_INTEGRITY, ATTR_NONCE, ATTR_REALM, ATTR_REQUESTED_ADDRESS_FAMILY,
    ATTR_REQUESTED_TRANSPORT, ATTR_RESERVATION_TOKEN, ATTR_USERNAME, ATTR_XOR_PEER_ADDRESS,
    AttrType,
};
use stun::error_code::{
    CODE_ADDR_FAMILY_NOT_SUPPORTED, CODE_ALLOC_MISMATCH, CODE_ALLOC_QUOTA_REACHED,
    CODE_BAD_REQUEST, CODE_STALE_NONCE, CODE_UNAUTHORIZED, CODE_UNKNOWN_ATTRIBUTE,
    CODE_WRONG_CREDENTIALS, ErrorCode, ErrorCodeAttribute,
};
use stun::integrity::MessageIntegrity;
use stun::message::{
    CLASS_ERROR_RESPONSE, CLASS_REQUEST, CLASS_SUCCESS_RESPONSE, Getter, METHOD_ALLOCATE,
    METHOD_BINDING, METHOD_CHANNEL_BIND, METHOD_CREATE_PERMISSION, METHOD_REFRESH, Message,
    MessageType, Method, Setter, is_message,
};
use stun::textattrs::TextAttribute;
use stun::uattrs::UnknownAttributes;
use turn::auth::generate_auth_key;
use turn::proto::relayaddr::RelayedAddress;
use turn::proto::reqfamily::{REQUESTED_FAMILY_IPV4, RequestedAddressFamily};
use webrtc_util::{Conn, Error};

use super::live::Live;
use super::udp::unsupported;
use super::{REALM, Transport};

/// The crate's nonces are good for an hour.
const NONCE_RENEWAL: Duration = Duration::from_secs(50 * 60);

/// Who asks the crate for its nonce: nobody that a message could come from.
const ASKER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

/// Attributes from the range that must be understood (RFC 8489 section 14) which the server knows in a request.
const KNOWN: [AttrType; 13] = [
    ATTR_USERNAME,
    ATTR_MESSAGE_INTEGRITY,
    ATTR_CHANNEL_NUMBER,
    ATTR_LIFETIME,
    ATTR_XOR_PEER_ADDRESS,
    ATTR_DATA,
    ATTR_REALM,
    ATTR_NONCE,
    ATTR_REQUESTED_ADDRESS_FAMILY,
    ATTR_EVEN_PORT,
    ATTR_REQUESTED_TRANSPORT,
    // The crate answers 420 to it in an Allocate request, where it belongs.
    ATTR_DONT_FRAGMENT,
    ATTR_RESERVATION_TOKEN,
];

pub struct Gate {
    inner: Arc<dyn Conn + Send + Sync>,
    transport: Transport,
    live: Arc<Live>,
    /// How long a stream may be silent that holds no allocation.
    idle: Duration,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// What the crate is answering.
    open: Option<Request>,
    nonce: CrateNonce,
}

/// The nonce that the crate wants to see.
#[derive(Default)]
enum CrateNonce {
    #[default]
    None,
    Asked(TransactionId),
    Held {
        text: String,
        since: Instant,
    },
}

/// A request that has been read and not yet answered.
struct Request {
    message: Message,
    client: SocketAddr,
}

/// What becomes of a request.
enum Verdict {
    /// The crate may see it, under this key.
    Good(MessageIntegrity),
    Answer(Option<Vec<u8>>),
}

impl Request {
    fn text(&self, attribute: AttrType) -> Option<String> {
        TextAttribute::get_from_as(&self.message, attribute)
            .ok()
            .map(|attribute| attribute.text)
    }

    fn username(&self) -> String {
        self.text(ATTR_USERNAME).unwrap_or_default()
    }

    fn unknown(&self) -> Vec<AttrType> {
        let attributes = self.message.attributes.0.iter();
        attributes
            .map(|attribute| attribute.typ)
            .filter(|typ| typ.required() && !KNOWN.contains(typ))
            .collect()
    }

    /// The same request with another nonce.
    fn with_nonce(&self, nonce: &str, key: &MessageIntegrity) -> Option<Message> {
        let mut message = Message::new();
        let header: [Box<dyn Setter>; 2] = [
            Box::new(self.message.transaction_id),
            Box::new(self.message.typ),
        ];
        message.build(&header).ok()?;
        for attribute in &self.message.attributes.0 {
            match attribute.typ {
                // Nothing after MESSAGE-INTEGRITY but FINGERPRINT counts (RFC 8489 section 14.5).
                ATTR_MESSAGE_INTEGRITY | ATTR_FINGERPRINT => break,
                ATTR_NONCE => message.add(ATTR_NONCE, nonce.as_bytes()),
                other => message.add(other, &attribute.value),
            }
        }
        key.add_to(&mut message).ok()?;
        Some(message)
    }

    fn error(&self, code: ErrorCode, reason: &str, more: Vec<Box<dyn Setter>>) -> Option<Vec<u8>> {
        let mut setters: Vec<Box<dyn Setter>> = vec![
            Box::new(self.message.transaction_id),
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
    pub fn new(
        inner: Arc<dyn Conn + Send + Sync>,
        transport: Transport,
        live: Arc<Live>,
        idle: Duration,
    ) -> Self {
        Self {
            inner,
            transport,
            live,
            idle,
            state: Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The key of the request's credential, or why that is refused.
    fn key(&self, request: &Request) -> Result<MessageIntegrity, &'static str> {
        let (username, realm) = (request.username(), request.text(ATTR_REALM));
        if realm.as_deref() != Some(REALM) {
            return Err("other-realm");
        }
        let credential = self
            .live
            .store()
            .live_credential(&username, SystemTime::now())
            .map_err(|standing| standing.name())?;
        let key = MessageIntegrity(generate_auth_key(&username, REALM, credential.reveal()));
        match key.check(&mut request.message.clone()) {
            Ok(()) => Ok(key),
            Err(_) => Err("wrong-credential"),
        }
    }

    fn judge(&self, request: &Request) -> Verdict {
        if !request.message.contains(ATTR_MESSAGE_INTEGRITY) {
            // Not a refusal: it is how clients ask for a nonce.
            return Verdict::Answer(self.challenge(request, CODE_UNAUTHORIZED, "Unauthorized"));
        }
        let (username, nonce) = (request.text(ATTR_USERNAME), request.text(ATTR_NONCE));
        let (Some(username), Some(nonce), true) =
            (username, nonce, request.message.contains(ATTR_REALM))
        else {
            self.note(request, CODE_BAD_REQUEST, "attribute-missing");
            return Verdict::Answer(request.error(CODE_BAD_REQUEST, "Bad Request", Vec::new()));
        };
        if !self
            .live
            .nonces
            .is_good(&nonce, request.client, SystemTime::now())
        {
            return Verdict::Answer(self.challenge(request, CODE_STALE_NONCE, "Stale Nonce"));
        }
        let key = match self.key(request) {
            Ok(key) => key,
            Err(reason) => return Verdict::Answer(self.unauthorized(request, reason)),
        };
        let unknown = request.unknown();
        if !unknown.is_empty() {
            self.note(request, CODE_UNKNOWN_ATTRIBUTE, "unknown-attribute");
            let unknown: Vec<Box<dyn Setter>> =
                vec![Box::new(UnknownAttributes(unknown)), Box::new(key)];
            let text = "Unknown Attribute";
            return Verdict::Answer(request.error(CODE_UNKNOWN_ATTRIBUTE, text, unknown));
        }
        let holder = self.live.holder(self.transport, request.client);
        let refused = match request.message.typ.method {
            METHOD_ALLOCATE if holder.is_none() && self.live.is_full(&username) => Some((
                CODE_ALLOC_QUOTA_REACHED,
                "Allocation Quota Reached",
                "quota-reached",
            )),
            METHOD_ALLOCATE if self.is_other_family(request) => Some((
                CODE_ADDR_FAMILY_NOT_SUPPORTED,
                "Address Family not Supported",
                "other-family",
            )),
            METHOD_ALLOCATE => None,
            METHOD_REFRESH | METHOD_CREATE_PERMISSION | METHOD_CHANNEL_BIND => {
                holder.filter(|holder| *holder != username).map(|_| {
                    (
                        CODE_WRONG_CREDENTIALS,
                        "Wrong Credentials",
                        "other-username",
                    )
                })
            }
            _ => Some((CODE_BAD_REQUEST, "Bad Request", "unknown-method")),
        };
        match refused {
            None => Verdict::Good(key),
            Some((code, text, reason)) => {
                self.note(request, code, reason);
                Verdict::Answer(request.error(code, text, vec![Box::new(key)]))
            }
        }
    }

    /// Whether a relayed address is asked for that the server has none of: it relays at the address where it listens.
    fn is_other_family(&self, request: &Request) -> bool {
        let mut family = RequestedAddressFamily::default();
        let ipv4 = self
            .inner
            .local_addr()
            .is_ok_and(|address| address.is_ipv4());
        match family.get_from(&request.message) {
            Ok(()) => ipv4 != (family == REQUESTED_FAMILY_IPV4),
            // Without it the client means IPv4 (RFC 8656 section 7.2).
            Err(_) => !ipv4,
        }
    }

    /// An error that tells the client what to authenticate with.
    fn challenge(&self, request: &Request, code: ErrorCode, text: &str) -> Option<Vec<u8>> {
        let nonce = self.live.nonces.issue(request.client, SystemTime::now());
        let more: Vec<Box<dyn Setter>> = vec![
            Box::new(TextAttribute::new(ATTR_REALM, REALM.to_owned())),
            Box::new(TextAttribute::new(ATTR_NONCE, nonce)),
        ];
        request.error(code, text, more)
    }

    fn unauthorized(&self, request: &Request, reason: &str) -> Option<Vec<u8>> {
        self.note(request, CODE_UNAUTHORIZED, reason);
        self.challenge(request, CODE_UNAUTHORIZED, "Unauthorized")
    }

    fn note(&self, request: &Request, code: ErrorCode, reason: &str) {
        let method = method_name(request.message.typ.method);
        self.live.refused_request(
            self.transport,
            request.client,
            &request.username(),
            method,
            code.0,
            reason,
        );
    }

    /// The answer to a request that the crate let drop: there is no allocation that it could be about.
    fn answer_to_silence(&self, request: &Request) -> Option<Vec<u8>> {
        match self.key(request) {
            Err(reason) => self.unauthorized(request, reason),
            Ok(key) => {
                self.note(request, CODE_ALLOC_MISMATCH, "no-allocation");
                request.error(
                    CODE_ALLOC_MISMATCH,
                    "Allocation Mismatch",
                    vec![Box::new(key)],
                )
            }
        }
    }

    /// What goes out in place of the crate's answer, if not that answer.
    fn correction(&self, request: &Request, answer: &[u8]) -> Option<Vec<u8>> {
        let response = decoded(answer)?;
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
        if code.code == CODE_BAD_REQUEST {
            // Ended between the gate's look and the crate's.
            let reason = self.key(request).err()?;
            return self.unauthorized(request, reason);
        }
        None
    }

    /// Takes the open request if `bytes` answer it.
    fn take_answered(&self, bytes: &[u8], target: SocketAddr) -> Option<Request> {
        // Relayed data, by far the most that passes here, is told apart by its first bytes.
        if class_of(bytes)? < 2 {
            return None;
        }
        self.state().open.take_if(|request| {
            request.client == target
                && bytes.get(8..20) == Some(request.message.transaction_id.0.as_slice())
        })
    }

    /// The request with which the crate is asked for its nonce, if it is time to.
    fn asking_for_nonce(&self) -> Option<Message> {
        let mut state = self.state();
        let wanted = match &state.nonce {
            CrateNonce::None => true,
            // Given no answer, it never will be.
            CrateNonce::Asked(_) => false,
            CrateNonce::Held { since, .. } => since.elapsed() >= NONCE_RENEWAL,
        };
        if !wanted {
            return None;
        }
        let transaction = TransactionId::new();
        let mut message = Message::new();
        let setters: [Box<dyn Setter>; 2] = [
            Box::new(transaction),
            Box::new(MessageType::new(METHOD_ALLOCATE, CLASS_REQUEST)),
        ];
        message.build(&setters).ok()?;
        state.nonce = CrateNonce::Asked(transaction);
        Some(message)
    }

    /// Keeps the nonce in the crate's answer to the gate's own request.
    fn keep_nonce(&self, answer: &[u8]) {
        let mut state = self.state();
        let CrateNonce::Asked(transaction) = &state.nonce else {
            return;
        };
        let Some(message) = decoded(answer).filter(|m| m.transaction_id == *transaction) else {
            return;
        };
        if let Ok(nonce) = TextAttribute::get_from_as(&message, ATTR_NONCE) {
            state.nonce = CrateNonce::Held {
                text: nonce.text,
                since: Instant::now(),
            };
        }
    }

    /// Makes the request one that the crate accepts, and notes that it is being answered.
    fn admit(
        &self,
        request: Request,
        key: &MessageIntegrity,
        buffer: &mut [u8],
    ) -> Option<(usize, SocketAddr)> {
        let mut state = self.state();
        let CrateNonce::Held { text, .. } = &state.nonce else {
            return None;
        };
        let message = request.with_nonce(text, key)?;
        let length = message.raw.len();
        buffer.get_mut(..length)?.copy_from_slice(&message.raw);
        let client = request.client;
        state.open = Some(request);
        Some((length, client))
    }

    /// The next message. A stream that is silent for long and holds no allocation is given up.
    async fn read(&self, buffer: &mut [u8]) -> Result<(usize, SocketAddr), Error> {
        if self.transport == Transport::Udp {
            return self.inner.recv_from(buffer).await;
        }
        let client = self.inner.remote_addr().unwrap_or(ASKER);
        // Polled to its end: a message that is read in part would be lost otherwise.
        let mut read = pin!(self.inner.recv_from(buffer));
        loop {
            tokio::select! {
                received = read.as_mut() => return received,
                () = tokio::time::sleep(self.idle) => {
                    if self.live.holder(self.transport, client).is_none() {
                        return Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into());
                    }
                }
            }
        }
    }
}

fn decoded(bytes: &[u8]) -> Option<Message> {
    let mut message = Message {
        raw: bytes.to_vec(),
        ..Message::default()
    };
    message.decode().ok().map(|()| message)
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
        let unanswered = self.state().open.take();
        if let Some(request) = unanswered
            && let Some(answer) = self.answer_to_silence(&request)
        {
            // A client that is gone needs no answer.
            let _ = self.inner.send_to(&answer, request.client).await;
        }
        if let Some(message) = self.asking_for_nonce()
            && let Some(start) = buffer.get_mut(..message.raw.len())
        {
            start.copy_from_slice(&message.raw);
            return Ok((message.raw.len(), ASKER));
        }
        loop {
            let (length, client) = self.read(buffer).await?;
            if self.live.is_silent() {
                continue;
            }
            let bytes = buffer.get(..length).unwrap_or_default();
            if class_of(bytes) != Some(0) {
                return Ok((length, client));
            }
            let Some(message) = decoded(bytes) else {
                return Ok((length, client));
            };
            if message.typ.class != CLASS_REQUEST || message.typ.method == METHOD_BINDING {
                return Ok((length, client));
            }
            let request = Request { message, client };
            match self.judge(&request) {
                Verdict::Good(key) => {
                    if let Some(admitted) = self.admit(request, &key, buffer) {
                        return Ok(admitted);
                    }
                }
                Verdict::Answer(Some(answer)) => {
                    let _ = self.inner.send_to(&answer, client).await;
                }
                Verdict::Answer(None) => {}
            }
        }
    }

    async fn send(&self, _: &[u8]) -> Result<usize, Error> {
        Err(unsupported())
    }

    async fn send_to(&self, bytes: &[u8], target: SocketAddr) -> Result<usize, Error> {
        if target == ASKER {
            self.keep_nonce(bytes);
            return Ok(bytes.len());
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credential::CredentialStore;
    use crate::turn::nonce::Nonces;
    use crate::turn::stream::Stream;

    const IDLE: Duration = Duration::from_millis(50);

    /// Reads, as the crate does, from a stream that says nothing: an error if it is given up, nothing if it is kept.
    async fn read_from_silence(holds_an_allocation: bool) -> Option<Result<(), Error>> {
        let client = SocketAddr::from(([127, 0, 0, 1], 1));
        let nonces = Nonces::new().unwrap();
        let live = Arc::new(Live::new(Arc::new(CredentialStore::default()), nonces, 1));
        if holds_an_allocation {
            live.created(Transport::Tls, client, "user", None);
        }
        let (ours, _theirs) = tokio::io::duplex(64);
        let (stream, _ended) = Stream::over_tls(ours, client, client);
        let gate = Gate::new(Arc::new(stream), Transport::Tls, live, IDLE);
        let mut buffer = vec![0; 1500];
        let (_, asker) = gate.recv_from(&mut buffer).await.unwrap();
        assert_eq!(asker, ASKER, "the gate asks for the crate's nonce first");
        let read = tokio::time::timeout(IDLE * 6, gate.recv_from(&mut buffer)).await;
        read.ok().map(|read| read.map(drop))
    }

    #[tokio::test]
    async fn a_silent_stream_is_given_up_unless_it_holds_an_allocation() {
        assert!(matches!(read_from_silence(false).await, Some(Err(_))));
        assert!(read_from_silence(true).await.is_none());
    }
}
