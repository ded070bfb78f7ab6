// Names of kinds of road users.
import type { App } from "../model";

export function kindName(app: App, kind: string): string {
  const key = `kind.${kind.toLowerCase()}`;
  const text = app.t(key);
  return text === key ? kind.toLowerCase().replaceAll("_", " ") : text;
}
