//! Which of a provider's URLs a connection gets.

use super::ice_server::IceServer;
use super::uri::{IceUri, Transport};
use alloc::string::String;
use alloc::vec::Vec;

/// What to do with URLs whose port is 53.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Port53 {
    Keep,
    Drop,
}

impl Port53 {
    /// Without trickle ICE an unanswered port 53 holds up the whole description: 11 s in Firefox, 40 s in Chromium.
    pub fn auto(trickle: bool) -> Self {
        if trickle { Self::Keep } else { Self::Drop }
    }
}

/// Why a connection does not get a URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drop {
    Port53,
    Transport,
    Max,
    /// Browsers would refuse it, and with it all others.
    Invalid,
}

impl Drop {
    /// The reason as `state.dropped` shows it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Port53 => "port-53",
            Self::Transport => "transport",
            Self::Max => "max",
            Self::Invalid => "invalid",
        }
    }
}

/// The rules. The response's order is kept, except that `transports` puts its own first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    pub port53: Port53,
    /// TURN transports to use, in order of preference; `None` for all of them in the response's order.
    pub transports: Option<Vec<Transport>>,
    /// Most URLs in all.
    pub max: Option<usize>,
}

/// A URL with the entry that holds its credential.
struct Candidate<'a> {
    entry: usize,
    url: &'a IceUri,
    chosen: bool,
}

impl Selection {
    /// The servers that connections get; what was left out is put to `dropped`.
    pub fn apply(
        &self,
        servers: &[IceServer],
        dropped: &mut Vec<(String, Drop)>,
    ) -> Vec<IceServer> {
        let mut kept = Vec::new();
        // Stable, and shorter than a sort: STUN, then one preference after the other.
        for round in 0..=self.transports.as_ref().map_or(0, Vec::len) {
            for (entry, server) in servers.iter().enumerate() {
                for url in &server.urls {
                    let rank = self.rank(url);
                    let port53 = self.port53 == Port53::Drop && url.port() == 53;
                    if !port53 && rank == Some(round) {
                        kept.push(Candidate {
                            entry,
                            url,
                            chosen: false,
                        });
                    } else if round == 0 && (port53 || rank.is_none()) {
                        let why = if port53 {
                            Drop::Port53
                        } else {
                            Drop::Transport
                        };
                        dropped.push((url.as_str().into(), why));
                    }
                }
            }
        }
        self.choose(&mut kept);
        let mut selected: Vec<IceServer> = Vec::new();
        let mut last = usize::MAX;
        for Candidate { entry, url, chosen } in kept {
            if !chosen {
                dropped.push((url.as_str().into(), Drop::Max));
                continue;
            }
            if last != entry
                && let Some(server) = servers.get(entry)
            {
                selected.push(IceServer {
                    urls: Vec::new(),
                    username: server.username.clone(),
                    credential: server.credential.clone(),
                });
                last = entry;
            }
            if let Some(server) = selected.last_mut() {
                server.urls.push(url.clone());
            }
        }
        selected
    }

    /// Chooses as many as there may be, in the order of need: one TURN URL of each transport in the order of preference
    /// (UDP, TCP, TLS without one), a STUN URL, then the rest as they come.
    fn choose(&self, kept: &mut [Candidate<'_>]) {
        let mut left = self.max.unwrap_or(usize::MAX);
        let mut choose = |candidate: &mut Candidate<'_>| {
            if left > 0 && !candidate.chosen {
                left -= 1;
                candidate.chosen = true;
            }
        };
        let every = &[Transport::Udp, Transport::Tcp, Transport::Tls][..];
        let wanted = self.transports.as_deref().unwrap_or(every);
        for transport in wanted.iter().map(Some).chain([None]) {
            let fits = |url: &IceUri| url.is_turn().then_some(&url.transport()) == transport;
            if let Some(first) = kept.iter_mut().find(|candidate| fits(candidate.url)) {
                choose(first);
            }
        }
        for candidate in kept {
            choose(candidate);
        }
    }

