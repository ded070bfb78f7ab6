// Plots stacked above one time axis: the playhead runs through all, a click seeks, dragging zooms all, events are marks.
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import type { App } from "../model";
import { choice, el, setText } from "./dom";
import { BROKEN, isNotable } from "./events";
import { clock, figure, unitText } from "./format";
import { isShown, orNull, panelOf } from "./frame";
import { chartsOf, joined, valueAt, type Chart, type Line } from "./series";

interface Memory {
  hidden: Set<string>; // "group|series key|run"
  closed: Set<string> | null; // charts; null: as at first
  vehicle: string;
  isWithOther: boolean;
}

const COLOURS = ["#3b82f6", "#e8833a", "#30a46c", "#b07cf0", "#e5484d", "#0ea5b7", "#d6a100", "#6b7785"]; // where the page has no --chart1 to --chart8
const CLOSED_AT_FIRST = ["diagnostics", "planner"];
const HEIGHT = 132;
const LIVE_MS = 3000; // between drawings of a run in progress

export const plotsPanel = panelOf<Memory>(
  "plots",
  () => ({ hidden: new Set(), closed: null, vehicle: "", isWithOther: true }),
  (context, memory) => {
    const { host, app } = context;
    const tools = el("div", { class: "p-tools" });
    const stack = el("div", { class: "p-plots" });
    host.append(tools, stack);
    let drawn: Drawn[] = [];
    const zoom = { range: null as [number, number] | null };
    const end = (): void => {
      for (const each of drawn) each.end();
      drawn = [];
    };
    context.onEnd(end);

    const read = async (): Promise<void> => {
      const table = await orNull(app.run.table("series"));
      const otherTable = app.other ? await orNull(app.other.table("series")) : null;
      if (!context.isCurrent()) return;
      if (!table && drawn.length) return; // of a run in progress: next time
      if (!table || !app.run.meta.series.length) {
        stack.replaceChildren(el("p", { class: "p-muted" }, app.t("plots.none")));
        return;
      }
      show(chartsOf(app.run, table, app.other, otherTable));
    };

    const show = (charts: Chart[]): void => {
      memory.closed ??= new Set(charts.filter((chart) => CLOSED_AT_FIRST.includes(chart.group) || isEmpty(chart)).map((chart) => chart.key));
      const vehicles = [...new Set(charts.flatMap((chart) => chart.lines.map((line) => line.series.vehicle)))].filter(Boolean).sort();
      const rebuild = (): void => {
        end();
        stack.replaceChildren();
        for (const chart of charts) {
          const lines = chart.lines.filter(
            (line) => (!memory.vehicle || !line.series.vehicle || line.series.vehicle === memory.vehicle) && (memory.isWithOther || !line.isOther),
          );
          lines.sort((a, b) => Number(b.isOther) - Number(a.isOther)); // the other run lies beneath
          if (lines.length) drawn.push(drawChart(app, { ...chart, lines }, memory, zoom, stack, () => drawn));
        }
      };
      tools.replaceChildren();
      if (vehicles.length > 1)
        tools.append(
          choice(app.t("plots.vehicle"), [["", app.t("filter.all")], ...vehicles.map((name): [string, string] => [name, name])], memory.vehicle, (name) => {
            memory.vehicle = name;
            rebuild();
          }),
        );
      if (app.other) {
        const box = el("input", { type: "checkbox" });
        box.checked = memory.isWithOther;
        box.addEventListener("change", () => {
          memory.isWithOther = box.checked;
          rebuild();
        });
        tools.append(el("label", { class: "p-check" }, box, app.t("compare.overlay")));
      }
      const reset = el("button", { type: "button", onclick: () => setZoom(null, zoom, drawn) }, app.t("plots.reset"));
      tools.append(reset, el("span", { class: "p-muted" }, app.t("plots.help")));
      rebuild();
    };
    void read();
    let readAt = 0;
    context.on("live", () => {
      if (!isShown(host) || performance.now() - readAt < LIVE_MS) return;
      readAt = performance.now();
      void read();
    });

    context.onTime(() => {
      const at = app.timeMs / 1000;
      const { range } = zoom;
      if (range && app.playing && (at < range[0] || at > range[1])) {
        const width = range[1] - range[0];
        setZoom([at - width * 0.05, at + width * 0.95], zoom, drawn); // the window goes along
      }
      for (const each of drawn) each.movePlayhead();
    }, 60);
    context.onTime(() => {
      for (const each of drawn) each.showValues();
    }, 8);

    const themes = new MutationObserver(() => drawn.forEach((each) => each.redraw()));
    themes.observe(document.documentElement, { attributes: true, attributeFilter: ["class", "data-theme", "style"] });
    const scheme = window.matchMedia?.("(prefers-color-scheme: dark)");
    const redraw = (): void => drawn.forEach((each) => each.redraw());
    scheme?.addEventListener?.("change", redraw);
    context.onEnd(() => {
      themes.disconnect();
      scheme?.removeEventListener?.("change", redraw);
    });
  },
);

