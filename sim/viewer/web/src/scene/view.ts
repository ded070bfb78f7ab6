// One run from above: the ground and everything that moves on it, with the mouse.
import Konva from "konva/lib/Core";
import { Shape } from "konva/lib/Shape";
import type { ViewerApp } from "../app";
import type { SceneRun } from "../data/run";
import { WorldAt } from "../data/world";
import { drawActors, inView } from "./actors";
import type { Camera } from "./camera";
import { drawOther } from "./compare";
import { boxCorners, onActor, rearSection } from "./geometry";
import { drawLabels, type Label } from "./labels";
import { Minimap } from "./minimap";
import { paletteOf } from "./palette";
import { drawPlan, drawTrail } from "./paths";
import { drawPerceived } from "./perceived";
import { drawCoverage, drawMessage, drawRsus } from "./radio";
import { RoadPicture } from "./roads";
import { Signals } from "./signals";
import { translated } from "../shell/dom";
import { unitOfActor, unitOfRsu } from "./units";

Konva.autoDrawEnabled = false;
Konva.hitOnDragEnabled = false;

const SPEED_LABEL_FROM = 5; // pixels per metre
const STATION_NAMES_FROM = 0.12;
const CLICK_PX = 4;
const RSU_PX = 8.5; // half the width of its sign
const ENDED_MS = 100; // a run of which nothing more comes
const PAN_PX = 80; // of one press of an arrow key

export class SceneView {
  readonly world: WorldAt;
  /** The run compared with, when it lies over this one. */
  over: WorldAt | null = null;
  overHasEnded: () => boolean = () => false;
  /** Objects the shown unit perceives now; null when it says nothing. */
  perceives: number | null = null;
  /** A corner that something else lies over, pixels. */
  covered: [number, number, number, number] | null = null;

  private readonly stage: Konva.Stage;
  private readonly ground: Konva.Layer;
  private readonly live: Konva.Layer;
  private readonly roads: RoadPicture;
  private readonly signals: Signals;
  private readonly minimap: Minimap;
  private readonly named: Set<number>;
  private groundKey = "";
  private isComplete = true;

  constructor(host: HTMLElement, private readonly app: ViewerApp, readonly run: SceneRun, readonly camera: Camera, private readonly isMain: boolean) {
    this.world = new WorldAt(run);
    this.named = new Set(Object.values(run.meta.vehicles));
    this.roads = new RoadPicture(run.meta.roads, () => app.redraw());
    this.signals = new Signals(run);
    this.minimap = new Minimap(run.meta.roads, this.roads);
    const box = document.createElement("div");
    box.className = "scene-canvas";
    host.append(box);
    this.stage = new Konva.Stage({ container: box, width: Math.max(1, host.clientWidth), height: Math.max(1, host.clientHeight), listening: false });
    this.ground = new Konva.Layer({ listening: false });
    this.live = new Konva.Layer({ listening: false });
    this.ground.add(new Shape({ listening: false, perfectDrawEnabled: false, sceneFunc: (context) => this.drawGround(context._context) }));
    this.live.add(new Shape({ listening: false, perfectDrawEnabled: false, sceneFunc: (context) => this.drawLive(context._context) }));
    this.stage.add(this.ground, this.live);
    new ResizeObserver(() => {
      const [width, height] = [host.clientWidth, host.clientHeight];
      if (width < 2 || height < 2 || (width === this.stage.width() && height === this.stage.height())) return;
      this.stage.size({ width, height });
      app.redraw();
    }).observe(host);
    this.mouse(box);
  }

  get width(): number {
    return this.stage.width();
  }

  get height(): number {
    return this.stage.height();
  }

  /** Moves the world to the app's time; false while its data loads. */
  update(): boolean {
    if (this.named.size !== Object.keys(this.run.meta.vehicles).length) for (const id of Object.values(this.run.meta.vehicles)) this.named.add(id);
    return this.world.update(Math.min(this.app.timeMs, this.run.meta.duration_s * 1000)); // after its end it stands as it ended
  }

  /** Whether the moment of the page lies after the end of this run. */
  get hasEnded(): boolean {
    return this.app.timeMs > this.run.meta.duration_s * 1000 + ENDED_MS;
  }

