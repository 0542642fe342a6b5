//! The restart engine: one connection by itself, and two ends of a call with signalling and ICE generations.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

use turn_wasm::core::clock::NEVER;
use turn_wasm::core::connection::{
    Act, CONTROLLED, Cause, Connection, EVEN, Facts, Ice, Initiator, Pair, Policy, Signaling,
    Stamp, Standing,
};
use turn_wasm::core::proof::Proof;
use turn_wasm::core::session::Command;

const SECOND: u64 = 1_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;

/// How long the model's browser takes to answer a question about its statistics.
const STATISTICS_MS: u64 = 3;
/// From a negotiated generation to its selected pair.
const CONNECT_MS: u64 = 120;
const GATHER_MS: u64 = 60;

#[derive(Clone, Debug)]
enum Happening {
    /// The app's `negotiationneeded` handler runs.
    Negotiate,
    /// An offer arrives; `restart` tells whether it has new ICE credentials.
    Offer {
        restart: bool,
    },
    Answer,
    Gathered(String),
    Selected(String),
    Statistics,
}

/// What the engine wants, of which all is its connection's.
fn acts(commands: Vec<Command>) -> Vec<Act> {
    commands
        .into_iter()
        .map(|command| match command {
            Command::Act(_, act) => act,
            other => panic!("{other:?}"),
        })
        .collect()
}

/// One end of a call: the engine, and a browser in which it runs.
struct End {
    engine: Connection,
    facts: Facts,
    /// The generation in force, to which a rollback returns.
    current: String,
    generations: u32,
    /// `restartIce()` was called, and no generation followed yet.
    armed: bool,
    pair: Pair,
    standing: Standing,
    wake: Option<u64>,
    version: u64,
    // ---- what the tests set
    fetching: bool,
    /// Runs this package.
    engaged: bool,
    /// The app listens to `negotiationneeded`.
    negotiates: bool,
    gathering_completes: bool,
    /// The statistics name the pair's username fragment, as Chromium's do and Firefox's do not.
    tells_ufrag: bool,
    /// The statistics name a selected pair; Firefox's name none between a restart's answer and its nomination.
    shows_pair: bool,
    inspections: Vec<u64>,
    /// The TURN server gives a relay to whoever asks.
    relays: bool,
}

/// A call of two ends with perfect negotiation; the second one is polite. A moment is in milliseconds.
struct Call {
    now: u64,
    ends: [End; 2],
    due: Vec<(u64, usize, Happening)>,
    /// How long signalling takes one way.
    delay: u64,
    /// Whether a new generation connects.
    connects: bool,
    log: Vec<(u64, usize, Act)>,
    /// When the restart in progress began, if there is one.
    restarting: Option<u64>,
    /// How many ends still run on the old generation.
    waiting: [bool; 2],
    /// When the last restart was over at both ends.
    over: u64,
    /// Restarts that began while another was in progress or had just been.
    overlaps: Vec<u64>,
}

/// Servers that give a relay.
fn proven() -> Proof {
    let mut proof = Proof::NONE;
    proof.answered(true, 0);
    proof
}

fn stamp(version: u64, expires: u64) -> Stamp {
    Stamp { version, expires }
}

fn end(policy: Policy, first: Option<bool>, name: &str) -> End {
    let current = format!("frag-{name}0");
    let facts = Facts {
        signaling: Signaling::Stable,
        ice: Ice::Connected,
        ufrag: Some(current.clone()),
        first,
        ..Facts::NEW
    };
    End {
        engine: Connection::new(0, policy, stamp(1, 100 * MINUTE)),
        facts,
        pair: Pair {
            id: format!("pair-{current}"),
            relayed: true,
            ufrag: Some(current.clone()),
        },
        standing: EVEN,
        current,
        generations: 0,
        armed: false,
        wake: None,
        version: 1,
        fetching: false,
        engaged: true,
        negotiates: true,
        gathering_completes: true,
        tells_ufrag: true,
        shows_pair: true,
        inspections: Vec::new(),
        relays: true,
    }
}

impl Call {
    /// A connected, relayed call a minute after it began.
    fn new(policy: Policy) -> Self {
        let mut call = Self {
            now: 0,
            ends: [end(policy, Some(true), "a"), end(policy, Some(false), "b")],
            due: Vec::new(),
            delay: 20,
            connects: true,
            log: Vec::new(),
            restarting: None,
            waiting: [false; 2],
            over: 0,
            overlaps: Vec::new(),
        };
        call.observe(0);
        call.observe(1);
        call.run(MINUTE);
        call.log.clear();
        call
    }

    /// A call whose first end alone runs this package.
    fn one_sided(policy: Policy) -> Self {
        let mut call = Self::new(policy);
        call.ends[1].engaged = false;
        call
    }

    // ---- the engine ----------------------------------------------------------------------------------------------

    fn observe(&mut self, who: usize) {
        let end = &mut self.ends[who];
        let mut commands = Vec::new();
        if end.engaged {
            end.engine
                .observe(end.facts.clone(), self.now, &mut commands);
        }
        self.act(who, commands);
        self.drive(who);
    }

    fn drive(&mut self, who: usize) {
        let end = &mut self.ends[who];
        if !end.engaged {
            return;
        }
        let mut commands = Vec::new();
        let mut proof = Proof::NONE;
        proof.answered(end.relays, self.now);
        let next = end
            .engine
            .drive(end.fetching, &mut proof, self.now, &mut commands);
        end.wake = (next < NEVER).then(|| next.min(self.now + 30 * SECOND).max(self.now + 1));
        self.act(who, commands);
    }

    fn act(&mut self, who: usize, commands: Vec<Command>) {
        for act in acts(commands) {
            match act {
                Act::Inspect => {
                    self.ends[who].inspections.push(self.now);
                    self.after(STATISTICS_MS, who, Happening::Statistics);
                }
                Act::Restart => {
                    self.log.push((self.now, who, act));
                    if self.restarting.is_some() || self.now < self.over + SECOND {
                        self.overlaps.push(self.now);
                    }
                    self.restart_ice(who);
                }
                told => self.log.push((self.now, who, told)),
            }
        }
    }

    // ---- the browsers --------------------------------------------------------------------------------------------

    fn after(&mut self, ms: u64, who: usize, happening: Happening) {
        self.due.push((self.now + ms, who, happening));
    }

    fn restart_ice(&mut self, who: usize) {
        self.ends[who].armed = true;
        if self.ends[who].negotiates {
            self.after(1, who, Happening::Negotiate);
        }
    }

    fn new_generation(&mut self, who: usize) -> String {
        let end = &mut self.ends[who];
        end.generations += 1;
        end.armed = false;
        end.facts.gathering = true;
        let ufrag = format!("frag-{}{}", ["a", "b"][who], end.generations);
        end.facts.ufrag = Some(ufrag.clone());
        if end.gathering_completes {
            self.after(GATHER_MS, who, Happening::Gathered(ufrag.clone()));
        }
        if self.restarting.is_none() {
            self.restarting = Some(self.now);
        }
        self.waiting[who] = true;
        ufrag
    }

    /// The end's own offer: a restart if one is armed, else a plain renegotiation.
    fn offer(&mut self, who: usize) {
        let restart = self.ends[who].armed;
        if restart {
            self.new_generation(who);
        }
        self.ends[who].facts.signaling = Signaling::HaveLocalOffer;
        self.observe(who);
        self.after(self.delay, 1 - who, Happening::Offer { restart });
    }

    fn happen(&mut self, who: usize, happening: Happening) {
        match happening {
            Happening::Negotiate => {
                if self.ends[who].armed && self.ends[who].facts.signaling == Signaling::Stable {
                    self.offer(who);
                }
            }
            Happening::Offer { restart } => {
                if self.ends[who].facts.signaling == Signaling::HaveLocalOffer {
                    if who == 0 {
                        return;
                    }
                    // Rollback: a restart that was on offer is armed again.
                    let end = &mut self.ends[who];
                    end.armed |= end.facts.ufrag.as_ref() != Some(&end.current);
                    end.facts.ufrag = Some(end.current.clone());
                    end.facts.gathering = false;
                }
                self.ends[who].facts.signaling = Signaling::HaveRemoteOffer;
                self.observe(who);
                if restart {
                    let ufrag = self.new_generation(who);
                    self.ends[who].current = ufrag;
                }
                self.ends[who].facts.signaling = Signaling::Stable;
                self.observe(who);
                self.connect(who, restart);
                self.after(self.delay, 1 - who, Happening::Answer);
            }
            Happening::Answer => {
                let end = &mut self.ends[who];
                let ufrag = end.facts.ufrag.clone().unwrap();
                let restart = ufrag != end.current;
                end.current = ufrag;
                end.facts.signaling = Signaling::Stable;
                self.observe(who);
                self.connect(who, restart);
            }
            Happening::Gathered(ufrag) => {
                if self.ends[who].facts.ufrag.as_ref() == Some(&ufrag) {
                    self.ends[who].facts.gathering = false;
                    self.observe(who);
                }
            }
            Happening::Selected(ufrag) => {
                let end = &mut self.ends[who];
                if end.current != ufrag {
                    return;
                }
                end.pair.id = format!("pair-{ufrag}");
                end.pair.ufrag = Some(ufrag).filter(|_| end.tells_ufrag);
                if end.standing >= CONTROLLED {
                    end.standing = EVEN;
                }
                end.facts.ice = Ice::Connected;
                self.waiting[who] = false;
                if self.waiting == [false; 2] {
                    self.restarting = None;
                    self.over = self.now;
                }
                self.observe(who);
            }
            Happening::Statistics => {
                let end = &mut self.ends[who];
                let broken = matches!(end.facts.ice, Ice::Failed | Ice::New | Ice::Checking);
                let pairs = if broken || !end.shows_pair {
                    Vec::new()
                } else {
                    vec![end.pair.clone()]
                };
                let mut commands = Vec::new();
                end.engine
                    .inspected(end.standing, pairs, self.now, &mut commands);
                self.act(who, commands);
                self.drive(who);
            }
        }
    }

