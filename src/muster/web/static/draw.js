// Brings the page to what the server says, and leaves alone what a person is doing on it.
// @ts-check

const still = matchMedia("(prefers-reduced-motion: reduce)");
const parser = document.createElement("template");

/** What is on the screen: the digest of every part, and the order of every list. */
export function have() {
  /** @type {Record<string, string>} */
  const digests = {};
  for (const part of document.querySelectorAll("[data-h]")) {
    digests[part.id] = /** @type {HTMLElement} */ (part).dataset.h ?? "";
  }
  /** @type {Record<string, string[]>} */
  const lists = {};
  for (const list of document.querySelectorAll("[data-list]")) {
    lists[list.id] = [...list.children].map((child) => child.id);
  }
  return { have: digests, lists };
}

/** @param {string} html */
function parse(html) {
  parser.innerHTML = html;
  return parser.content.firstElementChild;
}

/** Apply the operations of one frame. @param {any[][]} ops */
export function apply(ops) {
  const glide = still.matches || document.hidden ? () => {} : watchMoves(ops);
  const waited = waiting();
  for (const [kind, id, ...rest] of ops) {
    if (kind === "card") card(id, rest[0], rest[1]);
    else if (kind === "html") replace(id, rest[0]);
    else if (kind === "order") order(id, rest[0]);
    else if (kind === "del") document.getElementById(id)?.remove();
    else if (kind === "text") text(id, rest[0]);
    else if (kind === "reload") location.reload();
  }
  glide();
  announce(waited);
}

/** @param {string} id @param {string} list @param {string} html */
function card(id, list, html) {
  const fresh = parse(html);
  const place = document.getElementById(list);
  if (!fresh || !place) return;
  const old = document.getElementById(id);
  if (old && old.nodeName === fresh.nodeName) {
    morph(old, fresh);
    if (old.parentElement !== place) place.append(old);
  } else {
    old?.remove();
    fresh.classList.add("fresh");
    place.append(fresh);
  }
}

/** @param {string} id @param {string} html */
function replace(id, html) {
  const old = document.getElementById(id);
  const fresh = parse(html);
  if (old && fresh) morph(old, fresh);
}

/** @param {string} list @param {string[]} ids */
function order(list, ids) {
  const place = document.getElementById(list);
  if (!place) return;
  let at = place.firstElementChild;
  for (const id of ids) {
    const item = document.getElementById(id);
    if (!item) continue;
    if (item === at) at = at.nextElementSibling;
    else moveBefore(place, item, at);
  }
}

/** Move without losing focus. @param {Element} place @param {HTMLElement} item @param {Element | null} at */
function moveBefore(place, item, at) {
  const focused = item.contains(document.activeElement) ? document.activeElement : null;
  place.insertBefore(item, at);
  if (focused instanceof HTMLElement) focused.focus({ preventScroll: true });
}

/** @param {string} id @param {string} words */
function text(id, words) {
  if (id === "title") document.title = `${words} · Muster`;
  else {
    const place = document.getElementById(id);
    if (place) place.textContent = words;
  }
}

// --- keeping what a person does --------------------------------------------------------------------

const KEPT = new Set(["open", "aria-selected", "aria-pressed", "tabindex", "hidden"]);

/** @param {Element} from @param {Element} to */
function attributes(from, to) {
  const keeps = from.matches("details, #follow, [role=tab], [role=tabpanel]");
  for (const { name } of [...from.attributes]) {
    if (!to.hasAttribute(name) && !(keeps && KEPT.has(name))) from.removeAttribute(name);
  }
  for (const { name, value } of to.attributes) {
    if (keeps && KEPT.has(name)) continue;
    if (from.getAttribute(name) !== value) from.setAttribute(name, value);
  }
}

/** @param {Node} a @param {Node} b */
function alike(a, b) {
  return a.nodeName === b.nodeName && /** @type {any} */ (a).id === /** @type {any} */ (b).id;
}

/** Make `from` equal to `to` with as few changes as there are differences.
 * @param {Node} from @param {Node} to */
export function morph(from, to) {
  if (!alike(from, to)) {
    /** @type {ChildNode} */ (from).replaceWith(to);
    return;
  }
  if (!(from instanceof Element) || !(to instanceof Element)) {
    if (from.nodeValue !== to.nodeValue) from.nodeValue = to.nodeValue;
    return;
  }
  // A button that asks "sure?" and a field somebody writes in stay as they are.
  if (from.hasAttribute("data-armed")) return;
  if (from instanceof HTMLTextAreaElement || from instanceof HTMLInputElement) return;
  attributes(from, to);
  children(from, to);
}

/** @param {Element} from @param {Element} to */
function children(from, to) {
  const known = new Map();
  for (const child of from.children) if (child.id) known.set(child.id, child);
  let at = from.firstChild;
  for (const child of [...to.childNodes]) {
    const id = child instanceof Element ? child.id : "";
    const match = id ? known.get(id) : at && alike(at, child) ? at : null;
    if (!match) {
      from.insertBefore(child, at);
    } else if (match === at) {
      at = at.nextSibling;
      morph(match, child);
    } else {
      from.insertBefore(match, at);
      morph(match, child);
    }
  }
  while (at) {
    const gone = at;
    at = at.nextSibling;
    gone.remove();
  }
}

// --- showing what moved ----------------------------------------------------------------------------

/** Remember where cards stand; the function that is returned lets those that moved glide.
 * @param {any[][]} ops */
function watchMoves(ops) {
  if (!ops.some(([kind]) => kind === "order" || kind === "card" || kind === "del")) return () => {};
  const cards = /** @type {HTMLElement[]} */ ([...document.querySelectorAll(".card")]);
  if (cards.length > 120) return () => {};
  const before = new Map(cards.map((item) => [item, item.getBoundingClientRect()]));
  return () => {
    for (const [item, old] of before) {
      if (!item.isConnected) continue;
      const now = item.getBoundingClientRect();
      const x = old.left - now.left;
      const y = old.top - now.top;
      if (!x && !y) continue;
      item.animate([{ transform: `translate(${x}px, ${y}px)` }, { transform: "none" }], {
        duration: 160,
        easing: "cubic-bezier(.2,.8,.2,1)",
      });
    }
  };
}

/** How many decisions wait. */
function waiting() {
  return Number(document.getElementById("count-rail")?.dataset.waiting ?? 0);
}

/** Show in the tab's sign that somebody waits, and say it once. @param {number} before */
function announce(before) {
  const count = waiting();
  const icon = /** @type {HTMLLinkElement | null} */ (document.getElementById("favicon"));
  const sign = count ? icon?.dataset.you : icon?.dataset.calm;
  if (icon && sign && icon.getAttribute("href") !== sign) icon.href = sign;
  document.getElementById("mark")?.classList.toggle("waits", count > 0);
  const said = document.getElementById("said");
  if (said && count !== before) {
    said.textContent = count ? `${count} ${count === 1 ? "decision waits" : "decisions wait"}` : "Nothing waits for you";
  }
}
