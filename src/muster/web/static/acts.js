// What a person can do on a page: buttons, dialogs, tabs; each act is one request to the API.
// @ts-check
import { startKeys } from "./keys.js";

const csrf = document.querySelector('meta[name="csrf"]')?.getAttribute("content") ?? "";
const ARMED = 4000;
/** @type {{readdress: () => void, terminal: () => import("./terminal.js").Terminal | null}} */
let page;

/** @param {string} method @param {string} path @param {object} [body] @param {string} [key] */
async function call(method, path, body, key) {
  /** @type {Record<string, string>} */
  const headers = { "Content-Type": "application/json", "X-CSRF-Token": csrf, Accept: "application/json" };
  if (key) headers["Idempotency-Key"] = key;
  let answer;
  try {
    answer = await fetch(`/api${path}`, { method, headers, body: JSON.stringify(body ?? {}) });
  } catch {
    throw new Error("The server did not answer; nothing was changed.");
  }
  const told = await answer.json().catch(() => ({}));
  if (answer.ok) return told;
  const words = [told.detail ?? `The server answered ${answer.status}`, told.hint].filter(Boolean);
  throw Object.assign(new Error(words.map(sentence).join(" ")), { status: answer.status });
}

/** @param {string} words */
function sentence(words) {
  const text = words.charAt(0).toUpperCase() + words.slice(1);
  return /[.!?]$/.test(text) ? text : `${text}.`;
}

/** Show a message for a while. @param {string} words @param {{bad?: boolean, href?: string, link?: string}} [more] */
export function toast(words, more = {}) {
  const box = document.createElement("div");
  box.className = more.bad ? "toast bad" : "toast";
  box.setAttribute("role", more.bad ? "alert" : "status");
  const text = document.createElement("span");
  text.textContent = words;
  box.append(text);
  if (more.href) {
    const link = document.createElement("a");
    link.href = more.href;
    link.textContent = more.link ?? "Open";
    box.append(link);
  }
  document.getElementById("toasts")?.append(box);
  setTimeout(() => box.remove(), more.bad ? 9000 : 5000);
}

/** A key that stays the same when the same thing is sent again. */
function fresh() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((n) => n.toString(16).padStart(2, "0")).join("");
}

// --- asking twice -----------------------------------------------------------------------------------

/** The first press asks, the second one acts. @param {HTMLElement} button @returns {boolean} */
function isSure(button) {
  if (!button.dataset.sure || button.dataset.armed) {
    disarm(button);
    return true;
  }
  arm(button);
  return false;
}

/** @param {HTMLElement} button */
export function arm(button) {
  const word = button.querySelector("span") ?? button;
  button.dataset.armed = word.textContent ?? "";
  word.textContent = button.dataset.sure ?? "Sure?";
  button.classList.add("sure");
  button.focus();
  setTimeout(() => disarm(button), ARMED);
}

/** @param {HTMLElement} button */
function disarm(button) {
  if (!button.dataset.armed) return;
  const word = button.querySelector("span") ?? button;
  word.textContent = button.dataset.armed;
  delete button.dataset.armed;
  button.classList.remove("sure");
}

// --- acts -------------------------------------------------------------------------------------------

const SAID = {
  merge: "Merging",
  retry: "Another attempt starts",
  fail: "Marked as failed",
  cancel: "Cancelled",
  approve: "Started",
  close: "Closed without a merge",
  allow: "Allowed",
  allow_session: "Allowed until the program ends",
  edit: "Allowed as changed",
  deny: "Denied",
};

