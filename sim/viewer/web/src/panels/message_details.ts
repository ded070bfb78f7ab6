// One message: who heard it and when, who did not and why, its fields, its bytes.
import type { App } from "../model";
import { asJson, placeOf } from "../proto/shape";
import { unfold, type ByteRange, type MessageNode } from "../proto/unfold";
import { el, setText } from "./dom";
import { fieldView, rangeOf, type FieldWords } from "./field_view";
import { bytesText, clock, fixed } from "./format";
import { orNull, type Context } from "./frame";
import { hexText, hexView } from "./hex_view";
import { fateText } from "./messages";
import { typeOfTopic } from "./schemas";
import { byReceiver, DELIVERED, type FateMatrix, type MessageAt, type MessageLine, type Traffic } from "./traffic";
import { compareWithTwin, type Twin } from "./twin_message";
import { VirtualRows } from "./virtual_rows";

/** Draws into `host`; the returned function shows another message, or none. */
export function detailsView(context: Context, host: HTMLElement, traffic: Traffic): (at: MessageAt | null) => Promise<void> {
  const { app } = context;
  let shown = 0;
  let ends: (() => void)[] = [];
  context.onEnd(() => ends.forEach((end) => end()));
  return async (at) => {
    const own = ++shown;
    const isCurrent = (): boolean => own === shown && context.isCurrent();
    ends.forEach((end) => end());
    ends = [];
    if (!at) {
      host.replaceChildren();
      return;
    }
    await orNull(traffic.read(at.block));
    const line = traffic.line(at);
    if (!isCurrent()) return;
    if (!line) {
      host.setAttribute("data-failed", "");
      host.replaceChildren(el("p", { class: "p-muted" }, app.t("messages.gone")));
      return;
    }
    const actions = el("span", { class: "p-actions" });
    const who = el("div", { class: "p-who" });
    const what = el("div", { class: "p-what" });
    host.replaceChildren(header(app, traffic, at, line, actions), who, what);
    host.scrollTop = 0;
    let problem = "";
    const failed = (error: unknown): null => ((problem = error instanceof Error ? error.message : String(error)), null);
    const [fates, bytes] = await Promise.all([traffic.fates(at).catch(failed), app.run.bytes(at.block, at.row).catch(failed)]);
    if (!isCurrent()) return;
    host.toggleAttribute("data-failed", problem !== "");
    if (problem) {
      who.append(el("p", { class: "p-note" }, app.t("messages.failed"), " ", problem));
      return;
    }
    const message = bytes ? decode(app, line, bytes) : null;
    if (line.rows === 0) who.append(el("p", { class: "p-muted" }, app.t((app.run.meta.topics[line.topic] ?? "").startsWith("v2x/") ? "messages.no_fates" : "messages.not_on_air")));
    else if (fates) who.append(...receivers(app, line, fates, message, ends));
    else who.append(el("p", { class: "p-muted" }, app.t("messages.no_fates")));
    const twin = await orNull(compareWithTwin(app, line, message, isCurrent));
    if (!isCurrent()) return;
    if (twin) who.prepend(twin.root);
    if (bytes) content(app, actions, what, bytes, message, ends, twin);
    else {
      const { budget } = app.run.meta;
      what.append(el("p", { class: "p-note" }, app.t("messages.no_bytes"), " ", app.language === "zh" ? budget.sentence_zh : budget.sentence_en));
    }
  };
}

function decode(app: App, line: MessageLine, bytes: Uint8Array): MessageNode | null {
  const type = typeOfTopic(app.run, line.topic);
  return type ? unfold(type, bytes) : null;
}

function header(app: App, traffic: Traffic, at: MessageAt, line: MessageLine, actions: HTMLElement): HTMLElement {
  const { meta } = app.run;
  const step = (direction: 1 | -1): void => {
    void orNull(neighbour(traffic, at, line, direction)).then((to) => to && app.selectMessage(to));
  };
  return el(
    "header",
    { class: "p-details-head" },
    el("h3", {}, meta.topics[line.topic] ?? "?"),
    el("button", { type: "button", class: "p-link", title: app.t("messages.open_sender"), onclick: () => app.selectUnit(meta.units[line.sender] ?? null) }, meta.units[line.sender] ?? "?"),
    el("span", { class: "p-muted" }, `#${line.seq} · ${line.size ? bytesText(line.size) : "–"}${line.rows <= 1 ? "" : ` · ${line.rows} ${app.t("messages.rows_unit")}`}`),
    el("button", { type: "button", title: app.t("messages.seek"), onclick: () => app.seek(line.t) }, clock(line.t, 3)),
    el("button", { type: "button", title: app.t("messages.previous"), "aria-label": app.t("messages.previous"), onclick: () => step(-1) }, "‹"),
    el("button", { type: "button", title: app.t("messages.next"), "aria-label": app.t("messages.next"), onclick: () => step(1) }, "›"),
    actions,
    el("button", { type: "button", class: "p-close", title: app.t("close"), "aria-label": app.t("close"), onclick: () => app.selectMessage(null) }, "×"),
  );
}

