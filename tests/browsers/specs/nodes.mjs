// Two servers of one port, which share their rooms on Redis: the page goes on at the other when its
// own is killed, and its person has not missed a message.
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { start } from "../processes.mjs";
import { Plain } from "../client.mjs";
import { equal, spec } from "../spec.mjs";

/** A Redis in a folder of its own. */
class Redis {
  constructor() {
    this.folder = mkdtempSync(join(tmpdir(), "parlor-redis-"));
    this.socket = join(this.folder, "socket");
    const options = ["--port", "0", "--unixsocket", this.socket, "--dir", this.folder, "--save", ""];
    this.child = start("redis-server", options, { stdio: "ignore" });
  }

  close() {
    this.child.kill("SIGKILL");
    rmSync(this.folder, { recursive: true, force: true });
  }
}

spec("a person whose server is killed goes on at the other one of the same port", async (scene) => {
  const redis = await scene.keep(new Redis());
  await scene.eventually("Redis is there", () => existsSync(redis.socket));
  const options = ["--engine", `redis+unix:${redis.socket}`, "--reuse-port"];
  const servers = [await scene.startServer(options)];
  const { port } = servers[0];
  servers.push(await scene.startServer(options, { port }));
  const ann = await scene.person("ann", { url: servers[0].url });
  for (const [number, text] of ["one", "two", "three"].entries()) {
    await servers[number % 2].stop("SIGKILL");
    const bob = await scene.keep(await Plain.join(port, scene.room, `bob${number}`));
    bob.says(`answer ${text}`);
    await ann.click("#words");
    await ann.type(`said ${text}`);
    await ann.press("Enter");
    await bob.hears(/: said /);
    await ann.reads(`answer ${text}`, "#log");
    await ann.seesNot("#state");
    servers[number % 2] = await scene.startServer(options, { port });
  }
  const shown = (await ann.text("#log")).match(/(said|answer) (one|two|three)/g);
  equal(new Set(shown).size, 6, "messages");
  equal(shown.length, 6, "no message is there twice");
});
