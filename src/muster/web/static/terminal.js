// Draws an agent's output as it comes: colours stay, every other escape goes, nothing is ever HTML.
// @ts-check
// `terminal.py` does the same for the first lines; both are tested with the same cases.

import { Transcript } from "./transcript.js";

const TOKEN = new RegExp(
  [
    "\\x1b\\[(?<sgr>[0-9;:]*)m",
    "\\x1b\\[[0-?]*[ -\\/]*[@-~]",
    "\\x1b\\][^\\x07\\x1b\\n]*(?:\\x07|\\x1b\\\\|$)",
    "\\x1b[PX^_][^\\x1b\\n]*(?:\\x1b\\\\|$)",
    "\\x1b[ -\\/]*[0-~]?",
    "(?<lf>\\r*\\n)|(?<home>\\r)|(?<back>\\x08)",
    "[\\x00-\\x07\\x0b-\\x1f\\x7f-\\x9f]",
    "(?<reorder>[\\u202a-\\u202e\\u2066-\\u2069])",
  ].join("|"),
  "g",
);
const UNFINISHED = /\x1b(?:\[[0-?]*[ -/]*|[\]PX^_][^\x07\x1b\n]{0,2000}|[ -/]*)?$/;
const MOST_LINES = 10000;
const BLOCK = 200;
const EARLIER = 262144;
const TROUBLE = /\b(error|errors|failed|failure|traceback|exception|fatal|panic)\b/i;

/** @typedef {{fg: number|null, bg: number|null, bold: boolean, dim: boolean, italic: boolean, underline: boolean, inverse: boolean}} Style */
/** @type {Style} */
const PLAIN = { fg: null, bg: null, bold: false, dim: false, italic: false, underline: false, inverse: false };

/** @param {Style} style */
export function classes(style) {
  return [
    style.fg !== null && `f${style.fg}`,
    style.bg !== null && `k${style.bg}`,
    style.bold && "tb",
    style.dim && "td",
    style.italic && "ti",
    style.underline && "tu",
    style.inverse && "tv",
  ]
    .filter(Boolean)
    .join(" ");
}

/** The one of the 16 colours that stands for any other. @param {number} r @param {number} g @param {number} b */
function nearest(r, g, b) {
  const low = Math.min(r, g, b);
  const high = Math.max(r, g, b);
  if (high - low < 40) return high < 150 ? 8 : high < 230 ? null : 15;
  const half = (low + high) / 2;
  return Number(r > half) + 2 * Number(g > half) + 4 * Number(b > half) + (high > 200 ? 8 : 0);
}

/** @param {number} index */
function of256(index) {
  if (index < 16) return index;
  if (index > 231) {
    const grey = 8 + 10 * (index - 232);
    return nearest(grey, grey, grey);
  }
  const levels = [0, 95, 135, 175, 215, 255];
  const cube = index - 16;
  return nearest(levels[Math.floor(cube / 36)], levels[Math.floor(cube / 6) % 6], levels[cube % 6]);
}

/** @type {Record<number, keyof Style>} */
const FLAGS = { 1: "bold", 2: "dim", 3: "italic", 4: "underline", 7: "inverse" };
/** @type {Record<number, keyof Style>} */
const OFF = { 23: "italic", 24: "underline", 27: "inverse" };
/** @type {[number, "fg" | "bg", number][]} */
const RANGES = [[30, "fg", 0], [40, "bg", 0], [90, "fg", 8], [100, "bg", 8]];

/** @param {Style} style @param {number} code @returns {Style} */
function simple(style, code) {
  if (code in FLAGS) return { ...style, [FLAGS[code]]: true };
  if (code in OFF) return { ...style, [OFF[code]]: false };
  if (code === 22) return { ...style, bold: false, dim: false };
  for (const [start, name, base] of RANGES) {
    if (code >= start && code < start + 8) return { ...style, [name]: code - start + base };
  }
  if (code === 39) return { ...style, fg: null };
  if (code === 49) return { ...style, bg: null };
  return style;
}

/** @param {number[]} codes */
function colour(codes) {
  const kind = codes.shift() ?? 0;
  if (kind === 5) return of256(Math.min(codes.shift() ?? 0, 255));
  if (kind === 2) return nearest(codes.shift() ?? 0, codes.shift() ?? 0, codes.shift() ?? 0);
  return null;
}

