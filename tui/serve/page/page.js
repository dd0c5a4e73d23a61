// Starts textual-serve's terminal once its font is there, and shows why a screen ended.
"use strict";

const RETRY = 2000; // milliseconds, more or less, between two looks whether the server is back
// The codes that the server closes a screen with: what happened, and whether a key opens it again.
const QUIT = 4000, FULL = 4001, IDLE = 4002, BROKEN = 4003;
const ENDINGS = {
  [QUIT]: "This screen is closed.\nThe tasks continue. Press any key to open it again.",
  [IDLE]: "This screen was idle for a long time.\nThe tasks continue. Press any key to open it again.",
  [BROKEN]: "This screen ended unexpectedly.\nThe tasks continue; the server's log has the reason. Press any key to open it again.",
};
let opened = false; // whether the screen has appeared since this page was loaded

function show(words) {
  const notice = document.getElementById("notice");
  notice.textContent = words;
  notice.hidden = false;
}

function reload() {
  location.reload();
}

// The server may be restarting, or a new token may have made the cookie invalid.
async function look() {
  try {
    const answer = await fetch("/", { method: "HEAD", cache: "no-store", redirect: "error" });
    if (answer.ok) return reload();
    if (answer.status === 401) show("This browser's cookie is no longer valid.\nOpen the new link that experience-tui serve prints.");
  } catch {
    // Not there yet.
  }
  setTimeout(look, RETRY * (0.5 + Math.random())); // twenty tabs do not come back at the same moment
}

function ended({ code, reason }) {
  if (code in ENDINGS) {
    show(ENDINGS[code]);
    for (const sign of ["keydown", "pointerdown"]) addEventListener(sign, reload, { once: true, capture: true });
  } else if (code === FULL) {
    show(`All ${reason} screens are open.\nThis one opens when another is closed.`);
    setTimeout(reload, 2 * RETRY);
  } else {
    if (opened) show("The server has ended.\nThe tasks continue without it. What you see behind this is old; the page comes back with the server.");
    else show("The page loads, the screen does not.\nDoes a proxy in between pass WebSockets? Trying again.");
    setTimeout(look, opened ? RETRY / 4 : 2 * RETRY);
  }
}

// Keys go to the terminal from the start, without a click.
function focusTerminal() {
  document.querySelector("#terminal textarea").focus();
}

function begun() {
  opened = true;
  focusTerminal();
  addEventListener("focus", focusTerminal);
}

window.WebSocket = class extends WebSocket {
  constructor(...address) {
    super(...address);
    this.addEventListener("open", begun);
    this.addEventListener("close", ended);
  }
};

async function start() {
  const terminal = document.getElementById("terminal");
  terminal.dataset.sessionWebsocketUrl = `${location.origin.replace(/^http/, "ws")}/ws`;
  // The terminal measures its cells once: a font that comes later would not fit them.
  await Promise.allSettled(["", "bold ", "italic "].map((style) => document.fonts.load(`${style}15px "Roboto Mono"`)));
  const script = document.createElement("script");
  script.src = "/static/js/textual.js";
  script.onload = () => document.readyState === "complete" && window.onload();
  document.head.append(script);
}

start();
