// A run inside the page itself: `icv report` writes its manifest and sections as script elements.
import { DataError, fromBase64 } from "./columns";
import { readManifest } from "./manifest";
import { SectionRun, type Fetched } from "./run";

export class EmbeddedRun extends SectionRun {
  private readonly elements = new Map<string, Element>();

  /** Run `which` of the page, or null when the page holds none. */
  static find(which: "a" | "b", page: Document = document): EmbeddedRun | null {
    const holder = page.getElementById(which === "a" ? "icv-manifest" : "icv-manifest-b");
    if (!holder) return null;
    let value: unknown;
    try {
      value = JSON.parse(holder.textContent ?? "");
    } catch {
      throw new DataError("the report's manifest is no JSON: the file is incomplete");
    }
    const run = new EmbeddedRun(which === "a" ? "report" : "report-b", readManifest(value));
    for (const element of page.querySelectorAll("script.icv-section")) {
      const key = element.getAttribute("data-key");
      if (key !== null && (element.getAttribute("data-run") === "b") === (which === "b")) run.elements.set(key, element);
    }
    return run;
  }

  protected override fetchSection(key: string): Promise<Fetched | null> {
    const element = this.elements.get(key);
    return Promise.resolve(element ? { bytes: fromBase64(element.textContent ?? ""), info: null } : null);
  }
}
