//! One connection's ICE: which generation runs on which servers, and when to restart it.
//!
//! New servers reach a live relay only through an ICE restart (RFC 8656 section 5: an allocation keeps its username).
//! Two restarts at once end a call for good in Firefox, so one begins only while nothing of the last one, ours or the
//! other end's, is still in progress. Both ends gather anew at a restart: one that the other end began after our
//! servers were applied makes ours unnecessary. Of two ends that both need one, their browsers and the order of their DTLS
//! fingerprints decide which goes first; the other steps in only if nothing came. A relayed connection is restarted only with
//! servers that were just proven to give a relay.

use super::clock::{Instant, NEVER};
use super::proof::Proof;
use super::sdp::{self, FirefoxFragment};
use super::session::Command;
use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// After a restart is over, and after one was asked for, the next one waits this long, in milliseconds.
const SETTLE_MS: u64 = 1_000;
/// A gathering that goes on longer than this no longer counts as a restart in progress: a silent server can keep
/// Chromium gathering forever.
const GATHERING_MS: u64 = 5_000;
/// A negotiated restart that has not connected after this long is over.
const CONNECTING_MS: u64 = 15_000;
/// So is one whose pair is not selected after this long while a path works. Chromium's controlled end keeps the old
/// pair until something comes over the new one, which on an idle data channel takes half a minute.
pub const SELECTING_MS: u64 = 5_000;
/// One that has left a pair of before selected for this long, on a path that works, is outranked: long after an idle channel
/// would have moved over.
const OUTRANKED_MS: u64 = 35_000;
/// How often a connection's relays are raised at the most. Chromium takes 32 TURN URLs.
const RAISES_MOST: u32 = 16;
/// Firefox waits between two requests to TURN servers of one connection, and adds up these waits over all its generations:
/// each restart finds its first relay later than the one before. After a restart that took this long to select a pair, in
/// milliseconds, a later one will take over five seconds, at which Firefox ends the call.
const WORN_MS: u64 = 4_000;
/// So long that another cause must have been there twice.
const WEARING_MS: u64 = 2_000;
/// How often the selected pair is looked at while a restart is in progress.
const POLL_MS: u64 = 100;
/// A role conflict is seen to keep Chromium on an old pair at half so many looks in a row, where it offered the restart, and at so
/// many where it answered: Firefox's first relay may come before the one that ranks as high as its old one.
const STRANDED_LOOKS: u32 = 10;
/// How often the selected pair is looked at while a connection that is not relayed has old servers; more often when these
/// come to their end.
const LOOK_MS: u64 = 30_000;
/// Over how many moments such looks at a session's connections are spread.
const LOOKS: u64 = 16;
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
/// With Firefox at either end: it looks every four to six seconds (RFC 7675 section 5.1), whether its path is still there.
const FIREFOX_CURED_MS: u64 = 7_000;
/// No offer this long after `restartIce()`: nobody listens to `negotiationneeded`.
const STALL_MS: u64 = 5_000;
/// No answer this long after a restart's offer: the signalling between the two ends lost it, or an end cannot answer.
const UNANSWERED_MS: u64 = 15_000;
/// Repairs in a row that may fail before the connection counts as lost.
const REPAIRS_MOST: u32 = 3;

