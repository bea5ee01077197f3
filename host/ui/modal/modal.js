// The modal: one page that installs, one that authenticates, one for hosted links. This file only says which is which.

import { client } from "./api.js";
import { connections } from "./connections.js";
import { h, icons } from "./dom.js";
import { install } from "./install.js";
import { speak, t } from "./messages.js";
import { asked, embeddedBy, mayBeEmbedded, say } from "./protocol.js";
import { begin, dead, failure, show, steps, title } from "./shell.js";
import { apply } from "./theme.js";

const wishes = asked();
speak(wishes.look.locale, wishes.look.strings);
apply(wishes.look.theme);

/** How the page is left; `authenticate` says whether it was after a refusal. */
let leave = say.close;

const close = () => {
  leave();
  if (!wishes.framed) gone();
};

begin({ framed: wishes.framed, onLeave: close });
title(wishes.title || t("stepConnect"), null, wishes.framed);

const ended = (refusal) => failure(refusal, null);

if (!wishes.token) dead(t("ended"), t("noToken"));
else if (!mayBeEmbedded(wishes.token)) dead(t("notHere"), t("notHereLead", { origin: embeddedBy() ?? "?" }));
else if (wishes.page === "authenticate-app") authenticate();
else if (wishes.integrationId || wishes.workflowIds.length > 0) installing();
else dead(t("nothing"), t("nothingLead"));
// What is wrong with the address itself is seen even where the page was to stay hidden.
if (wishes.hide && document.querySelector("main .emblem")) say.show();

function installing() {
  const api = client(wishes.token);
  const myConnections = () =>
    connections({ api, wishes: { ...wishes, title: "" }, ended, back: wishes.framed ? close : null });
  // A link installs, and shows nothing else.
  install({ api, wishes, done: close, ended, myConnections: wishes.page === "embedded-install" ? null : myConnections });
}

async function authenticate() {
  const api = client(wishes.token);
  const failed = () => (leave = say.failed);
  let only = wishes.app;
  if (!only && wishes.integrationId) {
    try {
      only = (await api.plan({ integration_id: wishes.integrationId })).integration.app;
    } catch (refusal) {
      return failure(refusal, authenticate);
    }
  }
  const picked = (id) => {
    say.authenticated(id);
    if (!wishes.framed) connected();
  };
  return connections({ api, wishes, only, picked, ended, failed });
}

/** A page of its own cannot close itself: it says that it is done. */
function gone() {
  steps(null);
  show({ centred: h("span", { class: "emblem calm" }, icons.check()), heading: t("closeWindow") });
}

function connected() {
  steps(null);
  show({ centred: h("span", { class: "emblem" }, icons.check()), heading: t("doneHeading"), body: h("p", {}, t("closeWindow")) });
}
