/**
 * The same package with the WebAssembly module inside, as text, for pages and bundlers that cannot serve a file beside their scripts.
 * It weighs about 750 bytes more after brotli than the default entry, and nothing is fetched; a content security policy needs
 * `'wasm-unsafe-eval'` all the same.
 *
 * Both entries may be imported in one page: `TurnError` and `TurnSession` are the same classes, and the module loads once,
 * from the entry that is called first. So `init()` of this entry also serves `turn-wasm` and `turn-wasm/react`.
 *
 * @module turn-wasm/inline
 */
export * from "./index.js";
