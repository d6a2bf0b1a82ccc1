// Draws a map on a canvas: streets, closures, ways, robots. Knows pixels and places, nothing of the server.

const THIN = /foot|path|steps|corridor|pedestrian|cycle|track/;
const LIMIT = 1.6;         // most zoom steps a wheel turn makes

/** The view of one map. `look` is called when another part of the map may be in sight. */
export class View {
  constructor(canvas, about, look) {
    Object.assign(this, { canvas, about, look, lines: null, ways: [], marks: [], robots: [] });
    const style = getComputedStyle(canvas.parentElement.parentElement);
    this.colour = (name) => style.getPropertyValue(`--${name}`).trim();
    const [south, west, north, east] = about.bounds;
    this.aspect = about.frame === "wgs84" ? Math.cos(((south + north) / 2) * Math.PI / 180) : 1;
    this.metre = about.frame === "wgs84" ? 1 / 111_195 : 1;    // one metre in units of y
    new ResizeObserver(() => this.resize()).observe(canvas);
    this.whole = { x: (west + east) / 2, y: (south + north) / 2, width: Math.max((east - west) * this.aspect, this.metre),
                   height: Math.max(north - south, this.metre) };
    this.resize();
    this.fit();
  }

  resize() {
    const dpr = devicePixelRatio || 1;
    this.w = this.canvas.clientWidth;
    this.h = this.canvas.clientHeight;
    this.canvas.width = Math.round(this.w * dpr);
    this.canvas.height = Math.round(this.h * dpr);
    this.look();
    this.draw();
  }

  /** Show the whole map. */
  fit() {
    this.x = this.whole.x;
    this.y = this.whole.y;
    this.scale = 0.92 * Math.min(this.w / this.whole.width, this.h / this.whole.height) || 1;    // pixels in one unit of y
    this.look();
    this.draw();
  }

  /** Pixel of a place. */
  pixel(x, y) {
    return [this.w / 2 + (x - this.x) * this.aspect * this.scale, this.h / 2 - (y - this.y) * this.scale];
  }

  /** Place of a pixel. */
  place(px, py) {
    return [this.x + (px - this.w / 2) / (this.aspect * this.scale), this.y - (py - this.h / 2) / this.scale];
  }

  /** The box in sight as [south, west, north, east], with a margin for small moves. */
  box(margin = 0.25) {
    const [west, north] = this.place(-this.w * margin, -this.h * margin);
    const [east, south] = this.place(this.w * (1 + margin), this.h * (1 + margin));
    return [south, west, north, east];
  }

  pan(dx, dy) {
    this.x -= dx / (this.aspect * this.scale);
    this.y += dy / this.scale;
    this.look();
    this.draw();
  }

  /** Zoom by a factor with the place under a pixel kept there. */
  zoom(factor, px = this.w / 2, py = this.h / 2) {
    const [x, y] = this.place(px, py);
    const farthest = 0.3 * Math.min(this.w / this.whole.width, this.h / this.whole.height);
    this.scale = Math.min(Math.max(this.scale * factor, farthest), 40 / this.metre);
    const [qx, qy] = this.pixel(x, y);
    this.pan(px - qx, py - qy);
  }

  /** Take the lines of the server's answer to "draw". */
  take(told) {
    const paths = { street: new Path2D(), thin: new Path2D(), shut: new Path2D(), wall: new Path2D() };
    const closed = new Set(told.closed);
    // In units from the origin, so that a move of the view needs a transform and no new paths.
    let at = 0;
    told.counts.forEach((count, i) => {
      const kind = this.about.kinds[told.kinds[i]];
      const path = closed.has(i) ? paths.shut : kind === "wall" ? paths.wall : THIN.test(kind) ? paths.thin : paths.street;
      path.moveTo(told.points[at], told.points[at + 1]);
      for (const end = at + 2 * count; (at += 2) < end;) path.lineTo(told.points[at], told.points[at + 1]);
    });
    this.lines = { paths, unit: told.unit, origin: told.origin };
    this.draw();
  }

  /** Draw in the next frame. */
  draw() {
    this.frame ??= requestAnimationFrame(() => { this.frame = null; this.paint(); });
  }

  paint() {
    const c = this.canvas.getContext("2d");
    const dpr = devicePixelRatio || 1;
    c.setTransform(dpr, 0, 0, dpr, 0, 0);
    c.fillStyle = this.colour("ground");
    c.fillRect(0, 0, this.w, this.h);
    c.lineJoin = c.lineCap = "round";
    const floor = this.about.kinds[0] === "wall";
    const wide = Math.min(Math.max((floor ? 0.4 : 4) * this.scale * this.metre, 1.2), 9);
    if (this.lines) {
      this.fill(c, "wall");
      this.stroke(c, "thin", wide * 0.7);
      this.stroke(c, "street", wide);
      this.stroke(c, "shut", wide + 3, [wide * 2, wide + 4]);
    }
    for (const way of [...this.ways].reverse()) this.way(c, way, wide);
    for (const mark of this.marks) this.mark(c, mark);
    for (const robot of this.robots) this.robot(c, robot);
  }

