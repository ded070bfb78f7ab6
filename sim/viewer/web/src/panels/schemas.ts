// Message types of a run by topic; each descriptor set is read once.
import type { Run } from "../model";
import { Schema, type MessageSpec } from "../proto/schema";

const schemas = new Map<string, Schema | null>();

/** The type that `topic` (its index) carries, null where it is not known. */
export function typeOfTopic(run: Run, topic: number): MessageSpec | null {
  const { descriptor, message_types, topics } = run.meta;
  let schema = schemas.get(descriptor);
  if (schema === undefined) {
    try {
      schema = Schema.fromBase64(descriptor);
    } catch {
      schema = null; // a descriptor set that cannot be read: bytes are shown without names
    }
    schemas.set(descriptor, schema);
  }
  return schema?.message(message_types[topics[topic] ?? ""] ?? "") ?? null;
}
