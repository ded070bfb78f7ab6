// The whole map in a corner: where the view is, where the named vehicles and roadside units are.
import Konva from "konva/lib/Core";
import type { Roads } from "../model";
import type { WorldAt } from "../data/world";
import { Camera } from "./camera";
import type { Palette } from "./palette";
import { RoadPicture } from "./roads";

const WIDTH = 190;
const HEIGHT = 120;

export class Minimap {
  readonly box: [number, number, number, number] = [0, 0, 0, 0]; // in the view's pixels
  private readonly camera = new Camera();
  private readonly width: number;
  private readonly height: number;
  private picture: HTMLCanvasElement | null = null;
  private colours: Palette | null = null;

  constructor(private readonly roads: Roads, private readonly surface: RoadPicture) {
    const [x0, y0, x1, y1] = roads.bounds;
    const aspect = Math.max(1, x1 - x0) / Math.max(1, y1 - y0);
    this.width = Math.max(70, Math.min(WIDTH, HEIGHT * aspect));
    this.height = Math.max(46, Math.min(HEIGHT, WIDTH / aspect));
    this.camera.width = this.width;
    this.camera.height = this.height;
    this.camera.fit(roads.bounds, 6);
  }

  /** World place under a point of the view, or null beside the map. */
  pick(sx: number, sy: number): [number, number] | null {
    const [x0, y0, x1, y1] = this.box;
    if (x1 <= x0 || sx < x0 || sx > x1 || sy < y0 || sy > y1) return null;
    return [this.camera.wx(sx - x0), this.camera.wy(sy - y0)];
  }

  draw(context: CanvasRenderingContext2D, view: Camera, colours: Palette, world: WorldAt, named: Iterable<number>, rsus: { x: number; y: number }[]): void {
    const [bx0, by0, bx1, by1] = this.roads.bounds;
    const seesAll = view.wx(0) <= bx0 && view.wx(view.width) >= bx1 && view.wy(view.height) <= by0 && view.wy(0) >= by1;
    if (seesAll || view.width < 500) {
      this.box.fill(0);
      return;
    }
    if (colours !== this.colours) this.paint(colours);
    const x = view.width - this.width - 12;
    const y = view.height - this.height - 34;
    this.box.splice(0, 4, x, y, x + this.width, y + this.height);
    context.save();
    context.beginPath();
    context.roundRect(x, y, this.width, this.height, 6);
    context.clip();
    context.drawImage(this.picture!, x, y, this.width, this.height);
    for (const rsu of rsus) {
      context.fillStyle = colours.rsu;
      context.beginPath();
      context.arc(x + this.camera.sx(rsu.x), y + this.camera.sy(rsu.y), 2.2, 0, 7);
      context.fill();
    }
    for (const id of named) {
      const at = world.at.get(id);
      if (at === undefined) continue;
      context.fillStyle = colours.automated;
      context.strokeStyle = "#ffffff";
      context.lineWidth = 1.2;
      context.beginPath();
      context.arc(x + this.camera.sx(world.x[at]), y + this.camera.sy(world.y[at]), 3.2, 0, 7);
      context.fill();
      context.stroke();
    }
    const vx0 = x + this.camera.sx(view.wx(0));
    const vy0 = y + this.camera.sy(view.wy(0));
    const w = Math.max(6, (view.width / view.scale) * this.camera.scale);
    const h = Math.max(6, (view.height / view.scale) * this.camera.scale);
    context.strokeStyle = colours.automated;
    context.lineWidth = 1.5;
    context.strokeRect(vx0, vy0, w, h);
    context.restore();
    context.strokeStyle = colours.muted;
    context.globalAlpha = 0.35;
    context.lineWidth = 1;
    context.beginPath();
    context.roundRect(x, y, this.width, this.height, 6);
    context.stroke();
    context.globalAlpha = 1;
  }

  private paint(colours: Palette): void {
    this.colours = colours;
    this.picture ??= document.createElement("canvas");
    const ratio = Konva.pixelRatio;
    this.picture.width = Math.round(this.width * ratio);
    this.picture.height = Math.round(this.height * ratio);
    const context = this.picture.getContext("2d")!;
    const s = this.camera.scale * ratio;
    context.fillStyle = colours.label;
    context.fillRect(0, 0, this.picture.width, this.picture.height);
    const [ox, oy] = this.surface.origin;
    context.setTransform(s, 0, 0, -s, this.picture.width / 2 - (this.camera.x - ox) * s, this.picture.height / 2 + (this.camera.y - oy) * s);
    this.surface.paintWorld(context, colours, s, [-Infinity, -Infinity, Infinity, Infinity], null);
    context.setTransform(1, 0, 0, 1, 0, 0);
  }
}
