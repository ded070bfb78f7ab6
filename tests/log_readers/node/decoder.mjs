// A message type as the viewers get it: from the FileDescriptorSet in the log's schema record, and from nothing else.
import { protobufFromBinaryDescriptor } from "@mcap/support";
import protobuf from "protobufjs";

// Viewers want {sec, nsec} of both.
const asTime = {
  toObject: ({ seconds, nanos }) => ({ sec: Number(String(seconds)), nsec: nanos }),
  fromObject: ({ sec, nsec }) => ({ seconds: sec, nanos: nsec }),
};
for (const name of ["Timestamp", "Duration"]) protobuf.wrappers[`.google.protobuf.${name}`] = asTime;

export class Decoder {
  /** Full name, `foxglove.SceneUpdate`. */
  name;
  type;

  constructor(schema) {
    if (schema.encoding !== "protobuf") throw new Error(`schema ${schema.name} is "${schema.encoding}", not protobuf`);
    const root = protobufFromBinaryDescriptor(schema.data);
    root.resolveAll();
    this.name = schema.name;
    this.type = root.lookupType(schema.name);
  }

  /** Plain object with every field of the type; a message that is not there is null. */
  decode(data) {
    return this.type.toObject(this.type.decode(data), { defaults: true });
  }

  /** Whether the message, written again, is the bytes it was: nothing in it is unknown to its schema. */
  keepsAll(data) {
    const again = this.type.encode(this.type.decode(data)).finish();
    return Buffer.compare(again, data) === 0;
  }
}
