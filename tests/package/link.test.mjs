// iceServersFromLink on headers as WHIP and WHEP servers send them, and as RFC 8288 allows them. It needs no browser.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { pathToFileURL } from "node:url";
import { join } from "node:path";
import { FOLDERS } from "../harness/site.mjs";

const { iceServersFromLink } = await import(pathToFileURL(join(FOLDERS["/pkg"], "index.js")));

const RELAY = { urls: "turn:turn.example.net?transport=udp", username: "user", credential: "myPassword" };

const CASES = {
  "no header": [null, []],
  "an empty one": ["", []],
  "a STUN server": ['<stun:stun.example.net>; rel="ice-server"', [{ urls: "stun:stun.example.net" }]],
  "a TURN server": ['<turn:turn.example.net?transport=udp>; rel="ice-server"; username="user"; credential="myPassword"; credential-type="password"', [RELAY]],
  "the example of RFC 9725, joined as fetch joins headers": [
    '<stun:stun.example.net>; rel="ice-server", ' +
      '<turn:turn.example.net?transport=udp>; rel="ice-server"; username="user"; credential="myPassword"; credential-type="password", ' +
      '<turns:turn.example.net?transport=tcp>; rel="ice-server"; username="user"; credential="myPassword"; credential-type="password"',
    [{ urls: "stun:stun.example.net" }, RELAY, { ...RELAY, urls: "turns:turn.example.net?transport=tcp" }],
  ],
  "other links around it": [
    '</whip/1/sse>; rel="urn:ietf:params:whip:ext:core:server-sent-events"; events="active,inactive", <turn:turn.example.net?transport=udp>; rel="ice-server"; username="user"; credential="myPassword", </next>; rel="next"',
    [RELAY],
  ],
  "signs of the syntax inside of quotes": [
    '<turn:a>; rel="ice-server"; username="1700000000:a,b;c<d>"; credential="x=\\"y\\\\z\\"=="',
    [{ urls: "turn:a", username: "1700000000:a,b;c<d>", credential: 'x="y\\z"==' }],
  ],
  "no spaces": ['<turn:a>;rel=ice-server;username=u;credential=c,<stun:b>;rel=ice-server', [{ urls: "turn:a", username: "u", credential: "c" }, { urls: "stun:b" }]],
  "spaces and tabs everywhere": ['  <turn:a>\t; rel = "ice-server" ;\tusername\t= "u" ; credential = "c" ; ,  ', [{ urls: "turn:a", username: "u", credential: "c" }]],
  "a trailing semicolon": ['<stun:a>; rel="ice-server";, <stun:b>; rel="ice-server";', [{ urls: "stun:a" }, { urls: "stun:b" }]],
  "the colons of early drafts": ['<turn:a>; rel="ice-server"; username="u"; credential: "c"; credential-type: "password";', [{ urls: "turn:a", username: "u", credential: "c" }]],
  "names in capitals and several relations": ['<turn:a>; REL="Alternate ICE-Server"; Username="u"; CREDENTIAL="c"', [{ urls: "turn:a", username: "u", credential: "c" }]],
  "parameters that come twice": ['<turn:a>; rel="ice-server"; rel="next"; username="u"; username="v"; credential="c"; credential="d"', [{ urls: "turn:a", username: "u", credential: "c" }]],
  "percent escapes in the target": ["<turn:turn.example.net%3Ftransport%3Dudp>; rel=ice-server; username=user; credential=myPassword", [RELAY]],
  "an escape that is none": ["<turn:100%>; rel=ice-server", [{ urls: "turn:100%" }]],
  "percent escapes in a value, where RFC 8288 has them": ["<turn:a>; rel=ice-server; username*=UTF-8''J%C3%BCrgen%20X; credential=%20", [{ urls: "turn:a", username: "Jürgen X", credential: "%20" }]],
  "a TURN server without a credential": ['<turn:a>; rel="ice-server"', [{ urls: "turn:a" }]],
  "a relation that only looks like it": ['<stun:a>; rel="x-ice-server", <stun:b>; rel="ice-servers", <stun:c>; title="ice-server", <stun:d>', []],
  "what is no link": ['; rel="ice-server", stun:a; rel="ice-server"', []],
  "a quote that does not end": ['<turn:a>; rel="ice-server"; username="u', [{ urls: "turn:a", username: '"u' }].map(({ urls, username }) => ({ urls, username, credential: undefined }))],
  "names of every object": ["<stun:a>; rel=ice-server; __proto__=x; constructor=y; urls=z; toString=w", [{ urls: "stun:a" }]],
};

describe("iceServersFromLink", () => {
  for (const [name, [header, expected]] of Object.entries(CASES)) {
    it(`reads ${name}`, () => assert.deepEqual(iceServersFromLink(header), expected));
  }

  it("takes a time that grows no faster than the header", () => {
    const pieces = ["<", "<a", '"', '"\\', '\\"', ';a="', ';a="\\"', ";", "; ", ";a ", ";a=", ",", "<a>;rel=ice-server,", "%", ';a="%', "';*'"];
    for (const piece of pieces) {
      const began = performance.now();
      iceServersFromLink(piece.repeat(1e6 / piece.length));
      // A quadratic time would be hours.
      assert.ok(performance.now() - began < 5000, `${piece} repeated`);
    }
  });
});