/** @param {Style} style @param {string} parameters @returns {Style} */
function styled(style, parameters) {
  const codes = parameters.split(/[;:]/).map((p) => Number(p.slice(0, 6) || 0));
  let now = style;
  while (codes.length) {
    const code = codes.shift() ?? 0;
    if (code === 0) now = PLAIN;
    else if (code === 38 || code === 48) now = { ...now, [code === 38 ? "fg" : "bg"]: colour(codes) };
    else now = simple(now, code);
  }
  return now;
}

/** Turns text into lines; a return to the line's start lets what follows replace the line. */
export class Screen {
  constructor() {
    /** @type {Style} */
    this.style = PLAIN;
    /** @type {[Style, string][]} */
    this.parts = [];
    this.home = false;
    this.kept = "";
  }

  /** The lines that `text` completes. @param {string} text @returns {[Style, string][][]} */
  feed(text) {
    let all = this.kept + text;
    // An escape that is cut in the middle waits for its other half.
    const cut = UNFINISHED.exec(all.slice(-2100));
    const from = cut ? all.length - cut[0].length : all.length;
    this.kept = all.slice(from);
    all = all.slice(0, from);
    const lines = [];
    let end = 0;
    for (const found of all.matchAll(TOKEN)) {
      this.write(all.slice(end, found.index));
      end = (found.index ?? 0) + found[0].length;
      const groups = found.groups ?? {};
      if (groups.lf !== undefined) {
        lines.push(this.parts);
        this.parts = [];
        this.home = false;
      } else if (groups.sgr !== undefined) this.style = styled(this.style, groups.sgr);
      else if (groups.home !== undefined) this.home = true;
      else if (groups.back !== undefined) this.erase();
      else if (groups.reorder !== undefined) this.write("\ufffd");
    }
    this.write(all.slice(end));
    return lines;
  }

  /** @param {string} text */
  write(text) {
    if (!text) return;
    if (this.home) {
      this.parts = [];
      this.home = false;
    }
    this.parts.push([this.style, text]);
  }

  erase() {
    const last = this.parts.pop();
    if (last && last[1].length > 1) this.parts.push([last[0], last[1].slice(0, -1)]);
  }
}

/** One line as an element. @param {[Style, string][]} parts */
export function line(parts) {
  const div = document.createElement("div");
  for (const [style, text] of parts) {
    const names = classes(style);
    if (!names) div.append(text);
    else {
      const span = document.createElement("span");
      span.className = names;
      span.textContent = text;
      div.append(span);
    }
  }
  return div;
}

/** The view of one run's output. */
export class Terminal {
  /** @param {HTMLElement} place */
  constructor(place) {
    this.place = place;
    this.lines = /** @type {HTMLElement} */ (place.querySelector("#lines"));
    this.cursor = /** @type {HTMLElement} */ (place.querySelector("#cursor"));
    this.agent = place.dataset.agent ?? "";
    this.next = Number(place.dataset.next);
    this.start = Number(place.dataset.start);
    this.screen = new Screen();
    this.transcript = new Transcript();
    this.count = this.lines.children.length;
    /** @type {HTMLElement | null} */
    this.block = null;
    /** @type {HTMLElement | null} */
    this.open = null;
    this.following = true;
    this.takeOpenLine();
    place.addEventListener("scroll", () => this.scrolled(), { passive: true });
    this.toEnd();
  }

  /** The page may end in the middle of a line; what comes next goes on with it. */
  takeOpenLine() {
    const last = /** @type {HTMLElement | null} */ (this.lines.lastElementChild);
    if (!last || this.place.dataset.open !== "true") return;
    this.screen.parts = [[PLAIN, last.textContent ?? ""]];
    this.transcript.inside = true;
    this.open = last;
  }

  /** Show another run from its first byte. @param {string} agent */
  begin(agent) {
    this.agent = agent;
    this.next = 0;
    this.start = 0;
    this.screen = new Screen();
    this.transcript = new Transcript();
    this.lines.replaceChildren();
    this.block = this.open = null;
    this.count = 0;
    this.cursor.hidden = false;
    this.place.querySelector(".c-wait")?.remove();
    this.showEarlier();
  }

