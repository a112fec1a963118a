// Who ran where, and when: a band for each place, and in it a bar for each job that is chosen; drawn on a canvas, since they are many.
import { byId, element, write } from "./dom.js";
import { select, whenListed } from "./jobs.js";
import { now } from "./store.js";
import { moment, ran, span } from "./words.js";

const SPANS = [["10 minutes", 600], ["hour", 3600], ["day", 86400], ["all", Infinity]];
const LANE = 12, LEAST_LANE = 3, HEAD = 20, AXIS = 22, TALLEST = 1600, TICKS = 6;
const canvas = byId("bars"), tip = byId("tip");
let seen = false, jobs = [], back = 3600, bars = [], timer = 0;

// Returns the bars: place, lane, begin and end of each; jobs of the same lane ran one after the other.
export function layOut(shown, from, till) {
  const places = new Map();
  for (const job of shown) {
    const took = ran(job, till);
    if (took === null || job.started + took < from) continue;
    const place = job.host || job.backend;
    if (!places.has(place)) places.set(place, { place, lanes: [], jobs: [] });
    places.get(place).jobs.push({ job, begin: job.started, end: job.started + took });
  }
  const sorted = [...places.values()].sort((a, b) => a.place.localeCompare(b.place, undefined, { numeric: true }));
  for (const each of sorted) {
    each.jobs.sort((a, b) => a.begin - b.begin);
    for (const bar of each.jobs) {
      let lane = each.lanes.findIndex((end) => end <= bar.begin + 1e-6);
      if (lane < 0) lane = each.lanes.push(0) - 1;
      each.lanes[lane] = bar.end;
      bar.lane = lane;
    }
  }
  return sorted;
}

function draw() {
  clearTimeout(timer);
  if (!seen || document.hidden) return;
  const till = now(), begun = jobs.reduce((least, job) => (job.started === null ? least : Math.min(least, job.started)), till - 0.001);
  const from = Math.max(begun, till - back), places = layOut(jobs, from, till);
  const lanes = places.reduce((sum, each) => sum + each.lanes.length, 0);
  const lane = Math.max(LEAST_LANE, Math.min(LANE, TALLEST / Math.max(1, lanes)));
  const width = canvas.clientWidth, height = AXIS + places.reduce((sum, each) => sum + HEAD + each.lanes.length * lane + 8, 0) + 4;
  const scale = devicePixelRatio || 1, style = getComputedStyle(document.documentElement), colour = (name) => style.getPropertyValue(name).trim();
  canvas.style.height = `${height}px`;
  canvas.width = width * scale;
  canvas.height = height * scale;
  const pen = canvas.getContext("2d");
  pen.scale(scale, scale);
  pen.font = "11px system-ui, sans-serif";
  pen.fillStyle = colour("--dim");
  for (let n = 0; n < TICKS; n += 1) {
    const x = (width * n) / TICKS;
    pen.fillRect(x, 0, 1, 6);
    pen.fillText(moment(from + ((till - from) * n) / TICKS), x + 4, 12);
  }
  const colours = { DONE: colour("--done"), ERROR: colour("--error"), CANCELLED: colour("--cancelled"), RUNNING: colour("--running") };
  const to = (when) => (width * (Math.max(from, when) - from)) / (till - from);
  bars = [];
  let y = AXIS;
  for (const each of places) {
    pen.fillStyle = colour("--dim");
    pen.fillText(`${each.place}: ${each.jobs.length} jobs, ${each.lanes.length} at a time at most`, 0, y + 13);
    y += HEAD;
    pen.fillStyle = colour("--box");
    pen.fillRect(0, y, width, each.lanes.length * lane);
    for (const { job, begin, end, lane: at } of each.jobs) {
      const bar = { job, x: to(begin), y: y + at * lane, width: Math.max(1, to(end) - to(begin)), height: Math.max(2, lane - 1) };
      pen.fillStyle = colours[job.state] || colours.RUNNING;
      pen.fillRect(bar.x, bar.y, bar.width, bar.height);
      bars.push(bar);
    }
    y += each.lanes.length * lane + 8;
  }
  if (!places.length) { pen.fillStyle = colour("--dim"); pen.fillText("none of these jobs ran within that time", 0, AXIS + 13); }
  if (jobs.some((job) => job.state === "RUNNING")) timer = setTimeout(draw, 1000);
}

function under(event) {
  const box = canvas.getBoundingClientRect(), x = event.clientX - box.left, y = event.clientY - box.top;
  return bars.findLast((bar) => x >= bar.x - 1 && x <= bar.x + bar.width + 1 && y >= bar.y && y <= bar.y + bar.height);
}

canvas.addEventListener("mousemove", (event) => {
  const bar = under(event);
  tip.hidden = !bar;
  if (!bar) return;
  const job = bar.job;
  write(tip, [job.id.slice(0, 8), job.name, job.state.toLowerCase(), span(ran(job, now())), job.reason, job.work].filter(Boolean).join("  "));
  tip.style.left = `${Math.min(event.clientX + 12, innerWidth - tip.offsetWidth - 8)}px`;
  tip.style.top = `${event.clientY + 14}px`;
});
canvas.addEventListener("mouseleave", () => { tip.hidden = true; });
canvas.addEventListener("click", (event) => { const bar = under(event); if (bar) select(bar.job.id); });
for (const [word, seconds] of SPANS) {
  const choice = element("button", word, "plain");
  choice.type = "button";
  choice.setAttribute("aria-pressed", String(seconds === back));
  choice.addEventListener("click", () => {
    back = seconds;
    for (const each of byId("spans").children) each.setAttribute("aria-pressed", String(each === choice));
    draw();
  });
  byId("spans").append(choice);
}
whenListed((shown) => { jobs = shown; draw(); });
new ResizeObserver(draw).observe(canvas.parentElement);
document.addEventListener("visibilitychange", draw);

export function showTimeline(is) {
  seen = is;
  tip.hidden = true;
  draw();
}
