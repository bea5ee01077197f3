// The host's `/v1/embed`: everything that the page knows comes from here, with the user's token and nothing else.

const BASE = "/v1/embed";
const PATIENCE_MS = 90_000;

/** A request that was not carried out: `code` is stable, `message` is for people. */
export class Refusal extends Error {
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }

  /** Whether the token is what is wrong: asking again helps nobody. */
  get ended() {
    return this.status === 401;
  }
}

export function client(token) {
  async function call(method, path, body) {
    let answer;
    try {
      answer = await fetch(BASE + path, {
        method,
        headers: {
          "x-alloy-user-token": token,
          ...(body === undefined ? {} : { "content-type": "application/json" }),
        },
        body: body === undefined ? undefined : JSON.stringify(body),
        credentials: "omit",
        cache: "no-store",
        signal: AbortSignal.timeout(PATIENCE_MS),
      });
    } catch {
      throw new Refusal(0, "unreachable", "");
    }
    const said = await answer.json().catch(() => ({}));
    if (answer.ok) return said;
    throw new Refusal(answer.status, said.code ?? "unknown", said.detail ?? said.message ?? "");
  }

  const at = (id) => `/connections/${encodeURIComponent(id)}`;
  return {
    /** What installing stands on: apps, connections, workflows with their open fields. */
    plan: (wanted) => call("POST", "/plan", wanted),
    install: (wish) => call("POST", "/installations", wish),
    apps: async () => (await call("GET", "/apps")).data,
    app: (app) => call("GET", `/apps/${encodeURIComponent(app)}`),
    connections: async () => (await call("GET", "/connections")).data,
    connect: (app, data) => call("POST", "/connections", { app, data }),
    reconnect: (id, data) => call("PUT", at(id), { data }),
    check: (id) => call("POST", `${at(id)}/check`, {}),
    disconnect: (id) => call("DELETE", at(id)),
    consent: (app, scheme, parameters) => call("POST", "/consents", { app, scheme, parameters }),
    options: (id, lookup, query) => call("POST", `${at(id)}/lookups/${encodeURIComponent(lookup)}`, query),
  };
}
