// Screenshots to look at, in target/browsers: the page with all that it shows, on a desktop, a phone,
// from right to left, in Chinese, dark, and at twice the size.
import { rests } from "../court.mjs";
import { ok, spec } from "../spec.mjs";

const texts = {
  en: ["Good morning! Did anyone see the northern lights?", "Yes, at two in the night. Here is a picture: https://example.org/lights.jpg", "So jealous…", "bring a blanket next time\nand tea\nand a friend", "ann: will you come on Friday?"],
  he: ["בוקר טוב! מישהו ראה את אורות הצפון?", "כן, בשתיים בלילה: https://example.org/lights.jpg (מדהים!)", "שורה בעברית\nand one in English\nושוב עברית", "English in between, שלום, and more English", "ann, תבואי ביום שישי?"],
  zh: ["早上好！昨晚有人看到极光了吗？", "看到了，凌晨两点。照片在这里：https://example.org/lights.jpg，很美。", "好羡慕……", "下次带上毯子\n还有茶\n还有朋友", "ann：星期五来吗？"],
};
const nicks = { en: ["bob", "Caroline", "guest-4f2a", "dmitri"], he: ["דוד", "שרה", "bob", "רחל"], zh: ["小明", "王芳", "bob", "guest-4f2a"] };

async function filled(scene, language) {
  const people = [];
  for (const nick of nicks[language]) {
    const one = await scene.program(encodeURIComponent(nick));
    await one.join("den");
    people.push(one);
  }
  const [a, b, c, d] = people;
  const t = texts[language];
  await a.say("den", t[0]);
  const first = await b.say("den", t[1]);
  await c.say("den", t[2], { reply_to: first.seq });
  await d.say("den", "waves", { kind: "action" });
  await a.say("den", t[3]);
  await b.join("attic");
  await b.say("attic", "ann: are you there?");
  return { people, last: t[4] };
}

const looks = [
  ["desktop", { width: 1280, height: 800 }, "en", {}],
  ["desktop-dark", { width: 1280, height: 800, dark: true }, "en", {}],
  ["phone", { width: 390, height: 844, scale: 2, touch: true }, "en", {}],
  ["phone-dark", { width: 390, height: 844, scale: 2, touch: true, dark: true }, "zh", { locale: "zh-CN" }],
  ["rtl", { width: 1000, height: 700 }, "he", {}],
  ["chinese", { width: 1000, height: 700, locale: "zh-CN" }, "zh", {}],
  ["zoom-200", { width: 640, height: 400, scale: 2 }, "en", {}],
];

for (const [name, options, language, more] of looks) {
  spec(`screenshot ${name}`, async (scene) => {
    const { people, last } = await filled(scene, language);
    const ann = await scene.person("ann", { ...options, ...more });
    await ann.click("#words");
    await ann.type("/join attic");
    await ann.press("Enter");
    await ann.reads("attic", "#room-name");
    const narrow = options.width < 700;
    if (narrow) await ann.click("#rooms-open");
    await ann.click({ in: "#rooms", css: "button", name: /^den/ });
    await ann.reads("den", "#room-name");
    await people[1].say("attic", "ann: hello?");
    await ann.click("#words");
    await ann.type(language === "he" ? "אני אבוא, ואביא תה" : language === "zh" ? "我来，我带茶" : "I will, and I bring tea ☕");
    await ann.press("Enter");
    await people[0].say("den", last);
    await people[2].ask({ type: "typing", room: "den" });
    await ann.reads(last.slice(0, 6), "#log");
    await ann.type(language === "he" ? "טיוטה" : "a draft");
    await ann.until("the network rests", () => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(() => resolve(true)))));
    await ann.screenshot(`${scene.shots}/${name}.png`);
    if (name === "desktop" || name === "phone") {
      for (const [what, open] of [["search", "#search-open"], ["settings", "#own-nick"]]) {
        await ann.click(open);
        await ann.sees(`#${what}-dialog`);
        await rests(ann);
        if (what === "search") { await ann.type("lights"); await ann.press("Enter"); await ann.reads("lights", "#found"); }
        await ann.screenshot(`${scene.shots}/${name}-${what}.png`);
        await ann.dismiss(`#${what}-dialog`);
      }
      if (narrow) {
        await ann.click("#rooms-open");
        await ann.sees({ role: "button", name: /join a room/i });
        await rests(ann);
        await ann.screenshot(`${scene.shots}/${name}-rooms.png`);
      } else {
        await ann.click({ role: "button", name: /join a room/i });
        await ann.type("#General chat");
        await rests(ann);
        await ann.screenshot(`${scene.shots}/${name}-join.png`);
      }
    }
    ok(true, "");
  });
}

spec("screenshot of what goes wrong", async (scene) => {
  const network = await scene.network();
  const ann = await scene.person("ann", { url: network.url, width: 900, height: 600 });
  await ann.click("#words");
  await ann.type("a message that is stored");
  await ann.press("Enter");
  await ann.until("stored", () => !/sending/i.test(document.querySelector("#log").innerText));
  network.refuse();
  await ann.sees("#state");
  await ann.type("a message that waits");
  await ann.press("Enter");
  await ann.reads("a message that waits", "#log");
  await ann.insert(`Too long: ${"words ".repeat(3000)}`);
  await ann.screenshot(`${scene.shots}/offline.png`);
});

spec("screenshot of a tall message, marks that pile up, and hostile text", async (scene) => {
  const bob = await scene.program("bob");
  await bob.join("den");
  await bob.say("den", `tall\n${Array.from({ length: 80 }, (_, n) => `line ${n}`).join("\n")}`);
  await bob.say("den", "Z\u0335\u0323\u0308\u030d\u0489".repeat(6));
  await bob.say("den", "is back\ncat left", { kind: "action" });
  await bob.say("den", "\u202ehttps://evil.example/moc.elgoog@elpmaxe and https://google.com@evil.example/");
  await bob.say("den", "x".repeat(400));
  const ann = await scene.person("ann", { width: 900, height: 900 });
  await ann.reads("is back", "#log");
  await ann.screenshot(`${scene.shots}/hostile.png`);
});
