// The main path: to connect, to send, to read, with other people and programs.
import { equal, everywhere, ok, spec } from "../spec.mjs";

everywhere("what is typed is read by others, and theirs is read here", async (scene) => {
  const bob = await scene.plain("bob");
  const ann = await scene.person("ann");
  await ann.click("#words");
  await ann.type("hello שלום 你好 👩‍👩‍👧");
  await ann.press("Enter");
  await bob.hears("ann: hello שלום 你好 👩‍👩‍👧");
  equal(await ann.value("#words"), "");
  equal(await ann.focus(), "#words");
  bob.says("hello ann");
  await ann.reads("hello ann", "#log");
  await ann.reads("bob", "#log");
});

everywhere("lines that Shift and Enter make are lines for others", async (scene) => {
  const bob = await scene.plain("bob");
  const ann = await scene.person("ann");
  await ann.click("#words");
  await ann.type("one");
  await ann.press("Shift+Enter");
  await ann.type("two");
  await ann.press("Enter");
  await bob.hears("ann: one\n  two");
  await ann.reads("two", "#log");
  const [one, two] = [await ann.rectOfText("#log", "one"), await ann.rectOfText("#log", "two")];
  ok(two.top >= one.bottom - 2, "the second line stands below the first");
});

everywhere("Enter while an input method composes does not send", async (scene) => {
  const bob = await scene.plain("bob");
  const ann = await scene.person("ann");
  await ann.click("#words");
  await ann.insert("かな");
  await ann.evaluate(() => {
    const words = document.querySelector("#words");
    words.dispatchEvent(new CompositionEvent("compositionstart", { bubbles: true }));
    words.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", isComposing: true, bubbles: true, cancelable: true }));
    words.dispatchEvent(new CompositionEvent("compositionend", { data: "かな", bubbles: true }));
    // Safari reports the key that ended it afterwards, with the key code of input methods.
    const last = new KeyboardEvent("keydown", { key: "Enter", bubbles: true, cancelable: true });
    Object.defineProperty(last, "keyCode", { value: 229 });
    words.dispatchEvent(last);
  });
  equal(await ann.value("#words"), "かな");
  await ann.press("Enter");
  await bob.hears("ann: かな");
  equal(bob.lines.filter((line) => line.startsWith("ann:")).length, 1);
});

spec("an input method of Chromium composes, and Enter afterwards sends", async (scene) => {
  const bob = await scene.plain("bob");
  const ann = await scene.person("ann");
  await ann.click("#words");
  const devtools = await ann.view.devtools();
  await devtools.send("Input.imeSetComposition", { text: "ni", selectionStart: 2, selectionEnd: 2 });
  equal(await ann.value("#words"), "ni");
  bob.says("a message that comes while ann composes");
  await ann.reads("while ann composes", "#log");
  equal(await ann.value("#words"), "ni", "what is being composed");
  await devtools.send("Input.insertText", { text: "你" });
  await ann.press("Enter");
  await bob.hears("ann: 你");
});

everywhere("hostile texts stay text", async (scene) => {
  const bob = await scene.plain("bob");
  const ann = await scene.person("ann");
  const texts = [
    "<img src=x onerror=alert(1)><script>alert(2)</script>",
    "javascript:alert(3) [x](javascript:alert(4)) data:text/html,<b>5</b>",
    "&lt;b&gt; &amp; {{7*7}} ${7*7} `code` **bold**",
    "\u0000\u0007\u001b[31mred\u0008 __proto__ constructor",
  ];
  for (const text of texts) bob.says(text);
  bob.says("the last one");
  await ann.reads("the last one", "#log");
  const shown = await ann.text("#log");
  for (const text of texts.slice(0, 3)) ok(shown.includes(text), `${text} is shown as it was written`);
  const found = await ann.evaluate(() => ({
    elements: document.querySelectorAll("#log img, #log script, #log b:not([class])").length,
    links: [...document.querySelectorAll("#log a")].map((a) => a.protocol).filter((p) => !/^https?:$/.test(p)),
  }));
  equal(found, { elements: 0, links: [] });
});

everywhere("two browsers and a plain client talk in one room", async (scene) => {
  const ann = await scene.person("ann");
  const bob = await scene.person("bob");
  const cat = await scene.plain("cat");
  await ann.click("#words");
  await ann.type("from ann");
  await ann.press("Enter");
  await bob.reads("from ann", "#log");
  await bob.click("#words");
  await bob.type("/me waves");
  await bob.press("Enter");
  await cat.hears("** bob waves");
  cat.says("from cat");
  for (const one of [ann, bob]) await one.reads(/ann[\s\S]*from ann[\s\S]*bob waves[\s\S]*cat[\s\S]*from cat/, "#log");
});
