// Keys of the page. Fields keep theirs.
import type { ViewerApp } from "../app";
import type { SceneArea } from "./scenes";
import { neighbour, type Moment } from "./moments";

export interface Keyed { app: ViewerApp; scenes: SceneArea; moments: () => Moment[]; help: HTMLDialogElement; togglePanels: () => void }

export function bindKeys({ app, scenes, moments, help, togglePanels }: Keyed): void {
  const go = (direction: 1 | -1): void => {
    const moment = neighbour(moments(), app.timeMs, direction);
    if (moment) app.seek(moment.timeMs);
  };
  const step = (event: KeyboardEvent, direction: 1 | -1): void => app.seek(app.timeMs + direction * (event.shiftKey ? 10_000 : 1000));
  const next = (direction: 1 | -1): void => {
    const ids = Object.values(app.run.meta.vehicles);
    if (ids.length === 0) return;
    const at = app.selected === null ? -1 : ids.indexOf(app.selected);
    app.select(ids[(at + direction + ids.length + (at < 0 && direction < 0 ? 1 : 0)) % ids.length]);
    scenes.show(app.selected);
  };
  const keys: Record<string, (event: KeyboardEvent) => void> = {
    " ": () => app.play(!app.playing),
    ArrowLeft: (event) => step(event, -1),
    ArrowRight: (event) => step(event, 1),
    ArrowUp: () => app.stepSpeed(1),
    ArrowDown: () => app.stepSpeed(-1),
    ",": () => app.seek(app.timeMs - 100),
    ".": () => app.seek(app.timeMs + 100),
    "[": () => go(-1),
    "]": () => go(1),
    Home: () => app.seek(0),
    End: () => app.seek(app.durationMs),
    "+": () => scenes.zoom(1.3),
    "=": () => scenes.zoom(1.3),
    "-": () => scenes.zoom(1 / 1.3),
    "0": () => scenes.fit(),
    f: () => app.follow(!app.following),
    n: () => next(1),
    b: () => next(-1),
    l: () => app.setLanguage(app.language === "en" ? "zh" : "en"),
    t: () => app.setTheme(app.theme === "light" ? "dark" : "light"),
    p: togglePanels,
    "?": () => (help.open ? help.close() : help.showModal()),
    Escape: () => {
      app.selectMessage(null);
      app.selectUnit(null);
      app.select(null);
    },
  };
  // A button that was clicked keeps the focus without meaning to; one that was reached by the keyboard means it.
  let clicked: Element | null = null;
  document.addEventListener("pointerdown", (event) => (clicked = (event.target as Element).closest?.("button, a") ?? null), true);
  document.addEventListener("focusin", (event) => {
    if (event.target !== clicked) clicked = null;
  });
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (help.open && key !== "?") return;
    if (isOfTarget(event.target as Element, key, event.target === clicked)) return;
    const act = Object.hasOwn(keys, key) ? keys[key] : undefined;
    if (!act) return;
    event.preventDefault();
    act(event);
  });
}

const PRESSED = 'button, a[href], summary, [role="button"], [role="tab"], input[type="checkbox"], input[type="radio"]';
const SCROLLING = new Set(["ArrowUp", "ArrowDown", "Home", "End", "PageUp", "PageDown"]);
const ARROWS = new Set(["ArrowUp", "ArrowDown", "ArrowLeft", "ArrowRight", "Home", "End"]);

/** Whether the element that has the focus makes something of a key by itself; `wasClicked`: it has the focus from a click. */
export function isOfTarget(target: Element, key: string, wasClicked = false): boolean {
  if (target.matches?.('textarea, select, input:not([type="range"], [type="checkbox"], [type="radio"]), [contenteditable=""], [contenteditable="true"]')) return true;
  if (target.matches?.('input[type="range"]')) return ARROWS.has(key);
  const inPanel = target.closest?.(".panel-host") != null;
  if (key === " ") return target.matches?.(PRESSED) === true && (inPanel || !wasClicked);
  // Lists and panels scroll up and down; left and right are the playhead's everywhere.
  return inPanel && SCROLLING.has(key);
}
