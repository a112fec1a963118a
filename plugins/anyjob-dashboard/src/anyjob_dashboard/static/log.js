// What a job writes: the last of it at first, what follows as it comes, and what was before when asked for.
import { element, write } from "./dom.js";
import { get } from "./ask.js";

const PART = 65536, MOST = 2000000, SOONEST = 400, LATEST = 2000;

export class Log {
  constructor(id, live) {
    Object.assign(this, { id, live, stream: "stdout", begin: 0, end: null, timer: 0, pause: SOONEST, closed: false, run: 0, chosen: false });
    this.pre = element("pre", "");
    this.pre.tabIndex = 0;
    this.earlier = button("earlier", () => this.before());
    this.tabs = ["stdout", "stderr"].map((name) => button(name, () => { this.chosen = true; this.choose(name); }));
    const tabs = element("div", undefined, "buttons");
    tabs.append(...this.tabs, this.earlier);
    this.node = element("div", undefined, "log");
    this.node.append(tabs, this.pre);
    this.choose("stdout");
  }

  choose(stream) {
    Object.assign(this, { stream, begin: 0, end: null, run: this.run + 1, pause: SOONEST });
    this.tabs.forEach((tab) => tab.setAttribute("aria-pressed", String(tab.textContent === stream)));
    write(this.pre, "");
    this.earlier.hidden = true;
    this.more();
  }

  // It has failed: what it said of that is shown, if it said something, unless the reader has chosen.
  async failed() {
    if (this.chosen || this.stream !== "stdout") return;
    const said = await get(`/jobs/${this.id}/log?stream=stderr&size=1`);
    if (said !== null && said.end > 0 && !this.closed && !this.chosen) this.choose("stderr");
  }

  async more() {
    clearTimeout(this.timer);
    const run = this.run, first = this.end === null;
    const part = await get(`/jobs/${this.id}/log?stream=${this.stream}` + (first ? "" : `&begin=${this.end}&size=${PART}`));
    if (this.closed || run !== this.run || part === null) return;
    if (first) { this.begin = part.begin; this.earlier.hidden = part.begin === 0; }
    const below = this.pre.scrollHeight - this.pre.scrollTop - this.pre.clientHeight < 30;
    if (part.trouble) this.pre.append(`[${part.trouble}]\n`);
    if (part.text) this.append(part.text);
    if (first && !this.pre.textContent && !this.live()) write(this.pre, `[it has written nothing to ${this.stream}]`);
    if (below) this.pre.scrollTop = this.pre.scrollHeight;
    const came = part.end > (this.end ?? -1) && !first;
    this.end = part.end;
    this.pause = came ? SOONEST : Math.min(LATEST, this.pause * 1.3);
    // A full part: there is more. Else as long as it may write; what hides the page stops it.
    if (came || this.live()) this.timer = setTimeout(() => (document.hidden ? this.wait() : this.more()), came ? 50 : this.pause);
  }

  append(text) {
    this.pre.append(text);
    while (this.pre.textContent.length > MOST && this.pre.childNodes.length > 1) {
      this.pre.firstChild.remove();
      this.earlier.hidden = true;  // what is left out here is not asked for again
    }
  }

  async before() {
    const run = this.run, from = Math.max(0, this.begin - PART);
    const part = await get(`/jobs/${this.id}/log?stream=${this.stream}&begin=${from}&size=${this.begin - from}`);
    if (this.closed || run !== this.run || part === null) return;
    this.pre.prepend(part.text);
    this.begin = from;
    this.earlier.hidden = from === 0;
  }

  wait() {
    document.addEventListener("visibilitychange", () => { if (!this.closed) this.more(); }, { once: true });
  }

  close() {
    this.closed = true;
    clearTimeout(this.timer);
  }
}

function button(text, call) {
  const made = element("button", text, "plain");
  made.type = "button";
  made.addEventListener("click", call);
  return made;
}
