// What a user has connected: how each account stands, when it last worked, mending it, and letting go of it.

import { accountName, connectForm, state } from "./connect.js";
import { appIcon, h, icons, prose } from "./dom.js";
import { ago, names, t } from "./messages.js";
import { alert, announce, busy, button, failure, loading, show, steps, title, told } from "./shell.js";

/**
 * The list of connections. `only` limits it to an app, `picked` makes it a choice: it is told the one to use.
 */
export async function connections({ api, wishes, only, picked, back, ended, failed = () => {} }) {
  const again = () => connections({ api, wishes, only, picked, back, ended, failed });
  const over = loading();
  let all;
  let apps;
  try {
    [all, apps] = await Promise.all([api.connections(), only ? api.app(only).then((app) => [app]) : api.apps()]);
  } catch (refusal) {
    return failure(refusal, again);
  } finally {
    over();
  }
  const shown = only ? all.filter((it) => it.app === only) : all;
  const appOf = (connection) => apps.find((it) => it.app === connection.app) ?? { app: connection.app, title: connection.app, schemes: [], hosts: [], parameters: [] };
  title(wishes.title || t(only ? "title" : "myConnections", { app: apps[0]?.title }), only ? apps[0] : null);
  steps(null);

  const connect = (app, renewed) => {
    const done = async (id) => {
      announce(t("doneConnected", { app: app.title }));
      if (picked) return picked(id);
      return again();
    };
    show({
      heading: renewed ? `${t("reconnect")}: ${accountName(renewed)}` : t("connect", { app: app.title }),
      lead: app.help,
      body: h("section", { class: "card", "aria-label": app.title }, connectForm({ api, app, renewed, done, onEnded: ended, onFailed: failed })),
      actions: shown.length > 0 || !only ? [h("button", { type: "button", onclick: again }, icons.back(), t("back"))] : [],
    });
  };

  // Whoever is to connect an app, and has not yet, is not shown an empty list first.
  if (only && shown.length === 0) return connect(apps[0], null);

  const message = h("div");
  const guard = async (pressed, text, work) => {
    message.replaceChildren();
    try {
      await busy(pressed, text, work);
    } catch (refusal) {
      if (refusal.ended) return ended(refusal);
      message.replaceChildren(alert(told(refusal), t("failed")));
    }
    return null;
  };

  const card = (connection) => {
    const app = appOf(connection);
    const account = accountName(connection);
    const foot = h("div", { class: "row" });
    const actions = () => {
      const check = button(t("check"), () => guard(check, t("connecting", { app: app.title }), async () => {
        await api.check(connection.id);
        announce(t("checked", { account }));
        await again();
      }), "small-button");
      const redo = button(t("reconnect"), () => connect(app, connection), "small-button");
      const remove = button(t("disconnect"), () => sure(), "small-button danger");
      for (const [it, name] of [[check, t("check")], [redo, t("reconnect")], [remove, t("disconnect")]]) it.setAttribute("aria-label", `${name}: ${account}`);
      const use = picked && !connection.needs_attention ? button(t("useThis"), () => picked(connection.id), "small-button primary") : null;
      use?.setAttribute("aria-label", `${t("useThis")}: ${account}`);
      foot.replaceChildren(...[use, app.schemes.length > 0 ? redo : null, connection.needs_attention ? check : null, remove].filter(Boolean));
    };
    const sure = () => {
      const yes = button(t("disconnect"), () => guard(yes, t("loading"), async () => {
        await api.disconnect(connection.id);
        announce(t("disconnected", { account }));
        await again();
      }), "small-button danger");
      const used = connection.workflows;
      foot.replaceChildren(
        h("p", { class: "small" }, used.length > 0 ? t("disconnectUsed", { account, workflows: names(used) }) : t("disconnectSure", { account, app: app.title })),
        yes,
        button(t("cancel"), () => (actions(), foot.querySelector("button:last-child").focus()), "small-button"),
      );
      yes.focus();
    };
    actions();
    return h(
      "li",
      { class: "card", "data-connection": connection.id },
      h("div", { class: "head" }, appIcon(app), h("div", {}, h("h3", {}, account), state(connection))),
      connection.needs_attention ? h("p", { class: "error" }, h("span", {}, prose(connection.needs_attention))) : null,
      h("p", { class: "small" },
        [
          connection.last_activity_at ? t("lastActive", { when: ago(connection.last_activity_at) }) : null,
          t("connectedOn", { when: ago(connection.created_at) }),
          connection.workflows.length > 0 ? t("usedBy", { workflows: names(connection.workflows) }) : t("neverActive"),
        ].filter(Boolean).join(" · ")),
      foot,
    );
  };

  const more = apps.filter((app) => app.schemes.some((scheme) => scheme.ready));
  const another = only
    ? [button(t("connectAnother"), () => connect(apps[0], null), "wide")]
    : [
        more.length > 0 ? h("h3", {}, t("connectApp")) : null,
        h("ul", { class: "plain-list" }, more.map((app) => h("li", {}, h("button", { type: "button", class: "wide app-button", onclick: () => connect(app, null) }, appIcon(app), app.title)))),
      ];
  show({
    heading: only ? t("chooseAccount", { app: apps[0].title }) : t("accounts"),
    lead: shown.length === 0 ? t("connectionsEmpty") : null,
    body: [message, h("ul", { class: "plain-list" }, shown.map(card)), another],
    actions: back ? [h("button", { type: "button", onclick: back }, icons.back(), t("back"))] : [],
  });
  return null;
}
