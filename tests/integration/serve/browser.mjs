// A real Chromium for tests: one order a line on standard input, one answer a line on standard output.
import { createInterface } from "node:readline";
import { createRequire } from "node:module";

const [modules, chromium, profile] = process.argv.slice(2);
const playwright = createRequire(`${modules}/`)("playwright-core");

// As root there is no sandbox; without the rest Chromium talks to hosts elsewhere at every start.
const flags = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"];
flags.push("--disable-background-networking", "--disable-component-update");

const context = await playwright.chromium.launchPersistentContext(profile, {
  executablePath: chromium,
  args: flags,
  viewport: { width: 1200, height: 800 },
});
context.setDefaultTimeout(20000);
const pages = new Map();

class Page {
  // What a person sees and what came over the wire, from the page's first moment on.
  constructor(page) {
    this.page = page;
    this.screen = "";
    this.refused = []; // requests that the page's own policy, or the lack of a network, stopped
    this.outside = []; // requests to anywhere but the server
    this.sockets = 0;
    page.on("websocket", (socket) => {
      this.sockets += 1;
      socket.on("framereceived", ({ payload }) => (this.screen += Buffer.from(payload).toString("latin1")));
    });
    page.on("console", (message) => message.type() === "error" && this.refused.push(message.text()));
    page.on("pageerror", (error) => this.refused.push(String(error)));
    page.on("request", (request) => this.outside.push(request.url()));
  }
}

const orders = {
  async open({ name, url }) {
    const page = new Page(await context.newPage());
    pages.set(name, page);
    const start = performance.now();
    const answer = await page.page.goto(url, { waitUntil: "commit" });
    await page.page.waitForFunction(
      () => document.body?.classList.contains("-first-byte") || (document.readyState === "complete" && !document.getElementById("terminal")),
    );
    return { status: answer?.status(), url: page.page.url(), milliseconds: performance.now() - start };
  },
  async state({ name }) {
    const { page, screen, refused, outside, sockets } = pages.get(name);
    // A page that is just being loaded anew says nothing yet.
    const [notice, text] = await page
      .evaluate(() => {
        const element = document.getElementById("notice");
        return [element && !element.hidden ? element.innerText : "", document.body.innerText];
      })
      .catch(() => ["", ""]);
    return { screen, refused, outside, sockets, notice, url: page.url(), text };
  },
  async forget({ name }) {
    pages.get(name).screen = "";
  },
  async press({ name, key }) {
    await pages.get(name).page.keyboard.press(key);
  },
  async resize({ name, width, height }) {
    await pages.get(name).page.setViewportSize({ width, height });
  },
  async evaluate({ name, script }) {
    return await pages.get(name).page.evaluate(script);
  },
  async picture({ name, file }) {
    await pages.get(name).page.screenshot({ path: file });
  },
  async shut({ name }) {
    await pages.get(name).page.close();
    pages.delete(name);
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const { order, ...rest } = JSON.parse(line);
  let answer;
  try {
    answer = { result: (await orders[order](rest)) ?? null };
  } catch (error) {
    answer = { error: String(error) };
  }
  process.stdout.write(JSON.stringify(answer) + "\n");
}
await context.close();
