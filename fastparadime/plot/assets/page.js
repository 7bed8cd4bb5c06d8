"use strict";
// What is around the map: the list of classes, the colour bar, and who listens to keys and buttons.

const LISTED_CLASSES = 2000;

function listClasses(view) {
  const { header } = view;
  if (!header.classes) return;
  const counts = header.colors.map(() => 0);
  for (const code of view.codes) counts[code]++;
  const boxes = [];
  const refresh = () => {
    boxes.forEach((box, code) => {
      box.checked = view.on[code];
      box.closest("li").classList.toggle("off", !view.on[code]);
    });
    view.filter();
  };
  const set = (choose) => {
    view.on = view.on.map((_, code) => choose(code));
    refresh();
  };
  header.classes.slice(0, LISTED_CLASSES).forEach((name, code) => {
    const item = $("entries").appendChild(document.createElement("li"));
    const label = item.appendChild(document.createElement("label"));
    const box = label.appendChild(document.createElement("input"));
    const [swatch, text, count] = ["i", "span", "span"].map((tag) =>
      label.appendChild(document.createElement(tag)),
    );
    box.type = "checkbox";
    box.checked = true;
    box.addEventListener("change", () => set((other) => (other === code ? box.checked : view.on[other])));
    boxes.push(box);
    swatch.className = "swatch";
    swatch.style.background = header.colors[code];
    text.className = "name";
    text.textContent = text.title = name;
    count.className = "count";
    count.textContent = counts[code].toLocaleString("en");
    const only = item.appendChild(document.createElement("button"));
    only.type = "button";
    only.textContent = "only";
    only.setAttribute("aria-label", `Only ${name}`);
    only.addEventListener("click", () => set((other) => other === code));
  });
  const more = header.classes.length - LISTED_CLASSES;
  if (more > 0) {
    const item = $("entries").appendChild(document.createElement("li"));
    item.textContent = `and ${more.toLocaleString("en")} more, which the search finds`;
  }
  for (const button of $("all").children) {
    button.addEventListener("click", () => set(() => Boolean(button.dataset.all)));
  }
  $("classes").hidden = false;
}

function showScale({ scale, colors, unknown }) {
  if (!scale) return;
  $("low").textContent = number(scale[0]);
  $("high").textContent = number(scale[1]);
  $("bar").style.background = `linear-gradient(to top, ${colors.slice(0, 256).join(",")})`;
  $("unknown").hidden = unknown < 0;
  if (unknown >= 0) $("unknown").firstChild.style.background = colors[unknown];
  $("scale").hidden = false;
}

function listen(view) {
  let waiting = 0;
  $("query").addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => view.search($("query").value), 120);
  });
  const go = (steps) => {
    clearTimeout(waiting);
    if (view.query !== $("query").value.trim().toLowerCase()) view.search($("query").value);
    view.go(steps);
  };
  $("search").addEventListener("submit", (event) => event.preventDefault());
  $("query").addEventListener("keydown", (event) => {
    if (event.key === "Enter") go(event.shiftKey ? -1 : 1);
    if (event.key === "Escape") view.search(($("query").value = ""));
  });
  $("next").addEventListener("click", () => go(1));
  $("previous").addEventListener("click", () => go(-1));
  $("canvas").addEventListener("keydown", (event) => {
    if (!event.ctrlKey && !event.metaKey && !event.altKey && view.key(event.key)) event.preventDefault();
  });
  for (const button of $("zoom").children) {
    button.addEventListener("click", () => view.key(button.dataset.key));
  }
  $("search").hidden = !view.columns.length;
}

async function open() {
  if (typeof DecompressionStream === "undefined") throw new Error("this browser is older than 2023");
  const { header, read } = await unpack();
  const view = new MapView(header, read);
  listClasses(view);
  showScale(header);
  listen(view);
  await view.start();
  view.search("");
  globalThis.mapView = view; // for those who go on in the browser's console
  document.body.dataset.ready = "true";
}

open().catch((error) => {
  $("status").textContent = "";
  $("failure").textContent = `The map cannot be drawn here: ${error.message}. It needs a current browser with WebGL.`;
  $("failure").hidden = false;
});
