// The part of the address after '#': a link to a moment. `#t=12.34&sel=bus1&lang=zh`
export interface Place {
  timeMs: number | null;
  selected: string | null; // name of an actor, or its id
  unit: string | null;
  message: { block: number; row: number } | null;
  language: "en" | "zh" | null;
  tab: string | null;
  mode: "overlay" | "split" | "single" | null;
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
    mode: mode === "overlay" || mode === "split" || mode === "single" ? mode : null,
  };
}

export function formatHash(place: Place): string {
  const values = new URLSearchParams();
  if (place.timeMs !== null) values.set("t", (place.timeMs / 1000).toFixed(2));
  if (place.selected) values.set("sel", place.selected);
  if (place.unit) values.set("unit", place.unit);
  if (place.message) values.set("msg", `${place.message.block}:${place.message.row}`);
  if (place.tab) values.set("tab", place.tab);
  if (place.mode) values.set("mode", place.mode);
  if (place.language) values.set("lang", place.language);
  return `#${values.toString()}`;
}