function isEmpty(chart: Chart): boolean {
  return chart.lines.every((line) => !line.y.some(Number.isFinite));
}

interface Drawn {
  movePlayhead(): void;
  showValues(): void;
  redraw(): void;
  zoomed(): void;
  hover(seconds: number | null): void;
  end(): void;
}

type Zoom = { range: [number, number] | null };

function setZoom(range: [number, number] | null, zoom: Zoom, drawn: Drawn[]): void {
  zoom.range = range;
  for (const each of drawn) each.zoomed();
}

function drawChart(app: App, chart: Chart, memory: Memory, zoom: Zoom, stack: HTMLElement, all: () => Drawn[]): Drawn {
  const idOf = (line: Line): string => `${chart.key}|${line.series.key}|${line.isOther ? "b" : "a"}`;
  const { title, names } = titles(app, chart);
  const legend = el("div", { class: "p-legend", role: "group", "aria-label": app.t("plots.legend") });
  const frame = el("div", { class: "p-plot" });
  const opener = el("button", { type: "button", class: "p-title" }, title, el("span", { class: "p-unit" }, ` ${isEmpty(chart) ? app.t("plots.empty") : unitText(chart.unit)}`));
  const section = el("section", { class: "p-chart" }, el("div", { class: "p-chart-head" }, opener, legend), frame);
  let isOpen = !memory.closed?.has(chart.key);
  const showOpen = (): void => {
    opener.setAttribute("aria-expanded", String(isOpen));
    frame.hidden = !isOpen;
    legend.hidden = !isOpen;
  };
  showOpen();
  stack.append(section);
  const css = (name: string, fallback: string): string => getComputedStyle(section).getPropertyValue(name).trim() || fallback;

  const colourOf = colours(chart.lines, (index) => css(`--chart${index + 1}`, COLOURS[index]!));
  const swatches: (() => void)[] = [];
  const numOthers = chart.lines.filter((line) => line.isOther).length;
  const values = chart.lines.map((line, index) => {
    const value = el("span", { class: "p-now" }, "–");
    const swatch = el("span", { class: line.isOther ? "p-swatch p-second" : "p-swatch" });
    swatches.push(() => {
      swatch.style.background = colourOf(line);
    });
    const text = names[index]!;
    const item = el(
      "button",
      { type: "button", class: "p-line", "aria-pressed": String(!memory.hidden.has(idOf(line))), title: app.t("plots.toggle") },
      swatch,
      el("span", {}, line.isOther ? `${text} (${app.t("compare.b")})` : text),
      value,
    );
    item.addEventListener("click", () => {
      const isHidden = !memory.hidden.has(idOf(line));
      if (isHidden) memory.hidden.add(idOf(line));
      else memory.hidden.delete(idOf(line));
      item.setAttribute("aria-pressed", String(!isHidden));
      plot?.setSeries(chart.lines.indexOf(line) + 1, { show: !isHidden });
    });
    if (line.isOther) legend.append(item);
    else legend.insertBefore(item, legend.children[index - numOthers] ?? null);
    return value;
  });

  let plot: uPlot | null = null;
  let playhead: HTMLElement | null = null;

  const marks = marksOf(app);

  const make = (): void => {
    if (plot || !isOpen || frame.clientWidth < 40) return;
    const data = joined(chart.lines);
    const end = Math.max(app.run.meta.duration_s, app.other?.meta.duration_s ?? 0);
    const options: uPlot.Options = {
      width: frame.clientWidth,
      height: HEIGHT,
      legend: { show: false },
      cursor: { y: false, points: { size: 5 }, drag: { x: true, y: false, setScale: false, dist: 5 } },
      select: { show: true, left: 0, top: 0, width: 0, height: 0 },
      scales: { x: { time: false, range: () => zoom.range ?? [0, end] }, y: { range: (_plot, low, high) => padded(low, high) } },
      axes: [
        {
          stroke: () => css("--muted", "#777"),
          grid: { stroke: () => css("--line", "#ddd"), width: 1 },
          ticks: { stroke: () => css("--line", "#ddd"), width: 1, size: 4 },
          values: (_plot, ticks) => ticks.map((tick) => clock(tick * 1000, Number.isInteger(tick) ? 0 : 1)),
          incrs: [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200],
          size: 24,
          font: "11px system-ui, sans-serif",
        },
        {
          stroke: () => css("--muted", "#777"),
          grid: { stroke: () => css("--line", "#ddd"), width: 1 },
          ticks: { stroke: () => css("--line", "#ddd"), width: 1, size: 4 },
          size: 52,
          space: 26,
          font: "11px system-ui, sans-serif",
          values: (_plot, ticks) => ticks.map((tick) => String(Number(tick.toPrecision(6))).replace("-", "−")),
        },
      ],
      series: [
        {},
        ...chart.lines.map(
          (line): uPlot.Series => ({
            show: !memory.hidden.has(idOf(line)),
            stroke: () => colourOf(line),
            // The other run as a broad pale band beneath: it shows where the two part.
            alpha: line.isOther ? 0.35 : 1,
            width: line.isOther ? 4.5 : 1.4,
            spanGaps: false,
            points: { show: line.t.length < 40 },
          }),
        ),
      ],
      hooks: {
        draw: [
          (self) => {
            drawMarks(self, marks, css);
            drawnApi.movePlayhead();
          },
        ],
        setSelect: [
          (self) => {
            if (self.select.width < 5) return;
            const range: [number, number] = [self.posToVal(self.select.left, "x"), self.posToVal(self.select.left + self.select.width, "x")];
            self.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
            if (range[1] - range[0] > 0.05) setZoom(range, zoom, all());
          },
        ],
        setCursor: [
          (self) => {
            if (!isHovering) return;
            const { left } = self.cursor;
            const seconds = left === undefined || left < 0 ? null : self.posToVal(left, "x");
            for (const each of all()) each.hover(seconds);
          },
        ],
      },
    };
    plot = new uPlot(options, [data.t, ...data.y] as uPlot.AlignedData, frame);
    playhead = el("div", { class: "p-playhead", "aria-hidden": "true" });
    plot.over.append(playhead);
    let downAt = -1;
    let timeBefore = app.timeMs; // the first click of a double click: undone
    plot.over.addEventListener("mousedown", (event) => (downAt = event.clientX));
    plot.over.addEventListener("mouseup", (event) => {
      if (!plot || event.button !== 0 || Math.abs(event.clientX - downAt) >= 5) return;
      if (event.detail > 1) return;
      timeBefore = app.timeMs;
      app.seek(plot.posToVal(event.clientX - plot.over.getBoundingClientRect().left, "x") * 1000);
    });
    plot.over.addEventListener("dblclick", () => {
      app.seek(timeBefore);
      setZoom(null, zoom, all());
    });
    plot.over.addEventListener("mouseenter", () => (isHovering = true));
    plot.over.addEventListener("mouseleave", () => {
      isHovering = false;
      for (const each of all()) each.hover(null);
    });
    drawnApi.movePlayhead();
  };
  let isHovering = false;
  let hoverAt: number | null = null;

  const resize = new ResizeObserver(() => {
    if (!isShown(frame) && !frame.clientWidth) return;
    if (!plot) make();
    else if (frame.clientWidth >= 40 && Math.abs(plot.width - frame.clientWidth) > 1) {
      plot.setSize({ width: frame.clientWidth, height: HEIGHT });
      drawnApi.movePlayhead();
    }
  });
  opener.addEventListener("click", () => {
    isOpen = !isOpen;
    if (isOpen) memory.closed?.delete(chart.key);
    else memory.closed?.add(chart.key);
    showOpen();
    make();
  });
  const drawnApi: Drawn = {
    movePlayhead() {
      if (!plot || !playhead || !isOpen) return;
      const x = plot.valToPos(app.timeMs / 1000, "x");
      const isOutside = x < -1 || x > plot.over.clientWidth + 1;
      playhead.style.transform = `translateX(${Math.round(x * 10) / 10}px)`;
      playhead.style.visibility = isOutside ? "hidden" : "visible";
    },
    showValues() {
      if (!isOpen) return;
      const at = hoverAt ?? app.timeMs / 1000;
      chart.lines.forEach((line, index) => setText(values[index]!, figure(valueAt(line, at, ((line.isOther && app.other) || app.run).meta.duration_s + 0.5))));
      legend.classList.toggle("p-hover", hoverAt !== null);
    },
    redraw() {
      for (const paint of swatches) paint();
      plot?.redraw();
    },
    zoomed() {
      const data = plot?.data;
      if (plot && data) plot.setData(data, true);
      drawnApi.movePlayhead();
    },
    hover(seconds) {
      hoverAt = seconds;
      drawnApi.showValues();
      if (plot && !isHovering) plot.setCursor({ left: seconds === null ? -10 : plot.valToPos(seconds, "x"), top: 0 }, false);
    },
    end() {
      resize.disconnect();
      plot?.destroy();
      plot = null;
    },
  };
  for (const paint of swatches) paint();
  resize.observe(frame);
  make();
  drawnApi.showValues();
  return drawnApi;
}

