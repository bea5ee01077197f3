// A person at a real browser: opens an ISV's page, which shows the modal, and does as it is told, line by line.
//
// Every name of the web leads to a TLS server here, which passes requests on to the host, to the vendors' fakes, or serves
// the ISV's own page; names that nobody gave lead nowhere. Nothing else is between the browser and the host.

import fs from "node:fs";
import http from "node:http";
import https from "node:https";
import path from "node:path";
import readline from "node:readline";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";
import { generate } from "selfsigned";

const require = createRequire(import.meta.url);
const PATIENCE_MS = 30_000;
const ISV = "acmeco.example";

const AXE = fs.readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
// As a bundler would have it: the package itself is untouched.
const PACKAGE = fs.readFileSync(require.resolve("alloy-frontend"), "utf8");
const BUNDLED = `window.Alloy = (() => { const module = {}; ${PACKAGE}\nreturn module.exports; })()();`;

let web = {};
let shots = "";
let browser;
let context;
let page;
let seen = [];
let complaints = [];
let hosts = new Set();
let sdk = "";

/** The ISV's page, with a policy as strict as ISVs have them. */
function isvPage(query) {
  const host = query.get("host");
  const script = query.get("sdk") === "alloy" ? "/alloy-frontend.js" : `https://${host}/${query.get("script") ?? "embed.js"}`;
  const frames = query.get("sdk") === "alloy" ? "https://app.runalloy.com" : `https://${host}`;
  const calls = query.get("sdk") === "alloy" ? "https://embedded.runalloy.com" : `https://${host}`;
  const policy = `default-src 'none'; script-src 'self' ${frames}; frame-src ${frames}; connect-src ${calls}; style-src 'self'; img-src data:`;
  const body = `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>AcmeCo</title><link rel="icon" href="data:,"></head>
    <body><main><h1>AcmeCo</h1><button id="before">Integrations</button></main><script src="${script}"></script></body></html>`;
  return { policy, body };
}

