//! The few lines of a session description (RFC 8839, RFC 8122) that a restart decision reads.

use super::text;

/// The first value of an attribute, `a=NAME:…` (`name` up to the colon), at session or media level.
fn attribute<'a>(sdp: &'a str, name: &str) -> Option<&'a str> {
    let mut rest = sdp;
    while !rest.is_empty() {
        let (line, after) = text::cut(rest, b'\n');
        if let Some(value) = line.strip_prefix(name) {
            return Some(value.trim_ascii_end());
        }
        rest = after;
    }
    None
}

/// The ICE username fragment (RFC 8839 section 5.4). Another one means another ICE generation.
pub fn ice_ufrag(sdp: &str) -> Option<&str> {
    attribute(sdp, "a=ice-ufrag:")
}

/// The certificate's fingerprint with its hash function's name (RFC 8122 section 5).
pub fn fingerprint(sdp: &str) -> Option<&str> {
    attribute(sdp, "a=fingerprint:")
}

/// The eight characters of the other end's ICE username fragment, as one number, where that is Firefox, which is known by them, and
/// this end is not; below 0 where this end is Firefox, 0 where neither is. Chromium's fragment has four.
pub type FirefoxFragment = i64;

/// Whether this one of two ends starts a restart that both need, by something both ends know, and see the other way round; and which
/// of them is Firefox. `None` while either description is missing or both ends show one certificate.
///
/// Firefox goes before other browsers: of restarts that Chromium had offered one in eight kept a call silent for seconds
/// (docs/guide.md, "Chromium with Firefox"). It is known by its fragments, which both ends see alike; the line that names it
/// (`o=mozilla…`) is not in what Chromium shows of a remote description.
pub fn order(local: &str, remote: &str) -> Option<(bool, FirefoxFragment)> {
    let firefox = |sdp| {
        Some(
            ice_ufrag(sdp)?
                .as_bytes()
                .try_into()
                .map_or(0, i64::from_ne_bytes),
        )
    };
    let (ours, theirs) = (firefox(local)?, firefox(remote)?);
    if (ours == 0) != (theirs == 0) {
        return Some((ours != 0, theirs - ours));
    }
    let local = fingerprint(local)?.to_ascii_lowercase();
    let remote = fingerprint(remote)?.to_ascii_lowercase();
    (local != remote).then_some((local < remote, -ours))
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "v=0\r\na=group:BUNDLE 0\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=ice-ufrag:Eo5t\r\na=ice-pwd:x\r\na=fingerprint:sha-256 AB:CD\r\n";
    const B: &str = "v=0\r\na=fingerprint:sha-256 12:0F\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=ice-ufrag:9c1f2d\r\n";

    #[test]
    fn attributes_are_found_at_either_level() {
        assert_eq!(ice_ufrag(A), Some("Eo5t"));
        assert_eq!(ice_ufrag(B), Some("9c1f2d"));
        assert_eq!(fingerprint(B), Some("sha-256 12:0F"));
        assert_eq!(ice_ufrag("v=0\r\na=ice-ufrags:no\r\n"), None);
        assert_eq!(ice_ufrag(""), None);
    }

    fn goes_first(local: &str, remote: &str) -> Option<bool> {
        order(local, remote).map(|(first, _)| first)
    }

    #[test]
    fn the_two_ends_agree_on_who_goes_first() {
        assert_eq!(goes_first(A, B), Some(false));
        assert_eq!(goes_first(B, A), Some(true));
        assert_eq!(goes_first(A, A), None);
        assert_eq!(goes_first(A, "v=0\r\n"), None);
        assert_eq!(goes_first(&A.replace("AB:CD", "ab:cd"), A), None);
    }

    #[test]
    fn firefox_goes_before_other_browsers_and_by_fingerprint_with_its_like() {
        let firefox = |sdp: &str| {
            sdp.replace("Eo5t", "08fcc682")
                .replace("9c1f2d", "685de4ec")
        };
        for (one, other) in [(A, B), (B, A)] {
            assert!(matches!(order(&firefox(one), other), Some((true, ..0))));
            let fragment = ice_ufrag(&firefox(one))
                .unwrap()
                .as_bytes()
                .try_into()
                .unwrap();
            assert_eq!(
                order(other, &firefox(one)),
                Some((false, i64::from_ne_bytes(fragment)))
            );
            assert_eq!(order(one, other).map(|(_, fragment)| fragment), Some(0));
        }
        let both = order(&firefox(A), &firefox(B));
        assert!(matches!(both, Some((false, ..0))), "{both:?}");
        assert_eq!(goes_first(&firefox(A), &firefox(B)), Some(false));
        assert_eq!(goes_first(&firefox(B), &firefox(A)), Some(true));
        assert_eq!(goes_first(&firefox(A), &firefox(A)), None);
        assert_eq!(goes_first(&firefox(A), "v=0\r\n"), None);
        assert_eq!(goes_first("v=0\r\n", &firefox(A)), None);
    }
}
