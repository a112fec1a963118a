// When all jobs will have ended, if they go on as those of the same name went: anyjob.views.forecast, which says how.
import { ran, WAITING } from "./words.js";

const mean = (some) => some.reduce((a, b) => a + b, 0) / some.length;

export function timeToGo(jobs, now) {
  const took = new Map(), open = [], all = [];
  const add = (name, seconds) => { if (took.has(name)) took.get(name).push(seconds); else took.set(name, [seconds]); };
  for (const job of jobs) {
    const seconds = ran(job, now);
    if (job.state === "DONE" && seconds !== null) { all.push(seconds); add(job.name, seconds); }
    else if (job.state === "RUNNING" || WAITING.has(job.state)) open.push([job.name, job.state === "RUNNING" ? seconds || 0 : 0, job.state]);
  }
  if (!all.length || !open.length) return null;
  const ofAll = mean(all);
  for (const [name, seconds] of open) if (seconds > ofAll) add(name, seconds);
  const usual = new Map([...took].map(([name, some]) => [name, mean(some)]));
  const left = open.map(([name, seconds]) => { const each = usual.get(name) ?? ofAll; return seconds < each ? each - seconds : seconds / 2; });
  const width = open.filter(([, , state]) => state === "RUNNING").length;
  return Math.max(left.reduce((a, b) => Math.max(a, b), 0), left.reduce((a, b) => a + b, 0) / Math.max(1, width));
}
