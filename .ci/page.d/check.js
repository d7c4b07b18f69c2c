// Holds the pages of reports to what they promise, in headless Chromium, by the DevTools protocol.
//
// Each check is tried first on a page that is broken on purpose: one that never fails would show nothing.
// WCAG 2.2 is checked by axe-core; times are those of a machine that is busy with other things, too.

import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import pixelmatch from "pixelmatch";
import { PNG } from "pngjs";
import puppeteer from "puppeteer-core";

const [folder, command] = process.argv.slice(2);
const here = new URL(".", import.meta.url).pathname;
const axe = readFileSync(join(here, "node_modules/axe-core/axe.min.js"), "utf8");
const shots = resolve(here, "../../reports/screenshots");

/** Milliseconds that sorting 10,000 rows and opening a page may take. */
const SORT = 300;
const OPEN = 2000;
/** Chromium versions smooth letters differently: so many of 100 pixels may differ by more than a tenth. */
const TOLERANCE = 2;

const browser = await puppeteer.launch({
  executablePath: process.env.CHROMIUM,
  args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking",
    "--font-render-hinting=none", "--force-color-profile=srgb", "--host-resolver-rules=MAP * ~NOTFOUND"],
});
let failures = 0;
let passed = 0;

function report(name, problems) {
  if (process.env.VERBOSE) console.log(`${Math.round(performance.now() / 1000)} s: ${name}`);
  if (problems.length === 0) return void (passed += 1);
  failures += 1;
  console.log(`FAILED ${name}:\n  ${problems.slice(0, 12).join("\n  ")}`);
}

/** A page with what it asked for and complained about; `change` may break it. */
async function open(file, { width = 1200, scheme = "light", scripts = true, change = null } = {}) {
  const page = await browser.newPage();
  page.complaints = [];
  await page.setViewport({ width, height: 900 });
  await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
  await page.setJavaScriptEnabled(scripts);
  page.on("console", (message) => page.complaints.push(`console: ${message.text()}`));
  page.on("pageerror", (error) => page.complaints.push(`script: ${error.message}`));
  page.on("request", (request) => {
    if (!/^(file|data):/.test(request.url()) || (request.url().startsWith("file:") && !request.isNavigationRequest())) {
      page.complaints.push(`request: ${request.url()}`);
    }
  });
  let path = file;
  if (change) {
    path = join(folder, "broken.html");
    writeFileSync(path, change(readFileSync(file, "utf8")));
  }
  await page.goto(`file://${path}`, { waitUntil: "load" });
  return page;
}

async function with_page(file, options, work) {
  const page = await open(file, options);
  try {
    return await work(page);
  } finally {
    await page.close();
  }
}

// --- the checks: each gives a list of problems -----------------------------------------------------------------------

async function quiet(page) {
  await new Promise((done) => setTimeout(done, 150));
  return page.complaints;
}

async function accessible(page) {
  await page.evaluate(axe);
  await page.evaluate(() => {
    document.querySelectorAll("details").forEach((details) => (details.open = true));
    // Rows of a table are alike, and axe-core takes minutes for thousands of them.
    document.querySelectorAll("tbody").forEach((body) => [...body.rows].slice(40).forEach((row) => row.remove()));
  });
  const result = await page.evaluate(() => axe.run(document, { resultTypes: ["violations"] }));
  const serious = result.violations.filter((one) => ["serious", "critical"].includes(one.impact));
  return serious.flatMap((one) => one.nodes.slice(0, 3).map((node) => `${one.id}: ${node.target}: ${node.failureSummary.split("\n")[1]}`));
}

/** Nothing is wider than the window but what scrolls in itself; no text of a chart leaves it. */
async function fits(page) {
  return page.evaluate(() => {
    const problems = [];
    const wide = document.documentElement.scrollWidth;
    if (wide > innerWidth) problems.push(`the page is ${wide} wide in a window of ${innerWidth}`);
    for (const svg of document.querySelectorAll("svg.lastack-chart")) {
      const box = svg.getBoundingClientRect();
      if (box.width === 0) continue;
      for (const text of svg.querySelectorAll("text")) {
        const own = text.getBoundingClientRect();
        if (own.left < box.left - 1 || own.right > box.right + 1 || own.bottom > box.bottom + 1) problems.push(`cut: ${text.textContent}`);
      }
    }
    return problems;
  });
}

const column = (page, id, nth) =>
  page.evaluate((id, nth) => [...document.getElementById(id).tBodies[0].rows].filter((row) => !row.hidden).map((row) => row.cells[nth].textContent.trim()), id, nth);

