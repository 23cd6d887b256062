// The contract as it was generated: every service that the server must answer for. Read from the
// files themselves, so that a service added to the proto is demanded here without an edit.

import { readdirSync } from "node:fs";

const GENERATED = new URL("../gen/", import.meta.url);

const files = readdirSync(GENERATED, { recursive: true })
  .filter((file) => file.endsWith("_service_pb.js"))
  .sort();
if (files.length === 0) {
  throw new Error("no generated service in tests/clients/gen; run tests/clients/run.sh");
}
const modules = await Promise.all(files.map((file) => import(new URL(file, GENERATED))));

/** Every service descriptor of the contract. */
export const services = modules
  .flatMap((module) => Object.values(module))
  .filter((value) => value?.kind === "service");

/** Every RPC as `Quantixkvm.compute.v1.VMService/CreateVM`. */
export const rpcs = services.flatMap((service) =>
  service.methods.map((method) => `${service.typeName}/${method.name}`),
);

/** The service of this last name, as in `service("VMService")`. */
export function service(name) {
  const found = services.find((candidate) => candidate.typeName.endsWith(`.${name}`));
  if (!found) throw new Error(`the contract has no service ${name}`);
  return found;
}