/// Names a connection within its session.
pub type ConnectionId = u32;

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
    /// Which end is Firefox.
    pub firefox: FirefoxFragment,
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
        let order = sdp::order(local, remote);
        Self {
            signaling,
            ice,
            gathering,
            ufrag,
            first: order.map(|order| order.0),
            firefox: order.map_or(0, |order| order.1),
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
        firefox: 0,
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

/// How the two ends of a selected pair stand to each other: [`EVEN`], [`OUTRANKED`], or, while the remote candidate is of a
/// generation before, this end's ICE role (RFC 8445 section 4) as the length of its name: [`CONTROLLED`], or one more for "controlling".
pub type Standing = u32;
/// Nothing else is known.
pub const EVEN: Standing = 0;
/// Both candidates are of one type, and if that is relay, the remote one's priority is above the local one's in what the number of TURN URLs makes of it, the
/// lower 16 bits: the other end has raised its relays.
pub const OUTRANKED: Standing = 1;
pub const CONTROLLED: Standing = 10;

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
    Local = 0,
    Remote = 1,
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
    /// From now on give the servers to this connection so that its relays rank higher than before; [`Command::Apply`] follows.
    Raise,
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
    /// When its offer was answered, or [`NEVER`].
    negotiated: Instant,
    /// A pair of it is selected and connected.
    done: bool,
    /// At how many looks in a row a role conflict (RFC 8445 section 7.3.1.1) was seen to keep an old pair selected; a look at an end
    /// that offered this restart counts twice.
    ///
    /// Chromium becomes controlling by each restart that it offers, and controlled by each that it answers; Firefox keeps its role.
    /// Made controlled again by Firefox's first check, Chromium takes no notice of the nomination in that check, and stays with the
    /// pair of before until that has been silent for seconds. Made controlling again, it nominates one of its new relay with Firefox's
    /// old one if Firefox's new one ranks below that, as when Firefox has lost a network, and never tries another: Firefox waits for
    /// it in vain and hears nothing. By another offer it is controlling, its relays rank higher, and Firefox's old one is forgotten.
    stranded: u32,
    /// ICE failed after it was negotiated. A failure from before lasts until the first new candidates are tried.
    failed: bool,
    /// The pairs selected when it began.
    old_pairs: Arc<Vec<Pair>>,
}

impl Generation {
    /// It is the outcome of a restart, and may not have connected yet.
    fn is_settling(&self, now: Instant) -> bool {
        let time = self.negotiated..self.negotiated + CONNECTING_MS;
        self.restart && !self.done && time.contains(&now)
    }

    /// It is the outcome of a restart whose pair is not selected yet, or never will be.
    fn is_unfinished(&self) -> bool {
        self.restart && !self.done && self.negotiated < NEVER
    }

    fn owns(&self, pair: &Pair) -> bool {
        match &pair.ufrag {
            Some(ufrag) => *ufrag == self.ufrag,
            None => !self.old_pairs.iter().any(|old| old.id == pair.id),
        }
    }
}

/// One connection.
#[derive(Clone, Debug)]
pub struct Connection {
    pub id: ConnectionId,
    pub policy: Policy,
    /// The version that was last handed to the browser for it: a refusal is not repeated.
    pub offered: u64,
    /// It was handed over, and neither taken nor refused so far.
    pub taking: bool,
    /// When it is driven next, if nothing happens.
    pub due: Instant,
    facts: Facts,
    servers: Stamp,
    generation: Option<Box<Generation>>,
    /// The generation that a rollback of the pending offer returns to.
    replaced: Option<Box<Generation>>,
    /// Those that were last seen: none at all says nothing of the path.
    pairs: Arc<Vec<Pair>>,
    /// There were none when last looked at.
    blank: bool,
    /// As last looked at.
    standing: Standing,
    inspected: Instant,
    inspecting: bool,
    /// The pairs may have changed since they were read.
    stale: bool,
    /// Since when other servers are in force than the ones gathered from; [`NEVER`] if they are not, as below.
    owed: Instant,
    asked: Instant,
    stalled: bool,
    interrupted: Instant,
    settled: Instant,
    repairs: u32,
    raises: u32,
    /// How long the last restart took, in milliseconds.
    took: u64,
    /// How long Firefox was without a pair in the last restart and in the one before, in milliseconds.
    waits: (u64, u64),
    told_lost: bool,
}

impl Connection {
    /// A connection with the servers that it was made with.
    #[inline(never)]
    pub fn new(id: ConnectionId, policy: Policy, servers: Stamp) -> Self {
        Self {
            id,
            policy,
            offered: servers.version,
            taking: false,
            due: 0,
            facts: Facts::NEW,
            servers,
            generation: None,
            replaced: None,
            pairs: Arc::default(),
            blank: false,
            standing: EVEN,
            inspected: NEVER,
            inspecting: false,
            stale: false,
            owed: NEVER,
            asked: NEVER,
            stalled: false,
            interrupted: NEVER,
            settled: 0,
            repairs: 0,
            raises: 0,
            took: 0,
            waits: (0, 0),
            told_lost: false,
        }
    }

