// A room with a person who keeps order in it and one who does not, for specs about order.

/** Ann, who keeps order by a token, and eve are in the room, each with a page. */
export async function court(scene, options = {}) {
  const server = await scene.startServer(["--operator-token", "a-secret-token"]);
  const here = { room: "court", url: server.url, ...options };
  const ann = await scene.person("ann", here);
  await says(ann, "/op a-secret-token");
  await ann.reads("You are an operator now", "#log");
  return { ann, eve: await scene.person("eve", here), server };
}

export async function says(person, text) {
  await person.click("#words");
  await person.type(text);
  await person.press("Enter");
}
