// The map page: ask for ways by pressing two places, close and open streets, see robots move.

import { call, get } from "./api.js";
import { languageButton, t } from "./i18n.js";
import { steer, View } from "./map_view.js";

const at = (id) => document.getElementById(id);
const POLL_MS = 1500;
const SIGNS = { depart: "●", straight: "↑", slight_left: "↖", left: "←", sharp_left: "↙", slight_right: "↗", right: "→",
                sharp_right: "↘", uturn: "↶", enter: "⇡", arrive: "◎" };
const name = decodeURIComponent(location.pathname.split("/").pop());
const path = `/v1/routes/${encodeURIComponent(name)}`;
let about = null, view = null, tool = "route", ends = [], found = null, changes = [], drawn = null, wanted = null;

const ask = async (told) => (await call(path, { method: "POST", body: JSON.stringify(told),
                                               headers: { "Content-Type": "application/json" } })).json();
const place = (x, y) => (about.frame === "wgs84" ? { lat: y, lon: x } : { y, x });
const xy = (p) => (about.frame === "wgs84" ? { x: p.lon, y: p.lat } : { x: p.x, y: p.y });

function complain(error) {
  at("alert").hidden = !error;
  at("alert").textContent = error?.message ?? "";
}

/** Ask for the lines in sight, once the view has come to rest. */
function look() {
  clearTimeout(wanted);
  wanted = setTimeout(async () => {
    try {
      const told = await ask({ type: "draw", box: view.box() });
      drawn = told.map_version;
      at("partly").hidden = told.all;
      view.take(told);
    } catch (error) { complain(error); }
  }, 120);
}

async function pressed(x, y) {
  complain(null);
  try {
    if (tool === "close") await close(x, y);
    else await way(x, y);
  } catch (error) { complain(error); }
}

async function close(x, y) {
  const { edge, twin } = await ask({ type: "nearest", at: place(x, y) });
  await ask({ type: "update", changes: [{ do: "close", edges: twin < 0 ? [edge] : [edge, twin] }] });
  await refresh();
}

async function way(x, y) {
  if (ends.length === 2) ends = [];
  ends.push([x, y]);
  found = null;
  show();
  if (ends.length === 2) await renew();
}

/** The way between the two ends on the map as it is now. */
async function renew() {
  found = null;
  try {
    const others = about.profile === "floor" ? {} : { alternatives: 2 };
    found = { alternatives: [], ...await ask({ from: place(...ends[0]), to: place(...ends[1]), instructions: true, ...others }) };
  } finally { show(); }
}

function show() {
  view.marks = ends.map(([x, y], i) => ({ x, y, letter: "AB"[i] }));
  view.ways = [];
  if (found) {
    view.marks = [found.from, found.to].map((p, i) => ({ ...xy(p), letter: "AB"[i] }));
    view.ways = [found, ...found.alternatives].map((w, i) => ({ points: w.geometry.coordinates, best: i === 0 }));
    at("cost").textContent = minutes(found.cost_s);
    at("length").textContent = metres(found.length_m);
    at("others").textContent = found.alternatives.map((w) => minutes(w.cost_s)).join(", ") || "–";
  }
  at("numbers").hidden = !found;
  at("hint").hidden = Boolean(found);
  at("hint").textContent = tool === "close" ? t("hint_close") : t(ends.length === 1 ? "hint_goal" : "hint_start");
  at("steps").replaceChildren(...(found?.instructions ?? []).filter((s) => s.kind !== "floor").map(step));
  view.draw();
}

function step(told) {
  const item = document.createElement("li");
  for (const text of [SIGNS[told.code] ?? "", told.name || told.kind, told.length_m ? metres(told.length_m) : ""]) {
    item.append(Object.assign(document.createElement("span"), { textContent: text }));
  }
  item.firstChild.setAttribute("aria-label", told.code);
  return item;
}

function listChanges() {
  at("no-changes").hidden = changes.length > 0;
  at("changes").replaceChildren(...changes.slice(-50).reverse().map((change) => {
    const item = document.createElement("li");
    const text = document.createElement("span");
    const button = document.createElement("button");
    const left = change.left_s === undefined ? "" : ` · ${minutes(change.left_s)}`;
    text.textContent = `${change.name} · ${t(`do_${change.do}`)}${left}`;
    Object.assign(button, { type: "button", textContent: t("end_it") });
    button.addEventListener("click", () => drop(change.name));
    item.append(text, button);
    return item;
  }));
}

async function drop(change) {
  complain(null);
  try {
    await ask({ type: "update", drop: [change] });
    await refresh();
  } catch (error) { complain(error); }
}

/** Robots and changes; where the map changed, its lines and the way, too. */
async function refresh() {
  const [held, seen] = (await ask({ batch: [{ type: "changes" }, { type: "robots" }] })).batch;
  ({ changes } = held);
  listChanges();
  view.robots = seen.robots.map((r) => ({ ...xy(r), name: r.name }));
  if (drawn !== null && held.map_version !== drawn) {
    drawn = held.map_version;
    look();
    if (ends.length === 2) {
      await renew();
      complain(null);
    }
  }
  view.draw();
}

async function follow() {
  try {
    if (!document.hidden) await refresh();
  } catch (error) { complain(error); }
  setTimeout(follow, POLL_MS);
}

function choose(next) {
  tool = next;
  for (const one of ["route", "close"]) at(one === "route" ? "tool-route" : "tool-close").setAttribute("aria-pressed", one === tool);
  show();
}

function minutes(seconds) {
  const whole = Math.round(seconds);
  return whole < 90 ? `${whole} s` : `${Math.floor(whole / 60)} min ${String(whole % 60).padStart(2, "0")} s`;
}

const metres = (m) => (m < 1000 ? `${Math.round(m)} m` : `${(m / 1000).toFixed(2)} km`);

function words() {
  if (!about) return;
  document.title = `${name} · Aisle`;
  at("map-title").textContent = name;
  at("map-about").textContent = t("map_about", { nodes: about.nodes, edges: about.edges, profile: about.profile || "–" });
  at("credit").textContent = about.attribution;
  show();
  listChanges();
}

languageButton(at("language"), words);
try {
  about = await get(path);
  if (about.frame === "site") throw new Error(t("site_card", { maps: about.maps.join(", ") }));
  view = new View(at("canvas"), about, () => view && look());
  steer(view, pressed);
  at("closer").addEventListener("click", () => view.zoom(1.6));
  at("farther").addEventListener("click", () => view.zoom(1 / 1.6));
  at("whole").addEventListener("click", () => view.fit());
  at("tool-route").addEventListener("click", () => choose("route"));
  at("tool-close").addEventListener("click", () => choose("close"));
  words();
  look();
  await follow();
} catch (error) { complain(error); }
