// What is known about the selected actor now.
import type { ViewerApp } from "../app";
import type { SceneView } from "../scene/view";
import { rsuOfUnit, unitOfActor } from "../scene/units";
import { fixed } from "../panels/format";
import { element, iconButton, say } from "./dom";

const EVERY_MS = 100; // numbers that change faster cannot be read

/** Mounts the card; `covers` hears how much of the corner it takes. */
export function mountCard(parent: HTMLElement, app: ViewerApp, covers: (width: number, height: number) => void): (view: SceneView) => void {
  const card = element("aside", "card", parent);
  new ResizeObserver(() => covers(card.hidden ? 0 : card.offsetLeft + card.offsetWidth, card.hidden ? 0 : card.offsetTop + card.offsetHeight)).observe(card);
  const top = element("div", "card-top", card);
  const name = element("b", "", top);
  const kind = element("span", "muted", top);
  iconButton(app, top, "close", "close", () => {
    app.selectUnit(null);
    app.select(null);
  });
  const list = element("dl", "kv", card);
  const rows = new Map<string, HTMLElement>();
  const row = (key: string, text: string | null): void => {
    let value = rows.get(key);
    if (!value) {
      element("dt", "", list);
      value = element("dd", "", list);
      rows.set(key, value);
    }
    const term = value.previousElementSibling as HTMLElement;
    say(term, app.t(key));
    term.hidden = value.hidden = text === null;
    if (text !== null) say(value, text);
  };
  let last = 0;
  let shown = "";
  return (view) => {
    const { world, run } = view;
    const unit = app.selectedUnit ?? unitOfActor(run.meta, app.selected);
    const key = `${app.selected} ${app.selectedUnit} ${app.language} ${app.playing}`;
    const now = performance.now();
    if (key === shown && app.playing && now - last < EVERY_MS) return;
    last = now;
    shown = key;
    card.hidden = app.selected === null && app.selectedUnit === null;
    if (card.hidden) return;
    const rsu = rsuOfUnit(run.meta, app.selectedUnit);
    const actor = run.meta.actors.find((each) => each.id === app.selected);
    const at = app.selected === null ? undefined : world.at.get(app.selected);
    if (rsu || !actor) {
      say(name, app.selectedUnit ?? "");
      say(kind, rsu ? "RSU" : "");
      for (const each of rows.keys()) row(each, null);
      row("card.position", rsu ? `${fixed(rsu.x, 1)}, ${fixed(rsu.y, 1)} m` : null);
    } else {
      say(name, actor.name || `#${actor.id}`);
      say(kind, app.t(`kind.${actor.kind_name.toLowerCase()}`) + (actor.name ? ` · ${app.t("card.automated")}` : ""));
      if (at === undefined) {
        for (const each of rows.keys()) row(each, null);
        row("card.position", app.t("card.gone"));
      } else {
        row("card.speed", `${fixed(world.speed[at] * 3.6, 1)} km/h · ${fixed(world.speed[at], 2)} m/s`);
        row("card.accel", `${fixed(world.accel[at], 2)} m/s²`);
        row("card.heading", `${fixed((world.yaw[at] * 180) / Math.PI, 1)}°`);
        row("card.hitch", actor.rear_length > 0 ? `${fixed((world.hitch[at] * 180) / Math.PI, 1)}°` : null);
        const hasDoors = actor.kind >= 4 && actor.kind <= 6;
        row("card.doors", hasDoors ? app.t(world.doors[at] === 0 ? "doors.closed" : world.doors[at] > 0 ? "doors.left" : "doors.right") : null);
        row("card.position", `${fixed(world.x[at], 1)}, ${fixed(world.y[at], 1)} m`);
      }
    }
    row("card.perceives", unit && view.perceives !== null ? `${view.perceives} ${app.t(view.perceives === 1 ? "card.object" : "card.objects")} (${unit})` : null);
  };
}
