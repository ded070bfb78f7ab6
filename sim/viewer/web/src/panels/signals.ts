// Signal groups: the light now, how long it stays (truth beside what SPAT says), and the last and next minute as a bar.
import type { App, Columns } from "../model";
import { el, searchBox, setAttribute, setText } from "./dom";
import { lastAtOrBefore } from "./find";
import { fixed } from "./format";
import { isShown, orNull, panelOf } from "./frame";

const WINDOW_MS = 60_000;

/** Lights of one group over the run: change i sets `light[i]` from `t[i]` on. Repeats are dropped. */
export interface GroupLights {
  t: number[];
  light: number[];
}

/** Per group its changes, from the whole network's rows of lights. */
export function lightsByGroup(signals: Columns, groups: number): GroupLights[] {
  const { t, light } = signals as { t: Columns[string]; light: Columns[string] };
  const out: GroupLights[] = Array.from({ length: groups }, () => ({ t: [], light: [] }));
  for (let change = 0; change < t.length; change++)
    for (let group = 0; group < groups; group++) {
      const now = light[change * groups + group]!;
      const lights = out[group]!;
      if (lights.light.at(-1) === now) continue;
      lights.t.push(t[change]!);
      lights.light.push(now);
    }
  return out;
}

export interface Said {
  light: number;
  remaining: number; // s, NaN where the controller does not say
  t: number; // ms, when it was said
}

/** What SPAT last said of each group within 5 s up to `ms`; blocks newest first; groups not heard of are absent. */
export function saidAt(blocks: Columns[], ms: number): Map<number, Said> {
  const said = new Map<number, Said>();
  for (const { t, group, light, remaining } of blocks)
  for (let row = lastAtOrBefore(t!, ms); row >= 0 && t![row]! > ms - 5000; row--)
    if (!said.has(group![row]!)) said.set(group![row]!, { light: light![row]!, remaining: remaining![row]! < 0 ? NaN : remaining![row]!, t: t![row]! });
  return said;
}

const TONES: [part: string, variable: string, fallback: string][] = [
  ["RED", "--light-red", "#e5484d"],
  ["GREEN", "--light-green", "#30a46c"],
  ["YELLOW", "--light-yellow", "#f5b800"],
];

type Palette = (name: string) => string;

/** Colours of lights by name ("" for text), as the page's style has them now. */
function paletteOf(style: CSSStyleDeclaration): Palette {
  const variable = (name: string, fallback: string): string => style.getPropertyValue(name).trim() || fallback;
  const tones = TONES.map(([part, name, fallback]) => [part, variable(name, fallback)] as const);
  const dark = variable("--muted", "#888");
  const text = variable("--text", "#888");
  return (name) => (name === "" ? text : (tones.find(([part]) => name.toUpperCase().includes(part))?.[1] ?? dark));
}

interface Row {
  root: HTMLElement;
  lamp: HTMLElement;
  light: HTMLElement;
  truth: HTMLElement;
  said: HTMLElement;
  canvas: HTMLCanvasElement;
  group: number;
  isVisible: boolean;
}

export const signalsPanel = panelOf(
  "signals",
  () => ({ text: "" }),
  (context, memory) => {
    const { host, app } = context;
    const { meta } = app.run;
    const groups = meta.roads.groups;
    if (!groups.length) {
      host.append(el("p", { class: "p-muted" }, app.t("signals.none")));
      return;
    }
    const table = el("div", { class: "p-signals p-list", role: "table", "aria-label": app.t("panel.signals") });
    const rows = groups.map((group, index) => makeRow(app, index, group.id, group.name));
    const byElement = new Map(rows.map((row) => [row.root as Element, row]));
    const watcher =
      typeof IntersectionObserver === "undefined"
        ? null
        : new IntersectionObserver(
            (entries) => {
              for (const entry of entries) byElement.get(entry.target)!.isVisible = entry.isIntersecting;
              update();
            },
            { root: table },
          );
    let junction = "";
    const junctions: [HTMLElement, Row[]][] = [];
    for (const row of rows) {
      const [name] = splitName(groups[row.group]!.name);
      if (name && name !== junction) {
        const head = el("div", { class: "p-signal p-junction", role: "row" }, el("span", { role: "rowheader" }, name));
        junctions.push([head, []]);
        table.append(head);
      }
      junction = name;
      if (name) junctions.at(-1)![1].push(row);
      table.append(row.root);
      watcher?.observe(row.root);
    }
    context.onEnd(() => watcher?.disconnect());
    const head = el("div", { class: "p-signal p-head", role: "row" });
    for (const key of ["signals.group", "signals.light", "signals.truth", "signals.said", "signals.window"]) head.append(el("span", { role: "columnheader", title: app.t(`${key}.help`) }, app.t(key)));
    table.prepend(head);

    const filter = (): void => {
      const words = memory.text.toLowerCase().split(/\s+/).filter(Boolean);
      for (const row of rows) {
        const group = groups[row.group]!;
        const text = `${group.id} ${group.name}`.toLowerCase();
        row.root.hidden = !words.every((word) => text.includes(word));
      }
      for (const [head, own] of junctions) head.hidden = own.every((row) => row.root.hidden);
    };
    host.append(
      el(
        "div",
        { class: "p-tools" },
        searchBox(app.t("filter.search"), memory.text, (text) => {
          memory.text = text;
          filter();
        }),
      ),
      table,
    );
    filter();

    let lights: GroupLights[] | null = null;
    let spat: Columns[] = []; // of the block at the playhead, and of the one before
    let spatBlock = -1;
    const readLights = (): void => {
      void orNull(app.run.table("signals")).then((signals) => {
        if (!context.isCurrent() || !signals) return;
        lights = lightsByGroup(signals, groups.length);
        update();
      });
    };
    readLights();
    context.on("live", () => {
      readLights();
      spatBlock = -1;
    });

    function update(): void {
      if (!isShown(host)) return;
      const block = Math.floor(app.timeMs / app.run.blockMs);
      if (block !== spatBlock) {
        spatBlock = block;
        const blocks = block > 0 ? [block, block - 1] : [block];
        void Promise.all(blocks.map((each) => orNull(app.run.block("spat", each)))).then((columns) => {
          if (!context.isCurrent() || spatBlock !== block) return;
          spat = columns.filter((each) => each !== null);
          update();
        });
      }
      const said = saidAt(spat, app.timeMs);
      const palette = paletteOf(getComputedStyle(host));
      for (const row of rows) {
        if (!row.isVisible && watcher) continue;
        if (row.root.hidden) continue;
        drawRow(app, row, lights?.[row.group] ?? null, said.get(row.group) ?? null, palette);
      }
    }
    context.onTime(update, 5);
  },
);

