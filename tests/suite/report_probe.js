// Looks at a report in a browser, from within: what is wrong is listed in the element "probe".

window.addEventListener("load", () => setTimeout(() => {
  const wrong = [...window.errors];
  const check = (is, what) => {
    if (!is) wrong.push(what);
  };
  const all = (selector) => [...document.querySelectorAll(selector)];
  const text = (element) => element.textContent.trim();

  // The page as a whole.
  const ids = all("[id]").map((element) => element.id);
  check(new Set(ids).size === ids.length, `ids are not unique: ${ids.filter((id, i) => ids.indexOf(id) !== i)}`);
  for (const link of all("a[href]")) {
    const href = link.getAttribute("href");
    check(href.startsWith("#") && document.getElementById(href.slice(1)), `link ${href} leads nowhere`);
  }
  for (const element of all("[src], [srcset]")) {
    const from = element.getAttribute("src") ?? element.getAttribute("srcset");
    check(from.startsWith("data:"), `${from.slice(0, 40)} is fetched`);
  }
  const root = document.documentElement;
  check(root.scrollWidth <= root.clientWidth, `the page is ${root.scrollWidth} wide in ${root.clientWidth}`);

  // Names, roles and order for keyboards and screen readers.
  const focusable = all("a[href], button, select, summary, [tabindex]");
  for (const element of focusable) {
    const label = element.closest("label");
    const name = element.getAttribute("aria-label") || (label && text(label)) || text(element);
    check(name, `no name: ${element.outerHTML.slice(0, 80)}`);
    check(element.tabIndex === 0, `out of the order of the page: ${element.outerHTML.slice(0, 80)}`);
  }
  all("img").forEach((image) => check(image.alt.length > 10, `no text for ${image.outerHTML.slice(0, 60)}`));
  all("th").forEach((head) => check(head.scope, `no scope: ${text(head)}`));
  all("svg[role]").forEach((svg) => check(svg.getAttribute("aria-label"), "a drawing has no name"));
  const levels = all("h1, h2, h3, h4").map((heading) => Number(heading.tagName[1]));
  levels.forEach((level, i) => check(i === 0 || level <= levels[i - 1] + 1, `heading ${i} skips a level`));
  check(levels.filter((level) => level === 1).length === 1, "there is not one title");
  for (const label of all("svg text")) {
    check(parseFloat(getComputedStyle(label).fontSize) >= 11, `small text: ${text(label)}`);
  }

  // Every chart has its lines, and its table.
  const figures = all("figure.chart");
  check(figures.length > 0, "there is no chart");
  for (const figure of figures) {
    check(figure.querySelector("svg path.strong, svg circle.dot"), `${figure.id} is empty`);
    check(figure.querySelector("table"), `${figure.id} has no table`);
  }

  // The first chart answers to pointer, keyboard and its controls.
  const figure = figures[0];
  const chart = charts.get(figure.id);
  const stage = figure.querySelector(".stage");
  const data = JSON.parse(figure.querySelector("script").textContent);
  const line = chart.lines[0];
  const bin = Math.floor((binAt(line, chart.view[0]) + binAt(line, chart.view[1])) / 2);
  const rectangle = stage.getBoundingClientRect();
  const pointer = { clientX: rectangle.left + chart.x(line.from[bin]), clientY: rectangle.top + 50, bubbles: true };
  stage.dispatchEvent(new PointerEvent("pointermove", pointer));
  const shown = text(figure.querySelector(".legend .value"));
  check(shown === short(line.low[bin]), `pointing at step ${line.from[bin]} says ${shown}, the data ${line.low[bin]}`);
  check(typeof data.lines[0].low[bin] === "string" || data.lines[0].low[bin] === line.low[bin], "the data are others");
  const press = (key) => stage.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
  const now = () => Number(stage.getAttribute("aria-valuenow"));
  const before = now();
  press("ArrowRight");
  check(now() > before, "the arrow key does not move the cursor");
  check(stage.getAttribute("aria-valuetext").includes(line.name), "the slider does not say its values");
  press("0");
  const extent = () => chart.view[1] - chart.view[0];
  const whole = extent();
  press("+");
  check(extent() < whole, "plus does not zoom");
  press("0");
  check(extent() === whole, "0 does not show all steps");
  const [values, , mean] = figure.querySelectorAll("select");
  const choose = (select, value) => {
    select.value = value;
    select.dispatchEvent(new Event("change"));
  };
  const axis = () => [...figure.querySelectorAll("svg text.title")].map(text).join(" ");
  choose(values, "log");
  check(axis().includes("(log)"), `the logarithmic axis is not named: ${axis()}`);
  const ends = [1, 10].map((value) => chart.y(chart.scale.forward(value)) - chart.y(chart.scale.forward(value * 10)));
  check(Math.abs(ends[0] - ends[1]) < 1e-6, "decades are not of one height");
  choose(values, "symlog");
  check(axis().includes("linear around zero"), "the symlog axis is not named");
  choose(values, "linear");
  if ([...mean.options].some((option) => option.value === "5")) {
    choose(mean, "5");
    check(figure.querySelector("path.thin") && figure.querySelector("path.mean"), "no running mean over the values");
    check(text(figure.querySelector(".note")).includes("running mean over 5 steps"), "the running mean is not named");
    choose(mean, "1");
  }

  // From an event to its step, and back.
  const link = document.querySelector("a[data-step]");
  if (link) {
    link.click();
    const linked = charts.get(link.getAttribute("href").slice(1));
    check(linked.cursor === Number(link.dataset.step), "the link of an event does not lead to its step");
  }
  const result = document.createElement("pre");
  result.id = "probe";
  result.textContent = btoa(unescape(encodeURIComponent(JSON.stringify(wrong))));
  document.body.append(result);
}, 200));
