// What happened, in order: filter by kind, vehicle or words; a click goes there.
import type { App, RunEvent } from "../model";
import { recorded } from "../i18n/recorded";
import { choice, el, searchBox, setAttribute, setText } from "./dom";
import { lastAtOrBefore } from "./find";
import { clock, figure, metricName } from "./format";
import { kindName } from "./kinds";
import { panelOf } from "./frame";
import { VirtualRows } from "./virtual_rows";

interface Memory {
  kind: string;
  text: string;
}

/** Background traffic coming and going: many, and seldom what one looks for. */
const ROUTINE = new Set(["spawned", "arrived"]);
const NOTABLE = "notable";
const NOBODY = "0"; // ids of actors begin at 1

/** Events that pass; `kind` empty for all, "notable" for all but routine; `text` as words that must all occur in kind, subject or text, or
 * in what the page makes of them (`shown`). */
export function filterEvents(events: RunEvent[], kind: string, text: string, shown: (event: RunEvent) => string = () => ""): RunEvent[] {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  return events.filter((event) => {
    if (kind === NOTABLE ? ROUTINE.has(event.kind) : kind && event.kind !== kind) return false;
    const all = `${event.kind} ${event.kind.replaceAll("_", " ")} ${event.subject} ${event.text} ${shown(event)}`.toLowerCase();
    return words.every((word) => all.includes(word));
  });
}

/** Whether an event is worth a mark beside plots: it breaks a rule, or speaks of a named vehicle. */
export function isNotable(event: RunEvent, vehicles: Record<string, number>): boolean {
  if (BROKEN.has(event.kind)) return true;
  return !ROUTINE.has(event.kind) && Object.entries(vehicles).some(([name, id]) => event.subject === String(id) || event.subject === name || event.subject.endsWith(`/${name}`));
}

/** Kinds of events that break a rule. */
export const BROKEN = new Set(["collision", "red_light", "bus_lane", "signal_rule", "off_road", "missed_station", "door_fault", "fault_started", "watchdog", "run_broken"]);

/** The actor an event speaks of: a vehicle's or unit's name ("bus1", "obu/bus1") or a number. */
export function actorOf(subject: string, app: App): number | null {
  const name = subject.slice(subject.lastIndexOf("/") + 1);
  const known = app.run.meta.vehicles[name];
  if (known !== undefined) return known;
  const id = Number(name);
  return name !== "" && app.run.meta.actors.some((actor) => actor.id === id) ? id : null;
}

export function eventName(app: App, kind: string): string {
  const key = `event.${kind}`;
  const text = app.t(key);
  return text === key ? kind.replaceAll("_", " ") : text;
}

function subjectText(app: App, subject: string): string {
  if (subject === NOBODY) return "";
  const actor = app.run.meta.actors.find((each) => String(each.id) === subject);
  return actor ? actor.name || `${kindName(app, actor.kind_name)} ${actor.id}` : subject;
}

/** Text and figures of an event. `value` is worded by kind; -1 in `lane` and `other` means none. */
export function eventText(app: App, event: RunEvent): string {
  const parts = [recorded(app, event.text)];
  const key = `event.value.${event.kind}`;
  const worded = app.t(key);
  const order = ["value", "other", "lane"];
  const values = Object.entries(event.values).sort(([a], [b]) => order.indexOf(a) - order.indexOf(b));
  for (const [name, value] of values) {
    if (name === "value") {
      const exact = app.t(`${key}.${value}`);
      if (exact !== `${key}.${value}`) parts.push(exact);
      else if (worded !== key) parts.push(worded.replace("{value}", figure(value)));
      else if (value !== 0) parts.push(figure(value));
    } else if (name === "other") {
      if (event.kind === "collision" && value > 0) parts.push(`${app.t("event.with")} ${subjectText(app, String(value))}`);
    } else if (name === "lane") {
      if (value >= 0) parts.push(`${app.t("event.lane")} ${value}`);
    } else {
      const [word, unit] = metricName(name);
      parts.push(`${word} ${figure(value)}${unit ? ` ${unit}` : ""}`);
    }
  }
  return parts.filter(Boolean).join(" · ");
}

