// What was recorded in English, in Chinese: the program that made the page has looked it up (sim/report/zh.toml) and sends `meta.zh` along.
import type { App } from "../model";

export type Reader = Pick<App, "language" | "run" | "other">;

/** `text` in Chinese where the page speaks Chinese and a run of it has the translation, else null. */
function translation(app: Reader, text: string): string | null {
  if (app.language !== "zh") return null;
  for (const run of [app.run, app.other]) {
    const zh = run?.meta.zh;
    if (zh && Object.hasOwn(zh, text)) return String(zh[text]);
  }
  return null;
}

/** A recorded sentence, or the name of a criterion, as the page says it; what nobody has translated stays as recorded. */
export function recorded(app: Reader, text: string): string {
  return translation(app, text) ?? text;
}

/** A metric's name in words, null where the page has none. */
export function metricWord(app: Reader, name: string): string | null {
  return translation(app, name);
}
