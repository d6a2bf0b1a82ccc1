// The strip of recent verdicts; it follows the station, whoever asks it.

import { get } from "./api.js";
import { t } from "./i18n.js";
import { SIGNS } from "./show.js";

const at = (id) => document.getElementById(id);
const EVERY_MS = 4000;
const SVG = "http://www.w3.org/2000/svg";

/** Wire the strip of one station. */
export function startRecent(url) {
  let entries = [], timer = null, visible = false;

  async function refresh() {
    try {
      entries = (await get(`${url}/recent?limit=24`)).recent;
    } catch {
      return;    // the verdict itself reports what is wrong with the server; the strip keeps what it has
    }
    draw();
  }

  function draw() {
    at("no-recent").hidden = entries.length > 0;
    at("recent").replaceChildren(...entries.map(item));
  }

  function item(entry) {
    const li = document.createElement("li");
    const image = document.createElement("img");
    const sign = document.createElementNS(SVG, "svg");
    const path = document.createElementNS(SVG, "path");
    const text = document.createElement("span");
    li.dataset.state = entry.verdict;
    if (entry.thumbnail) image.src = entry.thumbnail;
    image.alt = t(entry.verdict);
    sign.setAttribute("viewBox", "0 0 64 64");
    sign.setAttribute("class", "sign");
    path.setAttribute("d", SIGNS[entry.verdict] ?? SIGNS.problem);
    sign.append(path);
    text.textContent = `${entry.score.toPrecision(3)} · ${new Date(entry.at).toLocaleTimeString()}`;
    li.title = entry.id;
    li.append(image, sign, text);
    return li;
  }

  function watch(shown) {
    visible = shown;
    clearInterval(timer);
    if (!visible) return;
    refresh();
    timer = setInterval(() => { if (!document.hidden) refresh(); }, EVERY_MS);
  }

  return { refresh, watch, draw };
}
