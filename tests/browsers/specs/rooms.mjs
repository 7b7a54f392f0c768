// What rooms are like, in the page: settings, slow mode, owners and the roles that they give.
import { choose, court, inDialog, openRoomMenu, says } from "../court.mjs";
import { equal, ok, spec } from "../spec.mjs";

spec("slow mode is set in a dialog, counts down at the field, and lets words stay", async (scene) => {
  const { ann, eve } = await court(scene);
  await openRoomMenu(ann, "Room settings");
  await ann.fill(inDialog({ role: "textbox", name: "Slow mode (seconds)" }), "4");
  await ann.press("Enter");
  await ann.seesNot({ role: "dialog" });
  await eve.reads("ann changed the room", "#log");
  await says(eve, "one");
  await eve.reads(/Slow mode: [1-4] second/, "#held");
  await eve.type("two");
  await eve.press("Enter");
  await eve.reads(/Slow mode/, "#problem");
  equal(await eve.value("#words"), "two");
  await eve.seesNot("#held");
  await eve.press("Enter");
  await ann.reads("two", "#log");
  for (const text of ["three", "four"]) await says(ann, text);
  await eve.reads("four", "#log");
  await ann.seesNot("#held");
});

spec("who makes a room owns it, lets only some be heard, and gives a voice", async (scene) => {
  const ann = await scene.person("ann");
  await says(ann, "/register ann a-correct-horse");
  await ann.reads("You are logged in as ann", "#log");
  const bob = await scene.person("bob");
  await says(bob, "/register bob battery-staple");
  await bob.reads("You are logged in as bob", "#log");
  await says(ann, "/join court");
  await scene.isIn(ann, "ann", "court");
  await says(ann, "welcome");
  await openRoomMenu(ann, "Room settings");
  await ann.click(inDialog({ role: "checkbox", name: "Only members with a voice may speak" }));
  await ann.click(inDialog({ role: "button", name: "Save" }));
  await ann.seesNot({ role: "dialog" });
  await says(bob, "/join court");
  await scene.isIn(bob, "bob", "court");
  await bob.until("the field says so", () => document.querySelector("#words").placeholder.includes("a voice"));
  equal(await bob.evaluate(() => document.querySelector("#words").disabled), true);
  await says(ann, "/role @bob voiced");
  await ann.reads("bob is now voiced", "#log");
  await bob.until("the field is free", () => !document.querySelector("#words").disabled);
  await says(bob, "I have a voice");
  await ann.reads("I have a voice", "#log");
});

spec("a room gets a password and hides its past in a dialog, and who joins is asked for it once", async (scene) => {
  const { ann, server } = await court(scene);
  await says(ann, "an old secret");
  await ann.reads("an old secret", "#log");
  await openRoomMenu(ann, "Room settings");
  await ann.click(inDialog({ role: "checkbox", name: "New members see earlier messages" }));
  await ann.fill(inDialog({ role: "textbox", name: "Password" }), "open sesame");
  await ann.press("Enter");
  await ann.seesNot({ role: "dialog" });
  await ann.reads(/ann changed the room: Password: yes/, "#log");
  await says(ann, "another old secret");

  const bob = await scene.person("bob", { room: "garden", url: server.url });
  await bob.click("#join-open");
  await bob.fill("#room", "court");
  await bob.press("Enter");
  await bob.reads("Type the password of the room", { role: "dialog" });
  await bob.type("open");
  await bob.press("Enter");
  await bob.reads("type the right one", { role: "dialog" });
  await bob.type("open sesame");
  await bob.press("Enter");
  await bob.seesNot({ role: "dialog" });
  await bob.reads("court", "#room-name");
  await says(ann, "welcome, bob");
  await bob.reads("welcome, bob", "#log");
  ok(!(await bob.text("#log")).includes("secret"), "the past is hidden");
  await bob.reload();
  await bob.reads("welcome, bob", "#log");
  await says(bob, "I am back");
  await ann.reads("I am back", "#log");
  ok(!(await bob.text("#log")).includes("secret"), "still it is");

  await openRoomMenu(ann, "Room settings");
  const open = inDialog({ role: "checkbox", name: "Remove the password" });
  await ann.evaluate((see, target) => see.one(target).scrollIntoView({ block: "center" }), open);
  await ann.click(open);
  await ann.press("Enter");
  await ann.seesNot({ role: "dialog" });
  await scene.person("carol", { room: "court", url: server.url });
});
