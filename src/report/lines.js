// The data of a chart: what the page holds, unfolded into bins of steps, and what is computed of it.

/**
 * A line as the page holds it becomes bins: `from` and `to` step, lowest and highest value. Where every value is kept, a bin
 * is one step. A bin that holds a value that is not finite is broken.
 */
function unfold(line, index) {
  const bins = { from: [], to: [], low: [], high: [], broken: [] };
  const number = (value) => (typeof value === "string" ? { NaN: NaN, inf: Infinity, "-inf": -Infinity }[value] : value);
  const count = line.low.length;
  for (let i = 0; i < count; i += 1) {
    const from = Array.isArray(line.from) ? line.from[i] : line.from.first + i * line.from.stride;
    const low = number(line.low[i]);
    const high = line.high ? number(line.high[i]) : low;
    bins.from.push(from);
    bins.to.push(line.to ? line.to[i] : from);
    bins.low.push(low);
    bins.high.push(high);
    bins.broken.push(!Number.isFinite(low) || !Number.isFinite(high));
  }
  return { name: line.name, index, isFolded: Boolean(line.to), isShown: true, ...bins };
}

/** The first bin that ends at or behind a step. */
function binAt(line, step) {
  let [from, to] = [0, line.from.length];
  while (from < to) {
    const middle = (from + to) >> 1;
    if (line.to[middle] < step) from = middle + 1;
    else to = middle;
  }
  return from;
}

/** The bin that is nearest to a step; -1 of an empty line. */
function nearestBin(line, step) {
  const after = binAt(line, step);
  if (after >= line.from.length) return line.from.length - 1;
  if (after === 0 || line.from[after] <= step) return after;
  return step - line.to[after - 1] <= line.from[after] - step ? after - 1 : after;
}

/**
 * The exponential running mean over about so many steps, in the heights of the scale that is drawn: on a logarithmic axis a
 * mean of values would show a decay behind each spike that nothing in the data has. It starts again behind values that are
 * not finite.
 */
function runningMean(line, over, scale) {
  let [mean, weights, before] = [0, 0, null];
  return line.low.map((low, i) => {
    const height = (scale.forward(low) + scale.forward(line.high[i])) / 2;
    if (line.broken[i] || !Number.isFinite(height)) {
      [mean, weights, before] = [0, 0, null];
      return NaN;
    }
    const stride = before === null ? 1 : line.to[i] - before;
    before = line.to[i];
    const weight = 1 - (1 - 2 / (over + 1)) ** stride;
    mean += weight * (height - mean);
    weights += weight * (1 - weights);
    return mean / weights;
  });
}

/** What a line says at a bin, in words. */
function valueText(line, i) {
  const [low, high] = [line.low[i], line.high[i]];
  if (line.from[i] === line.to[i] || low === high) return short(low);
  return `${short(low)} to ${short(high)} in steps ${line.from[i]} to ${line.to[i]}`;
}
