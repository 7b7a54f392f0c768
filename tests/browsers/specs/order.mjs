// Keeping order in the page: menus with what one's role allows, bans and mutes with time and reason
// and how they are lifted, lists of them, the audit log.
import { Program } from "../client.mjs";
import { choose, court, inDialog, menuOf, openRoomMenu, rests, says } from "../court.mjs";
import { source } from "../packages.mjs";
import { equal, everywhere, ok, spec } from "../spec.mjs";

const AXE = source("axe-core/axe.min.js");

everywhere("an owner bans from the menu, the other learns why, and the ban is lifted where it is shown", async (scene) => {
  const { ann, eve } = await court(scene);
  await says(eve, "cheap watches");
  await ann.reads("cheap watches", "#log");
  await menuOf(ann, "cheap watches");
  await choose(ann, "Ban");
  await ann.reads("Ban eve?", { role: "dialog" });
  await ann.type("advertising");
  await ann.press("Enter");
  await ann.seesNot({ role: "dialog" });
  await ann.reads(/eve was banned by ann until .*: advertising/, "#log");
  await eve.reads(/banned.*advertising/i, "#state");
  await eve.click("#reconnect");
  await eve.reads(/banned.*advertising/i, "#state");
  await ann.click({ in: "#log", role: "button", name: "Lift the ban" });
  await ann.reads("ann lifted the ban of eve", "#log");
  await ann.seesNot({ in: "#log", role: "button", name: "Lift the ban" });
  await scene.eventually("eve is in again", async () => {
    if (!await eve.count("#state")) return true;
    if (await eve.count("#reconnect")) await eve.click("#reconnect");
    return false;
  });
  await says(eve, "thank you");
  await ann.reads("thank you", "#log");
});

spec("who is muted is shown until when, and speaks again when that is lifted", async (scene) => {
  const { ann, eve } = await court(scene);
  await says(eve, "too loud");
  await ann.reads("too loud", "#log");
  await menuOf(ann, "too loud");
  await choose(ann, "Mute");
  await ann.type("shouting");
  await ann.press("Enter");
  await eve.reads(/eve was muted by ann until .*: shouting/, "#log");
  await eve.reads("You are muted until", "#held");
  await says(eve, "but I");
  await eve.reads("You are muted until", "#problem");
  equal(await eve.value("#words"), "but I", "the words stay");
  await ann.click({ in: "#log", role: "button", name: "Let them speak" });
  await eve.seesNot("#held");
  await eve.press("Enter");
  await ann.reads("but I", "#log");
});

spec("topic, settings and powers are listed in the audit log, bans and mutes in theirs", async (scene) => {
  const { ann, eve } = await court(scene);
  await openRoomMenu(ann, "Change the topic");
  await ann.type("tea at five");
  await ann.press("Enter");
  await ann.reads("tea at five", "#topic");
  await eve.reads("tea at five", "#topic");
  await says(ann, "/ban mallory 2h no reason");
  await ann.reads("mallory was banned by ann", "#log");
  await openRoomMenu(ann, "Bans and mutes");
  await ann.reads(/mallory was banned by ann.* until .*: no reason/, { role: "dialog" });
  await ann.click(inDialog({ role: "button", name: "Lift the ban" }));
  await ann.until("the list is empty", (see) => see.all("dialog li").length === 0);
  await ann.press("Escape");
  await says(ann, "/audit");
  await ann.reads(/banned mallory/, { role: "dialog" });
  await ann.reads(/lifted the ban of mallory/, { role: "dialog" });
});

for (const theme of ["light", "dark"]) {
  spec(`axe finds nothing in menus and made dialogs, ${theme}`, async (scene) => {
    const { ann, eve } = await court(scene, { dark: theme === "dark" });
    await says(eve, "a message");
    await ann.reads("a message", "#log");
    const axe = async (where) => {
      await rests(ann);
      await ann.view.evaluate(`(() => { ${AXE}; return 0; })()`);
      const found = await ann.evaluate(async () => (await axe.run(document, { resultTypes: ["violations"] })).violations
        .map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map(({ html }) => html.slice(0, 200)).join(" | ")}`));
      equal(found, [], where);
    };
    await menuOf(ann, "a message");
    await axe("a menu");
    await ann.press("Escape");
    for (const entry of ["Change the topic", "Bans and mutes", "What moderators did", "Give a role"]) {
      await openRoomMenu(ann, entry);
      await ann.until("it has come", (see) => !see.one({ role: "dialog" }).innerText.includes("Loading"));
      await axe(entry);
      await ann.press("Escape");
      await ann.seesNot({ role: "dialog" });
    }
    await menuOf(ann, "a message");
    await choose(ann, "Ban");
    await axe("a ban");
    await ann.press("Escape");
    await eve.click("#account-open");
    await eve.sees({ role: "dialog" });
  }, { minutes: 3 });
}

for (const [name, options] of [["desktop", {}], ["phone", { width: 390, height: 844, scale: 2, touch: true, dark: true, locale: "zh-CN" }]]) {
  spec(`screenshot of keeping order, ${name}`, async (scene) => {
    const server = await scene.startServer(["--operator-token", "a-secret-token"]);
    const mallory = await scene.keep(await Program.open(server.port, "mallory"));
    await mallory.join("court");
    const ann = await scene.person("ann", { room: "court", url: server.url, ...options });
    await says(ann, "/op a-secret-token");
    await ann.sees("#room-menu-open");
    await mallory.say("court", "cheap watches");
    const wrong = await mallory.say("court", "very chaep");
    await mallory.ask({ type: "edit", room: "court", seq: wrong.seq, text: "very cheap" });
    const gone = await mallory.say("court", "never said");
    await mallory.ask({ type: "delete", room: "court", seq: gone.seq });
    await says(ann, "/ban trent 2h advertising");
    await ann.reads("trent", "#log");
    await says(ann, "/topic tea at five");
    await ann.reads("tea at five", "#topic");
    const shows = async (what) => {
      await rests(ann);
      await ann.screenshot(`${scene.shots}/order-${name}-${what}.png`);
    };
    const { x, y } = await ann.rectOfText("#log", "cheap watches");
    if (options.touch) await ann.view.tap(x + 5, y + 5);
    else await ann.view.move(x + 5, y + 5);
    await ann.click({ in: "#row-actions", css: "button:last-child" });
    await ann.sees({ role: "menu" });
    await shows("menu");
    await ann.press("End", "ArrowUp", "Enter");
    await ann.sees({ role: "dialog" });
    await shows("ban");
    await ann.press("Escape");
    await says(ann, "/sanctions");
    await ann.reads("trent", { role: "dialog" });
    await shows("sanctions");
    await ann.press("Escape");
    await says(ann, "/audit");
    await ann.reads("trent", { role: "dialog" });
    await shows("audit");
  });
}
