// How a value becomes a height, and the ticks of an axis: the scales of the program's own pictures.

const MINUS = "\u2212";

/** A number with at most four significant digits, as the rest of the page writes it. */
function short(value) {
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "infinity" : MINUS + "infinity";
  const magnitude = Math.abs(value);
  if (magnitude === 0) return "0";
  const sign = value < 0 ? MINUS : "";
  if (magnitude >= 1e-3 && magnitude < 1e6) {
    const decimals = Math.min(6, Math.max(0, 3 - Math.floor(Math.log10(magnitude))));
    const options = { maximumFractionDigits: decimals, useGrouping: true };
    return sign + magnitude.toLocaleString("en-US", options);
  }
  const [digits, exponent] = magnitude.toExponential(3).split("e");
  return sign + String(Number(digits)) + "e" + exponent.replace("+", "").replace("-", MINUS);
}

/** A scale of the kind "linear", "log" or "symlog" that suits these finite values. */
function makeScale(kind, values) {
  if (kind === "log") {
    return { kind, forward: (v) => (v > 0 ? Math.log10(v) : NaN), inverse: (h) => 10 ** h };
  }
  if (kind === "symlog") {
    const magnitudes = values.filter((v) => v !== 0).map(Math.abs).sort((a, b) => a - b);
    const c = magnitudes.length > 0 ? magnitudes[Math.floor(magnitudes.length / 2)] : 1;
    const forward = (v) => Math.sign(v) * Math.log10(1 + Math.abs(v) / c);
    return { kind, forward, inverse: (h) => Math.sign(h) * c * (10 ** Math.abs(h) - 1), threshold: c };
  }
  return { kind: "linear", forward: (v) => v, inverse: (h) => h };
}

/** Round values between `low` and `high`, at most `most` of them. */
function linearTicks(low, high, most) {
  if (!(high > low)) return [low];
  const raw = (high - low) / Math.max(most, 1);
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= raw * 0.999);
  const ticks = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i += 1) {
    ticks.push(Number((i * step).toPrecision(12)));
  }
  return ticks;
}

/** Powers of ten of both signs and zero, thinned until they are `gap` of height apart. */
function powerTicks(scale, low, high, gap) {
  const [from, to] = [scale.inverse(low), scale.inverse(high)];
  const largest = Math.max(Math.abs(from), Math.abs(to));
  const smallest = scale.kind === "log" ? from : scale.threshold / 10;
  const chosen = [];
  const add = (value) => {
    const height = scale.forward(value);
    if (value < from || value > to || !Number.isFinite(height)) return;
    if (chosen.every((other) => Math.abs(scale.forward(other) - height) >= gap)) chosen.push(value);
  };
  if (scale.kind === "symlog") add(0);
  const [bottom, top] = [smallest, largest].map((v) => Math.floor(Math.log10(v)));
  for (const factor of [1, 2, 5]) {
    for (let exponent = top; exponent >= bottom; exponent -= 1) {
      const value = Number((factor * 10 ** exponent).toPrecision(12));
      add(value);
      if (scale.kind === "symlog") add(-value);
    }
  }
  if (chosen.length >= 3) return chosen.sort((a, b) => a - b);
  const spaced = [];
  for (const value of linearTicks(from, to, 5)) {
    const height = scale.forward(value);
    const last = spaced.length > 0 ? scale.forward(spaced[spaced.length - 1]) : -Infinity;
    if (Number.isFinite(height) && height - last >= gap) spaced.push(value);
  }
  return spaced;
}

/** Ticks between two heights that are `extent` pixels apart, with room for labels of `spacing` pixels. */
function ticksOf(scale, low, high, extent, spacing) {
  const gap = ((high - low) * spacing) / extent;
  if (scale.kind === "linear") return linearTicks(low, high, Math.max(2, Math.floor(extent / spacing)));
  return powerTicks(scale, low, high, gap);
}