  /** Lines of the map as a path in pixels. */
  moved(name) {
    const { paths, unit, origin } = this.lines;
    const [ox, oy] = this.pixel(origin[0], origin[1]);
    const sx = unit * this.aspect * this.scale, sy = unit * this.scale;
    const path = new Path2D();
    path.addPath(paths[name], new DOMMatrix([sx, 0, 0, -sy, ox, oy]));
    return path;
  }

  fill(c, name) {
    const path = this.moved(name);
    c.fillStyle = c.strokeStyle = this.colour(name);
    c.lineWidth = 1;
    c.fill(path, "evenodd");
    c.stroke(path);
  }

  stroke(c, name, width, dash = []) {
    const moved = this.moved(name);
    c.setLineDash(dash);
    c.lineWidth = width;
    c.strokeStyle = this.colour(name);
    c.stroke(moved);
    c.setLineDash([]);
  }

  way(c, way, wide) {
    c.beginPath();
    for (const [x, y] of way.points) c.lineTo(...this.pixel(x, y));
    c.strokeStyle = "#ffffff";
    c.lineWidth = wide + 7;
    c.stroke();
    c.strokeStyle = this.colour(way.best ? "route" : "other");
    c.lineWidth = wide + 3;
    c.stroke();
  }

  mark(c, { x, y, letter }) {
    const [px, py] = this.pixel(x, y);
    this.disc(c, px, py, 14, this.colour("route"));
    c.fillStyle = "#ffffff";
    c.font = "600 15px system-ui, sans-serif";
    c.textAlign = "center";
    c.textBaseline = "middle";
    c.fillText(letter, px, py + 1);
  }

  robot(c, { x, y, name }) {
    const [px, py] = this.pixel(x, y);
    c.fillStyle = this.colour("robot");
    c.strokeStyle = "#ffffff";
    c.lineWidth = 3;
    c.beginPath();
    c.roundRect(px - 10, py - 10, 20, 20, 5);    // square, so that robots differ from marks by their shape, too
    c.fill();
    c.stroke();
    c.font = "600 13px system-ui, sans-serif";
    c.textAlign = "left";
    c.textBaseline = "middle";
    c.strokeText(name, px + 15, py);
    c.fillText(name, px + 15, py);
  }

  disc(c, px, py, radius, colour) {
    c.fillStyle = colour;
    c.strokeStyle = "#ffffff";
    c.lineWidth = 3;
    c.beginPath();
    c.arc(px, py, radius, 0, 2 * Math.PI);
    c.fill();
    c.stroke();
  }
}

/** Drag, wheel, pinch and keys move the view; a press without a move calls `pressed(x, y)` with the place. */
export function steer(view, pressed) {
  const { canvas } = view;
  const fingers = new Map();
  let far = 0;
  canvas.addEventListener("pointerdown", (event) => {
    if (!fingers.size) far = 0;
    fingers.set(event.pointerId, [event.offsetX, event.offsetY]);
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    const was = fingers.get(event.pointerId);
    if (!was) return;
    const now = [event.offsetX, event.offsetY];
    const other = [...fingers].find(([id]) => id !== event.pointerId)?.[1];
    if (other) view.zoom(distance(now, other) / Math.max(distance(was, other), 1), other[0], other[1]);
    else view.pan(now[0] - was[0], now[1] - was[1]);
    far += distance(was, now);
    fingers.set(event.pointerId, now);
  });
  const ended = (event) => {
    if (fingers.delete(event.pointerId) && !fingers.size && far < 6 && event.type === "pointerup") {
      pressed(...view.place(event.offsetX, event.offsetY));
    }
  };
  canvas.addEventListener("pointerup", ended);
  canvas.addEventListener("pointercancel", ended);
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    view.zoom(Math.min(Math.max(Math.exp(-event.deltaY / 300), 1 / LIMIT), LIMIT), event.offsetX, event.offsetY);
  }, { passive: false });
  canvas.addEventListener("keydown", (event) => {
    const moves = { ArrowLeft: [80, 0], ArrowRight: [-80, 0], ArrowUp: [0, 80], ArrowDown: [0, -80] };
    if (moves[event.key]) view.pan(...moves[event.key]);
    else if (event.key === "+" || event.key === "-") view.zoom(event.key === "+" ? 1.5 : 1 / 1.5);
    else if (event.key === "Enter") pressed(view.x, view.y);
    else return;
    event.preventDefault();
  });
}

const distance = (a, b) => Math.hypot(a[0] - b[0], a[1] - b[1]);