  draw(): boolean {
    const { camera, app } = this;
    camera.width = this.stage.width();
    camera.height = this.stage.height();
    this.isComplete = true;
    const key = `${camera.x} ${camera.y} ${camera.scale} ${camera.width} ${camera.height} ${app.theme}`;
    const isSettling = key !== this.groundKey;
    this.groundKey = key;
    if (isSettling || this.roads.isRough(camera)) this.ground.draw();
    this.live.draw();
    return this.isComplete;
  }

  private drawGround(context: CanvasRenderingContext2D): void {
    this.roads.draw(context, this.camera, paletteOf(this.app.theme), Konva.pixelRatio);
  }

  private need(isHere: boolean): void {
    this.isComplete = isHere && this.isComplete;
  }

  private drawLive(context: CanvasRenderingContext2D): void {
    const { app, run, camera, world } = this;
    const colours = paletteOf(app.theme);
    const { layers } = app;
    const labels: Label[] = [];
    if (layers.coverage) drawCoverage(context, run, camera, colours);
    if (layers.signals) this.need(this.signals.draw(context, camera, colours, app.timeMs, labels));
    if (layers.trails)
      for (const id of this.marked()) {
        const at = world.at.get(id);
        if (at !== undefined) drawTrail(context, run, camera, colours.trail, id, app.timeMs, [world.x[at], world.y[at]]);
      }
    if (layers.plans) for (const name of Object.keys(run.meta.vehicles)) this.need(drawPlan(context, run, camera, colours, name, app.timeMs));
    if (this.over && app.mode === "overlay" && !this.hasEnded && !this.overHasEnded()) drawOther(context, world, this.over, camera, colours, layers.differences);
    drawActors(context, world, camera, colours, { isNamed: (id) => this.named.has(id), selected: app.selected });
    const unit = app.selectedUnit ?? unitOfActor(run.meta, app.selected);
    this.perceives = null;
    if (unit && layers.perceived) {
      const count = drawPerceived(context, run, camera, colours, unit, app.timeMs);
      this.need(count !== undefined);
      this.perceives = count ?? null;
    }
    drawRsus(context, run, camera, colours, app.selectedUnit, labels);
    if (app.selectedMessage && this.isMain) this.need(drawMessage(context, run, world, camera, colours, app.selectedMessage, labels));
    const showsMap = layers.minimap && this.isMain;
    if (showsMap) this.minimap.draw(context, camera, colours, world, this.named, run.meta.rsus);
    else this.minimap.box.fill(0);
    if (layers.labels) this.names(labels);
    drawLabels(context, labels, this.reserved(), camera.width, camera.height);
    this.furniture(context);
  }

  private marked(): Set<number> {
    return this.app.selected === null ? this.named : new Set([...this.named, this.app.selected]);
  }

  /** Where no label may lie: controls over the scene, roadside units, vehicles with a name. */
  private reserved(): [number, number, number, number][] {
    const { width, height } = this.camera;
    const out: [number, number, number, number][] = [[width - 54, 0, width, 190], [0, height - 40, 170, height]];
    if (this.minimap.box[2] > 0) out.push(this.minimap.box);
    if (this.covered) out.push(this.covered);
    for (const rsu of this.run.meta.rsus) {
      const [x, y] = [this.camera.sx(rsu.x), this.camera.sy(rsu.y)];
      out.push([x - RSU_PX, y - RSU_PX, x + RSU_PX, y + RSU_PX]);
    }
    for (const id of this.marked()) {
      const at = this.world.at.get(id);
      if (at !== undefined && this.camera.scale >= 1.5) out.push(this.bodyBox(at));
    }
    return out;
  }

  /** Upright box around a body in the picture, both sections. */
  private bodyBox(at: number): [number, number, number, number] {
    const { world, camera } = this;
    const actor = world.actors[at];
    const x = world.x[at];
    const y = world.y[at];
    const corners: number[] = boxCorners(x, y, world.yaw[at], actor.rear_overhang, actor.length - actor.rear_overhang, actor.width);
    if (actor.rear_length > 0) {
      const rear = rearSection(actor, x, y, world.yaw[at], world.hitch[at]);
      corners.push(...boxCorners(rear.x, rear.y, rear.yaw, actor.rear_length, 0, actor.width));
    }
    const box: [number, number, number, number] = [Infinity, Infinity, -Infinity, -Infinity];
    for (let i = 0; i < corners.length; i += 2) {
      const sx = camera.sx(corners[i]);
      const sy = camera.sy(corners[i + 1]);
      box[0] = Math.min(box[0], sx - 5);
      box[1] = Math.min(box[1], sy - 5);
      box[2] = Math.max(box[2], sx + 5);
      box[3] = Math.max(box[3], sy + 5);
    }
    return box;
  }

