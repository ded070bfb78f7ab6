// The verdict: outcome, every criterion (failed ones first) with its margin and its moment, numbers per vehicle.
import type { App, Criterion, Run } from "../model";
import { metricWord, recorded } from "../i18n/recorded";
import { el } from "./dom";
import { clock, figure, metricName, outcomeText, unitText } from "./format";
import { panelOf, redrawOnGrowth } from "./frame";

export const criteriaPanel = panelOf(
  "criteria",
  () => ({}),
  (context) => {
    const { app } = context;
    redrawOnGrowth(
      context,
      () => [app.run.id, isRunning(app.run), app.run.meta.outcome, app.run.meta.sentence, app.run.meta.criteria, app.run.meta.numbers],
      () => [
        banner(app, app.run, app.other ? app.t("compare.first") : ""),
        ...(app.other ? [banner(app, app.other, app.t("compare.second"))] : []),
        ...(isRunning(app.run) ? [el("p", { class: "p-muted" }, app.t("criteria.later"))] : [criteriaList(app), numbers(app)]),
      ],
    );
  },
);

/** Whether the verdict is still to come. */
function isRunning({ meta }: Run): boolean {
  return (meta as { live?: boolean }).live === true && meta.criteria.length === 0;
}

const OUTCOME_TONE: Record<string, string> = { pass: "good", fail: "bad" };

function banner(app: App, run: Run, title: string): HTMLElement {
  const { meta } = run;
  const failed = meta.criteria.filter((each) => !each.passed).length;
  return el(
    "section",
    { class: `p-banner p-${OUTCOME_TONE[meta.outcome] ?? "warn"}`, role: "status" },
    title ? el("span", { class: "p-muted" }, title) : null,
    el("strong", { class: "p-outcome" }, outcomeText(app, meta.outcome)),
    el("span", { class: "p-sentence" }, isRunning(run) ? app.t("live.sentence") : recorded(app, meta.sentence)),
    isRunning(run) || meta.sentence ? null : el("span", { class: "p-muted" }, app.t("criteria.count").replace("{failed}", String(failed)).replace("{all}", String(meta.criteria.length))),
    meta.lost ? el("p", { class: "p-lost" }, recorded(app, meta.lost)) : null,
  );
}

/** Failed first, otherwise in the order of the scenario. */
export function failedFirst(criteria: Criterion[]): Criterion[] {
  return [...criteria.filter((each) => !each.passed), ...criteria.filter((each) => each.passed)];
}

function criteriaList(app: App): HTMLElement {
  if (!app.run.meta.criteria.length) return el("p", { class: "p-muted" }, app.t("criteria.none"));
  const list = el("ul", { class: "p-criteria", "aria-label": app.t("panel.criteria") });
  for (const criterion of failedFirst(app.run.meta.criteria)) list.append(criterionItem(app, criterion));
  return list;
}

function criterionItem(app: App, criterion: Criterion): HTMLElement {
  const word = app.t(criterion.passed ? "criteria.passed" : "criteria.failed");
  const content = [
    el("span", { class: "p-mark", role: "img", "aria-label": word, title: word }, criterion.passed ? "✓" : "✗"),
    el("span", { class: "p-sentence" }, recorded(app, criterion.sentence)),
    el("span", { class: "p-below" }, el("span", { class: "p-criterion-name", title: criterion.name }, recorded(app, criterion.name)), el("span", { class: "p-value" }, valueText(app, criterion), twin(app, criterion))),
    marginBar(app, criterion),
    el("span", { class: "p-when" }, criterion.t_s === null ? "" : clock(criterion.t_s * 1000)),
  ];
  const kind = criterion.passed ? "p-good" : "p-bad";
  const time = criterion.t_s;
  if (time === null) return el("li", { class: kind }, el("div", { class: "p-criterion" }, ...content));
  const open = (): void => {
    app.seek(time * 1000);
    const actor = vehicleOf(criterion, app.run.meta.vehicles);
    if (actor !== null) app.select(actor);
  };
  return el("li", { class: kind }, el("button", { type: "button", class: "p-criterion", title: app.t("criteria.open"), onclick: open }, ...content));
}

