// From world metres (x east, y north) to picture pixels (x right, y down).
export const MIN_SCALE = 0.02;
export const MAX_SCALE = 80;

export class Camera {
  x = 0;
  y = 0;
  scale = 4; // pixels per metre
  width = 1;
  height = 1;

  sx(x: number): number {
    return (x - this.x) * this.scale + this.width / 2;
  }

  sy(y: number): number {
    return (this.y - y) * this.scale + this.height / 2;
  }

  wx(sx: number): number {
    return (sx - this.width / 2) / this.scale + this.x;
  }

  wy(sy: number): number {
    return this.y - (sy - this.height / 2) / this.scale;
  }

  /** Zooms so that what lies under the pointer stays there. */
  zoomAt(sx: number, sy: number, factor: number): void {
    const x = this.wx(sx);
    const y = this.wy(sy);
    this.scale = Math.min(MAX_SCALE, Math.max(MIN_SCALE, this.scale * factor));
    this.x += x - this.wx(sx);
    this.y += y - this.wy(sy);
  }

  fit(bounds: [number, number, number, number], margin = 40): void {
    const [x0, y0, x1, y1] = bounds;
    this.x = (x0 + x1) / 2;
    this.y = (y0 + y1) / 2;
    const across = Math.max(1, x1 - x0);
    const up = Math.max(1, y1 - y0);
    this.scale = Math.min(MAX_SCALE, Math.max(MIN_SCALE, Math.min((this.width - margin * 2) / across, (this.height - margin * 2) / up)));
  }
}
