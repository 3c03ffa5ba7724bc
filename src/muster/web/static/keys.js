// The keys of a page; single letters never act while somebody writes, and can be turned off.
// @ts-check

const OFF = "muster-single-keys-off";
/** @type {{act: (b: HTMLElement) => void, arm: (b: HTMLElement) => void, openDialog: (id: string) => void, showTab: (name: string) => void}} */
let doing;
let going = 0;

/** Whether a person is writing, or in the terminal. @param {EventTarget | null} target */
function writes(target) {
  return target instanceof Element && Boolean(target.closest("input, textarea, select, [contenteditable], .term"));
}

/** @returns {HTMLElement[]} */
function cards() {
  return [.../** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll(".ask, .card, .row, .it"))];
}

/** @param {number} step */
function move(step) {
  const all = cards();
  if (!all.length) return;
  const at = all.findIndex((card) => card === document.activeElement || card.contains(document.activeElement));
  const next = all[at < 0 ? 0 : Math.max(0, Math.min(all.length - 1, at + step))];
  next.focus();
  next.scrollIntoView({ block: "nearest" });
}

/** The decision that a key is about: the focused one, or the only one that is open on the page. */
function decision() {
  const focused = document.activeElement?.closest("[data-decision]");
  if (focused) return focused;
  const board = document.body.dataset.page === "fleet";
  return board ? null : document.querySelector("[data-decision]");
}

/** @param {string} key */
function decide(key) {
  const button = /** @type {HTMLElement | null | undefined} */ (decision()?.querySelector(`[data-key="${key}"]`));
  if (!button) return;
  // A key never ends anything by itself: it opens the question, Enter or a press answers it.
  if (button.dataset.sure) {
    if (!button.dataset.armed) doing.arm(button);
  } else doing.act(button);
}

/** @param {string} id */
function press(id) {
  document.getElementById(id)?.click();
}

/** @type {Record<string, () => void>} */
const KEYS = {
  c: () => doing.openDialog("new"),
  "?": () => doing.openDialog("keys"),
  "/": () => document.getElementById("filter")?.focus(),
  j: () => move(1),
  k: () => move(-1),
  a: () => decide("A"),
  d: () => decide("D"),
  n: () => press("next-decision"),
  p: () => press("previous-decision"),
  t: () => {
    doing.showTab("terminal");
    document.getElementById("term")?.focus();
  },
  T: () => /** @type {HTMLElement | null} */ (document.querySelector('.rail [data-act="theme"]'))?.click(),
  g: () => {
    going = Date.now();
  },
};
/** @type {Record<string, string>} */
const PLACES = { f: "/", i: "/inbox" };

/** @param {KeyboardEvent} event */
function escape(event) {
  const active = document.activeElement;
  if (document.querySelector("dialog[open]")) return;
  const menu = document.querySelector("details.menu[open]");
  if (menu) menu.removeAttribute("open");
  else if (writes(active) && active instanceof HTMLElement) active.blur();
  else if (document.body.dataset.page !== "fleet") location.assign(document.querySelector(".nav a")?.getAttribute("href") ?? "/");
  else if (active instanceof HTMLElement) active.blur();
  event.preventDefault();
}

/** @param {KeyboardEvent} event */
function pressed(event) {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && event.target instanceof HTMLTextAreaElement) {
    event.target.form?.requestSubmit();
    return;
  }
  if (event.key === "Escape") {
    escape(event);
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey || writes(event.target)) return;
  if (document.querySelector("dialog[open]") || localStorage.getItem(OFF)) return;
  if (event.key === "Enter") {
    open(event);
    return;
  }
  const place = PLACES[event.key];
  if (place && Date.now() - going < 1200) {
    location.assign(place);
    return;
  }
  const run = KEYS[event.key];
  if (run) {
    event.preventDefault();
    run();
  }
}

/** @param {KeyboardEvent} event */
function open(event) {
  if (!(event.target instanceof HTMLElement) || !event.target.matches(".card, .ask")) return;
  event.target.querySelector(/** @type {"a"} */ ("a[data-go]"))?.click();
}

/** @param {typeof doing} given */
export function startKeys(given) {
  doing = given;
  document.addEventListener("keydown", pressed);
  const box = /** @type {HTMLInputElement | null} */ (document.getElementById("single-keys"));
  if (!box) return;
  box.checked = !localStorage.getItem(OFF);
  box.addEventListener("change", () => {
    if (box.checked) localStorage.removeItem(OFF);
    else localStorage.setItem(OFF, "1");
  });
}
