// The ISV's look: colours, corners and font, as CSS custom properties. A value that is no such thing is left out, so that
// a theme can change how the page looks and never what it loads.

const COLOURS = ["accent", "accentText", "background", "surface", "text", "muted", "border", "danger", "success"];

/** Applies a theme: `{ scheme, radius, font, accent, …, dark: { accent, … } }`. */
export function apply(theme) {
  const root = document.documentElement;
  if (["light", "dark"].includes(theme.scheme)) root.dataset.scheme = theme.scheme;
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const paint = () => {
    const isDark = root.dataset.scheme ? root.dataset.scheme === "dark" : dark.matches;
    const over = theme.dark && typeof theme.dark === "object" ? theme.dark : {};
    const wanted = isDark ? { ...theme, ...over } : theme;
    for (const name of COLOURS) set(name, fits("color", wanted[name]));
    if (fits("color", wanted.accent) && !fits("color", wanted.accentText)) set("accentText", readableOn(wanted.accent));
  };
  paint();
  dark.addEventListener("change", paint);
  set("radius", fits("border-radius", theme.radius));
  set("font", fits("font-family", theme.font));
}

function set(name, value) {
  const property = `--trunnion-${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
  if (value) document.documentElement.style.setProperty(property, value);
  else document.documentElement.style.removeProperty(property);
}

function fits(property, value) {
  const plain = typeof value === "string" && value.length < 200 && !/url\(|var\(|[;{}]/i.test(value);
  return plain && CSS.supports(property, value) ? value : null;
}

/** Black or white, whichever is easier to read on a colour. */
function readableOn(colour) {
  const probe = document.createElement("span");
  probe.style.color = colour;
  document.documentElement.append(probe);
  const [red, green, blue] = (getComputedStyle(probe).color.match(/[\d.]+/g) ?? [0, 0, 0]).map(Number);
  probe.remove();
  const linear = (part) => (part / 255 <= 0.04045 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4);
  const light = 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue);
  return 1.05 / (light + 0.05) >= (light + 0.05) / 0.05 ? "#ffffff" : "#000000";
}