/** @type {Record<string, (button: HTMLElement) => Promise<void> | void>} */
const ACTS = {
  async resolve(button) {
    if (!isSure(button)) return;
    const { ask = "", answer = "" } = button.dataset;
    const decision = button.closest("[data-decision]");
    const field = answer === "edit" ? "inputs" : "note";
    const written = /** @type {HTMLTextAreaElement | null | undefined} */ (decision?.querySelector(`textarea[name=${field}]`));
    const note = written?.value.trim() ?? "";
    await busy(button, () => call("POST", `/breakpoints/${encodeURIComponent(ask)}/resolve`, { answer, note }));
    toast(SAID[/** @type {keyof typeof SAID} */ (answer)] ?? "Answered");
  },
  async task(button) {
    if (!isSure(button)) return;
    const { task = "", do: what = "" } = button.dataset;
    await busy(button, () => call("POST", `/tasks/${encodeURIComponent(task)}/${what}`));
    toast({ cancel: "Stopping; the branch is kept", retry: "Another attempt is queued", approve: "Started" }[what] ?? "Done");
  },
  async restore(button) {
    if (!isSure(button)) return;
    const { task = "", n = "" } = button.dataset;
    await busy(button, () => call("POST", `/tasks/${encodeURIComponent(task)}/checkpoints/${n}/restore`));
    toast(`The branch is back at checkpoint ${n}`);
  },
  async pause(button) {
    const paused = button.dataset.paused !== "true";
    await busy(button, () => call("POST", "/queue/settings", { paused }));
    toast(paused ? "Paused: nothing new starts, what runs goes on" : "Resumed");
  },
  async autonomy(button) {
    const { project = "", level = "" } = button.dataset;
    await busy(button, () => call("PATCH", `/projects/${encodeURIComponent(project)}`, { settings: { autonomy: level } }));
    for (const other of button.parentElement?.children ?? []) {
      other.setAttribute("aria-pressed", String(other === button));
    }
    toast(`Autonomy is now ${level}`);
  },
  theme() {
    const root = document.documentElement;
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    document.cookie = `muster_theme=${root.dataset.theme}; path=/; max-age=31536000; samesite=lax`;
  },
  follow() {
    page.terminal()?.follow(true);
    page.terminal()?.toEnd();
  },
  earlier() {
    return page.terminal()?.earlier();
  },
  "last-error"() {
    if (!page.terminal()?.lastError()) toast("No line of this output speaks of an error");
  },
};

/** @template T @param {HTMLElement} button @param {() => Promise<T>} work */
async function busy(button, work) {
  button.classList.add("busy");
  try {
    return await work();
  } finally {
    button.classList.remove("busy");
  }
}

/** Run an act by its name. @param {HTMLElement} button */
export async function act(button) {
  const run = ACTS[button.dataset.act ?? ""];
  if (!run || (document.body.classList.contains("away") && button.dataset.act !== "theme")) return;
  try {
    await run(button);
  } catch (error) {
    const status = /** @type {any} */ (error).status;
    const lead = button.dataset.act === "resolve" && status === 409 ? "Decided already. " : "";
    toast(lead + /** @type {Error} */ (error).message, { bad: true });
  }
}

/** @param {HTMLFormElement} form */
async function create(form) {
  const given = Object.fromEntries(new FormData(form));
  /** @type {Record<string, any>} */
  const body = {};
  for (const [name, value] of Object.entries(given)) {
    const text = String(value).trim();
    if (text && name !== "after") body[name] = text;
  }
  const after = String(given.after ?? "").split(/[\s,]+/).filter(Boolean);
  if (after.length) body.after = after;
  const fault = /** @type {HTMLElement} */ (form.querySelector(".fault"));
  const button = /** @type {HTMLElement} */ (form.querySelector("[type=submit]"));
  fault.hidden = true;
  form.dataset.key ||= fresh();
  try {
    const task = await busy(button, () => call("POST", "/tasks", body, form.dataset.key));
    delete form.dataset.key;
    form.reset();
    form.closest("dialog")?.close();
    toast(`${task.label} was created.`, { href: `/tasks/${task.id}`, link: "Open it" });
  } catch (error) {
    delete form.dataset.key;
    fault.textContent = /** @type {Error} */ (error).message;
    fault.hidden = false;
  }
}

/** Say something to the agent at work; what could not be sent stays in the field. @param {HTMLFormElement} form */
async function tell(form) {
  const field = /** @type {HTMLTextAreaElement} */ (form.querySelector("textarea"));
  const button = /** @type {HTMLElement} */ (form.querySelector("[type=submit]"));
  const text = field.value.trim();
  if (!text || button.classList.contains("busy") || document.body.classList.contains("away")) return;
  if (form.dataset.word !== text) Object.assign(form.dataset, { word: text, key: fresh() });
  try {
    const agent = encodeURIComponent(form.dataset.agent ?? "");
    await busy(button, () => call("POST", `/agents/${agent}/send`, { text }, form.dataset.key));
    if (field.value.trim() === text) field.value = "";
    toast("Told; the agent hears it in this turn or the next");
  } catch (error) {
    toast(/** @type {Error} */ (error).message, { bad: true });
    // Without an answer it may have been taken: the same word goes under the same key again.
    if (!(/** @type {any} */ (error).status)) return;
  }
  delete form.dataset.word;
}

