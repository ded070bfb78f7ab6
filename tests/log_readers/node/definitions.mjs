// The `foxglove.*` messages as their own package defines them, against the schemas in a log and the messages in it.
import schemas from "@foxglove/schemas/internal.js";
import protobuf from "protobufjs";

const WELL_KNOWN = new Map([
  ["google.protobuf.Timestamp", "Time"],
  ["google.protobuf.Duration", "Duration"],
]);

/** All definitions as one protobuf root, from the .proto text that the package makes of them. */
const root = new protobuf.Root();
for (const schema of Object.values(schemas.foxgloveMessageSchemas)) {
  const enums = Object.values(schemas.foxgloveEnumSchemas).filter((e) => e.parentSchemaName === schema.name);
  protobuf.parse(schemas.generateProto(schema, enums), root, { keepCase: true });
}
for (const file of ["timestamp", "duration"]) {
  root.addJSON(protobuf.common.get(`google/protobuf/${file}.proto`).nested);
}
root.resolveAll();

/** Sentences: where a type in the log, or one that it uses, says otherwise than the package. */
export function differences(type, done = new Set()) {
  const name = type.fullName.slice(1);
  if (done.has(name)) return [];
  done.add(name);
  const theirs = root.lookup(name);
  if (theirs === null) return [`${name} is not defined`];
  if (type instanceof protobuf.Enum) {
    const same = JSON.stringify(Object.entries(type.values)) === JSON.stringify(Object.entries(theirs.values));
    return same ? [] : [`${name} has other values`];
  }
  const out = [];
  for (const field of type.fieldsArray) {
    const other = theirs.fields[field.name];
    if (other === undefined) {
      out.push(`${name}.${field.name} is not defined`);
      continue;
    }
    const [ours, wanted] = [field, other].map(
      (f) => `${f.repeated ? "repeated " : ""}${f.resolvedType?.fullName.slice(1) ?? f.type} = ${f.id}`,
    );
    if (ours !== wanted) out.push(`${name}.${field.name} is "${ours}", defined as "${wanted}"`);
    if (field.resolvedType) out.push(...differences(field.resolvedType, done));
  }
  return out;
}

/** Paths of what the definitions require and a decoded message has not, such as `entities[].lines[].pose`. */
export function lacking(name, decoded) {
  const out = new Set();
  if (!WELL_KNOWN.has(name)) walk(schemas.foxgloveMessageSchemas[name.replace("foxglove.", "")], decoded, "", out);
  return out;
}

function walk(schema, value, path, out) {
  for (const field of schema.fields) {
    const at = path ? `${path}.${field.name}` : field.name;
    const held = value[field.name];
    if (held === undefined || held === null) {
      if (!field.optional) out.add(at);
    } else if (field.array !== undefined) {
      if (typeof field.array === "number" && held.length !== field.array) out.add(`${at} (${field.array} values)`);
      if (field.type.type === "nested") for (const one of held) walk(field.type.schema, one, `${at}[]`, out);
    } else if (field.type.type === "nested" && field.type.schema.protoEquivalent === undefined) {
      walk(field.type.schema, held, at, out);
    }
  }
}
