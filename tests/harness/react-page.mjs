// A page with a component that uses the hook, and shows a test what it is given. Runs in the browser.
import { until } from "./call.mjs";

/** `bundle`: where the module of bundleReact is. */
export async function reactPage(bundle) {
  const module = await import(bundle);
  const { React, createRoot, useTurnSession } = module;
  const { createElement, StrictMode, useEffect } = React;

  // A session that has not ended listens for the page to be shown again.
  let listening = 0;
  for (const [method, step] of [["addEventListener", 1], ["removeEventListener", -1]]) {
    const original = globalThis[method];
    globalThis[method] = function (type, ...rest) {
      if (type === "pageshow") listening += step;
      return original.call(this, type, ...rest);
    };
  }

  // What the hook returned, oldest first, and the options of the render that is shown.
  const seen = [];
  let shown;
  function Probe({ options, deps }) {
    const view = useTurnSession(options, deps);
    useEffect(() => {
      shown = options;
      if (seen.at(-1) !== view) seen.push(view);
    });
    return createElement("output", null, view.status);
  }
  const container = document.body.appendChild(document.createElement("div"));
  const root = createRoot(container);
  return {
    ...module,
    container,
    root,
    seen,
    sessions: () => listening,
    /** Renders `component` under StrictMode. */
    render: (component, properties) => root.render(createElement(StrictMode, null, createElement(component, properties))),
    /** Renders the hook with these options, and waits until that is shown. */
    async set(options, deps) {
      root.render(createElement(StrictMode, null, createElement(Probe, { options, deps })));
      await until(() => shown === options, "the render");
    },
    /** What the hook returned last, once it has that status. */
    status: (wanted) => until(() => seen.at(-1)?.status === wanted && seen.at(-1), `the status ${wanted}`),
    until,
  };
}
