// Accounts: how one gets in and out, and what is kept of it.

import assert from "node:assert/strict";
import test from "node:test";
import { createScene, room } from "./scene.mjs";

const SECRET = "correct horse";

/** All that the browser keeps, as text. */
const kept = ({ local, session }) => ["parlor.tab", "parlor.nick", "parlor.draft.den"]
  .map((key) => `${local.getItem(key)} ${session.getItem(key)}`).join(" ");

test("a person who registers has the account and its nick", async () => {
  const { clock, page } = createScene();
  const ann = await page("guest");
  assert.equal(ann.chat.state.accounts, "open");
  await clock.during(ann.chat.register("ann", SECRET));
  assert.deepEqual(ann.chat.state.account, { name: "ann", roles: [] });
  assert.equal(ann.chat.state.nick, "ann");
  assert.ok(!kept(ann).includes(SECRET));
});

test("a wrong password is refused, and one is still who one was", async () => {
  const { clock, server, page } = createScene();
  server.passwords.set("ann", SECRET);
  const ann = await page("guest");
  await assert.rejects(clock.during(ann.chat.login("ann", "wrong")), { code: "login_failed" });
  assert.deepEqual([ann.chat.state.account, ann.chat.state.nick], [null, "guest"]);
});

test("the session brings the account back after a broken connection and after a reload", async () => {
  const { clock, net, server, page } = createScene();
  server.passwords.set("ann", SECRET);
  server.serverRoles.set("ann", ["moderator"]);
  const ann = await page("guest");
  await clock.during(ann.chat.login("ann", SECRET));
  for (const link of net.links) link.cut();
  await clock.run(100);
  await clock.until(() => room(ann.chat).phase === "joined");
  await clock.run(1_000);
  assert.deepEqual(ann.chat.state.account, { name: "ann", roles: ["moderator"] });
  ann.load();
  await clock.until(() => room(ann.chat)?.phase === "joined");
  assert.equal(ann.chat.state.account?.name, "ann");
  assert.equal(server.requests.filter(({ object }) => object.type === "login").length, 1);
});

test("a person who logs out is a guest, also after a reload", async () => {
  const { clock, server, page } = createScene();
  server.passwords.set("ann", SECRET);
  const ann = await page("guest");
  await clock.during(ann.chat.login("ann", SECRET));
  await clock.during(ann.chat.logout());
  assert.equal(ann.chat.state.account, null);
  ann.load();
  await clock.until(() => room(ann.chat)?.phase === "joined");
  assert.equal(ann.chat.state.account, null);
});

test("where an account is required, rooms are joined when the person has logged in", async () => {
  const { clock, server, tab } = createScene();
  server.accounts = "required";
  server.passwords.set("ann", SECRET);
  const ann = tab();
  ann.load({ room: "den" });
  await clock.run(2_000);
  assert.equal(server.requests.filter(({ object }) => object.type === "join").length, 0);
  assert.equal(ann.chat.state.isLoginNeeded, true);
  await clock.during(ann.chat.login("ann", SECRET));
  await clock.until(() => room(ann.chat).phase === "joined");
  assert.equal(ann.chat.state.isLoginNeeded, false);
});

test("a connection that was ended for want of an account is made again to log in", async () => {
  const { clock, server, tab } = createScene();
  server.accounts = "required";
  server.passwords.set("ann", SECRET);
  const ann = tab();
  ann.load({ room: "den" });
  await clock.run(1_000);
  server.peers.values().next().value.close(4004, "log in first");
  await clock.until(() => ann.chat.state.connection.phase === "ended");
  assert.equal(ann.chat.state.connection.code, 4004);
  await clock.during(ann.chat.login("ann", SECRET));
  await clock.until(() => room(ann.chat).phase === "joined");
  assert.equal(ann.chat.state.account.name, "ann");
});

test("a login that waits for a connection fails with it", async () => {
  const { clock, server, page } = createScene();
  const ann = await page("ann");
  server.peerOf("ann").close(4004, "log in first");
  await clock.until(() => ann.chat.state.connection.phase === "ended");
  server.greet = (peer) => { peer.close(4002, "banned until tomorrow"); return true; };
  await assert.rejects(clock.during(ann.chat.login("ann", SECRET)), { message: "banned until tomorrow" });
});

test("a password is neither kept as a draft nor said by mistake", async () => {
  const { clock, server, page } = createScene();
  const ann = await page("ann");
  for (const line of [` /login ann ${SECRET}`, "login ann hunter2", "/ login ann hunter2", "Register ann hunter2"]) {
    ann.chat.setDraft("den", line);
    assert.equal(ann.local.getItem("parlor.draft.den"), null, line);
    assert.equal(ann.chat.submit("den", line).error?.code, "secret", line);
  }
  await clock.run(1_000);
  assert.equal(server.requests.filter(({ object }) => object.type === "send").length, 0);
  for (const line of ["login is slow today", "I login", "logins are open"]) {
    assert.ok(ann.chat.submit("den", line).message, line);
  }
});

test("a token of the site logs in on each connection, until it is not accepted", async () => {
  const { clock, net, server, tab } = createScene();
  const ann = tab();
  ann.load({ room: "den", token: "signed for ann" });
  await clock.until(() => ann.chat.state.account?.name === "ann");
  for (const link of net.links) link.cut();
  await clock.run(100);
  await clock.until(() => room(ann.chat).phase === "joined" && ann.chat.state.account);
  assert.equal(server.requests.filter(({ object }) => object.token).length, 2);
  server.peerOf("ann").close(4005, "your token has expired");
  await clock.run(1_000);
  assert.equal(ann.chat.state.isLoginNeeded, true);
  const eve = tab();
  eve.load({ room: "den", token: "forged" });
  await clock.until(() => room(eve.chat)?.phase === "joined");
  await clock.run(1_000);
  assert.deepEqual([eve.chat.state.account, room(eve.chat).items.at(-1).values.code], [null, "login_failed"]);
  assert.ok(!kept(ann).includes("signed"));
});

test("the commands log in, register and log out", async () => {
  const { clock, server, page } = createScene();
  const ann = await page("guest");
  await clock.during(ann.chat.run("den", "/register ann hunter2!"));
  assert.equal(ann.chat.state.account.name, "ann");
  await clock.during(ann.chat.run("den", "/logout"));
  assert.equal(ann.chat.state.account, null);
  await clock.during(ann.chat.run("den", "/login ann hunter2!"));
  assert.equal(ann.chat.state.account.name, "ann");
  assert.deepEqual(await clock.during(ann.chat.run("den", "/login")), { action: "open", dialog: "account" });
  assert.ok(!JSON.stringify(room(ann.chat).items).includes("hunter2"));
  assert.equal(server.passwords.get("ann"), "hunter2!");
});
