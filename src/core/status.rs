//! Where a session stands, and which status may follow which. docs/lifetime.md draws the same table.

/// Where a session stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    Opening,
    Active,
    Refreshing,
    Retrying,
    Refused,
    Expired,
    Closed,
}

/// Every change of status that happens, with its cause.
pub const TRANSITIONS: &[(Status, Status, &str)] = &[
    (Status::Opening, Status::Active, "the first credential came"),
    (
        Status::Opening,
        Status::Refreshing,
        "it came late in its life",
    ),
    (Status::Opening, Status::Closed, "opening failed"),
    (Status::Active, Status::Refreshing, "a fetch is sent"),
    (Status::Active, Status::Expired, "life ended in a sleep"),
    (Status::Active, Status::Closed, "close()"),
    (
        Status::Refreshing,
        Status::Active,
        "a fresh credential came",
    ),
    (Status::Refreshing, Status::Retrying, "the fetch failed"),
    (Status::Refreshing, Status::Refused, "the backend refused"),
    (Status::Refreshing, Status::Expired, "life ended"),
    (Status::Refreshing, Status::Closed, "close()"),
    (Status::Retrying, Status::Refreshing, "the next try is sent"),
    (Status::Retrying, Status::Expired, "life ended"),
    (Status::Retrying, Status::Closed, "close()"),
    (Status::Refused, Status::Retrying, "a wake-up"),
    (Status::Refused, Status::Refreshing, "refresh()"),
    (Status::Refused, Status::Expired, "life ended"),
    (Status::Refused, Status::Closed, "close()"),
    (Status::Expired, Status::Active, "a fresh credential came"),
    (
        Status::Expired,
        Status::Refreshing,
        "one came late in its life",
    ),
    (Status::Expired, Status::Closed, "close()"),
];

impl Status {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Opening => "opening",
            Self::Active => "active",
            Self::Refreshing => "refreshing",
            Self::Retrying => "retrying",
            Self::Refused => "refused",
            Self::Expired => "expired",
            Self::Closed => "closed",
        }
    }

    /// Whether `next` may follow.
    pub fn leads_to(self, next: Self) -> bool {
        TRANSITIONS
            .iter()
            .any(|(from, to, _)| (*from, *to) == (self, next))
    }
}