    fn connect(&mut self, who: usize, restart: bool) {
        let ufrag = self.ends[who].current.clone();
        if restart && self.connects {
            self.after(CONNECT_MS, who, Happening::Selected(ufrag));
        }
        if self.ends[who].armed && self.ends[who].negotiates {
            self.after(1, who, Happening::Negotiate);
        }
    }

    // ---- what the tests do ---------------------------------------------------------------------------------------

    /// Lets time pass, and tells what was asked for and told meanwhile.
    fn run(&mut self, ms: u64) -> Vec<(u64, usize, Act)> {
        let (from, until) = (self.log.len(), self.now + ms);
        loop {
            let happening = self.due.iter().map(|(at, ..)| *at).min();
            let wake = self.ends.iter().filter_map(|end| end.wake).min();
            let Some(next) = [happening, wake].into_iter().flatten().min() else {
                break;
            };
            if next > until {
                break;
            }
            self.now = next;
            if happening == Some(next) {
                let place = self.due.iter().position(|(at, ..)| *at == next).unwrap();
                let (_, who, happening) = self.due.remove(place);
                self.happen(who, happening);
            } else {
                let who = usize::from(self.ends[0].wake != Some(next));
                self.ends[who].wake = None;
                self.drive(who);
            }
        }
        self.now = until;
        self.log[from..].to_vec()
    }

    /// New servers are put in force at one end. `margin`: milliseconds until the old ones expire.
    fn apply(&mut self, who: usize, margin: u64) {
        let now = self.now;
        let end = &mut self.ends[who];
        end.engine.restamp(stamp(end.version, now + margin));
        end.version += 1;
        end.engine.offer(end.version);
        end.engine
            .applied(stamp(end.version, now + 100 * MINUTE), false, now);
        self.drive(who);
    }

    fn app_restarts(&mut self, who: usize) {
        self.restart_ice(who);
    }

    fn set_ice(&mut self, who: usize, ice: Ice) {
        self.ends[who].facts.ice = ice;
        self.observe(who);
    }

    fn restarts(&self) -> Vec<(u64, usize)> {
        self.log
            .iter()
            .filter(|(_, _, act)| *act == Act::Restart)
            .map(|(at, who, _)| (*at, *who))
            .collect()
    }

    fn told(&self, act: &Act) -> usize {
        self.log.iter().filter(|(_, _, told)| told == act).count()
    }

    fn told_restarted(&self) -> usize {
        let told = self.log.iter();
        told.filter(|(_, _, act)| matches!(act, Act::Restarted { .. }))
            .count()
    }

    fn is_on_generation(&self, who: usize, generation: u32) -> bool {
        self.ends[who].pair.id == format!("pair-frag-{}{generation}", ["a", "b"][who])
    }
}

fn restarting(initiator: Initiator, cause: Cause) -> Act {
    Act::Restarting { initiator, cause }
}

// ---- when a refresh leads to a restart -----------------------------------------------------------------------------

#[test]
fn a_relayed_connection_restarts_when_new_servers_are_in_force() {
    let mut call = Call::one_sided(Policy::Relayed);
    let began = call.now;
    call.apply(0, 10 * MINUTE);
    let asked = began + STATISTICS_MS;
    let connected = asked + 1 + 2 * call.delay + CONNECT_MS;
    let seen = call.run(MINUTE);
    let (last, done) = seen.split_last().unwrap();
    assert_eq!(
        done,
        [
            (asked, 0, restarting(Initiator::Local, Cause::Refresh)),
            (asked, 0, Act::Restart),
        ]
    );
    // Seen at the next look at the statistics; the duration counts from restartIce() on.
    let (
        at,
        0,
        Act::Restarted {
            initiator: Initiator::Local,
            duration,
        },
    ) = last
    else {
        panic!("{last:?}");
    };
    assert_eq!(*at, asked + duration);
    assert!((connected..=connected + 120).contains(at), "{at}");
    assert!(call.is_on_generation(0, 1) && call.is_on_generation(1, 1));
}

#[test]
fn a_connection_that_is_not_relayed_is_not_restarted() {
    let mut call = Call::one_sided(Policy::Relayed);
    call.ends[0].pair.relayed = false;
    call.ends[0].inspections.clear();
    call.apply(0, 20 * MINUTE);
    assert_eq!(call.run(10 * MINUTE), []);
    let looks = call.ends[0].inspections.len();
    assert!((10..=22).contains(&looks), "{looks} looks in ten minutes");
    assert_eq!(call.run(9 * MINUTE), []);
    call.ends[0].inspections.clear();
    assert_eq!(call.run(MINUTE), []);
    let looks = call.ends[0].inspections.len();
    assert!((5..=7).contains(&looks), "{looks} looks in the last minute");
}

#[test]
fn a_connection_that_falls_back_to_a_relay_later_restarts_then() {
    let mut call = Call::one_sided(Policy::Relayed);
    call.ends[0].pair.relayed = false;
    call.apply(0, 10 * MINUTE);
    call.run(2 * MINUTE);
    call.ends[0].pair.relayed = true;
    let (fell, seen) = (call.now, call.run(MINUTE));
    assert_eq!(seen[1].2, Act::Restart);
    assert!(seen[1].0 <= fell + 31 * SECOND);
}

#[test]
fn a_relay_of_old_servers_is_found_before_their_end_however_late_it_is_selected() {
    for left in [60, 40, 16, 9, 6, 4, 3].map(|seconds| seconds * SECOND) {
        let mut call = Call::one_sided(Policy::Relayed);
        call.ends[0].pair.relayed = false;
        call.apply(0, 90 * SECOND);
        let end = call.now + 90 * SECOND;
        assert_eq!(call.run(90 * SECOND - left), []);
        call.ends[0].pair.relayed = true;
        call.run(left);
        let [(at, 0)] = call.restarts()[..] else {
            panic!("{:?} with {left} ms left", call.restarts());
        };
        assert!(end - at >= SECOND && end - at >= (left / 2).min(30 * SECOND) / 2);
    }
}

#[test]
fn a_path_that_outlived_the_old_servers_is_looked_at_every_half_minute() {
    let mut call = Call::one_sided(Policy::Relayed);
    call.ends[0].pair.relayed = false;
    call.apply(0, MINUTE);
    call.run(MINUTE + SECOND);
    call.ends[0].inspections.clear();
    call.run(10 * MINUTE);
    let looks = call.ends[0].inspections.len();
    assert!((19..=20).contains(&looks), "{looks} looks in ten minutes");
}

#[test]
fn always_restarts_unrelayed_connections_and_never_restarts_none() {
    let mut call = Call::one_sided(Policy::Always);
    call.ends[0].pair.relayed = false;
    let began = call.now;
    call.apply(0, 10 * MINUTE);
    call.run(MINUTE);
    assert_eq!(call.restarts(), [(began, 0)]);

    let mut call = Call::one_sided(Policy::Never);
    call.apply(0, 10 * MINUTE);
    call.set_ice(0, Ice::Failed);
    assert_eq!(call.run(10 * MINUTE), []);
}

#[test]
fn a_connection_that_is_not_yet_connected_restarts_once_it_is() {
    let mut call = Call::one_sided(Policy::Relayed);
    call.ends[0] = end(Policy::Relayed, Some(true), "a");
    call.ends[0].facts.ice = Ice::Checking;
    call.observe(0);
    call.apply(0, 10 * MINUTE);
    assert_eq!(call.run(MINUTE), []);
    call.set_ice(0, Ice::Connected);
    let connected = call.now;
    call.run(MINUTE);
    assert_eq!(call.restarts(), [(connected + STATISTICS_MS, 0)]);
}

#[test]
fn a_connection_without_a_generation_needs_no_restart() {
    let mut engine = Connection::new(0, Policy::Always, stamp(1, MINUTE));
    let mut commands = Vec::new();
    engine.observe(Facts::NEW, 0, &mut commands);
    engine.applied(stamp(2, 2 * MINUTE), false, 10);
    assert_eq!(engine.drive(false, &mut proven(), 10, &mut commands), NEVER);
    let offered = Facts {
        signaling: Signaling::HaveLocalOffer,
        ufrag: Some("frag-a0".into()),
        ..Facts::NEW
    };
    engine.observe(offered, 20, &mut commands);
    assert_eq!(engine.gathered_version(), 2);
    engine.drive(false, &mut proven(), 20, &mut commands);
    assert_eq!(commands, []);
}

#[test]
fn nothing_begins_while_an_offer_waits_for_its_answer() {
    let mut call = Call::one_sided(Policy::Relayed);
    call.delay = 20 * SECOND;
    call.offer(0);
    call.apply(0, 10 * MINUTE);
    assert_eq!(call.run(39 * SECOND), []);
    call.run(MINUTE);
    assert_eq!(call.restarts().len(), 1);
    assert_eq!(call.overlaps, []);
}

#[test]
fn a_closed_connection_is_left_alone() {
    let mut call = Call::one_sided(Policy::Always);
    call.ends[0].facts.signaling = Signaling::Closed;
    call.observe(0);
    call.apply(0, 10 * MINUTE);
    assert_eq!(call.run(10 * MINUTE), []);
}

#[test]
fn a_connection_with_foreign_credentials_restarts_once_ours_are_in_force() {
    let mut engine = Connection::new(0, Policy::Relayed, stamp(0, 1_000));
    let mut commands = Vec::new();
    let connected = end(Policy::Relayed, Some(true), "a").facts;
    engine.observe(connected, 1_000, &mut commands);
    engine.applied(stamp(1, 600_000), false, 1_000);
    engine.drive(false, &mut proven(), 1_000, &mut commands);
    assert_eq!(commands, [Command::Act(0, Act::Inspect)]);
    let pair = end(Policy::Relayed, Some(true), "a").pair;
    engine.inspected(EVEN, vec![pair], 1_003, &mut commands);
    // The other end may be about to get its own.
    let mut proof = proven();
    let next = engine.drive(false, &mut proof, 1_003, &mut commands);
    assert_eq!((commands.len(), next), (1, 2_000));
    engine.drive(false, &mut proof, 2_000, &mut commands);
    assert_eq!(commands.last(), Some(&Command::Act(0, Act::Restart)));
}

