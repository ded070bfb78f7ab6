// The run's plotted series: which belong together, their points, and their value at a moment.
import type { Columns, Run, Series } from "../model";
import { lastAtOrBefore } from "./find";

export interface Line {
  series: Series;
  isOther: boolean; // of the run compared with
  t: Float64Array; // s
  y: Float64Array;
}

export interface Chart {
  key: string;
  group: string;
  unit: string;
  lines: Line[];
}

/** Points of one series: a view on the concatenated columns, time in seconds, NaN where a value is missing. */
export function slice(table: Columns, series: Series): { t: Float64Array; y: Float64Array } {
  const end = Math.min(series.row0 + series.rows, table.t!.length, table.y!.length);
  const rows = Math.max(0, end - series.row0);
  const t = new Float64Array(rows);
  const y = new Float64Array(rows);
  for (let i = 0; i < rows; i++) {
    t[i] = table.t![series.row0 + i]! / 1000;
    y[i] = table.y![series.row0 + i]!;
  }
  return { t, y };
}

/** One chart per group and unit, in the order of the series; the other run's series beside their twins. */
export function chartsOf(run: Run, table: Columns, other: Run | null, otherTable: Columns | null): Chart[] {
  const charts = new Map<string, Chart>();
  const add = (series: Series, from: Columns, isOther: boolean): void => {
    const key = `${series.group}/${series.unit}`;
    let chart = charts.get(key);
    if (!chart) charts.set(key, (chart = { key, group: series.group, unit: series.unit, lines: [] }));
    chart.lines.push({ series, isOther, ...slice(from, series) });
  };
  for (const series of run.meta.series) add(series, table, false);
  if (other && otherTable) for (const series of other.meta.series) add(series, otherTable, true);
  return [...charts.values()];
}

/** Value at `seconds`: that of the last point before, NaN before the first and after `end`, when the run was over. */
export function valueAt(line: { t: Float64Array; y: Float64Array }, seconds: number, end = Infinity): number {
  const index = lastAtOrBefore(line.t, seconds + 1e-6);
  return index < 0 || seconds > end ? NaN : line.y[index]!;
}

/** Columns on one time axis: every moment of any line, null where a line has no point there (uPlot spans such gaps),
 *  NaN values as null too. */
export function joined(lines: { t: Float64Array; y: Float64Array }[]): { t: number[]; y: (number | null | undefined)[][] } {
  const first = lines[0];
  if (!first) return { t: [], y: [] };
  if (lines.every((line) => sameTimes(line.t, first.t))) return { t: Array.from(first.t), y: lines.map((line) => Array.from(line.y, known)) };
  const all = Float64Array.from(new Set(lines.flatMap((line) => Array.from(line.t)))).sort();
  const y = lines.map((line) => {
    const out = new Array<number | null | undefined>(all.length);
    let at = 0;
    for (let i = 0; i < all.length; i++) {
      while (at < line.t.length && line.t[at]! < all[i]!) at++;
      out[i] = at < line.t.length && line.t[at] === all[i] ? known(line.y[at]!) : undefined;
    }
    return out;
  });
  return { t: Array.from(all), y };
}

function known(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}

function sameTimes(a: Float64Array, b: Float64Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
