//! Signalling rooms: how two pages that know a room's name tell each other what they need for a connection between them.
//! Each message reaches the other member once, in order, also over requests that had to be repeated: members number what
//! they send, and say from which number on they want to hear more.
//!
//! Everything here has a limit, and a room ends by itself when one of its members is not heard of any more. What the
//! messages say is no concern of this server; nothing of it is logged.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::authentication::ClientId;

/// Rooms at a time. With [`MAX_WAITING_BYTES`] for each member this is also a limit on memory.
const MAX_ROOMS: usize = 64;
/// A call has two ends.
const PLACES: usize = 2;
/// Longest name, in characters.
const MAX_NAME: usize = 64;
/// Messages that wait for one member. A description with its candidates is about a dozen.
const MAX_WAITING: usize = 256;
const MAX_WAITING_BYTES: usize = 128 * 1024;
/// A member that asked for nothing for this long is gone. Longer than a request for messages waits, and a network's hiccup.
const IDLE: Duration = Duration::from_secs(40);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoomError {
    /// A name that no room can have.
    Name,
    /// Two members are in it.
    Full,
    /// There are too many others.
    TooMany,
    /// No such room, or no such member in it, or not a member of this session's.
    Gone,
    /// The other member has too much waiting for it.
    Crowded,
    /// A number that leaves messages out: `expected` is the next one.
    Number { expected: u64 },
}

/// What a member hears when it asks.
#[derive(Debug)]
pub enum Heard {
    /// Messages, each a JSON text, and the number to ask from next.
    Messages { messages: Vec<String>, next: u64 },
    /// Nothing yet. Tells when that may have changed, also by the room's end.
    Nothing(watch::Receiver<()>),
}

#[derive(Default)]
pub struct Rooms {
    rooms: Mutex<HashMap<String, Room>>,
}

#[derive(Default)]
struct Room {
    members: Vec<Member>,
    /// By place. The second member finds what the first one said before it came.
    inboxes: [Inbox; PLACES],
    changed: watch::Sender<()>,
}

struct Member {
    id: String,
    session: ClientId,
    heard_of: Instant,
}

#[derive(Default)]
struct Inbox {
    waiting: VecDeque<String>,
    bytes: usize,
    /// The number of the first that waits; earlier ones have arrived.
    first: u64,
}

impl Inbox {
    /// The number of the next message.
    fn next(&self) -> u64 {
        self.first + self.waiting.len() as u64
    }

    fn put(&mut self, message: String) {
        self.bytes += message.len();
        self.waiting.push_back(message);
    }

    /// Drops what has arrived.
    fn advance(&mut self, from: u64) {
        while self.first < from
            && let Some(message) = self.waiting.pop_front()
        {
            self.bytes -= message.len();
            self.first += 1;
        }
    }
}

impl Room {
    fn is_idle(&self, now: Instant) -> bool {
        self.members
            .iter()
            .any(|member| now.saturating_duration_since(member.heard_of) >= IDLE)
    }
}

