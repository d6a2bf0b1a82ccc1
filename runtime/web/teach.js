// The teach tab: good parts in, a promise out.

import { Refusal, call, lines } from "./api.js";
import { knows, t } from "./i18n.js";
import { droppable, thumbnail } from "./show.js";

const at = (id) => document.getElementById(id);
const LEAST = 2;
const SHOWN = 60;    // thumbnails drawn; the rest is counted

/** Wire the tab; `taught()` reloads the station, `leave()` goes to inspecting. */
export function startTeach({ url, alert, taught, leave }) {
  const piles = { good: pile("good", redraw), bad: pile("bad", redraw) };
  let busy = false, result = null;

  function redraw() {
    for (const one of Object.values(piles)) one.draw();
    const missing = LEAST - piles.good.files.length;
    at("start").disabled = busy || missing > 0;
    at("need").textContent = missing > 0 ? t("need", { n: missing }) : t("enough");
    if (result) promise();
  }

  async function start() {
    const form = new FormData();
    for (const [field, one] of Object.entries(piles)) {
      for (const file of one.files) form.append(field, file, file.name);
    }
    working(true);
    try {
      const reply = await call(`${url}/teach`, { method: "POST", body: form, headers: { Accept: "application/x-ndjson" } });
      for await (const line of lines(reply)) follow(line);
      if (!result) throw new Refusal(0, t("unreachable"));
      await taught();
      for (const one of Object.values(piles)) one.empty();
      promise();
      at("promise").scrollIntoView({ block: "nearest" });
      at("done").focus();
    } catch (error) {
      alert(error.message);
      if (!(error instanceof Refusal)) throw error;
    } finally {
      working(false);
    }
  }

  function working(now) {
    busy = now;
    if (now) {
      alert();
      result = null;
      at("promise").hidden = true;
      at("bar").removeAttribute("value");
      at("stage").textContent = t("sending");
    }
    at("progress").hidden = !now;
    redraw();
  }

  function follow(line) {
    if (line.error) throw new Refusal(0, line.error);
    if (!line.stage) {
      result = line;
      return;
    }
    at("bar").max = line.of || 1;
    at("bar").value = line.done;
    const key = `stage_${line.stage}`;
    at("stage").textContent = knows(key) ? t(key) : t("stage_other", { stage: line.stage });
  }

  function promise() {
    const percent = (share) => `${(100 * share).toFixed(1)} %`;
    at("average").textContent = t("average", { n: Math.floor(1 / result.promise_average), percent: percent(result.promise_average) });
    at("bound").textContent = t("bound", { percent: percent(result.promise_bound) });
    at("advice").textContent = result.more.map((m) => t("advice_more", { n: m.parts, goal: percent(m.bound) })).join(" ");
    at("warnings").replaceChildren(...result.warnings.map((text) => {
      const item = document.createElement("li");
      item.textContent = t("warning", { text });
      return item;
    }));
    at("promise").hidden = false;
  }

  at("start").addEventListener("click", start);
  at("done").addEventListener("click", leave);
  redraw();
  return { add: piles.good.add, redraw };
}

/** One heap of pictures: chosen, dropped, counted, taken away again. */
function pile(field, changed) {
  const files = [];
  const canvases = new Map();

  function add(more) {
    files.push(...more.filter((file) => !file.type || file.type.startsWith("image/")));
    changed();
  }

  function draw() {
    at(`${field}-count`).textContent = files.length === 1 ? t("one_picture") : t("pictures", { n: files.length });
    const items = files.slice(0, SHOWN).map(item);
    if (files.length > SHOWN) {
      const rest = document.createElement("li");
      rest.textContent = t("more", { n: files.length - SHOWN });
      items.push(rest);
    }
    at(`${field}-list`).replaceChildren(...items);
  }

  function item(file) {
    const li = document.createElement("li");
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = "×";
    button.setAttribute("aria-label", t("remove", { name: file.name }));
    button.addEventListener("click", () => { files.splice(files.indexOf(file), 1); changed(); });
    li.title = file.name;
    if (!canvases.has(file)) canvases.set(file, thumbnail(file));
    canvases.get(file).then((canvas) => { if (canvas) li.prepend(canvas); });
    li.append(button);
    return li;
  }

  function empty() {
    files.length = 0;
    canvases.clear();
    changed();
  }

  at(`${field}-pick`).addEventListener("click", () => at(field).click());
  at(field).addEventListener("change", () => { add([...at(field).files]); at(field).value = ""; });
  droppable(at(`${field}-drop`), add);
  return { files, add, draw, empty };
}
