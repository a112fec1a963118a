"use strict";
// All text is data of the page, made harmless before it came here, and is shown by textContent alone.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const text = data.text, jobs = data.jobs, columns = data.columns;
  const show = { text: (v) => text[v], span: (v) => (v === null ? "" : span(v)), number: (v) => (v === null ? "" : String(v)),
    percent: (v) => (v === null ? "" : Math.round(v * 100) + " %"), size: (v) => (v === null ? "" : size(v)) };

  function span(s) {
    if (s < 10) return s.toFixed(1) + "s";
    const n = Math.floor(s), two = (v) => String(v).padStart(2, "0");
    if (n >= 86400) return Math.floor(n / 86400) + "d" + two(Math.floor((n % 86400) / 3600)) + "h";
    if (n >= 3600) return Math.floor(n / 3600) + "h" + two(Math.floor((n % 3600) / 60)) + "m";
    return n >= 60 ? Math.floor(n / 60) + "m" + two(n % 60) + "s" : n + "s";
  }
  function size(b) {
    let unit = 0;
    while (b >= 1024 && unit < 4) { b /= 1024; unit += 1; }
    return (unit ? b.toFixed(1) : b) + " " + ["B", "KiB", "MiB", "GiB", "TiB"][unit];
  }
  function element(name, content, cls) {
    const made = document.createElement(name);
    if (content !== undefined) made.textContent = content;
    if (cls) made.className = cls;
    return made;
  }

  // --- the table of all jobs ---
  const MOST = 500, head = document.querySelector("#jobs thead"), body = document.querySelector("#jobs tbody");
  const said = document.getElementById("said"), search = document.getElementById("search");
  const haystack = jobs.map((row) => columns.map((c, i) => (c.form === "text" ? text[row[i]] : "")).join("\n").toLowerCase());
  const ofState = columns.findIndex((c) => c.name === "state");
  let order = jobs.map((_, i) => i), sorted = -1, down = false;

  function draw() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const found = order.filter((i) => words.every((w) => haystack[i].includes(w)));
    const rows = document.createDocumentFragment();
    for (const i of found.slice(0, MOST)) {
      const line = element("tr");
      columns.forEach((c, k) => {
        const told = show[c.form](jobs[i][k]);
        const cell = element("td", told, c.form === "text" ? (c.name === "id" ? "id" : k === ofState ? told : "") : "n");
        cell.title = told;
        line.append(cell);
      });
      rows.append(line);
    }
    body.replaceChildren(rows);
    const more = found.length > MOST ? ", of which the first " + MOST + " are shown" : "";
    said.textContent = found.length + " of " + jobs.length + " jobs" + more;
  }
  const titles = element("tr");
  columns.forEach((c, k) => {
    const title = element("th", c.name, c.form === "text" ? "" : "n");
    title.addEventListener("click", () => {
      down = sorted === k ? !down : false;
      sorted = k;
      const key = (i) => (c.form === "text" ? text[jobs[i][k]] : jobs[i][k] === null ? -1 : jobs[i][k]);
      order.sort((a, b) => { const x = key(a), y = key(b); return (x < y ? -1 : x > y ? 1 : a - b) * (down ? -1 : 1); });
      draw();
    });
    titles.append(title);
  });
  head.replaceChildren(titles);
  let pause = 0;
  search.addEventListener("input", () => { clearTimeout(pause); pause = setTimeout(draw, 60); });
  try { search.value = decodeURIComponent(location.hash.slice(1)); } catch { search.value = ""; }
  draw();

  // --- what is under the pointer in the timeline ---
  const tip = document.getElementById("tip");
  for (const place of document.querySelectorAll(".place svg")) {
    const bars = data.bars[Number(place.dataset.place)];
    place.addEventListener("mousemove", (event) => {
      const at = Array.prototype.indexOf.call(place.children, event.target);
      if (at < 0) { tip.style.display = "none"; return; }
      const row = jobs[bars[at]];
      tip.textContent = columns.slice(0, 7).map((c, k) => show[c.form](row[k])).filter(Boolean).join("  ");
      tip.style.display = "block";
      tip.style.left = Math.min(event.clientX + 12, innerWidth - tip.offsetWidth - 8) + "px";
      tip.style.top = event.clientY + 14 + "px";
    });
    place.addEventListener("mouseleave", () => { tip.style.display = "none"; });
    place.addEventListener("click", (event) => {
      const at = Array.prototype.indexOf.call(place.children, event.target);
      if (at >= 0) { search.value = text[jobs[bars[at]][0]]; draw(); search.scrollIntoView(); }
    });
  }
})();