    /// The version of the servers that the present generation was gathered from.
    pub fn gathered_version(&self) -> u64 {
        let generation = self.generation.as_ref();
        generation.map_or(self.servers, |g| g.servers).version
    }

    /// This version is handed to the browser now.
    pub fn offer(&mut self, version: u64) {
        self.offered = version;
        self.taking = true;
    }

    /// Whether it was just now handed this version.
    #[inline(never)]
    pub fn takes(&self, version: u64) -> bool {
        self.taking && self.offered == version
    }

    /// Other servers are in force from now on. `cure`: they came after ones that were refused, or after failures, here and so
    /// perhaps at the other end, which needs the time for its own: a path that works is not risked meanwhile.
    pub fn applied(&mut self, servers: Stamp, cure: bool, now: Instant) {
        // The same once more, to rank higher, which takes both ends.
        let raised = self.servers.version == servers.version && self.facts.firefox <= 0;
        self.taking = false;
        self.servers = servers;
        self.stalled = false;
        self.owe(now);
        if (cure || raised) && self.owed < NEVER && self.facts.ice == Ice::Connected {
            let margin = self.margin(now);
            let wait = if margin > 0 {
                // Of two ends the second one steps in at half of it.
                self.cured().min(margin / 3)
            } else {
                self.cured() + self.second()
            };
            self.settled = self.settled.max(now + wait);
        }
    }

    /// A restart is owed from now on, if other servers are in force than the ones gathered from.
    fn owe(&mut self, now: Instant) {
        let owes = self.gathered_version() != self.servers.version;
        self.owed = if owes { now } else { NEVER };
    }

    /// The credential of these servers lives until another moment than was thought.
    pub fn restamp(&mut self, servers: Stamp) {
        self.due = 0;
        if self.servers.version == servers.version {
            self.servers = servers;
        }
        if let Some(generation) = &mut self.generation
            && generation.servers.version == servers.version
        {
            generation.servers = servers;
        }
    }

    /// Takes in what the connection shows.
    pub fn observe(&mut self, facts: Facts, now: Instant, commands: &mut Vec<Command>) {
        let (ice, signaling, firefox) = (self.facts.ice, self.facts.signaling, self.facts.firefox);
        self.facts = facts;
        if self.facts.ice != ice {
            self.stale = true;
            match self.facts.ice {
                Ice::Connected => {
                    self.interrupted = NEVER;
                    self.repairs = 0;
                    // The app's own restart may have brought back what was given up.
                    self.told_lost = false;
                }
                Ice::Disconnected | Ice::Failed => {
                    self.interrupted = self.interrupted.min(now);
                    if let Some(generation) = &mut self.generation
                        && self.facts.ice == Ice::Failed
                    {
                        generation.failed = generation.negotiated < NEVER;
                    }
                }
                Ice::New | Ice::Checking => {}
            }
        }
        self.follow_generation(now, commands);
        // With servers that it has not gathered from yet, it was raised already.
        if self.is_offered_by_firefox() && self.facts.firefox != firefox && self.owed == NEVER {
            self.raise(SELECTING_MS, now, commands);
        }
        let stable = self.facts.signaling == Signaling::Stable;
        self.stale |= stable && signaling != Signaling::Stable;
        if let Some(generation) = &mut self.generation {
            if stable && generation.negotiated == NEVER {
                generation.negotiated = now;
                self.replaced = None;
                self.stalled = false;
            }
            if !generation.restart && self.facts.ice == Ice::Connected {
                generation.done = true;
            }
        }
    }

