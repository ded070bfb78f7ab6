// The middle of the page: one scene, or two side by side under the same camera, with what lies over them.
import type { ViewerApp } from "../app";
import { WorldAt } from "../data/world";
import { Camera } from "../scene/camera";
import { measureApart, onSameMap } from "../scene/compare";
import { centre } from "../scene/geometry";
import { rsuOfUnit } from "../scene/units";
import { SceneView } from "../scene/view";
import { mountCard } from "./card";
import { element, icon, iconButton, say, translated } from "./dom";
import { clock } from "./moments";

const START_SCALE = 5; // pixels per metre around the first vehicle
const GLIDE_MS = 140;
const ANIMATION_MS = 220;
const EDGE = 20; // pixels: nearer to the edge of the view is out of sight
const CALM = "(prefers-reduced-motion: reduce)";

export class SceneArea {
  readonly camera = new Camera();
  readonly main: SceneView;
  private readonly second: SceneView | null = null;
  private readonly overlaid: WorldAt | null = null;
  private readonly secondHost: HTMLElement;
  private readonly chip: HTMLElement;
  private readonly loading: HTMLElement;
  private readonly updateCard: (view: SceneView) => void;
  private offset: [number, number] | null = null; // of the camera from whom it follows
  private lastFollow = 0;
  private glide: { from: number; scale: number; x: number; y: number; toScale: number; toX: number; toY: number } | null = null;
  private isPlaced = false;
  private isSought = false; // somebody has been selected who may be out of sight
  private readonly secondCamera: Camera | null = null; // of a run on another map

  constructor(parent: HTMLElement, private readonly app: ViewerApp) {
    const area = element("section", "scenes", parent);
    translated(app, () => area.setAttribute("aria-label", app.t("scene")));
    const row = element("div", "scene-row", area);
    const host = element("div", "scene", row);
    this.main = new SceneView(host, app, app.run, this.camera, true);
    this.secondHost = element("div", "scene", row);
    this.secondHost.hidden = true;
    if (app.other) {
      if (!onSameMap(app.run.meta, app.other.meta)) this.secondCamera = new Camera();
      const second = new SceneView(this.secondHost, app, app.other, this.secondCamera ?? this.camera, false);
      this.second = second;
      this.overlaid = second.world;
      this.main.overHasEnded = () => second.hasEnded;
      for (const [box, key] of [[host, "run.a"], [this.secondHost, "run.b"]] as const) {
        const tag = element("div", `run-tag ${key === "run.b" ? "b" : "a"}`, box);
        translated(app, () => say(tag, app.t(key)));
      }
    }
    this.updateCard = mountCard(host, app, (width, height) => {
      this.main.covered = width > 0 ? [0, 0, width, height] : null;
      app.redraw();
    });
    this.chip = element("div", "compare-bar", area);
    this.chip.hidden = true;
    this.loading = element("div", "loading-chip", host);
    this.loading.setAttribute("role", "status");
    this.loading.hidden = true;
    this.controls(host);
    const arrange = (): void => {
      const isSplit = app.mode === "split" && this.second !== null;
      this.secondHost.hidden = !isSplit;
      area.classList.toggle("split", isSplit);
      area.dataset.mode = app.mode;
      this.main.over = app.mode === "overlay" && !this.secondCamera ? this.overlaid : null;
    };
    arrange();
    app.on("view", arrange);
    app.on("show", () => (this.isSought = true));
    app.look = () => (this.glide ? { x: this.glide.toX, y: this.glide.toY, scale: this.glide.toScale } : this.camera);
    app.addDrawer(() => this.draw());
  }

  private controls(host: HTMLElement): void {
    const { app } = this;
    const box = element("div", "scene-controls", host);
    const north = element("div", "compass", box);
    north.append(icon("north"));
    say(element("span", "", north), "N");
    iconButton(app, box, "plus", "zoomin", () => this.zoom(1.5));
    iconButton(app, box, "minus", "zoomout", () => this.zoom(1 / 1.5));
    iconButton(app, box, "fit", "fit", () => this.fit());
    const follow = iconButton(app, box, "target", "follow", () => app.follow(!app.following));
    const show = (): void => {
      follow.classList.toggle("on", app.following);
      follow.disabled = app.selected === null;
    };
    show();
    app.on("view", show);
    app.on("selection", show);
  }

