// The list of jobs. Only the rows that are seen are elements, however many jobs there are.
import { byId, element, write } from "./dom.js";
import { timeToGo } from "./forecast.js";
import { listen, now, store } from "./store.js";
import { moment, ran, span, waited, WAITING } from "./words.js";

const HEIGHT = 30, BEYOND = 6;
const scroller = byId("scroller"), rows = byId("rows"), search = byId("search"), chips = byId("chips");
const CHIPS = [["", "all"], ["RUNNING", "running"], ["QUEUED", "waiting"], ["DONE", "done"], ["ERROR", "failed"], ["CANCELLED", "cancelled"]];
const pool = [];
let sought = [], shown = [], state = "", selected = "", asked = 0, timer = 0;
const selecting = new Set(), listing = new Set();

export const whenSelected = (call) => selecting.add(call);
export const whenListed = (call) => listing.add(call);
export const chosen = () => selected;

const isChosen = (job) => !state || job.state === state || (state === "QUEUED" && WAITING.has(job.state));

// Whatever states are chosen: when what is sought will be done, all of its jobs tell.
function tellTimeToGo() {
  const left = timeToGo(sought, now());
  write(byId("to-go"), left === null ? "" : `${search.value.trim() ? "these" : "all"} done in about ${span(left)}`);
}

function refilter() {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  sought = store.order.filter((job) => words.every((word) => job.words.includes(word)));
  shown = sought.filter(isChosen);
  tellTimeToGo();
  rows.style.height = shown.length * HEIGHT + "px";
  const listed = store.order.length, there = Object.values(store.counts).reduce((a, b) => a + b, 0);
  write(byId("said"), `${shown.length.toLocaleString()} of ${listed.toLocaleString()} jobs` + (there > listed ? `; ${(there - listed).toLocaleString()} older ones, and those run anew, are not listed` : ""));
  draw();
  for (const call of listing) call(shown);
}

function draw() {
  asked = 0;
  const first = Math.max(0, Math.floor(scroller.scrollTop / HEIGHT) - BEYOND);
  const count = Math.min(shown.length - first, Math.ceil(scroller.clientHeight / HEIGHT) + 2 * BEYOND);
  while (pool.length < count) pool.push(newRow());
  pool.forEach((row, i) => { row.node.hidden = i >= count; });
  let runs = false;
  for (let i = 0; i < count; i += 1) {
    // A place keeps its element while the list is scrolled: what is seen still is not written anew.
    const at = first + i;
    fill(pool[at % count], shown[at], at);
    runs = runs || shown[at].state === "RUNNING";
  }
  clearTimeout(timer);
  if (runs && !document.hidden) timer = setTimeout(() => { tellTimeToGo(); draw(); }, 1000);
}

function soon() {
  if (!asked) asked = requestAnimationFrame(draw);
}

function newRow() {
  const node = element("div", undefined, "row");
  node.setAttribute("role", "option");
  const cells = Array.from({ length: 9 }, (_, i) => element("span", "", { 1: "id", 6: "n", 7: "n" }[i] || ""));
  node.append(...cells);
  rows.append(node);
  const row = { node, cells, job: null };
  node.addEventListener("click", () => select(row.job.id));
  return row;
}

function fill(row, job, at) {
  row.node.style.transform = `translateY(${at * HEIGHT}px)`;
  row.node.setAttribute("aria-selected", String(job.id === selected));
  if (row.job !== job) {
    row.job = job;
    row.node.dataset.id = job.id;
    const why = job.state === "ERROR" || job.state === "CANCELLED" ? [job.reason, job.message].filter(Boolean).join(": ") : "";
    const texts = [job.state.toLowerCase(), job.id.slice(0, 8), job.name, job.backend, job.host, moment(job.submitted), span(waited(job)), "", [why, job.work].filter(Boolean).join(" — ")];
    texts.forEach((text, i) => { write(row.cells[i], text); row.cells[i].title = text; });
    row.cells[0].className = `state ${job.state}`;
    if (job.reason === "held" || job.reason === "paused") write(row.cells[0], job.reason);
  }
  write(row.cells[7], span(ran(job, now())));
}

export function select(id) {
  if (id === selected) return;
  selected = id;
  byId("jobs").classList.toggle("narrow", id !== "");
  draw();
  for (const call of selecting) call(id);
}

function move(by) {
  if (!shown.length) return;
  const at = shown.findIndex((job) => job.id === selected);
  const to = Math.min(shown.length - 1, Math.max(0, at + by));
  scroller.scrollTop = Math.min(to * HEIGHT, Math.max(scroller.scrollTop, (to + 2) * HEIGHT - scroller.clientHeight));
  select(shown[to].id);
}

function drawChips() {
  for (const [name, word] of CHIPS) {
    const chip = [...chips.children].find((each) => each.dataset.state === name) || newChip(name, word);
    const count = Object.entries(store.counts).reduce((sum, [key, n]) => sum + (!name || key === name || (name === "QUEUED" && WAITING.has(key)) ? n : 0), 0);
    write(chip.firstChild, store.counted ? count.toLocaleString() : "…");
    chip.setAttribute("aria-pressed", String(state === name));
  }
}

function newChip(name, word) {
  const chip = element("button", undefined, `chip ${name}`);
  chip.type = "button";
  chip.dataset.state = name;
  chip.append(element("b", ""), word);
  chip.addEventListener("click", () => { state = name; scroller.scrollTop = 0; drawChips(); refilter(); });
  chips.append(chip);
  return chip;
}

scroller.addEventListener("scroll", soon, { passive: true });
scroller.addEventListener("keydown", (event) => {
  const by = { ArrowDown: 1, ArrowUp: -1, j: 1, k: -1, PageDown: 10, PageUp: -10 }[event.key];
  if (by && !event.ctrlKey && !event.metaKey && !event.altKey) { event.preventDefault(); move(by); }
});
addEventListener("resize", soon);
document.addEventListener("visibilitychange", soon);
search.addEventListener("input", () => { scroller.scrollTop = 0; refilter(); });
addEventListener("keydown", (event) => {
  if (event.key === "Escape" && selected) select("");
  if (event.key === "/" && document.activeElement !== search) { event.preventDefault(); search.focus(); }
});
listen(() => { drawChips(); refilter(); });