impl Rooms {
    /// The rooms that have not ended.
    fn living(&self, now: Instant) -> MutexGuard<'_, HashMap<String, Room>> {
        let mut rooms = self.rooms.lock().unwrap_or_else(PoisonError::into_inner);
        rooms.retain(|_, room| !room.is_idle(now));
        rooms
    }

    /// Takes a place in a room, which opens with its first member. `id` is the member's from now on. Returns the place:
    /// 0 for the first, 1 for the second.
    pub fn join(
        &self,
        name: &str,
        session: &ClientId,
        id: String,
        now: Instant,
    ) -> Result<usize, RoomError> {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        if !(1..=MAX_NAME).contains(&name.len()) || !name.chars().all(fits) {
            return Err(RoomError::Name);
        }
        let mut rooms = self.living(now);
        if rooms.len() >= MAX_ROOMS && !rooms.contains_key(name) {
            return Err(RoomError::TooMany);
        }
        let room = rooms.entry(name.to_owned()).or_default();
        let place = room.members.len();
        if place == PLACES {
            return Err(RoomError::Full);
        }
        room.members.push(Member {
            id,
            session: session.clone(),
            heard_of: now,
        });
        Ok(place)
    }

    /// Finds a member's room and its place in it. Asking is a sign of life.
    fn find<'a>(
        rooms: &'a mut HashMap<String, Room>,
        name: &str,
        session: &ClientId,
        id: &str,
        now: Instant,
    ) -> Result<(&'a mut Room, usize), RoomError> {
        let room = rooms.get_mut(name).ok_or(RoomError::Gone)?;
        let (place, member) = room
            .members
            .iter_mut()
            .enumerate()
            .find(|(_, member)| member.id == id && member.session == *session)
            .ok_or(RoomError::Gone)?;
        member.heard_of = now;
        Ok((room, place))
    }

    /// Passes messages on. `first` is the number of the first of them: those that were passed on before are left out.
    /// Takes all of them or none.
    pub fn send(
        &self,
        name: &str,
        session: &ClientId,
        id: &str,
        first: u64,
        messages: Vec<String>,
        now: Instant,
    ) -> Result<(), RoomError> {
        let mut rooms = self.living(now);
        let (room, place) = Self::find(&mut rooms, name, session, id, now)?;
        let inbox = room
            .inboxes
            .get_mut(PLACES - 1 - place)
            .ok_or(RoomError::Gone)?;
        let expected = inbox.next();
        let known = expected
            .checked_sub(first)
            .ok_or(RoomError::Number { expected })?;
        let fresh: Vec<String> = messages
            .into_iter()
            .skip(usize::try_from(known).unwrap_or(usize::MAX))
            .collect();
        let bytes: usize = fresh.iter().map(String::len).sum();
        if inbox.waiting.len() + fresh.len() > MAX_WAITING
            || inbox.bytes + bytes > MAX_WAITING_BYTES
        {
            return Err(RoomError::Crowded);
        }
        for message in fresh {
            inbox.put(message);
        }
        room.changed.send_replace(());
        Ok(())
    }

    /// The messages from number `from` on; earlier ones have arrived and are forgotten.
    pub fn listen(
        &self,
        name: &str,
        session: &ClientId,
        id: &str,
        from: u64,
        now: Instant,
    ) -> Result<Heard, RoomError> {
        let mut rooms = self.living(now);
        let (room, place) = Self::find(&mut rooms, name, session, id, now)?;
        let inbox = room.inboxes.get_mut(place).ok_or(RoomError::Gone)?;
        if !(inbox.first..=inbox.next()).contains(&from) {
            return Err(RoomError::Number {
                expected: inbox.first,
            });
        }
        inbox.advance(from);
        if inbox.waiting.is_empty() {
            return Ok(Heard::Nothing(room.changed.subscribe()));
        }
        Ok(Heard::Messages {
            messages: inbox.waiting.iter().cloned().collect(),
            next: inbox.next(),
        })
    }

    /// Ends the room for both.
    pub fn leave(
        &self,
        name: &str,
        session: &ClientId,
        id: &str,
        now: Instant,
    ) -> Result<(), RoomError> {
        let mut rooms = self.living(now);
        Self::find(&mut rooms, name, session, id, now)?;
        rooms.remove(name);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: &str = "Room_1-a";

    struct Stage {
        rooms: Rooms,
        start: Instant,
    }

    impl Stage {
        fn new() -> Self {
            Self {
                rooms: Rooms::default(),
                start: Instant::now(),
            }
        }

        /// Two members of two sessions: "a" of session "a", "b" of session "b".
        fn with_both() -> Self {
            let stage = Self::new();
            assert_eq!(stage.join(ROOM, "a"), Ok(0));
            assert_eq!(stage.join(ROOM, "b"), Ok(1));
            stage
        }

        fn join(&self, name: &str, who: &str) -> Result<usize, RoomError> {
            self.rooms
                .join(name, &session(who), who.to_owned(), self.start)
        }

        fn send(&self, who: &str, first: u64, messages: &[&str]) -> Result<(), RoomError> {
            let messages = messages.iter().map(|&text| text.to_owned()).collect();
            self.rooms
                .send(ROOM, &session(who), who, first, messages, self.start)
        }

        /// Messages and the next number; none and the same number if there is nothing.
        fn listen(&self, who: &str, from: u64) -> Result<(Vec<String>, u64), RoomError> {
            let heard = self
                .rooms
                .listen(ROOM, &session(who), who, from, self.start)?;
            Ok(match heard {
                Heard::Messages { messages, next } => (messages, next),
                Heard::Nothing(_) => (Vec::new(), from),
            })
        }
    }

    fn session(name: &str) -> ClientId {
        ClientId::new(name)
    }

    fn texts(messages: &[&str]) -> Vec<String> {
        messages.iter().map(|&text| text.to_owned()).collect()
    }

    #[test]
    fn what_one_member_says_the_other_hears_in_order_and_not_itself() {
        let stage = Stage::with_both();
        stage.send("a", 0, &["1", "2"]).unwrap();
        stage.send("b", 0, &["x"]).unwrap();
        stage.send("a", 2, &["3"]).unwrap();
        assert_eq!(stage.listen("b", 0), Ok((texts(&["1", "2", "3"]), 3)));
        assert_eq!(stage.listen("a", 0), Ok((texts(&["x"]), 1)));
        assert_eq!(stage.listen("b", 3), Ok((vec![], 3)));
    }

    #[test]
    fn what_was_said_before_the_second_member_came_waits_for_it() {
        let stage = Stage::new();
        stage.join(ROOM, "a").unwrap();
        stage.send("a", 0, &["early"]).unwrap();
        stage.join(ROOM, "b").unwrap();
        assert_eq!(stage.listen("b", 0), Ok((texts(&["early"]), 1)));
    }

    #[test]
    fn a_request_that_is_repeated_neither_repeats_nor_loses_a_message() {
        let stage = Stage::with_both();
        stage.send("a", 0, &["1", "2"]).unwrap();
        stage.send("a", 0, &["1", "2"]).unwrap();
        stage.send("a", 1, &["2", "3"]).unwrap();
        // An answer that got lost on its way is asked for again.
        for _ in 0..2 {
            assert_eq!(stage.listen("b", 0), Ok((texts(&["1", "2", "3"]), 3)));
        }
        assert_eq!(stage.listen("b", 2), Ok((texts(&["3"]), 3)));
        assert_eq!(stage.listen("b", 3), Ok((vec![], 3)));
        stage.send("a", 0, &["1", "2", "3"]).unwrap();
        assert_eq!(stage.listen("b", 3), Ok((vec![], 3)));
    }

    #[test]
    fn a_number_that_would_leave_a_message_out_is_refused() {
        let stage = Stage::with_both();
        let refused = |expected| Err(RoomError::Number { expected });
        assert_eq!(stage.send("a", 1, &["2"]), refused(0));
        assert_eq!(stage.listen("b", 1).map(drop), refused(0).map(drop));
        stage.send("a", 0, &["1", "2"]).unwrap();
        stage.listen("b", 2).unwrap();
        assert_eq!(stage.listen("b", 1).map(drop), refused(2).map(drop));
        assert_eq!(stage.send("a", u64::MAX, &["3"]), refused(2));
    }

    #[test]
    fn only_two_may_come_in_and_only_members_of_the_session_are_served() {
        let stage = Stage::with_both();
        assert_eq!(stage.join(ROOM, "c"), Err(RoomError::Full));
        let rooms = &stage.rooms;
        let stranger = rooms.listen(ROOM, &session("c"), "a", 0, stage.start);
        assert_eq!(stranger.map(drop), Err(RoomError::Gone));
        let stranger = rooms.send(ROOM, &session("a"), "b", 0, vec![], stage.start);
        assert_eq!(stranger, Err(RoomError::Gone));
        let stranger = rooms.leave(ROOM, &session("a"), "b", stage.start);
        assert_eq!(stranger, Err(RoomError::Gone));
        assert_eq!(
            rooms
                .listen("other", &session("a"), "a", 0, stage.start)
                .map(drop),
            Err(RoomError::Gone)
        );
    }

    #[test]
    fn one_session_may_be_both_members() {
        let stage = Stage::new();
        let session = session("a");
        for (place, id) in ["x", "y"].into_iter().enumerate() {
            let joined = stage.rooms.join(ROOM, &session, id.to_owned(), stage.start);
            assert_eq!(joined, Ok(place));
        }
    }

    #[test]
    fn a_member_that_leaves_ends_the_room_and_whoever_waits_is_told() {
        let stage = Stage::with_both();
        let Ok(Heard::Nothing(changed)) =
            stage.rooms.listen(ROOM, &session("b"), "b", 0, stage.start)
        else {
            panic!("there is nothing to hear");
        };
        assert_eq!(changed.has_changed().ok(), Some(false));
        stage
            .rooms
            .leave(ROOM, &session("a"), "a", stage.start)
            .unwrap();
        assert!(changed.has_changed().is_err());
        assert_eq!(stage.listen("b", 0), Err(RoomError::Gone));
        assert_eq!(stage.join(ROOM, "c"), Ok(0), "the name is free again");
    }

    #[test]
    fn a_message_tells_whoever_waits() {
        let stage = Stage::with_both();
        let Ok(Heard::Nothing(changed)) =
            stage.rooms.listen(ROOM, &session("b"), "b", 0, stage.start)
        else {
            panic!("there is nothing to hear");
        };
        stage.send("a", 0, &["1"]).unwrap();
        assert_eq!(changed.has_changed().ok(), Some(true));
    }

    #[test]
    fn a_room_ends_when_one_member_is_not_heard_of_any_more() {
        let stage = Stage::with_both();
        let almost = stage.start + IDLE - Duration::from_millis(1);
        let rooms = &stage.rooms;
        rooms.listen(ROOM, &session("a"), "a", 0, almost).unwrap();
        assert_eq!(
            rooms
                .listen(ROOM, &session("a"), "a", 0, stage.start + IDLE)
                .map(drop),
            Err(RoomError::Gone),
            "b said nothing for too long"
        );
        assert!(rooms.living(stage.start).is_empty());
    }

    #[test]
    fn rooms_names_and_what_waits_in_them_are_limited() {
        let stage = Stage::with_both();
        for name in ["", "a b", "a/b", "é", "a.b", &"x".repeat(MAX_NAME + 1)] {
            assert_eq!(stage.join(name, "a"), Err(RoomError::Name), "{name}");
        }
        stage.join(&"x".repeat(MAX_NAME), "a").unwrap();

        let many = vec!["1"; MAX_WAITING];
        stage.send("a", 0, &many).unwrap();
        assert_eq!(
            stage.send("a", MAX_WAITING as u64, &["2"]),
            Err(RoomError::Crowded)
        );
        stage.listen("b", 1).unwrap();
        stage.send("a", MAX_WAITING as u64, &["2"]).unwrap();

        let large = "x".repeat(MAX_WAITING_BYTES / 2);
        stage.send("b", 0, &[&large, &large]).unwrap();
        assert_eq!(stage.send("b", 2, &["1"]), Err(RoomError::Crowded));
        stage.listen("a", 2).unwrap();
        stage.send("b", 2, &["1"]).unwrap();

        for n in 2..MAX_ROOMS {
            stage.join(&format!("more-{n}"), "a").unwrap();
        }
        assert_eq!(stage.join("one-more", "a"), Err(RoomError::TooMany));
        assert_eq!(stage.join("more-2", "b"), Ok(1), "those there are go on");
        let later = stage.start + IDLE;
        assert_eq!(
            stage
                .rooms
                .join("one-more", &session("a"), "a".to_owned(), later),
            Ok(0)
        );
    }
}
