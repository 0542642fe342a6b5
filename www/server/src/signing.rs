//! What this server's cookies are signed with: a secret that several instances share, or a random one. Each kind of cookie
//! has a key of its own, so that none can be passed off as another.

use ring::digest::{SHA256, digest};
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};

use crate::hex;
use crate::secret::Secret;

pub struct Signing {
    root: hmac::Key,
    cookie: String,
    shared: bool,
}

impl Signing {
    /// Good until this server ends. Cookies do not tell ports apart, so their name does: two servers on one machine must
    /// not overwrite each other's.
    pub fn random(port: u16) -> Result<Self, ring::error::Unspecified> {
        let mut secret = [0; 32];
        SystemRandom::new().fill(&mut secret)?;
        Ok(Self {
            root: hmac::Key::new(hmac::HMAC_SHA256, &secret),
            cookie: format!("turn_demo_{port}"),
            shared: false,
        })
    }

    /// The same for all servers with this secret, and so is the cookies' name.
    pub fn shared(secret: &Secret) -> Self {
        let root = hmac::Key::new(
            hmac::HMAC_SHA256,
            digest(&SHA256, secret.reveal().as_bytes()).as_ref(),
        );
        let name = hmac::sign(&root, b"cookie name");
        let name = hex::encode(name.as_ref().get(..4).unwrap_or_default());
        Self {
            root,
            cookie: format!("turn_demo_{name}"),
            shared: true,
        }
    }

    /// Whether other instances may have the same secret.
    pub fn is_shared(&self) -> bool {
        self.shared
    }

    /// The name of the session cookie, with which the others' begin.
    pub fn cookie(&self) -> &str {
        &self.cookie
    }

    pub fn key(&self, purpose: &str) -> hmac::Key {
        let derived = hmac::sign(&self.root, purpose.as_bytes());
        hmac::Key::new(hmac::HMAC_SHA256, derived.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_differ_by_purpose_and_are_the_same_for_the_same_secret() {
        let sign = |signing: &Signing, purpose: &str| {
            hmac::sign(&signing.key(purpose), b"text").as_ref().to_vec()
        };
        let one = Signing::shared(&Secret::new("secret"));
        let two = Signing::shared(&Secret::new("secret"));
        assert_eq!(sign(&one, "a"), sign(&two, "a"));
        assert_ne!(sign(&one, "a"), sign(&one, "b"));
        assert_eq!(one.cookie(), two.cookie());
        let other = Signing::shared(&Secret::new("other"));
        assert_ne!(sign(&one, "a"), sign(&other, "a"));
        assert_ne!(one.cookie(), other.cookie());
    }

    #[test]
    fn servers_without_a_common_secret_have_nothing_in_common() {
        let (one, two) = (Signing::random(1).unwrap(), Signing::random(2).unwrap());
        assert_ne!(one.cookie(), two.cookie());
        let tag = hmac::sign(&one.key("a"), b"text");
        assert!(hmac::verify(&two.key("a"), b"text", tag.as_ref()).is_err());
    }
}
