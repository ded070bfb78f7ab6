// All panels, in the order of their tabs; titles are `panel.<key>`.
import type { Panel } from "../model";
import { aboutPanel } from "./about";
import { actorPanel } from "./actor";
import { criteriaPanel } from "./criteria";
import { eventsPanel } from "./events";
import { messagesPanel } from "./messages";
import "./panels.css";
import { plotsPanel } from "./plots";
import { runsPanel } from "./runs";
import { signalsPanel } from "./signals";

export { mountRunList } from "./runs";

/** A report holds its run itself; only the server has a list of others. */
const isReport = typeof document !== "undefined" && document.getElementById("icv-manifest") !== null;

export const panels: Panel[] = [
  criteriaPanel,
  messagesPanel,
  plotsPanel,
  actorPanel,
  eventsPanel,
  signalsPanel,
  ...(isReport ? [] : [runsPanel]),
  aboutPanel,
];
