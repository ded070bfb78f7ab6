// Moments worth going to: events, and criteria at the time they failed.
import { recorded, type Reader } from "../i18n/recorded";
import type { App, Meta, RunEvent } from "../model";

export interface Moment { timeMs: number; kind: "failed" | "bad" | "event"; title: string; text: string; subject: string }

// Kinds of protocols.judging.EventKind that somebody should look at whoever it was.
const BAD = new Set(["collision", "red_light", "bus_lane", "signal_rule", "off_road", "door_fault", "missed_station", "fault_started", "watchdog", "run_broken"]);

/** Worth a tick: what went wrong, and what named vehicles did. That background traffic comes, goes and brakes is routine. */
function isWorth(event: RunEvent, names: Map<string, string>): boolean {
  return BAD.has(event.kind) || names.has(event.subject) || (event.kind !== "spawned" && event.kind !== "arrived" && !/^\d+$/.test(event.subject));
}

export function momentsOf(meta: Meta): Moment[] {
  const out: Moment[] = [];
  for (const criterion of meta.criteria)
    if (!criterion.passed && criterion.t_s !== null) out.push({ timeMs: criterion.t_s * 1000, kind: "failed", title: criterion.name, text: criterion.sentence, subject: "" });
  const names = new Map(Object.entries(meta.vehicles).flatMap(([name, id]) => [[String(id), name], [name, name]] as [string, string][]));
  for (const event of meta.events)
    if (isWorth(event, names)) out.push({ timeMs: event.t_s * 1000, kind: BAD.has(event.kind) ? "bad" : "event", title: event.kind, text: event.text, subject: event.subject === "0" ? "" : (names.get(event.subject) ?? event.subject) });
  return out.sort((a, b) => a.timeMs - b.timeMs);
}

/** What a moment is called in the page's language. */
export function momentName(app: Pick<App, "t"> & Reader, moment: Moment): string {
  if (moment.kind === "failed") return app.t("tick.failed").replace("{name}", () => recorded(app, moment.title));
  const key = `event.${moment.title}`;
  const known = app.t(key);
  return [known === key ? moment.title.replaceAll("_", " ") : known, moment.subject].filter(Boolean).join(" · ");
}

/** The moment before or after `timeMs`, with some room so that one does not stick to it. */
export function neighbour(moments: Moment[], timeMs: number, direction: 1 | -1): Moment | null {
  const room = 5;
  if (direction > 0) return moments.find((moment) => moment.timeMs > timeMs + room) ?? null;
  return moments.findLast((moment) => moment.timeMs < timeMs - room) ?? null;
}

export function clock(timeMs: number, withTenths = true): string {
  const tenths = Math.floor(timeMs / 100 + 1e-6);
  const seconds = Math.floor(tenths / 10);
  const minutes = Math.floor(seconds / 60);
  const hours = Math.floor(minutes / 60);
  const two = (n: number): string => String(n).padStart(2, "0");
  const text = hours > 0 ? `${hours}:${two(minutes % 60)}:${two(seconds % 60)}` : `${minutes}:${two(seconds % 60)}`;
  return withTenths ? `${text}.${tenths % 10}` : text;
}