/** The next or previous message of the same sender and topic, in this block or the one beside it. */
async function neighbour(traffic: Traffic, at: MessageAt, line: MessageLine, direction: 1 | -1): Promise<MessageAt | null> {
  for (let block = at.block; block >= 0 && block < traffic.run.numBlocks && Math.abs(block - at.block) < 3; block += direction) {
    const columns = await traffic.read(block);
    if (!columns) continue;
    const count = columns.t!.length;
    let row = block === at.block ? at.row + direction : direction > 0 ? 0 : count - 1;
    for (; row >= 0 && row < count; row += direction) if (columns.topic![row] === line.topic && columns.sender![row] === line.sender) return { block, row };
  }
  return null;
}

function latency(app: App, us: number): string {
  return us > 0 ? `${fixed(us / 1000, 2)} ms` : app.t("messages.at_once");
}

function receivers(app: App, line: MessageLine, matrix: FateMatrix, message: MessageNode | null, ends: (() => void)[]): HTMLElement[] {
  const { meta } = app.run;
  const body = el("tbody");
  for (const each of byReceiver(matrix)) {
    if (each.isSender) continue;
    const name = meta.receivers[each.receiver]!;
    const reasons = [...each.counts].filter(([fate]) => fate > DELIVERED).sort((a, b) => b[1] - a[1]);
    const why = reasons.map(([fate, count]) => `${fateText(app, meta.fates[fate] ?? String(fate))}${line.rows > 1 ? ` × ${count}` : ""}`).join(", ");
    const span = each.heard === 0 ? "" : each.minUs === each.maxUs ? latency(app, each.minUs) : `${fixed(each.minUs / 1000, 2)} – ${latency(app, each.maxUs)}`;
    const heard = line.rows > 1 ? `${each.heard} / ${each.heard + each.lost}` : app.t(each.heard ? "messages.heard_yes" : "messages.heard_no");
    body.append(
      el(
        "tr",
        { class: each.lost === 0 ? "p-good" : each.heard === 0 ? "p-bad" : "p-warn" },
        el("th", { scope: "row" }, el("button", { type: "button", class: "p-link", onclick: () => app.selectUnit(name) }, name)),
        el("td", {}, heard),
        el("td", {}, span),
        el("td", {}, each.heard ? clock(line.t + each.minUs / 1000, 3) : ""),
        el("td", {}, why),
      ),
    );
  }
  const heads = ["receiver", "heard", "latency", "arrived", "why_not"].map((key) => el("th", { scope: "col" }, app.t(`messages.${key}`)));
  const table = el("table", { class: "p-table p-receivers" }, el("thead", {}, el("tr", {}, ...heads)), body);
  if (!body.childElementCount) return [el("p", { class: "p-muted" }, app.t("messages.no_receivers"))];
  return line.rows > 1 ? [table, matrixView(app, matrix, message, ends)] : [table];
}

/** Rows (stations of a batch) by receivers, each cell with its fate. */
function matrixView(app: App, matrix: FateMatrix, message: MessageNode | null, ends: (() => void)[]): HTMLElement {
  const { meta } = app.run;
  const stations = message?.nodes.find((node) => node.kind === "list" && node.field.name === "station_id" && node.values.length === matrix.rows);
  const content = el("div", {});
  const element = el("details", { class: "p-group" }, el("summary", {}, app.t("messages.matrix").replace("{rows}", String(matrix.rows)).replace("{receivers}", String(matrix.receivers))), content);
  element.addEventListener("toggle", () => {
    if (!element.open || content.childElementCount) return;
    const template = `6em repeat(${matrix.receivers}, minmax(6.5em, 1fr))`;
    const head = el("div", { class: "p-grid-line p-head", role: "row" }, el("span", { role: "columnheader" }, app.t("messages.station")));
    for (const name of meta.receivers) head.append(el("span", { role: "columnheader", title: name }, name));
    head.style.gridTemplateColumns = template;
    const body = el("div", { role: "rowgroup" });
    const scroller = el("div", { class: "p-grid p-matrix", role: "table", tabindex: 0, "aria-rowcount": matrix.rows + 1 }, head, body);
    scroller.style.height = `${Math.min(300, 26 + matrix.rows * 20 + 14)}px`;
    content.append(scroller);
    const list = new VirtualRows(scroller, body, {
      height: 20,
      create: () => {
        const row = el("div", { class: "p-grid-line", role: "row" }, el("span", { role: "rowheader" }));
        row.style.gridTemplateColumns = template;
        for (let i = 0; i < matrix.receivers; i++) row.append(el("span", { role: "cell" }));
        return row;
      },
      fill: (row, index) => {
        const station = stations?.kind === "list" ? stations.values[index] : undefined;
        setText(row.children[0]!, station === undefined ? String(index) : stationText(app, Number(station)));
        for (let receiver = 0; receiver < matrix.receivers; receiver++) {
          const cell = row.children[receiver + 1] as HTMLElement;
          const place = index * matrix.receivers + receiver;
          const fate = matrix.fate[place]!;
          const text = fate === 0 ? "" : fate === DELIVERED ? latency(app, matrix.latencyUs[place]!) : fateText(app, meta.fates[fate] ?? String(fate));
          setText(cell, text);
          cell.title = text;
          cell.dataset.fate = fate === 0 ? "self" : fate === DELIVERED ? "heard" : "lost";
        }
      },
    });
    list.setCount(matrix.rows);
    ends.push(() => list.end());
  });
  return element;
}

