// Where units are, and what belongs to which vehicle.
import type { Meta } from "../model";
import type { WorldAt } from "../data/world";

/** Actor of a unit: its own name, or the last part of it ("obu/bus1"). */
export function actorOfUnit(meta: Meta, unit: string): number | null {
  const own = (name: string): number | undefined => (Object.hasOwn(meta.vehicles, name) ? meta.vehicles[name] : undefined);
  return own(unit) ?? own(lastPart(unit)) ?? null;
}

export function unitOfActor(meta: Meta, actor: number | null): string | null {
  if (actor === null) return null;
  return meta.units.find((unit) => actorOfUnit(meta, unit) === actor) ?? meta.receivers.find((unit) => actorOfUnit(meta, unit) === actor) ?? null;
}

function lastPart(unit: string): string {
  return unit.slice(unit.lastIndexOf("/") + 1);
}

/** The roadside unit that is called `unit` ("rsu/J1") among the units. */
export function rsuOfUnit(meta: Meta, unit: string | null): Meta["rsus"][number] | null {
  if (unit === null) return null;
  return meta.rsus.find((rsu) => rsu.name === unit || (unit.startsWith("rsu") && rsu.name === lastPart(unit))) ?? null;
}

/** What a roadside unit is called among the units. */
export function unitOfRsu(meta: Meta, name: string): string {
  return [...meta.units, ...meta.receivers].find((unit) => unit === name || (unit.startsWith("rsu") && lastPart(unit) === name)) ?? name;
}

/** Place of a unit: its vehicle now, or where the roadside unit stands. */
export function placeOfUnit(meta: Meta, world: WorldAt, unit: string): [number, number] | null {
  const actor = actorOfUnit(meta, unit);
  if (actor !== null) {
    const at = world.at.get(actor);
    return at === undefined ? null : [world.x[at], world.y[at]];
  }
  const rsu = rsuOfUnit(meta, unit);
  return rsu ? [rsu.x, rsu.y] : null;
}
