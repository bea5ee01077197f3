// The open fields of workflows: controls by kind, values that the user's own account offers, and what is wrong with them.

import { h } from "./dom.js";
import { field } from "./forms.js";
import { t } from "./messages.js";
import { picker } from "./picker.js";

/**
 * The fields of one workflow. `given` are values to begin with; `connections` says which connection each app uses.
 */
export function workflowFields({ api, workflow, given, connections }) {
  const values = {};
  const parts = workflow.fields.map((spec) => {
    const value = spec.name in given ? given[spec.name] : spec.value ?? spec.default ?? null;
    values[spec.name] = value;
    return { spec, ...control({ api, spec, value, values, connections, changed: (to) => change(spec, to) }) };
  });

  /** A value changed: choices that depend on it are to be made anew. */
  function change(spec, value) {
    values[spec.name] = value;
    parts.find((part) => part.spec === spec).complain("");
    for (const other of parts) {
      if (!dependsOn(other.spec, spec.name)) continue;
      values[other.spec.name] = null;
      other.reset?.();
    }
    for (const other of parts) other.refresh?.();
  }

  for (const part of parts) part.refresh?.();
  return { workflow, fields: parts, values: () => values, problems: () => problems(workflow, values) };
}

function dependsOn(spec, name) {
  return Object.values(spec.lookup?.values ?? {}).some((it) => it.field === name);
}

function problems(workflow, values) {
  const found = {};
  for (const spec of workflow.fields) {
    const value = values[spec.name];
    const empty = value === null || value === undefined || value === "";
    if (empty && spec.required) found[spec.name] = t("missing", { field: spec.title });
    else if (!empty && spec.type === "number" && typeof value !== "number") found[spec.name] = t("notNumber", { field: spec.title });
  }
  return found;
}

function control({ api, spec, value, values, connections, changed }) {
  const connection = spec.lookup && connections[spec.lookup.app];
  const mark = spec.new
    ? { text: t("newField"), new: true }
    : spec.required || spec.type === "boolean"
      ? null
      : { text: t("optional") };
  const base = { name: spec.name, label: spec.title, hint: spec.help, mark };
  if (connection) return looked({ api, spec, value, values, connection, changed, base });
  if (spec.type === "boolean") {
    const input = h("input", { type: "checkbox", checked: value === true, onchange: () => changed(input.checked) });
    if (typeof value !== "boolean") values[spec.name] = spec.required ? false : null;
    return field({ ...base, control: input, grouped: (input, words) => h("label", { class: "switch" }, input, h("span", {}, words)) });
  }
  if (spec.type === "choice") {
    const options = spec.options.map((option, index) => h("option", { value: index, selected: option.value === value }, option.title));
    const select = h("select", { onchange: () => changed(spec.options[select.value]?.value ?? null) }, h("option", { value: "" }, t("pick")), options);
    return field({ ...base, control: required(select, spec) });
  }
  const isNumber = spec.type === "number";
  const read = (text) => (text.trim() === "" ? null : isNumber && Number.isFinite(Number(text)) ? Number(text) : text);
  const input = h("input", { type: "text", inputmode: isNumber ? "decimal" : null, value: value ?? "", autocomplete: "off", oninput: () => changed(read(input.value)) });
  return field({ ...base, control: required(input, spec) });
}

function required(control, spec) {
  if (spec.required) control.setAttribute("aria-required", "true");
  return control;
}

/** A choice in the user's own account, which may depend on others of the form. */
function looked({ api, spec, value, values, connection, changed, base }) {
  const { lookup } = spec;
  const about = () =>
    Object.fromEntries(Object.entries(lookup.values).map(([name, it]) => [name, "field" in it ? values[it.field] : it.value]));
  const ask = (query) => api.options(connection, lookup.name, { ...query, values: about() });
  const fit = (chosen) =>
    chosen === null ? null : spec.type === "text" ? String(chosen) : spec.type === "number" ? Number(chosen) : chosen;
  const choices = picker({ label: spec.title, value, ask, changed: (chosen) => changed(fit(chosen)) });
  const made = field({
    ...base,
    control: required(choices.input, spec),
    grouped: (input, words) => [h("label", { for: input.id }, words), choices.element],
  });
  const refresh = () => {
    const missing = Object.values(lookup.values).filter((it) => "field" in it && (values[it.field] ?? "") === "");
    choices.input.disabled = missing.length > 0;
    choices.input.placeholder = missing.length > 0 ? t("lookupNeeds", { fields: missing.map((it) => it.title).join(", ") }) : t("pick");
  };
  if (value !== null && value !== undefined && value !== "") choices.learn();
  return { ...made, focus: choices.input, refresh, reset: choices.clear };
}
