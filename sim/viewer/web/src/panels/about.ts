// Where a run comes from, what this page holds of it, and which keys do what.
import type { App, Run } from "../model";
import { recorded } from "../i18n/recorded";
import { el } from "./dom";
import { clock } from "../shell/moments"; // the same as beside the line of time
import { panelOf, redrawOnGrowth } from "./frame";

const KEYS: [keys: string, text: string][] = [
  ["Space", "help.space"],
  ["← →", "help.arrows"],
  [", .", "help.comma"],
  ["[ ]", "help.brackets"],
  ["Home End", "help.ends"],
  ["↑ ↓", "help.updown"],
  ["+ -", "help.zoom"],
  ["0", "help.fit"],
  ["F", "help.follow"],
  ["N B", "help.next"],
  ["Esc", "help.esc"],
  ["L", "help.language"],
  ["T", "help.theme"],
  ["P", "help.panels"],
  ["?", "help.help"],
  ["↑ ↓", "about.key.list"],
];

export const aboutPanel = panelOf(
  "about",
  () => ({}),
  (context) => {
    const { app } = context;
    redrawOnGrowth(context, () => app.run.meta.duration_s, () => content(app));
  },
);

function content(app: App): Node[] {
    const parts: Node[] = [facts(app, app.run, app.other ? app.t("compare.first") : "")];
    if (app.other) parts.push(facts(app, app.other, app.t("compare.second")));
    const keys = el("dl", { class: "p-keys" });
    for (const [key, text] of KEYS) keys.append(el("dt", {}, ...key.split(" ").map((each) => el("kbd", {}, each))), el("dd", {}, app.t(text)));
    parts.push(el("section", {}, el("h3", {}, app.t("about.keys")), keys));
    return parts;
}

function facts(app: App, run: Run, title: string): HTMLElement {
  const { meta } = run;
  const rows: [string, string][] = [
    ["about.scenario", meta.scenario],
    ["about.seed", String(meta.seed)],
    ["about.duration", `${clock(meta.duration_s * 1000)} · ${app.t("about.tick")} ${meta.tick_ms} ms`],
    ["about.epoch", epochText(meta.epoch_ns)],
    ["about.digest", meta.digest],
    ["about.commit", meta.commit],
    ["about.versions", Object.entries(meta.versions).map(([name, version]) => `${name} ${version}`).join(", ")],
    ["about.actors", String(meta.actors.length)],
    ["about.units", meta.units.join(", ")],
    ["about.messages", `${meta.budget.with_bytes} / ${meta.budget.messages}`],
  ];
  const list = el("dl", { class: "p-facts" });
  for (const [key, value] of rows) list.append(el("dt", {}, app.t(key)), el("dd", { class: key === "about.digest" || key === "about.commit" ? "p-code" : null }, value || "–"));
  const budget = app.language === "zh" ? meta.budget.sentence_zh : meta.budget.sentence_en;
  return el("section", {}, title ? el("h3", {}, title) : null, list, budget ? el("p", {}, budget) : null, meta.lost ? el("p", { class: "p-lost" }, recorded(app, meta.lost)) : null);
}

/** UTC of simulation time 0. */
export function epochText(epochNs: string): string {
  if (!/^-?\d+$/.test(epochNs)) return epochNs;
  const ms = Number(BigInt(epochNs) / 1_000_000n);
  const date = new Date(ms);
  return Number.isNaN(date.getTime()) ? epochNs : date.toISOString().replace("T", " ").replace("Z", " UTC");
}
