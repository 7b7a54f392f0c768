// Accounts in the page: registering, logging in and out, and that no password is kept.
import { equal, everywhere, ok, spec } from "../spec.mjs";

const SECRET = "a correct horse";

async function fillIn(person, name, password) {
  await person.sees({ role: "dialog" });
  const field = { in: { role: "dialog" }, role: "textbox", name: "Account" };
  await person.fill(field, name);
  await person.press("Tab");
  await person.press("Control+a");
  await person.type(password);
  await person.press("Enter");
}

const keeps = (person, text) => person.evaluate((see, wanted) =>
  [localStorage, sessionStorage].some((store) => JSON.stringify({ ...store }).includes(wanted)), text);

everywhere("a person registers, is known after a reload, logs out, and logs in again", async (scene) => {
  const guest = await scene.person("visitor");
  await guest.click("#account-open");
  await guest.click({ in: { role: "dialog" }, role: "button", name: "Register" });
  await fillIn(guest, "ann", SECRET);
  await guest.seesNot({ role: "dialog" });
  await guest.reads("ann", "#own-nick");
  await guest.sees({ role: "button", name: "Logged in as ann" });
  ok(!await keeps(guest, SECRET), "the password is not kept");
  await guest.reload();
  await guest.sees({ role: "button", name: "Logged in as ann" });
  await guest.reads("ann", "#own-nick");
  await guest.click("#account-open");
  await guest.click({ in: { role: "dialog" }, role: "button", name: "Log out" });
  await guest.sees({ role: "button", name: "Log in" });
  await guest.click("#account-open");
  await fillIn(guest, "ann", "something else");
  await guest.reads("wrong", { role: "dialog" });
  await guest.type(SECRET);
  await guest.press("Enter");
  await guest.seesNot({ role: "dialog" });
  await guest.sees({ role: "button", name: "Logged in as ann" });
});

spec("the password is changed, and the former one is no more good", async (scene) => {
  const ann = await scene.person("ann");
  await ann.click("#words");
  await ann.type(`/register ann ${SECRET.replaceAll(" ", "-")}`);
  await ann.press("Enter");
  await ann.reads("You are logged in as ann", "#log");
  await ann.click("#account-open");
  await ann.click({ in: { role: "dialog" }, role: "button", name: "Change the password" });
  await ann.type(SECRET.replaceAll(" ", "-"));
  await ann.press("Tab");
  await ann.type("short");
  await ann.press("Enter");
  await ann.reads("too short", { role: "dialog" });
  await ann.fill({ in: { role: "dialog" }, css: "input[autocomplete=new-password]" }, "battery staple");
  await ann.press("Enter");
  await ann.seesNot({ role: "dialog" });
  const other = await scene.person("else");
  await other.click("#account-open");
  await fillIn(other, "ann", SECRET.replaceAll(" ", "-"));
  await other.reads("wrong", { role: "dialog" });
  await other.type("battery staple");
  await other.press("Enter");
  await other.seesNot({ role: "dialog" });
  await other.reads("ann", "#own-nick");
});

spec("where an account is required, the page asks for it and goes on when one is in", async (scene) => {
  const server = await scene.startServer(["--accounts", "required"]);
  const ann = await scene.newPerson("ann");
  await ann.goto(scene.address({ nick: "ann", url: server.url }));
  await ann.reads("Log in", { role: "dialog" });
  await ann.click({ in: { role: "dialog" }, role: "button", name: "Register" });
  await fillIn(ann, "ann", SECRET);
  await ann.seesNot({ role: "dialog" });
  await scene.isIn(ann, "ann");
  const again = await scene.newPerson("again");
  await again.goto(scene.address({ nick: "again", url: server.url }));
  await again.sees({ role: "dialog" });
  await again.press("Escape");
  await again.seesNot({ role: "dialog" });
  await again.click("#account-open");
  await fillIn(again, "ann", SECRET);
  await scene.isIn(again, "ann");
  await ann.click("#words");
  await ann.type("from one window");
  await ann.press("Enter");
  await again.reads("from one window", "#log");
});

spec("a login that is typed as a message is not said", async (scene) => {
  const bob = await scene.plain("bob");
  const ann = await scene.person("ann");
  await ann.click("#words");
  for (const line of [` /login ann ${SECRET}`, "login ann hunter22"]) {
    await ann.fill("#words", line);
    await ann.press("Enter");
    await ann.reads("looks like a password", "#problem");
    equal(await ann.value("#words"), line, "it stays in the field");
    ok(!await keeps(ann, "hunter22") && !await keeps(ann, SECRET), "nor is it kept as a draft");
  }
  await ann.fill("#words", "good morning");
  await ann.press("Enter");
  await bob.hears(/good morning/);
  ok(!bob.lines.some((line) => /hunter22|horse/.test(line)), "bob has not heard it");
});
