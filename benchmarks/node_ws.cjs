/* Node with the package ws: sends each record to the WebSockets of its tenant, as ws' own documentation does.
 *
 *   NODE_PATH=FOLDER/node_modules node node_ws.cjs PORT FEED_PORT
 *
 * A client asks for `/N`, and then gets the records of tenant N. The records come as lines over TCP, as in send_loop.c.
 */
"use strict";
const net = require("node:net");
const { WebSocket, WebSocketServer } = require("ws");

const [port, feedPort] = process.argv.slice(2).map(Number);
const tenants = new Map();

const server = new WebSocketServer({ host: "127.0.0.1", port, backlog: 4096, perMessageDeflate: false });
server.on("connection", (socket, request) => {
    const tenant = request.url.slice(1);
    if (!tenants.has(tenant)) tenants.set(tenant, new Set());
    tenants.get(tenant).add(socket);
    socket.on("close", () => tenants.get(tenant).delete(socket));
    socket.on("error", () => socket.terminate());
});

function fanOut(line) {
    const space = line.indexOf(32);
    const record = line.subarray(space + 1);
    for (const socket of tenants.get(line.subarray(0, space).toString()) ?? []) {
        if (socket.readyState === WebSocket.OPEN) socket.send(record, { binary: false });
    }
}

net.createServer((feed) => {
    let rest = Buffer.alloc(0);
    feed.on("data", (chunk) => {
        rest = rest.length ? Buffer.concat([rest, chunk]) : chunk;
        for (let end; (end = rest.indexOf(10)) >= 0; rest = rest.subarray(end + 1)) fanOut(rest.subarray(0, end));
    });
}).listen(feedPort, "127.0.0.1");
