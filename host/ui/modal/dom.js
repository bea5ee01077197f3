// Elements without a framework: `h` makes one, and everything that comes from elsewhere becomes text, never markup.

/** Makes an element. Properties that are functions listen, `null` and `false` leave an attribute out. */
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") element.addEventListener(name.replace(/^on/, ""), value);
    else if (name === "value") element.value = value;
    else if (name === "checked") element.checked = true;
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

const SVG = "http://www.w3.org/2000/svg";

/** A small drawing that says nothing which is not said in words beside it. */
export function drawing(...paths) {
  const svg = document.createElementNS(SVG, "svg");
  for (const [name, value] of [["viewBox", "0 0 24 24"], ["aria-hidden", "true"], ["focusable", "false"]]) {
    svg.setAttribute(name, value);
  }
  for (const shape of paths) {
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("d", shape);
    svg.append(path);
  }
  return svg;
}

export const icons = {
  close: () => drawing("M6 6l12 12M18 6L6 18"),
  check: () => drawing("M5 12.5l4.5 4.5L19 7.5"),
  warning: () => drawing("M12 4L2.8 20h18.4L12 4zM12 10v4.5M12 17.2v.3"),
  link: () => drawing("M10 14a4 4 0 0 0 6 .4l3-3a4 4 0 0 0-5.7-5.7l-1.2 1.2M14 10a4 4 0 0 0-6-.4l-3 3a4 4 0 0 0 5.7 5.7l1.2-1.2"),
  back: () => drawing("M14.5 6l-6 6 6 6"),
  window: () => drawing("M14 5h5v5M19 5l-8 8M17 14v5H5V7h5"),
};

/** What connectors and the host say: names stand in backticks there, and in a typeface of their own here. */
export function prose(text) {
  return String(text).split("`").map((part, index) => (index % 2 ? h("code", {}, part) : part));
}

/** What only a connector knows how to draw itself as; its first letter where it says nothing. */
export function appIcon(app, size = "") {
  const shown = h("span", { class: `app-icon ${size}`.trim(), "aria-hidden": "true" });
  if (/^data:image\/(svg\+xml|png)[;,]/.test(app.icon ?? "")) shown.append(h("img", { src: app.icon, alt: "" }));
  else shown.append((app.title || app.app || "?").slice(0, 1).toUpperCase());
  return shown;
}

let count = 0;

/** An id that no other element of the page has. */
export function fresh(prefix) {
  count += 1;
  return `${prefix}-${count}`;
}
