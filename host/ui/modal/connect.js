// Connecting one app: what it is given access to, the ways to connect, and the account that is used.

import { consent } from "./consent.js";
import { appIcon, fresh, h, icons } from "./dom.js";
import { aboutField, complainAll, credential } from "./forms.js";
import { t } from "./messages.js";
import { alert, announce, button, busy, told } from "./shell.js";

/**
 * A form that connects `app`, or gives `renewed` (a connection) new values. Calls `done` with the connection's id.
 */
export function connectForm({ api, app, renewed, done, onEnded, onFailed = () => {} }) {
  const place = h("div", { class: "connect", "data-app": app.app });
  const ways = app.schemes.filter((scheme) => !renewed || scheme.id === renewed.scheme);
  const usable = ways.filter((scheme) => scheme.ready);
  const draw = (scheme, moved) => {
    place.replaceChildren(...form({ api, app, scheme, renewed, done, onEnded, onFailed, others: usable.filter((it) => it !== scheme), draw }));
    if (moved) (place.querySelector("input, textarea") ?? place.querySelector("button"))?.focus();
  };
  if (usable.length > 0) draw(usable[0], false);
  else place.append(h("p", {}, t(ways.length ? "notRegistered" : "noCredential", { app: app.title })));
  return place;
}

function form({ api, app, scheme, renewed, done, onEnded, onFailed, others, draw }) {
  const { fields, problems, values } = credential(app, scheme);
  const message = h("div");
  const under = h("div", { class: "waits" });
  const submit = h("button", { type: "submit", class: "primary wide" }, icons.link(), t(renewed ? "reconnect" : "connect", { app: app.title }));
  const refused = (refusal) => {
    if (refusal.ended) return onEnded(refusal);
    onFailed(refusal);
    const name = aboutField(told(refusal), fields.map((it) => it.name));
    if (name) complainAll(fields, { [name]: told(refusal) });
    else message.replaceChildren(alert(told(refusal), t("failed")));
  };
  const send = async () => {
    if (scheme.type === "oauth2") {
      const id = await consent({ api, app, scheme, parameters: values(), place: under });
      return id;
    }
    const made = renewed ? await api.reconnect(renewed.id, values()) : await api.connect(app.app, values());
    return made.id;
  };
  const onsubmit = async (event) => {
    event.preventDefault();
    message.replaceChildren();
    if (complainAll(fields, problems())) return announce(t("fixBelow"));
    try {
      const id = await busy(submit, t("connecting", { app: app.title }), send);
      if (id) done(id);
      else submit.focus();
    } catch (refusal) {
      refused(refusal);
    }
  };
  return [
    h(
      "form",
      { novalidate: true, onsubmit },
      message,
      fields.map((it) => it.element),
      access(app, scheme),
      submit,
      under,
      fields.length > 0 && scheme.type !== "oauth2" ? h("p", { class: "hint" }, t("keptSecret", { app: app.title })) : null,
    ),
    others.length > 0
      ? h(
          "details",
          {},
          h("summary", {}, t("otherWay")),
          h("div", {}, others.map((other) => h("p", {}, button(t("by", { scheme: other.title }), () => draw(other, true), "small-button")))),
        )
      : null,
  ].filter(Boolean);
}

/** Whom data is exchanged with, and what is asked for: shown before anybody agrees to it. */
function access(app, scheme) {
  const titleOf = (name) => app.parameters.find((parameter) => parameter.name === name)?.title ?? name;
  // What the person will type, by its name: `‹Shop name›.myshopify.com`.
  const named = (pattern) => pattern.replace(/\{(\w+)\}/g, (_, name) => `‹${titleOf(name)}›`);
  const host = (pattern) => (pattern.startsWith("*.") ? t("anyHost", { host: pattern.slice(2) }) : named(pattern));
  return h(
    "details",
    { open: true, class: "access" },
    h("summary", {}, t("consentAccess")),
    h(
      "div",
      {},
      h("h4", {}, t("consentHosts")),
      h("ul", { class: "tags" }, app.hosts.map((pattern) => h("li", {}, host(pattern)))),
      scheme.type === "fields"
        ? null
        : [
            h("h4", {}, t("consentScopes")),
            scheme.scopes.length > 0
              ? h("ul", { class: "tags" }, scheme.scopes.map((scope) => h("li", {}, scope)))
              : h("p", { class: "small" }, t("consentScopesNone", { app: app.title })),
          ],
    ),
  );
}

/** How an account stands, in a word. */
export function state(connection) {
  return connection.needs_attention
    ? h("span", { class: "state bad" }, icons.warning(), t("needsAttention"))
    : h("span", { class: "state" }, icons.check(), t("connected"));
}

/** What a person calls an account. */
export function accountName(connection) {
  return connection.title || connection.account || connection.id;
}

/**
 * One app of an installation: the account that is used, another one, or the form. `chosen` is told of the choice.
 */
export function appCard({ api, app, connection, chosen, onEnded, onFailed, reload }) {
  const body = h("div");
  const head = h("div", { class: "head" }, appIcon(app), h("div", {}, h("h3", {}, app.title), app.help ? h("span", { class: "small" }, app.help) : null));
  const card = h("section", { class: "card", "aria-label": app.title }, head, body);
  const done = async (id) => {
    chosen(id);
    announce(t("doneConnected", { app: app.title }));
    await reload();
  };
  const form = (renewed) => {
    body.replaceChildren(
      connectForm({ api, app, renewed, done, onEnded, onFailed }),
      app.connections.length > 0 ? button(t("cancel"), list, "small-button") : "",
    );
    (body.querySelector("input") ?? body.querySelector("button"))?.focus();
  };
  const list = () => {
    const name = fresh("account");
    const choice = (it) =>
      h(
        "label",
        { class: "choice" },
        h("input", { type: "radio", name, value: it.id, checked: it.id === connection, onchange: () => chosen(it.id) }),
        h("span", {}, h("b", {}, accountName(it)), state(it)),
        it.needs_attention ? button(t("reconnect"), () => form(it), "small-button") : null,
      );
    body.replaceChildren(
      h("fieldset", {}, h("legend", { class: app.connections.length > 1 ? "small" : "hidden" }, t("chooseAccount", { app: app.title })), app.connections.map(choice)),
      button(t("connectAnother"), () => form(null), "small-button"),
    );
  };
  if (app.schemes.length === 0) body.append(h("p", {}, t("noCredential", { app: app.title })));
  else if (app.connections.length > 0) list();
  else body.append(connectForm({ api, app, done, onEnded, onFailed }));
  return card;
}
