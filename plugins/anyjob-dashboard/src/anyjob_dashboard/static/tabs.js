// Which view is seen; each draws only while it is.
import { byId, element } from "./dom.js";
import { showBackends } from "./backends.js";
import { showGraph } from "./graph.js";
import { showTimeline } from "./timeline.js";

const TABS = [["jobs", "Jobs", () => {}], ["timeline", "Timeline", showTimeline], ["backends", "Backends", showBackends], ["graph", "Graph", showGraph]];

function choose(name) {
  for (const [id, , show] of TABS) {
    byId(id).hidden = id !== name;
    byId(`tab-${id}`).setAttribute("aria-pressed", String(id === name));
    show(id === name);
  }
  dispatchEvent(new Event("resize"));
}

for (const [id, word] of TABS) {
  const tab = element("button", word, "plain");
  tab.type = "button";
  tab.id = `tab-${id}`;
  tab.addEventListener("click", () => choose(id));
  byId("tabs").append(tab);
}
choose("jobs");
