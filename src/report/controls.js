// What a person does with a chart: its legend, its scales, pointing, zooming, and the same by keyboard.

const SMOOTHING = [1, 5, 20, 50, 200];

class Controls {
  constructor(chart) {
    this.chart = chart;
    this.makeLegend();
    this.makeTools();
    this.note = element("p", { class: "note" });
    chart.plot.after(this.note);
    this.makeCursor();
  }

  makeLegend() {
    const { chart } = this;
    this.readout = element("span", { class: "step" });
    const legend = element("div", { class: "legend", role: "group", "aria-label": `Lines of ${chart.title}` });
    this.values = chart.lines.map((line) => {
      const value = element("span", { class: "value" });
      const key = element("span", { class: `key color-${line.index % 6}`, "aria-hidden": "true" });
      const button = element("button", { type: "button", "aria-pressed": "true" }, [key, line.name, value]);
      button.title = "Show or hide this line";
      button.addEventListener("click", () => {
        line.isShown = !line.isShown;
        button.setAttribute("aria-pressed", String(line.isShown));
        chart.draw();
      });
      legend.append(button);
      return value;
    });
    legend.append(this.readout);
    chart.plot.before(legend);
  }

  makeTools() {
    const { chart } = this;
    const tools = element("div", { class: "tools", role: "group", "aria-label": `View of ${chart.title}` });
    const choice = (label, options, value, change) => {
      const select = element("select");
      for (const [key, text] of options) select.append(element("option", { value: key }, [text]));
      select.value = value;
      select.addEventListener("change", () => change(select.value));
      tools.append(element("label", {}, [`${label} `, select]));
      return select;
    };
    const kinds = ["linear", "log", "symlog"].map((kind) => [kind, kind]);
    this.scale = choice("Values", kinds, chart.kind, (kind) => {
      chart.kind = kind;
      chart.draw();
    });
    choice("Steps", [["linear", "linear"], ["log", "log"]], "linear", (kind) => {
      chart.isLogStep = kind === "log";
      chart.draw();
    });
    const longest = Math.max(...chart.lines.map((line) => line.from.length));
    const reaches = SMOOTHING.filter((over) => over === 1 || over * 4 <= longest);
    const spans = reaches.map((over) => [over, over === 1 ? "none" : `${over} steps`]);
    choice("Running mean", spans, "1", (over) => {
      chart.smooth = Number(over);
      chart.draw();
    });
    const button = (label, name, act) => {
      const made = element("button", { type: "button", "aria-label": name, title: name }, [label]);
      made.addEventListener("click", act);
      tools.append(made);
      return made;
    };
    button("+", "Fewer steps", () => this.zoom(0.5));
    button("\u2212", "More steps", () => this.zoom(2));
    this.whole = button("All steps", "Show all steps", () => chart.setView(...chart.all));
    if (chart.focus) button("Failure", "Show the steps around the failure", () => chart.setView(...chart.focus));
    chart.plot.after(tools);
  }

  /** The plot is a slider over the steps, so that keyboards and screen readers read the values as a pointer does. */
  makeCursor() {
    const { chart } = this;
    const { stage } = chart;
    stage.tabIndex = 0;
    stage.setAttribute("role", "slider");
    stage.setAttribute("aria-label", `${chart.title}: step that is read`);
    const help = "Arrow keys move by one record, Page Up and Page Down by twenty, plus and minus zoom, 0 shows all steps.";
    stage.setAttribute("aria-description", help);
    stage.addEventListener("keydown", (event) => {
      if (event.target === stage && this.press(event)) event.preventDefault();
    });
    let start = null;
    const at = (event) => event.clientX - stage.getBoundingClientRect().left;
    stage.addEventListener("pointermove", (event) => {
      forEachChart((other) => other.setCursor(chart.stepAt(at(event))));
      if (start !== null) this.drag(start, at(event));
    });
    stage.addEventListener("pointerdown", (event) => {
      if (event.button !== 0 || event.target.closest("a")) return;
      start = at(event);
      if (event.pointerType === "mouse") stage.setPointerCapture(event.pointerId);
    });
    const end = (event) => {
      if (start !== null && Math.abs(at(event) - start) > 8) {
        const steps = [start, at(event)].map((x) => chart.stepAt(x)).sort((a, b) => a - b);
        chart.setView(...steps);
      }
      start = null;
      chart.brush.setAttribute("width", 0);
    };
    stage.addEventListener("pointerup", end);
    stage.addEventListener("pointercancel", () => {
      start = null;
      chart.brush.setAttribute("width", 0);
    });
    stage.addEventListener("dblclick", () => chart.setView(...chart.all));
    stage.addEventListener("pointerleave", () => forEachChart((other) => other.setCursor(null)));
  }

