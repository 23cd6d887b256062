// AuthService: a demonstration takes everybody for its administrator, and whoever shows a token or a
// session for whom that is of.

import assert from "node:assert/strict";
import { it } from "node:test";
import { Code } from "@connectrpc/connect";
import { refused } from "../lib/expect.mjs";
import { unique } from "../lib/names.mjs";

const PASSWORD = "correct horse";

export function authScenarios({ slug, auth, vms }) {
  const name = unique(slug, "user");
  const bearer = (token) => ({ headers: { Authorization: `Bearer ${token}` } });

  it("says who asks, and what a demonstration is", async () => {
    const { setUpNeeded, demo } = await auth.getSignIn({});
    assert.deepEqual([setUpNeeded, demo], [false, true]);
    const me = await auth.whoAmI({});
    assert.equal(me.name, "demo");
    assert.ok(me.methods.every((method) => method.allowed));
    await refused(Code.FailedPrecondition, auth.setUp({ code: "AAAA-AAAA-AAAA-AAAA", name: "eve", password: PASSWORD }));
    await refused(Code.FailedPrecondition, auth.createSetUpCode({}));
  });

  it("makes a user who signs in, may what the role may, and signs out", async () => {
    const user = await auth.createUser({ name, password: PASSWORD, role: 1 });
    await refused(Code.AlreadyExists, auth.createUser({ name: name.toUpperCase(), password: PASSWORD, role: 1 }));
    await refused(Code.Unauthenticated, auth.login({ name, password: "wrong" }));
    const { accessToken, session } = await auth.login({ name, password: PASSWORD });
    assert.equal(session.userId, user.id);
    await vms.listVMs({}, bearer(accessToken));
    const denied = await refused(Code.PermissionDenied, auth.listUsers({}, bearer(accessToken)));
    assert.match(denied.rawMessage, /admin.*viewer/);
    const renewed = (await auth.refreshToken({}, bearer(accessToken))).accessToken;
    const { sessions } = await auth.listSessions({}, bearer(renewed));
    assert.deepEqual(sessions.map(({ id, current }) => [id, current]), [[session.id, true]]);
    await auth.changePassword({ oldPassword: PASSWORD, newPassword: "battery staple" }, bearer(renewed));
    const other = await auth.login({ name, password: "battery staple" });
    await auth.revokeSession({ id: other.session.id });
    await refused(Code.Unauthenticated, auth.whoAmI({}, bearer(other.accessToken)));
    await auth.logout({}, bearer(renewed));
    await refused(Code.Unauthenticated, auth.whoAmI({}, bearer(renewed)));
  });

  it("makes a token that does no more than its owner may, until it is revoked", async () => {
    const { token, secret } = await auth.createToken({ name: "scripts", userId: name, role: 3 });
    assert.equal((await auth.whoAmI({}, bearer(secret))).role, 1);
    // Who may more later has tokens of before that may not.
    await auth.updateUser({ id: name, role: 2 });
    assert.equal((await auth.whoAmI({}, bearer(secret))).role, 1);
    assert.ok((await auth.listTokens({})).tokens.some(({ id }) => id === token.id));
    await auth.revokeToken({ id: token.id });
    await refused(Code.Unauthenticated, auth.whoAmI({}, bearer(secret)));
  });

  it("writes it all down, and forgets the user", async () => {
    assert.equal((await auth.getUser({ id: name.toUpperCase() })).name, name);
    assert.ok((await auth.listUsers({})).users.some((user) => user.name === name));
    await auth.deleteUser({ id: name });
    await refused(Code.NotFound, auth.getUser({ id: name }));
    const { entries } = await auth.listAuditEntries({ resource: name, pageSize: 1000 });
    assert.equal(entries[0].method, "Quantixkvm.auth.v1.AuthService/DeleteUser");
    const exported = [];
    for await (const entry of auth.exportAuditEntries({ resource: name })) exported.push(entry.sequence);
    assert.deepEqual(exported, entries.map((entry) => entry.sequence).reverse());
  });
}