export const eventsPanel = panelOf<Memory>(
  "events",
  () => ({ kind: NOTABLE, text: "" }),
  (context, memory) => {
    const { host, app } = context;
    const read = (): RunEvent[] => [...app.run.meta.events].sort((a, b) => a.t_s - b.t_s);
    let all = read();
    if (memory.kind === NOTABLE && !filterEvents(all, NOTABLE, "").length) memory.kind = "";
    let shown: RunEvent[] = [];
    let times: number[] = [];
    let current = -1;

    const kinds = [...new Set(all.map((event) => event.kind))].sort();
    const count = el("span", { class: "p-muted", role: "status" });
    const body = el("div", { role: "rowgroup" });
    const scroller = el("div", { class: "p-list", role: "grid", tabindex: 0, "aria-label": app.t("panel.events") }, body);
    const open = (index: number): void => {
      const event = shown[index];
      if (!event) return;
      app.seek(event.t_s * 1000);
      const actor = actorOf(event.subject, app);
      if (actor !== null) app.select(actor);
    };
    const list = new VirtualRows(scroller, body, {
      height: 42,
      create: () => {
        const row = el("div", { class: "p-event", role: "row" });
        for (const name of ["p-when", "p-kind", "p-subject", "p-text"]) row.append(el("span", { class: name, role: "gridcell" }));
        row.addEventListener("click", () => open(Number(row.dataset.index)));
        return row;
      },
      fill: (row, index) => {
        const event = shown[index]!;
        row.dataset.index = String(index);
        setAttribute(row, "aria-current", index === current ? "time" : null);
        setAttribute(row, "aria-rowindex", String(index + 1));
        const [when, kind, subject, text] = row.children;
        setText(when!, clock(event.t_s * 1000));
        setText(kind!, eventName(app, event.kind));
        setText(subject!, subjectText(app, event.subject));
        const sentence = eventText(app, event);
        setText(text!, sentence);
        setAttribute(row, "title", sentence);
      },
    });
    context.onEnd(() => list.end());
    const apply = (): void => {
      const asShown = app.language === "en" ? undefined : (event: RunEvent): string => `${eventName(app, event.kind)} ${subjectText(app, event.subject)} ${recorded(app, event.text)}`;
      shown = filterEvents(all, memory.kind, memory.text, asShown);
      times = shown.map((event) => event.t_s * 1000);
      current = lastAtOrBefore(times, app.timeMs);
      list.setCount(shown.length);
      setAttribute(scroller, "aria-rowcount", String(shown.length));
      setText(count, app.t(all.length ? "list.count" : "events.none").replace("{shown}", String(shown.length)).replace("{all}", String(all.length)));
    };
    scroller.addEventListener("keydown", (event) => {
      const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (step === undefined) return;
      event.preventDefault();
      event.stopPropagation();
      const next = Math.min(shown.length - 1, Math.max(0, current + step));
      open(next);
      list.reveal(next);
    });
    host.append(
      el(
        "div",
        { class: "p-tools" },
        choice(app.t("events.kind"), [[NOTABLE, app.t("events.notable")], ["", app.t("filter.all")], ...kinds.map((kind): [string, string] => [kind, eventName(app, kind)])], memory.kind, (value) => {
          memory.kind = value;
          apply();
        }),
        searchBox(app.t("filter.search"), memory.text, (text) => {
          memory.text = text;
          apply();
        }),
        count,
      ),
      scroller,
    );
    context.on("live", () => {
      if (app.run.meta.events.length === all.length) return;
      all = read();
      apply();
    });
    apply();
    queueMicrotask(() => list.reveal(current, "center"));
    context.onTime(() => {
      const now = lastAtOrBefore(times, app.timeMs + 0.5);
      if (now === current) return;
      current = now;
      list.refill();
      if (app.playing) list.reveal(current);
    }, 5);
  },
);
