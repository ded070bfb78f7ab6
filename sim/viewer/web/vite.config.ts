// One script and one style sheet, into the Python package: reports embed both, the server sends them.
import { readFileSync } from "node:fs";
import { defineConfig } from "vitest/config";

const read = (path: string): string => readFileSync(new URL(path, import.meta.url), "utf8");

/** Notices of what is bundled, which must go wherever the built script goes. */
function notices(): string {
  const { dependencies } = JSON.parse(read("package.json")) as { dependencies: Record<string, string> };
  const bsd = read("node_modules/@bufbuild/protobuf/dist/esm/wire/varint.js").split("\n");
  const google = bsd.slice(0, bsd.findIndex((line) => !line.startsWith("//"))).map((line) => line.replace(/^\/\/ ?/, "")).join("\n");
  const parts = [
    `konva ${dependencies.konva}\n\n${read("node_modules/konva/LICENSE").trim()}`,
    `@tanstack/virtual-core ${dependencies["@tanstack/virtual-core"]}\n\n${read("node_modules/@tanstack/virtual-core/LICENSE").trim()}`,
    `uPlot ${dependencies.uplot}\n\n${read("node_modules/uplot/LICENSE").trim()}`,
    `@bufbuild/protobuf ${dependencies["@bufbuild/protobuf"]}: Apache License 2.0 (text: LICENSE of this project); its varint code:\n\n${google.trim()}`,
  ];
  return `/*!\nicv viewer, Apache License 2.0. Holds:\n\n${parts.join("\n\n----\n\n").replaceAll("*/", "* /")}\n*/\n`;
}

export default defineConfig({
  publicDir: false,
  build: {
    outDir: "../static",
    emptyOutDir: true,
    target: "es2022",
    cssCodeSplit: false,
    modulePreload: false,
    reportCompressedSize: false,
    // A report is one file: nothing may be fetched beside it.
    assetsInlineLimit: Number.MAX_SAFE_INTEGER,
    lib: { entry: "src/main.ts", name: "icvViewer", formats: ["iife"], fileName: () => "viewer.js", cssFileName: "viewer" },
  },
  define: { "process.env.NODE_ENV": JSON.stringify("production") },
  plugins: [
    {
      name: "page-and-notices",
      generateBundle(_options, bundle) {
        this.emitFile({ type: "asset", fileName: "index.html", source: read("index.html") });
        const script = bundle["viewer.js"];
        if (script?.type !== "chunk") throw new Error("the build has no viewer.js");
        script.code = notices() + script.code;
        // Reports put the script into a page: nothing in it may end the element.
        if (/<\/script|<!--/i.test(script.code)) throw new Error("viewer.js holds '</script' or '<!--', which would break a report");
      },
    },
  ],
  test: { include: ["test/**/*.test.ts", "src/**/*.test.ts"], environment: "node", css: true, testTimeout: 30_000 },
});