    fn follow_generation(&mut self, now: Instant, commands: &mut Vec<Command>) {
        let Some(ufrag) = &self.facts.ufrag else {
            return;
        };
        let is_it = |known: &Option<Box<Generation>>| {
            known.as_ref().is_some_and(|known| known.ufrag == *ufrag)
        };
        if is_it(&self.generation) {
            return;
        }
        if is_it(&self.replaced) {
            // The pending offer was rolled back.
            self.generation = self.replaced.take();
            self.stalled = false;
            self.owe(now);
            return;
        }
        let initiator = if self.facts.signaling == Signaling::HaveLocalOffer {
            Initiator::Local
        } else {
            Initiator::Remote
        };
        let restart = self.generation.is_some();
        // Ours counts from restartIce() on; an offer of the other end that came first was not ours.
        let ours = self.asked < NEVER && initiator == Initiator::Local;
        let next = Generation {
            ufrag: ufrag.clone(),
            servers: self.servers,
            began: if ours { self.asked } else { now },
            initiator,
            restart,
            negotiated: NEVER,
            done: false,
            stranded: 0,
            failed: false,
            old_pairs: self.pairs.clone(),
        };
        let last = self.generation.replace(Box::new(next));
        if last.as_ref().is_some_and(|last| last.negotiated < NEVER) {
            self.replaced = last;
        }
        self.asked = NEVER;
        self.owed = NEVER;
        self.stalled = false;
        if restart && !ours {
            commands.push(Command::Act(
                self.id,
                Act::Restarting {
                    initiator,
                    cause: Cause::Other,
                },
            ));
        }
    }

    /// Takes in the selected pairs.
    pub fn inspected(
        &mut self,
        standing: Standing,
        pairs: Vec<Pair>,
        now: Instant,
        commands: &mut Vec<Command>,
    ) {
        self.inspecting = false;
        self.inspected = now;
        self.standing = standing;
        // A path that broke leaves no selected pair behind, nor does in Firefox a restart that does not connect, which it goes on
        // calling connected. What the path was like still decides about its repair.
        let was_blank = self.blank;
        self.blank = pairs.is_empty();
        if !self.blank {
            self.pairs = Arc::new(pairs);
        }
        let Some(generation) = &mut self.generation else {
            return;
        };
        let selected = !self.blank
            && standing < CONTROLLED
            && self.pairs.iter().all(|pair| generation.owns(pair));
        if generation.is_unfinished() {
            // Chromium's end has this role after a conflict alone, if it offered the restart, and if it answered it.
            let answered = generation.initiator as u32;
            generation.stranded += 2 - answered;
            if standing != CONTROLLED + answered {
                generation.stranded = 0;
            }
        }
        if !generation.done
            && generation.negotiated < NEVER
            && self.facts.ice == Ice::Connected
            && selected
        {
            generation.done = true;
            self.settled = now + SETTLE_MS;
            self.repairs = 0;
            if generation.restart {
                self.took = now.saturating_sub(generation.began);
                commands.push(Command::Act(
                    self.id,
                    Act::Restarted {
                        initiator: generation.initiator,
                        duration: self.took,
                    },
                ));
                let last = self.waits.0;
                let wait = if was_blank {
                    now.saturating_sub(generation.negotiated)
                } else {
                    0
                };
                self.waits = (wait, last);
                // Told while the path works, so that another connection can take over first.
                if wait >= WORN_MS && (WEARING_MS..WORN_MS).contains(&last) {
                    commands.push(Command::Act(self.id, Act::Lost));
                }
            }
        }
        self.raise(OUTRANKED_MS, now, commands);
    }

    /// Gives up a restart, answered at least `patience` milliseconds ago, that Chromium does not move over to while the path of
    /// before works. It ranks a pair with a peer-reflexive candidate (RFC 8445 section 7.3.1.3), which packets of two generations
    /// make when a TURN server pauses, above all that later ones bring, and never tries those; the path would end with the old
    /// credential. Relays of a higher priority win, if both ends have them: the rank of a pair is that of its lower candidate first
    /// (RFC 8445 section 6.1.2.3). An end that moved over, or was never left behind, follows with its next servers when it sees that the
    /// other end's rank higher. After a role conflict, which is not waited for so long, it is enough if only this end has them.
    ///
    /// Towards Firefox that is done before each restart: for a refresh, and for a restart that it offers when there was none in
    /// between. Firefox chooses the first pair that works, and lets go of the others at once; Chromium would stay with the old one for
    /// seconds where that ranks higher (docs/guide.md, "Chromium with Firefox").
    pub fn raise(&mut self, patience: u64, now: Instant, commands: &mut Vec<Command>) {
        let may = self.policy != Policy::Never
            && self.raises < RAISES_MOST
            && self.offered > 0
            && self.facts.ice == Ice::Connected
            && !self.blank
            && self.is_relayed();
        let Some(generation) = &mut self.generation else {
            return;
        };
        // It is asked with the shorter patience only when there are new servers, or an offer of a restart.
        let outranked = may
            && ((self.standing == OUTRANKED || self.facts.firefox > 0) && patience == SELECTING_MS
                || generation.is_unfinished()
                    && (generation.stranded >= STRANDED_LOOKS
                        || now >= generation.negotiated + patience));
        if outranked {
            generation.done = true;
            // It runs on servers from before.
            generation.servers.version = 0;
            self.raises += 1;
            self.offered = 0;
            commands.push(Command::Act(self.id, Act::Raise));
        }
    }

