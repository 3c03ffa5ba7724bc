// Keeps every clock on the page true: ages, running times, and times of day where the reader is.
// @ts-check

/** @param {number} seconds */
export function span(seconds) {
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min`;
  if (whole < 86400) {
    const minutes = Math.floor(whole / 60);
    const rest = minutes % 60;
    return `${Math.floor(minutes / 60)} h${rest ? ` ${String(rest).padStart(2, "0")}` : ""}`;
  }
  return `${Math.floor(whole / 86400)} d`;
}

/** @param {number} seconds */
export function clock(seconds) {
  const whole = Math.floor(seconds);
  const two = (/** @type {number} */ n) => String(n).padStart(2, "0");
  const hours = Math.floor(whole / 3600);
  const rest = `${two(Math.floor(whole / 60) % 60)}:${two(whole % 60)}`;
  return hours ? `${hours}:${rest}` : rest;
}

/** @param {HTMLTimeElement} time */
function words(time) {
  const since = Date.parse(time.dateTime);
  if (Number.isNaN(since)) return null;
  const until = time.dataset.until ? Date.parse(time.dataset.until) : Date.now();
  const seconds = Math.max(0, (until - since) / 1000);
  if ("clock" in time.dataset) return clock(seconds);
  if ("span" in time.dataset) return span(seconds);
  if ("ago" in time.dataset) return seconds < 60 ? "now" : span(seconds);
  return null;
}

const TODAY = new Intl.DateTimeFormat([], { hour: "2-digit", minute: "2-digit", hour12: false });
const OTHER = new Intl.DateTimeFormat([], { month: "short", day: "numeric" });

/** @param {HTMLTimeElement} time */
function day(time) {
  const when = new Date(time.dateTime);
  const today = when.toDateString() === new Date().toDateString();
  return (today ? TODAY : OTHER).format(when);
}

/** Set every clock. */
export function tick() {
  if (document.hidden) return;
  for (const time of document.querySelectorAll("time")) {
    const said = "day" in time.dataset ? day(time) : words(time);
    if (said !== null && time.textContent !== said) time.textContent = said;
  }
}
