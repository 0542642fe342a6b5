// The React versions that the hook is tested with, as npm brought them, and an app of theirs for a browser.
import { build } from "esbuild";
import { App } from "./app.mjs";

/** By major version: the packages of an app, as App.install takes them. */
export const REACTS = {
  18: { react: "react-18", "react-dom": "react-dom-18", scheduler: "scheduler" },
  // Brings its own scheduler.
  19: { react: "react-19", "react-dom": "react-dom-19" },
};

/** A module for browsers: React, its renderers, turn-wasm and its hook, and `Call`, the component that `source` is. */
export async function bundleReact(version, source) {
  const app = await App.install({ "call.jsx": `${source}\nexport { Call };\n` }, REACTS[version]);
  try {
    const { outputFiles } = await build({
      stdin: {
        contents: `
          export { default as React } from "react";
          export { createRoot, hydrateRoot } from "react-dom/client";
          export { renderToString } from "react-dom/server";
          export { TurnError, TurnSession } from "turn-wasm";
          export { useTurnSession } from "turn-wasm/react";
          export { Call } from "./call.jsx";
        `,
        resolveDir: app.folder,
      },
      bundle: true,
      format: "esm",
      jsx: "automatic",
      // StrictMode does everything twice in React's development build alone.
      define: { "process.env.NODE_ENV": '"development"' },
      write: false,
      logLevel: "silent",
    });
    return outputFiles[0].text;
  } finally {
    await app.remove();
  }
}