// --- tabs and the filter ----------------------------------------------------------------------------

/** @param {string} name */
export function showTab(name) {
  const tab = document.getElementById(`tab-${name}`);
  if (!tab) return;
  for (const other of document.querySelectorAll("[role=tab]")) {
    const on = other === tab;
    other.setAttribute("aria-selected", String(on));
    if (on) other.removeAttribute("tabindex");
    else other.setAttribute("tabindex", "-1");
    const panel = document.getElementById(other.getAttribute("aria-controls") ?? "");
    if (panel) panel.hidden = !on;
  }
  const url = new URL(location.href);
  url.searchParams.set("tab", name);
  history.replaceState(null, "", url);
  if (name === "terminal" && page.terminal()?.following) page.terminal()?.toEnd();
}

/** @param {KeyboardEvent} event */
function arrows(event) {
  const tabs = /** @type {HTMLElement[]} */ ([...document.querySelectorAll("[role=tab]")]);
  const at = tabs.indexOf(/** @type {HTMLElement} */ (event.target));
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (at < 0 || !step) return;
  const next = tabs[(at + step + tabs.length) % tabs.length];
  showTab(next.id.replace("tab-", ""));
  next.focus();
}

let typing = 0;
/** @param {HTMLInputElement} field */
function filter(field) {
  clearTimeout(typing);
  typing = setTimeout(() => {
    const url = new URL(location.href);
    if (field.value.trim()) url.searchParams.set("q", field.value.trim());
    else url.searchParams.delete("q");
    history.replaceState(null, "", url);
    page.readdress();
  }, 180);
}

// --- listening --------------------------------------------------------------------------------------

/** @param {MouseEvent} event */
function clicked(event) {
  const target = /** @type {Element} */ (event.target);
  const tab = /** @type {HTMLElement | null} */ (target.closest("[role=tab], [data-tab]"));
  const plain = !event.metaKey && !event.ctrlKey && !event.shiftKey;
  if (tab && plain) {
    event.preventDefault();
    showTab(tab.dataset.tab ?? tab.id.replace("tab-", ""));
    return;
  }
  const opener = /** @type {HTMLElement | null} */ (target.closest("[data-open]"));
  if (opener) openDialog(opener.dataset.open ?? "");
  if (target.closest("[data-close]")) target.closest("dialog")?.close();
  const example = /** @type {HTMLElement | null} */ (target.closest("[data-example]"));
  if (example) useExample(example.dataset.example ?? "");
  const button = /** @type {HTMLElement | null} */ (target.closest("button[data-act]"));
  if (button) act(button);
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(target)) menu.removeAttribute("open");
  }
}

/** @param {string} id */
export function openDialog(id) {
  const dialog = /** @type {HTMLDialogElement | null} */ (document.getElementById(id));
  if (dialog && !dialog.open) dialog.showModal();
}

/** @param {string} words */
function useExample(words) {
  const field = document.querySelector(".ask-first textarea");
  if (!(field instanceof HTMLTextAreaElement)) return;
  field.value = words;
  field.focus();
}

/** @param {typeof page} given */
export function start(given) {
  page = given;
  document.addEventListener("click", clicked);
  document.addEventListener("submit", (event) => {
    const form = /** @type {HTMLFormElement} */ (event.target);
    if (form.dataset.act === "create") {
      event.preventDefault();
      create(form);
    } else if (form.dataset.act === "tell") {
      event.preventDefault();
      tell(form);
    } else if (form.matches(".search")) event.preventDefault();
  });
  document.addEventListener("input", (event) => {
    if (event.target instanceof HTMLInputElement && event.target.id === "filter") filter(event.target);
  });
  document.addEventListener("keydown", (event) => {
    const form = event.target instanceof HTMLTextAreaElement && event.target.closest("form.steer");
    if (!form || event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    /** @type {HTMLFormElement} */ (form).requestSubmit();
  });
  document.querySelector("[role=tablist]")?.addEventListener("keydown", (event) => {
    arrows(/** @type {KeyboardEvent} */ (event));
  });
  startKeys({ act, arm, openDialog, showTab });
}
