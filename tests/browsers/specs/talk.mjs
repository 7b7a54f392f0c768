// The main path: to connect, to send, to read.
import { equal, everywhere } from "../spec.mjs";

everywhere("what is typed is read by others, and theirs is read here", async (scene) => {
  const bob = await scene.plain("bob", "lobby");
  const ann = await scene.person("ann");
  await ann.click("#words");
  await ann.type("hello שלום 你好 👩‍👩‍👧");
  await ann.press("Enter");
  await bob.hears(/^[^*].*: hello שלום 你好 👩‍👩‍👧$/);
  equal(await ann.value("#words"), "");
  bob.says("hello ann");
  await ann.reads("hello ann", "#log");
});
