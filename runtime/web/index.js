// The list of stations.

import { get } from "./api.js";
import { languageButton, t } from "./i18n.js";

const at = (id) => document.getElementById(id);
let stations = [];

function draw() {
  at("none").hidden = stations.length > 0;
  at("stations").replaceChildren(...stations.map(card));
}

function card(station) {
  const item = document.createElement("li");
  const link = document.createElement("a");
  const name = document.createElement("strong");
  const about = document.createElement("span");
  link.href = `/station/${encodeURIComponent(station.name)}`;
  link.className = "card";
  name.textContent = station.name;
  about.textContent = t("about", { good: station.good ?? "?", version: station.version });
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
  draw();
} catch (error) {
  at("alert").textContent = error.message;
  at("alert").hidden = false;
}
