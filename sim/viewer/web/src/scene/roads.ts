// The road surface, drawn once into a picture larger than the view and moved under it; drawn anew when the view leaves it or is zoomed.
import type { Lane, Point, Roads } from "../model";
import type { Camera } from "./camera";
import type { Palette } from "./palette";

type Surface = "verge" | "walk" | "parking" | "shoulder" | "asphalt" | "junction" | "bus" | "cycle";
const ORDER: Surface[] = ["verge", "walk", "shoulder", "parking", "asphalt", "junction", "cycle", "bus"];
const PAVED: Surface[] = ["shoulder", "parking", "asphalt", "junction", "bus", "cycle"];
const MARGIN = 0.4; // of the view, to each side
const SHARPEN_MS = 90;
const MARKS_FROM = 1.3; // pixels per metre
const ZEBRA_FROM = 1.6;
const SWELL = 3.2; // metres, both sides together
const MAX_PICTURE = 36e6; // pixels

function surfaceOf(kind: string): Surface {
  const k = kind.toLowerCase();
  if (k.includes("bus")) return "bus";
  if (k.includes("junction") || k.includes("connecting")) return "junction";
  if (k.includes("bik") || k.includes("cycl")) return "cycle";
  if (k.includes("walk") || k === "shared" || k === "curb") return "walk";
  if (k.includes("parking") || k.includes("bay")) return "parking";
  if (k === "shoulder" || k === "stop") return "shoulder";
  if (k === "border" || k === "median" || k === "none" || k === "restricted" || k === "verge") return "verge";
  return "asphalt";
}

interface Strip { surface: Surface; points: Float64Array; half: number; box: [number, number, number, number]; marks: [string, string] }

function strip(lane: Lane): Strip {
  const points = new Float64Array((lane.left.length + lane.right.length) * 2);
  let k = 0;
  for (const [x, y] of lane.left) (points[k++] = x), (points[k++] = y);
  for (let i = lane.right.length - 1; i >= 0; i--) (points[k++] = lane.right[i][0]), (points[k++] = lane.right[i][1]);
  let area = 0;
  const box: [number, number, number, number] = [Infinity, Infinity, -Infinity, -Infinity];
  for (let i = 0, j = points.length - 2; i < points.length; j = i, i += 2) {
    area += points[j] * points[i + 1] - points[i] * points[j + 1];
    box[0] = Math.min(box[0], points[i]);
    box[1] = Math.min(box[1], points[i + 1]);
    box[2] = Math.max(box[2], points[i]);
    box[3] = Math.max(box[3], points[i + 1]);
  }
  if (area < 0) {
    // One sense of rotation for all, or lanes that overlap would cut holes in each other.
    const n = points.length / 2;
    const turned = new Float64Array(points.length);
    for (let i = 0; i < n; i++) (turned[2 * i] = points[2 * (n - 1 - i)]), (turned[2 * i + 1] = points[2 * (n - 1 - i) + 1]);
    return { surface: surfaceOf(lane.kind), points: turned, half: lane.right.length, box, marks: [lane.marks?.[1] ?? "none", lane.marks?.[0] ?? "none"] };
  }
  return { surface: surfaceOf(lane.kind), points, half: lane.left.length, box, marks: [lane.marks?.[0] ?? "none", lane.marks?.[1] ?? "none"] };
}

const NEAR_M = 10_000;

/** The whole tens of kilometres nearest to the middle of a map. A canvas counts in 32 bits: in the coordinates of a national grid it would draw
 * in steps of half a metre. */
function originOf([x0, y0, x1, y1]: Roads["bounds"]): Point {
  return [Math.round((x0 + x1) / 2 / NEAR_M) * NEAR_M, Math.round((y0 + y1) / 2 / NEAR_M) * NEAR_M];
}

function seenFrom([ox, oy]: Point, roads: Roads): Roads {
  if (ox === 0 && oy === 0) return roads;
  const line = (points: Point[]): Point[] => points.map(([x, y]) => [x - ox, y - oy]);
  return {
    ...roads,
    lanes: roads.lanes.map((lane) => ({ ...lane, left: line(lane.left), right: line(lane.right) })),
    stations: roads.stations.map((station) => ({ ...station, poly: line(station.poly) })),
    crossings: roads.crossings.map(line),
    bays: roads.bays.map(line),
    objects: roads.objects.map(line),
  };
}

