// The list of stations.

import { get } from "./api.js";
import { languageButton, t } from "./i18n.js";

const at = (id) => document.getElementById(id);
let stations = [];
let maps = [];
let shops = [];

function draw() {
  at("none").hidden = stations.length > 0;
  at("stations").replaceChildren(...stations.map((s) => card("station", s.name, t("about", { good: s.good ?? "?", version: s.version }))));
  at("shops-part").hidden = !shops.length;
  at("shops").replaceChildren(...shops.map((s) => card("shop", s.name, t("shop_card", s))));
  at("maps-part").hidden = !maps.length;
  at("maps").replaceChildren(...maps.map((m) => (m.frame === "site" ? siteCard(m) : card("map", m.name, t("map_card", m)))));
}

/** A site has no page of its own: its maps have. */
function siteCard(site) {
  const made = card("map", site.name, t("site_card", { maps: site.maps.join(", ") }));
  made.firstChild.removeAttribute("href");
  return made;
}

function card(kind, title, text) {
  const item = document.createElement("li");
  const link = document.createElement("a");
  const name = document.createElement("strong");
  const about = document.createElement("span");
  link.href = `/${kind}/${encodeURIComponent(title)}`;
  link.className = "card";
  name.textContent = title;
  about.textContent = text;
  link.append(name, about);
  item.append(link);
  return item;
}

at("new").addEventListener("submit", (event) => {
  event.preventDefault();
  location.href = `/station/${encodeURIComponent(at("name").value)}#teach`;
});

languageButton(at("language"), draw);
try {
  ({ stations } = await get("/v1/inspect"));
  ({ stations: maps } = await get("/v1/routes"));
  ({ stations: shops } = await get("/v1/search"));
  draw();
} catch (error) {
  at("alert").textContent = error.message;
  at("alert").hidden = false;
}
