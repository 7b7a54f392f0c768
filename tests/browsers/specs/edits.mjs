// Correcting and deleting what one said, and what others see of it.
import { equal, everywhere, ok, spec } from "../spec.mjs";

/** Bob, a program, has said some things; ann is there. */
async function talk(scene, texts = ["hello", "a second thing"]) {
  const bob = await scene.program("bob");
  await bob.join(scene.room);
  for (const text of texts) await bob.say(scene.room, text);
  const ann = await scene.person("ann");
  await ann.reads(texts.at(-1), "#log");
  return { ann, bob };
}

async function says(person, text) {
  await person.click("#words");
  await person.type(text);
  await person.press("Enter");
  await person.reads(text, "#log");
  await person.until("it is stored", () => !document.querySelector("#log").innerText.includes("Sending"));
}

const heard = (scene, program, what, is) => scene.eventually(what, () => program.events.find(is));

everywhere("one's last message is corrected with the arrow up, for all", async (scene) => {
  const { ann, bob } = await talk(scene);
  await says(ann, "tea at fuor");
  await ann.until("the field is empty", (see, text) => document.querySelector("#words").value === text, "");
  await ann.press("ArrowUp");
  await ann.until("the field has tea at fuor", (see, text) => document.querySelector("#words").value === text, "tea at fuor");
  await ann.reads("Editing", "#reply");
  await ann.fill("#words", "tea at four");
  await ann.press("Enter");
  await ann.reads("tea at four", "#log");
  await ann.reads("(edited)", "#log");
  await ann.until("the field is empty", (see, text) => document.querySelector("#words").value === text, "");
  const edited = await heard(scene, bob, "bob hears of it", ({ type }) => type === "edited");
  equal([edited.text, edited.of], ["tea at four", 3]);
  await ann.reload();
  await ann.reads("tea at four", "#log");
  ok(!(await ann.text("#log")).includes("fuor"), "the former text is not shown after a reload");
});

spec("Escape leaves a correction, and the draft comes back", async (scene) => {
  const { ann } = await talk(scene);
  await says(ann, "as it was");
  await ann.type("half a");
  await ann.evaluate((see) => { const words = see.one("#words"); words.value = ""; words.dispatchEvent(new Event("input")); });
  await ann.press("ArrowUp");
  await ann.type(", changed");
  await ann.press("Escape");
  await ann.seesNot("#reply");
  await ann.until("the field is empty", (see, text) => document.querySelector("#words").value === text, "");
  await ann.type("my draft");
  const { x, y } = await ann.rectOfText("#log", "as it was");
  await ann.view.move(x + 5, y + 5);
  await ann.click({ in: "#row-actions", role: "button", name: "More" });
  await ann.click({ role: "menuitem", name: "Edit" });
  await ann.until("the field has as it was", (see, text) => document.querySelector("#words").value === text, "as it was");
  await ann.press("Escape");
  await ann.until("the field has my draft", (see, text) => document.querySelector("#words").value === text, "my draft");
  ok(!(await ann.text("#log")).includes("edited"), "nothing was changed");
});

spec("where nothing is one's own, the arrow up leads to the messages", async (scene) => {
  const { ann } = await talk(scene);
  await ann.click("#words");
  await ann.press("ArrowUp");
  await ann.until("the last message has the focus", () => document.activeElement.innerText.includes("a second thing"));
});

everywhere("a message is deleted after a question, and its place is kept", async (scene) => {
  const { ann, bob } = await talk(scene);
  await says(ann, "said by mistake");
  for (const answer of ["Escape", "Delete"]) {
    const { x, y } = await ann.rectOfText("#log", "said by mistake");
    await ann.view.move(x + 5, y + 5);
    await ann.click({ in: "#row-actions", role: "button", name: "More" });
    await ann.click({ role: "menuitem", name: "Delete" });
    await ann.reads("Delete this message?", { role: "dialog" });
    if (answer === "Escape") {
      await ann.press("Escape");
      await ann.seesNot({ role: "dialog" });
      ok((await ann.text("#log")).includes("said by mistake"), "it is still there");
    } else await ann.click({ in: { role: "dialog" }, role: "button", name: "Delete" });
  }
  await ann.reads("This message was deleted", "#log");
  ok(!(await ann.text("#log")).includes("said by mistake"), "the text is gone");
  equal((await heard(scene, bob, "bob hears of it", ({ type }) => type === "deleted")).of, 3);
});

spec("what others correct and delete changes in its place, in replies too, and moves nothing", async (scene) => {
  const { ann, bob } = await talk(scene, Array.from({ length: 60 }, (_, n) => `line ${n + 1}`));
  await bob.say(scene.room, "an answer", { reply_to: 60 });
  await ann.reads("an answer", "#log");
  await bob.ask({ type: "edit", room: scene.room, seq: 60, text: "line sixty" });
  await ann.until("the quote has the new text", () => document.querySelector("#log .quote").innerText.includes("line sixty"));
  await ann.wheel("#log", -600);
  await ann.until("it has come to rest", () => new Promise((resolve) => { setTimeout(() => resolve(true), 400); }));
  const place = () => ann.evaluate((see) => {
    const { top, bottom } = see.rect("#log");
    const row = see.all("#log .message").find((e) => { const r = e.getBoundingClientRect(); return r.top >= top && r.bottom <= bottom; });
    return { seq: Number(row.dataset.seq), top: Math.round(row.getBoundingClientRect().top) };
  });
  const before = await place();
  // Above and below what is read, much longer than before.
  await bob.ask({ type: "edit", room: scene.room, seq: before.seq - 4, text: "longer\n".repeat(8) });
  await bob.ask({ type: "delete", room: scene.room, seq: before.seq - 2 });
  await bob.ask({ type: "edit", room: scene.room, seq: 58, text: "longer\n".repeat(8) });
  await ann.until("the deletion is shown", (see, seq) => document.querySelector(`#log [data-seq="${seq}"]`)?.innerText.includes("deleted"), before.seq - 2);
  equal(await place(), before);
});

spec("a message that is too old says so, and the text stays", async (scene) => {
  const server = await scene.startServer(["--edit-window", "2s"]);
  const ann = await scene.person("ann", { url: server.url });
  await says(ann, "too old soon");
  await ann.press("ArrowUp");
  await ann.reads("Editing", "#reply");
  await ann.type(" changed");
  await new Promise((resolve) => { setTimeout(resolve, 2500); });
  await ann.press("Enter");
  await ann.reads("too old", "#problem");
  await ann.until("the field has too old soon changed", (see, text) => document.querySelector("#words").value === text, "too old soon changed");
});

spec("the menu of a message is used with the keyboard alone, and gives the focus back", async (scene) => {
  const { ann } = await talk(scene);
  await says(ann, "mine");
  await ann.press("Shift+Tab");
  for (let n = 0; n < 4 && await ann.focus() !== "#log"; n += 1) await ann.press("Shift+Tab");
  await ann.press("ArrowUp", "Shift+F10");
  await ann.sees({ role: "menu" });
  equal(await ann.focus(), "menuitem Reply");
  await ann.press("ArrowDown", "ArrowDown");
  equal(await ann.focus(), "menuitem Edit");
  await ann.press("End");
  equal(await ann.focus(), "menuitem Delete");
  await ann.press("Escape");
  await ann.seesNot({ role: "menu" });
  equal(await ann.focus(), "button More");
});
