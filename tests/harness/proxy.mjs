// What a site that stands in front of another server passes on to it: requests, and the sockets that begin with one.
import { request as ask } from "node:http";

const options = ({ method, url, headers }, upstream) => {
  const { hostname, port, host } = new URL(upstream);
  return { hostname, port, method, path: url, headers: { ...headers, host } };
};

export function passOn(request, response, upstream) {
  const asked = ask(options(request, upstream), (answer) => {
    response.writeHead(answer.statusCode, answer.headers);
    answer.pipe(response);
  });
  asked.on("error", (error) => {
    if (!response.headersSent) response.writeHead(502, { "content-type": "text/plain" });
    response.end(String(error));
  });
  response.on("close", () => asked.destroy());
  request.pipe(asked);
}

export function passOnSocket(request, socket, head, upstream) {
  const asked = ask(options(request, upstream));
  asked.on("upgrade", (answer, far, first) => {
    const lines = Object.entries(answer.headers).flatMap(([name, value]) => [value].flat().map((one) => `${name}: ${one}`));
    socket.write([`HTTP/1.1 ${answer.statusCode} ${answer.statusMessage}`, ...lines, "", ""].join("\r\n"));
    far.write(head);
    socket.write(first);
    for (const [from, to] of [[far, socket], [socket, far]]) from.on("error", () => {}).on("close", () => to.destroy()).pipe(to);
  });
  asked.on("response", () => socket.destroy());
  asked.on("error", () => socket.destroy());
  socket.on("error", () => asked.destroy());
  asked.end();
}
