// Every way in which a client of the official libraries can talk to the server.

import * as node from "@connectrpc/connect-node";
import * as web from "@connectrpc/connect-web";
import { SERVER } from "./server.mjs";

/** Unary calls give up after this; a verb on libvirt's test driver takes milliseconds. */
const defaultTimeoutMs = 30_000;

/**
 * One entry a protocol. `slug` goes into the names of what its run creates; `open` makes the
 * transport and `close` lets its connections go, or the process would wait for them.
 */
function transport(title, slug, make) {
  return {
    title,
    slug,
    open(interceptors) {
      const sessions = new node.Http2SessionManager(SERVER);
      const common = { baseUrl: SERVER, interceptors, defaultTimeoutMs };
      return { transport: make(common, sessions), close: () => sessions.abort() };
    },
  };
}

const h1 = { httpVersion: "1.1" };
const h2c = (sessionManager) => ({ httpVersion: "2", sessionManager });

export const TRANSPORTS = [
  transport("Connect, JSON, HTTP/1.1", "connect-json-h1", (common) =>
    node.createConnectTransport({ ...common, ...h1, useBinaryFormat: false })),
  transport("Connect, JSON, GET where it may, HTTP/1.1", "connect-get-h1", (common) =>
    node.createConnectTransport({ ...common, ...h1, useBinaryFormat: false, useHttpGet: true })),
  transport("Connect, binary, HTTP/1.1", "connect-bin-h1", (common) =>
    node.createConnectTransport({ ...common, ...h1, useBinaryFormat: true })),
  transport("Connect, JSON, h2c", "connect-json-h2c", (common, sessions) =>
    node.createConnectTransport({ ...common, ...h2c(sessions), useBinaryFormat: false })),
  transport("Connect, binary, h2c", "connect-bin-h2c", (common, sessions) =>
    node.createConnectTransport({ ...common, ...h2c(sessions), useBinaryFormat: true })),
  transport("gRPC, binary, h2c", "grpc-bin-h2c", (common, sessionManager) =>
    node.createGrpcTransport({ ...common, sessionManager, useBinaryFormat: true })),
  transport("gRPC, JSON, h2c", "grpc-json-h2c", (common, sessionManager) =>
    node.createGrpcTransport({ ...common, sessionManager, useBinaryFormat: false })),
  transport("gRPC-Web, binary, HTTP/1.1", "grpcweb-bin-h1", (common) =>
    node.createGrpcWebTransport({ ...common, ...h1, useBinaryFormat: true })),
  transport("gRPC-Web, binary, h2c", "grpcweb-bin-h2c", (common, sessions) =>
    node.createGrpcWebTransport({ ...common, ...h2c(sessions), useBinaryFormat: true })),
  transport("gRPC-Web, JSON, HTTP/1.1", "grpcweb-json-h1", (common) =>
    node.createGrpcWebTransport({ ...common, ...h1, useBinaryFormat: false })),
  transport("Connect as a browser does it, JSON over fetch", "web-connect", (common) =>
    web.createConnectTransport({ ...common, useBinaryFormat: false })),
  transport("gRPC-Web as a browser does it, binary over fetch", "web-grpcweb", (common) =>
    web.createGrpcWebTransport({ ...common, useBinaryFormat: true })),
];
