// Lines of a structured channel as the words in them; every other line stays as it is.
// @ts-check
// `transcript.py` does the same for the first lines; both are tested with the same cases.

const [DIM, GREEN, RED, BLUE, PURPLE, END] = ["2", "32", "31", "34", "35", "0"].map((n) => `\x1b[${n}m`);
const RESULT_LINES = 6;
const TELLING = ["command", "file_path", "notebook_path", "pattern", "url", "query", "path", "description", "prompt", "skill"];
const UNSEEN =
  /\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b\n]*(?:\x07|\x1b\\)?|\x1b[ -/]*[0-~]?|[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]/g;

/** @param {any} text */
const visible = (text) => String(text ?? "").replaceAll("\r\n", "\n").replace(UNSEEN, "");
/** @param {any} text */
const plain = (text) => visible(text).split(/\s+/).filter(Boolean).join(" ");
/** @param {string} text @param {number} longest */
const clip = (text, longest) => {
  const letters = [...text];
  return letters.length <= longest ? text : `${letters.slice(0, longest - 1).join("")}…`;
};
/** @param {string} text @param {string} first @param {string} rest */
const indented = (text, first, rest) => `${first}${visible(text).trim().split("\n").join(`\n${rest}`)}\n`;
/** @param {any} value */
const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);

/** @param {any} event @returns {any[]} */
function blocks(event) {
  const content = isObject(event.message) ? event.message.content : null;
  if (typeof content === "string") return [{ type: "text", text: content }];
  return Array.isArray(content) ? content.filter(isObject) : [];
}

/** @param {any} block */
function said(block) {
  if (block.type === "text" && typeof block.text === "string" && block.text.trim()) {
    return indented(block.text, `${PURPLE}●${END} `, "  ");
  }
  if (block.type === "thinking" && typeof block.thinking === "string") {
    return `${DIM}  ${clip(plain(block.thinking), 240)}${END}\n`;
  }
  return block.type === "tool_use" ? tool(block) : "";
}

/** @param {any} block */
function tool(block) {
  const given = isObject(block.input) ? block.input : {};
  const told = given[TELLING.find((name) => typeof given[name] === "string") ?? ""] ?? "";
  if (typeof given.command === "string") return indented(clip(told, 2000), `${GREEN}$${END} `, "  ");
  return `${BLUE}${plain(block.name)}${END} ${clip(plain(told), 240)}\n`;
}

/** @param {any} block */
function returned(block) {
  let content = block.content;
  if (Array.isArray(content)) {
    content = content.filter(isObject).map((b) => b.text).filter((t) => typeof t === "string").join("\n");
  }
  const all = typeof content === "string" ? visible(content).trim().split("\n") : [];
  const lines = all.filter((line) => line.trim()).map((line) => clip(line, 400));
  const colour = block.is_error === true ? RED : DIM;
  const told = lines.slice(0, RESULT_LINES).map((line) => `${colour}  ${line}${END}\n`).join("");
  const more = lines.length - RESULT_LINES;
  return told + (more > 0 ? `${DIM}  … ${more} more lines${END}\n` : "");
}

/** @type {Record<string, (event: any) => string>} */
const KINDS = {
  system: (event) => (event.subtype === "init" ? `${DIM}session begun · ${plain(event.model)}${END}\n` : ""),
  assistant: (event) => blocks(event).map(said).join(""),
  user: (event) => blocks(event).filter((b) => b.type === "tool_result").map(returned).join(""),
  result: (event) => {
    const text = typeof event.result === "string" && event.result.trim() ? event.result : "ended";
    return indented(text, event.is_error === true ? `${RED}✗${END} ` : `${GREEN}✓${END} `, "  ");
  },
  rate_limit_event: () => "",
  stream_event: () => "",
};

/** What one line of the dialect says; null for any other line. @param {string} line */
function words(line) {
  let event;
  try {
    event = JSON.parse(line);
  } catch {
    return null;
  }
  if (!isObject(event) || typeof event.type !== "string" || !Object.hasOwn(KINDS, event.type)) return null;
  return KINDS[event.type](event);
}

/** Holds back an unfinished line that may yet become an object. */
export class Transcript {
  constructor() {
    this.held = "";
    this.inside = false; // whether the present line is one that was shown already in part
  }

  /** @param {string} text @returns {string} */
  feed(text) {
    const lines = (this.held + text).split("\n");
    const rest = lines.pop() ?? "";
    let told = "";
    for (const line of lines) {
      const say = !this.inside && line.startsWith("{") ? words(line) : null;
      told += say ?? `${line}\n`;
      this.inside = false;
    }
    const holds = !this.inside && rest.startsWith("{");
    this.held = holds ? rest : "";
    if (!holds && rest) this.inside = true;
    return holds ? told : told + rest;
  }
}