function ordered(values, sign) {
  const filled = values.filter((value) => value !== "");
  const number = (value) => parseFloat(value.replaceAll(",", ""));
  const bad = filled.findIndex((value, nth) => nth > 0 && sign * (number(filled[nth - 1]) - number(value)) > 0);
  return bad < 0 ? [] : [`row ${bad}: ${filled[bad]} after ${filled[bad - 1]}`];
}

/** By click and by keyboard: ascending, descending, as it was. */
async function sorts(page) {
  const heads = await page.$$("#connections thead th");
  const names = await Promise.all(heads.map((head) => head.evaluate((node) => node.textContent)));
  const nth = names.indexOf("client_port");
  const before = await column(page, "connections", nth);
  const button = await heads[nth].$("button");
  if (!button) return ["no button to sort by"];
  // What is scrolled to gets its true height, and moves.
  await button.scrollIntoView();
  await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => setTimeout(done, 50))));
  await button.click();
  const problems = ordered(await column(page, "connections", nth), 1);
  if ((await heads[nth].evaluate((node) => node.ariaSort)) !== "ascending") problems.push("aria-sort is not ascending");
  await button.focus();
  await page.keyboard.press("Enter");
  problems.push(...ordered(await column(page, "connections", nth), -1));
  await page.keyboard.press("Space");
  const after = await column(page, "connections", nth);
  if (after.join() !== before.join()) problems.push("the third press does not bring the first order back");
  return problems;
}

async function filters(page) {
  const input = await page.$("#connections-section .filter input");
  if (!input) return ["no field to filter by"];
  const all = await column(page, "connections", 0);
  const word = (await column(page, "connections", 3))[1];
  await input.focus();
  await page.keyboard.type(word);
  await new Promise((done) => setTimeout(done, 400));
  const rows = await page.evaluate(() => [...document.getElementById("connections").tBodies[0].rows].map((row) => row.textContent));
  const problems = rows.length > 0 && rows.length < all.length ? [] : [`${rows.length} of ${all.length} rows are left by ${word}`];
  problems.push(...rows.filter((row) => !row.includes(word)).map((row) => `shown without ${word}: ${row}`));
  await input.evaluate((node) => node.select());
  await page.keyboard.press("Backspace");
  await new Promise((done) => setTimeout(done, 400));
  if ((await column(page, "connections", 0)).length !== all.length) problems.push("clearing the filter does not bring all rows back");
  return problems;
}

/** How long one sort takes until the page is painted again. */
async function sorting_time(page) {
  return page.evaluate(async () => {
    const table = document.getElementById("connections");
    const frame = () => new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
    const times = [];
    for (const head of [...table.tHead.rows[0].cells].slice(2, 8)) {
      const begun = performance.now();
      head.querySelector("button").click();
      void table.offsetHeight;
      await frame();
      times.push(performance.now() - begun);
    }
    const all = document.querySelector("#connections-section button.more");
    const rows = parseInt(all.textContent.replace(/[^0-9]/g, ""));
    const shown = table.tBodies[0].rows.length;
    all.click();
    return { rows, shown, opened: table.tBodies[0].rows.length, times: times.map(Math.round) };
  });
}

/** Everything that is there with scripts is there without them, and stands open or can be opened. */
async function complete(page) {
  return page.evaluate(() => {
    const problems = [];
    for (const part of document.querySelectorAll("main > section, article, figure, table, details > summary")) {
      const within = part.matches("summary") ? part.parentElement.parentElement : part;
      if (within.closest("details:not([open])")) continue;
      if (!part.checkVisibility() || part.textContent.trim() === "") problems.push(`hidden: ${part.id || part.className || part.tagName}`);
    }
    return problems;
  });
}

/** Opened parts that Tab reaches, and a focus that is seen. */
async function by_keyboard(page) {
  const problems = [];
  const reached = new Set();
  for (let presses = 0; presses < 30; presses += 1) {
    await page.keyboard.press("Tab");
    const focus = await page.evaluate(() => {
      const node = document.activeElement;
      const style = getComputedStyle(node);
      return { name: node.tagName, seen: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0 };
    });
    reached.add(focus.name);
    if (!focus.seen && focus.name !== "BODY") problems.push(`the focus is not seen on ${focus.name}`);
  }
  if (!reached.has("A")) problems.push("Tab reaches no link");
  return problems;
}

