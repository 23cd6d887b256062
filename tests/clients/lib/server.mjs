// The server under test.

const given = process.env.QKVM_URL;
if (!given) {
  throw new Error("QKVM_URL is not set; run tests/clients/run.sh http://localhost:8080");
}

/** Base URL without a slash at its end. */
export const SERVER = given.replace(/\/+$/, "");

/** POSTs JSON the way curl users do; answers status, headers and the body, parsed where it is JSON. */
export async function post(path, body, headers = {}) {
  const response = await fetch(`${SERVER}${path}`, {
    method: "POST",
    headers: { "Content-Type": "application/json", ...headers },
    body: typeof body === "string" ? body : JSON.stringify(body),
  });
  const text = await response.text();
  const type = response.headers.get("content-type") ?? "";
  return {
    status: response.status,
    type,
    headers: response.headers,
    text,
    json: type.startsWith("application/json") ? JSON.parse(text) : undefined,
  };
}