/** A colour for each series of a chart; twins of the two runs share it. */
function colours(lines: Line[], colour: (index: number) => string): (line: Line) => string {
  const order = [...new Set(lines.map((line) => line.series.key))];
  return (line) => colour(order.indexOf(line.series.key) % COLOURS.length);
}

/** A chart's title: the words that all its lines share, else the name of the group; and what is left for each line. */
function titles(app: App, chart: Chart): { title: string; names: string[] } {
  const full = chart.lines.map((line) => (app.language === "zh" ? line.series.title_zh : line.series.title_en));
  const { head, tail, rest } = sharedWords(full);
  const names = chart.lines.map((line, index) => {
    const { vehicle } = line.series;
    const own = rest[index]!;
    return [own.includes(vehicle) ? "" : vehicle, own].filter(Boolean).join(" · ");
  });
  const shared = [head, tail].filter(Boolean).join(" ").replace(/\s*[:：]$/, "");
  return { title: shared || groupTitle(app, chart.group), names };
}

/** Words at the beginning and end that all texts share, and what each has between them. */
export function sharedWords(texts: string[]): { head: string; tail: string; rest: string[] } {
  const words = texts.map((text) => text.split(" "));
  const first = words[0] ?? [];
  const shortest = Math.min(...words.map((each) => each.length));
  let head = 0;
  while (head < shortest && words.every((each) => each[head] === first[head])) head++;
  let tail = 0;
  while (tail < shortest - head && words.every((each) => each.at(-1 - tail) === first.at(-1 - tail))) tail++;
  return {
    head: first.slice(0, head).join(" "),
    tail: tail ? first.slice(-tail).join(" ") : "",
    rest: words.map((each) => each.slice(head, each.length - tail).join(" ")),
  };
}

