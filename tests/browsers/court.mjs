// A room with a moderator and a member without a role, and how menus and dialogs are used, for specs
// about order, rooms and conversations.

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

/** Opens the menu of the message with this text. */
export async function menuOf(person, text) {
  const { x, y } = await person.rectOfText("#log", text);
  await person.view.move(x + 5, y + 5);
  await person.click({ in: "#row-actions", role: "button", name: "More" });
  await person.sees({ role: "menu" });
}

export const choose = (person, name) => person.click({ role: "menuitem", name });
export const inDialog = (more) => ({ in: { role: "dialog" }, ...more });

/** Opens a dialog by the menu of the room. */
export async function openRoomMenu(person, name) {
  await person.click("#room-menu-open");
  await choose(person, name);
  await person.sees({ role: "dialog" });
}

/** Until nothing moves or fades: a colour in between is no colour of the page. */
export const rests = (person) => person.evaluate(() => Promise.all(document.getAnimations().map((a) => a.finished)).then(() => 0));