/** How the same criterion went in the run compared with. */
function twin(app: App, criterion: Criterion): HTMLElement | null {
  if (!app.other) return null;
  const same = app.other.meta.criteria.find((each) => each.name === criterion.name);
  if (!same) return el("span", { class: "p-other" }, "–");
  const text = `${same.passed ? "✓" : "✗"} ${same.value === null ? "" : `${figure(same.value)} ${unitText(same.unit)}`}`.trim();
  const isChanged = same.passed !== criterion.passed || same.value !== criterion.value;
  return el("span", { class: isChanged ? "p-other p-changed" : "p-other", title: recorded(app, same.sentence) }, text);
}

function valueText(app: App, criterion: Criterion): string {
  if (criterion.value === null && criterion.limit === null) return "";
  const unit = criterion.unit ? ` ${unitText(criterion.unit)}` : "";
  const limit = criterion.limit === null ? "" : ` · ${app.t("criteria.limit")} ${figure(criterion.limit)}${unit}`;
  return `${figure(criterion.value)}${criterion.value === null ? "" : unit}${limit}`;
}

/** The vehicle a criterion speaks of, as actor id: its name occurs as a word in the criterion's name, place or sentence. */
export function vehicleOf(criterion: Criterion, vehicles: Record<string, number>): number | null {
  for (const text of [criterion.name, criterion.where, criterion.sentence]) {
    const words = new Set(text.split(/[^\p{L}\p{N}_-]+/u));
    for (const [name, id] of Object.entries(vehicles)) if (words.has(name)) return id;
  }
  return null;
}

export interface Margin {
  value: number; // place of the value on the bar, 0..1
  limit: number; // place of the limit
}

/** Where value and limit lie on a bar from 0 to a little beyond the larger; null where there is nothing to compare. */
export function margin(criterion: Criterion): Margin | null {
  const { value, limit } = criterion;
  if (value === null || limit === null || !Number.isFinite(value) || !Number.isFinite(limit)) return null;
  if (value === 0 && limit === 0) return null;
  const low = Math.min(0, value, limit);
  const span = (Math.max(0, value, limit) - low) * 1.1;
  return { value: (value - low) / span, limit: (limit - low) / span };
}

function marginBar(app: App, criterion: Criterion): HTMLElement {
  const place = margin(criterion);
  if (!place) return el("span", { class: "p-bar p-none" });
  const bar = el("span", { class: "p-bar", role: "img", "aria-label": `${app.t("criteria.margin")}: ${valueText(app, criterion)}` });
  const fill = el("span", { class: "p-fill" });
  fill.style.width = `${Math.max(1, place.value * 100)}%`;
  const mark = el("span", { class: "p-limit", title: app.t("criteria.limit") });
  mark.style.left = `${place.limit * 100}%`;
  bar.append(fill, mark);
  return bar;
}

function numbers(app: App): HTMLElement {
  const vehicles = Object.entries(app.run.meta.numbers).filter(([, values]) => Object.keys(values).length);
  if (!vehicles.length) return el("p", { class: "p-muted" }, app.t("criteria.no_numbers"));
  const metrics = [...new Set(vehicles.flatMap(([, values]) => Object.keys(values)))];
  const head = el("tr", {}, el("th", { scope: "col" }, app.t("criteria.metric")));
  for (const [name] of vehicles) {
    const id = app.run.meta.vehicles[name];
    const button = el("button", { type: "button", class: "p-link", onclick: () => id !== undefined && app.select(id) }, name);
    head.append(el("th", { scope: "col" }, id === undefined ? name : button));
  }
  const other = app.other?.meta.numbers;
  const body = el("tbody");
  for (const metric of metrics) {
    const [plain, unit] = metricName(metric);
    const name = metricWord(app, metric) ?? plain;
    const row = el("tr", {}, el("th", { scope: "row", title: metric }, unit ? `${name} (${unit})` : name));
    for (const [vehicle, values] of vehicles) {
      const cell = el("td", {}, figure(values[metric]));
      const second = other?.[vehicle]?.[metric];
      if (other) cell.append(el("span", { class: "p-other", title: app.t("compare.other") }, figure(second)));
      row.append(cell);
    }
    body.append(row);
  }
  const table = el("table", { class: "p-table" }, el("caption", {}, app.t("criteria.numbers")), el("thead", {}, head), body);
  return el("div", { class: "p-scroll-x" }, table);
}