  private names(labels: Label[]): void {
    const { app, world, camera, run } = this;
    const colours = paletteOf(app.theme);
    for (const id of this.marked()) {
      const at = world.at.get(id);
      if (at === undefined || !inView(camera, world.x[at], world.y[at], 20)) continue;
      const actor = world.actors[at];
      const box = this.bodyBox(at);
      const name = actor.name || `${app.t(`kind.${actor.kind_name.toLowerCase()}`)} ${actor.id}`;
      const kmh = camera.scale >= SPEED_LABEL_FROM || id === app.selected ? `  ${(Math.abs(world.speed[at]) * 3.6).toFixed(0)} km/h` : "";
      const isNamed = this.named.has(id);
      labels.push({ text: name + kmh, x: (box[0] + box[2]) / 2, y: (box[1] + box[3]) / 2, clear: Math.max(8, (box[3] - box[1]) / 2 + 2), clearX: Math.max(8, (box[2] - box[0]) / 2 + 2), rank: id === app.selected ? 0 : 1,
        fill: isNamed ? colours.labelStrong : colours.label, ink: isNamed ? colours.labelStrongText : colours.labelText, bold: true });
    }
    if (camera.scale >= STATION_NAMES_FROM)
      for (const station of run.meta.roads.stations) {
        if (station.poly.length === 0) continue;
        const x = station.poly.reduce((sum, p) => sum + p[0], 0) / station.poly.length;
        const y = station.poly.reduce((sum, p) => sum + p[1], 0) / station.poly.length;
        labels.push({ text: station.name, x: camera.sx(x), y: camera.sy(y), clear: 8, rank: 7, fill: colours.label, ink: colours.platformEdge, small: true });
      }
  }

  /** Scale bar and which way is north. */
  private furniture(context: CanvasRenderingContext2D): void {
    const { camera } = this;
    const colours = paletteOf(this.app.theme);
    const target = 110 / camera.scale;
    const power = 10 ** Math.floor(Math.log10(target));
    const metres = [5, 2, 1].map((k) => k * power).find((m) => m <= target) ?? power;
    const w = metres * camera.scale;
    const x = 14;
    const y = camera.height - 14;
    context.strokeStyle = colours.ground;
    context.lineCap = "butt";
    for (const [stroke, width] of [[colours.ground, 4], [colours.ink, 1.6]] as const) {
      context.strokeStyle = stroke;
      context.lineWidth = width;
      context.beginPath();
      context.moveTo(x, y - 5);
      context.lineTo(x, y);
      context.lineTo(x + w, y);
      context.lineTo(x + w, y - 5);
      context.stroke();
    }
    context.font = '500 11px system-ui, "Noto Sans", sans-serif';
    context.textAlign = "left";
    context.textBaseline = "alphabetic";
    const text = metres >= 1000 ? `${metres / 1000} km` : metres >= 1 ? `${metres} m` : `${Math.round(metres * 100)} cm`;
    context.lineWidth = 3;
    context.strokeStyle = colours.ground;
    context.strokeText(text, x + 4, y - 6);
    context.fillStyle = colours.ink;
    context.fillText(text, x + 4, y - 6);
  }

  /** Who is under a point of the view; the small ones before the big ones. */
  pick(sx: number, sy: number): number | null {
    const { camera, world } = this;
    const slack = Math.max(0.3, 7 / camera.scale);
    const x = camera.wx(sx);
    const y = camera.wy(sy);
    let best: number | null = null;
    let size = Infinity;
    for (let i = 0; i < world.count; i++) {
      const actor = world.actors[i];
      const distance = Math.hypot(x - world.x[i], y - world.y[i]);
      if (actor.length * actor.width + distance * 0.01 < size && onActor(actor, x, y, world.x[i], world.y[i], world.yaw[i], world.hitch[i], slack)) {
        best = actor.id;
        size = actor.length * actor.width + distance * 0.01;
      }
    }
    return best;
  }

  private pickRsu(sx: number, sy: number): string | null {
    const { camera } = this;
    return this.run.meta.rsus.find((rsu) => Math.hypot(camera.sx(rsu.x) - sx, camera.sy(rsu.y) - sy) <= 12)?.name ?? null;
  }

