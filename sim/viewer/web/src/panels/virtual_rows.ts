// A long list of which only the visible rows exist: rows are made once and filled again as the list scrolls.
import { elementScroll, observeElementOffset, observeElementRect, Virtualizer } from "@tanstack/virtual-core";

export interface RowKind<Row extends HTMLElement> {
  height: number; // px, the same for all
  create(): Row;
  fill(row: Row, index: number): void;
}

export class VirtualRows<Row extends HTMLElement> {
  private readonly virtualizer: Virtualizer<HTMLElement, HTMLElement>;
  private readonly shown = new Map<number, Row>();
  private readonly spare: Row[] = [];
  private readonly unmount: () => void;
  private count = 0;

  /** `scroller` scrolls, `body` (inside it, positioned) holds the rows. */
  constructor(
    private readonly scroller: HTMLElement,
    private readonly body: HTMLElement,
    private readonly kind: RowKind<Row>,
  ) {
    body.style.position = "relative";
    this.virtualizer = new Virtualizer<HTMLElement, HTMLElement>(this.options());
    this.unmount = this.virtualizer._didMount();
    this.virtualizer._willUpdate();
  }

  private options(): ConstructorParameters<typeof Virtualizer<HTMLElement, HTMLElement>>[0] {
    return {
      count: this.count,
      overscan: 6,
      getScrollElement: () => this.scroller,
      estimateSize: () => this.kind.height,
      observeElementRect,
      observeElementOffset,
      scrollToFn: elementScroll,
      onChange: () => this.draw(),
    };
  }

  /** A new number of rows; the visible ones are filled anew. */
  setCount(count: number): void {
    if (count !== this.count) {
      this.count = count;
      this.virtualizer.setOptions(this.options());
      this.virtualizer.measure();
      this.body.style.height = `${count * this.kind.height}px`;
    }
    this.refill();
  }

  /** Fills the visible rows anew: what they show has changed. */
  refill(): void {
    this.draw();
    for (const [index, row] of this.shown) this.kind.fill(row, index);
  }

  /** Scrolls so that row `index` can be seen; "auto" leaves it where it is visible already. */
  reveal(index: number, align: "center" | "auto" = "auto"): void {
    if (index < 0 || index >= this.count) return;
    const height = this.kind.height;
    const view = this.scroller.clientHeight;
    const head = this.body.offsetTop; // a sticky header covers as much
    const top = index * height;
    const now = this.scroller.scrollTop;
    if (align === "center") this.scroller.scrollTop = Math.max(0, top - (view - head) / 2);
    else if (top < now) this.scroller.scrollTop = top;
    else if (top + height + head > now + view) this.scroller.scrollTop = top + height + head - view;
  }

  /** Index of the first row in view. */
  get first(): number {
    return Math.floor(this.scroller.scrollTop / this.kind.height);
  }

  /** The element of row `index` while it is on screen. */
  at(index: number): Row | undefined {
    return this.shown.get(index);
  }

  visible(): IterableIterator<[number, Row]> {
    return this.shown.entries();
  }

  end(): void {
    this.unmount();
  }

  private draw(): void {
    const items = this.virtualizer.getVirtualItems();
    const wanted = new Set(items.map((item) => item.index));
    for (const [index, row] of this.shown)
      if (!wanted.has(index)) {
        this.shown.delete(index);
        this.spare.push(row);
      }
    for (const item of items) {
      if (this.shown.has(item.index) || item.index >= this.count) continue;
      let row = this.spare.pop();
      if (!row) {
        row = this.kind.create();
        row.style.position = "absolute";
        row.style.left = "0";
        row.style.right = "0";
        row.style.height = `${this.kind.height}px`;
        this.body.append(row);
      }
      row.style.display = "";
      row.style.transform = `translateY(${item.start}px)`;
      this.shown.set(item.index, row);
      this.kind.fill(row, item.index);
    }
    for (const row of this.spare) if (row.style.display !== "none") row.style.display = "none";
  }
}