#[test]
fn a_restart_is_over_only_when_each_transport_runs_on_it() {
    let mut call = Call::one_sided(Policy::Always);
    call.ends[0].negotiates = false;
    call.connects = false;
    call.apply(0, 10 * MINUTE);
    call.offer(0);
    call.run(SECOND);
    let (now, engine) = (call.now, &mut call.ends[0].engine);
    let pair = |id: &str, ufrag: Option<&str>| Pair {
        id: id.into(),
        relayed: true,
        ufrag: ufrag.map(Into::into),
    };
    let mut commands = Vec::new();
    engine.inspected(
        EVEN,
        vec![pair("x", Some("frag-a1")), pair("y", Some("frag-a0"))],
        now,
        &mut commands,
    );
    engine.inspected(EVEN, Vec::new(), now, &mut commands);
    assert_eq!(commands, []);
    engine.inspected(
        EVEN,
        vec![pair("x", Some("frag-a1")), pair("y", Some("frag-a1"))],
        now,
        &mut commands,
    );
    assert_eq!(commands.len(), 1);
}

#[test]
fn where_statistics_name_no_username_fragment_another_pair_ends_the_restart() {
    let mut call = Call::one_sided(Policy::Relayed);
    for end in &mut call.ends {
        end.tells_ufrag = false;
        end.pair.ufrag = None;
    }
    call.apply(0, 10 * MINUTE);
    let began = call.now;
    let seen = call.run(MINUTE);
    assert!(matches!(seen.last(), Some((_, 0, Act::Restarted { .. }))));
    assert!(seen.last().unwrap().0 >= began + 2 * call.delay + CONNECT_MS);
}

const CONTROLLING: Standing = CONTROLLED + 1;

/// This end has that ICE role while the other end's candidate is of a generation before.
fn show_role(call: &mut Call, role: Standing) {
    call.ends[0].standing = role;
}

#[test]
fn a_restart_is_over_only_with_a_candidate_of_the_other_ends_new_generation() {
    // The role that an end has which offered it, and one which answered it.
    for (who, role) in [(0, CONTROLLING), (1, CONTROLLED)] {
        let mut call = Call::one_sided(Policy::Relayed);
        call.connects = false;
        call.app_restarts(who);
        call.run(SECOND);
        // Chromium has paired its new relay with the other end's old one.
        call.ends[0].pair.id = "new with old".into();
        call.ends[0].pair.ufrag = Some("frag-a1".into());
        show_role(&mut call, role);
        assert_eq!(call.run(3 * SECOND), []);
        call.happen(0, Happening::Selected("frag-a1".into()));
        call.run(200);
        assert_eq!(call.told_restarted(), 1, "{role}");
        assert_eq!(call.restarts(), []);
    }
}

#[test]
fn a_restart_that_a_role_conflict_keeps_on_the_old_pair_is_followed_by_another_one() {
    for policy in [Policy::Relayed, Policy::Always] {
        let mut call = Call::one_sided(policy);
        // The other end has a minute before it would be this one's turn, but this one is in the middle of its own.
        call.ends[0].facts.first = Some(false);
        call.observe(0);
        call.connects = false;
        call.apply(0, 2 * MINUTE);
        call.run(61 * SECOND);
        assert_eq!(call.restarts().len(), 1);
        // Controlling still: the answer may be on its way through a slow network.
        show_role(&mut call, CONTROLLING);
        assert_eq!(call.run(2 * SECOND), []);
        show_role(&mut call, CONTROLLED);
        let conflict = call.now;
        let seen = call.run(SECOND);
        // With relays that rank higher: it may have paired a new one with the other end's old one before the answer came.
        let [
            (raised, 0, Act::Raise),
            (told, 0, restarting),
            (at, 0, Act::Restart),
        ] = &seen[..]
        else {
            panic!("{seen:?}");
        };
        assert_eq!(
            *restarting,
            self::restarting(Initiator::Local, Cause::Repair)
        );
        assert_eq!((raised, told), (at, at));
        assert!(
            (conflict + 400..=conflict + 600).contains(at),
            "{}",
            at - conflict
        );
        call.happen(0, Happening::Selected("frag-a2".into()));
        call.run(MINUTE);
        assert_eq!((call.told_restarted(), call.restarts().len()), (1, 2));
    }
}

#[test]
fn a_role_conflict_that_ends_in_time_leads_to_no_other_restart() {
    let mut call = Call::one_sided(Policy::Relayed);
    call.connects = false;
    call.apply(0, 10 * MINUTE);
    call.run(SECOND);
    // Not at so many looks in a row.
    for role in [CONTROLLED, CONTROLLING, CONTROLLED] {
        show_role(&mut call, role);
        assert_eq!(call.run(300), []);
    }
    call.happen(0, Happening::Selected("frag-a1".into()));
    call.run(MINUTE);
    assert_eq!((call.told_restarted(), call.restarts().len()), (1, 1));
}

#[test]
fn the_old_pair_of_an_end_that_answered_a_restart_or_leaves_them_to_the_app_shows_no_conflict() {
    // An answering end is controlled from the start.
    for (policy, relayed, who) in [
        (Policy::Relayed, true, 1),
        (Policy::Never, true, 0),
        (Policy::Relayed, false, 0),
    ] {
        let mut call = Call::one_sided(policy);
        call.ends[0].pair.relayed = relayed;
        call.connects = false;
        call.app_restarts(who);
        show_role(&mut call, CONTROLLED);
        call.run(4 * SECOND);
        assert_eq!(call.restarts(), [], "{policy:?}, relayed: {relayed}");
    }
}

#[test]
fn a_restart_of_the_other_end_that_a_role_conflict_keeps_on_its_old_relay_is_followed_by_one_of_this_end()
 {
    let mut call = Call::one_sided(Policy::Relayed);
    call.connects = false;
    call.app_restarts(1);
    call.run(200);
    // An answering end is controlled, until the other one's first check finds that both are.
    show_role(&mut call, CONTROLLED);
    assert_eq!(call.run(3 * SECOND), []);
    // Not at so many looks in a row: the other end's first relay may not be the one that ranks highest.
    for role in [CONTROLLING, CONTROLLED, CONTROLLING] {
        show_role(&mut call, role);
        assert_eq!(call.run(800), []);
    }
    show_role(&mut call, CONTROLLED);
    assert_eq!(call.run(200), []);
    show_role(&mut call, CONTROLLING);
    let conflict = call.now;
    let seen = call.run(2 * SECOND);
    let again = restarting(Initiator::Local, Cause::Repair);
    let [(_, 0, Act::Raise), (_, 0, told), (at, 0, Act::Restart)] = &seen[..] else {
        panic!("{seen:?}");
    };
    assert_eq!(*told, again);
    assert!(
        (conflict + 900..=conflict + 1_100).contains(at),
        "{}",
        at - conflict
    );
    // It has offered this one: controlling is what it should be.
    assert_eq!(call.run(3 * SECOND), []);
    call.happen(0, Happening::Selected("frag-a2".into()));
    call.run(MINUTE);
    assert_eq!((call.told_restarted(), call.restarts().len()), (1, 1));
}

#[test]
fn a_restart_after_a_role_conflict_leaves_firefox_twice_the_time_that_the_last_one_took() {
    // Firefox gathers longer at each restart, and ends the call if another offer comes meanwhile.
    // Five seconds at the most: an idle channel may keep a restart from its end for half a minute.
    for (delay, least) in [(10, SECOND), (450, 0), (1_250, 0), (2_000, 0)] {
        let mut call = Call::one_sided(Policy::Relayed);
        call.delay = delay;
        call.apply(0, 10 * MINUTE);
        call.run(MINUTE);
        let duration = call.log.iter().find_map(|(.., act)| match act {
            Act::Restarted { duration, .. } => Some(*duration),
            _ => None,
        });
        let wait = (2 * duration.unwrap()).min(5 * SECOND);
        assert_eq!(wait < SECOND, least > 0);
        call.delay = 10;
        call.connects = false;
        call.apply(0, 10 * MINUTE);
        call.run(1);
        show_role(&mut call, CONTROLLED);
        call.run(6 * SECOND);
        let [_, (began, _), (again, _), ..] = call.restarts()[..] else {
            panic!("{:?}", call.log);
        };
        assert_eq!(again - began, wait.max(least), "{delay}");
    }
}

#[test]
fn role_conflicts_without_end_are_not_answered_by_restarts_without_end() {
    let mut call = Call::one_sided(Policy::Relayed);
    call.connects = false;
    call.apply(0, 10 * MINUTE);
    call.run(200);
    show_role(&mut call, CONTROLLED);
    call.run(MINUTE);
    let restarts = call.restarts().len();
    assert!((2..=4).contains(&restarts), "{restarts}");
}

// ---- two ends ------------------------------------------------------------------------------------------------------

#[test]
fn the_other_ends_restart_after_our_servers_were_applied_makes_ours_unnecessary() {
    let mut call = Call::new(Policy::Relayed);
    call.apply(1, 10 * MINUTE);
    call.run(SECOND);
    call.apply(0, 10 * MINUTE);
    let seen = call.run(20 * MINUTE);
    assert_eq!(call.restarts().len(), 1, "{seen:?}");
    assert_eq!(call.restarts()[0].1, 0);
    assert!(seen.iter().any(|(_, who, act)| *who == 1
        && matches!(
            act,
            Act::Restarting {
                initiator: Initiator::Remote,
                cause: Cause::Other
            }
        )));
    assert!(seen.iter().any(|(_, who, act)| *who == 1
        && matches!(
            act,
            Act::Restarted {
                initiator: Initiator::Remote,
                ..
            }
        )));
}

