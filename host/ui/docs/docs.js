// Shows the OpenAPI document. Everything in it becomes text, never markup.

const METHODS = ["get", "put", "post", "delete"];
const CALLERS = {
  environment_key: "an environment's key",
  operator_key: "an operator's key",
  user_token: "a user's token",
  install_link: "an install link's token",
};
/** Deeper members are shown by the name of their schema. */
const DEEPEST = 5;

function h(tag, properties, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) element.setAttribute(name, value);
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

/** Words in which names stand in backticks, and what weighs between asterisks. */
function prose(text) {
  return String(text ?? "").split(/(`[^`]+`|\*\*[^*]+\*\*)/).map((part) => {
    if (part.startsWith("`")) return h("code", {}, part.slice(1, -1));
    if (part.startsWith("**")) return h("strong", {}, part.slice(2, -2));
    return part;
  });
}

const named = (reference) => reference.split("/").at(-1);

/** What a value is, in a few words. */
function kind(schema) {
  if (!schema || Object.keys(schema).length === 0) return "any JSON";
  if (schema.$ref) return named(schema.$ref);
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  const either = schema.oneOf ?? schema.anyOf;
  if (either) return either.map(kind).join(" or ");
  if (schema.allOf) return schema.allOf.map(kind).join(" and ");
  const types = [schema.type ?? "any JSON"].flat();
  return types.map((type) => (type === "array" ? `list of ${kind(schema.items)}` : type)).join(" or ");
}

/** The members of an object, each with its own below it. */
function members(spec, schema, depth = 0) {
  if (!schema || depth > DEEPEST) return null;
  if (schema.$ref) return members(spec, spec.components.schemas[named(schema.$ref)], depth + 1);
  const parts = schema.allOf ?? schema.oneOf ?? schema.anyOf;
  if (parts) {
    const shown = parts.map((part) => members(spec, part, depth)).filter(Boolean);
    return shown.length ? h("div", {}, shown) : null;
  }
  if (schema.items) return members(spec, schema.items, depth);
  const entries = Object.entries(schema.properties ?? {});
  if (entries.length === 0) {
    return typeof schema.additionalProperties === "object" ? members(spec, schema.additionalProperties, depth) : null;
  }
  const required = new Set(schema.required ?? []);
  return h("ul", { class: "members" }, entries.map(([name, value]) => h("li", {},
    h("code", {}, name), ` ${kind(value)}${required.has(name) ? "" : ", optional"}`,
    value.description ? h("span", { class: "words" }, " — ", prose(value.description)) : null,
    members(spec, value, depth + 1),
  )));
}

function bodies(spec, content) {
  return Object.entries(content ?? {}).map(([type, { schema, example }]) => h("div", {},
    h("p", { class: "words" }, h("code", {}, type), ` ${kind(schema)}`),
    members(spec, schema),
    example === undefined ? null : h("pre", {}, JSON.stringify(example, null, 2)),
  ));
}

function parameters(operation) {
  if (!operation.parameters?.length) return [];
  const rows = operation.parameters.map((one) => h("tr", {},
    h("td", {}, h("code", {}, one.name)),
    h("td", {}, `${one.in}${one.required ? "" : ", optional"}`),
    h("td", {}, prose(one.description)),
  ));
  const head = h("tr", {}, ["Name", "Where", "What"].map((title) => h("th", { scope: "col" }, title)));
  return [h("h3", {}, "Parameters"), h("table", {}, h("thead", {}, head), h("tbody", {}, rows))];
}

function callers(operation) {
  const names = (operation.security ?? []).flatMap((one) => Object.keys(one));
  return names.length ? `Called with ${names.map((name) => CALLERS[name] ?? name).join(", or ")}.` : "Anybody may call it.";
}

/** What is behind a line is made when it is opened: there is a lot of it. */
function operation(spec, path, method, said) {
  const line = h("summary", {},
    h("span", { class: "method" }, method.toUpperCase()), h("code", {}, path),
    h("span", { class: "words" }, ` ${said.summary ?? ""}`),
  );
  const shown = h("details", { class: "operation", id: said.operationId }, line);
  shown.addEventListener("toggle", () => {
    if (!shown.open || shown.childElementCount > 1) return;
    const responses = Object.entries(said.responses).map(([status, response]) => h("details", {},
      h("summary", {}, h("code", {}, status), " ", prose(response.description)), bodies(spec, response.content),
    ));
    shown.append(h("div", {},
      said.description ? h("p", {}, prose(said.description)) : null,
      h("p", { class: "words" }, `${callers(said)} `, h("code", {}, said.operationId)),
      parameters(said),
      said.requestBody ? [h("h3", {}, "Body"), bodies(spec, said.requestBody.content)] : [],
      h("h3", {}, "Answers"), responses,
    ));
  });
  const words = [path, method, said.operationId, said.summary, said.description].join(" ").toLowerCase();
  return { shown, words, topic: said.tags?.[0] ?? "" };
}

function show(spec) {
  const all = Object.entries(spec.paths).flatMap(([path, item]) =>
    METHODS.filter((method) => item[method]).map((method) => operation(spec, path, method, item[method])));
  const topics = [...new Set(all.map(({ topic }) => topic))].sort();
  const introduction = (spec.info.description ?? "").split("\n\n").map((text) => h("p", {}, prose(text)));
  const sections = topics.map((topic) => {
    const own = all.filter((one) => one.topic === topic);
    const id = `topic-${topic.toLowerCase().replace(/\W+/g, "-")}`;
    const section = h("section", { "aria-labelledby": id }, h("h2", { id }, topic), own.map(({ shown }) => shown));
    return { id, topic, own, section };
  });
  const link = ({ id, topic }) => h("a", { href: `#${id}` }, topic);
  document.getElementById("topics").replaceChildren(...sections.map(link));
  const main = document.getElementById("operations");
  main.replaceChildren(h("div", { class: "introduction" }, introduction), ...sections.map(({ section }) => section));
  document.getElementById("find").addEventListener("input", ({ target }) => {
    const wanted = target.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const { own, section } of sections) {
      for (const { shown, words } of own) shown.hidden = !wanted.every((word) => words.includes(word));
      section.hidden = own.every(({ shown }) => shown.hidden);
    }
  });
  const wished = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (wished instanceof HTMLDetailsElement) wished.open = true;
  wished?.scrollIntoView();
}

try {
  const answer = await fetch("/openapi.json");
  if (!answer.ok) throw new Error(`/openapi.json answered ${answer.status}`);
  show(await answer.json());
} catch (error) {
  const told = h("p", { role: "alert" }, `The document could not be shown: ${error.message}. Load the page again.`);
  document.getElementById("operations").replaceChildren(told);
}
