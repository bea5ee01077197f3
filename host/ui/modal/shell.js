// The frame that every view stands in: title, steps, body, buttons, and what is announced to those who do not see it.

import { appIcon, h, icons, prose } from "./dom.js";
import { t } from "./messages.js";

const part = (name) => document.querySelector(name);

/** What the close button and Escape do; a view may put something else in its place. */
let leave = () => {};

export function begin({ framed, onLeave }) {
  leave = onLeave;
  document.body.classList.toggle("alone", !framed);
  document.addEventListener("keydown", (event) => {
    // Escape closes what is innermost first: a list of choices has taken it already.
    if (event.key !== "Escape" || event.defaultPrevented) return;
    event.preventDefault();
    leave();
  });
}

/** Title bar: once for the page, and again when the app is known. */
export function title(text, app, closable = true) {
  document.title = text;
  part("header .title")?.remove();
  const close = h(
    "button",
    { type: "button", class: "icon", "aria-label": t("close"), onclick: () => leave() },
    icons.close(),
  );
  part("header").prepend(
    h("div", { class: "title" }, app ? appIcon(app) : null, h("h1", {}, text), closable ? close : null),
  );
}

/** Which step of how many; none: no steps are shown. */
export function steps(names, current) {
  part("header .steps")?.remove();
  if (!names) return;
  const item = (name, index) =>
    h("li", { class: index < current ? "past" : null, "aria-current": index === current ? "step" : null }, name);
  part("header").append(h("ol", { class: "steps", "aria-label": t("steps") }, names.map(item)));
}

/** Shows a view: a heading, which takes the focus, what stands below it, and its buttons. */
export function show({ heading, lead, body = [], actions = [], centred = false }) {
  const main = part("main");
  const head = h("h2", { tabindex: "-1" }, heading);
  const content = [head, lead ? h("p", { class: "lead" }, lead) : null, body];
  main.replaceChildren();
  main.append(...(centred ? [h("div", { class: "centre" }, centred, content)] : content).flat(Infinity).filter(Boolean));
  main.scrollTop = 0;
  part("footer").replaceChildren(...actions.filter(Boolean));
  head.focus({ preventScroll: true });
}

export function loading(text = t("loading")) {
  const main = part("main");
  main.setAttribute("aria-busy", "true");
  main.replaceChildren(
    h("div", { class: "centre" }, h("span", { class: "spinner" }), h("p", { role: "status" }, text)),
  );
  part("footer").replaceChildren();
  return () => main.removeAttribute("aria-busy");
}

/** Says something without moving the focus. */
export function announce(text) {
  const live = part("#live");
  live.textContent = "";
  // Told anew even where the text is the same as before.
  window.setTimeout(() => (live.textContent = text), 50);
}

export function button(text, onclick, kind = "", type = "button") {
  return h("button", { type, class: kind, onclick }, text);
}

/** While `work` is under way the button shows so, and cannot be pressed again. */
export async function busy(pressed, text, work) {
  const before = [...pressed.childNodes];
  pressed.disabled = true;
  pressed.setAttribute("aria-busy", "true");
  pressed.replaceChildren(h("span", { class: "spinner" }), text);
  announce(text);
  try {
    return await work();
  } finally {
    pressed.disabled = false;
    pressed.removeAttribute("aria-busy");
    pressed.replaceChildren(...before);
  }
}

/** What a refusal says to a person. */
export function told(refusal) {
  if (refusal.code === "unreachable") return t("unreachable");
  return refusal.message || t("unknown");
}

/** A box with what went wrong; it is announced at once. */
export function alert(text, heading) {
  return h("div", { class: "alert", role: "alert" }, icons.warning(), h("p", {}, heading ? h("b", {}, heading) : null, prose(text)));
}

/** A view that is nothing but what went wrong, with a way on. */
export function failure(refusal, again, heading = t("loadFailed")) {
  steps(null);
  if (refusal.ended) return dead(t("ended"), t(document.body.classList.contains("alone") ? "linkEnded" : "endedLead"));
  show({
    centred: h("span", { class: "emblem bad" }, icons.warning()),
    heading,
    body: h("p", { role: "alert" }, prose(told(refusal))),
    actions: again ? [button(t("retry"), again, "primary")] : [],
  });
}

/** A view without a way on. */
export function dead(heading, text) {
  steps(null);
  show({
    centred: h("span", { class: "emblem calm" }, icons.warning()),
    heading,
    body: h("p", { role: "alert" }, text),
  });
}