  zoom(factor: number): void {
    this.aim(this.camera.x, this.camera.y, (this.glide?.toScale ?? this.camera.scale) * factor);
    if (this.secondCamera) this.secondCamera.zoomAt(this.secondCamera.width / 2, this.secondCamera.height / 2, factor);
  }

  fit(): void {
    this.app.follow(false);
    const target = new Camera();
    target.width = this.main.width;
    target.height = this.main.height;
    target.fit(this.app.run.meta.roads.bounds);
    this.aim(target.x, target.y, target.scale);
    if (this.secondCamera && this.app.other) this.secondCamera.fit(this.app.other.meta.roads.bounds);
  }

  /** Moves to an actor, near enough to see it. */
  show(actor: number | null): void {
    const at = actor === null ? undefined : this.main.world.at.get(actor);
    if (at === undefined) return;
    const { world } = this.main;
    const [x, y] = centre(world.actors[at], world.x[at], world.y[at], world.yaw[at]);
    this.aim(x, y, Math.max(this.camera.scale, START_SCALE));
  }

  private aim(x: number, y: number, scale: number): void {
    const { camera } = this;
    this.glide = { from: performance.now(), scale: camera.scale, x: camera.x, y: camera.y, toScale: Math.min(80, Math.max(0.02, scale)), toX: x, toY: y };
    this.app.redraw();
  }

  private draw(): boolean {
    const { app, main } = this;
    const isSplit = app.mode === "split" && this.second !== null;
    let complete = main.update();
    if (this.second && app.mode !== "single") complete = this.second.update() && complete;
    if (!this.isPlaced && complete && main.width > 10) this.place();
    if (this.isPlaced && complete) this.turn();
    this.moveCamera();
    complete = main.draw() && complete;
    if (this.second && isSplit) complete = this.second.draw() && complete;
    this.updateCard(main);
    this.compare();
    // A run writes its log piece by piece; before the first piece there is nothing to see.
    const isWaiting = app.isLive && app.durationMs === 0 && main.world.count === 0;
    this.loading.hidden = !isWaiting && (complete || this.isPlaced);
    if (!this.loading.hidden) say(this.loading, app.t(isWaiting ? "live.waiting" : "loading"));
    return complete;
  }

  /** Goes where a link wants the camera, or to whom has been selected out of sight. */
  private turn(): void {
    const { app, camera, main } = this;
    const view = app.wantedView;
    const isSought = this.isSought;
    app.wantedView = null;
    this.isSought = false;
    if (view) this.aim(view.x, view.y, view.scale);
    if (view || !isSought || app.following) return;
    const rsu = rsuOfUnit(main.run.meta, app.selectedUnit);
    const at = app.selected === null ? undefined : main.world.at.get(app.selected);
    const place = rsu ? [rsu.x, rsu.y] : at === undefined ? null : centre(main.world.actors[at], main.world.x[at], main.world.y[at], main.world.yaw[at]);
    if (!place) return;
    const [sx, sy] = [camera.sx(place[0]), camera.sy(place[1])];
    const isSeen = sx > EDGE && sy > EDGE && sx < main.width - EDGE && sy < main.height - EDGE;
    if (!isSeen) this.aim(place[0], place[1], Math.max(camera.scale, START_SCALE));
  }

  /** Where the page opens: at the selected or first named vehicle, or the whole map. */
  private place(): void {
    const { app, main, camera } = this;
    camera.width = main.width;
    camera.height = main.height;
    camera.fit(app.run.meta.roads.bounds);
    if (app.isLive && main.world.count === 0) return; // nobody is there yet
    this.isPlaced = true;
    if (this.secondCamera && this.second) this.placeSecond(this.secondCamera, this.second);
    if (app.wantedView) {
      ({ x: camera.x, y: camera.y, scale: camera.scale } = app.wantedView);
      app.wantedView = null;
      this.isSought = false;
      return;
    }
    if (app.selected === null) {
      const first = Object.values(app.run.meta.vehicles).find((id) => main.world.at.has(id));
      if (first !== undefined) app.select(first);
    }
    const at = app.selected === null ? undefined : main.world.at.get(app.selected);
    if (at === undefined) return;
    const { world } = main;
    [camera.x, camera.y] = centre(world.actors[at], world.x[at], world.y[at], world.yaw[at]);
    camera.scale = Math.max(camera.scale, START_SCALE);
    app.follow(true);
  }

