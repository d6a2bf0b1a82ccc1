// One station: its tabs, what is known of it, and the parts of the page that do the work.

import { get } from "./api.js";
import { languageButton, t } from "./i18n.js";
import { startInspect } from "./inspect.js";
import { startTeach } from "./teach.js";

const at = (id) => document.getElementById(id);
const name = decodeURIComponent(location.pathname.split("/").pop());
const url = `/v1/inspect/${encodeURIComponent(name)}`;
const tabs = ["inspect", "teach"];
let station = null;

document.title = `${name} · Aisle`;
at("title").textContent = name;

function alert(sentence = "") {
  at("alert").textContent = sentence;
  at("alert").hidden = !sentence;
}

function open(tab, focus = false) {
  for (const one of tabs) {
    const chosen = one === tab;
    at(one).hidden = !chosen;
    at(`tab-${one}`).setAttribute("aria-selected", String(chosen));
    at(`tab-${one}`).tabIndex = chosen ? 0 : -1;
  }
  if (focus) at(`tab-${tab}`).focus();
  history.replaceState(null, "", tab === "teach" ? "#teach" : location.pathname);
  inspect.shown(tab === "inspect" && station !== null);
}

function about() {
  at("about").textContent = station ? t("about", { good: station.good ?? "?", version: station.version }) : "";
}

/** Ask what the station is; one that does not exist yet is there to be taught. */
async function load() {
  try {
    station = await get(url);
    alert();
  } catch (error) {
    station = null;
    alert(error.status === 404 ? t("not_taught") : error.message);
    if (error.status === 404) open("teach");
  }
  about();
  return station;
}

const inspect = startInspect({ url, alert });
const teach = startTeach({ url, alert, taught: load, leave: () => open("inspect", true) });

for (const [i, one] of tabs.entries()) {
  at(`tab-${one}`).addEventListener("click", () => open(one));
  at(`tab-${one}`).addEventListener("keydown", (event) => {
    if (["ArrowLeft", "ArrowRight"].includes(event.key)) open(tabs[1 - i], true);
  });
}
document.addEventListener("paste", (event) => {
  const files = [...event.clipboardData.files];
  if (!files.length) return;
  if (at("teach").hidden) inspect.look(files[0]);
  else teach.add(files);
});
for (const kind of ["dragover", "drop"]) {    // a picture dropped beside its place must not replace the page
  document.addEventListener(kind, (event) => event.preventDefault());
}

languageButton(at("language"), () => { about(); inspect.redraw(); teach.redraw(); });
await load();
open(location.hash === "#teach" || !station ? "teach" : "inspect");
