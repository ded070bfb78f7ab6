// Text on the map that never covers other text: the more important comes first, and who finds no room is left out.
import { plain } from "../plain";

export interface Label {
  text: string;
  x: number; // pixels: what it belongs to
  y: number;
  clear: number; // pixels kept free above and below that point
  clearX?: number; // the same to its sides; as above when left out
  rank: number; // lower first
  fill: string;
  ink: string;
  bold?: boolean;
  small?: boolean;
  over?: boolean; // best right there, not beside it
}

const PLACES: [number, number][] = [[0, -1], [1, 0], [-1, 0], [0, 1], [0.8, -1], [-0.8, -1], [0.8, 1], [-0.8, 1]];

const LONGEST = 48; // characters
const HERE: [number, number] = [0, 0];

/** A name too long for a label, with its end left out. */
function shortened(text: string): string {
  return text.length <= LONGEST ? text : `${text.slice(0, LONGEST - 1)}…`;
}

const widths = new Map<string, number>();

function widthOf(context: CanvasRenderingContext2D, text: string): number {
  const key = `${context.font}|${text}`;
  let width = widths.get(key);
  if (width === undefined) {
    if (widths.size > 4000) widths.clear();
    widths.set(key, (width = context.measureText(text).width));
  }
  return width;
}

export function drawLabels(context: CanvasRenderingContext2D, labels: Label[], taken: [number, number, number, number][], width: number, height: number): void {
  labels.sort((a, b) => a.rank - b.rank);
  const boxes = [...taken];
  context.textBaseline = "middle";
  context.textAlign = "center";
  for (const label of labels) {
    if (label.x < -20 || label.y < -20 || label.x > width + 20 || label.y > height + 20) continue;
    const size = label.small ? 11 : 12;
    context.font = `${label.bold ? 600 : 500} ${size}px system-ui, "Noto Sans", "Noto Sans CJK SC", "PingFang SC", "Microsoft YaHei", sans-serif`;
    const text = shortened(plain(label.text));
    const w = widthOf(context, text) + 10;
    const h = size + 6;
    for (const [px, py] of label.over ? [HERE, ...PLACES] : PLACES) {
      const cx = label.x + px * ((label.clearX ?? label.clear) + w / 2) * (py === 0 ? 1 : 0.9);
      const cy = label.y + py * (label.clear + h / 2);
      const box: [number, number, number, number] = [cx - w / 2 - 1, cy - h / 2 - 1, cx + w / 2 + 1, cy + h / 2 + 1];
      if (box[0] < 0 || box[1] < 0 || box[2] > width || box[3] > height) continue;
      if (boxes.some((other) => box[0] < other[2] && box[2] > other[0] && box[1] < other[3] && box[3] > other[1])) continue;
      boxes.push(box);
      context.fillStyle = label.fill;
      context.beginPath();
      context.roundRect(cx - w / 2, cy - h / 2, w, h, 4);
      context.fill();
      context.fillStyle = label.ink;
      context.fillText(text, cx, cy + 0.5);
      break;
    }
  }
}