  /** The run on another map opens at its own first vehicle. */
  private placeSecond(camera: Camera, { run, world, width, height }: SceneView): void {
    camera.width = width > 10 ? width : this.main.width / 2;
    camera.height = height > 10 ? height : this.main.height;
    camera.fit(run.meta.roads.bounds);
    const at = Object.values(run.meta.vehicles).map((id) => world.at.get(id)).find((each) => each !== undefined);
    if (at === undefined) return;
    [camera.x, camera.y] = centre(world.actors[at], world.x[at], world.y[at], world.yaw[at]);
    camera.scale = Math.max(camera.scale, START_SCALE);
  }

  private moveCamera(): void {
    const { app, camera, main } = this;
    const now = performance.now();
    if (this.glide) {
      const { glide } = this;
      const f = matchMedia(CALM).matches ? 1 : Math.min(1, (now - glide.from) / ANIMATION_MS);
      const ease = 1 - (1 - f) ** 3;
      camera.scale = glide.scale * (glide.toScale / glide.scale) ** ease;
      if (!app.following) {
        camera.x = glide.x + (glide.toX - glide.x) * ease;
        camera.y = glide.y + (glide.toY - glide.y) * ease;
      }
      if (f >= 1) this.glide = null;
      else app.redraw();
    }
    const at = app.following && app.selected !== null ? main.world.at.get(app.selected) : undefined;
    if (app.following && this.secondCamera && this.second) {
      const { world: theirs, run } = this.second; // on another map: its own first vehicle
      const first = Object.values(run.meta.vehicles).map((id) => theirs.at.get(id)).find((each) => each !== undefined);
      if (first !== undefined) [this.secondCamera.x, this.secondCamera.y] = centre(theirs.actors[first], theirs.x[first], theirs.y[first], theirs.yaw[first]);
    }
    if (at === undefined) {
      this.offset = null;
      return;
    }
    const { world } = main;
    const [x, y] = centre(world.actors[at], world.x[at], world.y[at], world.yaw[at]);
    if (!this.offset) {
      this.offset = [camera.x - x, camera.y - y];
      this.lastFollow = now;
    }
    const fade = matchMedia(CALM).matches ? 0 : Math.exp(-Math.min(100, now - this.lastFollow) / GLIDE_MS);
    this.lastFollow = now;
    this.offset = [this.offset[0] * fade, this.offset[1] * fade];
    if (Math.hypot(...this.offset) * camera.scale < 0.5) this.offset = [0, 0];
    else app.redraw();
    camera.x = x + this.offset[0];
    camera.y = y + this.offset[1];
  }

  private compare(): void {
    const { app, main, second } = this;
    this.chip.hidden = !second || app.mode === "single";
    if (!second || this.chip.hidden) return;
    if (this.secondCamera) {
      say(this.chip, app.t("othermap"));
      this.chip.classList.add("differs");
      return;
    }
    const apart = measureApart(main.world, second.world);
    const ended = [main.hasEnded, second.hasEnded];
    if (ended[0] !== ended[1]) {
      const run = ended[0] ? main.run : second.run;
      say(this.chip, app.t("ended").replace("{run}", app.t(ended[0] ? "run.a" : "run.b")).replace("{t}", clock(run.meta.duration_s * 1000)));
      this.chip.classList.add("differs");
      return;
    }
    const parts = [apart.count === 0 ? app.t("together") : app.t(apart.count === 1 ? "apart.one" : "apart").replace("{n}", String(apart.count)).replace("{m}", apart.furthest.toFixed(2)).replace("{who}", apart.who)];
    if (apart.alone > 0) parts.push(app.t("only").replace("{n}", String(apart.alone)));
    say(this.chip, parts.join(" · "));
    this.chip.classList.toggle("differs", apart.count + apart.alone > 0);
  }
}