#[test]
fn the_other_ends_restart_before_our_servers_were_applied_does_not_count() {
    let mut call = Call::new(Policy::Relayed);
    call.apply(0, 10 * MINUTE);
    call.run(10 * SECOND);
    let applied = call.now;
    call.apply(1, 10 * MINUTE);
    call.run(20 * MINUTE);
    let restarts = call.restarts();
    assert_eq!(restarts.len(), 2);
    assert_eq!(
        restarts[1],
        (applied + 5 * MINUTE, 1),
        "at half of the margin"
    );
    assert_eq!(call.overlaps, []);
}

#[test]
fn the_second_end_steps_in_at_half_of_the_remaining_margin() {
    for (margin, wait) in [
        (60 * MINUTE, 30 * MINUTE),
        (10 * SECOND, 5 * SECOND),
        (4 * SECOND, 2 * SECOND),
        // Never so soon that it would meet the first end's.
        (SECOND, SECOND),
    ] {
        let mut call = Call::new(Policy::Relayed);
        call.ends[0].engaged = false;
        let applied = call.now;
        call.apply(1, margin);
        call.run(40 * MINUTE);
        assert_eq!(call.restarts(), [(applied + wait, 1)], "margin {margin}");
    }
}

#[test]
fn the_second_end_steps_in_sooner_by_what_the_last_restart_took_in_firefox() {
    for (shows_pair, sooner) in [(false, 3_100), (true, 0)] {
        let mut call = Call::one_sided(Policy::Relayed);
        call.ends[0].facts.first = Some(false);
        call.ends[0].tells_ufrag = false;
        call.observe(0);
        call.connects = false;
        call.app_restarts(1);
        call.ends[0].shows_pair = shows_pair;
        call.run(3_050);
        call.ends[0].shows_pair = true;
        call.happen(0, Happening::Selected("frag-a1".into()));
        call.run(MINUTE);
        assert_eq!(call.told_restarted(), 1);
        let applied = call.now;
        call.apply(0, MINUTE);
        call.connects = true;
        call.run(MINUTE);
        let [(at, 0)] = call.restarts()[..] else {
            panic!("{:?}", call.restarts());
        };
        let expected = applied + 30 * SECOND - sooner;
        assert!(at.abs_diff(expected) < 200, "{at} is not about {expected}");
    }
}

#[test]
fn after_a_lapse_the_other_end_gets_a_second_for_its_own_fresh_credential() {
    // Both ends woke up together. In Firefox a restart against an end whose credential is dead ends the call.
    for (who, wait) in [(0, SECOND), (1, 4 * SECOND)] {
        let mut call = Call::new(Policy::Relayed);
        call.ends[1 - who].engaged = false;
        let applied = call.now;
        call.apply(who, 0);
        call.run(40 * MINUTE);
        assert_eq!(call.restarts(), [(applied + wait, who)]);
    }
}

#[test]
fn servers_that_came_after_failures_wait_for_the_other_end_for_a_third_of_the_margin_or_three_seconds_or_seven_with_firefox()
 {
    // In Firefox a restart that the other end answers with an expired credential ends the call.
    for (firefox, margin, wait) in [
        (0, 10 * MINUTE, 3_000),
        (0, 9_003, 3_000),
        (0, 8_997, 2_999),
        (0, 3_000, 1_000),
        (0, 0, 3_000),
        (1, 10 * MINUTE, 7_000),
        (-1, 10 * MINUTE, 7_000),
        (-1, 20_997, 6_999),
        (-1, 0, 7_000),
    ] {
        let mut call = Call::one_sided(Policy::Relayed);
        call.ends[0].facts.firefox = firefox;
        call.observe(0);
        let now = call.now;
        let end = &mut call.ends[0];
        end.engine.restamp(stamp(end.version, now + margin));
        end.version += 1;
        end.engine
            .applied(stamp(end.version, now + HOUR), true, now);
        call.drive(0);
        call.run(MINUTE);
        assert_eq!(call.restarts(), [(now + wait, 0)], "{firefox} {margin}");
    }
}

#[test]
fn an_end_that_does_not_know_who_goes_first_goes_at_once() {
    let mut call = Call::new(Policy::Always);
    call.ends[0].engaged = false;
    call.ends[1].facts.first = None;
    call.observe(1);
    let applied = call.now;
    call.apply(1, 10 * MINUTE);
    assert_eq!(call.restarts(), [(applied, 1)]);
}

#[test]
fn the_apps_own_restart_counts() {
    let mut call = Call::new(Policy::Relayed);
    call.apply(1, 10 * MINUTE);
    call.run(SECOND);
    call.app_restarts(1);
    let seen = call.run(20 * MINUTE);
    assert_eq!(call.restarts(), []);
    let told: Vec<&Act> = seen
        .iter()
        .filter(|(_, who, _)| *who == 1)
        .map(|(.., act)| act)
        .collect();
    assert_eq!(told[0], &restarting(Initiator::Local, Cause::Other));
    assert!(matches!(
        told[1],
        Act::Restarted {
            initiator: Initiator::Local,
            ..
        }
    ));
    assert_eq!(told.len(), 2);
}

#[test]
fn an_offer_that_is_rolled_back_for_the_other_ends_restart_is_not_made_again() {
    let mut call = Call::new(Policy::Always);
    call.delay = 200;
    call.apply(1, 10 * MINUTE);
    call.apply(0, 10 * MINUTE);
    // The polite end's app restarts at the very same moment.
    call.app_restarts(1);
    call.run(20 * MINUTE);
    assert_eq!(call.restarts().len(), 1);
    assert!(call.is_on_generation(0, 1) && call.is_on_generation(1, 2));
}

#[test]
fn a_restart_that_is_rolled_back_for_a_plain_renegotiation_still_comes() {
    let mut call = Call::new(Policy::Always);
    call.ends[0].engaged = false;
    call.ends[1].facts.first = Some(true);
    call.observe(1);
    call.delay = 200;
    call.apply(1, 10 * MINUTE);
    call.run(5);
    // The other end adds a track: its offer is no restart.
    call.offer(0);
    call.run(MINUTE);
    assert!(call.is_on_generation(1, call.ends[1].generations));
    assert_eq!(call.ends[1].engine.gathered_version(), 2);
    assert_eq!(call.ends[1].facts.signaling, Signaling::Stable);
    let settled = call.log.len();
    call.run(20 * MINUTE);
    assert_eq!(call.log.len(), settled, "no end to it: {:?}", call.log);
    // The browser remembers it by itself.
    assert_eq!(call.restarts().len(), 1);
}

#[test]
fn two_ends_never_restart_at_once_however_their_refreshes_fall() {
    for delay in [1, 20, 100, 500] {
        for offset in (0..3_000).step_by(50) {
            for earlier in [0, 1] {
                let mut call = Call::new(Policy::Relayed);
                call.delay = delay;
                call.apply(earlier, MINUTE);
                call.run(offset);
                call.apply(1 - earlier, MINUTE);
                call.run(10 * MINUTE);
                let restarts = call.restarts();
                assert_eq!(
                    call.overlaps,
                    [],
                    "delay {delay}, offset {offset}: {restarts:?}"
                );
                assert!((1..=2).contains(&restarts.len()), "{restarts:?}");
                for end in &call.ends {
                    assert_eq!(end.engine.gathered_version(), 2);
                }
            }
        }
    }
}

#[test]
fn nothing_begins_at_any_moment_of_a_restart_of_the_other_ends_app() {
    for offset in (0..2_000).step_by(20) {
        let mut call = Call::new(Policy::Relayed);
        call.ends[0].engaged = false;
        call.ends[1].facts.first = Some(true);
        call.observe(1);
        call.app_restarts(0);
        // Before its offer is here nobody can know.
        call.run(call.delay + 1 + offset);
        call.apply(1, MINUTE);
        call.run(MINUTE);
        assert_eq!(call.overlaps, [], "offset {offset}: {:?}", call.log);
        assert_eq!(call.ends[1].engine.gathered_version(), 2);
    }
}

#[test]
fn two_ends_that_lose_their_path_do_not_repair_it_at_once() {
    for offset in (0..2_300).step_by(50) {
        for earlier in [0, 1] {
            for fetching in [[false, false], [true, false], [true, true]] {
                let mut call = Call::new(Policy::Relayed);
                call.delay = 200;
                call.ends[0].fetching = fetching[0];
                call.ends[1].fetching = fetching[1];
                call.set_ice(earlier, Ice::Disconnected);
                call.run(offset);
                call.set_ice(1 - earlier, Ice::Disconnected);
                call.run(MINUTE);
                // The first end waits at most 3.5 s, the second at least 5 s.
                if earlier == 0 || offset <= 1_000 {
                    assert_eq!(call.overlaps, [], "offset {offset}: {:?}", call.log);
                    assert_eq!(call.restarts().len(), 1, "{:?}", call.restarts());
                }
            }
        }
    }
}

// ---- one restart at a time -----------------------------------------------------------------------------------------

#[test]
fn a_restart_is_followed_by_a_second_of_rest() {
    let mut call = Call::one_sided(Policy::Always);
    call.apply(0, 10 * MINUTE);
    let seen = call.run(2 * SECOND);
    let done = seen.last().unwrap().0;
    let mut call = Call::one_sided(Policy::Always);
    call.apply(0, 10 * MINUTE);
    call.run(done - call.now + 1);
    call.apply(0, 10 * MINUTE);
    call.run(MINUTE);
    assert_eq!(call.restarts()[1], (done + SECOND, 0));
}

#[test]
fn a_second_of_rest_is_not_cut_short_by_servers_that_came_after_failures() {
    let mut call = Call::one_sided(Policy::Always);
    call.apply(0, 10 * MINUTE);
    let done = call.run(2 * SECOND).last().unwrap().0;
    let mut call = Call::one_sided(Policy::Always);
    call.apply(0, 10 * MINUTE);
    call.run(done - call.now + 1);
    // A third of what is left is less than the rest.
    let engine = &mut call.ends[0].engine;
    engine.restamp(stamp(2, call.now + 1_500));
    engine.applied(stamp(3, call.now + 10 * MINUTE), true, call.now);
    call.drive(0);
    call.run(MINUTE);
    assert_eq!(call.restarts()[1], (done + SECOND, 0));
}

