"use strict";
// The map: its points as regl-scatterplot draws them, the camera, what is told, found and filtered.

const DIMMED = 0.12; // opacity of what a search does not find

class MapView {
  constructor(header, read) {
    this.header = header;
    this.n = header.n;
    this.codes = header.codes ? read(header.codes) : new Uint8Array(this.n);
    this.rows = header.rows ? read(header.rows) : null;
    this.columns = header.columns.map((found) => column(found, read));
    this.order = drawingOrder(this.n, this.codes, header.unknown);
    this.on = header.colors.map(() => true);
    this.hits = []; // of what the classes that are on hold; points by their place in the drawing
    this.hit = -1;
    this.pinned = null;
    this.positions = this.normalised(read(header.positions));
  }

  // The view's box becomes the square of [-1, 1], as the library wants it; strays lie outside.
  normalised(stored) {
    const { low, step, view } = this.header;
    const half = Math.max(view[1] - view[0], view[3] - view[2]) / 2 || 1;
    const middle = [(view[0] + view[1]) / 2, (view[2] + view[3]) / 2];
    this.extent = [(view[1] - view[0]) / 2 / half, (view[3] - view[2]) / 2 / half];
    const [x, y] = [0, 1].map((axis) => {
      const values = new Float32Array(this.n);
      for (let i = 0; i < this.n; i++) {
        const place = low[axis] + step[axis] * stored[2 * this.order[i] + axis];
        values[i] = (place - middle[axis]) / half;
      }
      return values;
    });
    return { x, y };
  }

  async start() {
    const { colors, ink } = this.header;
    this.plot = reglScatterplot.default({
      canvas: $("canvas"),
      backgroundColor: this.header.background,
      colorBy: "z",
      pointColor: colors,
      pointColorActive: colors,
      pointColorHover: ink,
      pointSize: this.pointSize(),
      pointSizeSelected: 2,
      opacity: this.header.opacity,
      actionKeyMap: { lasso: "shift" },
      deselectOnDblClick: false,
      deselectOnEscape: false,
      lassoColor: "#1a73e8",
      spatialIndexUseWorker: false, // copying the points to a worker takes longer
      cameraDistance: this.distance(),
    });
    const z = Float32Array.from(this.order, (row) => this.codes[row]);
    this.plot.subscribe("pointOver", (i) => this.pinned === null && this.tell(i));
    this.plot.subscribe("pointOut", () => this.pinned === null && this.hush());
    this.plot.subscribe("select", ({ points }) => this.selected(points));
    this.plot.subscribe("deselect", () => this.unpin());
    this.plot.subscribe("view", () => this.place());
    await this.plot.draw({ ...this.positions, z }, { zDataType: "categorical" });
    addEventListener("resize", () => this.plot.set({ pointSize: this.pointSize() }));
  }

  // As large as leaves gaps where the map is as dense as it is on the whole.
  pointSize() {
    const side = Math.min($("map").clientWidth, $("map").clientHeight);
    const size = 0.75 * side * Math.sqrt(this.header.filled / this.n);
    return this.header.size ?? Math.min(Math.max(size, 1.5), 9);
  }

  distance() {
    const aspect = $("map").clientWidth / $("map").clientHeight;
    return 1.06 * Math.max(this.extent[1], this.extent[0] / aspect) || 1;
  }

  look(place, distance, transitionDuration = 150) {
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches || !transitionDuration;
    this.aim = { place, distance, until: performance.now() + (still ? 0 : transitionDuration) };
    return this.plot.zoomToLocation(place, distance, { transition: !still, transitionDuration });
  }

  // Where the camera is, or is on its way to.
  camera() {
    if (this.aim && performance.now() < this.aim.until) return this.aim;
    return { place: this.plot.get("cameraTarget"), distance: this.plot.get("cameraDistance") };
  }

  showAll() {
    return this.look([0, 0], this.distance(), 400);
  }

  pan(dx, dy) {
    const { place, distance } = this.camera();
    return this.look([place[0] + dx * distance, place[1] + dy * distance], distance);
  }

  zoom(factor) {
    const { place, distance } = this.camera();
    return this.look(place, distance * factor);
  }

