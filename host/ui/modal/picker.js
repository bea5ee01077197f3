// A field whose choices only the user's own account knows: a combobox that asks the vendor while one types.

import { fresh, h } from "./dom.js";
import { t } from "./messages.js";
import { announce, told } from "./shell.js";

const TYPING_MS = 250;

/**
 * A combobox over `ask({ search, cursor }) -> { data: [{ value, title }], next }`.
 *
 * `value` is what is chosen to begin with; `changed` hears of every choice.
 */
export function picker({ label, value, ask, changed }) {
  const id = fresh("picker");
  const input = h("input", {
    type: "text", id, role: "combobox", autocomplete: "off", spellcheck: "false", placeholder: t("pick"),
    "aria-expanded": "false", "aria-autocomplete": "list", "aria-controls": `${id}-list`,
  });
  const listbox = h("ul", { id: `${id}-list`, role: "listbox", "aria-label": label, hidden: true });
  const element = h("div", { class: "picker" }, input, listbox);
  let chosen = value ?? null;
  let title = value === null || value === undefined ? "" : String(value);
  let items = [];
  let next = null;
  let search = "";
  let active = -1;
  let asked = 0;
  let timer = 0;
  input.value = title;

  const isOpen = () => !listbox.hidden;
  const note = (text, more = []) => listbox.append(h("li", { class: "note", role: "presentation" }, text, more));

  function draw(state) {
    listbox.replaceChildren();
    items.forEach((item, index) =>
      listbox.append(
        h("li", { id: `${id}-${index}`, role: "option", "aria-selected": String(same(item.value, chosen)), onmousedown: (event) => event.preventDefault(), onclick: () => choose(index) }, item.title),
      ),
    );
    if (state === "loading") note(t("loading"));
    else if (state) note(t("lookupFailed", { reason: state }));
    else if (items.length === 0) note(t("noMatch"));
    mark(active);
  }

  function mark(index) {
    active = Math.min(index, items.length - 1);
    [...listbox.querySelectorAll("[role=option]")].forEach((option, at) => option.classList.toggle("active", at === active));
    const option = active < 0 ? null : listbox.querySelector(`#${id}-${active}`);
    if (option) input.setAttribute("aria-activedescendant", option.id);
    else input.removeAttribute("aria-activedescendant");
    option?.scrollIntoView({ block: "nearest" });
  }

  async function load(more) {
    asked += 1;
    const turn = asked;
    if (!more) {
      items = [];
      active = -1;
    }
    draw("loading");
    let failed = null;
    let page = { data: [], next: null };
    try {
      page = await ask({ search, cursor: more ? next : null });
    } catch (refusal) {
      failed = told(refusal);
    }
    // An answer that something newer was asked after is nobody's.
    if (turn !== asked) return;
    items = more ? [...items, ...page.data] : page.data;
    next = page.next ?? null;
    // What is chosen already is known by its title as soon as the account says it.
    const known = items.find((item) => same(item.value, chosen));
    if (known) {
      title = known.title;
      if (!isOpen()) input.value = title;
    }
    draw(failed);
    if (failed) announce(t("lookupFailed", { reason: failed }));
    else if (items.length === 0) announce(t("noMatch"));
  }

  function open() {
    if (isOpen() || input.disabled) return;
    listbox.hidden = false;
    input.setAttribute("aria-expanded", "true");
    search = "";
    load(false);
  }

  function close() {
    listbox.hidden = true;
    asked += 1;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
    input.value = title;
  }

  function choose(index) {
    const item = items[index];
    if (!item) return;
    set(item.value, item.title);
    close();
    changed(item.value);
  }

  function set(value, shown) {
    chosen = value;
    title = shown;
    input.value = shown;
  }

  input.addEventListener("click", open);
  input.addEventListener("input", () => {
    if (!isOpen()) open();
    window.clearTimeout(timer);
    timer = window.setTimeout(() => {
      search = input.value;
      load(false);
    }, TYPING_MS);
  });
  input.addEventListener("blur", () => {
    // What was typed and is no choice is not one.
    if (input.value === "" && title !== "") {
      set(null, "");
      changed(null);
    }
    close();
  });
  input.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (!isOpen()) return open();
      mark(event.key === "ArrowDown" ? active + 1 : Math.max(active - 1, 0));
    } else if (event.key === "Enter" && isOpen()) {
      event.preventDefault();
      choose(active < 0 ? 0 : active);
    } else if (event.key === "Escape" && isOpen()) {
      event.preventDefault();
      close();
    }
  });
  // Further pages come as one nears the end of this one.
  listbox.addEventListener("scroll", () => {
    const left = listbox.scrollHeight - listbox.scrollTop - listbox.clientHeight;
    if (next !== null && left < 40) load(true);
  });

  return {
    element,
    input,
    value: () => chosen,
    /** Forgets the choice: what it depended on has changed. */
    clear: () => set(null, ""),
    /** Learns what a choice made earlier is called. */
    learn: () => load(false),
    hasMore: () => next !== null,
  };
}

function same(one, other) {
  return one === other || (one !== null && other !== null && String(one) === String(other));
}