    /// Whether the other end is Firefox, this one is not, and an offer of the other end waits for its answer.
    fn is_offered_by_firefox(&self) -> bool {
        self.facts.signaling == Signaling::HaveRemoteOffer && self.facts.firefox > 0
    }

    /// Whether other servers may be applied now: while nothing of a restart is in progress, as soon as one is over, so that the other
    /// end's next one finds them, or to answer an offer from servers that raise the relays.
    pub fn takes_now(&self, busy: Instant, now: Instant) -> bool {
        busy <= now || self.offered == 0 && self.is_offered_by_firefox()
    }

    /// Whether a pair was relayed when last looked at.
    fn is_relayed(&self) -> bool {
        self.pairs.iter().any(|pair| pair.relayed)
    }

    /// Whether a relayed connection has been interrupted since `moment` or later, on its present generation: its
    /// credential may be the reason.
    pub fn is_suspect_since(&self, moment: Instant) -> bool {
        let began = self.generation.as_ref().map_or(0, |g| g.began);
        (moment.max(began)..NEVER).contains(&self.interrupted)
            && self.is_relayed()
            && !self.told_lost
    }

    /// Until when something of a restart is in progress; a moment that is past when nothing is. An event that ends it
    /// comes by itself, so the moment only says when to look again at the latest.
    ///
    /// No servers are applied meanwhile either: changed ones let Firefox follow a restart that it has just answered by
    /// one of its own, and the two end the call.
    pub fn busy_until(&self, now: Instant) -> Instant {
        if self.facts.signaling != Signaling::Stable {
            return NEVER;
        }
        if self.asked < NEVER {
            return self.asked + STALL_MS;
        }
        let Some(generation) = &self.generation else {
            return 0;
        };
        if self.facts.gathering && now < generation.began + GATHERING_MS {
            generation.began + GATHERING_MS
        } else if generation.is_unfinished() && !generation.failed {
            let works = self.facts.ice == Ice::Connected;
            if works && self.blank && !self.told_lost {
                return self.doomed_from();
            }
            if works {
                generation.negotiated + SELECTING_MS
            } else {
                // Once its credential is dead, it has no relay to connect with.
                (generation.negotiated + SETTLE_MS)
                    .max(generation.servers.expires)
                    .min(generation.negotiated + CONNECTING_MS)
            }
        } else {
            0
        }
    }

    /// From when on the app's negotiation counts as stalled: no offer came of a restart that was asked for, or no answer
    /// to a restart's offer. A first offer may wait for a person.
    fn silent_from(&self) -> Instant {
        match &self.generation {
            Some(generation) if generation.restart && generation.negotiated == NEVER => {
                if self.stalled {
                    NEVER
                } else {
                    generation.began + UNANSWERED_MS
                }
            }
            _ => self.asked + STALL_MS,
        }
    }

    /// From when on, if ever, a restart counts as one that ends the connection. Firefox goes on calling it connected while it has no
    /// selected pair, and the path of the generation before may even carry on until its credential ends; but a further restart
    /// leaves it connected with nothing coming through, for good.
    fn doomed_from(&self) -> Instant {
        match &self.generation {
            Some(generation)
                if generation.restart
                    && !generation.done
                    && self.blank
                    && self.facts.ice == Ice::Connected
                    && !self.told_lost =>
            {
                // What gathered from a dead credential will hardly find a pair any more.
                let soon = generation.negotiated + SELECTING_MS;
                if generation.servers.expires < soon {
                    soon
                } else {
                    generation.negotiated + CONNECTING_MS
                }
            }
            _ => NEVER,
        }
    }

