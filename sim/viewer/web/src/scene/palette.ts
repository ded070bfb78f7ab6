// Colours of the scene in both themes. Signals: numbers of `Light`.
import type { Theme } from "../app";

export interface Palette {
  ground: string; verge: string; walk: string; asphalt: string; junction: string; bus: string; cycle: string; shoulder: string; parking: string; kerb: string;
  mark: string; markYellow: string; zebra: string; platform: string; platformEdge: string; bay: string; object: string; grain: number;
  paints: string[]; glass: string; outline: string; bellows: string; heavy: string; person: string; head: string; rider: string; shadow: string;
  automated: string; automatedRoof: string; halo: string; brake: string; door: string;
  plan: string; trail: string; perceived: string; perceivedFill: string; rsu: string; coverage: string; ghost: string; difference: string; heard: string; missed: string;
  label: string; labelText: string; labelStrong: string; labelStrongText: string; muted: string; ink: string;
  lights: string[]; lightText: string[];
}

const LIGHTS = ["#8d96a0", "#59616b", "#d33d34", "#d33d34", "#63bd78", "#2fa85a", "#f0b429", "#f0b429"];
const LIGHT_TEXT = ["#14191e", "#ffffff", "#ffffff", "#ffffff", "#0c2b16", "#04190b", "#3a2a00", "#3a2a00"];

const light: Palette = {
  ground: "#e9ebe4", verge: "#d3dec5", walk: "#d9d5cc", asphalt: "#7d848c", junction: "#797f87", bus: "#94736b", cycle: "#76917f", shoulder: "#989da3", parking: "#8c9299", kerb: "#b9b9b4",
  mark: "#f4f5f2", markYellow: "#f2cf63", zebra: "#eeefec", platform: "#c9d0e4", platformEdge: "#5c6fa6", bay: "#f4f5f2", object: "#b4b1a8", grain: 0.05,
  paints: ["#f2f3f4", "#d5dade", "#414a54", "#8fa3b5", "#c9bfae", "#5f7791", "#a8605a", "#e4e2dc"], glass: "#2d3742", outline: "#2b333c", bellows: "#3a424b", heavy: "#dfe4e2",
  person: "#ff9d2e", head: "#fff0da", rider: "#5cc7d6", shadow: "rgba(20,26,33,0.22)",
  automated: "#1d74e6", automatedRoof: "#e8f1ff", halo: "#1d74e6", brake: "#ff4438", door: "#ffe14d",
  plan: "#18c2a4", trail: "#1d74e6", perceived: "#8c3fd1", perceivedFill: "rgba(140,63,209,0.13)", rsu: "#6d37b8", coverage: "rgba(109,55,184,0.55)", ghost: "#d9480f", difference: "#d6006c", heard: "#0f7d3f", missed: "#c8322a",
  label: "rgba(255,255,255,0.92)", labelText: "#1f2933", labelStrong: "#1a6bd6", labelStrongText: "#ffffff", muted: "#55606c", ink: "#1f2933",
  lights: LIGHTS, lightText: LIGHT_TEXT,
};

const dark: Palette = {
  ground: "#14181c", verge: "#1b251e", walk: "#2c2f31", asphalt: "#373d44", junction: "#343a41", bus: "#4d3b38", cycle: "#31463b", shoulder: "#30353b", parking: "#3b4148", kerb: "#50555a",
  mark: "#b9bfc4", markYellow: "#bf9f45", zebra: "#a9afb5", platform: "#2f3a57", platformEdge: "#7f94d1", bay: "#8b939b", object: "#45484a", grain: 0.06,
  paints: ["#d4d8dc", "#a3abb3", "#6b7681", "#7f97ae", "#a89c87", "#5b7ea6", "#ab6a63", "#c3c2bd"], glass: "#11161b", outline: "#0b0e11", bellows: "#15191d", heavy: "#a9b3b0",
  person: "#ff9d2e", head: "#fff0da", rider: "#5cc7d6", shadow: "rgba(0,0,0,0.4)",
  automated: "#3d8ef5", automatedRoof: "#dcebff", halo: "#6bb0ff", brake: "#ff5347", door: "#ffe14d",
  plan: "#27d9b8", trail: "#5aa4ff", perceived: "#c08cff", perceivedFill: "rgba(192,140,255,0.16)", rsu: "#b58cf0", coverage: "rgba(181,140,240,0.5)", ghost: "#ff8a4c", difference: "#ff5fae", heard: "#3fce7c", missed: "#ff6b61",
  label: "rgba(24,29,34,0.9)", labelText: "#e4e8ec", labelStrong: "#2a72d4", labelStrongText: "#ffffff", muted: "#9aa5b0", ink: "#e4e8ec",
  lights: LIGHTS, lightText: LIGHT_TEXT,
};

export function paletteOf(theme: Theme): Palette {
  return theme === "dark" ? dark : light;
}
