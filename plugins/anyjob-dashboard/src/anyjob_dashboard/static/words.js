// Amounts and times for a person, as the command line writes them.
export const WAITING = new Set(["QUEUED", "INITIALIZING", "VALIDATING"]);

const two = (n) => String(n).padStart(2, "0");

export function span(seconds) {
  if (seconds === null) return "";
  if (seconds < 10) return seconds.toFixed(1) + "s";
  const n = Math.floor(seconds);
  if (n >= 86400) return Math.floor(n / 86400) + "d" + two(Math.floor((n % 86400) / 3600)) + "h";
  if (n >= 3600) return Math.floor(n / 3600) + "h" + two(Math.floor((n % 3600) / 60)) + "m";
  return n >= 60 ? Math.floor(n / 60) + "m" + two(n % 60) + "s" : n + "s";
}

export function size(bytes) {
  let unit = 0;
  while (bytes >= 1024 && unit < 4) { bytes /= 1024; unit += 1; }
  return (unit ? bytes.toFixed(1) : bytes) + " " + ["B", "KiB", "MiB", "GiB", "TiB"][unit];
}

// The time of day where that was today, else the day.
export function moment(seconds) {
  if (seconds === null) return "";
  const then = new Date(seconds * 1000), today = new Date().toDateString() === then.toDateString();
  return today ? `${two(then.getHours())}:${two(then.getMinutes())}:${two(then.getSeconds())}`
    : `${then.getFullYear()}-${two(then.getMonth() + 1)}-${two(then.getDate())}`;
}

export function waited(job) {
  return job.started === null ? null : Math.max(0, job.started - job.submitted);
}

export function ran(job, now) {
  if (job.started === null || (job.finished === null && job.state !== "RUNNING")) return null;
  return Math.max(0, (job.finished === null ? now : job.finished) - job.started);
}
