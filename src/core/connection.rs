//! One connection's ICE: which generation runs on which servers, and when to restart it.
//!
//! New servers reach a live relay only through an ICE restart (RFC 8656 section 5: an allocation keeps its username).
//! Two restarts at once end a call for good in Firefox, so one begins only while nothing of the last one, ours or the
//! other end's, is still in progress. Both ends gather anew at a restart: one that the other end began after our
//! servers were applied makes ours unnecessary. Of two ends that both need one, the order of their DTLS fingerprints
//! decides which goes first; the other steps in only if nothing came.

use super::clock::Instant;
use super::sdp;
use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;

/// After a restart is over, and after one was asked for, the next one waits this long, in milliseconds.
const SETTLE_MS: u64 = 1_000;
/// A gathering that goes on longer than this no longer counts as a restart in progress: a silent server can keep
/// Chromium gathering forever.
const GATHERING_MS: u64 = 5_000;
/// A negotiated restart that has not connected after this long is over.
const CONNECTING_MS: u64 = 15_000;
/// How often the selected pair is looked at while a restart is in progress.
const POLL_MS: u64 = 100;
/// How often the selected pair is looked at while a connection that is not relayed has old servers.
const LOOK_MS: u64 = 30_000;
/// How long an interruption may last before it is repaired.
const INTERRUPTED_MS: u64 = 2_000;
/// How much longer the second of two ends waits for the first one's repair.
const SECOND_MS: u64 = 3_000;
/// How much longer a repair waits for a credential that is being fetched. Well under [`SECOND_MS`], so that a first end
/// that waits for its backend and a second end that waits for the first do not start together.
const CURE_MS: u64 = 1_500;
/// How long a repair waits after the fresh credential came. Two ends of one call were seen to notice one broken path
/// 1.5 s apart.
const CURED_MS: u64 = 3_000;
/// No offer this long after `restartIce()`: nobody listens to `negotiationneeded`.
const STALL_MS: u64 = 5_000;
/// Repairs in a row that may fail before the connection counts as lost.
const REPAIRS_MOST: u32 = 3;

/// When to restart after a refresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    Relayed,
    Always,
    Never,
}

/// `RTCPeerConnection.signalingState`, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signaling {
    Stable,
    HaveLocalOffer,
    HaveRemoteOffer,
    Closed,
}

/// `RTCPeerConnection.iceConnectionState`; `Connected` stands for `completed` too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ice {
    New,
    Checking,
    Connected,
    Disconnected,
    Failed,
}

/// What a connection shows at one moment, without waiting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    pub signaling: Signaling,
    pub ice: Ice,
    pub gathering: bool,
    /// The ICE username fragment of the pending local description, else of the current one.
    pub ufrag: Option<String>,
    /// Whether this end goes first; `None` while that is unknown.
    pub first: Option<bool>,
    /// The transport under the connection is closed: no restart brings it back.
    pub lost: bool,
}

impl Facts {
    /// Takes what is needed out of the local and the remote description, as far as there are any.
    pub fn read(
        signaling: Signaling,
        ice: Ice,
        gathering: bool,
        lost: bool,
        local: &str,
        remote: &str,
    ) -> Self {
        let ufrag = sdp::ice_ufrag(local).map(ToOwned::to_owned);
        Self {
            signaling,
            ice,
            gathering,
            ufrag,
            first: sdp::goes_first(local, remote),
            lost,
        }
    }

    /// A connection just made.
    pub const NEW: Self = Self {
        signaling: Signaling::Stable,
        ice: Ice::New,
        gathering: false,
        ufrag: None,
        first: None,
        lost: false,
    };
}

/// A transport's selected candidate pair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// Tells pairs apart; the same as long as the pair stays selected.
    pub id: String,
    /// The local candidate is of type `relay`.
    pub relayed: bool,
    /// The local candidate's username fragment, where the browser tells it.
    pub ufrag: Option<String>,
}

/// A list of servers, and when its credential's life ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// 0 stands for servers that are not the session's.
    pub version: u64,
    pub expires: Instant,
}

/// Which end's offer began a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Initiator {
    Local,
    Remote,
}

/// What a restart is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// New servers are to be used.
    Refresh,
    /// The path was interrupted.
    Repair,
    /// The app or the other end wanted it.
    Other,
}