  /** @param {any} message @param {(offset: number) => void} drawn */
  hear(message, drawn) {
    if (message.log !== this.agent) return;
    if ("text" in message) {
      this.next = message.next;
      requestFrame(() => {
        this.write(message.text);
        setTimeout(() => drawn(message.next), 0);
      });
    } else if ("gap" in message) {
      this.next = message.next;
      this.note(`${(message.gap.to - message.gap.from).toLocaleString()} bytes of output are not kept`);
    } else if ("end" in message) {
      this.cursor.hidden = true;
      const { exit_code: code, why } = message.end;
      if (code !== null) this.note(`Ended with exit status ${code}${why && code ? `: ${why}` : ""}`);
    } else if ("lost" in message) {
      this.note(message.lost);
    }
  }

  /** @param {string} text */
  write(text) {
    for (const parts of this.screen.feed(this.transcript.feed(text))) {
      this.put(line(parts));
      this.open = null;
    }
    const rest = this.screen.parts;
    if (rest.length) {
      const div = line(rest);
      this.put(div);
      this.open = div;
    }
    this.trim();
    if (this.following) this.toEnd();
  }

  /** Add a line, or put it in the place of the unfinished one. @param {HTMLElement} div */
  put(div) {
    if (this.open) {
      this.open.replaceWith(div);
      this.open = null;
      return;
    }
    if (!this.block || this.block.childElementCount >= BLOCK) {
      this.block = document.createElement("div");
      this.block.className = "block";
      this.lines.append(this.block);
    }
    this.block.append(div);
    this.count += 1;
  }

  /** @param {string} words */
  note(words) {
    const div = document.createElement("div");
    div.className = "gapline";
    div.textContent = words;
    this.open = null;
    this.put(div);
    if (this.following) this.toEnd();
  }

  /** No more lines than a page can bear. */
  trim() {
    while (this.count > MOST_LINES) {
      const first = this.lines.firstElementChild;
      if (!first || first === this.block) return;
      this.count -= first.className === "block" ? first.childElementCount : 1;
      first.remove();
      this.start = -1;
    }
    this.showEarlier();
  }

  showEarlier() {
    const button = /** @type {HTMLElement} */ (this.place.querySelector("#earlier"));
    // What was drawn and let go again is in the log file; from here only the older part opens.
    button.hidden = this.start <= 0;
  }

  /** Put the output before the first line on top. */
  async earlier() {
    const from = Math.max(0, this.start - EARLIER);
    const size = this.start - from;
    const url = `/api/agents/${encodeURIComponent(this.agent)}/logs?offset=${from}&limit=${size}`;
    const answer = await fetch(url, { headers: { Accept: "application/json" } });
    if (!answer.ok) return;
    const page = await answer.json();
    const screen = new Screen();
    const transcript = new Transcript();
    const block = document.createElement("div");
    block.className = "block";
    for (const item of page.items) {
      if (item.offset >= this.start) break;
      for (const parts of screen.feed(transcript.feed(item.text))) block.append(line(parts));
    }
    if (screen.parts.length) block.append(line(screen.parts));
    const height = this.place.scrollHeight;
    this.lines.prepend(block);
    this.place.scrollTop += this.place.scrollHeight - height;
    this.start = page.items.length ? page.items[0].offset : 0;
    this.count += block.childElementCount;
    this.showEarlier();
  }

  scrolled() {
    const below = this.place.scrollHeight - this.place.scrollTop - this.place.clientHeight;
    this.follow(below < 40);
  }

  /** @param {boolean} whether */
  follow(whether) {
    this.following = whether;
    document.getElementById("follow")?.setAttribute("aria-pressed", String(whether));
  }

  toEnd() {
    this.place.scrollTop = this.place.scrollHeight;
  }

  /** Go to the last line that speaks of trouble. */
  lastError() {
    const all = [...this.lines.querySelectorAll("div:not(.block)")].reverse();
    const found = all.find((div) => div.querySelector(".f1, .f9") || TROUBLE.test(div.textContent ?? ""));
    this.lines.querySelector(".last")?.classList.remove("last");
    if (!found) return false;
    this.follow(false);
    found.classList.add("last");
    found.scrollIntoView({ block: "center" });
    return true;
  }
}

/** @param {() => void} draw */
function requestFrame(draw) {
  if (document.hidden) draw();
  else requestAnimationFrame(draw);
}