  drag(from, to) {
    const [left, right] = [Math.min(from, to), Math.max(from, to)];
    this.chart.brush.setAttribute("x", left);
    this.chart.brush.setAttribute("width", right - left);
  }

  press(event) {
    const { chart } = this;
    const acts = {
      ArrowLeft: () => chart.step(-1),
      ArrowRight: () => chart.step(1),
      ArrowDown: () => chart.step(-1),
      ArrowUp: () => chart.step(1),
      PageDown: () => chart.step(-20),
      PageUp: () => chart.step(20),
      Home: () => chart.setCursor(chart.view[0]),
      End: () => chart.setCursor(chart.view[1]),
      "+": () => this.zoom(0.5),
      "=": () => this.zoom(0.5),
      "-": () => this.zoom(2),
      0: () => chart.setView(...chart.all),
      Escape: () => chart.setCursor(null),
    };
    const act = event.ctrlKey || event.metaKey || event.altKey ? undefined : acts[event.key];
    act?.();
    return Boolean(act);
  }

  /** Zooms around the step that is read, else around the middle. */
  zoom(factor) {
    const { chart } = this;
    const [from, to] = chart.view;
    const isRead = chart.cursor !== null && chart.cursor >= from && chart.cursor <= to;
    const middle = isRead ? chart.cursor : (from + to) / 2;
    chart.setView(middle - (middle - from) * factor, middle + (to - middle) * factor);
  }

  /** Says the values at the cursor, or the last ones in view. */
  read() {
    const { chart } = this;
    const step = chart.cursor ?? chart.view[1];
    const texts = chart.lines.map((line, i) => {
      const bin = nearestBin(line, step);
      const text = valueText(line, bin);
      const is = line.from[bin] <= step && step <= line.to[bin];
      const value = is || line.from[bin] !== line.to[bin] ? text : `${text} (step ${line.from[bin]})`;
      this.values[i].textContent = value;
      return `${line.name} ${value}`;
    });
    this.readout.textContent = `at step ${Math.round(step).toLocaleString("en-US")}`;
    const { stage } = chart;
    stage.setAttribute("aria-valuemin", Math.floor(chart.all[0]));
    stage.setAttribute("aria-valuemax", Math.ceil(chart.all[1]));
    stage.setAttribute("aria-valuenow", Math.round(step));
    stage.setAttribute("aria-valuetext", `step ${Math.round(step)}: ${texts.join(", ")}`);
  }

  /** What has to be said of the view: what is smoothed, folded, hidden or left out. */
  update() {
    const { chart } = this;
    const log = this.scale.querySelector("option[value=log]");
    log.disabled = !chart.hasPositive();
    const [from, to] = chart.view.map(Math.round);
    const isPart = from > chart.all[0] || to < chart.all[1];
    this.whole.disabled = !isPart;
    const notes = [];
    if (isPart) notes.push(`Steps ${from.toLocaleString("en-US")} to ${to.toLocaleString("en-US")}.`);
    if (chart.smooth > 1) {
      const axis = chart.kind === "linear" ? "" : " on this axis";
      notes.push(`Thin: every value, lowest to highest; strong: running mean${axis} over ${chart.smooth} steps.`);
    }
    if (chart.lines.some((line) => line.isFolded)) {
      notes.push("Where steps are many, a point of a line is the lowest and highest value of some steps.");
    }
    if (chart.hidden > 0) notes.push(`${chart.hidden} values at or below zero have no place on a logarithmic axis.`);
    if (chart.lines.some((line) => line.isShown && line.broken.some(Boolean))) {
      notes.push("A cross at the upper rim: NaN or infinite from there.");
    }
    this.note.textContent = notes.join(" ");
    this.read();
  }
}
