// A chart of scalars over training steps, drawn as SVG from the data beside it and drawn again whenever its view changes.

const SVG = "http://www.w3.org/2000/svg";
const TEXT_WIDTH = 7;
const TOP = 36;
const BOTTOM = 40;
const RIGHT = 14;
const MOST_DOTS = 40;

function element(name, attributes = {}, children = []) {
  const isSvg = ["svg", "g", "path", "line", "circle", "rect", "text", "title"].includes(name) || attributes.svg;
  const made = isSvg ? document.createElementNS(SVG, name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key !== "svg") made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

class Chart {
  constructor(figure, events) {
    const data = JSON.parse(figure.querySelector("script").textContent);
    this.figure = figure;
    this.title = data.title;
    this.yTitle = data.y;
    this.events = data.events ? events : [];
    this.lines = data.lines.map(unfold).filter((line) => line.from.length > 0);
    const firsts = this.lines.map((line) => line.from[0]);
    const lasts = this.lines.map((line) => line.to[line.to.length - 1]);
    this.all = [Math.min(...firsts), Math.max(...lasts)];
    this.focus = data.focus;
    this.view = data.focus ? [...data.focus] : [...this.all];
    this.kind = data.scale;
    this.isLogStep = false;
    this.smooth = 1;
    this.cursor = null;
    this.plot = figure.querySelector(".plot");
    this.stage = element("div", { class: "stage" });
    this.plot.append(this.stage);
    this.controls = new Controls(this);
    new ResizeObserver(() => this.draw()).observe(this.plot);
    this.draw();
  }

  /** Whether a value above zero is among the shown ones: a logarithmic axis has no other. */
  hasPositive() {
    return this.lines.some((line) => line.isShown && line.high.some((v) => v > 0 && Number.isFinite(v)));
  }

  setView(from, to) {
    const [first, last] = this.all;
    const least = Math.min(4, last - first);
    const extent = Math.max(least, Math.min(to - from, last - first));
    const start = Math.min(Math.max(from, first), last - extent);
    this.view = [start, start + extent];
    this.draw();
  }

  setCursor(step) {
    this.cursor = step === null ? null : Math.round(Math.min(Math.max(step, this.all[0]), this.all[1]));
    this.drawCursor();
    this.controls.read();
  }

  /** The steps that are recorded, of the line that has the most of them in view. */
  step(direction) {
    const longest = this.lines.reduce((a, b) => (b.from.length > a.from.length ? b : a));
    const at = this.cursor ?? this.view[0];
    const i = nearestBin(longest, at) + (this.cursor === null ? 0 : direction);
    const to = longest.from[Math.min(Math.max(i, 0), longest.from.length - 1)];
    this.setCursor(to);
    if (to < this.view[0] || to > this.view[1]) {
      const extent = this.view[1] - this.view[0];
      this.setView(to - extent / 2, to + extent / 2);
    }
  }

  x(step) {
    const place = (s) => (this.isLogStep ? Math.log10(s - this.all[0] + 1) : s);
    const [low, high] = this.view.map(place);
    const part = high > low ? (place(step) - low) / (high - low) : 0.5;
    return this.left + part * (this.width - this.left - RIGHT);
  }

  stepAt(x) {
    const part = (x - this.left) / (this.width - this.left - RIGHT);
    if (!this.isLogStep) return this.view[0] + part * (this.view[1] - this.view[0]);
    const [low, high] = this.view.map((s) => Math.log10(s - this.all[0] + 1));
    return 10 ** (low + part * (high - low)) - 1 + this.all[0];
  }

  y(height) {
    const part = (height - this.low) / (this.high - this.low);
    return this.height - BOTTOM - part * (this.height - BOTTOM - TOP);
  }

  /** Bins of a line that the view touches, and one more on each side where the line goes on. */
  range(line) {
    const from = Math.max(0, binAt(line, this.view[0]) - 1);
    const to = Math.min(line.from.length, binAt(line, this.view[1]) + 2);
    return [from, to];
  }

  /** The range of heights that holds every value in view. */
  fit() {
    const values = [];
    for (const line of this.lines.filter((shown) => shown.isShown)) {
      const [from, to] = [binAt(line, this.view[0]), binAt(line, this.view[1]) + 1];
      for (let i = from; i < Math.min(to, line.low.length); i += 1) {
        if (Number.isFinite(line.low[i])) values.push(line.low[i]);
        if (Number.isFinite(line.high[i]) && line.high[i] !== line.low[i]) values.push(line.high[i]);
      }
    }
    this.scale = makeScale(this.kind, values);
    const heights = values.map(this.scale.forward).filter(Number.isFinite);
    this.hidden = values.length - heights.length;
    let low = heights.reduce((a, b) => Math.min(a, b), Infinity);
    let high = heights.reduce((a, b) => Math.max(a, b), -Infinity);
    if (low > high) [low, high] = [0, 1];
    const room = high > low ? (high - low) * 0.04 : Math.max(Math.abs(high) * 0.5, 0.5);
    [this.low, this.high] = [low - room, high + room];
  }

  draw() {
    this.width = Math.max(240, this.plot.clientWidth);
    this.height = Math.round(Math.min(360, Math.max(230, this.width * 0.42)));
    this.fit();
    const ticks = ticksOf(this.scale, this.low, this.high, this.height - TOP - BOTTOM, 34);
    const labels = ticks.map(short);
    this.left = 14 + TEXT_WIDTH * Math.max(...labels.map((label) => label.length), 1);
    const svg = element("svg", { width: this.width, height: this.height, "aria-hidden": "true" });
    this.drawAxes(svg, ticks, labels);
    const name = `${this.figure.id}-plot`;
    const area = { x: this.left, y: TOP, width: this.width - this.left - RIGHT, height: this.height - TOP - BOTTOM };
    svg.append(element("clipPath", { svg: true, id: name }, [element("rect", area)]));
    const clip = element("g", { "clip-path": `url(#${name})` });
    for (const line of this.lines.filter((shown) => shown.isShown)) this.drawLine(clip, line);
    svg.append(clip);
    this.cursorLayer = element("g", { class: "cursor" });
    svg.append(this.cursorLayer);
    this.brush = element("rect", { class: "brush", y: TOP, height: this.height - TOP - BOTTOM, width: 0 });
    svg.append(this.brush);
    const old = this.stage.querySelector("svg");
    if (old) old.replaceWith(svg);
    else this.stage.append(svg);
    this.drawEvents();
    this.drawCursor();
    this.controls.update();
  }

  drawAxes(svg, ticks, labels) {
    const [bottom, right] = [this.height - BOTTOM, this.width - RIGHT];
    ticks.forEach((tick, i) => {
      const y = this.y(this.scale.forward(tick));
      svg.append(element("line", { class: "grid", x1: this.left, x2: right, y1: y, y2: y }));
      const text = element("text", { x: this.left - 6, y: y + 4, "text-anchor": "end" }, [labels[i]]);
      svg.append(text);
    });
    svg.append(element("line", { class: "axis", x1: this.left, x2: right, y1: bottom, y2: bottom }));
    const widest = 20 + TEXT_WIDTH * String(Math.round(this.view[1])).length;
    for (const step of this.stepTicks(widest)) {
      const x = this.x(step);
      svg.append(element("line", { class: "axis", x1: x, x2: x, y1: bottom, y2: bottom + 4 }));
      const at = Math.min(x, this.width - (TEXT_WIDTH * String(step).length) / 2);
      const label = step.toLocaleString("en-US");
      svg.append(element("text", { x: at, y: bottom + 17, "text-anchor": "middle" }, [label]));
    }
    const title = this.isLogStep ? "training step (logarithmic)" : "training step";
    svg.append(element("text", { class: "title", x: right, y: this.height - 5, "text-anchor": "end" }, [title]));
    const kinds = { linear: "", log: " (log)", symlog: " (log, linear around zero)" };
    svg.append(element("text", { class: "title", x: 0, y: 12 }, [this.yTitle + kinds[this.kind]]));
  }

  stepTicks(spacing) {
    const extent = this.width - this.left - RIGHT;
    if (!this.isLogStep) {
      const ticks = linearTicks(this.view[0], this.view[1], Math.max(2, Math.floor(extent / spacing)));
      return ticks.filter(Number.isInteger);
    }
    const ticks = [];
    for (let power = 1; power <= this.view[1] - this.all[0] + 1; power *= 10) {
      for (const factor of [1, 2, 5]) {
        const step = this.all[0] + factor * power - 1;
        const isFar = ticks.every((other) => Math.abs(this.x(other) - this.x(step)) >= spacing);
        if (step >= this.view[0] && step <= this.view[1] && isFar) ticks.push(step);
      }
    }
    return ticks;
  }

  /** Every value of a line, from the lowest to the highest of each column of pixels; under a running mean it is thin. */
  drawLine(layer, line) {
    const [from, to] = this.range(line);
    const isSmooth = this.smooth > 1;
    const style = (name) => ({ class: `${name} color-${line.index % 6}` });
    const parts = [];
    const marks = [];
    let column = null;
    let isOpen = false;
    const point = (x, height) => {
      const y = this.y(Math.min(Math.max(height, this.low), this.high));
      parts.push(`${isOpen ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`);
      isOpen = true;
    };
    const flush = () => {
      if (!column) return;
      const heights = column.low === column.high ? [column.low] : column.ends;
      heights.forEach((height) => point(column.x, height));
      column = null;
    };
    for (let i = from; i < to; i += 1) {
      const x = this.x((line.from[i] + line.to[i]) / 2);
      const [low, high] = [this.scale.forward(line.low[i]), this.scale.forward(line.high[i])];
      if (line.broken[i]) {
        flush();
        if (isOpen || i === from || !line.broken[i - 1]) marks.push(x);
        isOpen = false;
      }
      if (!Number.isFinite(low) || !Number.isFinite(high)) {
        flush();
        isOpen = false;
      } else if (column && Math.abs(column.x - x) < 0.5) {
        [column.low, column.high] = [Math.min(column.low, low), Math.max(column.high, high)];
        column.ends = [column.first, column.low, column.high, high];
      } else {
        flush();
        column = { x, low, high, first: low, ends: [low, high] };
      }
    }
    flush();
    // Few values are dots, too: between them nothing was measured.
    if (parts.length <= MOST_DOTS) {
      for (const part of parts) {
        const [x, y] = part.slice(1).split(" ");
        layer.append(element("circle", { ...style("dot"), cx: x, cy: y, r: 3 }));
      }
    }
    layer.append(element("path", { ...style(isSmooth ? "thin" : "strong"), d: parts.join("") }));
    if (isSmooth) layer.append(element("path", { ...style("mean"), d: this.meanPath(line, from, to) }));
    const inView = marks.filter((x) => x >= this.left - 1 && x <= this.width - RIGHT + 1);
    for (const x of inView) {
      const cross = `M${x - 4} ${TOP + 2}l8 8m0 -8l-8 8`;
      layer.append(element("path", { class: "nonfinite", d: cross }));
    }
  }

  meanPath(line, from, to) {
    const heights = runningMean(line, this.smooth, this.scale);
    let path = "";
    for (let i = from; i < to; i += 1) {
      if (!Number.isFinite(heights[i])) continue;
      const isOpen = i > from && Number.isFinite(heights[i - 1]);
      const x = this.x((line.from[i] + line.to[i]) / 2);
      path += `${isOpen ? "L" : "M"}${x.toFixed(1)} ${this.y(heights[i]).toFixed(1)}`;
    }
    return path;
  }

  /** Marks of what the run noticed, at the upper rim, which lead to the rows of the table of events. */
  drawEvents() {
    this.stage.querySelectorAll(".event").forEach((old) => old.remove());
    let last = -Infinity;
    for (const event of this.events) {
      if (event.step < this.view[0] || event.step > this.view[1]) continue;
      const x = this.x(event.step);
      // Marks that would cover each other are one; each event has its own row in the table.
      if (x - last < 9) continue;
      last = x;
      const mark = element("a", { class: `event ${event.severity}`, href: `#${event.id}` });
      mark.style.left = `${x}px`;
      mark.title = event.text;
      mark.setAttribute("aria-label", `Event at step ${event.step}: ${event.text}`);
      this.stage.append(mark);
    }
  }

  drawCursor() {
    this.cursorLayer.replaceChildren();
    if (this.cursor === null || this.cursor < this.view[0] || this.cursor > this.view[1]) return;
    const x = this.x(this.cursor);
    const line = { class: "hair", x1: x, x2: x, y1: TOP, y2: this.height - BOTTOM };
    this.cursorLayer.append(element("line", line));
    for (const shown of this.lines.filter((each) => each.isShown)) {
      const i = nearestBin(shown, this.cursor);
      const heights = [shown.low[i], shown.high[i]].map((v) => this.scale.forward(v));
      for (const height of new Set(heights.filter(Number.isFinite))) {
        if (height < this.low || height > this.high) continue;
        const at = this.x(Math.min(Math.max(this.cursor, shown.from[i]), shown.to[i]));
        const dot = { class: `dot color-${shown.index % 6}`, cx: at, cy: this.y(height), r: 3.5 };
        this.cursorLayer.append(element("circle", dot));
      }
    }
  }
}