#[test]
fn servers_applied_at_any_moment_of_our_own_restart_lead_to_one_more() {
    for offset in (0..2_000).step_by(20) {
        let mut call = Call::one_sided(Policy::Relayed);
        call.apply(0, 10 * MINUTE);
        call.run(offset);
        call.apply(0, 10 * MINUTE);
        call.run(MINUTE);
        assert_eq!(call.overlaps, [], "offset {offset}");
        assert_eq!(call.ends[0].engine.gathered_version(), 3);
        let restarts = call.restarts().len();
        assert!((1..=2).contains(&restarts), "offset {offset}: {restarts}");
    }
}

#[test]
fn a_gathering_that_never_completes_blocks_for_five_seconds_only() {
    let mut call = Call::one_sided(Policy::Relayed);
    call.ends[0].gathering_completes = false;
    call.apply(0, 10 * MINUTE);
    call.run(SECOND);
    let first = call.restarts()[0].0;
    call.apply(0, 10 * MINUTE);
    call.run(MINUTE);
    assert_eq!(call.restarts()[1], (first + 5 * SECOND, 0));
}

#[test]
fn a_restart_that_does_not_connect_is_looked_at_less_often_after_fifteen_seconds() {
    let mut call = Call::one_sided(Policy::Relayed);
    call.connects = false;
    call.apply(0, 10 * MINUTE);
    let began = call.now;
    call.run(MINUTE);
    assert_eq!(call.restarts().len(), 1);
    let polls = call.ends[0].inspections.clone();
    let during = |from, to| polls.iter().filter(|at| (from..to).contains(*at)).count();
    assert!(during(began, began + 15 * SECOND) > 100);
    // Until it is given up, and its relays are to be raised.
    assert_eq!(during(began + 16 * SECOND, began + 42 * SECOND), 5);
    assert_eq!(during(began + 42 * SECOND, call.now), 0);

    // The old pair lives on; the next servers get their restart all the same.
    call.connects = true;
    call.apply(0, 10 * MINUTE);
    let seen = call.run(MINUTE);
    assert!(
        matches!(seen.last(), Some((_, 0, Act::Restarted { .. }))),
        "{seen:?}"
    );
}

#[test]
fn a_restart_that_does_not_connect_keeps_fresh_servers_waiting_for_the_life_of_its_credential_only()
{
    // Two laptops wake up: the one that has its fresh credential first restarts, and the other answers with a dead one, or with
    // one that dies before a path is found.
    for left in [MINUTE, 6 * SECOND, 0] {
        let mut call = Call::one_sided(Policy::Relayed);
        call.connects = false;
        let expires = call.now + left;
        call.ends[0].engine.restamp(stamp(1, expires));
        call.set_ice(0, Ice::Checking);
        call.app_restarts(1);
        call.run(200);
        // The offer is made after 1 ms, and answered when it arrives.
        let negotiated = call.now - 200 + 1 + call.delay;
        let until = call.ends[0].engine.busy_until(call.now);
        let (least, most) = (negotiated + SECOND, negotiated + 15 * SECOND);
        assert_eq!(until, expires.clamp(least, most));
    }
}

#[test]
fn relays_are_raised_where_a_restart_leaves_a_pair_of_before_selected() {
    for policy in [Policy::Relayed, Policy::Always, Policy::Never] {
        let mut call = Call::one_sided(policy);
        call.connects = false;
        call.apply(0, 10 * MINUTE);
        if policy == Policy::Never {
            call.ends[0].armed = true;
            call.offer(0);
        }
        let negotiated = call.now + 1 + 2 * call.delay;
        call.run(MINUTE);
        let raises: Vec<_> = call
            .log
            .iter()
            .filter(|(.., act)| *act == Act::Raise)
            .collect();
        if policy == Policy::Never {
            assert_eq!(raises, [] as [&(u64, usize, Act); 0]);
            continue;
        }
        let [(at, ..)] = raises[..] else {
            panic!("{raises:?}");
        };
        let waited = at - negotiated;
        assert!((35_000..40_200).contains(&waited), "{waited}");
        // They are applied again; the other end has a few seconds for the same.
        assert_eq!(call.ends[0].engine.offered, 0);
        let (end, now) = (&mut call.ends[0], call.now);
        end.engine
            .applied(stamp(end.version, now + HOUR), false, now);
        call.connects = true;
        call.drive(0);
        call.run(MINUTE);
        assert_eq!(call.restarts()[1..], [(now + 3 * SECOND, 0)]);
        assert_eq!(call.told_restarted(), 1);
        assert_eq!(call.told(&Act::Raise), 1);
    }
}

#[test]
fn a_restart_whose_offer_waits_for_its_answer_is_not_looked_at() {
    let mut call = Call::one_sided(Policy::Relayed);
    call.delay = HOUR;
    call.app_restarts(0);
    call.run(100);
    let before = call.ends[0].inspections.len();
    call.run(MINUTE);
    assert_eq!(call.ends[0].inspections.len(), before);
}

#[test]
fn relays_are_not_raised_for_a_pair_that_is_not_relayed_or_gone_or_interrupted() {
    for case in 0..4 {
        let mut call = Call::one_sided(Policy::Always);
        call.connects = false;
        call.apply(0, 10 * MINUTE);
        call.run(SECOND);
        match case {
            0 => call.ends[0].pair.relayed = false,
            1 => call.ends[0].shows_pair = false,
            2 => call.set_ice(0, Ice::Disconnected),
            _ => {}
        }
        call.run(20 * SECOND);
        let mut commands = Vec::new();
        call.ends[0].engine.raise(5_000, call.now, &mut commands);
        let wanted = if case == 3 { vec![Act::Raise] } else { vec![] };
        assert_eq!(acts(commands), wanted, "{case}");
    }
}

/// Whether the relays are raised, asked with this patience.
fn raises(engine: &mut Connection, patience: u64, now: u64) -> bool {
    let mut commands = Vec::new();
    engine.raise(patience, now, &mut commands);
    acts(commands) == [Act::Raise]
}

#[test]
fn relays_are_raised_for_new_servers_once_a_restart_has_left_the_pair_of_before_for_five_seconds() {
    let mut call = Call::one_sided(Policy::Relayed);
    call.connects = false;
    call.apply(0, 10 * MINUTE);
    assert!(!raises(&mut call.ends[0].engine, 5_000, call.now));
    call.run(SECOND);
    let negotiated = call.restarts()[0].0 + 1 + 2 * call.delay;
    let engine = &mut call.ends[0].engine;
    assert!(!raises(engine, 5_000, negotiated + 4_999));
    assert!(raises(engine, 5_000, negotiated + 5_000));
    // Once for each restart.
    engine.offer(2);
    assert!(!raises(engine, 5_000, negotiated + 5_001));
    assert_eq!(engine.gathered_version(), 0);
}

#[test]
fn an_end_knows_by_the_descriptions_that_the_other_one_alone_is_firefox() {
    let chromium = "v=0\r\na=ice-ufrag:Eo5t\r\na=fingerprint:sha-256 AB:CD\r\n";
    let firefox = "v=0\r\na=ice-ufrag:08fcc682\r\na=fingerprint:sha-256 12:0F\r\n";
    let other = chromium.replace("AB", "AC");
    for (local, remote, first, mixed) in [
        (chromium, firefox, Some(false), true),
        (firefox, chromium, Some(true), false),
        (chromium, other.as_str(), Some(true), false),
        (other.as_str(), chromium, Some(false), false),
        (chromium, "", None, false),
    ] {
        let facts = Facts::read(Signaling::Stable, Ice::New, false, false, local, remote);
        assert_eq!((facts.first, facts.firefox > 0), (first, mixed));
    }
    let fragment = |remote: &str| {
        Facts::read(Signaling::Stable, Ice::New, false, false, chromium, remote).firefox
    };
    assert_ne!(
        fragment(firefox),
        fragment(&firefox.replace("08fcc682", "08fcc683"))
    );
}

#[test]
fn towards_firefox_relays_are_raised_for_new_servers_though_nothing_is_wrong() {
    for mixed in [true, false] {
        let mut call = Call::one_sided(Policy::Relayed);
        call.ends[0].facts.firefox = if mixed { 1 } else { -1 };
        call.observe(0);
        call.apply(0, 10 * MINUTE);
        call.run(MINUTE);
        assert_eq!(call.told_restarted(), 1);
        let raise = |call: &mut Call, patience| {
            let engine = &mut call.ends[0].engine;
            let raised = raises(engine, patience, call.now);
            // Once more only when they were handed over.
            assert!(!raised || !raises(engine, patience, call.now));
            engine.offer(2);
            raised
        };
        // Only then, and not whenever the pairs are looked at.
        assert!(!raise(&mut call, 35_000));
        // Nor while there is no path.
        call.set_ice(0, Ice::Checking);
        assert!(!raise(&mut call, 5_000));
        call.set_ice(0, Ice::Connected);
        for nth in 0..20 {
            assert_eq!(raise(&mut call, 5_000), mixed && nth < 16, "{mixed} {nth}");
        }
    }
}

#[test]
fn raised_relays_go_into_an_answer_to_firefox_alone() {
    for (firefox, signaling, offered, takes) in [
        (1, Signaling::HaveRemoteOffer, 0, true),
        (1, Signaling::HaveRemoteOffer, 1, false),
        (1, Signaling::HaveLocalOffer, 0, false),
        (0, Signaling::HaveRemoteOffer, 0, false),
        (-1, Signaling::HaveRemoteOffer, 0, false),
    ] {
        let mut call = Call::one_sided(Policy::Relayed);
        call.ends[0].facts.firefox = firefox;
        call.ends[0].facts.signaling = signaling;
        call.observe(0);
        let engine = &mut call.ends[0].engine;
        engine.offered = offered;
        let busy = engine.busy_until(call.now);
        assert_eq!(engine.takes_now(busy, call.now), takes);
        assert!(engine.takes_now(call.now, call.now));
    }
}