/** Convex hulls of lanes that lie together. */
function hulls(lanes: Strip[]): Point[][] {
  const groups: { box: Strip["box"]; points: Point[] }[] = [];
  for (const lane of lanes) {
    const mine = { box: [...lane.box] as Strip["box"], points: [] as Point[] };
    for (let i = 0; i < lane.points.length; i += 2) mine.points.push([lane.points[i], lane.points[i + 1]]);
    for (let k = groups.length - 1; k >= 0; k--) {
      const other = groups[k];
      if (other.box[0] > mine.box[2] || other.box[2] < mine.box[0] || other.box[1] > mine.box[3] || other.box[3] < mine.box[1]) continue;
      groups.splice(k, 1);
      mine.points = hull([...mine.points, ...other.points]);
      mine.box = [Math.min(mine.box[0], other.box[0]), Math.min(mine.box[1], other.box[1]), Math.max(mine.box[2], other.box[2]), Math.max(mine.box[3], other.box[3])];
    }
    groups.push(mine);
  }
  return groups.map((group) => hull(group.points));
}

/** Convex hull, counter-clockwise (Andrew's monotone chain). */
export function hull(points: Point[]): Point[] {
  const sorted = [...points].sort((a, b) => a[0] - b[0] || a[1] - b[1]);
  const half = (list: Point[]): Point[] => {
    const out: Point[] = [];
    for (const p of list) {
      while (out.length > 1 && (out.at(-1)![0] - out.at(-2)![0]) * (p[1] - out.at(-2)![1]) - (out.at(-1)![1] - out.at(-2)![1]) * (p[0] - out.at(-2)![0]) <= 0) out.pop();
      out.push(p);
    }
    return out.slice(0, -1);
  };
  return [...half(sorted), ...half(sorted.reverse())];
}

/** Speckle of a road surface; the same every time. */
function grain(alpha: number): HTMLCanvasElement {
  const tile = document.createElement("canvas");
  tile.width = tile.height = 96;
  const context = tile.getContext("2d")!;
  const image = context.createImageData(96, 96);
  let state = 12345;
  for (let i = 0; i < image.data.length; i += 4) {
    state = (state * 1103515245 + 12345) & 0x7fffffff;
    const value = (state >> 16) & 255;
    image.data[i] = image.data[i + 1] = image.data[i + 2] = value > 127 ? 255 : 0;
    image.data[i + 3] = Math.round(Math.abs(value - 127) * 2 * alpha);
  }
  context.putImageData(image, 0, 0);
  return tile;
}

export class RoadPicture {
  readonly origin: Point; // where the picture's coordinates begin, in the world
  private readonly roads: Roads;
  private readonly strips: Strip[];
  private readonly hulls = new Path2D(); // around each junction: its swollen surface stays inside
  private readonly canvas = document.createElement("canvas");
  private at = { x: 0, y: 0, scale: 0, width: 0, height: 0, ratio: 1 };
  private colours: Palette | null = null;
  private tile: HTMLCanvasElement | null = null;
  private sharpenAt = 0;
  private zoomedAt = 0;

  constructor(roads: Roads, private readonly wake: () => void) {
    this.origin = originOf(roads.bounds);
    this.roads = seenFrom(this.origin, roads);
    this.strips = this.roads.lanes.filter((lane) => lane.left.length > 1 && lane.right.length > 1).map(strip);
    for (const hull of hulls(this.strips.filter((each) => each.surface === "junction"))) {
      hull.forEach(([x, y], i) => (i === 0 ? this.hulls.moveTo(x, y) : this.hulls.lineTo(x, y)));
      this.hulls.closePath();
    }
  }

  /** Whether what was last put is a stretched picture of another zoom. */
  isRough(camera: Camera): boolean {
    return camera.scale !== this.at.scale;
  }

  /** Puts the surface as `camera` sees it. */
  draw(to: CanvasRenderingContext2D, camera: Camera, colours: Palette, ratio: number): void {
    const now = performance.now();
    const covers = (): boolean => {
      const w = this.at.width / this.at.scale / 2;
      const h = this.at.height / this.at.scale / 2;
      const vw = camera.width / camera.scale / 2;
      const vh = camera.height / camera.scale / 2;
      return Math.abs(camera.x - this.at.x) + vw <= w && Math.abs(camera.y - this.at.y) + vh <= h;
    };
    const zoom = this.at.scale > 0 ? camera.scale / this.at.scale : 0;
    let again = colours !== this.colours || ratio !== this.at.ratio || zoom < 0.4 || zoom > 3 || !covers();
    if (!again && zoom !== 1) {
      if (this.zoomedAt !== camera.scale) {
        this.zoomedAt = camera.scale;
        this.sharpenAt = now + SHARPEN_MS;
        setTimeout(this.wake, SHARPEN_MS + 5);
      } else if (now >= this.sharpenAt) again = true;
    }
    if (again) this.paint(camera, colours, ratio, this.isElsewhere(camera) ? 0 : MARGIN);
    const f = camera.scale / this.at.scale;
    const w = this.at.width * f;
    const h = this.at.height * f;
    const x = (this.at.x - camera.x) * camera.scale + camera.width / 2 - w / 2;
    const y = (camera.y - this.at.y) * camera.scale + camera.height / 2 - h / 2;
    if (f === 1) {
      to.imageSmoothingEnabled = false;
      to.drawImage(this.canvas, Math.round(x * ratio) / ratio, Math.round(y * ratio) / ratio, w, h);
    } else {
      to.imageSmoothingEnabled = true;
      to.drawImage(this.canvas, x, y, w, h);
    }
  }