    /// What is left at this moment of the life of the credential that the present generation was gathered from.
    fn margin(&self, now: Instant) -> u64 {
        let expires = self.generation.as_ref().map_or(0, |g| g.servers.expires);
        expires.saturating_sub(now)
    }

    /// Whether the selected pairs were read since `moment`.
    fn is_inspected_since(&self, moment: Instant) -> bool {
        (moment..NEVER).contains(&self.inspected)
    }

    /// How much longer this end waits than the other one.
    fn second(&self) -> u64 {
        if self.facts.first == Some(false) {
            SECOND_MS
        } else {
            0
        }
    }

    /// How long the other end is given to notice what this one did, and to have it mended.
    fn cured(&self) -> u64 {
        if self.facts.firefox == 0 {
            CURED_MS
        } else {
            FIREFOX_CURED_MS
        }
    }

    /// What a restart is wanted for, and from when on; from [`NEVER`] or later for nothing.
    fn wanted(&self, fetching: bool) -> (Cause, Instant) {
        const NOTHING: (Cause, Instant) = (Cause::Other, NEVER);
        let given_up = self.stalled || self.facts.lost || self.told_lost;
        let Some(generation) = &self.generation else {
            return NOTHING;
        };
        if self.policy == Policy::Never || given_up {
            return NOTHING;
        }
        let concerned = self.policy == Policy::Always || self.is_relayed();
        if concerned && generation.stranded >= STRANDED_LOOKS {
            // Firefox, which may still be gathering, is not to be met by another offer before it is done. An idle channel may have
            // kept the last one from its end for half a minute, which says nothing of that.
            let patience = (2 * self.took).min(SELECTING_MS);
            return (Cause::Repair, generation.began + patience);
        }
        let second = self.second();
        if self.interrupted < NEVER && concerned {
            let patience = if self.facts.ice == Ice::Failed {
                0
            } else {
                INTERRUPTED_MS
            };
            // A credential that is being fetched may be the cure: the repair waits for it, within reason. Once it is
            // here the other end needs the time for its own: it may have noticed later, and in Firefox a restart with
            // a refused credential at either end is the end of the call.
            let cure = if fetching { CURE_MS } else { 0 };
            let mut moment = self.interrupted + patience + cure;
            if self.owed < NEVER {
                moment = moment.max(self.owed + self.cured());
            }
            return (Cause::Repair, moment + second);
        }
        let owed = self.owed;
        let margin = self.margin(owed);
        if self.facts.ice != Ice::Connected {
            // Gathered from a dead credential it has no relay, and may never connect without one.
            let patience = owed.max(generation.negotiated) + SETTLE_MS;
            return if margin == 0 {
                (Cause::Repair, patience + second)
            } else {
                NOTHING
            };
        }
        if !concerned || self.policy != Policy::Always && !self.is_inspected_since(owed) {
            return NOTHING;
        }
        // After a lapse, that of a sleep say, the other end may not have its fresh credential yet.
        let wait = if margin == 0 {
            SETTLE_MS + second
        } else if second > 0 {
            // Less what a restart takes in Firefox, for it to be over before the margin is.
            (margin / 2).max(SETTLE_MS).saturating_sub(self.waits.0)
        } else {
            0
        };
        (Cause::Refresh, owed + wait)
    }

