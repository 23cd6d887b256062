// What was called, and how it ended. A declared RPC that no test got an answer from fails the run:
// this is what keeps the contract and the server from drifting apart.

import { Code, ConnectError } from "@connectrpc/connect";
import { rpcs } from "./contract.mjs";

/**
 * RPCs that have nothing to act on in the demo, with the reason; a refusal with
 * `failed_precondition` is the right answer there.
 */
const REFUSED_IN_DEMO = new Map([
  ["AdoptVM", "nothing but this server defines VMs in the demo's libvirt"],
  ["RedefineVM", "nothing undefines VMs behind the server's back in the demo"],
  ["SetUp", "a demonstration has no first administrator to make"],
  ["CreateSetUpCode", "a demonstration has no first administrator to make"],
  ["BackupState", "the demo keeps its state in memory"],
  ["CancelOperation", "guests of libvirt's test driver power off at once, so nothing waits"],
]);

/**
 * RPCs that libvirt's test driver, on which the demo runs, has nothing for, with the reason; a refusal
 * with `unimplemented` is the right answer there.
 */
const UNIMPLEMENTED_IN_DEMO = new Map([
  ["GetConsole", "the test driver runs no guests and has no consoles"],
]);

/** Records the calls of one transport. */
export class Coverage {
  #answered = new Set();
  #refused = new Set();
  #unimplemented = new Set();

  /** Goes into the transport; sees unary answers, first stream messages and errors. */
  interceptor = (next) => async (request) => {
    const rpc = `${request.service.typeName}/${request.method.name}`;
    let response;
    try {
      response = await next(request);
    } catch (error) {
      this.#note(rpc, error);
      throw error;
    }
    if (!response.stream) {
      this.#answered.add(rpc);
      return response;
    }
    return { ...response, message: this.#observe(rpc, response.message) };
  };

  async *#observe(rpc, messages) {
    try {
      for await (const message of messages) {
        this.#answered.add(rpc);
        yield message;
      }
    } catch (error) {
      this.#note(rpc, error);
      throw error;
    }
  }

  #note(rpc, error) {
    const { code } = ConnectError.from(error);
    if (code === Code.FailedPrecondition) this.#refused.add(rpc);
    if (code === Code.Unimplemented) this.#unimplemented.add(rpc);
  }

  /** RPCs of the contract that were never answered as they should be. */
  missing() {
    return rpcs.filter((rpc) => {
      if (this.#answered.has(rpc)) return false;
      const name = rpc.slice(rpc.lastIndexOf("/") + 1);
      if (REFUSED_IN_DEMO.has(name) && this.#refused.has(rpc)) return false;
      return !(UNIMPLEMENTED_IN_DEMO.has(name) && this.#unimplemented.has(rpc));
    });
  }
}
