// What happens, by the places that engine.rs reads, each with what belongs to it: an id (of a fetch or a connection), a
// number and two texts.

export const OPEN = 0;
export const TIMER = 1;
export const WOKE = 2;
export const ONLINE = 3;
export const OFFLINE = 4;
export const REFRESH = 5;
export const ABORT = 6;
export const CLOSE = 7;
export const CLOSE_AND_REVOKE = 8;
/** Fetch, status, the milliseconds that Retry-After asks for. */
export const FETCH_REFUSED = 9;
/** Fetch, twice the status and 1 if it may be tried again, the message, the code. */
export const FETCH_FAILED = 10;
/** Connection. */
export const CREATED = 11;
/** Connection, facts and 256 times the policy's place, usernames and local description, remote description. */
export const ATTACHED = 12;
/** Connection. */
export const DETACHED = 13;
export const APPLIED = 14;
/** Connection, 0, message. */
export const APPLY_FAILED = 15;
/** Connection, facts, local description, remote description. */
export const OBSERVED = 16;
/** Connection, how its ends stand to each other, the selected pairs. */
export const INSPECTED = 17;
/** Connection, code, URL. */
export const CANDIDATE_ERROR = 18;
/** Fetch, 0, the body as body.js writes it down. */
export const FETCHED = 19;
/** Version, 0 for a relay or the code of the error. */
export const PROVEN = 20;

// What is asked.

export const SERVERS = 21;
export const STATE = 22;
/** 0, 1 if the URL is of the page's own origin in a secure context, the option, the URL's protocol and its host name. */
export const CHECK_SOURCE = 23;
