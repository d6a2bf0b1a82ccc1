// The list of stations.

import { get } from "./api.js";
import { languageButton, t } from "./i18n.js";

const at = (id) => document.getElementById(id);
let stations = [];
let maps = [];

function draw() {
  at("none").hidden = stations.length > 0;
  at("stations").replaceChildren(...stations.map((s) => card("station", s.name, t("about", { good: s.good ?? "?", version: s.version }))));
  at("maps-part").hidden = !maps.length;
  at("maps").replaceChildren(...maps.map((m) => card("map", m.name, t("map_card", m))));
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
  draw();
} catch (error) {
  at("alert").textContent = error.message;
  at("alert").hidden = false;
}
