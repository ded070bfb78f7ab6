// Elements, and text that follows the language. Text is only ever set as text.
import type { ViewerApp } from "../app";
import { plain } from "../plain";

export function element<K extends keyof HTMLElementTagNameMap>(tag: K, className = "", parent?: HTMLElement): HTMLElementTagNameMap[K] {
  const out = document.createElement(tag);
  if (className) out.className = className;
  parent?.append(out);
  return out;
}

/** Sets text only when it changes: setting it makes the browser lay out again. */
export function say(target: HTMLElement, text: string): void {
  const shown = plain(text);
  if (target.textContent !== shown) target.textContent = shown;
}

/** Runs `write` now and after every change of language. */
export function translated(app: ViewerApp, write: () => void): void {
  write();
  app.on("language", write);
}

const SHAPES = {
  play: "M7 4.5v15l12-7.5z",
  pause: "M6 4.5h4.2v15H6zM13.8 4.5H18v15h-4.2z",
  start: "M6 5h2.2v14H6zM19 5v14L8.8 12z",
  end: "M15.8 5H18v14h-2.2zM5 5v14l10.2-7z",
  sun: "M12 7.2a4.8 4.8 0 1 0 0 9.6 4.8 4.8 0 0 0 0-9.6zM11.2 2h1.6v3h-1.6zM11.2 19h1.6v3h-1.6zM2 11.2h3v1.6H2zM19 11.2h3v1.6h-3zM5.6 4.5l2.1 2.1-1.1 1.1-2.1-2.1zM17.4 16.3l2.1 2.1-1.1 1.1-2.1-2.1zM4.5 18.4l2.1-2.1 1.1 1.1-2.1 2.1zM16.3 6.6l2.1-2.1 1.1 1.1-2.1 2.1z",
  layers: "M12 3 2.5 8.2 12 13.4l9.5-5.2zM4.6 11.3 2.5 12.5 12 17.7l9.5-5.2-2.1-1.2L12 15.4zM4.6 15.6l-2.1 1.2L12 22l9.5-5.2-2.1-1.2L12 19.7z",
  link: "M10.6 13.4a4 4 0 0 1 0-5.7l3-3a4 4 0 0 1 5.7 5.7l-1.6 1.6-1.3-1.3 1.6-1.6a2.2 2.2 0 0 0-3.1-3.1l-3 3a2.2 2.2 0 0 0 0 3.1zM13.4 10.6a4 4 0 0 1 0 5.7l-3 3a4 4 0 0 1-5.7-5.7l1.6-1.6 1.3 1.3L6 14.9A2.2 2.2 0 0 0 9.1 18l3-3a2.2 2.2 0 0 0 0-3.1z",
  help: "M11 16.8h2.2V19H11zM12.1 5C9.6 5 8 6.5 7.9 8.8H10c.1-1.2.8-1.9 2-1.9 1.1 0 1.9.7 1.9 1.7 0 .9-.4 1.4-1.5 2.1-1.2.8-1.6 1.6-1.5 3.1v.9H13v-.7c0-1 .3-1.4 1.5-2.1 1.2-.8 1.8-1.8 1.8-3.2C16.300 6.500 14.600 5 12.100 5z",
  panels: "M3 4.500h18v15H3zM4.800 6.300v11.400h8.400V6.300z",
  plus: "M11 5h2v6h6v2h-6v6h-2v-6H5v-2h6z",
  minus: "M5 11h14v2H5z",
  fit: "M4 4h6v2H6v4H4zM14 4h6v6h-2V6h-4zM4 14h2v4h4v2H4zM18 14h2v6h-6v-2h4z",
  target: "M11 2h2v3.100A7 7 0 0 1 18.900 11H22v2h-3.100A7 7 0 0 1 13 18.900V22h-2v-3.100A7 7 0 0 1 5.100 13H2v-2h3.100A7 7 0 0 1 11 5.100zM12 7a5 5 0 1 0 0 10 5 5 0 0 0 0-10zm0 3a2 2 0 1 1 0 4 2 2 0 0 1 0-4z",
  close: "M6.400 5 12 10.600 17.600 5 19 6.400 13.400 12 19 17.600 17.600 19 12 13.400 6.400 19 5 17.600 10.600 12 5 6.400z",
  north: "M12 2.500 17 20l-5-3.600L7 20z",
} as const;
export type IconName = keyof typeof SHAPES;

export function icon(name: IconName): SVGSVGElement {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", SHAPES[name]);
  path.setAttribute("fill", "currentColor");
  path.setAttribute("fill-rule", "evenodd");
  svg.append(path);
  return svg;
}

export function iconButton(app: ViewerApp, parent: HTMLElement, name: IconName, key: string, press: () => void): HTMLButtonElement {
  const button = element("button", "btn icon ghost", parent);
  button.type = "button";
  button.append(icon(name));
  button.addEventListener("click", press);
  translated(app, () => {
    button.title = app.t(key);
    button.setAttribute("aria-label", app.t(key));
  });
  return button;
}

/** A list that opens below its button and closes on a click elsewhere or Escape. */
export function popover(button: HTMLElement, content: HTMLElement): void {
  content.hidden = true;
  const close = (event: Event): void => {
    if (event instanceof KeyboardEvent ? event.key !== "Escape" : content.contains(event.target as Node) || button.contains(event.target as Node)) return;
    if (content.hidden) return;
    if (event instanceof KeyboardEvent) {
      event.preventDefault();
      if (content.contains(document.activeElement)) button.focus(); // not nowhere
    }
    content.hidden = true;
    button.setAttribute("aria-expanded", "false");
  };
  button.setAttribute("aria-expanded", "false");
  button.addEventListener("click", () => {
    content.hidden = !content.hidden;
    button.setAttribute("aria-expanded", String(!content.hidden));
  });
  document.addEventListener("pointerdown", close);
  document.addEventListener("keydown", close);
}
