// Text can be read in both themes: WCAG AA, 4.5 to 1 for text, 3 to 1 for what only has to be seen.
import { beforeEach, describe, expect, test } from "vitest";
import { paletteOf } from "../src/scene/palette";
import css from "../src/styles.css?raw";

type Rgb = [number, number, number];

/** Variables of a theme; the dark one changes what it names. */
function variables(theme: "light" | "dark"): Map<string, string> {
  const out = new Map<string, string>();
  const blocks = [/^:root \{([^}]*)\}/m, ...(theme === "dark" ? [/^:root\[data-theme="dark"\] \{([^}]*)\}/m] : [])];
  for (const block of blocks) for (const [, name, value] of block.exec(css)![1]!.matchAll(/--([\w-]+):\s*([^;]+);/g)) out.set(name!, value!.trim());
  return out;
}

function rgb(text: string, below: Rgb = [255, 255, 255]): Rgb {
  const hex = /^#([0-9a-f]{6})$/i.exec(text);
  if (hex) return [0, 2, 4].map((at) => parseInt(hex[1]!.slice(at, at + 2), 16)) as Rgb;
  const rgba = /^rgba\((\d+), ?(\d+), ?(\d+), ?([\d.]+)\)$/.exec(text);
  if (!rgba) throw new Error(`not a colour: ${text}`);
  const alpha = Number(rgba[4]);
  return below.map((value, k) => value * (1 - alpha) + Number(rgba[k + 1]) * alpha) as Rgb;
}

function luminance(colour: Rgb): number {
  const [r, g, b] = colour.map((value) => (value / 255 <= 0.04045 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r! + 0.7152 * g! + 0.0722 * b!;
}

export function contrast(a: Rgb, b: Rgb): number {
  const [high, low] = [luminance(a), luminance(b)].sort((x, y) => y - x);
  return (high! + 0.05) / (low! + 0.05);
}

/** `share` of the first colour over the second, as color-mix makes it. */
const mixed = (over: Rgb, below: Rgb, share: number): Rgb => over.map((value, k) => value * share + below[k]! * (1 - share)) as Rgb;

test("the measure itself", () => {
  expect(contrast(rgb("#000000"), rgb("#ffffff"))).toBeCloseTo(21, 6);
  expect(contrast(rgb("#777777"), rgb("#ffffff"))).toBeCloseTo(4.48, 2);
});

describe.each(["light", "dark"] as const)("%s", (theme) => {
  const all = variables(theme);
  const of = (name: string): Rgb => rgb(all.get(name)!, rgb(all.get("surface")!));
  let low: string[] = [];
  beforeEach(() => {
    low = [];
  });
  const need = (what: string, ink: Rgb, paper: Rgb, least: number): void => {
    const found = contrast(ink, paper);
    if (found < least) low.push(`${what}: ${found.toFixed(2)} < ${least}`);
  };

  test("text of the page", () => {
    for (const paper of ["surface", "raised", "bg", "over"]) for (const ink of ["text", "muted", "faint", "accent", "good", "bad", "warn"]) need(`${ink} on ${paper}`, of(ink), of(paper), 4.5);
    for (const paper of ["accent-soft"]) for (const ink of ["text", "muted", "accent"]) need(`${ink} on ${paper}`, of(ink), of(paper), 4.5);
    for (const tone of ["good", "bad", "warn"]) need(`${tone} on ${tone}-soft`, of(tone), of(`${tone}-soft`), 4.5);
    for (const tone of ["good", "bad", "warn"])
      for (const ink of ["text", "muted", tone]) need(`${ink} on a ${tone} banner`, of(ink), mixed(of(tone), of("surface"), 0.09), 4.5);
    need("text on what differs", of("text"), mixed(of("warn"), of("surface"), 0.22), 4.5);
    for (const tone of ["good", "bad"]) need(`text on a ${tone} cell`, of("text"), mixed(of(tone), of("surface"), 0.24), 4.5);
    for (const [ink, paper] of [["on-accent", "accent"], ["on-bad", "bad"]]) need(`${ink} on ${paper}`, of(ink!), of(paper!), 4.5);
    for (const ink of ["run-b", "differs"]) need(`${ink} on surface`, of(ink), of("surface"), 4.5);
    expect(low).toEqual([]);
  });

  test("curves and the mark of the focus can be seen", () => {
    for (let k = 1; k <= 8; k++) need(`chart${k}`, of(`chart${k}`), of("surface"), 3);
    for (const paper of ["surface", "raised", "bg"]) need(`focus on ${paper}`, of("accent"), of(paper), 3);
    expect(low).toEqual([]);
  });

  test("labels in the scene", () => {
    const colours = paletteOf(theme);
    const ground = rgb(colours.ground);
    need("label", rgb(colours.labelText), rgb(colours.label, ground), 4.5);
    need("label over asphalt", rgb(colours.labelText), rgb(colours.label, rgb(colours.asphalt)), 4.5);
    need("strong label", rgb(colours.labelStrongText), rgb(colours.labelStrong, ground), 4.5);
    for (const [what, ink] of [["RSU", colours.rsu], ["station", colours.platformEdge], ["heard", colours.heard], ["missed", colours.missed]] as const) need(what, rgb(ink), rgb(colours.label, ground), 4.5);
    need("scale", rgb(colours.ink), ground, 4.5);
    colours.lights.forEach((paper, light) => need(`seconds on light ${light}`, rgb(colours.lightText[light]!), rgb(paper), 4.5));
    expect(low).toEqual([]);
  });
});
