// The libraries that docs/libraries.md has recipes for; not installed where the documentation's code is checked. Used by
// docs.test.mjs; what the code makes of them is run by libraries/libraries.test.mjs.
declare module "simple-peer/simplepeer.min.js";
declare module "webrtc-adapter";
