"use strict";
// Everything that is shown is put in as text, never as markup, and nothing in it turns the text around it.
const picture = JSON.parse(document.getElementById("picture").textContent);
const svg = document.querySelector("svg");
const panel = document.querySelector("aside");
const search = document.querySelector("input");
const nodes = new Map(picture.nodes.map((node) => [node.id, node]));
const drawn = new Map([...svg.querySelectorAll(".node")].map((element) => [element.dataset.id, element]));
const ties = [...svg.querySelectorAll(".tie")];
let chosen = null;

function lit(ids) {
  // Shows these nodes and what they are tied to; everything else steps back. Null: shows all.
  svg.classList.toggle("dim", ids !== null);
  for (const element of [...drawn.values(), ...ties]) element.classList.remove("lit");
  if (ids === null) return;
  for (const id of ids) drawn.get(id).classList.add("lit");
  if (ids.length !== 1) return;
  for (const tie of ties) {
    if (tie.dataset.source !== ids[0] && tie.dataset.target !== ids[0]) continue;
    tie.classList.add("lit");
    for (const end of [tie.dataset.source, tie.dataset.target]) drawn.get(end).classList.add("lit");
  }
}

function element(name, text, parent) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text.replace(/(?!\n)[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, "�");
  if (parent) parent.append(made);
  return made;
}

function list(title, edges, other) {
  if (!edges.length) return;
  element("h3", title, panel);
  const all = element("ul", undefined, panel);
  for (const edge of edges) {
    const item = element("li", undefined, all);
    const button = element("button", nodes.get(edge[other]).name, item);
    button.addEventListener("click", () => { choose(edge[other]); drawn.get(edge[other]).focus(); });
    const how = { connect: "as ", order: "", mount: "at ", door: "" }[edge.kind] + edge.labels.join(", ");
    item.append(edge.labels.length ? ` ${how}` : "", edge.kind === "connect" && !edge.waits ? ", without waiting" : "");
  }
}

function choose(id) {
  if (chosen !== null) drawn.get(chosen).classList.remove("chosen");
  chosen = id;
  panel.hidden = id === null;
  if (id === null) return lit(null);
  drawn.get(id).classList.add("chosen");
  lit([id]);
  const node = nodes.get(id);
  panel.replaceChildren();
  const close = element("button", "×", panel);
  close.className = "close";
  close.setAttribute("aria-label", "close");
  close.addEventListener("click", () => choose(null));
  element("h2", node.name, panel);
  element("p", node.kind === "door" ? "front door" : node.kind === "model" ? "weights" : node.kind, panel).className = "kind";
  const facts = element("dl", undefined, panel);
  const told = [["state", node.state], ["starts", node.start ? `in step ${node.start}` : null], ...Object.entries(node.facts)];
  for (const [name, text] of told) {
    if (!text) continue;
    element("dt", name, facts);
    element("dd", text, facts);
  }
  const out = picture.edges.filter((edge) => edge.from === id);
  const into = picture.edges.filter((edge) => edge.to === id);
  list("Connects to", out.filter((edge) => edge.kind === "connect"), "to");
  list("Starts after", out.filter((edge) => edge.kind === "order"), "to");
  list("Mounts", out.filter((edge) => edge.kind === "mount"), "to");
  list("Opens", out.filter((edge) => edge.kind === "door"), "to");
  list("Needed by", into.filter((edge) => edge.kind !== "mount" && edge.kind !== "door"), "from");
  list("Mounted by", into.filter((edge) => edge.kind === "mount"), "from");
  list("Front doors", into.filter((edge) => edge.kind === "door"), "from");
  const [shape, cover] = [drawn.get(id).getBoundingClientRect(), panel.getBoundingClientRect()];
  const hidden = shape.right + 30 - cover.left;
  if (hidden > 0 && shape.bottom > cover.top && cover.left > innerWidth / 3) look([view[0] + hidden * scale(), view[1], view[2], view[3]]);
}

for (const [id, shape] of drawn) {
  shape.setAttribute("tabindex", "0");
  shape.setAttribute("role", "button");
  shape.setAttribute("aria-label", `${nodes.get(id).kind} ${nodes.get(id).name}`);
  shape.addEventListener("pointerenter", () => { if (chosen === null && !search.value) lit([id]); });
  shape.addEventListener("pointerleave", () => { if (chosen === null && !search.value) lit(null); });
  shape.addEventListener("keydown", (event) => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); choose(id); } });
}

search.addEventListener("input", () => {
  choose(null);
  const word = search.value.trim().toLowerCase();
  const found = picture.nodes.filter((node) => [node.name, ...Object.values(node.facts)].some((text) => text.toLowerCase().includes(word)));
  if (word) lit(found.map((node) => node.id));
  if (word && found.length === 1) choose(found[0].id);
});
addEventListener("keydown", (event) => {
  if (event.key === "Escape") { search.value = ""; choose(null); }
  if (event.key === "/" && document.activeElement !== search) { event.preventDefault(); search.focus(); }
});

// The view: what part of the picture is seen, as x, y, width, height.
const whole = svg.getAttribute("viewBox").split(" ").map(Number);
let view = [...whole];
function look(next) { view = next; svg.setAttribute("viewBox", view.join(" ")); }
function scale() { return Math.max(view[2] / svg.clientWidth, view[3] / svg.clientHeight); }
function at(event) {
  const box = svg.getBoundingClientRect();
  return [view[0] + view[2] / 2 + (event.clientX - box.left - box.width / 2) * scale(), view[1] + view[3] / 2 + (event.clientY - box.top - box.height / 2) * scale()];
}
function zoom(factor, [x, y]) {
  const by = Math.min(Math.max(factor, (whole[2] / 40) / view[2]), (whole[2] * 3) / view[2]);
  look([x - (x - view[0]) * by, y - (y - view[1]) * by, view[2] * by, view[3] * by]);
}
const middle = () => [view[0] + view[2] / 2, view[1] + view[3] / 2];
svg.addEventListener("wheel", (event) => { event.preventDefault(); zoom(Math.exp(event.deltaY * 0.0015), at(event)); }, { passive: false });
let held = null;
svg.addEventListener("pointerdown", (event) => { held = { x: event.clientX, y: event.clientY, view, moved: false, on: event.target.closest(".node") }; });
addEventListener("pointermove", (event) => {
  if (!held) return;
  const by = [event.clientX - held.x, event.clientY - held.y];
  if (!held.moved && Math.hypot(...by) < 4) return;
  held.moved = true;
  svg.classList.add("moving");
  look([held.view[0] - by[0] * scale(), held.view[1] - by[1] * scale(), held.view[2], held.view[3]]);
});
addEventListener("pointerup", () => {
  if (held && !held.moved) choose(held.on ? held.on.dataset.id : null);
  held = null;
  svg.classList.remove("moving");
});
document.getElementById("closer").addEventListener("click", () => zoom(0.75, middle()));
document.getElementById("further").addEventListener("click", () => zoom(1 / 0.75, middle()));
document.getElementById("all").addEventListener("click", () => look([...whole]));

if (nodes.has(decodeURIComponent(location.hash.slice(1)))) choose(decodeURIComponent(location.hash.slice(1)));
// A small picture is shown in its own size, with room around it.
const room = Math.max(1, Math.min(svg.clientWidth / whole[2], svg.clientHeight / whole[3]) / 1.6);
if (room > 1) { zoom(room, [whole[0] + whole[2] / 2, whole[1] + whole[3] / 2]); whole.splice(0, 4, ...view); }
