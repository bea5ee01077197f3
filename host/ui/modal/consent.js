// Consent at the vendor, in a window of its own: opened by the click, followed until it says how it ended.
//
// The window tells this one, where the vendor lets it (`callback.js`). Some vendors cut the tie between windows, and the
// callback may be on another origin than this page, so the host is asked as well: a connection that is there counts.

import { h, icons } from "./dom.js";
import { t } from "./messages.js";
import { announce, button } from "./shell.js";

const EVERY_MS = 1_500;
const PATIENCE_MS = 15 * 60_000;

/**
 * Sends the person to the vendor and shows in `place` how it goes.
 *
 * Resolves with the connection's id; with null where the person gives up. Rejects where the host refuses to begin.
 */
export async function consent({ api, app, scheme, parameters, place }) {
  // Opened while the click still counts: after an answer it would be taken for an advertisement.
  const opened = open();
  let url;
  let before;
  try {
    [before, { url }] = await Promise.all([known(api, app), api.consent(app.app, scheme.id, parameters)]);
  } catch (refusal) {
    opened?.close();
    throw refusal;
  }
  opened?.location.replace(url);
  return follow({ api, app, place, url, before, opened });
}

function open(to = "about:blank") {
  const [width, height] = [620, 760];
  const left = Math.max(0, (window.screen.availWidth - width) / 2);
  const top = Math.max(0, (window.screen.availHeight - height) / 2);
  return window.open(to, "trunnion-consent", `popup,width=${width},height=${height},left=${left},top=${top}`);
}

/** The app's connections and when each last changed. */
async function known(api, app) {
  const all = (await api.connections()).filter((it) => it.app === app.app);
  return new Map(all.map((it) => [it.id, it.updated_at]));
}

function follow({ api, app, place, url, before, opened }) {
  return new Promise((resolve, reject) => {
    let popup = opened;
    let over = false;
    const end = (settle, value) => {
      if (over) return;
      over = true;
      window.removeEventListener("message", heard);
      window.clearInterval(timer);
      place.replaceChildren();
      place.closest("form")?.classList.remove("waiting");
      popup?.close();
      settle(value);
    };
    const heard = (event) => {
      if (event.origin !== window.location.origin || event.data?.trunnion !== "consent") return;
      if (event.data.connection) end(resolve, event.data.connection);
      else end(reject, Object.assign(new Error(event.data.error ?? ""), { code: event.data.code, status: 400 }));
    };
    const ask = async () => {
      const all = await api.connections().catch(() => []);
      const fresh = all.find(
        (it) => it.app === app.app && !it.needs_attention && before.get(it.id) !== it.updated_at,
      );
      if (fresh) end(resolve, fresh.id);
    };
    const began = Date.now();
    let shown = null;
    const look = async () => {
      if (Date.now() - began > PATIENCE_MS) return end(resolve, null);
      await ask();
      if (!over) showState(popup && !popup.closed ? "waiting" : popup ? "closed" : "blocked");
    };
    const reopen = (event) => {
      popup = open(url);
      // Where even this is kept closed, the browser follows the link as it is.
      if (popup) event.preventDefault();
      showState("waiting");
    };
    const showState = (state) => {
      if (state === shown) return;
      shown = state;
      const again = h(
        "a",
        // `opener`: the callback in that window is this host's own page, and tells this one how it ended.
        { class: "button primary wide", href: url, target: "trunnion-consent", rel: "opener", onclick: reopen },
        icons.window(),
        t(state === "blocked" ? "popupOpen" : "popupAgain", { app: app.title }),
      );
      const text = t(state === "waiting" ? "popupWaiting" : state === "blocked" ? "popupBlocked" : "popupClosed", {
        app: app.title,
      });
      place.replaceChildren(
        h(
          "div",
          { class: "card", "data-consent": state },
          h("p", { class: "row" }, state === "waiting" ? h("span", { class: "spinner" }) : icons.warning(), h("b", {}, text)),
          state === "waiting" ? h("p", { class: "small" }, t("popupWaitingMore")) : h("p", {}, again),
          button(t("cancel"), () => end(resolve, null), "wide"),
        ),
      );
      place.closest("form")?.classList.add("waiting");
      announce(text);
    };
    window.addEventListener("message", heard);
    const timer = window.setInterval(look, EVERY_MS);
    showState(popup ? "waiting" : "blocked");
  });
}

