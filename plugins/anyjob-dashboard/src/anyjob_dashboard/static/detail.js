// The job that is selected: why it is where it is, what can be done, what is known of it, and what it writes.
import { act, get } from "./ask.js";
import { byId, element, write } from "./dom.js";
import { select, whenSelected } from "./jobs.js";
import { Log } from "./log.js";
import { listen, store } from "./store.js";
import { moment, size, span, WAITING } from "./words.js";

const panel = byId("detail");
const SURE = new Set(["cancel", "rerun"]);
let id = "", log = null, seen = null, parts = {};

const FINAL = new Set(["DONE", "ERROR", "CANCELLED"]);
const job = () => store.jobs.get(id);

function actions(state, reason) {
  if (FINAL.has(state)) return ["rerun"];
  if (state === "RUNNING") return [reason === "paused" ? "resume" : "pause", "cancel"];
  return [reason === "held" ? "release" : "hold", "cancel"];
}

function open(next) {
  if (log) log.close();
  [id, log, seen] = [next, null, null];
  panel.hidden = !id;
  panel.replaceChildren();
  if (!id) return;
  parts = { state: element("span", "", "state"), title: element("h2", ""), close: element("button", "close", "plain"), buttons: element("div", undefined, "buttons"),
    why: element("div", undefined, "why"), facts: element("dl") };
  parts.close.type = "button";
  parts.close.addEventListener("click", () => select(""));
  const top = element("div", undefined, "top");
  top.append(parts.title, parts.state, parts.close);
  log = new Log(id, () => job() !== undefined && !FINAL.has(job().state));
  panel.append(top, parts.buttons, parts.why, log.node, parts.facts);
  refresh();
}

async function refresh() {
  const asked = id;
  seen = job();
  const found = await get(`/jobs/${id}`);
  if (found === null || asked !== id) return;
  write(parts.title, found.name || found.job_id.slice(0, 8));
  write(parts.state, found.state.toLowerCase() + (found.reason ? ` (${found.reason})` : ""));
  parts.state.className = `state ${found.state}`;
  log.node.hidden = WAITING.has(found.state) || found.reason === "dependency";
  if (found.state === "ERROR") log.failed();
  parts.buttons.replaceChildren(...actions(found.state, found.reason).map(button));
  explain(found);
  parts.facts.replaceChildren(...facts(found).flatMap(([name, text]) => [element("dt", name), element("dd", text)]));
}

function button(action) {
  const made = element("button", action === "rerun" ? "run anew" : action, "plain");
  const text = made.textContent;
  made.type = "button";
  made.addEventListener("click", () => {
    if (SURE.has(action) && !made.classList.contains("sure")) {
      made.classList.add("sure");
      write(made, `${text}: sure?`);
      setTimeout(() => { made.classList.remove("sure"); write(made, text); }, 4000);
      return;
    }
    made.disabled = true;
    act(action, [id]).finally(() => { made.disabled = false; refresh(); });
  });
  return made;
}

function explain(found) {
  parts.why.className = `why ${found.state}`;
  const told = [element("p", `It ${found.headline}.`)];
  const list = (texts, cls) => { const made = element("ul", undefined, cls); made.append(...texts.map((text) => element("li", text))); return made; };
  if (found.why.length) told.push(list(found.why));
  if (found.ways_out.length) told.push(element("p", "What can be done:", "dim"), list(found.ways_out, "dim"));
  parts.why.replaceChildren(...told);
}

function counted(lines) {
  const times = new Map();
  for (const line of lines) times.set(line, (times.get(line) || 0) + 1);
  return [...times].map(([line, n]) => (n > 1 ? `${line} (${n})` : line)).join("\n");
}

function facts(found) {
  const values = (held) => Object.entries(held || {}).map(([key, value]) => `${key}=${typeof value === "object" ? JSON.stringify(value) : value}`).join(" ");
  const took = found.started !== null && found.finished !== null ? ` (${span(Math.max(0, found.finished - found.started))})` : "";
  const all = [
    ["id", found.job_id], ["work", found.work], ["parameters", values(found.parameters)], ["tags", values(found.tags)], ["asked for", values(found.resources)],
    ["backend", `${found.backend} (${found.backend_type})`], ["native id", found.native_id], ["host", found.host],
    ["submitted", moment(found.submitted)], ["started", moment(found.started)], ["finished", moment(found.finished) + took],
    ["place in queue", found.queue_position], ["attempt", found.attempt > 1 ? found.attempt : null], ["exit code", found.exit_code], ["signal", found.signal],
    ["cpu time", found.cpu_time === null ? null : span(found.cpu_time)], ...[["peak memory", found.peak_memory], ["peak GPU memory", found.peak_gpu_memory], ["read", found.read_bytes], ["written", found.written_bytes]].map(([name, bytes]) => [name, bytes === null ? null : size(bytes)]),
    ["starts after", counted(found.prerequisites.map((one) => `${one.name || one.job_id.slice(0, 8)}: ${one.status.toLowerCase()}`))],
    ["runs anew", found.rerun_of], ["run anew as", found.superseded_by], ["cwd", found.cwd], ["directory", found.spool], ["traceback", found.traceback],
  ];
  return all.filter(([, value]) => value !== null && value !== undefined && value !== "").map(([name, value]) => [name, String(value)]);
}

whenSelected(open);
listen(() => {
  if (!id || job() === seen) return;
  refresh();
  if (log) log.more();
});
