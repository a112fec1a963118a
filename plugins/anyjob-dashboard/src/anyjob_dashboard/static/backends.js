// What the backends are busy with, and how those of their jobs fared that are listed.
import { get } from "./ask.js";
import { byId, element } from "./dom.js";
import { listen, store } from "./store.js";
import { span, waited } from "./words.js";

const NAMES = ["backend", "running", "waiting", "cores taken", "done", "failed", "waited, median"];
const head = byId("backends").querySelector("thead"), body = byId("backends").querySelector("tbody");
const titles = element("tr");
titles.append(...NAMES.map((name, i) => element("th", name, i && i !== 3 ? "n" : "")));
head.append(titles);
let seen = false, asking = false, again = false;

async function refresh() {
  if (!seen) return;
  if (asking) { again = true; return; }
  asking = true;
  const loads = await get("/backends");
  asking = false;
  if (loads !== null) draw(loads);
  if (again) { again = false; refresh(); }
}

function draw(loads) {
  const of = new Map(loads.map((load) => [load.name, { load, jobs: [] }]));
  for (const job of store.order) {
    if (!of.has(job.backend)) of.set(job.backend, { load: { name: job.backend, running: 0, queued: 0, taken: 0, there: null }, jobs: [] });
    of.get(job.backend).jobs.push(job);
  }
  body.replaceChildren(...[...of.values()].map(({ load, jobs }) => {
    const count = (state) => jobs.filter((job) => job.state === state).length.toLocaleString();
    const waits = jobs.map(waited).filter((each) => each !== null).sort((a, b) => a - b);
    const cores = element("td", load.there === null ? "" : undefined);
    if (load.there !== null) {
      const meter = element("progress");
      [meter.max, meter.value] = [Math.max(1, load.there), load.taken];
      cores.append(meter, `${load.taken} of ${load.there}`);
    }
    const row = element("tr");
    row.append(element("td", load.name), element("td", load.running.toLocaleString(), "n"), element("td", load.queued.toLocaleString(), "n"), cores,
      element("td", count("DONE"), "n"), element("td", count("ERROR"), "n"), element("td", waits.length ? span(waits[waits.length >> 1]) : "", "n"));
    return row;
  }));
}

listen(refresh);

export function showBackends(is) {
  seen = is;
  refresh();
}
