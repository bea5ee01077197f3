/*!
 * Trunnion embed: shows the host's modal in your page, and talks to the host as your user.
 * MIT OR Apache-2.0. The same source is the npm package and, as a classic script, the host's `/embed.js`.
 */

const VERSION = "2024-03";

/**
 * Makes a client. `host` is where your Trunnion host is reached; `regions` names others, for `setRegion`.
 *
 * @param {{ host?: string, regions?: Record<string, string>, theme?: object, locale?: string, strings?: object }} options
 */
export default function Alloy(options = {}) {
  const regions = { ...options.regions };
  let token;
  let host = origin(options.host);

  function origin(url) {
    return url === undefined ? undefined : new URL(url).origin;
  }

  function ready() {
    if (!token) throw new Error("no token set: call setToken with a token that your server asked the host for");
    if (!host) throw new Error("no host set: give `Alloy({ host: \"https://…\" })` the address of your Trunnion host");
  }

  async function call(method, path, body) {
    const answer = await fetch(`${host}/${VERSION}${path}`, {
      method,
      headers: { "Content-Type": "application/json", "x-alloy-user-token": token },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    return answer.json();
  }

  function request(method, path, body) {
    ready();
    return call(method, path, body);
  }

  function address(page, parameters) {
    const query = new URLSearchParams();
    for (const [name, value] of parameters) {
      for (const one of Array.isArray(value) ? value : [value]) {
        if (one !== undefined && one !== null && one !== "" && one !== false) query.append(name, String(one));
      }
    }
    return `${host}/${page}?${query}`;
  }

  function install(params = {}) {
    ready();
    const { integrationId, workflowIds, versionIds, preFilledValues, outputOverride } = params;
    const json = (value) => (Array.isArray(value) && value.length > 0 ? JSON.stringify(value) : undefined);
    const url = address("forge-install", [
      ["integrationId", integrationId],
      ["id", integrationId ? undefined : workflowIds],
      ["versionId", versionIds],
      ["preFilledValues", json(preFilledValues)],
      ["outputOverride", json(outputOverride)],
      ["token", token],
      ["forgeMode", "engaged"],
      ["hide", Boolean(params.hide)],
      ["alwaysShowAuthentication", Boolean(params.alwaysShowAuthentication)],
      ["workflowSelection", Boolean(params.workflowSelection)],
      ["operation", params.operation],
      ["title", params.title],
    ]);
    let success = false;
    show(url, params, {
      answer: () => ({ success }),
      heard(message, modal) {
        if (!message.workflowCreated) return;
        success = true;
        modal.tell({ success });
        if (message.closeModal === false) return;
        modal.remove();
      },
    });
  }

  function authenticate(params = {}) {
    ready();
    const { app, category, integrationId, useUnifiedSettings } = params;
    const url = address("authenticate-app", [
      ["token", token],
      ["forgeMode", "engaged"],
      ["integrationId", integrationId],
      ["app", app],
      ["category", category],
      ["useUnified", useUnifiedSettings],
      ["title", params.title],
    ]);
    show(url, params, {
      answer: ({ connectionStatus, connectionId, credentialId } = {}) => ({
        success: connectionStatus !== undefined && connectionStatus !== "failed",
        ...(connectionId && { connectionId }),
        ...(credentialId && { credentialId }),
      }),
      heard() {},
    });
  }

  /** Shows the modal over the page until it says that it is over. */
  function show(url, params, { answer, heard }) {
    const dialog = document.createElement("dialog");
    const frame = document.createElement("iframe");
    dialog.setAttribute("aria-label", params.title || "Integration");
    style(dialog, {
      position: "fixed", inset: "0", width: "100vw", height: "100dvh", maxWidth: "none", maxHeight: "none", margin: "0",
      padding: "0", border: "0", background: "rgba(10, 12, 20, 0.5)", overflow: "hidden", placeItems: "center",
    });
    const small = window.matchMedia("(max-width: 560px), (max-height: 560px)");
    const fit = () =>
      style(frame, {
        width: small.matches ? "100%" : "min(480px, calc(100% - 32px))",
        height: small.matches ? "100%" : "min(700px, calc(100% - 48px))",
        border: "0", borderRadius: small.matches ? "0" : "16px", colorScheme: "normal",
        boxShadow: small.matches ? "none" : "0 24px 64px rgba(0, 0, 0, 0.35)",
      });
    fit();
    small.addEventListener("change", fit);
    frame.title = params.title || "Integration";
    // The look travels as the frame's name: it is in no address, and only this page can say it.
    const look = { theme: params.theme ?? options.theme, locale: params.locale ?? options.locale, strings: params.strings ?? options.strings };
    frame.name = JSON.stringify({ trunnion: 1, ...look });
    frame.src = url;
    dialog.append(frame);

    let last;
    let gone = false;
    const modal = {
      /** The callback hears each outcome once. */
      tell(outcome) {
        const text = JSON.stringify(outcome);
        if (text === last) return;
        last = text;
        params.callback?.(outcome);
      },
      remove() {
        if (gone) return;
        gone = true;
        window.removeEventListener("message", listen);
        small.removeEventListener("change", fit);
        // Closing gives the focus back to where it was.
        dialog.close();
        dialog.remove();
      },
    };
    const reveal = () => {
      if (dialog.open) return;
      dialog.showModal();
      dialog.style.display = "grid";
      frame.focus();
    };
    const close = (message) => {
      modal.remove();
      modal.tell(answer(message));
    };
    const listen = (event) => {
      const { data } = event;
      if (event.origin !== host || event.source !== frame.contentWindow || !data || typeof data !== "object") return;
      if (data.showModal) reveal();
      else if (data.closeModal) close(data);
      else heard(data, modal);
    };
    window.addEventListener("message", listen);
    dialog.addEventListener("cancel", (event) => {
      event.preventDefault();
      close();
    });
    dialog.addEventListener("click", (event) => {
      if (event.target === dialog) close();
    });
    document.body.append(dialog);
    if (!params.hide) reveal();
  }

  function style(element, values) {
    // One by one: a page whose policy forbids style attributes allows this.
    for (const [name, value] of Object.entries(values)) element.style[name] = value;
  }

  return {
    setToken(value) {
      token = value;
    },
    /** Another of your hosts, by the name that `regions` gives it; unknown names change nothing. */
    setRegion(region) {
      const named = regions[String(region).toLowerCase()];
      if (named) host = origin(named);
    },
    install: (params) => install(params),
    edit: (params) => install({ alwaysShowAuthentication: true, operation: "edit", ...params }),
    update: (params) => install({ alwaysShowAuthentication: true, operation: "update", ...params }),
    authenticate: (params) => authenticate(params),
    getWorkflows: () => request("GET", "/workflows"),
    getIntegrations: () => request("GET", "/integrations"),
    deactivate: (data) => request("PUT", "/workflows/deactivate", data),
    reactivate: (data) => request("PUT", "/workflows/activate", data),
  };
}
