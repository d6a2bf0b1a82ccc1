// A shop: search by a phrase, "for you", and "help me choose" in taps. What the visitor looked at stays in this page.

import { call, get } from "./api.js";
import { current, languageButton, t } from "./i18n.js";

const at = (id) => document.getElementById(id);
const name = decodeURIComponent(location.pathname.split("/").pop());
const MONEY = { CNY: "¥", EUR: "€", USD: "$", GBP: "£" };
const EXAMPLES = {
  en: ["non-slip shoes for a walk in the rain", "boots not leather under 600", "gift for a child", "wirless headphones for sleeping"],
  zh: ["防滑、适合雨天散步的鞋", "不要皮的靴子 600元以内", "送孩子的礼物", "睡觉戴的耳机"],
};
let about = null, seen = [], found = null, asked = null, forYou = [], answers = [], guided = null;

const ask = async (job, told) => (await call(`/v1/${job}/${encodeURIComponent(name)}`, {
  method: "POST", body: JSON.stringify(told), headers: { "Content-Type": "application/json" } })).json();

function complain(error) {
  at("alert").hidden = !error;
  at("alert").textContent = error?.message ?? "";
}

/** Run something that asks the server; a refusal is shown. */
async function trying(work) {
  complain(null);
  try {
    await work();
  } catch (error) { complain(error); }
}

// ---- goods

const chip = (text, kind = "") => Object.assign(document.createElement("span"), { className: `chip ${kind}`, textContent: text });

function inWords(item, what) {
  const told = current() === "zh" ? item.attributes?.[`${what}:zh`] : undefined;
  return (Array.isArray(told) ? told[0] : told) ?? item[what] ?? "";
}

const money = (amount) => `${MONEY[about?.currency] ?? ""}${amount}`;

/** A price that was asked for, as a chip: with one bound or with both. */
function priceChip({ least, most }) {
  const told = { least: money(Math.round(least * 100) / 100), most: most === null ? "" : money(Math.round(most * 100) / 100) };
  return chip(t(!least ? "price_most" : most === null ? "price_least" : "price_chip", told));
}

/** A product as a card to press; `why` are chips, or one sentence. */
function card(item, why) {
  const box = document.createElement("li");
  const button = document.createElement("button");
  const head = document.createElement("span");
  const title = document.createElement("strong");
  const says = Object.assign(document.createElement("span"), { className: "says", textContent: inWords(item, "text") });
  const reasons = Object.assign(document.createElement("span"), { className: "why" });
  let hue = 0;
  for (const c of item.category ?? "") hue = (hue * 31 + c.codePointAt(0)) % 360;
  head.className = "sort";
  head.style.setProperty("--hue", hue);
  const sort = (item.category ?? "").split("/").pop();
  head.append(current() === "zh" ? about?.categories?.zh?.[sort] ?? sort : sort);
  if (item.price !== undefined) {
    head.append(Object.assign(document.createElement("span"), {
      className: "price", textContent: money(item.price.toFixed(2)) }));
  }
  title.textContent = inWords(item, "title");
  if (typeof why === "string") {
    reasons.classList.add("sentence");
    reasons.textContent = why;
  } else reasons.append(...why);
  button.type = "button";
  button.dataset.id = item.id;
  button.setAttribute("aria-pressed", seen.includes(item.id));
  button.append(head, title, says, reasons);
  button.addEventListener("click", () => trying(() => lookAt(item.id)));
  box.append(button);
  return box;
}

/** The visitor looked at something: what is for him changes. */
async function lookAt(ident) {
  seen = [...seen.filter((one) => one !== ident), ident].slice(-50);
  await recommend();
  draw();
}

async function recommend() {
  forYou = (await ask("recommend", { events: seen, count: 8, language: current() })).items;
}

// ---- search

async function search() {
  const q = at("q").value.trim();
  asked = q || null;
  found = q ? await ask("search", { q, count: 12, language: current(), events: seen }) : null;
  leaveGuide();
  draw();
}

