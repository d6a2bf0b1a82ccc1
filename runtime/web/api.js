// Calls to the server: one fetch that knows the access token and turns refusals into sentences.

import { t } from "./i18n.js";

const KEY = "aisle-token";

/** A refusal of the server, with its sentence. */
export class Refusal extends Error {
  constructor(status, sentence) {
    super(sentence);
    this.status = status;
  }
}

/** fetch() with the token; asks for it when the server wants one. Throws Refusal with the server's own sentence. */
export async function call(path, options = {}) {
  for (let wrong = false; ; wrong = true) {
    const token = sessionStorage.getItem(KEY);
    const headers = { ...options.headers, ...(token ? { Authorization: `Bearer ${token}` } : {}) };
    let reply;
    try {
      reply = await fetch(path, { cache: "no-store", ...options, headers });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Refusal(0, t("unreachable"));
    }
    if (reply.status === 401) {
      sessionStorage.setItem(KEY, await askToken(wrong && Boolean(token)));
      continue;
    }
    if (!reply.ok) throw new Refusal(reply.status, await sentence(reply));
    return reply;
  }
}

/** GET of JSON. */
export const get = async (path) => (await call(path)).json();

/** Each line of an NDJSON reply, parsed. */
export async function* lines(reply) {
  const reader = reply.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
    const whole = (rest + piece.value).split("\n");
    rest = whole.pop();
    for (const line of whole) if (line) yield JSON.parse(line);
  }
}

async function sentence(reply) {
  const text = await reply.text();
  try {
    return JSON.parse(text).error ?? text;
  } catch {
    return text || `HTTP ${reply.status}`;
  }
}

let asking = null;    // one dialog, however many calls wait for it

function askToken(wrong) {
  asking ??= openDialog(wrong).finally(() => { asking = null; });
  return asking;
}

function openDialog(wrong) {
  const dialog = document.createElement("dialog");
  const form = document.createElement("form");
  const label = document.createElement("label");
  const input = document.createElement("input");
  const button = document.createElement("button");
  form.method = "dialog";
  label.textContent = t(wrong ? "token_wrong" : "token");
  Object.assign(input, { type: "password", required: true, autocomplete: "off", id: "token" });
  label.htmlFor = "token";
  Object.assign(button, { textContent: t("ok"), className: "main" });
  form.append(label, input, button);
  dialog.append(form);
  document.body.append(dialog);
  dialog.addEventListener("cancel", (event) => event.preventDefault());
  dialog.showModal();
  return new Promise((resolve) => form.addEventListener("submit", (event) => {
    event.preventDefault();    // the policy allows no form action, not even this one
    dialog.remove();
    resolve(input.value.trim());
  }));
}
