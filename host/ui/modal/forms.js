// Fields with their labels, hints and messages: one way to say what is wrong, beside what it is about.

import { fresh, h, icons, prose } from "./dom.js";
import { t } from "./messages.js";

/**
 * A labelled control. `control` gets its id and what describes it; `complain` shows a message beside it, or none.
 */
export function field({ name, label, hint, mark, control, grouped = false }) {
  const id = control.id || fresh("field");
  control.id = id;
  const error = h("p", { class: "error", id: `${id}-error` });
  const note = hint ? h("p", { class: "hint", id: `${id}-hint` }, prose(hint)) : null;
  control.setAttribute("aria-describedby", `${hint ? `${id}-hint ` : ""}${id}-error`);
  const words = [label, mark ? h("span", { class: mark.new ? "mark new" : "mark" }, mark.text) : null];
  const head = grouped ? null : h("label", { for: id }, words);
  const element = h("div", { class: "field", "data-field": name }, head, grouped ? grouped(control, words) : control, note, error);
  const complain = (message) => {
    control.toggleAttribute("aria-invalid", false);
    if (message) control.setAttribute("aria-invalid", "true");
    error.replaceChildren(...(message ? [icons.warning(), h("span", {}, prose(message))] : []));
  };
  return { name, element, control, complain };
}

/** Shows what is wrong in several fields, and goes to the first. */
export function complainAll(fields, problems) {
  let first = null;
  for (const it of fields) {
    const problem = problems[it.name];
    it.complain(problem);
    if (problem && !first) first = it;
  }
  (first?.focus ?? first?.control)?.focus?.();
  return first !== null;
}

/**
 * What the host says about one of these fields, where it names one: its messages put a field's name in backticks.
 */
export function aboutField(message, names) {
  const named = [...message.matchAll(/`([^`]+)`/g)].map((match) => match[1]);
  return named.find((name) => names.includes(name)) ?? null;
}

const PATTERNS = {
  host_label: /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/i,
  identifier: /^[\w-]{1,128}$/,
  digits: /^\d{1,20}$/,
  host_names: /^[a-z0-9.-]+(\s*,\s*[a-z0-9.-]+)*$/i,
};

/** The controls of a credential: what names the account, then what proves the right to it. */
export function credential(app, scheme) {
  const typed = app.parameters.filter((parameter) => scheme.parameters.includes(parameter.name));
  const text = (parameter) =>
    field({
      name: parameter.name,
      label: parameter.title,
      hint: parameter.help,
      control: h("input", { type: "text", name: parameter.name, required: true, autocomplete: "off", spellcheck: "false", autocapitalize: "none" }),
    });
  const secret = (asked) =>
    field({
      name: asked.name,
      label: asked.title,
      hint: asked.help,
      control:
        scheme.type === "jwt_bearer"
          ? h("textarea", { name: asked.name, required: true, autocomplete: "off", spellcheck: "false", rows: 4 })
          : h("input", { type: "password", name: asked.name, required: true, autocomplete: "off", spellcheck: "false" }),
    });
  const fields = [...typed.map(text), ...scheme.fields.map(secret)];
  const problems = () => {
    const found = {};
    for (const it of fields) {
      const value = it.control.value.trim();
      const label = [...typed, ...scheme.fields].find((asked) => asked.name === it.name).title;
      const pattern = typed.find((parameter) => parameter.name === it.name)?.pattern;
      if (!value) found[it.name] = t("missing", { field: label });
      else if (pattern && !PATTERNS[pattern].test(value)) found[it.name] = t(`pattern_${pattern}`, { field: label });
    }
    return found;
  };
  const values = () => Object.fromEntries(fields.map((it) => [it.name, it.control.value.trim()]));
  return { fields, problems, values };
}