  private mouse(box: HTMLElement): void {
    const { app, camera } = this;
    const pointers = new Map<number, { x: number; y: number }>();
    let moved = 0;
    let onMap = false;
    const at = (event: MouseEvent): { x: number; y: number } => {
      const rectangle = box.getBoundingClientRect();
      return { x: event.clientX - rectangle.left, y: event.clientY - rectangle.top };
    };
    const aim = (): void => {
      camera.width = this.stage.width();
      camera.height = this.stage.height();
    };
    // Without a mouse: whoever has come here by the keyboard moves the map with the arrows.
    box.tabIndex = 0;
    box.setAttribute("role", "application");
    translated(app, () => box.setAttribute("aria-label", app.t("scene.move")));
    box.addEventListener("mousedown", (event) => event.preventDefault()); // a click takes no focus: then the arrows stay the playhead's
    box.addEventListener("keydown", (event) => {
      const [dx, dy] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key] ?? [0, 0];
      if ((dx === 0 && dy === 0) || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      if (app.following) app.follow(false);
      camera.x += (dx * PAN_PX) / camera.scale;
      camera.y -= (dy * PAN_PX) / camera.scale;
      app.redraw();
    });
    box.addEventListener("wheel", (event) => {
      event.preventDefault();
      aim();
      const p = at(event);
      const factor = Math.exp(-event.deltaY * (event.deltaMode === 1 ? 0.05 : 0.0016));
      if (app.following) camera.zoomAt(camera.width / 2, camera.height / 2, factor);
      else camera.zoomAt(p.x, p.y, factor);
      app.redraw();
    }, { passive: false });
    box.addEventListener("pointerdown", (event) => {
      if (event.button > 1) return;
      aim();
      const p = at(event);
      box.setPointerCapture(event.pointerId);
      pointers.set(event.pointerId, p);
      moved = 0;
      const place = this.minimap.pick(p.x, p.y);
      onMap = place !== null;
      if (place) this.goTo(place);
    });
    box.addEventListener("pointermove", (event) => {
      const p = at(event);
      const old = pointers.get(event.pointerId);
      if (!old) {
        aim();
        box.style.cursor = this.minimap.pick(p.x, p.y) || this.pickRsu(p.x, p.y) || this.pick(p.x, p.y) !== null ? "pointer" : "grab";
        return;
      }
      if (onMap) {
        const place = this.minimap.pick(p.x, p.y);
        if (place) this.goTo(place);
        pointers.set(event.pointerId, p);
        return;
      }
      if (pointers.size === 2) {
        const [other] = [...pointers].filter(([id]) => id !== event.pointerId).map(([, value]) => value);
        const before = Math.hypot(old.x - other.x, old.y - other.y);
        const after = Math.hypot(p.x - other.x, p.y - other.y);
        if (before > 10 && after > 10) camera.zoomAt((p.x + other.x) / 2, (p.y + other.y) / 2, after / before);
      }
      moved += Math.hypot(p.x - old.x, p.y - old.y);
      pointers.set(event.pointerId, p);
      if (moved > CLICK_PX) {
        if (app.following) app.follow(false);
        camera.x -= (p.x - old.x) / camera.scale / pointers.size;
        camera.y += (p.y - old.y) / camera.scale / pointers.size;
        box.style.cursor = "grabbing";
        app.redraw();
      }
    });
    const release = (event: PointerEvent): void => {
      if (!pointers.delete(event.pointerId)) return;
      box.style.cursor = "grab";
      if (event.type !== "pointerup" || moved > CLICK_PX || onMap) return;
      const p = at(event);
      const rsu = this.pickRsu(p.x, p.y);
      if (rsu) {
        app.selectUnit(unitOfRsu(this.run.meta, rsu));
        return;
      }
      app.selectUnit(null);
      app.select(this.pick(p.x, p.y));
    };
    box.addEventListener("pointerup", release);
    box.addEventListener("pointercancel", release);
    box.addEventListener("dblclick", (event) => {
      const p = at(event);
      const hit = this.pick(p.x, p.y);
      if (hit === null) return;
      app.select(hit);
      app.follow(true);
    });
  }

  private goTo([x, y]: [number, number]): void {
    if (this.app.following) this.app.follow(false);
    this.camera.x = x;
    this.camera.y = y;
    this.app.redraw();
  }
}