function groupTitle(app: App, group: string): string {
  const key = `plots.group.${group}`;
  const text = app.t(key);
  return text === key ? group.replaceAll("_", " ") : text;
}

/** The y range with room above and below; flat lines get a range of one. */
export function padded(low: number | null, high: number | null): [number, number] {
  if (low === null || high === null || !Number.isFinite(low) || !Number.isFinite(high)) return [0, 1];
  if (high - low < 1e-9) return low === 0 ? [-0.5, 0.5] : [Math.min(low, 0) - 0.1 * Math.abs(low), Math.max(high, 0) + 0.1 * Math.abs(high)];
  const room = (high - low) * 0.08;
  return [low - room, high + room];
}

interface Mark {
  t_s: number;
  isBad: boolean;
}

/** Moments marked on every plot: failed criteria and events worth it. */
function marksOf(app: App): Mark[] {
  const { criteria, events, vehicles } = app.run.meta;
  return [
    ...events.filter((event) => isNotable(event, vehicles)).map((event) => ({ t_s: event.t_s, isBad: BROKEN.has(event.kind) })),
    ...criteria.flatMap((each) => (each.passed || each.t_s === null ? [] : [{ t_s: each.t_s, isBad: true }])),
  ];
}

function drawMarks(plot: uPlot, marks: Mark[], css: (name: string, fallback: string) => string): void {
  const { ctx, bbox } = plot;
  const bad = css("--bad", "#e5484d");
  const mild = css("--muted", "#777");
  ctx.save();
  ctx.globalAlpha = 0.7;
  for (const mark of marks) {
    const x = Math.round(plot.valToPos(mark.t_s, "x", true));
    if (x < bbox.left || x > bbox.left + bbox.width) continue;
    ctx.fillStyle = mark.isBad ? bad : mild;
    ctx.fillRect(x, bbox.top, Math.max(1, devicePixelRatio), mark.isBad ? bbox.height : 6 * devicePixelRatio);
  }
  ctx.restore();
}