/// What a connection wants done or told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// Read the selected pairs, and report them through [`Connection::inspected`].
    Inspect,
    /// Call `restartIce()`.
    Restart,
    Restarting {
        initiator: Initiator,
        cause: Cause,
    },
    Restarted {
        initiator: Initiator,
        duration: u64,
    },
    Stalled,
    Lost,
}

/// An ICE generation: everything between two restarts.
#[derive(Clone, Debug)]
struct Generation {
    ufrag: String,
    servers: Stamp,
    began: Instant,
    initiator: Initiator,
    /// Not the connection's first one.
    restart: bool,
    negotiated: Option<Instant>,
    /// A pair of it is selected and connected.
    done: bool,
    /// ICE failed after it was negotiated. A failure from before lasts until the first new candidates are tried.
    failed: bool,
    /// The pairs selected when it began.
    old_pairs: Vec<String>,
}

impl Generation {
    fn owns(&self, pair: &Pair) -> bool {
        match &pair.ufrag {
            Some(ufrag) => *ufrag == self.ufrag,
            None => !self.old_pairs.contains(&pair.id),
        }
    }
}

/// One connection.
#[derive(Clone, Debug)]
pub struct Connection {
    pub policy: Policy,
    /// The version that was last handed to the browser for it: a refusal is not repeated.
    pub offered: u64,
    facts: Facts,
    servers: Stamp,
    generation: Option<Generation>,
    /// The generation that a rollback of the pending offer returns to.
    replaced: Option<Generation>,
    pairs: Vec<Pair>,
    inspected: Option<Instant>,
    inspecting: bool,
    /// The pairs may have changed since they were read.
    stale: bool,
    /// Since when other servers are in force than the ones gathered from.
    owed: Option<Instant>,
    asked: Option<Instant>,
    stalled: bool,
    interrupted: Option<Instant>,
    settled: Instant,
    repairs: u32,
    told_lost: bool,
}

impl Connection {
    /// A connection with the servers that it was made with.
    pub fn new(policy: Policy, servers: Stamp) -> Self {
        Self {
            policy,
            offered: servers.version,
            facts: Facts::NEW,
            servers,
            generation: None,
            replaced: None,
            pairs: Vec::new(),
            inspected: None,
            inspecting: false,
            stale: false,
            owed: None,
            asked: None,
            stalled: false,
            interrupted: None,
            settled: 0,
            repairs: 0,
            told_lost: false,
        }
    }

    /// The version of the servers in force.
    pub fn version(&self) -> u64 {
        self.servers.version
    }

    /// The version of the servers that the present generation was gathered from.
    pub fn gathered_version(&self) -> u64 {
        self.generation
            .as_ref()
            .map_or(self.servers.version, |generation| {
                generation.servers.version
            })
    }

    /// Other servers are in force from now on.
    pub fn applied(&mut self, servers: Stamp, now: Instant) {
        self.servers = servers;
        self.stalled = false;
        self.owed = self
            .generation
            .as_ref()
            .filter(|g| g.servers.version != servers.version)
            .map(|_| now);
    }

    /// The credential of these servers lives until another moment than was thought.
    pub fn restamp(&mut self, servers: Stamp) {
        for stamp in [
            Some(&mut self.servers),
            self.generation.as_mut().map(|g| &mut g.servers),
        ]
        .into_iter()
        .flatten()
        {
            if stamp.version == servers.version {
                *stamp = servers;
            }
        }
    }

    /// Takes in what the connection shows.
    pub fn observe(&mut self, facts: Facts, now: Instant, acts: &mut Vec<Act>) {
        let before = core::mem::replace(&mut self.facts, facts);
        if self.facts.ice != before.ice {
            self.stale = true;
            match self.facts.ice {
                Ice::Connected => {
                    self.interrupted = None;
                    self.repairs = 0;
                    // The app's own restart may have brought back what was given up.
                    self.told_lost = false;
                }
                Ice::Disconnected | Ice::Failed => {
                    self.interrupted.get_or_insert(now);
                    let failed = self.facts.ice == Ice::Failed;
                    if let Some(generation) = self.generation.as_mut().filter(|_| failed) {
                        generation.failed = generation.negotiated.is_some();
                    }
                }
                Ice::New | Ice::Checking => {}
            }
        }
        self.follow_generation(now, acts);
        if self.facts.signaling == Signaling::Stable && before.signaling != Signaling::Stable {
            self.stale = true;
        }
        if let Some(generation) = &mut self.generation {
            if self.facts.signaling == Signaling::Stable && generation.negotiated.is_none() {
                generation.negotiated = Some(now);
                self.replaced = None;
            }
            if !generation.restart && self.facts.ice == Ice::Connected {
                generation.done = true;
            }
        }
    }

