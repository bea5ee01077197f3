// The end of `/embed.js`: the one client of the page, as `window.Alloy`, which also makes others when it is called.
const script = document.currentScript;
const said = script ? script.dataset : {};
const options = {
  host: new URL(script ? script.src : location.href, location.href).origin,
  locale: said.locale,
  theme: said.theme ? JSON.parse(said.theme) : undefined,
  regions: {},
};
for (const [name, value] of Object.entries(said)) {
  // `data-region-eu="https://…"`
  if (name.startsWith("region")) options.regions[name.slice("region".length).toLowerCase()] = value;
}
window.Alloy = Object.assign((more) => Alloy({ ...options, ...more }), Alloy(options));