function stationText(app: App, id: number): string {
  const name = app.run.meta.actors.find((actor) => actor.id === id)?.name;
  return name ? `${id} (${name})` : String(id);
}

function content(app: App, actions: HTMLElement, host: HTMLElement, bytes: Uint8Array, message: MessageNode | null, ends: (() => void)[], twin: Twin | null): void {
  const names = new Map(app.run.meta.actors.filter((actor) => actor.name).map((actor) => [actor.id, actor.name]));
  const words: FieldWords = {
    t: (key) => app.t(key),
    meaning: (field, value) => {
      const name = /^(station|sender)_id$/.test(field.name) && typeof value === "number" ? names.get(value) : undefined;
      return name ? `${String(value)} (${name})` : null;
    },
    says: twin ? (range) => twin.says(range) : undefined,
    touches: twin ? (range) => twin.touches(range) : undefined,
  };
  const place = el("span", { class: "p-place p-muted", role: "status" });
  let pinned: ByteRange | null = null;
  const fields = message ? fieldView(message, words) : null;
  const pointAt = (range: ByteRange | null, path: string, isRevealed: boolean): void => {
    const wanted = range ?? pinned;
    hex.mark(wanted, isRevealed);
    fields?.mark(wanted);
    setText(place, wanted ? `${path ? `${path} · ` : ""}${app.t("messages.bytes_at")} ${wanted[0]}–${wanted[1] - 1} (${wanted[1] - wanted[0]})` : app.t("messages.hover"));
  };
  const pathOf = (range: ByteRange | null): string => (range && message ? (placeOf(message, range[1] - 1)?.path ?? "") : "");
  const fromByte = (at: number | null): void => {
    const found = at !== null && message ? placeOf(message, at) : null;
    pointAt(found?.range ?? null, found?.path ?? pathOf(pinned), false);
  };
  const hex = hexView(bytes, app.t("messages.bytes"), fromByte, (at) => {
    pinned = message ? (placeOf(message, at)?.range ?? null) : null;
    fromByte(at);
  });
  if (fields) {
    const { root } = fields;
    const enter = (event: Event): void => {
      const range = rangeOf(event.target);
      pointAt(range, pathOf(range ?? pinned), true);
    };
    root.addEventListener("mouseover", enter);
    root.addEventListener("focusin", enter);
    root.addEventListener("mouseleave", () => pointAt(null, pathOf(pinned), false));
    root.addEventListener("click", (event) => {
      const range = rangeOf(event.target);
      pinned = range && pinned && range[0] === pinned[0] && range[1] === pinned[1] ? null : range;
    });
    ends.push(() => fields.end());
  }
  ends.push(() => hex.end());
  setText(place, app.t("messages.hover"));
  host.append(
    el(
      "div",
      { class: "p-two" },
      el("section", {}, el("h4", {}, app.t("messages.fields")), fields?.root ?? el("p", { class: "p-muted" }, app.t("messages.no_schema"))),
      el("section", {}, el("h4", {}, `${app.t("messages.bytes")} (${bytes.length})`, place), hex.root),
    ),
  );
  const done = el("span", { class: "p-muted", role: "status" });
  const copy = (text: string): void => {
    void copyText(text).then((isCopied) => {
      setText(done, app.t(isCopied ? "messages.copied" : "messages.not_copied"));
      setTimeout(() => setText(done, ""), 2000);
    });
  };
  actions.append(el("button", { type: "button", onclick: () => copy(hexText(bytes)) }, app.t("messages.copy_hex")));
  if (message) actions.append(el("button", { type: "button", onclick: () => copy(JSON.stringify(asJson(message), null, 1)) }, app.t("messages.copy_json")));
  actions.append(done);
}

/** Into the clipboard; pages from disk may lack the newer way. */
async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = el("textarea", { class: "p-offscreen", "aria-hidden": "true" });
    area.value = text;
    document.body.append(area);
    area.select();
    const isCopied = document.execCommand("copy");
    area.remove();
    return isCopied;
  }
}
