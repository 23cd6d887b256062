// What was called, and how it ended. A declared RPC that no test got an answer from fails the run:
// this is what keeps the contract and the server from drifting apart.

import { Code, ConnectError } from "@connectrpc/connect";
import { rpcs } from "./contract.mjs";

/**
 * RPCs that have nothing to act on in the demo, with the reason; a refusal with
 * `failed_precondition` is the right answer there, and the only other one that counts.
 */
const REFUSED_IN_DEMO = new Map([
  ["AdoptVM", "nothing but this server defines VMs in the demo's libvirt"],
  ["RedefineVM", "nothing undefines VMs behind the server's back in the demo"],
  ["CancelOperation", "guests of libvirt's test driver power off at once, so nothing waits"],
]);

/** Records the calls of one transport. */
export class Coverage {
  #answered = new Set();
  #refused = new Set();

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
    if (ConnectError.from(error).code === Code.FailedPrecondition) this.#refused.add(rpc);
  }

  /** RPCs of the contract that were never answered as they should be. */
  missing() {
    return rpcs.filter((rpc) => {
      if (this.#answered.has(rpc)) return false;
      const name = rpc.slice(rpc.lastIndexOf("/") + 1);
      return !(REFUSED_IN_DEMO.has(name) && this.#refused.has(rpc));
    });
  }
}