  /** Whether the view has jumped to where the picture shows nothing of: then what is beside it can wait until the view moves. */
  private isElsewhere(camera: Camera): boolean {
    const w = this.at.width / this.at.scale / 2 + camera.width / camera.scale / 2;
    const h = this.at.height / this.at.scale / 2 + camera.height / camera.scale / 2;
    return !(Math.abs(camera.x - this.at.x) < w && Math.abs(camera.y - this.at.y) < h);
  }

  private paint(camera: Camera, colours: Palette, ratio: number, margin: number): void {
    if (colours !== this.colours) this.tile = grain(colours.grain);
    this.colours = colours;
    let grow = 1 + 2 * margin;
    const area = camera.width * camera.height * ratio * ratio;
    if (area * grow * grow > MAX_PICTURE) grow = Math.max(1, Math.sqrt(MAX_PICTURE / area));
    const width = Math.ceil(camera.width * grow);
    const height = Math.ceil(camera.height * grow);
    this.at = { x: camera.x, y: camera.y, scale: camera.scale, width, height, ratio };
    const pw = Math.round(width * ratio);
    const ph = Math.round(height * ratio);
    if (this.canvas.width !== pw || this.canvas.height !== ph) {
      this.canvas.width = pw;
      this.canvas.height = ph;
    }
    const context = this.canvas.getContext("2d", { alpha: false })!;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.fillStyle = colours.ground;
    context.fillRect(0, 0, pw, ph);
    const s = camera.scale * ratio;
    const [x, y] = [camera.x - this.origin[0], camera.y - this.origin[1]];
    context.setTransform(s, 0, 0, -s, pw / 2 - x * s, ph / 2 + y * s);
    const half = [width / camera.scale / 2, height / camera.scale / 2];
    this.paintWorld(context, colours, s, [x - half[0], y - half[1], x + half[0], y + half[1]], this.tile);
  }

  /** Everything fixed, in world coordinates from `origin` on; `s` device pixels a metre. */
  paintWorld(context: CanvasRenderingContext2D, colours: Palette, s: number, view: [number, number, number, number], tile: HTMLCanvasElement | null): void {
    const visible = this.strips.filter((each) => each.box[0] <= view[2] && each.box[2] >= view[0] && each.box[1] <= view[3] && each.box[3] >= view[1]);
    const step = s < 0.6 ? 4 : s < 1.5 ? 2 : 1;
    const paths = new Map<Surface, Path2D>();
    for (const each of visible) {
      let path = paths.get(each.surface);
      if (!path) paths.set(each.surface, (path = new Path2D()));
      outline(path, each, step);
    }
    const line = Math.max(0.12, 0.8 / s);
    context.lineJoin = "round";
    context.lineCap = "butt";
    context.setLineDash([]);
    for (const surface of ["verge", "walk"] as const) this.fill(context, paths.get(surface), colours[surface], line);
    // Squares and the like lie below the lanes that cross them.
    for (const object of this.roads.objects) polygon(context, object, colours.object, colours.kerb, 0.1, []);
    // Kerbs: a rim below everything paved. What lies between the lanes of a junction is paved too: its surface is swollen.
    const kerb = Math.max(0.55, 1.4 / s);
    context.strokeStyle = colours.kerb;
    context.lineWidth = kerb;
    for (const surface of PAVED) {
      const path = paths.get(surface);
      if (path && surface !== "junction") context.stroke(path);
    }
    const junction = paths.get("junction");
    if (junction) {
      context.save();
      context.clip(this.hulls);
      context.lineWidth = SWELL + kerb;
      context.stroke(junction);
      context.strokeStyle = colours.junction;
      context.lineWidth = SWELL;
      context.stroke(junction);
      context.restore();
    }
    for (const surface of ORDER) if (surface !== "verge" && surface !== "walk") this.fill(context, paths.get(surface), colours[surface], line);
    if (tile && s > 2) {
      const pattern = context.createPattern(tile, "repeat");
      if (pattern) {
        pattern.setTransform(new DOMMatrix([1 / s, 0, 0, 1 / s, 0, 0]));
        context.fillStyle = pattern;
        for (const surface of PAVED) {
          const path = paths.get(surface);
          if (path) context.fill(path);
        }
      }
    }
    if (s >= MARKS_FROM) this.marks(context, visible, colours, s);
    for (const bay of this.roads.bays) polygon(context, bay, colours.parking, colours.bay, Math.max(0.1, 0.8 / s), s >= 2 ? [0.8, 0.5] : []);
    if (s >= ZEBRA_FROM) for (const crossing of this.roads.crossings) zebra(context, crossing, colours.zebra);
    for (const station of this.roads.stations) polygon(context, station.poly, colours.platform, colours.platformEdge, Math.max(0.15, 1.2 / s), []);
  }

