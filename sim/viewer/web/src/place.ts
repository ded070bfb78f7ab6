// Keeps the address a link to the present moment, and goes where an address points.
import type { ViewerApp } from "./app";
import { formatHash, isWhole, parseHash } from "./hash";

const SETTLE_MS = 300; // browsers refuse addresses that change too often
const PLAYING_MS = 2000;

function nameOf(app: ViewerApp): string | null {
  if (app.selected === null) return null;
  const named = Object.entries(app.run.meta.vehicles).find(([, id]) => id === app.selected);
  return named ? named[0] : String(app.selected);
}

function actorOf(app: ViewerApp, text: string | null): number | null {
  if (text === null) return null;
  const { vehicles, actors } = app.run.meta;
  if (Object.hasOwn(vehicles, text)) return vehicles[text];
  return /^\d{1,10}$/.test(text) && actors.some((actor) => actor.id === Number(text)) ? Number(text) : null;
}

function hashNow(app: ViewerApp): string {
  return formatHash({ timeMs: app.timeMs, selected: nameOf(app), unit: app.selectedUnit, message: app.selectedMessage, tab: app.tab, mode: app.other ? app.mode : null, language: app.language, view: app.following ? null : (app.look?.() ?? null) });
}

/** Applies the address, keeps it current, and gives a function that makes a link to now. */
export function bindPlace(app: ViewerApp): () => string {
  let timer = 0;
  const go = (): void => {
    const place = parseHash(location.hash);
    if (place.timeMs !== null) app.seek(place.timeMs);
    const all = isWhole(place);
    if (place.selected !== null || all) app.select(actorOf(app, place.selected));
    if (place.unit !== null || all) app.selectUnit(place.unit !== null && app.run.meta.units.includes(place.unit) ? place.unit : null);
    if (place.message || all) app.selectMessage(place.message);
    if (place.tab !== null) app.openTab?.(place.tab);
    if (place.view) app.lookAt(place.view);
    if (place.language) app.setLanguage(place.language);
    if (place.mode && app.other) app.setMode(place.mode);
  };
  const write = (): void => {
    timer = 0;
    try {
      history.replaceState(history.state, "", hashNow(app));
    } catch {
      // an address that may not change still opens
    }
  };
  let isSoon = false;
  const later = (): void => {
    if (timer !== 0 && (isSoon || app.playing)) return;
    clearTimeout(timer);
    isSoon = !app.playing;
    timer = window.setTimeout(write, isSoon ? SETTLE_MS : PLAYING_MS);
  };
  go();
  for (const what of ["time", "selection", "message", "language", "view", "play"] as const) app.on(what, later);
  let seen = "";
  app.addDrawer(() => {
    const view = app.following ? null : app.look?.();
    const now = view ? `${view.x} ${view.y} ${view.scale}` : "";
    if (now !== seen) later();
    seen = now;
    return true;
  });
  window.addEventListener("hashchange", go); // what `write` puts there causes none
  return () => {
    write();
    return location.href;
  };
}