    /// The place in the order of preference; `None` for a transport that is not wanted. STUN always comes first.
    fn rank(&self, url: &IceUri) -> Option<usize> {
        match &self.transports {
            Some(wanted) if url.is_turn() => wanted
                .iter()
                .position(|transport| *transport == url.transport())
                .map(|place| place + 1),
            _ => Some(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::ice_server::{Secret, Username};
    use super::*;

    /// Cloudflare's list as it is served, with its alternates on port 53.
    fn cloudflare() -> Vec<IceServer> {
        let urls = |list: &[&str]| {
            list.iter()
                .map(|url| url.parse().unwrap())
                .collect::<Vec<_>>()
        };
        vec![
            IceServer {
                urls: urls(&[
                    "stun:stun.cloudflare.com:3478",
                    "stun:stun.cloudflare.com:53",
                ]),
                username: None,
                credential: None,
            },
            IceServer {
                urls: urls(&[
                    "turn:turn.cloudflare.com:3478?transport=udp",
                    "turn:turn.cloudflare.com:53?transport=udp",
                    "turn:turn.cloudflare.com:3478?transport=tcp",
                    "turn:turn.cloudflare.com:80?transport=tcp",
                    "turns:turn.cloudflare.com:5349?transport=tcp",
                    "turns:turn.cloudflare.com:443?transport=tcp",
                ]),
                username: Some(Username::new("user")),
                credential: Some(Secret::new("secret")),
            },
        ]
    }

    const ALL: Selection = Selection {
        port53: Port53::Keep,
        transports: None,
        max: None,
    };

    /// The servers that are selected, and the URLs that are not.
    fn apply(
        selection: &Selection,
        servers: &[IceServer],
    ) -> (Vec<IceServer>, Vec<(String, Drop)>) {
        let mut dropped = Vec::new();
        (selection.apply(servers, &mut dropped), dropped)
    }

    fn texts(servers: &[IceServer]) -> Vec<String> {
        servers
            .iter()
            .flat_map(|server| server.urls.iter().map(ToString::to_string))
            .collect()
    }

    #[test]
    fn port_53_is_dropped_by_its_number_and_nothing_else_is() {
        let selection = Selection {
            port53: Port53::Drop,
            ..ALL
        };
        let (servers, dropped) = apply(&selection, &cloudflare());
        assert_eq!(
            texts(&servers),
            [
                "stun:stun.cloudflare.com:3478",
                "turn:turn.cloudflare.com:3478?transport=udp",
                "turn:turn.cloudflare.com:3478?transport=tcp",
                "turn:turn.cloudflare.com:80?transport=tcp",
                "turns:turn.cloudflare.com:5349?transport=tcp",
                "turns:turn.cloudflare.com:443?transport=tcp",
            ]
        );
        assert_eq!(
            dropped
                .iter()
                .map(|(url, why)| (url.as_str(), *why))
                .collect::<Vec<_>>(),
            [
                ("stun:stun.cloudflare.com:53", Drop::Port53),
                ("turn:turn.cloudflare.com:53?transport=udp", Drop::Port53),
            ]
        );
        assert!(
            servers
                .iter()
                .all(|s| s.username.is_some() == s.urls.iter().any(|u| u.is_turn()))
        );
    }

    #[test]
    fn with_trickle_nothing_is_dropped() {
        assert_eq!(apply(&ALL, &cloudflare()), (cloudflare(), vec![]));
    }

    #[test]
    fn an_entry_left_without_urls_goes_and_credentials_stay_with_theirs() {
        let mut servers = cloudflare();
        servers[0].urls.remove(0);
        let selection = Selection {
            port53: Port53::Drop,
            ..ALL
        };
        let (kept, _) = apply(&selection, &servers);
        assert_eq!(kept.len(), 1);
        assert_eq!(kept[0].credential, Some(Secret::new("secret")));
    }

    #[test]
    fn transports_are_filtered_and_ordered_while_stun_stays() {
        let selection = Selection {
            transports: Some(vec![Transport::Tls, Transport::Udp]),
            ..ALL
        };
        assert_eq!(
            texts(&apply(&selection, &cloudflare()).0),
            [
                "stun:stun.cloudflare.com:3478",
                "stun:stun.cloudflare.com:53",
                "turns:turn.cloudflare.com:5349?transport=tcp",
                "turns:turn.cloudflare.com:443?transport=tcp",
                "turn:turn.cloudflare.com:3478?transport=udp",
                "turn:turn.cloudflare.com:53?transport=udp",
            ]
        );
    }

    #[test]
    fn stun_comes_before_the_first_preference_wherever_the_response_has_it() {
        let selection = Selection {
            transports: Some(vec![Transport::Udp]),
            ..ALL
        };
        let mut servers = cloudflare();
        servers.reverse();
        let (selected, dropped) = apply(&selection, &servers);
        assert!(texts(&selected)[0].starts_with("stun:"));
        assert!(texts(&selected)[3].contains("turn.cloudflare.com:53?transport=udp"));
        // Each one is told once.
        assert_eq!(dropped.len(), 4);
    }

    fn capped(max: usize, transports: Option<Vec<Transport>>) -> Vec<String> {
        let selection = Selection {
            transports,
            max: Some(max),
            ..ALL
        };
        texts(&apply(&selection, &cloudflare()).0)
    }

    #[test]
    fn a_cap_keeps_one_of_each_transport_and_one_stun_before_it_fills_up() {
        let udp = "turn:turn.cloudflare.com:3478?transport=udp";
        let tcp = "turn:turn.cloudflare.com:3478?transport=tcp";
        let tls = "turns:turn.cloudflare.com:5349?transport=tcp";
        let stun = "stun:stun.cloudflare.com:3478";
        assert_eq!(capped(1, None), [udp]);
        assert_eq!(capped(2, None), [udp, tcp]);
        assert_eq!(capped(3, None), [udp, tcp, tls]);
        assert_eq!(capped(4, None), [stun, udp, tcp, tls]);
        assert_eq!(capped(5, None)[1], "stun:stun.cloudflare.com:53");
        assert_eq!(capped(99, None).len(), 8);
    }

    #[test]
    fn a_cap_keeps_the_preferred_transports_first() {
        let preferred = || Some(vec![Transport::Tls, Transport::Udp]);
        let udp = "turn:turn.cloudflare.com:3478?transport=udp";
        let tls = "turns:turn.cloudflare.com:5349?transport=tcp";
        let stun = "stun:stun.cloudflare.com:3478";
        assert_eq!(capped(1, preferred()), [tls]);
        assert_eq!(capped(2, preferred()), [tls, udp]);
        assert_eq!(capped(3, preferred()), [stun, tls, udp]);
        assert_eq!(capped(99, preferred()).len(), 6);
    }

    #[test]
    fn what_a_cap_leaves_out_is_told() {
        let selection = Selection {
            max: Some(7),
            ..ALL
        };
        let (_, dropped) = apply(&selection, &cloudflare());
        let last = "turns:turn.cloudflare.com:443?transport=tcp".into();
        assert_eq!(dropped, [(last, Drop::Max)]);
    }
}