async function serve() {
  const names = [ISV, ...Object.keys(web)];
  const pems = await generate([{ name: "commonName", value: "tests" }], {
    keySize: 2048,
    extensions: [{ name: "subjectAltName", altNames: names.map((value) => ({ type: 2, value })) }],
  });
  const server = https.createServer({ key: pems.private, cert: pems.cert }, (request, response) => {
    const name = (request.headers.host ?? "").split(":")[0];
    const url = new URL(request.url, `https://${name}`);
    if (name === ISV) {
      if (url.pathname === "/alloy-frontend.js") {
        response.writeHead(200, { "content-type": "text/javascript" });
        return response.end(BUNDLED);
      }
      const { policy, body } = isvPage(url.searchParams);
      response.writeHead(200, { "content-type": "text/html", "content-security-policy": policy });
      return response.end(body);
    }
    const target = new URL(web[name]);
    const headers = { ...request.headers, "x-forwarded-host": name };
    const passed = http.request(
      { host: target.hostname, port: target.port, method: request.method, path: request.url, headers },
      (answer) => {
        response.writeHead(answer.statusCode, answer.headers);
        answer.pipe(response);
      },
    );
    passed.on("error", () => response.destroy());
    return request.pipe(passed);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { port: server.address().port, names };
}

/** The modal: the frame on the ISV's page, or the page itself. */
function modal() {
  const framed = page.frames().find((frame) => /\/(forge-install|authenticate-app)/.test(frame.url()) && frame !== page.mainFrame());
  return framed ?? page.mainFrame();
}

function popup() {
  return context.pages().find((other) => other !== page);
}

async function until(what, check) {
  const end = Date.now() + PATIENCE_MS;
  for (;;) {
    const found = await check();
    if (found) return found;
    if (Date.now() > end) throw new Error(`it never came to this: ${what}; the modal shows: ${await text()}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function text() {
  return modal().locator("body").innerText().catch(() => "nothing");
}

async function fresh({ dark = false, width = 1000, height = 800, reduced = false, locale = "en-GB", blockPopups = false }) {
  await context?.close();
  [seen, complaints, hosts] = [[], [], new Set()];
  context = await browser.newContext({
    viewport: { width, height },
    colorScheme: dark ? "dark" : "light",
    reducedMotion: reduced ? "reduce" : "no-preference",
    ignoreHTTPSErrors: true,
    locale,
  });
  context.setDefaultTimeout(PATIENCE_MS);
  context.on("request", (request) => {
    if (/^https?:/.test(request.url())) hosts.add(new URL(request.url()).host);
  });
  context.on("weberror", (error) => complaints.push(String(error.error())));
  context.on("console", (message) => {
    if (/Content Security Policy|Trusted/i.test(message.text())) complaints.push(message.text());
  });
  if (blockPopups) {
    await context.addInitScript(() => {
      // The first is kept closed, as browsers do with what no click asked for; a click on a link opens all the same.
      const open = window.open.bind(window);
      let kept = false;
      window.open = (...given) => {
        if (kept) return open(...given);
        kept = true;
        return null;
      };
    });
  }
  page = await context.newPage();
}

const deeds = {
  /** `web`: which names lead where; `shots`: a folder for pictures. */
  async begin(asked) {
    web = asked.web;
    shots = asked.shots;
    fs.mkdirSync(shots, { recursive: true });
    const { port, names } = await serve();
    const rules = [...names.map((name) => `MAP ${name} 127.0.0.1:${port}`), "MAP * ~NOTFOUND"].join(", ");
    browser = await chromium.launch({
      executablePath: asked.chromium,
      args: ["--no-sandbox", "--disable-dev-shm-usage", `--host-resolver-rules=${rules}`],
    });
    return {};
  },

  /** Opens the ISV's page, and the modal on it, as `method` of the SDK does with `params`. */
  async open({ sdk: wanted, host, script, token, method, params, ...look }) {
    await fresh(look);
    sdk = wanted;
    const query = new URLSearchParams({ sdk, host, ...(script && { script }) });
    await page.goto(`https://${ISV}/?${query}`);
    await page.focus("#before");
    await page.evaluate(
      ([token, method, params]) => {
        window.outcomes = [];
        window.said = [];
        window.addEventListener("message", (event) => window.said.push({ origin: event.origin, data: event.data }));
        Alloy.setToken(token);
        if (method) Alloy[method]({ ...params, callback: (outcome) => window.outcomes.push(outcome) });
      },
      [token, method ?? null, params ?? {}],
    );
    return {};
  },

  /** Opens a page by its address. */
  async visit({ url, ...look }) {
    await fresh(look);
    sdk = "";
    const answer = await page.goto(url);
    return { status: answer.status(), headers: answer.headers() };
  },

  /** Calls a method of the SDK that answers. */
  async call({ method, params }) {
    return page.evaluate(([method, params]) => Alloy[method](params), [method, params ?? null]);
  },

  async see({ text: wanted }) {
    await until(`“${wanted}” is seen`, async () => (await text()).includes(wanted));
    return {};
  },

  async text() {
    return { text: await text() };
  },

  async click({ name, role = "button", nth = 0 }) {
    await until(`the modal has come`, async () => modal() !== page.mainFrame() || !page.url().startsWith(`https://${ISV}`));
    await modal().getByRole(role, { name, exact: role !== "checkbox" && role !== "radio" }).nth(nth).click();
    return {};
  },

  async clickText({ text: wanted }) {
    await modal().getByText(wanted, { exact: true }).click();
    return {};
  },

  async clickAt({ x, y }) {
    await page.mouse.click(x, y);
    return {};
  },

  async fill({ label, value }) {
    await modal().getByLabel(label, { exact: false }).first().fill(value);
    return {};
  },

  async value({ label }) {
    return { value: await modal().getByLabel(label, { exact: false }).first().inputValue() };
  },

  /** Types into a field of choices and takes the one that is found. */
  async pick({ label, search, choice }) {
    const field = modal().getByRole("combobox", { name: label });
    await field.click();
    await modal().getByRole("option").first().waitFor();
    if (search) {
      await field.pressSequentially(search);
      await until(`only what has “${search}”`, async () => {
        const all = await modal().getByRole("option").allInnerTexts();
        return all.length > 0 && all.every((it) => it.toLowerCase().includes(search.toLowerCase()));
      });
    }
    const found = modal().getByRole("option", { name: choice, exact: true });
    await found.waitFor();
    const offered = await modal().getByRole("option").allInnerTexts();
    await found.click();
    return { offered };
  },

  async press({ key, times = 1, leaves = false }) {
    if (leaves) {
      // What closes the modal takes the frame away under the key, which nobody then says was pressed.
      page.keyboard.press(key).catch(() => {});
      return {};
    }
    for (let count = 0; count < times; count += 1) await page.keyboard.press(key);
    return {};
  },

  /** What has the focus: in the modal where it is there. */
  async focused() {
    return page.evaluate(() => document.activeElement?.tagName).then(async (tag) => {
      if (tag !== "IFRAME" && modal() !== page.mainFrame()) return { outside: tag, id: await page.evaluate(() => document.activeElement.id) };
      return modal().evaluate(() => {
        const it = document.activeElement;
        return { tag: it.tagName, text: (it.getAttribute("aria-label") || it.innerText || "").trim(), invalid: it.getAttribute("aria-invalid") };
      });
    });
  },

  /** What the fields with something wrong say, by their labels. */
  async problems() {
    return modal().evaluate(() =>
      [...document.querySelectorAll("[aria-invalid]")].map((control) => ({
        label: document.querySelector(`label[for="${control.id}"]`)?.innerText ?? "",
        said: document.getElementById(`${control.id}-error`)?.innerText.trim(),
        described: (control.getAttribute("aria-describedby") ?? "").includes(`${control.id}-error`),
      })),
    );
  },

  async outcomes({ count }) {
    await until(`${count} outcomes`, async () => (await page.evaluate(() => window.outcomes.length)) >= count);
    return page.evaluate(() => ({ outcomes: window.outcomes, said: window.said }));
  },

  /** Until the modal is gone from the page. */
  async gone() {
    await until("the modal is gone", async () => (await page.locator("iframe").count()) === 0);
    return { focus: await page.evaluate(() => document.activeElement?.id) };
  },

  /** Whether the modal is on the page, and can be seen. */
  async shown() {
    const frame = page.locator("iframe");
    return { there: (await frame.count()) > 0, visible: (await frame.count()) > 0 && (await frame.isVisible()) };
  },

  /** The window that was opened for the vendor, once it is where `at` says. */
  async popup({ at = "", close = false }) {
    const other = await until(`a window at ${at}`, () => {
      const found = popup();
      return found && found.url().includes(at) ? found : null;
    });
    const said = await other.locator("body").innerText();
    if (close) await other.close();
    return { url: other.url(), text: said };
  },

  async noPopup() {
    await until("no other window is open", () => !popup());
    return {};
  },

  /** What accessibility rules are broken, of some weight, in the modal and around it. */
  async axe() {
    const run = async (frame) => {
      await frame.evaluate(AXE);
      const { violations } = await frame.evaluate(() => axe.run(document, { iframes: false }));
      return violations
        .filter(({ impact }) => ["serious", "critical"].includes(impact))
        .map(({ id, impact, nodes }) => `${impact} ${id}: ${nodes.map((it) => it.target.join(" ")).join(", ")}`);
    };
    // What Alloy's package puts around the modal is not ours to mend: its frame has no title.
    const frames = sdk === "alloy" ? [modal()] : [...new Set([page.mainFrame(), modal()])];
    return { violations: (await Promise.all(frames.map(run))).flat() };
  },

  async shot({ name }) {
    const file = path.join(shots, `${name}.png`);
    await page.screenshot({ path: file, animations: "disabled" });
    return { file };
  },

  /** What the browser complained of, and whom it asked for anything. */
  async toll() {
    return { complaints, hosts: [...hosts].sort() };
  },

  /** Until the browser says that it refused something. */
  async refused({ words }) {
    await until(`the browser refuses by ${words}`, () => complaints.some((it) => it.includes(words)));
    return {};
  },

  /** The address that the modal has now, and what its page keeps. */
  async traces() {
    return modal().evaluate(() => {
      const kept = (what) => {
        try {
          return what();
        } catch {
          // In another site's page the browser may give a frame no place to keep anything.
          return 0;
        }
      };
      return {
        address: location.href,
        kept: kept(() => localStorage.length + sessionStorage.length) + kept(() => document.cookie.length),
      };
    });
  },

  async overflows() {
    return modal().evaluate(() => ({ sideways: document.documentElement.scrollWidth > document.documentElement.clientWidth }));
  },

  async style({ selector, property }) {
    return { value: await modal().evaluate(([selector, property]) => getComputedStyle(document.querySelector(selector))[property], [selector, property]) };
  },
};

for await (const line of readline.createInterface({ input: process.stdin })) {
  const { do: what, ...asked } = JSON.parse(line);
  let answer;
  try {
    answer = { ok: await deeds[what](asked) };
  } catch (error) {
    answer = { failed: `${what} ${JSON.stringify(asked)}: ${error.message}` };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
await browser?.close();
process.exit(0);
