// Numbers and moments as people read them.

/** Milliseconds since the start as m:ss.d ("1:07.3"); hours only when there are any. */
export function clock(ms: number, digits = 1): string {
  const sign = ms < 0 ? "-" : "";
  const scale = 10 ** digits;
  const total = Math.round((Math.abs(ms) / 1000) * scale) / scale;
  const hours = Math.floor(total / 3600);
  const minutes = Math.floor(total / 60) % 60;
  const seconds = (total % 60).toFixed(digits).padStart(digits ? 3 + digits : 2, "0");
  return `${sign}${hours ? `${hours}:${String(minutes).padStart(2, "0")}` : minutes}:${seconds}`;
}

/** A figure with as many digits as say something. */
export function figure(value: number | null | undefined): string {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  const size = Math.abs(value);
  const digits = size >= 1000 ? 0 : size >= 100 ? 1 : size >= 1 ? 2 : 3;
  const text = value.toFixed(Number.isInteger(value) ? 0 : digits);
  return text.replace("-", "−");
}

/** A figure with a fixed number of digits, so that it does not jump about while it changes. */
export function fixed(value: number | null | undefined, digits: number): string {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  const text = value.toFixed(digits);
  return (Number(text) === 0 ? text.replace("-", "") : text).replace("-", "−");
}

/** "m/s2" -> "m/s²". */
export function unitText(unit: string): string {
  return unit.replace(/2\b/g, "²").replace(/3\b/g, "³");
}

const METRIC_UNITS: [string, string][] = [
  ["_mps3", "m/s³"],
  ["_mps2", "m/s²"],
  ["_radps", "rad/s"],
  ["_mps", "m/s"],
  ["_rad", "rad"],
  ["_km", "km"],
  ["_ms", "ms"],
  ["_m", "m"],
  ["_s", "s"],
  ["_pct", "%"],
];

/** "mean_speed_mps" -> ["mean speed", "m/s"]. */
export function metricName(name: string): [name: string, unit: string] {
  for (const [suffix, unit] of METRIC_UNITS) if (name.endsWith(suffix)) return [name.slice(0, -suffix.length).replaceAll("_", " "), unit];
  return [name.replaceAll("_", " "), ""];
}

export function bytesText(size: number): string {
  if (size < 1000) return `${size} B`;
  if (size < 1e6) return `${(size / 1000).toFixed(1)} kB`;
  return `${(size / 1e6).toFixed(1)} MB`;
}

/** How a run ended, in the page's language; a word that this page does not know stays as it is. */
export function outcomeText(words: { t(key: string): string }, outcome: string): string {
  const key = `criteria.outcome.${outcome}`;
  const text = words.t(key);
  return text === key ? outcome.replaceAll("_", " ") : text;
}
