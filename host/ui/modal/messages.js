// Every text of the page, by name: one table for each language, over which the ISV's own texts go.
//
// `{app}` and the like stand for values. A language lacks nothing that English has; a test compares them.

export const TABLES = {
  en: {
    close: "Close",
    back: "Back",
    next: "Continue",
    cancel: "Cancel",
    retry: "Try again",
    done: "Done",
    loading: "Loading…",
    required: "required",
    optional: "optional",
    title: "Connect {app}",
    titleEdit: "Edit {app}",
    titleUpdate: "Update {app}",
    steps: "Steps",
    stepConnect: "Connect",
    stepOptions: "Options",
    stepDone: "Done",
    connectHeading: "Connect your account",
    connectHeadingMany: "Connect your accounts",
    connectLead: "{app} will be connected so that these can run: {workflows}.",
    connected: "Connected",
    connect: "Connect {app}",
    connectAnother: "Connect another account",
    connecting: "Checking with {app}…",
    chooseAccount: "Which {app} account?",
    consentHosts: "Data is exchanged with",
    consentScopes: "Permissions asked for",
    consentScopesNone: "{app} asks you itself what you allow.",
    consentAccess: "What this connects to",
    anyHost: "any subdomain of {host}",
    otherWay: "Other ways to connect",
    by: "Connect with {scheme}",
    keptSecret: "Stored encrypted, sent only to {app}.",
    noCredential: "{app} needs no account.",
    notRegistered: "{app} cannot be connected this way yet. Ask whoever gave you this page.",
    popupWaiting: "Continue in the window of {app}.",
    popupWaitingMore: "This page goes on by itself when you have finished there.",
    popupBlocked: "Your browser kept the window of {app} closed.",
    popupOpen: "Open {app}",
    popupClosed: "The window of {app} was closed before it was finished.",
    popupAgain: "Open it again",
    reconnect: "Reconnect",
    needsAttention: "Needs to be reconnected",
    optionsHeading: "Choose your options",
    optionsLead: "You can change these later.",
    optionsNone: "There is nothing to choose. You can install it now.",
    workflowChoose: "Install this one",
    newField: "new",
    updateLead: "A newer version is available. Look at what is new, then update.",
    updateNone: "You have the newest version.",
    pick: "Choose…",
    search: "Search {field}",
    searchPlaceholder: "Type to search",
    more: "Show more",
    noMatch: "Nothing found.",
    lookupFailed: "The choices could not be loaded: {reason}",
    lookupNeeds: "First choose {fields}.",
    yes: "On",
    missing: "{field} is needed.",
    notNumber: "{field} must be a number.",
    pattern_host_label: "{field}: letters, digits and hyphens only, without https:// or dots.",
    pattern_identifier: "{field}: letters, digits, _ and - only.",
    pattern_digits: "{field}: digits only.",
    pattern_host_names: "{field}: whole host names with commas between them.",
    chooseOne: "Choose at least one.",
    install: "Install",
    save: "Save",
    update: "Update",
    installing: "Setting up…",
    doneHeading: "All set",
    doneInstalled: "{app} is connected. Running now:",
    doneSaved: "Your changes are saved.",
    doneUpdated: "The newest version is running.",
    doneConnected: "{app} is connected.",
    closeWindow: "You can close this window.",
    fixBelow: "Please look at the marked fields.",
    myConnections: "My connections",
    accounts: "Connected accounts",
    connectionsEmpty: "Nothing is connected yet.",
    connectApp: "Connect an app",
    working: "Working",
    lastActive: "Last active {when}",
    neverActive: "Not in use",
    connectedOn: "Connected {when}",
    usedBy: "Used by {workflows}",
    check: "Check again",
    checked: "{account} works.",
    disconnect: "Disconnect",
    disconnectSure: "Disconnect {account}? {app} will no longer be reached with it.",
    disconnectUsed: "Disconnect {account}? These stop working: {workflows}.",
    disconnected: "{account} is disconnected.",
    useThis: "Use this account",
    loadFailed: "This could not be loaded",
    unreachable: "There is no connection to the server. Look at your network and try again.",
    ended: "This session has ended",
    endedLead: "Close this window and open it again.",
    linkEnded: "This link was used already, or is too old. Ask for a new one.",
    noToken: "This page was opened without a token.",
    notHere: "This page may not be shown here",
    notHereLead: "The token is for other sites. Whoever embeds this page has to name {origin} when asking for it.",
    nothing: "There is nothing to install here",
    nothingLead: "Ask whoever gave you this page.",
    failed: "That did not work",
    unknown: "Something went wrong. Try again in a moment.",
  },
  de: {
    close: "Schließen",
    back: "Zurück",
    next: "Weiter",
    cancel: "Abbrechen",
    retry: "Noch einmal versuchen",
    done: "Fertig",
    loading: "Wird geladen…",
    required: "erforderlich",
    optional: "freiwillig",
    title: "{app} verbinden",
    titleEdit: "{app} bearbeiten",
    titleUpdate: "{app} aktualisieren",
    steps: "Schritte",
    stepConnect: "Verbinden",
    stepOptions: "Optionen",
    stepDone: "Fertig",
    connectHeading: "Konto verbinden",
    connectHeadingMany: "Konten verbinden",
    connectLead: "{app} wird verbunden, damit dies laufen kann: {workflows}.",
    connected: "Verbunden",
    connect: "{app} verbinden",
    connectAnother: "Weiteres Konto verbinden",
    connecting: "{app} wird gefragt…",
    chooseAccount: "Welches Konto bei {app}?",
    consentHosts: "Daten werden ausgetauscht mit",
    consentScopes: "Erbetene Berechtigungen",
    consentScopesNone: "{app} fragt selbst, was Sie erlauben.",
    consentAccess: "Womit verbunden wird",
    anyHost: "jeder Unterdomäne von {host}",
    otherWay: "Andere Wege zu verbinden",
    by: "Verbinden mit {scheme}",
    keptSecret: "Verschlüsselt gespeichert, nur an {app} gesendet.",
    noCredential: "{app} braucht kein Konto.",
    notRegistered: "{app} lässt sich so noch nicht verbinden. Fragen Sie den Anbieter dieser Seite.",
    popupWaiting: "Machen Sie im Fenster von {app} weiter.",
    popupWaitingMore: "Diese Seite geht von selbst weiter, wenn Sie dort fertig sind.",
    popupBlocked: "Ihr Browser hat das Fenster von {app} nicht geöffnet.",
    popupOpen: "{app} öffnen",
    popupClosed: "Das Fenster von {app} wurde vorher geschlossen.",
    popupAgain: "Noch einmal öffnen",
    reconnect: "Neu verbinden",
    needsAttention: "Muss neu verbunden werden",
    optionsHeading: "Optionen wählen",
    optionsLead: "Das lässt sich später ändern.",
    optionsNone: "Es gibt nichts zu wählen. Sie können jetzt installieren.",
    workflowChoose: "Diesen installieren",
    newField: "neu",
    updateLead: "Es gibt eine neuere Version. Sehen Sie an, was neu ist, und aktualisieren Sie.",
    updateNone: "Sie haben die neueste Version.",
    pick: "Wählen…",
    search: "{field} suchen",
    searchPlaceholder: "Zum Suchen tippen",
    more: "Mehr zeigen",
    noMatch: "Nichts gefunden.",
    lookupFailed: "Die Auswahl konnte nicht geladen werden: {reason}",
    lookupNeeds: "Wählen Sie zuerst {fields}.",
    yes: "An",
    missing: "{field} fehlt.",
    notNumber: "{field} muss eine Zahl sein.",
    pattern_host_label: "{field}: nur Buchstaben, Ziffern und Bindestriche, ohne https:// und Punkte.",
    pattern_identifier: "{field}: nur Buchstaben, Ziffern, _ und -.",
    pattern_digits: "{field}: nur Ziffern.",
    pattern_host_names: "{field}: ganze Hostnamen mit Kommas dazwischen.",
    chooseOne: "Wählen Sie mindestens einen.",
    install: "Installieren",
    save: "Speichern",
    update: "Aktualisieren",
    installing: "Wird eingerichtet…",
    doneHeading: "Alles bereit",
    doneInstalled: "{app} ist verbunden. Es läuft:",
    doneSaved: "Ihre Änderungen sind gespeichert.",
    doneUpdated: "Die neueste Version läuft.",
    doneConnected: "{app} ist verbunden.",
    closeWindow: "Sie können dieses Fenster schließen.",
    fixBelow: "Bitte sehen Sie die markierten Felder an.",
    myConnections: "Meine Verbindungen",
    accounts: "Verbundene Konten",
    connectionsEmpty: "Noch ist nichts verbunden.",
    connectApp: "Eine App verbinden",
    working: "Funktioniert",
    lastActive: "Zuletzt aktiv {when}",
    neverActive: "Nicht in Gebrauch",
    connectedOn: "Verbunden {when}",
    usedBy: "Benutzt von {workflows}",
    check: "Noch einmal prüfen",
    checked: "{account} funktioniert.",
    disconnect: "Trennen",
    disconnectSure: "{account} trennen? {app} wird damit nicht mehr erreicht.",
    disconnectUsed: "{account} trennen? Dann läuft nicht mehr: {workflows}.",
    disconnected: "{account} ist getrennt.",
    useThis: "Dieses Konto benutzen",
    loadFailed: "Das konnte nicht geladen werden",
    unreachable: "Der Server ist nicht erreichbar. Prüfen Sie Ihr Netz und versuchen Sie es noch einmal.",
    ended: "Diese Sitzung ist beendet",
    endedLead: "Schließen Sie dieses Fenster und öffnen Sie es neu.",
    linkEnded: "Dieser Link wurde schon benutzt oder ist zu alt. Bitten Sie um einen neuen.",
    noToken: "Diese Seite wurde ohne Token geöffnet.",
    notHere: "Diese Seite darf hier nicht gezeigt werden",
    notHereLead: "Das Token gilt für andere Seiten. Wer diese Seite einbettet, muss {origin} nennen, wenn er es erbittet.",
    nothing: "Hier gibt es nichts zu installieren",
    nothingLead: "Fragen Sie den Anbieter dieser Seite.",
    failed: "Das hat nicht geklappt",
    unknown: "Etwas ist schiefgegangen. Versuchen Sie es gleich noch einmal.",
  },
};

