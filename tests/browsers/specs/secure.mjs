// The page over TLS of the server itself.
import { equal, spec } from "../spec.mjs";
import { path } from "../packages.mjs";

const TLS = ["--tls-listen", "127.0.0.1:0", "--tls-cert", path("tests/tls/site.pem"), "--tls-key", path("tests/tls/site.key")];

async function secure(scene) {
  const server = await scene.startServer(TLS);
  const port = await scene.eventually("the server speaks TLS", () => server.securePort);
  return { server, url: `https://localhost:${port}/` };
}

spec("people with and without TLS talk to each other, and the page is in a secure context", async (scene) => {
  const { server, url } = await secure(scene);
  const ann = await scene.person("ann", { url });
  const bob = await scene.person("bob", { url: server.url });
  equal(await ann.evaluate(() => [isSecureContext, location.protocol]), [true, "https:"]);
  await ann.click("#words");
  await ann.type("hello over TLS");
  await ann.press("Enter");
  await bob.reads("hello over TLS", "#log");
  await bob.click("#words");
  await bob.type("hello without");
  await bob.press("Enter");
  await ann.reads("hello without", "#log");
});

spec("after a reload over TLS the page shows what was said before", async (scene) => {
  const { url } = await secure(scene);
  const ann = await scene.person("ann", { url });
  await ann.click("#words");
  await ann.type("kept");
  await ann.press("Enter");
  await ann.reads("kept", "#log");
  await ann.reload();
  await scene.isIn(ann, "ann");
  await ann.reads("kept", "#log");
});

spec("a page over TLS comes back after an upgrade of the program and misses nothing, and one without stays", async (scene) => {
  const { server, url } = await secure(scene);
  const ann = await scene.person("ann", { url });
  const bob = await scene.person("bob", { url: server.url });
  await bob.click("#words");
  for (const words of ["the first upgrade", "the second"]) {
    server.child.kill("SIGUSR2");
    await bob.type(words);
    await bob.press("Enter");
    await bob.reads(words, "#log");
    await ann.reads(words, "#log");
  }
  await scene.isIn(ann, "ann");
  await ann.click("#words");
  await ann.type("here again");
  await ann.press("Enter");
  await bob.reads("here again", "#log");
  await bob.seesNot("#state");
});
