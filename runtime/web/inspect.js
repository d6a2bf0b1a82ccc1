// The inspect tab: a picture goes to the server, the verdict comes back in large letters.

import { Refusal, call } from "./api.js";
import { startCamera } from "./camera.js";
import { say, t } from "./i18n.js";
import { startRecent } from "./recent.js";
import { SIGNS, droppable } from "./show.js";

const at = (id) => document.getElementById(id);
const SVG = "http://www.w3.org/2000/svg";

/** Wire the tab; returns look(file), shown(visible) and redraw(). */
export function startInspect({ url, alert }) {
  const recent = startRecent(url);
  let answer = null, state = "idle", turn = 0;

  function show(next, word) {
    state = next;
    at("verdict").dataset.state = next;
    at("sign").setAttribute("d", SIGNS[next] ?? "");
    say(at("word"), word);
  }

  async function look(file) {
    if (!file) return;
    if (file.type && !file.type.startsWith("image/")) return alert(t("only_pictures"));
    const mine = ++turn;
    alert();
    preview(file);
    show("busy", "looking");
    try {
      const reply = await call(`${url}?overlay=1`, { method: "POST", body: file, headers: { Accept: "image/jpeg" } });
      const picture = await reply.blob();
      if (mine !== turn) return;    // a newer picture is already on its way
      answer = JSON.parse(reply.headers.get("Aisle-Verdict"));
      swap(at("heat"), picture);
      draw();
    } catch (error) {
      if (mine !== turn) return;
      answer = null;
      clear();
      show("problem", "problem");
      alert(error.message);
      if (!(error instanceof Refusal)) throw error;
    }
    recent.refresh();
  }

  function preview(file) {
    swap(at("photo"), file);
    at("empty").hidden = true;
    at("view").hidden = false;
    at("heat").hidden = true;
    at("boxes").replaceChildren();
  }

  function draw() {
    show(answer.verdict, answer.verdict);
    at("toggle").disabled = false;
    meter();
    at("score").textContent = answer.score.toPrecision(3);
    at("threshold").textContent = answer.threshold.toPrecision(3);
    at("ms").textContent = `${answer.timings_ms.total.toFixed(answer.timings_ms.total < 10 ? 1 : 0)} ms`;
    regions();
    heat();
  }

  /** The bar is linear; the limit stands in the middle unless the score is far beyond it. */
  function meter() {
    const whole = Math.max(2 * answer.threshold, 1.1 * answer.score, 1e-9);
    const share = (value) => `${Math.min(100, Math.max(0, 100 * value / whole))}%`;
    at("fill").style.width = share(answer.score);
    at("limit").style.left = share(answer.threshold);
    at("meter").dataset.state = answer.verdict;
    at("meter").setAttribute("aria-label", t("score_of", {
      score: answer.score.toPrecision(3), threshold: answer.threshold.toPrecision(3) }));
  }

  function regions() {
    const items = answer.regions.map((region, i) => {
      const [x, y, w, h] = region.box;
      const item = document.createElement("li");
      item.textContent = t("region", { n: i + 1, x, y, w, h });
      return item;
    });
    if (!items.length) {
      items.push(document.createElement("li"));
      items[0].textContent = t("no_regions");
      items[0].className = "none";
    }
    at("regions").replaceChildren(...items);
  }

  function heat() {
    const on = at("toggle").getAttribute("aria-pressed") === "true";
    at("heat").hidden = !on || !answer;
    at("boxes").hidden = on;
    boxes();
  }

  /** Numbered frames over the plain picture; the heatmap shows the places by itself. */
  function boxes() {
    const photo = at("heat").naturalWidth ? at("heat") : at("photo");
    at("boxes").setAttribute("viewBox", `0 0 ${photo.naturalWidth || 1} ${photo.naturalHeight || 1}`);
    at("boxes").replaceChildren(...(answer?.regions ?? []).map((region) => {
      const [x, y, w, h] = region.box;
      const box = document.createElementNS(SVG, "rect");
      for (const [key, value] of Object.entries({ x, y, width: w, height: h })) box.setAttribute(key, value);
      return box;
    }));
  }

  function clear() {
    for (const id of ["score", "threshold", "ms"]) at(id).textContent = "–";
    at("fill").style.width = "0";
    at("regions").replaceChildren();
    at("boxes").replaceChildren();
    at("heat").hidden = true;
    at("toggle").disabled = true;
  }

  function toggle() {
    if (at("toggle").disabled) return;
    at("toggle").setAttribute("aria-pressed", String(at("toggle").getAttribute("aria-pressed") !== "true"));
    heat();
  }

  at("pick").addEventListener("click", () => at("file").click());
  at("file").addEventListener("change", () => { look(at("file").files[0]); at("file").value = ""; });
  at("toggle").addEventListener("click", toggle);
  at("heat").addEventListener("load", boxes);
  droppable(at("drop"), (files) => look(files[0]));
  startCamera({ alert, shot: look });
  show("idle", "ready");
  return { look, shown: recent.watch, redraw: () => { if (answer) draw(); else show(state, at("word").dataset.t); recent.draw(); } };
}

/** Put a blob into an <img> and give the one before back. */
function swap(image, blob) {
  const before = image.src;
  image.src = URL.createObjectURL(blob);
  if (before.startsWith("blob:")) URL.revokeObjectURL(before);
}
