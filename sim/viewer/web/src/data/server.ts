// A run from the viewer's server, also one that is still going on.
import type { Meta } from "../model";
import { DataError, type SectionInfo } from "./columns";
import { completeMeta, readManifest, type Manifest } from "./manifest";
import { SectionRun, type Fetched } from "./run";

const POLL_MS = 1000;

function address(id: string, rest: string): string {
  return `api/run/${encodeURIComponent(id)}/${rest.split("/").map(encodeURIComponent).join("/")}`;
}

async function get(url: string): Promise<Response> {
  const answer = await fetch(url);
  if (!answer.ok) {
    const text = await answer.text().catch(() => "");
    const chinese = decoded(answer.headers.get("icv-chinese"));
    throw new DataError(`${url}: ${answer.status} ${text.slice(0, 300) || answer.statusText}`, chinese && `${url}：${answer.status} ${chinese}`);
  }
  return answer;
}

/** Headers hold ASCII alone: other characters come percent-encoded. */
function decoded(text: string | null): string {
  try {
    return decodeURIComponent(text ?? "");
  } catch {
    return "";
  }
}

export interface RunEntry { id: string }

/** The runs that the server offers. */
export async function listRuns(): Promise<RunEntry[]> {
  const value: unknown = await (await get("api/runs")).json();
  const list = Array.isArray(value) ? value : ((value as { runs?: unknown }).runs ?? []);
  return Array.isArray(list) ? list.filter((entry): entry is RunEntry => typeof (entry as RunEntry)?.id === "string") : [];
}

/** What a section says of itself in its header; null when it says nothing that can be used. */
export function sectionInfo(text: string | null): SectionInfo | null {
  if (text === null) return null;
  try {
    const value = JSON.parse(text) as Partial<SectionInfo> | null;
    const isCount = (each: unknown): boolean => Number.isSafeInteger(each) && (each as number) >= 0;
    const counts: unknown = value?.counts ?? {};
    if (!isCount(value?.raw) || !isCount(value?.rows) || typeof counts !== "object" || counts === null || !Object.values(counts).every(isCount)) return null;
    return value as SectionInfo;
  } catch {
    return null;
  }
}

/** What a run in progress says: parts of the manifest that are new. */
interface Growth { meta?: Partial<Meta>; tables?: Manifest["tables"]; sections?: Record<string, SectionInfo>; done?: boolean }

export class ServerRun extends SectionRun {
  private readonly growers: (() => void)[] = [];
  private following = false;

  static async open(id: string): Promise<ServerRun> {
    const run = new ServerRun(id, readManifest(await (await get(address(id, "manifest"))).json()));
    if (run.live) run.follow();
    return run;
  }

  /** Whether the run is still going on. */
  get live(): boolean {
    return (this.meta as Meta & { live?: boolean }).live === true;
  }

  protected override get isGrowing(): boolean {
    return this.live;
  }

  onGrowth(listener: () => void): void {
    this.growers.push(listener);
  }

  protected override async fetchSection(key: string): Promise<Fetched | null> {
    const answer = await get(address(this.id, `section/${key}`));
    return { bytes: new Uint8Array(await answer.arrayBuffer()), info: sectionInfo(answer.headers.get("icv-section")) };
  }

  /** One message alone, unless its whole block is here: a block's bytes are megabytes. */
  override async bytes(block: number, row: number): Promise<Uint8Array | null> {
    if (this.holdsBytes(block)) return super.bytes(block, row);
    const messages = await this.block("messages", block);
    if (this.rawBytes(`bytes/${block}`) > 0 && (messages?.bytes0?.[row] ?? -1) < 0) return null; // such as what a fault has garbled
    const answer = await fetch(address(this.id, `bytes/${block}/${row}`));
    return answer.ok ? new Uint8Array(await answer.arrayBuffer()) : null;
  }

  private follow(): void {
    if (this.following) return;
    this.following = true;
    const url = new URL(address(this.id, "live"), location.href);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    let socket: WebSocket;
    try {
      socket = new WebSocket(url);
    } catch {
      void this.poll();
      return;
    }
    let isPolling = false;
    socket.onmessage = (event) => {
      if (typeof event.data !== "string") return;
      try {
        this.grow(JSON.parse(event.data) as Growth);
      } catch (error) {
        console.warn(`live: ${error instanceof Error ? error.message : String(error)}`);
      }
    };
    socket.onclose = () => {
      if (!isPolling && this.live) void this.poll();
      isPolling = true;
    };
  }

  private async poll(): Promise<void> {
    while (this.live) {
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
      try {
        this.replace(readManifest(await (await get(address(this.id, "manifest"))).json()));
      } catch {
        return; // the server is gone: what is here stays
      }
      for (const listener of this.growers) listener();
    }
  }

  private grow(growth: Growth): void {
    const meta = completeMeta({ ...this.meta, ...growth.meta, ...(growth.done ? { live: false } : {}) } as Partial<Meta>);
    this.replace({ ...this.manifest, meta, tables: growth.tables ?? this.manifest.tables, sections: { ...this.manifest.sections, ...growth.sections } });
    for (const listener of this.growers) listener();
  }
}
