// Installing, editing and updating: connect each app, fill in the options, done.

import { accountName, appCard } from "./connect.js";
import { h, icons } from "./dom.js";
import { aboutField, complainAll } from "./forms.js";
import { names, t } from "./messages.js";
import { workflowFields } from "./options.js";
import { alert, announce, busy, button, dead, failure, loading, show, steps, title, told } from "./shell.js";
import { say } from "./protocol.js";

export function install({ api, wishes, done, ended, myConnections }) {
  const wanted = {
    integration_id: wishes.integrationId,
    workflow_ids: wishes.workflowIds,
    version_ids: wishes.versionIds,
  };
  let plan = null;
  /** The connection of each app. */
  const chosen = {};
  /** Field values by workflow, over those that the host knows. */
  const filled = {};
  const left = new Set();
  let shown = !wishes.hide;

  const stepNames = () => [t("stepConnect"), t("stepOptions"), t("stepDone")];
  const appTitle = () => plan.integration.title;

  async function load() {
    const over = loading();
    try {
      plan = await api.plan(wanted);
    } finally {
      over();
    }
    for (const app of plan.apps) choose(app);
  }

  /** The connection that is used unless somebody says otherwise: the one in use, or the only one there is. */
  function choose(app) {
    const known = app.connections.map((it) => it.id);
    if (known.includes(chosen[app.app])) return;
    const inUse = known.includes(app.connection) ? app.connection : null;
    chosen[app.app] = inUse ?? (known.length === 1 ? known[0] : undefined);
  }

  const connectionOf = (app) => app.connections.find((it) => it.id === chosen[app.app]);
  const isConnected = (app) => app.schemes.length === 0 || (connectionOf(app) && !connectionOf(app).needs_attention);
  const isOpen = () => plan.workflows.some((it) => it.fields.length > 0);

  /** From hidden to seen: something is needed of the person. */
  function reveal() {
    if (shown) return;
    shown = true;
    say.show();
  }

  async function begin() {
    try {
      await load();
    } catch (refusal) {
      reveal();
      return failure(refusal, begin);
    }
    const kind = { edit: "titleEdit", update: "titleUpdate" }[wishes.operation] ?? "title";
    title(wishes.title || t(kind, { app: appTitle() }), plan.integration);
    if (plan.workflows.length === 0) {
      reveal();
      return dead(t("nothing"), t("nothingLead"));
    }
    const ready = plan.apps.every(isConnected);
    if (wishes.hide && ready && !missing()) return quietly();
    reveal();
    if (ready && !wishes.alwaysShowAuthentication) return optionsStep();
    return connectStep();
  }

  /** Whether a field lacks a value that installing needs. */
  function missing() {
    return plan.workflows.some((workflow) => Object.keys(fieldsOf(workflow).problems()).length > 0);
  }

  async function quietly() {
    try {
      const { workflow_ids } = await send();
      say.installed(workflow_ids, false);
    } catch (refusal) {
      reveal();
      optionsStep(refusal);
    }
  }

  function connectStep() {
    const many = plan.apps.length > 1;
    const message = h("div");
    const next = button(t("next"), () => {
      const open = plan.apps.filter((app) => !isConnected(app));
      if (open.length === 0) return optionsStep();
      const text = names(open.map((app) => (app.connections.length > 1 ? t("chooseAccount", { app: app.title }) : t("connect", { app: app.title }))));
      message.replaceChildren(alert(text));
      return null;
    }, "primary");
    const cards = h("div");
    const reload = async () => {
      try {
        const { apps } = await api.plan(wanted);
        plan.apps = apps;
      } catch (refusal) {
        return failure(refusal, begin);
      }
      for (const app of plan.apps) choose(app);
      // The only account that was to be connected is: there is nothing left to do here.
      if (!many && plan.apps.every(isConnected)) return optionsStep();
      message.replaceChildren();
      return draw();
    };
    const draw = () =>
      cards.replaceChildren(
        ...plan.apps.map((app) =>
          appCard({ api, app, connection: chosen[app.app], reload, chosen: (id) => (chosen[app.app] = id), onEnded: ended, onFailed: () => {} }),
        ),
      );
    draw();
    steps(stepNames(), 0);
    const someConnected = plan.apps.some((app) => app.connections.length > 0);
    show({
      heading: t(many ? "connectHeadingMany" : "connectHeading"),
      lead: t("connectLead", { app: names(plan.apps.map((app) => app.title)), workflows: names(plan.workflows.map((it) => it.name)) }),
      body: [message, cards],
      actions: many || someConnected ? [next] : [],
    });
  }

  /** The fields of a workflow with what was given for it: by the address, and by the person a moment ago. */
  function fieldsOf(workflow) {
    const given = { ...prefilled(workflow), ...filled[workflow.workflow_id] };
    return workflowFields({ api, workflow, given, connections: chosen });
  }

  function prefilled(workflow) {
    const known = new Set(workflow.fields.map((it) => it.name));
    const values = {};
    for (const entry of wishes.preFilledValues) {
      for (const [name, value] of valuesOf(entry, workflow.workflow_id)) if (known.has(name)) values[name] = value;
    }
    return values;
  }

  const verb = () =>
    t(plan.workflows.some((it) => it.installed_release === null) ? "install" : plan.workflows.some((it) => it.update) ? "update" : "save");

  function optionsStep(refusal) {
    const forms = plan.workflows.map(fieldsOf);
    const message = h("div");
    const submit = h("button", { type: "submit", class: "primary", form: "options" }, verb());
    const keep = () => forms.forEach((form) => (filled[form.workflow.workflow_id] = { ...form.values() }));
    const all = () => forms.filter((form) => !left.has(form.workflow.workflow_id));
    const onsubmit = async (event) => {
      event.preventDefault();
      message.replaceChildren();
      keep();
      if (all().length === 0) return message.replaceChildren(alert(t("chooseOne")));
      // Every form shows what is wrong in it; the first of them has the focus in the end.
      const wrong = [...all()].reverse().filter((form) => complainAll(form.fields, form.problems()));
      if (wrong.length > 0) return announce(t("fixBelow"));
      try {
        const { workflow_ids } = await busy(submit, t("installing"), send);
        doneStep(workflow_ids);
      } catch (refusal) {
        if (refusal.ended) return ended(refusal);
        complain(refusal);
      }
      return null;
    };
    const complain = (refusal) => {
      for (const form of all()) {
        const name = aboutField(told(refusal), form.fields.map((it) => it.name));
        if (name) return complainAll(form.fields, { [name]: told(refusal) });
      }
      message.replaceChildren(alert(told(refusal), t("failed")));
      message.scrollIntoView({ block: "nearest" });
      return null;
    };
    const chooser = (form) => {
      const id = form.workflow.workflow_id;
      const input = h("input", {
        type: "checkbox",
        checked: !left.has(id),
        onchange: () => {
          if (input.checked) left.delete(id);
          else left.add(id);
          part.hidden = !input.checked;
        },
      });
      const part = h("div", { hidden: left.has(id) }, form.fields.map((it) => it.element));
      return [h("label", { class: "choice" }, input, h("span", {}, h("b", {}, form.workflow.name))), part];
    };
    const section = (form) =>
      h(
        "fieldset",
        { class: "card" },
        h("legend", { class: wishes.workflowSelection ? "hidden" : null }, form.workflow.name),
        wishes.workflowSelection ? chooser(form) : form.fields.map((it) => it.element),
      );
    const withFields = forms.filter((form) => form.fields.length > 0);
    const sections = wishes.workflowSelection ? forms : withFields;
    steps(stepNames(), 1);
    const updates = plan.workflows.some((it) => it.update);
    const lead =
      wishes.operation === "update" || updates
        ? t(updates ? "updateLead" : "updateNone")
        : t(isOpen() || wishes.workflowSelection ? "optionsLead" : "optionsNone");
    show({
      heading: t("optionsHeading"),
      lead,
      body: h(
        "form",
        { id: "options", novalidate: true, onsubmit },
        message,
        accounts(),
        sections.map(section),
        sections.length === 0 ? listed(plan.workflows.map((it) => it.name)) : null,
      ),
      actions: [
        plan.apps.some((app) => app.schemes.length > 0) ? h("button", { type: "button", onclick: () => (keep(), connectStep()) }, icons.back(), t("back")) : null,
        submit,
      ],
    });
    if (refusal) complain(refusal);
  }

  /** Which accounts are used, so that nobody installs for the wrong one. */
  function accounts() {
    const used = plan.apps.filter(connectionOf).map((app) => `${app.title}: ${accountName(connectionOf(app))}`);
    return used.length > 0 ? h("p", { class: "small" }, names(used)) : null;
  }

  function listed(workflows) {
    return h("ul", { class: "done-list card" }, workflows.map((name) => h("li", {}, icons.check(), h("span", {}, name))));
  }

  async function send() {
    const workflows = plan.workflows.filter((it) => !left.has(it.workflow_id));
    const values = {};
    for (const workflow of workflows) {
      const given = filled[workflow.workflow_id] ?? fieldsOf(workflow).values();
      values[workflow.workflow_id] = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== null && value !== undefined && value !== ""));
    }
    return api.install({
      integration_id: plan.integration.id,
      workflows: workflows.map(({ workflow_id, release }) => ({ workflow_id, release })),
      connections: Object.values(chosen).filter(Boolean),
      values,
    });
  }

  function doneStep(workflowIds) {
    say.installed(workflowIds, true);
    const installed = plan.workflows.filter((it) => workflowIds.includes(it.workflow_id));
    const text = installed.some((it) => it.installed_release === null)
      ? t("doneInstalled", { app: appTitle() })
      : t(installed.some((it) => it.update) ? "doneUpdated" : "doneSaved");
    title(wishes.title || t("title", { app: appTitle() }), plan.integration);
    steps(stepNames(), 2);
    show({
      centred: h("span", { class: "emblem" }, icons.check()),
      heading: t("doneHeading"),
      body: [
        h("p", {}, text),
        listed(installed.map((it) => it.name)),
        wishes.framed ? null : h("p", { class: "small" }, t("closeWindow")),
        myConnections ? button(t("myConnections"), myConnections, "plain") : null,
      ],
      actions: wishes.framed ? [button(t("done"), done, "primary")] : [],
    });
    announce(text);
  }

  begin();
}

/** The values in an entry of `preFilledValues`: `{ name, value }`, `{ fields: [{ name, value }] }` or `{ NAME: VALUE }`. */
function valuesOf(entry, workflow) {
  if (!entry || typeof entry !== "object") return [];
  if (entry.workflowId && entry.workflowId !== workflow) return [];
  if (Array.isArray(entry.fields)) return entry.fields.flatMap((it) => valuesOf(it, workflow));
  const name = entry.name ?? entry.fieldName ?? entry.field ?? entry.key;
  if (typeof name === "string" && "value" in entry) return [[name, entry.value]];
  return Object.entries(entry).filter(([key]) => !["workflowId", "blockId"].includes(key));
}