#[test]
fn relays_are_raised_sixteen_times_at_the_most() {
    let mut call = Call::one_sided(Policy::Relayed);
    call.connects = false;
    for _ in 0..30 {
        call.apply(0, 10 * MINUTE);
        call.run(MINUTE);
    }
    assert_eq!(call.told(&Act::Raise), 16);
}

/// A call in Firefox whose restarts take that long to select a pair, one after the other; how often the loss of its connection is
/// told after each.
fn lost_after(waits: &[u64], shows_pair: bool) -> Vec<usize> {
    let mut call = Call::one_sided(Policy::Relayed);
    let mut told = Vec::new();
    for (number, wait) in waits.iter().enumerate() {
        call.ends[0].tells_ufrag = false;
        call.connects = false;
        call.apply(0, 10 * MINUTE);
        call.ends[0].shows_pair = shows_pair;
        call.run(1 + 2 * call.delay + wait);
        call.ends[0].shows_pair = true;
        call.happen(0, Happening::Selected(format!("frag-a{}", number + 1)));
        call.run(MINUTE);
        assert_eq!(call.told_restarted(), number + 1);
        told.push(call.told(&Act::Lost));
    }
    // Until it is replaced it goes on like any other.
    assert_eq!(call.restarts().len(), waits.len());
    told
}

#[test]
fn a_connection_whose_restarts_take_ever_longer_in_firefox_is_told_of_once_before_one_ends_it() {
    assert_eq!(
        lost_after(&[1_000, 2_100, 3_200, 4_300, 4_500], false),
        [0, 0, 0, 1, 1]
    );
    // A single one that took long had another cause.
    assert_eq!(lost_after(&[300, 4_500, 300, 4_500], false), [0; 4]);
    assert_eq!(lost_after(&[2_100, 3_700, 3_800], false), [0; 3]);
    // Elsewhere the pair of before stays selected meanwhile.
    assert_eq!(lost_after(&[1_000, 2_100, 3_200, 4_300], true), [0; 4]);
}

#[test]
fn a_restart_whose_pair_stays_unselected_while_the_path_works_is_over_after_five_seconds() {
    // Chromium's controlled end keeps the old pair as long as nothing at all comes over the new one.
    let mut call = Call::one_sided(Policy::Relayed);
    call.connects = false;
    call.apply(0, 10 * MINUTE);
    call.run(SECOND);
    let negotiated = call.restarts()[0].0 + 1 + 2 * call.delay;
    call.apply(0, 10 * MINUTE);
    call.run(MINUTE);
    let second = call.restarts()[1].0;
    assert_eq!(second, negotiated + 5 * SECOND);

    // What is selected late still ends it.
    let mut call = Call::one_sided(Policy::Relayed);
    call.connects = false;
    call.apply(0, 10 * MINUTE);
    call.run(10 * SECOND);
    assert_eq!(call.told_restarted(), 0);
    call.happen(0, Happening::Selected("frag-a1".into()));
    call.run(SECOND);
    assert_eq!(call.told_restarted(), 1);
}

#[test]
fn a_restart_that_firefox_neither_connects_nor_gives_up_is_told_as_the_end_of_the_connection() {
    // Its relays were revoked as it began: the browser says connected, names no pair, and a further restart would end
    // what still comes through. `life`: of their credential after the answer, if it ends soon.
    for (life, wait) in [
        (None, 15 * SECOND),
        (Some(5 * SECOND), 15 * SECOND),
        (Some(5 * SECOND - 1), 5 * SECOND),
    ] {
        let mut call = Call::one_sided(Policy::Relayed);
        call.ends[0].tells_ufrag = false;
        call.connects = false;
        call.apply(0, 10 * MINUTE);
        call.run(10);
        let negotiated = call.restarts()[0].0 + 1 + 2 * call.delay;
        call.ends[0].shows_pair = false;
        call.run(100);
        call.apply(0, 10 * MINUTE);
        if let Some(life) = life {
            call.ends[0].engine.restamp(stamp(2, negotiated + life));
        }
        let lost = (negotiated + wait, 0, Act::Lost);
        assert_eq!(call.run(10 * MINUTE), [lost]);
        assert_eq!(call.restarts().len(), 1);
    }
}

#[test]
fn a_doomed_connection_is_told_of_after_the_fetch_and_not_restarted_before() {
    let mut call = Call::one_sided(Policy::Relayed);
    call.ends[0].tells_ufrag = false;
    call.connects = false;
    call.apply(0, 10 * MINUTE);
    call.run(10);
    call.ends[0].shows_pair = false;
    call.ends[0].fetching = true;
    call.run(100);
    call.apply(0, 10 * MINUTE);
    assert_eq!(call.run(MINUTE), []);
    call.ends[0].fetching = false;
    call.drive(0);
    assert_eq!(call.told(&Act::Lost), 1);
    assert_eq!(call.restarts().len(), 1);
}

#[test]
fn a_pair_that_firefox_selects_late_ends_its_restart() {
    let mut call = Call::one_sided(Policy::Relayed);
    call.ends[0].tells_ufrag = false;
    call.connects = false;
    call.apply(0, 10 * MINUTE);
    call.ends[0].shows_pair = false;
    call.run(14 * SECOND);
    call.ends[0].shows_pair = true;
    call.happen(0, Happening::Selected("frag-a1".into()));
    call.run(MINUTE);
    assert_eq!(call.told_restarted(), 1);
    assert_eq!(call.told(&Act::Lost), 0);
}

#[test]
fn a_restart_that_firefox_slept_through_has_its_time_after_the_sleep() {
    for (revoked, selects) in [(false, true), (false, false), (true, true), (true, false)] {
        let mut call = Call::one_sided(Policy::Relayed);
        call.ends[0].tells_ufrag = false;
        call.connects = false;
        call.apply(0, 10 * MINUTE);
        call.ends[0].shows_pair = false;
        call.run(SECOND);
        if revoked {
            call.ends[0].engine.restamp(stamp(2, call.now));
        }
        call.now += MINUTE;
        let woke = call.now;
        call.drive(0);
        call.run(2 * SECOND);
        assert_eq!(call.told(&Act::Lost), 0);
        if selects {
            call.ends[0].shows_pair = true;
            call.happen(0, Happening::Selected("frag-a1".into()));
        }
        call.run(MINUTE);
        assert_eq!(call.told_restarted(), usize::from(selects));
        assert_eq!(call.told(&Act::Lost), usize::from(!selects));
        if let Some((at, ..)) = call.log.iter().find(|(_, _, act)| *act == Act::Lost) {
            let wait = if revoked { 5 } else { 15 } * SECOND;
            assert!((wait..wait + 110).contains(&(at - woke)), "{at}");
        }
    }
}

#[test]
fn servers_applied_during_a_restart_that_does_not_connect_wait_until_it_is_over() {
    for completes in [true, false] {
        let mut call = Call::one_sided(Policy::Relayed);
        call.connects = false;
        call.apply(0, 10 * MINUTE);
        call.run(SECOND);
        let negotiated = call.restarts()[0].0 + 1 + 2 * call.delay;
        call.set_ice(0, Ice::Disconnected);
        // Nor does a gathering that goes on forever end it sooner.
        call.ends[0].facts.gathering = !completes;
        call.observe(0);
        call.connects = true;
        call.apply(0, 10 * MINUTE);
        call.run(MINUTE);
        let restarts = call.restarts();
        assert_eq!(restarts.len(), 2);
        assert!((negotiated + 15 * SECOND..negotiated + 15_200).contains(&restarts[1].0));
    }
}

#[test]
fn a_restart_that_no_offer_follows_is_told_as_stalled_and_not_asked_for_again() {
    let mut call = Call::one_sided(Policy::Always);
    call.ends[0].negotiates = false;
    let began = call.now;
    call.apply(0, 10 * MINUTE);
    for _ in 0..4 {
        // Looked at for any other reason, it is not asked for once more.
        call.drive(0);
        assert_eq!(call.ends[0].wake, Some(began + 5 * SECOND));
        assert_eq!(call.run(SECOND), []);
    }
    assert_eq!(
        call.run(10 * MINUTE),
        [(began + 5 * SECOND, 0, Act::Stalled)],
        "after what was asked for at once"
    );
    assert_eq!(call.restarts(), [(began, 0)]);

    // The app's late offer is followed like any other.
    call.offer(0);
    let seen = call.run(MINUTE);
    assert_eq!(
        seen[0].2,
        Act::Restarted {
            initiator: Initiator::Local,
            duration: seen[0].2.duration()
        }
    );

    // The next servers are a new occasion.
    call.apply(0, 10 * MINUTE);
    assert_eq!(call.restarts().len(), 2);
}

trait Duration {
    fn duration(&self) -> u64;
}