/** "J1.bus_east" -> ["J1", "bus east"]: the junction, and the group within it. */
export function splitName(name: string): [junction: string, group: string] {
  const dot = name.indexOf(".");
  return dot < 0 ? ["", name] : [name.slice(0, dot), name.slice(dot + 1).replaceAll("_", " ")];
}

function makeRow(app: App, index: number, id: string, name: string): Row {
  const lamp = el("span", { class: "p-lamp", "aria-hidden": "true" });
  const light = el("span", { class: "p-light-name" });
  const truth = el("span", { role: "cell", class: "p-number" });
  const said = el("span", { role: "cell", class: "p-number" });
  const canvas = el("canvas", { class: "p-strip", role: "img", "aria-label": app.t("signals.window") });
  canvas.addEventListener("click", (event) => {
    const box = canvas.getBoundingClientRect();
    app.seek(app.timeMs + ((event.clientX - box.left) / box.width - 0.5) * 2 * WINDOW_MS);
  });
  const label = splitName(name)[1] || id;
  const root = el(
    "div",
    { class: "p-signal", role: "row" },
    el("span", { role: "rowheader", class: "p-name", title: `${id} ${name}` }, label),
    el("span", { role: "cell", class: "p-lamp-cell" }, lamp, light),
    truth,
    said,
    el("span", { role: "cell" }, canvas),
  );
  return { root, lamp, light, truth, said, canvas, group: index, isVisible: false };
}

function drawRow(app: App, row: Row, lights: GroupLights | null, said: Said | null, palette: Palette): void {
  const names = app.run.meta.lights;
  const now = app.timeMs;
  const index = lights ? lastAtOrBefore(lights.t, now) : -1;
  const light = lights && index >= 0 ? lights.light[index]! : 0;
  const name = names[light] ?? String(light);
  setText(row.light, lightName(app, name));
  row.lamp.style.background = palette(name || "dark");
  setAttribute(row.lamp, "class", name.toUpperCase().includes("FLASHING") ? "p-lamp p-flashing" : "p-lamp");
  const next = lights?.t[index + 1];
  const end = app.run.meta.duration_s * 1000;
  setText(row.truth, index < 0 ? "–" : next === undefined ? `> ${fixed((end - now) / 1000, 0)} s` : `${fixed((next - now) / 1000, 1)} s`);
  if (!said) setText(row.said, "–");
  else {
    const left = said.remaining - (now - said.t) / 1000;
    const text = Number.isNaN(left) ? "?" : `${fixed(Math.max(0, left), 1)} s`;
    setText(row.said, said.light === light ? text : `${lightName(app, names[said.light] ?? "")} ${text}`);
    const isWrong = said.light !== light || (next !== undefined && !Number.isNaN(left) && Math.abs(left - (next - now) / 1000) > 1);
    setAttribute(row.said, "data-tone", isWrong ? "warn" : null);
    setAttribute(row.said, "title", isWrong ? app.t("signals.differs") : null);
  }
  if (lights) drawStrip(row.canvas, lights, names, now, end, palette);
}

function lightName(app: App, name: string): string {
  const key = `light.${name.toLowerCase().replace(/^light_/, "")}`;
  const text = app.t(key);
  return text === key ? name.toLowerCase().replaceAll("_", " ") : text;
}

function drawStrip(canvas: HTMLCanvasElement, lights: GroupLights, names: string[], now: number, end: number, palette: Palette): void {
  const ratio = window.devicePixelRatio || 1;
  const width = Math.round(canvas.clientWidth * ratio);
  const height = Math.round(canvas.clientHeight * ratio);
  if (!width || !height) return;
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
  const context = canvas.getContext("2d");
  if (!context) return;
  context.clearRect(0, 0, width, height);
  const from = now - WINDOW_MS;
  const scale = width / (2 * WINDOW_MS);
  for (let i = Math.max(0, lastAtOrBefore(lights.t, from)); i < lights.t.length && lights.t[i]! < now + WINDOW_MS; i++) {
    const start = Math.max(lights.t[i]!, from, 0);
    const stop = Math.min(lights.t[i + 1] ?? end, now + WINDOW_MS, end);
    if (stop <= start) continue;
    const name = (names[lights.light[i]!] ?? "").toUpperCase();
    const part = name.includes("FLASHING") || name.includes("PERMISSIVE") ? 0.55 : 0.85;
    context.fillStyle = palette(name || "dark");
    context.globalAlpha = start > now ? 0.55 : 1;
    const x = (start - from) * scale;
    context.fillRect(x, (height * (1 - part)) / 2, Math.max(1, (stop - from) * scale - x), height * part);
  }
  context.globalAlpha = 1;
  context.fillStyle = palette("");
  context.fillRect(Math.round(width / 2 - ratio / 2), 0, Math.max(1, ratio), height);
}
