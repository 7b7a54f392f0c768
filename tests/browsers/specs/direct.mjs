// Talking to one alone in the page: begun from the menu of a member, received with a badge, and by
// an account that was away; and members that are ignored.
import { choose, menuOf, says } from "../court.mjs";
import { equal, everywhere, ok, spec } from "../spec.mjs";

everywhere("two people talk alone", async (scene) => {
  const ann = await scene.person("ann");
  const bob = await scene.person("bob");
  await says(bob, "good morning");
  await ann.reads("good morning", "#log");
  await menuOf(ann, "good morning");
  await choose(ann, "Message bob");
  await ann.reads("@bob", "#room-name");
  await says(ann, "only for you");
  await bob.sees({ in: "#room-list", role: "button", name: /^ann.*1/s });
  await bob.click({ in: "#room-list", role: "button", name: /^ann/ });
  await bob.reads("only for you", "#log");
  await says(bob, "I see");
  await ann.reads("I see", "#log");
  await ann.reload();
  await ann.reads("I see", "#log");
  await says(ann, "I am back");
  await bob.reads("I am back", "#log");
});

spec("a conversation is begun with the keyboard from the list of members", async (scene) => {
  const ann = await scene.person("ann");
  await scene.person("bob");
  if (!await ann.count("#members")) await ann.click("#members-open");
  await ann.sees({ in: "#member-list", role: "button", name: /^bob/ });
  const { x, y } = await ann.rect({ in: "#member-list", role: "button", name: /^bob/ });
  await ann.view.move?.(x + 5, y + 5);
  await ann.evaluate(() => document.querySelector('#member-list [data-nick="bob"]').focus());
  await ann.press("ArrowRight", "Enter");
  await choose(ann, "Message bob");
  await ann.reads("@bob", "#room-name");
});

spec("what came while an account was away is counted when it comes back", async (scene) => {
  const ann = await scene.person("ann");
  await says(ann, "/register ann a-correct-horse");
  await ann.reads("You are logged in as ann", "#log");
  const bob = await scene.person("bob");
  await says(bob, "/register bob battery-staple");
  await bob.reads("You are logged in as bob", "#log");
  await ann.close();
  await bob.reads("ann left", "#log");
  await says(bob, "/msg ann are you there?");
  await bob.reads("are you there?", "#log");
  const back = await scene.person("carl");
  await says(back, "/login ann a-correct-horse");
  await back.sees({ in: "#room-list", role: "button", name: /^bob.*1/s });
  await back.click({ in: "#room-list", role: "button", name: /^bob/ });
  await back.reads("are you there?", "#log");
});

spec("an ignored member is not seen, and seen again when that is undone", async (scene) => {
  const bob = await scene.plain("bob");
  const eve = await scene.plain("eve");
  const ann = await scene.person("ann");
  eve.says("first words");
  await ann.reads("first words", "#log");
  await menuOf(ann, "first words");
  await choose(ann, "Ignore eve");
  await ann.until("it is gone", () => !document.querySelector("#log").innerText.includes("first words"));
  eve.says("second words");
  eve.says("/msg ann third words");
  bob.says("a word of bob");
  await ann.reads("a word of bob", "#log");
  ok(!(await ann.text("#log")).includes("second words"), "nor is what follows seen");
  await ann.reload();
  await ann.reads("a word of bob", "#log");
  ok(!(await ann.text("#log")).includes("second words"), "nor after a reload");
  equal(await ann.count({ in: "#room-list", role: "button", name: /^eve/ }), 0);
  await says(ann, "/unignore eve");
  await ann.reads("second words", "#log");
});
