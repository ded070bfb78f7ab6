// The part of the address after '#': a link to a moment. `#t=12.34&sel=bus1&lang=zh`
import { MAX_SCALE, MIN_SCALE } from "./scene/camera";

export interface View { x: number; y: number; scale: number } // world metres, pixels per metre

export interface Place {
  timeMs: number | null;
  selected: string | null; // name of an actor, or its id
  unit: string | null;
  message: { block: number; row: number } | null;
  language: "en" | "zh" | null;
  tab: string | null;
  mode: "overlay" | "split" | "single" | null;
  view: View | null; // where the camera is, unless it follows somebody
}

export function parseHash(hash: string): Place {
  const values = new URLSearchParams(hash.replace(/^#/, ""));
  const seconds = values.get("t");
  const t = seconds === null || seconds.trim() === "" ? NaN : Number(seconds);
  const language = values.get("lang");
  const mode = values.get("mode");
  const message = /^(\d{1,7}):(\d{1,9})$/.exec(values.get("msg") ?? "");
  return {
    timeMs: Number.isFinite(t) && t >= 0 ? Math.round(t * 1000) : null,
    selected: values.get("sel") || null,
    unit: values.get("unit") || null,
    message: message ? { block: Number(message[1]), row: Number(message[2]) } : null,
    language: language === "en" || language === "zh" ? language : null,
    tab: values.get("tab") || null,
    view: viewOf(values.get("at")),
    mode: mode === "overlay" || mode === "split" || mode === "single" ? mode : null,
  };
}

function viewOf(text: string | null): View | null {
  const parts = /^(-?\d{1,7}(?:\.\d+)?),(-?\d{1,7}(?:\.\d+)?),(\d{1,3}(?:\.\d+)?)$/.exec(text ?? "");
  if (!parts) return null;
  const [x, y, scale] = parts.slice(1).map(Number);
  return scale >= MIN_SCALE && scale <= MAX_SCALE ? { x, y, scale } : null;
}

/** Whether it says all that a link of this page says, so that what it leaves out is meant. */
export function isWhole(place: Place): boolean {
  return place.timeMs !== null && place.tab !== null && place.language !== null && (place.selected !== null || place.view !== null);
}

export function formatHash(place: Place): string {
  const values = new URLSearchParams();
  if (place.timeMs !== null) values.set("t", (place.timeMs / 1000).toFixed(2));
  if (place.selected) values.set("sel", place.selected);
  if (place.unit) values.set("unit", place.unit);
  if (place.message) values.set("msg", `${place.message.block}:${place.message.row}`);
  if (place.view) values.set("at", `${place.view.x.toFixed(1)},${place.view.y.toFixed(1)},${Number(place.view.scale.toPrecision(3))}`);
  if (place.tab) values.set("tab", place.tab);
  if (place.mode) values.set("mode", place.mode);
  if (place.language) values.set("lang", place.language);
  return `#${values.toString()}`;
}
