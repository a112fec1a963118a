// What there is to see: all that the server has told, and who wants to hear when it has told more.
export const store = { jobs: new Map(), order: [], counts: {}, counted: false, trouble: "", live: false, behind: 0 };
const listeners = new Set();

export const now = () => Date.now() / 1000 + store.behind;
export const listen = (call) => listeners.add(call);

export function connect() {
  const source = new EventSource("/events");
  source.onopen = () => { store.jobs.clear(); tell(true); };
  source.onerror = () => tell(false);
  source.onmessage = (event) => { take(JSON.parse(event.data)); tell(true); };
}

function take(update) {
  for (const id of update.gone) store.jobs.delete(id);
  for (const job of update.jobs) {
    job.words = [job.id, job.name, job.state, job.reason, job.backend, job.host, job.work, job.tags].join("\n").toLowerCase();
    store.jobs.set(job.id, job);
  }
  store.order = [...store.jobs.values()].sort((a, b) => b.n - a.n);
  store.counted = update.counts !== null;
  store.counts = update.counts || {};
  store.trouble = update.trouble;
  store.behind = update.now - Date.now() / 1000;
}

function tell(live) {
  store.live = live;
  for (const call of listeners) call();
}
