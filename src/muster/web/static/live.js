// The one socket of a tab: says what the tab has, draws what differs, and says when it is drawn.
// @ts-check
import { apply, have } from "./draw.js";
import { start as startActs } from "./acts.js";
import { tick } from "./clocks.js";

const PROTOCOL = "muster.v1";
const SILENCE = 5000; // after so many milliseconds without a word the page may be out of date
const body = document.body;
const live = document.getElementById("live");
const stale = document.getElementById("stale");

/** @type {WebSocket | null} */
let socket = null;
let rev = Number(body.dataset.rev);
let tries = 0;
let heard = Date.now();
let changed = Date.now();
let timer = 0;
/** @type {import("./terminal.js").Terminal | null} */
let terminal = null;

/** What this page is, for the server. */
function page() {
  const query = Object.fromEntries(new URLSearchParams(location.search));
  return {
    name: body.dataset.page,
    ref: body.dataset.ref,
    query,
    shape: body.dataset.shape,
    build: body.dataset.build,
    title: document.title.replace(/ · Muster$/, ""),
    ...have(),
  };
}

/** @param {object} message */
export function send(message) {
  if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message));
}

/** Tell the server that the address has changed, so that it sends what belongs there. */
export function readdress() {
  send({ page: page() });
}

function connect() {
  clearTimeout(timer);
  const url = `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws`;
  const mine = new WebSocket(url, PROTOCOL);
  socket = mine;
  mine.onopen = () => {
    tries = 0;
    const channels = ["state"];
    if (terminal?.agent) channels.push(`log:${terminal.agent}:${terminal.next}`);
    send({ since: rev, channels, visible: !document.hidden, page: page() });
    ping();
  };
  mine.onmessage = (event) => {
    if (mine === socket) hear(JSON.parse(event.data));
  };
  mine.onclose = () => {
    if (mine === socket) again();
  };
}

function again() {
  socket = null;
  tries += 1;
  show();
  if (tries > 1) checkSignedIn();
  const wait = Math.min(8000, 300 * 2 ** tries) * (0.6 + 0.4 * Math.random());
  timer = setTimeout(connect, wait);
}

/** A session that has ended looks like a refused socket; only a page request tells. */
async function checkSignedIn() {
  try {
    const answer = await fetch("/inbox", { redirect: "manual", cache: "no-store" });
    if (answer.type === "opaqueredirect") {
      location.assign(`/login?next=${encodeURIComponent(location.pathname + location.search)}`);
    }
  } catch {
    // The server is not there; the socket goes on trying.
  }
}

/** @param {any} message */
function hear(message) {
  heard = Date.now();
  if ("ops" in message) {
    changed = heard;
    rev = message.id;
    paint(() => {
      apply(message.ops);
      followRun();
    }, () => send({ ack: message.id }));
  } else if ("log" in message) {
    terminal?.hear(message, (offset) => send({ logack: offset }));
  } else if ("pong" in message) {
    const latency = document.getElementById("latency");
    if (latency) latency.textContent = `${Math.max(1, Math.round(performance.now() - message.pong))} ms`;
  }
  show();
}

/** Draw in one frame and go on after it was painted; a hidden tab has no frames.
 * @param {() => void} draw @param {() => void} drawn */
function paint(draw, drawn) {
  if (document.hidden) {
    draw();
    drawn();
    return;
  }
  requestAnimationFrame(() => {
    draw();
    setTimeout(drawn, 0);
  });
}

/** A new attempt has a new agent: show its output, unless one run was asked for by name. */
function followRun() {
  const agent = document.getElementById("t-termbar")?.dataset.agent;
  if (!terminal || !agent || agent === terminal.agent) return;
  terminal.begin(agent);
  send({ log: { agent, offset: 0 } });
}

function ping() {
  send({ ping: performance.now() });
}

/** Say whether what is on the screen can be trusted. */
function show() {
  const up = socket?.readyState === WebSocket.OPEN;
  const late = Date.now() - heard > SILENCE;
  const away = late || (!up && tries > 0 && Date.now() - heard > 1200);
  body.classList.toggle("away", away);
  if (live) {
    live.classList.toggle("up", up && !away);
    live.classList.toggle("down", away);
    const word = live.querySelector("span");
    if (word) word.textContent = away ? "Reconnecting" : up ? "Live" : "Connecting";
  }
  if (stale) {
    stale.hidden = !away;
    const word = stale.querySelector("span");
    const at = new Date(heard).toLocaleTimeString([], { hour12: false });
    if (away && word) word.textContent = `Reconnecting, as of ${at}`;
  }
}

let beats = 0;
setInterval(() => {
  tick();
  beats += 1;
  if (beats % (document.hidden ? 15 : 2) === 0) ping();
  if (!document.hidden) {
    show();
    // A socket that says nothing is dead, whatever its state says.
    if (socket?.readyState === WebSocket.OPEN && Date.now() - heard > SILENCE) socket.close();
  }
}, 1000);

document.addEventListener("visibilitychange", () => {
  send({ visible: !document.hidden });
  if (!document.hidden) {
    ping();
    heard = Math.max(heard, Date.now() - SILENCE + 1500);
    if (!socket) connect();
  }
});
window.addEventListener("pagehide", () => {
  const old = socket;
  socket = null;
  old?.close();
  clearTimeout(timer);
});
window.addEventListener("pageshow", (event) => {
  if (event.persisted) connect();
});
window.addEventListener("online", () => {
  if (!socket) connect();
});

const place = document.getElementById("term");
if (place) {
  const { Terminal } = await import("./terminal.js");
  terminal = new Terminal(place);
}
startActs({ readdress, terminal: () => terminal });
tick();
connect();
