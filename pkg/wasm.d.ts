/**
 * The WebAssembly module as a file, for `init`. What an import of it gives is for the bundler to say: its address (Vite with
 * `turn-wasm/wasm?url`, webpack's `asset/resource`, esbuild's `file`), its bytes (esbuild's `binary`), or the compiled module.
 *
 * @module turn-wasm/wasm
 */
/** What `init` takes. */
declare const wasm: string | BufferSource | WebAssembly.Module;
export default wasm;
