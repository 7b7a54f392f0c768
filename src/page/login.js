// The person's account on the page: the button in the header that says who one is, and the dialog to
// log in, to register, to change the password and to log out. A password goes from its field to the
// chat and is kept nowhere. Knows no socket.
import { el } from "./render.js";
import { isolated } from "./text.js";

export function createLogin(root, chat, t, { dialogs, announce }) {
  const opener = root.getElementById("account-open");
  let state = null;
  let isAsked = false; // The dialog has come by itself, and need not come again until one is in.

  function draw(next) {
    state = next;
    const { account, accounts, isLoginNeeded } = state;
    opener.hidden = !accounts;
    const label = account ? t("account.is", { name: account.name }) : t("account.login");
    opener.classList.toggle("in", Boolean(account));
    if (opener.title !== label) {
      opener.title = label;
      opener.setAttribute("aria-label", label);
    }
    if (!isLoginNeeded) isAsked = false;
    if (!isLoginNeeded || isAsked || root.querySelector("dialog[open]")) return;
    isAsked = true;
    enter("login");
  }

  function open() {
    if (state?.account) present();
    else enter("login");
  }

  /** `way` is "login" or "register". */
  function enter(way) {
    const isNew = way === "register";
    const other = isNew ? "login" : "register";
    const canSwitch = isNew || state?.accounts !== "closed";
    dialogs.ask({
      title: t(`account.${way}`), submit: t(`account.${way}`), text: t(isNew ? "account.about-register" : "account.about"),
      fields: [
        { name: "name", label: t("account.name"), value: isNew ? state?.nick ?? "" : "", isRequired: true, autocomplete: "username" },
        { name: "password", label: t("account.password"), kind: "password", isRequired: true,
          autocomplete: isNew ? "new-password" : "current-password", hint: isNew ? t("account.password-hint") : undefined },
      ],
      others: canSwitch ? [{ text: t(`account.${other}`), run: () => enter(other) }] : [],
      run: async ({ name, password }) => {
        await chat[way](name, password);
        announce(t("local.logged_in", { account: name }), true);
      },
    });
  }

  function present() {
    const { name, roles } = state.account;
    const known = roles.filter((role) => t.has(`role.${role}`)).map((role) => t(`role.${role}`));
    dialogs.ask({
      title: t("account.title"),
      text: [t("account.is", { name: isolated(name) }), ...(known.length ? [el("p", "hint", known.join(", "))] : [])],
      others: [
        { text: t("account.unregister"), isDanger: true, run: unregister },
        { text: t("account.change"), run: change },
        { text: t("account.logout"), run: logout },
      ],
    });
  }

  const logout = () => chat.logout().then(
    () => announce(t("local.logged_out"), true), (why) => announce(t.error(why), true));

  function change() {
    dialogs.ask({
      title: t("account.change"), submit: t("account.change"),
      fields: [
        { name: "password", label: t("account.password"), kind: "password", isRequired: true, autocomplete: "current-password" },
        { name: "next", label: t("account.password-new"), kind: "password", isRequired: true, autocomplete: "new-password", hint: t("account.password-hint") },
      ],
      run: async ({ password, next }) => {
        await chat.changePassword(password, next);
        announce(t("account.changed"), true);
      },
    });
  }

  function unregister() {
    dialogs.ask({
      title: t("account.unregister"), submit: t("account.unregister"), isDanger: true, text: t("account.unregister-about"),
      fields: [{ name: "password", label: t("account.password"), kind: "password", isRequired: true, autocomplete: "current-password" }],
      run: ({ password }) => chat.unregister(password),
    });
  }

  opener.addEventListener("click", open);
  return { draw, open };
}
