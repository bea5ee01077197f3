// What the page is asked for by its address, and what it says to the page that embeds it.
//
// The messages are those of Alloy's modal, exactly, and nothing else is ever posted: embedding pages take any other
// message of an `authenticate` window for a success. A page of its own (a hosted link) has nobody to tell.

const framed = window.parent !== window;

/** The page's wishes, read once; the address loses its token before anything else happens. */
export function asked() {
  const query = new URLSearchParams(window.location.search);
  const wishes = {
    page: window.location.pathname.replace(/\/+$/, "").split("/").pop(),
    token: query.get("token") ?? "",
    integrationId: query.get("integrationId") ?? undefined,
    workflowIds: query.getAll("id").filter((id) => id && id !== "undefined"),
    versionIds: query.getAll("versionId").filter((id) => id && id !== "undefined"),
    preFilledValues: list(query.get("preFilledValues")),
    alwaysShowAuthentication: ["alwaysShowAuthentication", "alwaysShowCredentials"].some((it) => query.get(it) === "true"),
    workflowSelection: query.get("workflowSelection") === "true",
    hide: query.get("hide") === "true" && framed,
    title: query.get("title") ?? "",
    operation: ["edit", "update"].includes(query.get("operation")) ? query.get("operation") : "install",
    app: query.get("app") ?? undefined,
    look: look(query),
    framed,
  };
  // The token is in no history, no bookmark, no screenshot of an address bar, and in no page that is opened from here.
  window.history.replaceState(null, "", window.location.pathname);
  return wishes;
}

/** Theme, language and texts: from the embedding page by the frame's name, which is in no address and no log. */
function look(query) {
  const given = framed ? object(window.name) : {};
  const look = given.trunnion === 1 ? given : {};
  return {
    theme: object(look.theme ?? query.get("theme")),
    locale: look.locale ?? query.get("locale") ?? undefined,
    // Texts only from the page around: nobody else may have this host say something in a link.
    strings: object(look.strings),
  };
}

function object(given) {
  const value = typeof given === "string" ? parsed(given) : given;
  return value && typeof value === "object" && !Array.isArray(value) ? value : {};
}

function list(text) {
  const value = parsed(text);
  return Array.isArray(value) ? value : [];
}

function parsed(text) {
  try {
    return JSON.parse(text ?? "null");
  } catch {
    return null;
  }
}

/** The origin of the page around, as far as the browser says it. */
export function embeddedBy() {
  if (!framed) return null;
  const ancestor = window.location.ancestorOrigins?.[0];
  if (ancestor && ancestor !== "null") return ancestor;
  try {
    return new URL(document.referrer).origin;
  } catch {
    return null;
  }
}

/** Whether the token may be used in the page around: a token may carry the origins that it is for. */
export function mayBeEmbedded(token) {
  const origins = claims(token).origins;
  if (!framed || !Array.isArray(origins) || origins.length === 0) return true;
  return origins.includes(embeddedBy());
}

function claims(token) {
  try {
    const payload = token.split(".")[1].replace(/-/g, "+").replace(/_/g, "/");
    return JSON.parse(new TextDecoder().decode(Uint8Array.from(atob(payload), (it) => it.charCodeAt(0)))) ?? {};
  } catch {
    return {};
  }
}

function tell(message) {
  // An embedding page that hides its origin is told all the same: the messages hold ids and no secret.
  if (framed) window.parent.postMessage(message, embeddedBy() ?? "*");
}

export const say = {
  show: () => tell({ showModal: true }),
  /** Workflows are installed; the page stays for its last step, and says `close` after it. */
  installed: (workflowIds, stays) =>
    tell(stays ? { workflowCreated: true, workflowIds, closeModal: false } : { workflowCreated: true, workflowIds }),
  close: () => tell({ closeModal: true }),
  authenticated: (id) =>
    tell({ closeModal: true, connectionStatus: "success", connectionId: id, credentialId: id }),
  failed: () => tell({ closeModal: true, connectionStatus: "failed" }),
};
