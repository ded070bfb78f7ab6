import { expect, test } from "vitest";
import { boxCorners, centre, onActor, rearSection } from "../src/scene/geometry";
import { hull } from "../src/scene/roads";
import { Camera } from "../src/scene/camera";
import { actor } from "./support/tiny_run";

// 18 m bus: front section 10.7 m, its rear axle 3.3 m before its end, joint 3.3 m behind the axle, rear section 7.3 m.
const bus = actor(1, { kind: 5, length: 10.7, width: 2.55, rear_overhang: 3.3, hitch_x: -3.3, rear_length: 7.3 });

test("a straight bus hangs its rear section right behind", () => {
  const rear = rearSection(bus, 100, 50, 0, 0);
  expect([rear.x, rear.y, rear.yaw]).toEqual([96.7, 50, 0]);
  const corners = boxCorners(rear.x, rear.y, rear.yaw, bus.rear_length, 0, bus.width);
  expect(Math.min(corners[0], corners[2], corners[4], corners[6])).toBeCloseTo(96.7 - 7.3, 9);
});

test("hitch is the front's yaw less the rear's: turning left, the tail swings to the right of straight behind", () => {
  // Front points north, rear still east: a left turn of 90 degrees.
  const rear = rearSection(bus, 0, 0, Math.PI / 2, Math.PI / 2);
  expect(rear.x).toBeCloseTo(0, 9);
  expect(rear.y).toBeCloseTo(-3.3, 9);
  expect(rear.yaw).toBeCloseTo(0, 9);
  // The tail's end lies west of the joint.
  const corners = boxCorners(rear.x, rear.y, rear.yaw, bus.rear_length, 0, 2);
  expect(corners[4]).toBeCloseTo(-7.3, 9);
});

test("corners turn with the body", () => {
  const [flx, fly, frx, fry] = boxCorners(0, 0, Math.PI / 2, 1, 3, 2);
  expect([flx, fly, frx, fry].map((v) => Math.round(v * 1e9) / 1e9)).toEqual([-1, 3, 1, 3]);
});

test("the middle of a body is ahead of its rear axle", () => {
  expect(centre(bus, 0, 0, 0)[0]).toBeCloseTo(10.7 / 2 - 3.3, 9);
});

test("a click on either section hits, one beside does not", () => {
  const hitch = Math.PI / 4;
  expect(onActor(bus, 7.3, 0, 0, 0, 0, hitch, 0)).toBe(true);
  expect(onActor(bus, 7.6, 0, 0, 0, 0, hitch, 0)).toBe(false);
  const [mx, my] = [-3.3 - Math.cos(-hitch) * 5, -Math.sin(-hitch) * 5]; // 5 m along the rear section
  expect(onActor(bus, mx, my, 0, 0, 0, hitch, 0)).toBe(true);
  expect(onActor(bus, mx, -my, 0, 0, 0, hitch, 0)).toBe(false);
});

test("zooming keeps what is under the pointer, and the picture maps back", () => {
  const camera = new Camera();
  [camera.width, camera.height, camera.x, camera.y, camera.scale] = [800, 600, 20, -30, 4];
  const [x, y] = [camera.wx(700), camera.wy(100)];
  camera.zoomAt(700, 100, 2.5);
  expect(camera.wx(700)).toBeCloseTo(x, 9);
  expect(camera.wy(100)).toBeCloseTo(y, 9);
  expect(camera.sx(x)).toBeCloseTo(700, 9);
  expect(camera.sy(y)).toBeCloseTo(100, 9);
  camera.zoomAt(0, 0, 1e9);
  expect(camera.scale).toBe(80);
});

test("fit shows the whole map", () => {
  const camera = new Camera();
  [camera.width, camera.height] = [1000, 500];
  camera.fit([0, 0, 3000, 600], 40);
  expect(camera.sx(0)).toBeGreaterThanOrEqual(39.9);
  expect(camera.sx(3000)).toBeLessThanOrEqual(960.1);
  expect(camera.sy(600)).toBeGreaterThanOrEqual(39.9);
});

test("a hull holds its points and leaves inner ones out", () => {
  const square: [number, number][] = [[0, 0], [2, 0], [2, 2], [0, 2]];
  const found = hull([...square, [1, 1], [1, 0], [0.5, 1.9]]);
  expect(found.map(String).sort()).toEqual(square.map(String).sort());
});
