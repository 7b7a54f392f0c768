// Reports to those who keep order, and messages of a member that are deleted together, in the page.
import { choose, court, inDialog, menuOf, says } from "../court.mjs";
import { equal, ok, spec } from "../spec.mjs";

spec("a member without a role is offered no power, and reports instead", async (scene) => {
  const { ann, eve } = await court(scene);
  await says(ann, "a strange thing");
  await eve.reads("a strange thing", "#log");
  await eve.seesNot("#room-menu-open");
  await menuOf(eve, "a strange thing");
  const offered = await eve.evaluate((see) => see.all({ role: "menuitem" }).map(see.name));
  equal(offered.filter((name) => !name.includes("ann")), ["Reply", "Copy link", "Report"]);
  await choose(eve, "Report");
  await eve.type("it is strange");
  await eve.press("Enter");
  await eve.seesNot({ role: "dialog" });
  await ann.reads(/eve reports a message: it is strange/, "#log");
  ok(!(await eve.text("#log")).includes("it is strange"), "others are not shown it");
  await ann.click({ in: "#log", role: "button", name: "Show it" });
  await ann.until("the message has the focus", () => document.activeElement.innerText.includes("a strange thing"));
});

spec("messages of a member are deleted together, after a question", async (scene) => {
  const { ann, eve } = await court(scene);
  for (const text of ["spam one", "spam two"]) await says(eve, text);
  await ann.reads("spam two", "#log");
  await menuOf(ann, "spam two");
  await choose(ann, "Delete their messages");
  await ann.reads("cannot be undone", { role: "dialog" });
  await ann.click(inDialog({ role: "button", name: "Delete their messages" }));
  await eve.until("both are gone", (see) => see.all("#log .gone").length === 2);
});