    fn follow_generation(&mut self, now: Instant, acts: &mut Vec<Act>) {
        let Some(ufrag) = &self.facts.ufrag else {
            return;
        };
        if self
            .generation
            .as_ref()
            .is_some_and(|generation| generation.ufrag == *ufrag)
        {
            return;
        }
        if self
            .replaced
            .as_ref()
            .is_some_and(|replaced| replaced.ufrag == *ufrag)
        {
            // The pending offer was rolled back.
            self.generation = self.replaced.take();
            self.owed = self
                .generation
                .as_ref()
                .filter(|g| g.servers.version != self.servers.version)
                .map(|_| now);
            return;
        }
        let initiator = if self.facts.signaling == Signaling::HaveLocalOffer {
            Initiator::Local
        } else {
            Initiator::Remote
        };
        let restart = self.generation.is_some();
        // Ours counts from restartIce() on; an offer of the other end that came first was not ours.
        let ours = self.asked.take().filter(|_| initiator == Initiator::Local);
        let next = Generation {
            ufrag: ufrag.clone(),
            servers: self.servers,
            began: ours.unwrap_or(now),
            initiator,
            restart,
            negotiated: None,
            done: false,
            failed: false,
            old_pairs: self.pairs.iter().map(|pair| pair.id.clone()).collect(),
        };
        let last = self.generation.replace(next);
        if last.as_ref().is_some_and(|last| last.negotiated.is_some()) {
            self.replaced = last;
        }
        self.owed = None;
        self.stalled = false;
        if restart && ours.is_none() {
            acts.push(Act::Restarting {
                initiator,
                cause: Cause::Other,
            });
        }
    }

    /// Takes in the selected pairs.
    pub fn inspected(&mut self, pairs: Vec<Pair>, now: Instant, acts: &mut Vec<Act>) {
        self.inspecting = false;
        self.inspected = Some(now);
        // A path that broke leaves no selected pair behind; what it was like still decides about its repair.
        if self.interrupted.is_none() || !pairs.is_empty() {
            self.pairs = pairs;
        }
        let Some(generation) = &mut self.generation else {
            return;
        };
        let selected =
            !self.pairs.is_empty() && self.pairs.iter().all(|pair| generation.owns(pair));
        if !generation.done
            && generation.negotiated.is_some()
            && self.facts.ice == Ice::Connected
            && selected
        {
            generation.done = true;
            self.settled = now + SETTLE_MS;
            self.repairs = 0;
            if generation.restart {
                acts.push(Act::Restarted {
                    initiator: generation.initiator,
                    duration: now.saturating_sub(generation.began),
                });
            }
        }
    }

    /// Whether a pair was relayed when last looked at.
    fn is_relayed(&self) -> bool {
        self.pairs.iter().any(|pair| pair.relayed)
    }

    /// Since when a relayed connection has been interrupted: its credential may be the reason.
    pub fn suspect_since(&self) -> Option<Instant> {
        self.interrupted
            .filter(|_| self.is_relayed() && !self.told_lost)
    }

    /// Until when something of a restart is in progress; `None` when nothing is. An event that ends it comes by
    /// itself, so the moment only says when to look again at the latest.
    fn busy_until(&self, now: Instant) -> Option<Instant> {
        if self.facts.signaling != Signaling::Stable {
            return Some(Instant::MAX);
        }
        if let Some(asked) = self.asked {
            return Some(asked + STALL_MS);
        }
        if now < self.settled {
            return Some(self.settled);
        }
        let generation = self.generation.as_ref()?;
        if self.facts.gathering && now < generation.began + GATHERING_MS {
            return Some(generation.began + GATHERING_MS);
        }
        let over = generation.negotiated? + CONNECTING_MS;
        let connecting = !generation.done && !generation.failed && now < over;
        (generation.restart && connecting).then_some(over)
    }