    /// Does what is due, and tells when to be called again at the latest. `fetching`: a live credential is on its way, or will be.
    /// `proof`: of the session's servers; what waits for it goes on at the call after it was given.
    pub fn drive(
        &mut self,
        fetching: bool,
        proof: &mut Proof,
        now: Instant,
        commands: &mut Vec<Command>,
    ) -> Instant {
        // A page that slept in the middle of a restart gives it its time anew.
        if self.doomed_from() < NEVER
            && now >= self.inspected + STALL_MS
            && let Some(generation) = &mut self.generation
        {
            generation.negotiated = now;
        }
        // Told once there are servers for another connection.
        let doomed = self.doomed_from();
        let lost = now >= doomed || self.facts.lost && self.interrupted < NEVER;
        if lost && !self.told_lost && !fetching {
            self.told_lost = true;
            commands.push(Command::Act(self.id, Act::Lost));
        }
        let mut silent = self.silent_from();
        if now >= silent {
            self.asked = NEVER;
            self.stalled = true;
            commands.push(Command::Act(self.id, Act::Stalled));
            silent = NEVER;
        }
        let next = self.look(now, commands).min(silent);
        let busy = self.busy_until(now);
        let (cause, moment) = self.wanted(fetching);
        if busy > now {
            return next.min(if moment < NEVER { busy } else { NEVER });
        }
        // While the news of it waits for a fetch, a restart would silence what still comes through.
        if now >= doomed {
            return next;
        }
        // A second of rest after the last one.
        let moment = moment.max(self.settled);
        if now < moment {
            return next.min(moment);
        }
        let repairs = self.repairs + u32::from(cause == Cause::Repair);
        if repairs > REPAIRS_MOST {
            if self.facts.ice == Ice::Failed {
                self.told_lost = true;
                commands.push(Command::Act(self.id, Act::Lost));
            }
            return next;
        }
        if self.is_relayed() {
            if !proof.holds(now) {
                return next;
            }
            let moment = proof.restored() + self.second();
            if now < moment {
                return next.min(moment);
            }
        }
        self.repairs = repairs;
        self.asked = now;
        self.settled = now + SETTLE_MS;
        commands.push(Command::Act(
            self.id,
            Act::Restarting {
                initiator: Initiator::Local,
                cause,
            },
        ));
        commands.push(Command::Act(self.id, Act::Restart));
        next.min(now + STALL_MS)
    }

    /// Whether driving it now would do nothing, and not bring it forward.
    pub fn rests(&self, fetching: bool, proof: &Proof, now: Instant) -> bool {
        let (mut copy, mut proof, mut commands) = (self.clone(), proof.clone(), Vec::new());
        let wanted = proof.is_wanted();
        let next = copy.drive(fetching, &mut proof, now, &mut commands);
        commands.is_empty() && next >= self.due && proof.is_wanted() == wanted
    }

    /// How long the first look after new servers can wait: a path that was not relayed hardly became so without an event, and a
    /// page with many connections had better not look at all of them at once.
    fn unhurried(&self, owed: Instant) -> u64 {
        if self.pairs.is_empty() || self.is_relayed() {
            return 0;
        }
        let most = LOOK_MS.min(self.margin(owed) / 4);
        most / LOOKS * (1 + u64::from(self.id) % LOOKS)
    }

    /// Looks at the selected pairs if that is due; tells when it will be.
    fn look(&mut self, now: Instant, commands: &mut Vec<Command>) -> Instant {
        let generation = self.generation.as_ref();
        let polled = generation.is_some_and(|generation| generation.is_settling(now));
        let connected = self.facts.ice == Ice::Connected;
        let kept = !self.blank
            && connected
            && generation.is_some_and(|generation| generation.is_unfinished());
        let since = if polled || kept {
            0
        } else if connected && self.policy == Policy::Relayed {
            self.owed
        } else {
            NEVER
        };
        let due = if self.stale {
            now
        } else if since == NEVER {
            NEVER
        } else if !self.is_inspected_since(since) {
            since + self.unhurried(since)
        } else if polled {
            // Polled, for not every browser tells when the pair changes.
            self.inspected + POLL_MS
        } else if kept {
            self.inspected + SELECTING_MS
        } else if self.blank {
            // No pair at all is an answer that came too early.
            self.inspected + SETTLE_MS
        } else if self.is_relayed() {
            NEVER
        } else {
            // Whenever it falls back to a relay, that one is replaced before its credential ends.
            let half = self.margin(self.inspected) / 2;
            let soon = (SETTLE_MS..LOOK_MS).contains(&half);
            self.inspected + if soon { half } else { LOOK_MS }
        };
        if self.inspecting {
            return NEVER;
        }
        if now >= due {
            self.inspecting = true;
            self.stale = false;
            commands.push(Command::Act(self.id, Act::Inspect));
            return NEVER;
        }
        due
    }
}
