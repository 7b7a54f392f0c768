// The person's account: log in, register, log out, change the password. A password goes into its
// request and is kept nowhere; what resumes the account is the secret of the session. Knows no room
// and no DOM.

/** Close codes after which only an account helps: one is required, or its token has expired. */
const NEEDS_LOGIN = new Set([4004, 4005]);

/**
 * `isReady()`: the session is settled. `admitted()`: an account is there where one is required.
 * `nickIs(nick)`: the account has brought its nick. `failed(error)`: a token is not accepted.
 */
export function createAccount({
  connection, state, tab, ask, save, onChange, isReady, admitted, nickIs, failed,
}) {
  let waiting = null; // { object, resolve, reject }: to be sent as soon as there is a connection.
  let token = null; // That the site signed; a session does not bring its account back.

  function greeted({ accounts, account }) {
    state.accounts = accounts ?? null;
    is({ account });
  }

  /** An answer of the server that may name the account. */
  function is({ account, roles }) {
    state.account = account ? { name: account, roles: roles ?? [] } : null;
    if (account) state.isLoginNeeded = false;
    onChange({ connection: true });
  }

  /** A session that was resumed names the account, and not what it is on the server. */
  async function learnRoles() {
    const mine = state.account;
    const { roles } = await ask({ type: "account" });
    if (state.account !== mine) return;
    is({ account: mine.name, roles: roles.filter(({ room }) => !room).map(({ role }) => role) });
  }

  const isMissing = () => state.accounts === "required" && !state.account;

  /** The session is settled: what waited for it goes out. */
  function settled() {
    const one = waiting;
    waiting = null;
    if (one) enter(one.object).then(one.resolve, one.reject);
    else if (token && !state.account) present(token);
    else if (isMissing()) state.isLoginNeeded = true;
    else if (state.account) learnRoles().catch(() => {});
  }

  /** There is no connection any more. */
  function ended({ code, reason }) {
    const one = waiting;
    if (NEEDS_LOGIN.has(code)) state.isLoginNeeded = true;
    if (NEEDS_LOGIN.has(code)) token = null;
    if (!one) return;
    waiting = null;
    one.reject({ code: "ended", message: reason });
  }

  async function enter(object) {
    const answer = await ask(object);
    is(answer);
    if (answer.session) tab.secret = answer.session;
    if (answer.nick) nickIs(answer.nick);
    save();
    admitted();
    return state.account;
  }

  /** Resolves to the account. Where the connection was ended for want of one, it is made again. */
  function come(type, account, password) {
    const object = { type, account, password };
    if (isReady()) return enter(object);
    waiting?.reject({ code: "lost" });
    return new Promise((resolve, reject) => {
      waiting = { object, resolve, reject };
      connection.reconnect();
    });
  }

  /** Logs in with a token that the site signed, on each connection. */
  function present(signed) {
    token = signed;
    if (!isReady()) return;
    enter({ type: "login", token }).catch((error) => {
      if (error.code === "lost" || error.code === "offline") return;
      token = null;
      if (isMissing()) state.isLoginNeeded = true;
      failed(error);
    });
  }

  async function logout() {
    token = null;
    const answer = await ask({ type: "logout" });
    tab.secret = answer.session;
    is(answer);
    if (answer.nick) nickIs(answer.nick);
    save();
  }

  async function unregister(password) {
    await ask({ type: "unregister", password });
    is({});
  }

  return {
    greeted, is, isMissing, settled, ended, present,
    actions: {
      login: (account, password) => come("login", account, password),
      register: (account, password) => come("register", account, password),
      logout,
      changePassword: (password, next) => ask({ type: "password", password, new: next }),
      unregister,
      /** All that is kept of the account. */
      exportAccount: () => ask({ type: "account" }),
    },
  };
}