    /// What a restart is wanted for, and from when on.
    fn wanted(&self, fetching: bool) -> Option<(Cause, Instant)> {
        if self.policy == Policy::Never || self.stalled || self.facts.lost || self.told_lost {
            return None;
        }
        let always = self.policy == Policy::Always;
        let generation = self.generation.as_ref()?;
        let second = if self.facts.first == Some(false) {
            SECOND_MS
        } else {
            0
        };
        if let Some(since) = self.interrupted.filter(|_| always || self.is_relayed()) {
            let patience = if self.facts.ice == Ice::Failed {
                0
            } else {
                INTERRUPTED_MS
            };
            // A credential that is being fetched may be the cure: the repair waits for it, within reason. Once it is
            // here the other end needs the time for its own: it may have noticed later, and in Firefox a restart with
            // a refused credential at either end is the end of the call.
            let cure = if fetching { CURE_MS } else { 0 };
            let cured = self.owed.map_or(0, |owed| owed + CURED_MS);
            let moment = (since + patience + cure).max(cured);
            return Some((Cause::Repair, moment + second));
        }
        let owed = self.owed?;
        let margin = generation.servers.expires.saturating_sub(owed);
        if self.facts.ice != Ice::Connected {
            // Gathered from a dead credential it has no relay, and may never connect without one.
            let patience = generation.negotiated? + SETTLE_MS;
            return (margin == 0).then_some((Cause::Repair, owed.max(patience) + second));
        }
        if !always && (self.inspected < Some(owed) || !self.is_relayed()) {
            return None;
        }
        let wait = match (second, margin) {
            (0, _) => 0,
            (second, 0) => second,
            (_, margin) => (margin / 2).max(SETTLE_MS),
        };
        Some((Cause::Refresh, owed + wait))
    }

    /// Does what is due, and tells when to be called again at the latest. `fetching`: a credential is on its way.
    pub fn drive(&mut self, fetching: bool, now: Instant, acts: &mut Vec<Act>) -> Option<Instant> {
        if self.facts.lost && self.interrupted.is_some() && !self.told_lost {
            self.told_lost = true;
            acts.push(Act::Lost);
        }
        if self.asked.is_some_and(|asked| now >= asked + STALL_MS) {
            self.asked = None;
            self.stalled = true;
            acts.push(Act::Stalled);
        }
        let mut next = self.look(now, acts);
        let mut at_latest =
            |moment: Instant| next = Some(next.map_or(moment, |next| next.min(moment)));
        match (self.busy_until(now), self.wanted(fetching)) {
            (Some(Instant::MAX), _) => {}
            (Some(until), Some(_)) => at_latest(until),
            (Some(until), None) if self.asked.is_some() => at_latest(until),
            (None, Some((_, moment))) if now < moment => at_latest(moment),
            (None, Some((cause, _))) => {
                if cause == Cause::Repair && self.repairs >= REPAIRS_MOST {
                    if self.facts.ice == Ice::Failed {
                        self.told_lost = true;
                        acts.push(Act::Lost);
                    }
                    return next;
                }
                self.repairs += u32::from(cause == Cause::Repair);
                self.asked = Some(now);
                self.settled = now + SETTLE_MS;
                at_latest(now + STALL_MS);
                acts.push(Act::Restarting {
                    initiator: Initiator::Local,
                    cause,
                });
                acts.push(Act::Restart);
            }
            (_, None) => {}
        }
        next
    }

    /// Looks at the selected pairs if that is due; tells when it will be.
    fn look(&mut self, now: Instant, acts: &mut Vec<Act>) -> Option<Instant> {
        let polled = self
            .generation
            .as_ref()
            .filter(|g| g.restart && !g.done)
            .and_then(|g| g.negotiated)
            .is_some_and(|negotiated| now < negotiated + CONNECTING_MS);
        let owed = self
            .owed
            .filter(|_| self.policy == Policy::Relayed && self.facts.ice == Ice::Connected);
        let due = if self.stale {
            Some(now)
        } else if polled {
            // Polled, for not every browser tells when the pair changes.
            Some(self.inspected.map_or(now, |last| last + POLL_MS))
        } else if let Some(owed) = owed {
            match self.inspected {
                // No pair at all is an answer that came too early.
                Some(last) if last >= owed && self.pairs.is_empty() => Some(last + SETTLE_MS),
                Some(last) if last >= owed && !self.is_relayed() => Some(last + LOOK_MS),
                Some(last) if last >= owed => None,
                _ => Some(now),
            }
        } else {
            None
        }?;
        if self.inspecting {
            return None;
        }
        if now >= due {
            self.inspecting = true;
            self.stale = false;
            acts.push(Act::Inspect);
            return None;
        }
        Some(due)
    }
}
