// The manifest of a pack: what is read from it, checked as far as the page relies on it.
import type { Meta } from "../model";
import { DataError, type SectionInfo } from "./columns";

const LONGEST_S = 30 * 24 * 3600;

export interface Manifest {
  format: number;
  meta: Meta;
  block_ms: number;
  tables: Record<string, { per: "run" | "block"; columns: [string, string][] }>;
  sections: Record<string, SectionInfo>;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function readManifest(value: unknown): Manifest {
  if (!isObject(value)) throw new DataError("the manifest is no JSON object");
  if (value.format !== 1) throw new DataError(`the manifest has format ${String(value.format)}; this page reads format 1`);
  if (!isObject(value.meta) || !isObject(value.tables) || !isObject(value.sections)) throw new DataError("the manifest lacks meta, tables or sections");
  if (typeof value.block_ms !== "number" || !(value.block_ms >= 100)) throw new DataError(`the manifest's block_ms is ${String(value.block_ms)}`);
  const manifest = value as unknown as Manifest;
  manifest.meta = completeMeta(manifest.meta);
  return manifest;
}

/** What a sparse pack leaves out is there and empty, so that nobody downstream has to ask. */
export function completeMeta(meta: Partial<Meta>): Meta {
  const roads = meta.roads ?? ({} as Partial<Meta["roads"]>);
  return {
    scenario: "", seed: 0, digest: "", commit: "", versions: {}, epoch_ns: "0", tick_ms: 10,
    outcome: "", sentence: "", lost: null, criteria: [], events: [], actors: [], vehicles: {}, numbers: {}, facts: {},
    units: [], receivers: [], topics: [], fates: [], rsus: [], lights: [], descriptor: "", message_types: {}, series: [], zh: {},
    ...meta,
    duration_s: Math.min(LONGEST_S, Math.max(0, Number.isFinite(meta.duration_s) ? (meta.duration_s as number) : 0)),
    budget: { messages: 0, with_bytes: 0, sentence_en: "", sentence_zh: "", ...meta.budget },
    roads: { bounds: Array.isArray(roads.bounds) && roads.bounds.length === 4 && roads.bounds.every(Number.isFinite) ? roads.bounds : [0, 0, 100, 100], lanes: roads.lanes ?? [], stop_lines: roads.stop_lines ?? [], crossings: roads.crossings ?? [],
      stations: roads.stations ?? [], groups: roads.groups ?? [], bays: roads.bays ?? [], objects: roads.objects ?? [] },
  };
}
