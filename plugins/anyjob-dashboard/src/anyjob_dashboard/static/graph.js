// What the selected job is tied to: each node below what it starts after.
import { get } from "./ask.js";
import { byId, write } from "./dom.js";
import { chosen, select, whenSelected } from "./jobs.js";
import { listen, store } from "./store.js";

const WIDE = 190, TALL = 44, ACROSS = 60, DOWN = 14, MOST = 300;
const said = byId("graph").querySelector("p"), place = byId("graph").querySelector(".drawing");
let seen = false, drawn = null;

function svg(name, attributes, text) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
  if (text !== undefined) made.textContent = text;
  return made;
}

// Returns how many steps each node is from the first: nodes come after what they start after.
export function levels(count, edges) {
  const level = new Array(count).fill(0);
  for (let n = 0; n < count; n += 1) for (const edge of edges) if (edge.to === n) level[n] = Math.max(level[n], level[edge.from] + 1);
  return level;
}

async function refresh() {
  if (!seen) return;
  const id = chosen();
  drawn = store.jobs.get(id);
  if (!id) { write(said, "Select a job in the list: here is what it starts after, and what starts after it."); place.replaceChildren(); return; }
  const found = await get(`/jobs/${id}/graph`);
  if (found === null || id !== chosen()) return;
  if (found.nodes.length > MOST) { write(said, `${found.nodes.length} kinds of jobs: too many to be drawn; see anyjob graph ${id.slice(0, 8)}`); place.replaceChildren(); return; }
  write(said, found.edges.length ? "Left of each job is what it starts after." : "It starts after no other job, and none starts after it.");
  place.replaceChildren(picture(found, id));
}

function picture({ nodes, edges }, id) {
  const level = levels(nodes.length, edges), used = [], at = nodes.map((_, n) => {
    used[level[n]] = (used[level[n]] || 0) + 1;
    return { x: level[n] * (WIDE + ACROSS) + 4, y: (used[level[n]] - 1) * (TALL + DOWN) + 4 };
  });
  const width = used.length * (WIDE + ACROSS), height = Math.max(...used) * (TALL + DOWN) + 8;
  const drawing = svg("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": "what starts after what" });
  for (const edge of edges) {
    const from = at[edge.from], to = at[edge.to], x = from.x + WIDE, y = from.y + TALL / 2, z = to.y + TALL / 2, mid = (x + to.x) / 2;
    const line = svg("path", { d: `M${x} ${y}C${mid} ${y} ${mid} ${z} ${to.x} ${z}`, class: edge.condition === "after" || edge.condition === "result" ? "" : "other" });
    line.append(svg("title", {}, edge.condition));
    drawing.append(line);
  }
  nodes.forEach((node, n) => {
    const { x, y } = at[n], group = svg("g", { class: node.jobs.includes(id) ? "picked" : "" });
    const cut = (text, most) => (text.length > most ? text.slice(0, most - 1) + "…" : text);
    group.append(svg("rect", { x, y, width: WIDE, height: TALL, rx: 6 }), svg("circle", { cx: x + 13, cy: y + 15, r: 4, class: node.state }),
      svg("text", { x: x + 24, y: y + 19 }, cut(node.title, 24)), svg("text", { x: x + 24, y: y + 35, class: "words" }, cut(node.words.toLowerCase(), 28)), svg("title", {}, `${node.title}\n${node.words}`));
    group.addEventListener("click", () => select(node.jobs[0]));
    drawing.append(group);
  });
  return drawing;
}

whenSelected(refresh);
listen(() => { if (seen && chosen() && store.jobs.get(chosen()) !== drawn) refresh(); });

export function showGraph(is) {
  seen = is;
  refresh();
}
