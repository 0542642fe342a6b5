// ICE servers in the Link header of a WHIP or WHEP answer (RFC 9725 section 4.6). It runs before any session, and under
// Node, so it needs no core.

// RFC 8288 section 3: a target, or a parameter of the one before, with a quoted or a bare value. Nothing in here can match
// in two ways, so the time is linear. Early drafts of WHIP had colons.
const PART = /<([^<>]*)>|;\s*([^\s=:;,"<]+)\s*(?:[=:]\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;,]*)))?/g;

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** The servers that the header's `rel="ice-server"` links name. */
export function iceServersFromLink(header) {
  const links = [];
  for (const [, urls, name, quoted, bare] of (header ?? "").matchAll(PART)) {
    if (!name) links.push({ urls });
    // The first of two with one name counts.
    else if (links.length) links.at(-1)[name.toLowerCase()] ??= quoted?.replace(/\\(.)/g, "$1") ?? bare;
  }
  return links
    .filter(({ rel }) => /(^|\s)ice-server(\s|$)/i.test(rel))
    .map((link) => {
      // RFC 8187: name*=UTF-8''percent%20escapes.
      const value = (name) => (link[name + "*"] ? decoded(link[name + "*"].replace(/.*'/, "")) : link[name]);
      const username = value("username");
      return { urls: decoded(link.urls), ...(username && { username, credential: value("credential") }) };
    });
}