const RIGHT_TO_LEFT = ["ar", "fa", "he", "ur"];

let table = TABLES.en;
let locale = "en";

/** Chooses the language, and lays the ISV's own texts over it. */
export function speak(wanted, own) {
  const known = [wanted, ...navigator.languages].filter((it) => typeof it === "string" && /^[\w-]{2,35}$/.test(it));
  const named = known.find((it) => it === wanted) ?? known.find((it) => language(it) in TABLES);
  try {
    [locale] = Intl.getCanonicalLocales(named ?? "en");
  } catch {
    locale = "en";
  }
  const texts = Object.entries(own).filter(([name, text]) => name in TABLES.en && typeof text === "string");
  table = { ...TABLES.en, ...TABLES[language(locale)], ...Object.fromEntries(texts) };
  document.documentElement.lang = locale;
  document.documentElement.dir = RIGHT_TO_LEFT.includes(language(locale)) ? "rtl" : "ltr";
}

/** A text with its values in place. */
export function t(name, values = {}) {
  return table[name].replace(/\{(\w+)\}/g, (whole, key) => values[key] ?? whole);
}

/** Names, one after the other, as the language has them. */
export function names(list) {
  return new Intl.ListFormat(locale, { type: "conjunction" }).format(list);
}

/** How long ago something was. */
export function ago(time) {
  const seconds = (new Date(time).getTime() - Date.now()) / 1000;
  const format = new Intl.RelativeTimeFormat(locale, { numeric: "auto" });
  for (const [unit, size] of [["year", 31_536_000], ["month", 2_592_000], ["day", 86_400], ["hour", 3_600], ["minute", 60]]) {
    if (Math.abs(seconds) >= size) return format.format(Math.round(seconds / size), unit);
  }
  return format.format(Math.round(seconds), "second");
}

function language(locale) {
  return locale.toLowerCase().split("-")[0];
}
