// Starts textual-serve's terminal once its font is there, and says what happened when the screen ends.
"use strict";

const RETRY = 2000; // milliseconds between two looks whether the server is back, more or less
const QUIT = 4000, FULL = 4001, IDLE = 4002, BROKEN = 4003;

const notice = document.getElementById("notice");
let opened = false; // whether the screen ever came, since this page was loaded

function say(what, why) {
  document.getElementById("what").textContent = what;
  document.getElementById("why").textContent = why;
  notice.hidden = false;
}

function again() {
  location.reload();
}

function onAnySign() {
  for (const sign of ["keydown", "pointerdown"]) addEventListener(sign, again, { once: true, capture: true });
}

// The server may be starting again, or the cookie may have become void with a new token.
async function look() {
  try {
    const answer = await fetch("/", { method: "HEAD", cache: "no-store", redirect: "error" });
    if (answer.ok) return again();
    if (answer.status === 401)
      say("This browser is not known any more.", "Open the link that experience-tui serve prints: there is a new one.");
  } catch {
    // Not there yet.
  }
  setTimeout(look, RETRY * (0.5 + Math.random())); // twenty tabs do not come back at the same moment
}

function ended(event) {
  switch (event.code) {
    case QUIT:
      say("This screen is closed.", "The tasks go on. Press any key to open it again.");
      return onAnySign();
    case IDLE:
      say("Nobody was here for a long time.", "The tasks go on. Press any key to see them again.");
      return onAnySign();
    case BROKEN:
      say("This screen has ended unexpectedly.", "The tasks go on; the server's log says why. Press any key to open it again.");
      return onAnySign();
    case FULL:
      say("Every screen is taken.", `There may be ${event.reason} at a time. This one opens as soon as another is closed.`);
      return setTimeout(again, 2 * RETRY);
  }
  if (opened) say("The server has gone away.", "The tasks go on without it. What you see behind this is from before; the page is back as soon as the server is.");
  else say("The page came, the screen did not.", "If there is a proxy, does it pass WebSockets on? Trying again.");
  setTimeout(look, opened ? RETRY / 4 : 2 * RETRY);
}

window.WebSocket = class extends WebSocket {
  constructor(...address) {
    super(...address);
    this.addEventListener("open", begun);
    this.addEventListener("close", ended);
  }
};

// Keys go to the terminal from the start, without a click.
function focusTerminal() {
  document.querySelector("#terminal textarea").focus();
}

function begun() {
  opened = true;
  focusTerminal();
  addEventListener("focus", focusTerminal);
}

async function start() {
  const terminal = document.getElementById("terminal");
  terminal.dataset.sessionWebsocketUrl = `${location.origin.replace(/^http/, "ws")}/ws`;
  // The terminal measures its cells once: a font that comes later would not fit them.
  await Promise.allSettled(["", "bold ", "italic "].map((style) => document.fonts.load(`${style}15px "Roboto Mono"`)));
  const script = document.createElement("script");
  script.src = "/static/js/textual.js";
  script.onload = () => {
    if (document.readyState === "complete") window.onload();
  };
  document.head.append(script);
}

start();