/** A chart that lies over the edge of two pages has its frame on both: every chart is marked, and looked for. */
async function prints_whole(file, change) {
  const marked = (html) => (change ? change(html) : html).replace("</head>", "<style>@media print{figure svg.lastack-chart{outline:3px solid #f0f;outline-offset:-3px;background:#ff0}}</style></head>");
  return with_page(file, { change: marked }, async (page) => {
    await page.evaluate(() => document.querySelectorAll("details").forEach((details) => (details.open = true)));
    const wanted = await page.evaluate(() => document.querySelectorAll("figure svg.lastack-chart").length);
    const pdf = join(folder, "print.pdf");
    await page.pdf({ path: pdf, preferCSSPageSize: true, printBackground: true, timeout: 120000 });
    execFileSync("pdftoppm", ["-r", "72", "-aa", "no", "-aaVector", "no", "-png", pdf, join(folder, "print")]);
    const pages = readdirSync(folder).filter((name) => /^print-\d+\.png$/.test(name)).sort();
    const problems = [];
    let found = 0;
    for (const name of pages) {
      const picture = PNG.sync.read(readFileSync(join(folder, name)));
      const boxes = yellow_boxes(picture);
      found += boxes.length;
      for (const box of boxes) if (!box.closed) problems.push(`${name}: a chart is cut at rows ${box.top} to ${box.bottom}`);
      execFileSync("rm", [join(folder, name)]);
    }
    if (found !== wanted) problems.push(`${found} pieces of ${wanted} charts on ${pages.length} pages`);
    return problems;
  });
}

/** Frames of charts on a page: closed where both the upper and the lower line are on it. */
function yellow_boxes({ width, height, data }) {
  const pink = (row) => {
    let many = 0;
    for (let x = 0; x < width; x += 1) {
      const at = (row * width + x) * 4;
      if (data[at] > 240 && data[at + 1] < 20 && data[at + 2] > 240) many += 1;
    }
    return many;
  };
  const rows = Array.from({ length: height }, (_, row) => pink(row));
  const boxes = [];
  for (let row = 0; row < height; row += 1) {
    if (rows[row] === 0) continue;
    const top = row;
    while (row + 1 < height && rows[row + 1] > 0) row += 1;
    const line = (at) => rows[at] > width / 4;
    boxes.push({ top, bottom: row, closed: line(top) && line(row) && row - top > 20 });
  }
  return boxes;
}

// --- proof that each check can fail ----------------------------------------------------------------------------------

async function blind(name, problems, sign) {
  report(`the check itself: ${name}`, problems.some((problem) => problem.includes(sign)) ? [] : [`a page that is broken on purpose passes; it said: ${problems}`]);
}

const page_of = (name) => join(folder, name, "report.html");
const inject = (html) => (text) => text.replace("</main>", `${html}</main>`);
const unguarded = (text) => text.replace(/<meta http-equiv[^>]*>/, "");

async function prove() {
  const sample = page_of("sample");
  const broken = { change: (text) => unguarded(inject('<img src="http://lastack.invalid/x.png" alt=""><script>planted.mistake()</script>')(text)) };
  const said = await with_page(sample, broken, quiet);
  await blind("requests", said, "request: http://lastack.invalid");
  await blind("script errors", said, "planted");
  await blind("the page's own ban", await with_page(sample, { change: inject('<img src="http://lastack.invalid/x.png" alt="">') }, quiet), "Content Security Policy");
  await blind("contrast", await with_page(sample, { change: inject('<p style="color:#bbb;background:#fff">pale</p>') }, accessible), "color-contrast");
  await blind("width", await with_page(sample, { change: inject('<div style="width:3000px">wide</div>') }, fits), "wide in a window");
  await blind("sorting", await with_page(sample, { change: (text) => text.replace("keyed.sort(", "void (") }, sorts), "after");
  await blind("filtering", await with_page(sample, { change: (text) => text.replace("order.filter(matches)", "order") }, filters), "rows are left");
  await blind("scripts off", await with_page(sample, { scripts: true, change: (text) => text.replace("<section id=\"about\"", "<section hidden id=\"about\"") }, complete), "hidden: about");
  await blind("focus", await with_page(sample, { change: (text) => text.replace("</head>", "<style>*:focus-visible{outline:none!important}</style></head>") }, by_keyboard), "not seen");
  await blind("printing", await prints_whole(sample, (text) => text.replace("</head>", "<style>@media print{figure{break-inside:auto!important;height:auto!important}figure svg{break-inside:auto!important;height:1200px!important;max-height:none!important}}</style></head>")), "chart");
}

// --- screenshots -----------------------------------------------------------------------------------------------------

const SHOTS = [
  ["sample-light", "sample", { width: 1200, scheme: "light" }, 1900],
  ["sample-dark", "sample", { width: 1200, scheme: "dark" }, 1900],
  ["sample-narrow", "sample", { width: 600, scheme: "light" }, 1900],
  ["host", "host", { width: 1200, scheme: "light" }, 1900],
  ["stall", "stall", { width: 1200, scheme: "light" }, 1900],
  ["nothing-found", "none", { width: 1200, scheme: "light" }, 1300],
  ["two-hundred-findings", "many", { width: 1200, scheme: "light" }, 1900],
];