function drawFound() {
  const told = guided ?? found;
  const tooEarly = guided && !answers.length && !asked;     // nothing is known of what fits
  at("found-part").hidden = !told || tooEarly;
  if (!told) return;
  at("found-title").textContent = guided ? t("fits_best") : t("found_for", { q: asked });
  const read = guided ? null : told.understood;
  at("understood").replaceChildren(...(read ? [
    ...read.facets.map((one) => chip(one.text)), ...read.excluded.map((one) => chip(one.text, "not")),
    ...read.measures.map((text) => chip(text)), ...(read.cheap ? [chip(t("cheap_chip"))] : []),
    ...(read.price?.applied ? [priceChip(read.price)] : []),
  ] : []));
  const notes = [...(told.notes ?? []), ...(told.none ? [told.none.sentence] : [])];
  at("notes").replaceChildren(...notes.map((text) => Object.assign(document.createElement("li"), { textContent: text })));
  at("found").replaceChildren(...told.items.map((item) => card(item, guided
    ? [...item.because.map((text) => chip(text)), ...item.but.map((text) => chip(t("but_not", { text }), "not word"))]
    : item.reasons.map((one) => chip(one.text)))));
}

// ---- help me choose

async function choose() {
  guided = await ask("choose", { answers, count: 6, language: current(), events: seen, q: asked ?? "" });
  draw();
}

function leaveGuide() {
  answers = [];
  guided = null;
}

function tap(text, answer, kind = "") {
  const button = Object.assign(document.createElement("button"), { type: "button", textContent: text, className: kind });
  button.addEventListener("click", () => trying(() => { answers.push(answer); return choose(); }));
  return button;
}

function drawGuide() {
  at("guide").hidden = !guided;
  at("help").setAttribute("aria-pressed", Boolean(guided));
  if (!guided) return;
  const question = guided.question;
  at("back").hidden = !answers.length;
  at("step").textContent = question ? t("question_of", { n: guided.asked + 1, most: guided.most }) : t("asked_enough", { n: guided.asked });
  at("question").textContent = question?.text ?? t("here_they_are");
  at("options").hidden = !question;
  at("options").replaceChildren(...(question ? [
    ...question.options.map((one) => tap(one.text, { facet: question.facet, values: one.values, others: one.others })),
    tap(question.no_matter, { facet: question.facet }, "no-matter"),
  ] : []));
}

// ---- the page

function draw() {
  const held = holder();
  document.title = `${name} · Aisle`;
  at("shop-title").textContent = name;
  at("shop-about").textContent = about ? t("shop_about", { items: about.items }) : "";
  at("q").placeholder = EXAMPLES[current()][0];
  at("forget").hidden = !seen.length;
  at("examples").replaceChildren(...EXAMPLES[current()].map((text) => {
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: text });
    button.addEventListener("click", () => { at("q").value = text; trying(search); });
    return button;
  }));
  drawGuide();
  drawFound();
  at("for-you-title").textContent = seen.length ? t("for_you") : t("popular");
  at("for-you").replaceChildren(...forYou.map((item) => card(item, seen.length ? item.reason?.sentence ?? "" : "")));
  at("examples").hidden = Boolean(found || guided);
  hold(held);
}

/** What has the focus and is drawn anew: a card, or an answer to tap. */
function holder() {
  const list = document.activeElement?.closest("#found, #for-you, #guide");
  return list && { list: list.id, id: document.activeElement.dataset.id };
}

/** Give the focus back, so that the Tab key goes on from there. */
function hold(held) {
  if (!held || document.activeElement !== document.body) return;
  if (held.list !== "guide") {
    const same = document.querySelector(`#${held.list} button[data-id="${CSS.escape(held.id)}"]`);
    (same ?? at(`${held.list}-title`)).focus({ preventScroll: Boolean(same) });
  } else (guided ? at("question") : at("help")).focus();
}

/** Ask anew in the language that is spoken now. */
async function again() {
  await recommend();
  if (guided) await choose();
  else if (asked) await search();
  draw();
}

at("search").addEventListener("submit", (event) => { event.preventDefault(); trying(search); });
at("help").addEventListener("click", () => trying(async () => {
  if (guided) { leaveGuide(); draw(); } else { asked = at("q").value.trim() || null; await choose(); }
}));
at("back").addEventListener("click", () => trying(() => { answers.pop(); return choose(); }));
at("end").addEventListener("click", () => { leaveGuide(); draw(); });
at("forget").addEventListener("click", () => trying(async () => { seen = []; await again(); }));
languageButton(at("language"), () => about && trying(again));
await trying(async () => {
  about = await get(`/v1/search/${encodeURIComponent(name)}`);
  await again();
});
