// useTurnSession in real browsers with each React version, under StrictMode, which mounts everything twice.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { BROWSERS } from "../harness/browsers.mjs";
import { printed } from "../harness/markdown.mjs";
import { bundleReact, REACTS } from "../harness/react.mjs";
import { Stage } from "../harness/stage.mjs";

const bundles = new Map();
before(async () => {
  const call = await printed("README.md", "jsx", "React");
  for (const version of Object.keys(REACTS)) bundles.set(version, await bundleReact(version, call));
});

for (const name of BROWSERS) {
  describe(`useTurnSession in ${name}`, () => {
    let stage;
    // Who waits at the endpoint that never answers: when a request came, and when it was taken back.
    let waiting;

    before(async () => {
      stage = await Stage.open(name, { turn: false });
      stage.site.json("/refused", () => ({ error: "not signed in" }), 403);
      stage.site.on("/slow", (request, response) => {
        waiting.came += 1;
        response.on("close", () => (waiting.gone += 1));
      });
      stage.site.json("/waiting", () => waiting);
      // As the README names it.
      stage.site.json("/api/turn-credentials", () => ({ iceServers: stage.iceServers() }), 201);
    });
    after(async () => {
      await stage?.close();
    });

    for (const version of Object.keys(REACTS)) {
      describe(`with React ${version}`, () => {
        // Beside the package, so that it finds the WebAssembly module where index.js would.
        const bundle = `/pkg/react-${version}.js`;
        before(() => {
          stage.site.on(bundle, async (request, response) => {
            response.writeHead(200, { "content-type": "text/javascript; charset=utf-8" });
            response.end(bundles.get(version));
          });
        });

        it("opens one session, with one request, and closes it with the component", async () => {
          const before = stage.requests.length;
          const result = await stage.run(async (bundle) => {
            const { set, status, root, container, sessions, TurnSession } = await (await import("/harness/react-page.mjs")).reactPage(bundle);
            await set({ source: "/turn" });
            const { session, state, error } = await status("open");
            const [text, open] = [container.textContent, sessions()];
            root.unmount();
            return { text, open, isSession: session instanceof TurnSession, opened: state.status, error: String(error), left: sessions(), after: session.state.status };
          }, bundle);
          assert.deepEqual(result, { text: "open", open: 1, isSession: true, opened: "active", error: "undefined", left: 0, after: "closed" });
          assert.equal(stage.requests.length - before, 1);
        });

        it("renders anew when the session's state changes, with the same session", async () => {
          const { same, states, closed } = await stage.run(async (bundle) => {
            const { set, status, seen, until } = await (await import("/harness/react-page.mjs")).reactPage(bundle);
            await set({ source: "/turn" });
            const first = await status("open");
            await first.session.refresh();
            const fresh = ({ state }) => state?.status === "active" && state.expiresAt > first.state.expiresAt;
            await until(() => fresh(seen.at(-1)), "the new state");
            await first.session.close();
            const { state } = await status("closed");
            const views = seen.filter(({ session }) => session);
            return { same: views.every(({ session }) => session === first.session), states: views.map(({ state }) => state.status), closed: state.status };
          }, bundle);
          assert.equal(same, true);
          assert.equal(closed, "closed");
          assert.deepEqual(states.filter((status, index) => status !== states[index - 1]), ["active", "refreshing", "active", "closed"]);
        });

        it("says why no session could be opened, and opens one when deps change", async () => {
          const result = await stage.run(
            async (bundle) => {
              const { set, status, seen, TurnError } = await (await import("/harness/react-page.mjs")).reactPage(bundle);
              await set({ source: "/refused" }, [0]);
              const { error, session, state } = await status("failed");
              const failed = [error instanceof TurnError, error.code, error.status, session, state].map(String);
              // Another source alone changes nothing.
              await set({ source: "/turn" }, [0]);
              const still = seen.at(-1).error === error;
              await set({ source: "/turn" }, [1]);
              await status("open");
              return { failed, still, statuses: seen.map(({ status }) => status) };
            },
            bundle,
            // Browsers log the status.
            { expected: [/403/] },
          );
          assert.deepEqual(result.failed, ["true", "http-status", "403", "undefined", "undefined"]);
          assert.equal(result.still, true);
          const { statuses } = result;
          // Between the two, one render still holds the failure.
          assert.deepEqual(statuses.filter((status, index) => status !== statuses[index - 1]), ["opening", "failed", "opening", "open"]);
        });

        it("tells of a wrong option as openTurnSession does", async () => {
          const options = await stage.run(async (bundle) => {
            const { set, seen, until } = await (await import("/harness/react-page.mjs")).reactPage(bundle);
            const errors = [];
            for (const [index, options] of [{}, { source: "/turn", signal: "now" }, { source: "/turn", ttl: "600" }].entries()) {
              await set(options, [index]);
              // The first render with other deps still shows what came of the last ones.
              const another = () => seen.at(-1)?.error !== errors.at(-1) && seen.at(-1)?.error;
              errors.push(await until(another, `an error of options ${index}`));
            }
            return errors.map(({ code, message }) => [code, message.split(":")[0]]);
          }, bundle);
          assert.deepEqual(options, [["invalid-option", "source"], ["invalid-option", "signal"], ["invalid-option", "ttl"]]);
        });

        it("takes its request back when the component goes before the answer comes", async () => {
          waiting = { came: 0, gone: 0 };
          const left = await stage.run(async (bundle) => {
            const { set, root, until, sessions } = await (await import("/harness/react-page.mjs")).reactPage(bundle);
            const waiting = async () => (await fetch("/waiting")).json();
            await set({ source: "/slow" });
            await until(async () => (await waiting()).came === 1, "the request");
            root.unmount();
            await until(async () => (await waiting()).gone === 1, "the end of the request");
            return sessions();
          }, bundle);
          assert.equal(left, 0);
          assert.deepEqual(waiting, { came: 1, gone: 1 });
        });

        it("calls the functions of the latest render, without opening another session", async () => {
          const before = stage.requests.length;
          const same = await stage.run(async (bundle) => {
            const { set, status, seen } = await (await import("/harness/react-page.mjs")).reactPage(bundle);
            const options = (token) => ({ source: { url: "/turn", headers: () => ({ "x-token": token }) } });
            await set(options("first"));
            const { session } = await status("open");
            await set(options("second"));
            await session.refresh();
            return seen.every((view) => view.session === undefined || view.session === session);
          }, bundle);
          assert.equal(same, true);
          assert.deepEqual(stage.requests.slice(before).map(({ headers }) => headers["x-token"]), ["first", "second"]);
        });

        it("opens nothing without options, and closes the session when they are taken away", async () => {
          const before = stage.requests.length;
          const result = await stage.run(async (bundle) => {
            const { set, status, seen, sessions } = await (await import("/harness/react-page.mjs")).reactPage(bundle);
            await set(null);
            const idle = [seen.at(-1).status, sessions()];
            await set({ source: "/turn" });
            const { session } = await status("open");
            await set(undefined);
            return { idle, ended: [seen.at(-1).status, sessions(), session.state.status] };
          }, bundle);
          assert.deepEqual(result, { idle: ["idle", 0], ended: ["idle", 0, "closed"] });
          assert.equal(stage.requests.length - before, 1);
        });

        it("closes the session when the app's signal is aborted", async () => {
          const result = await stage.run(async (bundle) => {
            const { set, status, sessions } = await (await import("/harness/react-page.mjs")).reactPage(bundle);
            const controller = new AbortController();
            await set({ source: "/turn", signal: controller.signal }, [0]);
            const { session } = await status("open");
            controller.abort();
            const closed = await status("closed");
            const left = sessions();
            // Aborted from the start.
            await set({ source: "/turn", signal: controller.signal }, [1]);
            const { error } = await status("failed");
            return [closed.session === session, left, error.code, sessions()];
          }, bundle);
          assert.deepEqual(result, [true, 0, "aborted", 0]);
        });

        it("takes over what a server rendered", async () => {
          const texts = await stage.run(async (bundle) => {
            const { React, hydrateRoot, renderToString, useTurnSession, container, root, until } = await (await import("/harness/react-page.mjs")).reactPage(bundle);
            root.unmount();
            const App = () => {
              const { status, state } = useTurnSession({ source: "/turn" });
              return React.createElement("p", null, status, state && ` ${state.status}`);
            };
            const app = () => React.createElement(React.StrictMode, null, React.createElement(App));
            container.innerHTML = renderToString(app());
            const rendered = container.textContent;
            const hydrated = hydrateRoot(container, app());
            await until(() => container.textContent === "open active", "the open session");
            hydrated.unmount();
            return [rendered];
          }, bundle);
          assert.deepEqual(texts, ["opening"]);
        });

        it("works as the README shows it", async () => {
          const result = await stage.run(async (bundle) => {
            const { render, root, container, until, Call } = await (await import("/harness/react-page.mjs")).reactPage(bundle);
            const joined = [];
            globalThis.join = (room, pc) => joined.push({ room, pc });
            const open = () => joined.filter(({ pc }) => pc.signalingState !== "closed").map(({ room }) => room);
            render(Call, { room: "one" });
            await until(() => /^Good until \d/.test(container.textContent) && open().length > 0, "the call");
            const [first, servers] = [open(), joined.at(-1).pc.getConfiguration().iceServers.length];
            render(Call, { room: "two" });
            await until(() => open().includes("two"), "the other room");
            const second = open();
            root.unmount();
            await until(() => open().length === 0, "the end of the call");
            return { servers, first, second };
          }, bundle);
          assert.deepEqual(result, { servers: 1, first: ["one"], second: ["two"] });
        });
      });
    }
  });
}
