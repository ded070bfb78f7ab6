// V2X traffic as it happened: every message sent, filtered, around the playhead; details of the one that is open.
import type { App, Columns } from "../model";
import { conditions, searchContents } from "./content";
import { choice, el, searchBox, setAttribute, setText, toggle } from "./dom";
import { bytesText, clock } from "./format";
import { isShown, panelOf } from "./frame";
import { detailsView } from "./message_details";
import { EVERYTHING, Found, matching, needsFates, Traffic, type Filter } from "./traffic";
import { VirtualRows } from "./virtual_rows";

interface Memory {
  filter: Filter;
  isFollowing: boolean;
}

const COLUMNS = ["time", "topic", "sender", "seq", "size", "rows", "heard", "lost"];

export const messagesPanel = panelOf<Memory>(
  "messages",
  () => ({ filter: { ...EVERYTHING }, isFollowing: true }),
  (context, memory) => {
    const { host, app } = context;
    const { meta } = app.run; // of a run in progress: as it was when the panel was made; filters only
    const traffic = Traffic.of(app.run);
    const found = new Found();
    let parts: (Uint32Array | null)[] = [];
    const searched: (Columns | null)[] = []; // what `parts` were found in
    let current = -1; // last message sent before the playhead
    let hasStopped = false; // what the search that runs has found is enough
    let search = 0; // number of the search that runs; an older one stops

    const status = el("span", { class: "p-muted", role: "status" });
    const stop = el("button", { type: "button", onclick: () => (hasStopped = true) }, app.t("messages.stop"));
    stop.hidden = true;
    const body = el("div", { role: "rowgroup" });
    const header = el("div", { class: "p-message p-head", role: "row" }, ...COLUMNS.map((key) => el("span", { role: "columnheader" }, app.t(`messages.${key}`))));
    const scroller = el("div", { class: "p-list p-messages-list", role: "grid", tabindex: 0, "aria-label": app.t("panel.messages") }, header, body);
    const list = new VirtualRows(scroller, body, { height: 22, create: () => createRow((index) => open(index)), fill });
    context.onEnd(() => list.end());
    context.onEnd(() => search++);

    function fill(row: HTMLElement, index: number): void {
      const at = found.at(index);
      const line = at && traffic.line(at);
      if (!at || !line) return;
      row.dataset.index = String(index);
      setAttribute(row, "aria-rowindex", String(index + 2));
      markTime(row, index);
      const isOpen = app.selectedMessage?.block === at.block && app.selectedMessage.row === at.row;
      setAttribute(row, "aria-selected", String(isOpen));
      row.id = `p-message-${index}`;
      if (isOpen) setAttribute(scroller, "aria-activedescendant", row.id);
      const { topics, units } = app.run.meta;
      const texts = [clock(line.t, 2), topics[line.topic] ?? "?", units[line.sender] ?? "?", String(line.seq), line.size ? bytesText(line.size) : "–", line.rows > 1 ? String(line.rows) : "", line.rows ? String(line.heard) : "–", line.lost ? String(line.lost) : ""];
      for (let i = 0; i < texts.length; i++) setText(row.children[i]!, texts[i]!);
      for (const i of [1, 2]) setAttribute(row.children[i]!, "title", texts[i]!);
    }

    function markTime(row: HTMLElement, index: number): void {
      setAttribute(row, "data-time", index === current ? "now" : index > current ? "later" : null);
    }

    function open(index: number): void {
      const at = found.at(index);
      if (at) app.selectMessage(at);
    }

    const follow = toggle(app.t("messages.follow"), memory.isFollowing, (isOn) => {
      memory.isFollowing = isOn;
      if (isOn) atPlayhead(true);
    });
    const stopFollowing = (): void => {
      if (!memory.isFollowing) return;
      memory.isFollowing = false;
      follow.setAttribute("aria-pressed", "false");
    };
    for (const kind of ["wheel", "touchmove"]) scroller.addEventListener(kind, stopFollowing, { passive: true });
    scroller.addEventListener("mousedown", (event) => event.offsetX > scroller.clientWidth && stopFollowing()); // its scroll bar

    function atPlayhead(isForced = false): void {
      const now = found.lastBefore(app.timeMs + 0.5);
      const isMoved = now !== current;
      if (!isMoved && !isForced) return;
      current = now;
      if (memory.isFollowing) list.reveal(Math.max(0, current), "center");
      for (const [index, row] of list.visible()) markTime(row, index);
    }

    /** Puts what has been found so far on screen; rows in view stay where they are when earlier ones come in above. */
    function showFound(isDone: boolean, note = ""): void {
      const top = memory.isFollowing ? null : found.at(list.first);
      found.set(parts, traffic);
      current = found.lastBefore(app.timeMs + 0.5);
      list.setCount(found.length);
      setAttribute(scroller, "aria-rowcount", String(found.length + 1));
      if (memory.isFollowing) list.reveal(Math.max(0, current), "center");
      else if (top) {
        const index = found.indexOf(top);
        if (index >= 0 && index !== list.first) scroller.scrollTop = index * 22;
      }
      list.refill();
      const all = traffic.blocks.reduce((sum, columns) => sum + (columns?.t!.length ?? 0), 0);
      const text = app.t("list.count").replace("{shown}", String(found.length)).replace("{all}", String(all));
      setText(status, [isDone ? text : `${text} …`, note].filter(Boolean).join(" · "));
    }

    /** Searches all blocks, beginning at the playhead and going outwards; `isGrowth`: only those that have changed. */
    async function run(isGrowth = false): Promise<void> {
      const own = ++search;
      hasStopped = false;
      setText(status, "…");
      parts = Array.from({ length: app.run.numBlocks }, (_, block) => (isGrowth ? (parts[block] ?? null) : null));
      const here = Math.min(app.run.numBlocks - 1, Math.floor(app.timeMs / app.run.blockMs));
      const order = [...parts.keys()].sort((a, b) => Math.abs(a - here) - Math.abs(b - here) || a - b);
      const { words, tests } = conditions(memory.filter.text);
      const filter = { ...memory.filter, text: words };
      let shownAt = -Infinity;
      let problem = "";
      stop.hidden = tests.length === 0;
      const progress = (key: string, done: number): string => (tests.length ? app.t(key).replace("{done}", String(done)).replace("{all}", String(order.length)) : "");
      for (const [done, block] of order.entries()) {
        try {
          const columns = await traffic.read(block);
          if (search !== own) return;
          if (columns && !(isGrowth && parts[block] && searched[block] === columns)) {
            const masks = needsFates(filter) ? await traffic.fateMasks(block, filter.receiver) : null;
            if (search !== own) return;
            const rows = matching(columns, filter, masks, app.run.meta.topics, app.run.meta.units);
            parts[block] = tests.length ? await searchContents(app.run, block, columns, rows, tests, () => search !== own || hasStopped) : rows;
            if (search !== own) return;
            searched[block] = columns;
          }
        } catch (error) {
          if (search !== own) return;
          problem = error instanceof Error ? error.message : String(error); // the other blocks can still be shown
        }
        const isLast = done === order.length - 1;
        if (hasStopped && !isLast) {
          showFound(true, progress("messages.stopped", done));
          stop.hidden = true;
          return;
        }
        const now = performance.now();
        if (now - shownAt < 120 && !isLast) continue;
        shownAt = now;
        showFound(isLast, isLast ? "" : progress("messages.searching", done + 1));
      }
      stop.hidden = true;
      if (problem) setText(status, `${status.textContent ?? ""} · ${app.t("messages.unreadable")} ${problem}`);
      if (!order.length) showFound(true);
    }

    const change = (part: Partial<Filter>): void => {
      memory.filter = { ...memory.filter, ...part };
      void run();
    };
    const indexed = (names: string[]): [string, string][] => [["", app.t("filter.all")], ...names.map((name, index): [string, string] => [String(index), name])];
    const index = (text: string): number | null => (text === "" ? null : Number(text));
    const { filter } = memory;
    const outcomes: [string, string][] = [
      ["any", app.t("filter.all")],
      ["heard", app.t("messages.outcome.heard")],
      ["lost", app.t("messages.outcome.lost")],
      ...meta.fates.map((name, fate): [string, string] => [String(fate), `${app.t("messages.outcome.lost")}: ${fateText(app, name)}`]).slice(2),
    ];
    const tools = el(
      "div",
      { class: "p-tools" },
      choice(app.t("messages.topic"), indexed(meta.topics), String(filter.topic ?? ""), (value) => change({ topic: index(value) })),
      choice(app.t("messages.sender"), indexed(meta.units), String(filter.sender ?? ""), (value) => change({ sender: index(value) })),
      choice(app.t("messages.receiver"), indexed(meta.receivers), String(filter.receiver ?? ""), (value) => change({ receiver: index(value) })),
      choice(app.t("messages.outcome"), outcomes, String(filter.outcome), (value) => change({ outcome: /^\d+$/.test(value) ? Number(value) : (value as Filter["outcome"]) })),
      searchBox(app.t("messages.search"), filter.text, (text) => change({ text }), app.t("messages.search.help")),
      follow,
      stop,
      status,
    );
    const details = el("section", { class: "p-details", "aria-label": app.t("messages.details") });
    details.hidden = true;
    host.append(tools, scroller, details);

    scroller.addEventListener("keydown", (event) => {
      const page = Math.max(1, Math.floor(scroller.clientHeight / 22) - 2);
      const step = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity }[event.key];
      if (event.key === "Escape" && app.selectedMessage) app.selectMessage(null);
      else if (step !== undefined) {
        stopFollowing();
        const from = app.selectedMessage ? found.indexOf(app.selectedMessage) : current;
        const to = Math.min(found.length - 1, Math.max(0, (from < 0 ? current : from) + step));
        open(to);
        list.reveal(to);
      } else return;
      event.preventDefault();
      event.stopPropagation();
    });

    const show = detailsView(context, details, traffic);
    const showSelected = (): void => {
      const at = app.selectedMessage;
      details.hidden = !at;
      list.refill();
      void show(at);
      if (at && !memory.isFollowing) {
        const place = found.indexOf(at);
        if (place >= 0 && !list.at(place)) list.reveal(place, "center");
      }
    };
    context.on("message", showSelected);
    context.on("live", () => {
      traffic.forgetLast();
      void run(true);
      if (app.selectedMessage && details.hasAttribute("data-failed")) void show(app.selectedMessage);
    });
    context.onTime(() => isShown(host) && atPlayhead(), 12);
    void run();
    if (app.selectedMessage) showSelected();
  },
);

function createRow(open: (index: number) => void): HTMLElement {
  const row = el("div", { class: "p-message", role: "row" });
  for (const key of COLUMNS) row.append(el("span", { role: "gridcell", class: `p-${key}` }));
  row.addEventListener("click", () => open(Number(row.dataset.index)));
  return row;
}

/** What became of a message, in words. */
export function fateText(app: App, name: string): string {
  const key = `fate.${name.toLowerCase().replace(/^fate_/, "")}`;
  const text = app.t(key);
  return text === key ? name.toLowerCase().replaceAll("_", " ") : text;
}
