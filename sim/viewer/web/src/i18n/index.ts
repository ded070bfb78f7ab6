// Text in English and Chinese, by key.
import { panelStrings } from "./panels";
import { shellStrings } from "./shell";

export type Language = "en" | "zh";

export function text(language: Language, key: string): string {
  return shellStrings[language][key] ?? panelStrings[language][key] ?? shellStrings.en[key] ?? panelStrings.en[key] ?? key;
}