const digest = (file) => createHash("sha256").update(readFileSync(file)).digest("hex");

async function screenshots() {
  mkdirSync(shots, { recursive: true });
  const made = {};
  for (const [name, of, options, height] of SHOTS) {
    const bytes = await with_page(page_of(of), options, (page) =>
      page.screenshot({ clip: { x: 0, y: 0, width: options.width, height }, captureBeyondViewport: true }));
    const file = join(shots, `${name}.png`);
    made[`${name}.png`] = of;
    if (command === "shots") {
      writeFileSync(file, bytes);
      continue;
    }
    if (!existsSync(file)) {
      report(`screenshot ${name}`, ["is missing: .ci/page shots makes it"]);
      continue;
    }
    const [now, then] = [PNG.sync.read(Buffer.from(bytes)), PNG.sync.read(readFileSync(file))];
    if (now.width !== then.width || now.height !== then.height) {
      report(`screenshot ${name}`, ["has another size: .ci/page shots makes it anew"]);
      continue;
    }
    const share = (pixelmatch(now.data, then.data, null, now.width, now.height, { threshold: 0.1 }) * 100) / (now.width * now.height);
    report(`screenshot ${name}`, share <= TOLERANCE ? [] : [`${share.toFixed(2)} of 100 pixels differ; look at it, then: .ci/page shots`]);
  }
  if (command === "shots") {
    writeFileSync(join(shots, "made-of.txt"), `${digest(resolve(shots, "../sample/report.html"))}  reports/sample/report.html\n`);
    console.log(`wrote ${SHOTS.length} pictures to reports/screenshots`);
  }
}

// --- the way through -------------------------------------------------------------------------------------------------

const figures = [];
if (command !== "shots") await all();
await screenshots();
await browser.close();
console.log(`${passed} checks of pages passed, ${failures} failed; ${figures.join("; ")}`);
process.exit(failures === 0 ? 0 : 1);

async function all() {
  await prove();
  for (const name of ["sample", "host", "stall", "storm", "timewait", "none", "many", "long"]) {
    const file = page_of(name);
    report(`${name}: no request, nothing on the console`, await with_page(file, {}, quiet));
    for (const [scheme, width] of [["light", 1200], ["dark", 1200], ["light", 600]]) {
      await with_page(file, { scheme, width }, async (page) => {
        report(`${name}, ${scheme}, ${width}: fits`, await fits(page));
        if (name !== "long" && width === 1200) report(`${name}, ${scheme}: axe`, await accessible(page));
      });
    }
    report(`${name}: whole with scripts off`, await with_page(file, { scripts: false }, async (page) => {
      // Without scripts of its own the page is asked by the tools.
      return complete(page);
    }));
  }
  for (const name of ["sample", "storm", "timewait"]) {
    report(`${name}: sorts`, await with_page(page_of(name), {}, sorts));
    report(`${name}: filters`, await with_page(page_of(name), {}, filters));
  }
  report("sample: by keyboard", await with_page(page_of("sample"), {}, by_keyboard));
  for (const name of ["sample", "host", "stall", "timewait"]) report(`${name}: prints its charts whole`, await prints_whole(page_of(name)));
  for (const name of ["many", "long"]) {
    // The quickest of three turns, or of more where it is slow: a busy machine says nothing about the page.
    let took = Infinity;
    let page = null;
    let sorted = { times: [] };
    const slow = () => took >= OPEN || sorted.times.some((time) => time >= SORT);
    for (let turn = 0; turn < 3 || (turn < 9 && slow()); turn += 1) {
      await page?.close();
      const begun = performance.now();
      page = await open(page_of(name));
      await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => setTimeout(done))));
      took = Math.min(took, Math.round(performance.now() - begun));
      if (name === "long") {
        const now = await sorting_time(page);
        sorted = { ...now, times: now.times.map((time, place) => Math.min(time, sorted.times[place] ?? time)) };
      }
    }
    figures.push(`${name} opens in ${took} ms`);
    report(`${name}: opens`, took < OPEN ? [] : [`after ${took} ms`]);
    if (name === "long") {
      const { rows, shown, opened, times } = sorted;
      figures.push(`${rows} rows sort in ${times.join(", ")} ms`);
      report("long: sorts at once", rows === 10000 && shown === 500 && opened === 10000 && Math.max(...times) < SORT ? [] : [`${rows} rows in ${times} ms`]);
    }
    await page.close();
  }
}
