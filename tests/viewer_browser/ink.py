"""What is drawn where in the scene: pixels of the layer that moves, at the places where data says that something is.

A picture kept to compare with would break with every shade that changes; these facts hold as long as the page shows what it should.
"""

from __future__ import annotations

from typing import Any

from tests.viewer_browser.viewer_page import ViewerPage

Point = tuple[float, float]
Rgb = tuple[int, int, int]


def colour_at(view: ViewerPage, points: list[Point]) -> list[Rgb | None]:
    """The colour drawn at each point (pixels of the scene), the ground left out; None where nothing is drawn or out of sight."""
    found: list[list[int] | None] = view.page.evaluate(_COLOURS, points)
    return [None if each is None else (each[0], each[1], each[2]) for each in found]


def changed_by(view: ViewerPage, layer: str, points: list[Point], reach: int = 3) -> dict[str, Any]:
    """What a layer of the page draws, found by hiding it: `pixels` that it changes, and the `share` of the points in sight near such
    a pixel, of so many `seen`."""
    found: dict[str, Any] = view.page.evaluate(_CHANGED, [layer, points, reach])
    return found


# Data of the page at its moment, as points of the scene.
PLACES = """what => {
  const { app, scenes } = icv, { run } = app, { camera, main } = scenes, { world } = main;
  const on = (x, y) => [camera.sx(x), camera.sy(y)];
  const block = Math.floor(app.timeMs / run.blockMs);
  const last = t => { let k = -1; while (k + 1 < t.length && t[k + 1] <= app.timeMs) k++; return k; };
  const rows = table => {
    const part = run.peek(table, block), frame = last(part.t), out = [];
    for (let row = part.start[frame]; row < part.start[frame + 1]; row++) out.push(on(part.x[row], part.y[row]));
    return out;
  };
  if (what === 'plan') return rows(`plan/${Object.keys(run.meta.vehicles)[0]}`);
  if (what.startsWith('perceived/')) return rows(what);
  if (what === 'trail') {
    const part = run.peek('world', block), id = Object.values(run.meta.vehicles)[0], out = [];
    for (let frame = 0; frame <= last(part.t); frame++)
      for (let row = part.start[frame]; row < part.start[frame + 1]; row++)
        if (part.id[row] === id && part.t[frame] > app.timeMs - 5000 && part.t[frame] < app.timeMs - 3500) out.push(on(part.x[row], part.y[row]));
    return out;
  }
  if (what === 'stop lines') return run.meta.roads.stop_lines.map(line => on((line.a[0] + line.b[0]) / 2, (line.a[1] + line.b[1]) / 2));
  if (what === 'lights') {
    const { t, light } = run.peekTable('signals'), groups = run.meta.roads.groups.length, row = last(t);
    return run.meta.roads.stop_lines.map(line => run.meta.lights[light[row * groups + line.group]]);
  }
  if (what === 'coverage') return run.meta.rsus.flatMap(rsu => Array.from({ length: 360 }, (_, k) => k * Math.PI / 180)
    .map(angle => on(rsu.x + rsu.range_m * Math.cos(angle), rsu.y + rsu.range_m * Math.sin(angle))));
  if (what === 'rsus') return run.meta.rsus.map(rsu => on(rsu.x, rsu.y));
  if (what === 'sections') {
    const at = world.at.get(Object.values(run.meta.vehicles)[0]), actor = world.actors[at], yaw = world.yaw[at];
    const front = on(world.x[at], world.y[at]);
    const rear = yaw - world.hitch[at], back = actor.rear_length * 0.8;
    return [front, on(world.x[at] + actor.hitch_x * Math.cos(yaw) - back * Math.cos(rear), world.y[at] + actor.hitch_x * Math.sin(yaw) - back * Math.sin(rear))];
  }
  if (what === 'actors') return [...world.at.values()].map(at => {
    const actor = world.actors[at], ahead = actor.length / 2 - actor.rear_overhang;
    return on(world.x[at] + ahead * Math.cos(world.yaw[at]), world.y[at] + ahead * Math.sin(world.yaw[at]));
  });
  throw new Error(what);
}"""

_COLOURS = """points => {
  const canvas = document.querySelectorAll('.scene-canvas')[0].querySelectorAll('canvas')[1];
  const context = canvas.getContext('2d'), ratio = canvas.width / canvas.clientWidth;
  return points.map(([x, y]) => {
    if (x < 1 || y < 1 || x > canvas.clientWidth - 2 || y > canvas.clientHeight - 2) return null;
    const [r, g, b, a] = context.getImageData(Math.round(x * ratio), Math.round(y * ratio), 1, 1).data;
    return a < 60 ? null : [r, g, b];
  });
}"""

_CHANGED = """async ([layer, points, reach]) => {
  const canvas = document.querySelectorAll('.scene-canvas')[0].querySelectorAll('canvas')[1];
  const ratio = canvas.width / canvas.clientWidth, { width, height } = canvas;
  const frame = () => new Promise(resolve => requestAnimationFrame(() => requestAnimationFrame(resolve)));
  const pixels = () => canvas.getContext('2d').getImageData(0, 0, width, height).data;
  await frame();
  const shown = pixels();
  icv.app.setLayer(layer, false);
  await frame();
  const hidden = pixels();
  icv.app.setLayer(layer, true);
  await frame();
  const isOther = k => Math.abs(shown[k] - hidden[k]) + Math.abs(shown[k + 1] - hidden[k + 1]) + Math.abs(shown[k + 2] - hidden[k + 2]) + Math.abs(shown[k + 3] - hidden[k + 3]) > 24;
  let count = 0, seen = 0, near = 0;
  for (let k = 0; k < shown.length; k += 4) if (isOther(k)) count++;
  for (const [px, py] of points) {
    const x = Math.round(px * ratio), y = Math.round(py * ratio);
    if (x < reach || y < reach || x >= width - reach || y >= height - reach) continue;
    seen++;
    let has = false;
    for (let dx = -reach; dx <= reach && !has; dx++) for (let dy = -reach; dy <= reach && !has; dy++) has = isOther(4 * ((y + dy) * width + x + dx));
    if (has) near++;
  }
  return { pixels: count, seen, share: seen ? near / seen : 0 };
}"""
