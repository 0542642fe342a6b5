// PeerJS's signalling server, as a program of its own: it does not end by itself.
import { PeerServer } from "peer";

PeerServer({ host: "127.0.0.1", port: 0 }, (server) => console.log(`listening on ${server.address().port}`));
