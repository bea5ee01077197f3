// The page that vendors send people back to: tells the window that opened it how it ended, and closes.

const said = document.body.dataset;

if (window.opener) {
  // Only a page of this very host is told.
  window.opener.postMessage(
    { trunnion: "consent", connection: said.connection, code: said.code, error: said.error },
    window.location.origin,
  );
  // A refusal stays, since it may be the only place that says why; a success has nothing more to say.
  if (said.connection) window.close();
}