  key(key) {
    const actions = {
      ArrowLeft: () => this.pan(-0.2, 0), ArrowRight: () => this.pan(0.2, 0),
      ArrowUp: () => this.pan(0, 0.2), ArrowDown: () => this.pan(0, -0.2),
      "+": () => this.zoom(1 / 1.5), "=": () => this.zoom(1 / 1.5), "-": () => this.zoom(1.5),
      0: () => this.showAll(), Home: () => this.showAll(), Escape: () => this.unpin(),
    };
    actions[key]?.();
    return key in actions;
  }

  // The tooltip of the i-th point that was drawn.
  tell(i) {
    const row = this.order[i];
    const list = document.createElement("dl");
    const entries = this.columns.map(({ name, at }) => [name, at(row)]);
    entries.push(["row", String(this.rows ? this.rows[row] : row)]);
    for (const [name, text] of entries) {
      if (text === "") continue;
      const [term, value] = ["dt", "dd"].map((tag) => list.appendChild(document.createElement(tag)));
      term.textContent = name;
      value.textContent = text;
      if (text.length > 80) value.className = "long";
    }
    $("tooltip").replaceChildren(list);
    $("tooltip").hidden = false;
    this.told = i;
    this.place();
  }

  // Beside its point, and within the map.
  place() {
    if ($("tooltip").hidden) return;
    const [x, y] = this.plot.getScreenPosition(this.told) ?? [0, 0];
    const { offsetWidth: width, offsetHeight: height } = $("tooltip");
    const [right, bottom] = [$("map").clientWidth, $("map").clientHeight];
    const left = x + 14 + width > right ? x - 14 - width : x + 14;
    const top = Math.min(Math.max(y - height / 2, 4), bottom - height - 4);
    $("tooltip").style.transform = `translate(${Math.max(left, 4)}px, ${Math.max(top, 4)}px)`;
  }

  hush() {
    $("tooltip").hidden = true;
  }

  selected(points) {
    if (points.length === 1) {
      this.pinned = points[0];
      $("tooltip").classList.add("pinned");
      this.tell(this.pinned);
    } else {
      $("status").textContent = `${points.length.toLocaleString("en")} points selected`;
    }
  }

  unpin() {
    this.pinned = null;
    $("tooltip").classList.remove("pinned");
    this.hush();
    this.mark();
  }

  // Which points are drawn, by the classes that are on; a search then marks among them.
  filter() {
    this.unpin();
    if (this.on.every(Boolean)) this.plot.unfilter({ preventEvent: true });
    else this.plot.filter(this.drawn(() => true), { preventEvent: true });
    this.search(this.query ?? "");
  }

  drawn(test) {
    const found = [];
    for (let i = 0; i < this.n; i++) {
      const row = this.order[i];
      if (this.on[this.codes[row]] && test(row)) found.push(i);
    }
    return found;
  }

  search(query) {
    this.query = query.trim().toLowerCase();
    this.hit = -1;
    const tests = this.columns.map(({ matching }) => matching(this.query));
    this.hits = this.query ? this.drawn((row) => tests.some((test) => test(row))) : [];
    this.hits.sort((a, b) => this.order[a] - this.order[b]);
    this.unpin();
    this.report();
  }

  mark() {
    this.plot.set({ opacityInactiveScale: this.query ? DIMMED : 1 });
    if (this.hits.length) this.plot.select(this.hits, { preventEvent: true });
    else this.plot.deselect({ preventEvent: true });
  }

  report() {
    const shown = this.drawn(() => true).length;
    const [hits, points] = [this.hits.length, shown].map((count) => count.toLocaleString("en"));
    const where = this.hit < 0 ? "" : `, at ${this.hit + 1}`;
    $("status").textContent = this.query
      ? `${hits} of ${points} points found${where}`
      : `${points} points${shown < this.n ? ` of ${this.n.toLocaleString("en")}` : ""}`;
    $("next").disabled = $("previous").disabled = !hits || !this.hits.length;
  }

  async go(steps) {
    if (!this.hits.length) return;
    const count = this.hits.length;
    this.hit = this.hit < 0 && steps < 0 ? count - 1 : (this.hit + steps + count) % count;
    this.report();
    const i = this.hits[this.hit];
    const place = [this.positions.x[i], this.positions.y[i]];
    const distance = Math.min(this.plot.get("cameraDistance"), this.distance() / 2);
    await this.look(place, distance, 400);
    this.plot.hover(i, { preventEvent: true });
    this.tell(i);
  }
}