  private fill(context: CanvasRenderingContext2D, path: Path2D | undefined, colour: string, seam: number): void {
    if (!path) return;
    context.fillStyle = colour;
    context.strokeStyle = colour;
    context.lineWidth = seam;
    context.fill(path);
    context.stroke(path); // closes the hairline between neighbours
  }

  private marks(context: CanvasRenderingContext2D, visible: Strip[], colours: Palette, s: number): void {
    const groups = new Map<string, Path2D>();
    for (const each of visible)
      for (const side of [0, 1] as const) {
        const mark = each.marks[side].toLowerCase();
        if (!mark || mark.startsWith("none") || mark.includes("curb") || mark.includes("grass")) continue;
        const dashed = mark.includes("broken") && !mark.includes("solid") ? "dash" : mark.includes("botts") ? "dot" : "line";
        const key = `${dashed} ${mark.includes("yellow") ? "yellow" : "white"}`;
        let path = groups.get(key);
        if (!path) groups.set(key, (path = new Path2D()));
        const from = side === 0 ? 0 : each.half;
        const to = side === 0 ? each.half : each.points.length / 2;
        for (let i = from; i < to; i++) {
          if (i === from) path.moveTo(each.points[2 * i], each.points[2 * i + 1]);
          else path.lineTo(each.points[2 * i], each.points[2 * i + 1]);
        }
      }
    context.lineWidth = Math.max(0.13, 0.7 / s);
    for (const [key, path] of groups) {
      context.strokeStyle = key.endsWith("yellow") ? colours.markYellow : colours.mark;
      context.setLineDash(key.startsWith("dash") ? [4, 6] : key.startsWith("dot") ? [0.3, 2] : []);
      context.stroke(path);
    }
    context.setLineDash([]);
  }
}

function outline(path: Path2D, each: Strip, step: number): void {
  const { points, half } = each;
  const n = points.length / 2;
  path.moveTo(points[0], points[1]);
  for (let i = 1; i < n; i++) if (i % step === 0 || i === half - 1 || i === half || i === n - 1) path.lineTo(points[2 * i], points[2 * i + 1]);
  path.closePath();
}

function polygon(context: CanvasRenderingContext2D, points: Point[], fill: string | null, stroke: string, width: number, dash: number[]): void {
  if (points.length < 2) return;
  context.beginPath();
  points.forEach(([x, y], i) => (i === 0 ? context.moveTo(x, y) : context.lineTo(x, y)));
  context.closePath();
  if (fill) {
    context.fillStyle = fill;
    context.fill();
  }
  context.strokeStyle = stroke;
  context.lineWidth = width;
  context.setLineDash(dash);
  context.stroke();
  context.setLineDash([]);
}

/** Bars across the walking direction: one broad dashed line along the crossing's long axis. */
function zebra(context: CanvasRenderingContext2D, points: Point[], colour: string): void {
  if (points.length < 3) return;
  let longest = 0;
  let yaw = 0;
  points.forEach(([x, y], i) => {
    const [nx, ny] = points[(i + 1) % points.length];
    const length = Math.hypot(nx - x, ny - y);
    if (length > longest) (longest = length), (yaw = Math.atan2(ny - y, nx - x));
  });
  const c = Math.cos(yaw);
  const s = Math.sin(yaw);
  let [a0, a1, b0, b1] = [Infinity, -Infinity, Infinity, -Infinity];
  for (const [x, y] of points) {
    const a = x * c + y * s;
    const b = -x * s + y * c;
    (a0 = Math.min(a0, a)), (a1 = Math.max(a1, a)), (b0 = Math.min(b0, b)), (b1 = Math.max(b1, b));
  }
  const middle = (b0 + b1) / 2;
  context.strokeStyle = colour;
  context.lineWidth = b1 - b0;
  context.setLineDash([0.45, 0.6]);
  context.beginPath();
  context.moveTo(a0 * c - middle * s, a0 * s + middle * c);
  context.lineTo(a1 * c - middle * s, a1 * s + middle * c);
  context.stroke();
  context.setLineDash([]);
}
