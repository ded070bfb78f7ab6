// The list of keys.
import type { ViewerApp } from "../app";
import { element, iconButton, say, translated } from "./dom";

const KEYS: [string[], string][] = [
  [["Space"], "help.space"], [["←", "→"], "help.arrows"], [[",", "."], "help.comma"], [["[", "]"], "help.brackets"], [["Home", "End"], "help.ends"],
  [["↑", "↓"], "help.updown"], [["+", "−"], "help.zoom"], [["0"], "help.fit"], [["F"], "help.follow"], [["N", "B"], "help.next"], [["Esc"], "help.esc"],
  [["L"], "help.language"], [["T"], "help.theme"], [["P"], "help.panels"], [["?"], "help.help"],
];

export function mountHelp(parent: HTMLElement, app: ViewerApp): HTMLDialogElement {
  const dialog = element("dialog", "help", parent);
  const top = element("div", "help-top", dialog);
  const title = element("h2", "", top);
  iconButton(app, top, "close", "close", () => dialog.close());
  const list = element("dl", "", dialog);
  const mouse = element("p", "", dialog);
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
  });
  translated(app, () => {
    say(title, app.t("help.title"));
    say(mouse, app.t("help.mouse"));
    list.replaceChildren();
    for (const [keys, text] of KEYS) {
      const term = element("dt", "", list);
      for (const key of keys) say(element("kbd", "", term), key);
      say(element("dd", "", list), app.t(text));
    }
  });
  return dialog;
}