impl Duration for Act {
    fn duration(&self) -> u64 {
        match self {
            Act::Restarted { duration, .. } => *duration,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn after_a_stalled_restart_the_other_ends_restart_makes_a_new_start() {
    let mut call = Call::new(Policy::Always);
    call.ends[1].engaged = false;
    call.ends[0].negotiates = false;
    call.apply(0, 10 * MINUTE);
    call.run(10 * SECOND);
    assert_eq!(call.told(&Act::Stalled), 1);
    call.app_restarts(1);
    call.run(MINUTE);
    call.set_ice(0, Ice::Disconnected);
    call.run(3 * SECOND);
    assert_eq!(call.restarts().len(), 2);
}

#[test]
fn a_restart_whose_offer_has_no_answer_is_told_as_stalled_once() {
    let mut call = Call::one_sided(Policy::Always);
    call.delay = MINUTE;
    call.apply(0, 10 * MINUTE);
    let began = call.restarts()[0].0;
    call.run(14 * SECOND);
    assert_eq!(call.told(&Act::Stalled), 0);
    call.drive(0);
    assert_eq!(call.ends[0].wake, Some(began + 15 * SECOND));
    let seen = call.run(MINUTE);
    assert_eq!(seen, [(began + 15 * SECOND, 0, Act::Stalled)]);

    // The late answer ends it like any other, and a break is repaired again.
    call.delay = 20;
    call.run(2 * MINUTE);
    assert_eq!(call.told_restarted(), 1);
    call.set_ice(0, Ice::Disconnected);
    call.run(10 * SECOND);
    assert_eq!(call.restarts().len(), 2);
}

#[test]
fn a_restart_whose_unanswered_offer_is_rolled_back_is_asked_for_again() {
    let mut call = Call::one_sided(Policy::Always);
    call.delay = HOUR;
    call.apply(0, 10 * MINUTE);
    call.run(MINUTE);
    assert_eq!(call.told(&Act::Stalled), 1);
    call.ends[0].facts.ufrag = Some(call.ends[0].current.clone());
    call.ends[0].facts.signaling = Signaling::Stable;
    call.ends[0].facts.gathering = false;
    call.observe(0);
    assert_eq!(call.restarts().len(), 2);
}

#[test]
fn a_first_offer_may_wait_for_its_answer_as_long_as_it_takes() {
    let mut call = Call::one_sided(Policy::Always);
    call.ends[0].engine = Connection::new(0, Policy::Always, stamp(1, 100 * MINUTE));
    call.ends[0].facts.signaling = Signaling::HaveLocalOffer;
    call.ends[0].facts.ice = Ice::New;
    call.observe(0);
    assert_eq!(call.run(HOUR), []);
}

#[test]
fn a_restart_that_was_asked_for_is_not_credited_with_the_other_ends_offer() {
    let mut call = Call::one_sided(Policy::Always);
    call.ends[0].negotiates = false;
    call.apply(0, 10 * MINUTE);
    let asked = call.now;
    call.run(SECOND);
    call.app_restarts(1);
    let seen = call.run(MINUTE);
    let told: Vec<&Act> = seen.iter().map(|(.., act)| act).collect();
    assert_eq!(told[0], &restarting(Initiator::Remote, Cause::Other));
    let Act::Restarted {
        initiator: Initiator::Remote,
        duration,
    } = told[1]
    else {
        panic!("{told:?}");
    };
    assert!(
        seen[1].0 - duration > asked + SECOND,
        "counted from that offer"
    );
    assert_eq!(told.len(), 2, "and nothing stalled");
}

#[test]
fn a_failure_from_before_the_restart_does_not_end_it_early() {
    let mut call = Call::one_sided(Policy::Relayed);
    call.connects = false;
    call.set_ice(0, Ice::Failed);
    call.run(100);
    // Failing once more after the restart was negotiated ends it at once.
    call.set_ice(0, Ice::Checking);
    call.run(5 * SECOND);
    assert_eq!(call.restarts().len(), 1);
    let failed = call.now;
    call.set_ice(0, Ice::Failed);
    call.run(SECOND);
    assert_eq!(call.restarts()[1], (failed, 0));
}

#[test]
fn a_failure_while_an_offer_waits_is_one_of_the_old_generation() {
    let mut call = Call::one_sided(Policy::Always);
    call.connects = false;
    call.delay = 2 * SECOND;
    call.apply(0, 10 * MINUTE);
    call.run(SECOND);
    call.set_ice(0, Ice::Failed);
    call.run(15 * SECOND);
    assert_eq!(call.restarts().len(), 1, "the restart still has its time");
}

#[test]
fn a_connection_that_is_not_connected_is_not_polled_for_its_pair() {
    let mut call = Call::one_sided(Policy::Relayed);
    call.ends[0] = end(Policy::Relayed, Some(true), "a");
    call.ends[0].facts.ice = Ice::Checking;
    call.observe(0);
    call.apply(0, 10 * MINUTE);
    call.run(10 * MINUTE);
    assert!(
        call.ends[0].inspections.len() <= 2,
        "{:?}",
        call.ends[0].inspections
    );
}

#[test]
fn a_rolled_back_generation_gives_back_the_one_before_with_its_servers() {
    let mut engine = Connection::new(0, Policy::Never, stamp(1, MINUTE));
    let mut commands = Vec::new();
    let stable = end(Policy::Never, None, "a").facts;
    engine.observe(stable.clone(), 0, &mut commands);
    engine.applied(stamp(2, 2 * MINUTE), false, 10);
    let offered = Facts {
        signaling: Signaling::HaveLocalOffer,
        ufrag: Some("frag-a1".into()),
        ..stable.clone()
    };
    engine.observe(offered, 20, &mut commands);
    assert_eq!(engine.gathered_version(), 2);
    engine.observe(stable, 30, &mut commands);
    assert_eq!(engine.gathered_version(), 1);
    assert_eq!(acts(commands), [restarting(Initiator::Local, Cause::Other)]);
}

#[test]
fn a_pair_selected_while_the_offer_waits_for_its_answer_does_not_end_the_restart() {
    // It belongs to the old generation; where statistics name no username fragment it looks like one of the new.
    let mut call = Call::one_sided(Policy::Relayed);
    call.ends[0].tells_ufrag = false;
    call.ends[0].pair.ufrag = None;
    call.delay = MINUTE;
    call.apply(0, 10 * MINUTE);
    call.run(SECOND);
    call.ends[0].pair.id = "another".into();
    call.set_ice(0, Ice::Disconnected);
    call.set_ice(0, Ice::Connected);
    call.run(SECOND);
    assert_eq!(call.told_restarted(), 0);
}

#[test]
fn an_offer_that_replaces_one_and_is_rolled_back_gives_back_the_generation_before_both() {
    let mut call = Call::one_sided(Policy::Relayed);
    call.apply(0, 10 * MINUTE);
    call.run(10 * SECOND);
    let current = call.ends[0].facts.ufrag.clone();
    for ufrag in ["offered", "offered again"] {
        call.ends[0].facts.ufrag = Some(ufrag.into());
        call.ends[0].facts.signaling = Signaling::HaveLocalOffer;
        call.observe(0);
    }
    call.log.clear();
    call.ends[0].facts.ufrag = current;
    call.ends[0].facts.signaling = Signaling::Stable;
    call.observe(0);
    // Nothing new began, and nothing is owed.
    assert_eq!(call.run(MINUTE), []);
}

#[test]
fn a_slow_offer_within_five_seconds_is_no_stall() {
    let mut call = Call::one_sided(Policy::Always);
    call.ends[0].negotiates = false;
    call.apply(0, 10 * MINUTE);
    call.run(4_900);
    call.offer(0);
    call.run(MINUTE);
    assert_eq!(call.told(&Act::Stalled), 0);
    assert_eq!(call.restarts().len(), 1);
}

// ---- repair --------------------------------------------------------------------------------------------------------

#[test]
fn an_interruption_of_two_seconds_is_repaired() {
    let mut call = Call::one_sided(Policy::Relayed);
    let began = call.now;
    call.set_ice(0, Ice::Disconnected);
    let seen = call.run(MINUTE);
    assert_eq!(
        seen[..2],
        [
            (
                began + 2_000,
                0,
                restarting(Initiator::Local, Cause::Repair)
            ),
            (began + 2_000, 0, Act::Restart),
        ]
    );
    assert!(matches!(seen[2], (_, 0, Act::Restarted { .. })));
    assert_eq!(seen.len(), 3);
}

#[test]
fn servers_that_are_in_use_already_do_not_put_a_repair_off() {
    let mut call = Call::one_sided(Policy::Relayed);
    let began = call.now;
    let same = stamp(call.ends[0].version, began + 100 * MINUTE);
    call.ends[0].engine.applied(same, true, began);
    call.set_ice(0, Ice::Disconnected);
    call.run(10 * SECOND);
    assert_eq!(call.restarts(), [(began + 2_000, 0)]);
}

#[test]
fn a_shorter_interruption_is_nothing() {
    let mut call = Call::new(Policy::Relayed);
    call.set_ice(0, Ice::Disconnected);
    call.run(1_999);
    call.set_ice(0, Ice::Connected);
    assert_eq!(call.run(10 * MINUTE), []);
}

#[test]
fn an_interrupted_connection_that_is_not_relayed_is_not_repaired_unless_always() {
    for (policy, restarts) in [(Policy::Relayed, 0), (Policy::Always, 1)] {
        let mut call = Call::one_sided(policy);
        call.ends[0].pair.relayed = false;
        call.set_ice(0, Ice::Checking);
        call.set_ice(0, Ice::Connected);
        call.run(SECOND);
        call.set_ice(0, Ice::Disconnected);
        call.run(10 * SECOND);
        assert_eq!(call.restarts().len(), restarts);
    }
}

#[test]
fn a_connection_that_leaves_its_relay_while_it_is_interrupted_is_not_repaired() {
    let mut call = Call::one_sided(Policy::Relayed);
    call.ends[0].pair.relayed = false;
    call.set_ice(0, Ice::Disconnected);
    assert!(
        call.run(MINUTE)
            .iter()
            .all(|(_, _, act)| *act != Act::Restart)
    );
}

#[test]
fn the_second_end_waits_three_seconds_more_for_the_first_ones_repair() {
    let mut call = Call::new(Policy::Relayed);
    call.ends[0].engaged = false;
    let began = call.now;
    call.set_ice(1, Ice::Disconnected);
    call.run(MINUTE);
    assert_eq!(call.restarts(), [(began + 5_000, 1)]);
}

#[test]
fn a_repair_waits_for_a_credential_on_its_way_but_not_for_long() {
    let mut call = Call::one_sided(Policy::Relayed);
    call.ends[0].fetching = true;
    let began = call.now;
    call.set_ice(0, Ice::Disconnected);
    call.run(2_300);
    assert_eq!(call.restarts(), []);
    call.ends[0].fetching = false;
    call.apply(0, 0);
    call.run(MINUTE);
    assert_eq!(
        call.restarts(),
        [(began + 5_300, 0)],
        "three seconds after it came: the other end needs a fresh one too"
    );

    let mut call = Call::one_sided(Policy::Relayed);
    call.ends[0].fetching = true;
    let began = call.now;
    call.set_ice(0, Ice::Disconnected);
    call.run(MINUTE);
    assert_eq!(
        call.restarts(),
        [(began + 3_500, 0)],
        "with the old one if it does not come"
    );
}

#[test]
fn a_failed_connection_is_repaired_at_once_though_its_pair_is_gone() {
    let mut call = Call::one_sided(Policy::Relayed);
    let began = call.now;
    call.set_ice(0, Ice::Failed);
    let seen = call.run(MINUTE);
    assert_eq!(call.restarts(), [(began, 0)]);
    assert!(
        matches!(seen.last(), Some((_, 0, Act::Restarted { .. }))),
        "{seen:?}"
    );
}

#[test]
fn the_second_end_of_a_failed_connection_is_repaired_though_its_pair_is_gone() {
    let mut call = Call::new(Policy::Relayed);
    call.ends[0].engaged = false;
    let began = call.now;
    call.set_ice(1, Ice::Failed);
    call.run(MINUTE);
    assert_eq!(call.restarts(), [(began + 3_000, 1)]);
}

#[test]
fn a_connection_whose_transport_is_closed_is_told_as_lost_once_and_not_restarted() {
    let mut call = Call::one_sided(Policy::Relayed);
    let began = call.now;
    call.ends[0].facts.lost = true;
    call.set_ice(0, Ice::Failed);
    assert_eq!(call.log, [(began, 0, Act::Lost)]);
    call.observe(0);
    call.apply(0, 10 * MINUTE);
    assert_eq!(call.run(10 * MINUTE), []);
}

#[test]
fn a_connection_that_works_is_not_lost_whatever_its_transports_say() {
    let mut call = Call::one_sided(Policy::Relayed);
    call.ends[0].facts.lost = true;
    call.observe(0);
    call.run(MINUTE);
    assert_eq!(call.log, []);
}

#[test]
fn a_repair_that_no_offer_followed_is_told_as_stalled_though_the_path_came_back() {
    let mut call = Call::one_sided(Policy::Relayed);
    call.ends[0].negotiates = false;
    call.set_ice(0, Ice::Disconnected);
    call.run(2_100);
    assert_eq!(call.restarts().len(), 1);
    call.set_ice(0, Ice::Connected);
    call.run(MINUTE);
    assert_eq!(call.told(&Act::Stalled), 1);
}

#[test]
fn a_restart_that_was_asked_for_is_looked_at_again_when_it_counts_as_stalled() {
    let mut call = Call::one_sided(Policy::Relayed);
    call.ends[0].negotiates = false;
    call.apply(0, 10 * MINUTE);
    call.run(10);
    let asked = call.restarts()[0].0;
    assert_eq!(call.ends[0].wake, Some(asked + 5 * SECOND));
}

#[test]
fn a_connection_that_is_busy_and_wants_nothing_is_not_looked_at() {
    for gathering_completes in [true, false] {
        let mut call = Call::one_sided(Policy::Relayed);
        call.ends[0].gathering_completes = gathering_completes;
        call.apply(0, 10 * MINUTE);
        while call.told_restarted() == 0 {
            call.run(10);
        }
        assert_eq!(call.ends[0].wake, None, "{gathering_completes}");
    }
}

#[test]
fn a_connected_path_without_a_selected_pair_is_looked_at_again_after_a_second() {
    let mut engine = Connection::new(0, Policy::Relayed, stamp(1, MINUTE));
    let mut commands = Vec::new();
    engine.observe(
        end(Policy::Relayed, Some(true), "a").facts,
        0,
        &mut commands,
    );
    engine.applied(stamp(2, MINUTE), false, 10_000);
    engine.drive(false, &mut proven(), 10_000, &mut commands);
    engine.inspected(EVEN, Vec::new(), 10_003, &mut commands);
    let mut look = |now| {
        commands.clear();
        let next = engine.drive(false, &mut proven(), now, &mut commands);
        (next, acts(std::mem::take(&mut commands)))
    };
    assert_eq!(look(10_003), (11_003, vec![]));
    assert_eq!(look(11_002), (11_003, vec![]));
    assert_eq!(look(11_003).1, [Act::Inspect]);
}

/// How long after new servers a connection's pairs are looked at, of which `relayed` were relayed so far; the servers before
/// live for `margin` more.
fn first_look(id: u32, pairs: &[bool], margin: u64) -> u64 {
    let now = 10 * MINUTE;
    let mut engine = Connection::new(id, Policy::Relayed, stamp(1, now + margin));
    let mut commands = Vec::new();
    let End { facts, pair, .. } = end(Policy::Relayed, Some(true), "a");
    engine.observe(facts, 0, &mut commands);
    engine.drive(false, &mut proven(), 0, &mut commands);
    let seen = pairs.iter().map(|&relayed| Pair {
        relayed,
        ..pair.clone()
    });
    engine.inspected(EVEN, seen.collect(), 3, &mut commands);
    engine.applied(stamp(2, now + 10 * MINUTE), false, now);
    commands.clear();
    let next = engine.drive(false, &mut proven(), now, &mut commands);
    if acts(commands) == [Act::Inspect] {
        return 0;
    }
    let mut commands = Vec::new();
    engine.drive(false, &mut proven(), next - 1, &mut commands);
    assert_eq!(commands, []);
    engine.drive(false, &mut proven(), next, &mut commands);
    assert_eq!(acts(commands), [Act::Inspect]);
    next - now
}

#[test]
fn a_path_that_may_be_relayed_is_looked_at_as_soon_as_there_are_new_servers() {
    assert_eq!(first_look(1, &[true], 10 * MINUTE), 0);
    assert_eq!(first_look(1, &[false, true], 10 * MINUTE), 0);
    assert_eq!(first_look(1, &[], 10 * MINUTE), 0, "nothing is known of it");
    assert_eq!(first_look(1, &[false], 0), 0, "no time is left");
}

#[test]
fn paths_that_were_not_relayed_are_looked_at_one_after_the_other() {
    for (margin, within) in [(10 * MINUTE, 30 * SECOND), (20 * SECOND, 5 * SECOND)] {
        let looks: Vec<u64> = (0..32).map(|id| first_look(id, &[false], margin)).collect();
        let expected = |id: u64| within / 16 * (1 + id % 16);
        assert_eq!(looks, (0..32).map(expected).collect::<Vec<_>>());
    }
}

#[test]
fn a_loss_is_told_once_the_credential_under_way_is_here() {
    let mut call = Call::one_sided(Policy::Relayed);
    call.ends[0].fetching = true;
    call.ends[0].facts.lost = true;
    call.set_ice(0, Ice::Failed);
    call.run(MINUTE);
    assert_eq!(call.told(&Act::Lost), 0);
    call.ends[0].fetching = false;
    call.drive(0);
    assert_eq!(call.told(&Act::Lost), 1);
}

#[test]
fn a_connection_that_three_repairs_did_not_mend_is_lost_and_told_once() {
    let mut call = Call::one_sided(Policy::Relayed);
    call.connects = false;
    call.set_ice(0, Ice::Failed);
    call.run(10 * MINUTE);
    call.observe(0);
    assert_eq!(call.restarts().len(), 3);
    assert_eq!(call.told(&Act::Lost), 1);
    let restarts = call.restarts();
    assert!(
        restarts
            .windows(2)
            .all(|pair| pair[1].0 - pair[0].0 >= 15 * SECOND),
        "each one gets its time: {restarts:?}"
    );
}

#[test]
fn a_lost_connection_that_the_app_brings_back_is_kept_fresh_again() {
    let mut call = Call::one_sided(Policy::Relayed);
    call.connects = false;
    call.set_ice(0, Ice::Failed);
    call.run(10 * MINUTE);
    assert_eq!(call.told(&Act::Lost), 1);
    call.connects = true;
    call.app_restarts(0);
    call.run(MINUTE);
    let before = call.restarts().len();
    call.apply(0, 10 * MINUTE);
    call.run(MINUTE);
    assert_eq!(call.restarts().len(), before + 1);
}

#[test]
fn repairs_of_separate_interruptions_do_not_add_up() {
    // The path comes back by itself each time, and the old pair stays selected.
    let mut call = Call::one_sided(Policy::Relayed);
    call.connects = false;
    for _ in 0..6 {
        call.set_ice(0, Ice::Disconnected);
        call.run(3 * SECOND);
        call.set_ice(0, Ice::Connected);
        call.run(MINUTE);
    }
    assert_eq!(call.restarts().len(), 6);
    call.set_ice(0, Ice::Failed);
    call.run(SECOND);
    assert_eq!(call.restarts().len(), 7);
    assert_eq!(call.told(&Act::Lost), 0);
}

#[test]
fn a_connection_gathered_from_a_dead_credential_is_restarted_before_it_connects() {
    for (first, wait) in [(Some(true), 1_300), (Some(false), 4_300), (None, 1_300)] {
        let mut call = Call::one_sided(Policy::Relayed);
        call.ends[0] = end(Policy::Relayed, first, "a");
        call.ends[0].facts.ice = Ice::Checking;
        let negotiated = call.now;
        call.observe(0);
        call.run(300);
        // Refused by the TURN server: its life is over.
        call.apply(0, 0);
        call.run(MINUTE);
        assert_eq!(call.restarts(), [(negotiated + wait, 0)], "{first:?}");
    }
}

#[test]
fn polling_ends_when_nothing_is_going_on() {
    for who in [0, 1] {
        let mut call = Call::new(Policy::Relayed);
        call.apply(who, MINUTE);
        call.run(10 * MINUTE);
        for end in &mut call.ends {
            end.inspections.clear();
        }
        assert_eq!(call.run(60 * MINUTE), []);
        for end in &call.ends {
            assert_eq!(end.inspections, []);
            assert_eq!(end.wake, None);
        }
    }
}
