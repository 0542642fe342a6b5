// The credentials this call has had, and which of them it has outlived.

/**
 * How long after its end a credential may still carry something, in ms: a provider ends its relays within about a second.
 * Only what is heard later than that proves that the call lives without it.
 */
const GRACE = 1_500;

export class Ledger {
  /** `{username, startsAt, endsAt, revoked, outlived}` by username; `startsAt` and `endsAt` in ms since the epoch. */
  #credentials = new Map();

  get outlived() {
    return [...this.#credentials.values()].filter((credential) => credential.outlived).length;
  }

  /** `{from, to, over}` of each, in the order they came; `from` and `to` in ms since the epoch, `over` once `to` has passed. */
  get lives() {
    return [...this.#credentials.values()].map(({ startsAt, endsAt }) => ({ from: startsAt, to: endsAt, over: endsAt <= Date.now() }));
  }

  /** A backend may hand out a credential again; then its end is the later one. */
  add(username, endsAt) {
    const known = this.#credentials.get(username);
    if (!known) this.#credentials.set(username, { username, startsAt: Date.now(), endsAt, revoked: false, outlived: false });
    else if (!known.revoked) known.endsAt = Math.max(known.endsAt, endsAt);
  }

  revoke(username) {
    const credential = this.#credentials.get(username);
    if (credential && !credential.revoked) {
      credential.endsAt = Math.min(credential.endsAt, Date.now());
      credential.revoked = true;
    }
  }

  /** The credentials newly outlived, given that both ends have heard from each other until then (ms since the epoch). */
  hear(until) {
    const news = [...this.#credentials.values()].filter(({ endsAt, outlived }) => !outlived && endsAt + GRACE < until);
    for (const credential of news) credential.outlived = true;
    return news;
  }
}
